"""What running code costs: jobs a second in the interpreter of its own, and CPU time of a confined process.

Gates: 500 jobs a second of CPU time for `monty`, 60 ms of CPU for half of the `confined` jobs. A tier that is off here is
named and not measured; with none there is nothing to pass.
"""

import resource
import statistics
import sys
import time
from pathlib import Path

from autodata_adapters.sandbox import Job, Sandbox, available_tiers, create_sandbox

JOB = Job(
    code="def solve(n):\n    total = 0\n    for i in range(n):\n        total += i\n    return total\n",
    function="solve",
    calls=tuple((n,) for n in range(10)),
)


def cpu_s() -> float:
    """Return CPU time of this process and of children that ended."""
    spent = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in spent)


def run(sandbox: Sandbox) -> None:
    outcome = sandbox.run(JOB)
    if outcome.kind != "returned":
        sys.exit(f"FAILED: {outcome}")


def many(jobs: int = 2_000) -> bool:
    sandbox = create_sandbox("monty")
    run(sandbox)  # starts a worker
    began, clock = cpu_s(), time.perf_counter()
    for _ in range(jobs):
        run(sandbox)
    took = time.perf_counter() - clock
    sandbox.close()  # its workers end, so their time is in
    spent = max(cpu_s() - began, 1e-9)
    print(f"{'monty':<16}{jobs / spent:8.0f} jobs per CPU second   {jobs / took:.0f} per second")
    return jobs / spent >= 500


def single(tier: str, jobs: int = 40) -> bool:
    sandbox = create_sandbox(tier)  # type: ignore[arg-type]
    run(sandbox)
    spent, took = [], []
    for _ in range(jobs):
        began, clock = cpu_s(), time.perf_counter()
        run(sandbox)
        spent.append(cpu_s() - began)
        took.append(time.perf_counter() - clock)
    sandbox.close()
    half, clock_ms = statistics.median(spent) * 1e3, statistics.median(took) * 1e3
    if tier != "confined":  # what runs in a namespace of its own is not counted as a child's time
        print(f"{tier:<16}{'':8} {'':21}   {clock_ms:.1f} ms on the clock   {jobs} jobs")
        return True
    print(f"{tier:<16}{half:8.1f} ms CPU per job, p50   {clock_ms:.1f} ms on the clock   {jobs} jobs")
    return half <= 60


def main() -> None:
    print(f"{Path(sys.executable).name} {sys.version.split()[0]}")
    held = []
    for status in available_tiers():
        if not status.ok:
            print(f"{status.name:<16}off: {status.detail}")
        else:
            held.append(many() if status.name == "monty" else single(status.name))
    if not held or not all(held):
        sys.exit("FAILED: fewer than 500 jobs per CPU second, more than 60 ms of CPU per job, or no tier at all")


if __name__ == "__main__":
    main()
