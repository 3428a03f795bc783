"""Which tier a job gets, what is said when there is none, and that nothing is left behind when the host goes away."""

from __future__ import annotations

import importlib.metadata
import os
import signal
import struct
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import autodata_core
from autodata_adapters.sandbox import Job, Limits, Outcome, TierStatus, available_tiers, create_sandbox, ladder
from autodata_adapters.sandbox.proving import fault_of_interpreter, fault_of_process
from autodata_adapters.sandbox.seccomp import filter_for
from autodata_core.errors import MissingExtraError

ADD = Job(code="def solve(a):\n    return a + 1\n", function="solve", calls=((1,), (2,)))
INHERIT = Job(code="class A(dict):\n    pass\ndef solve(a):\n    return len(A(a=a))\n", function="solve", calls=((1,),))
FOREIGN = Job(code="import numpy\ndef solve(a):\n    return a\n", function="solve", calls=((1,),))

posix = pytest.mark.skipif(sys.platform == "win32", reason="processes are looked at the POSIX way")


def need(*names: str) -> None:
    for each in available_tiers():
        if each.name in names and not each.ok:
            pytest.skip(f"the tier {each.name} is off here: {each.detail}")


def test_the_first_tier_that_supports_all_of_a_job_runs_it() -> None:
    need("monty", "confined")
    sandbox = create_sandbox()
    try:
        assert sandbox.tier.startswith("monty/")
        assert "confined/1" in sandbox.tier
        quick, whole, none = (sandbox.run(job) for job in (ADD, INHERIT, FOREIGN))
    finally:
        sandbox.close()
    assert (quick.kind, quick.tier) == ("returned", f"monty/{importlib.metadata.version('pydantic-monty')}")
    assert (whole.kind, whole.tier) == ("returned", sandbox.tier.partition(">")[2])
    assert none.kind == "unsupported"
    assert "monty" in none.detail
    assert "confined" in none.detail


def test_a_tier_by_name_is_used_alone() -> None:
    need("monty")
    sandbox = create_sandbox("monty")
    outcome = sandbox.run(INHERIT)
    sandbox.close()
    assert outcome.kind == "unsupported"
    assert "class inheritance" in outcome.detail


@posix
def test_the_tier_without_walls_is_there_only_by_name_and_says_so() -> None:
    assert "none" not in {each.name for each in available_tiers()}
    sandbox = create_sandbox("none")
    outcome = sandbox.run(ADD)
    sandbox.close()
    assert (outcome.kind, outcome.tier, sandbox.tier) == ("returned", "none", "none")


def test_with_no_tier_nothing_runs_and_the_reason_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ladder, "status", lambda name: TierStatus(name, False, f"{name} is broken"))
    sandbox = create_sandbox()
    outcome = sandbox.run(ADD)
    sandbox.close()
    assert (outcome.kind, outcome.tier) == ("unsupported", "")
    assert "monty is broken" in outcome.detail
    assert "confined is broken" in outcome.detail


def test_a_missing_package_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pydantic_monty", None)
    found = ladder.status.__wrapped__("monty")
    assert not found.ok
    assert "autodata-agents[sandbox]" in found.detail
    from autodata_adapters.sandbox.monty import MontySandbox

    with pytest.raises(MissingExtraError):
        MontySandbox()


def test_the_optional_package_is_imported_only_when_a_tier_needs_it() -> None:
    code = "import sys, autodata_adapters.sandbox; sys.exit('pydantic_monty' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_tier_that_lets_something_through_is_off() -> None:
    plain = create_sandbox("none")
    fault = fault_of_process(plain)
    plain.close()
    assert fault is not None
    assert fault.startswith("not contained: read (done)")
    assert "network (done)" in fault


class Inert:
    """A sandbox that runs nothing, so it contains everything."""

    tier = "inert"

    def run(self, job: Job) -> Outcome:
        return Outcome(kind="raised", detail="PermissionError: no")

    def close(self) -> None:
        pass


def test_a_tier_that_runs_nothing_is_off() -> None:
    assert fault_of_process(Inert()) is not None
    assert fault_of_interpreter(Inert()) is not None


def test_limits_of_the_sandbox_are_a_ceiling() -> None:
    need("confined")
    sandbox = create_sandbox("confined", Limits(wall_s=0.3))
    began = time.monotonic()
    outcome = sandbox.run(Job(code="def solve():\n    while True: pass\n", function="solve", calls=((),)))
    sandbox.close()
    assert outcome.kind == "timeout"
    assert time.monotonic() - began < 3


def test_many_threads_share_one_sandbox() -> None:
    sandbox = create_sandbox()
    jobs = [
        Job(
            code=f"def solve(a):\n    return a * {n}\n{'class A(dict): pass' if n % 4 == 0 else ''}\n",
            function="solve",
            calls=((2,),),
        )
        for n in range(16)
    ]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(sandbox.run, jobs))
    sandbox.close()
    assert [outcome.values for outcome in found] == [(["int", str(2 * n)],) for n in range(16)]


def test_a_closed_sandbox_runs_nothing() -> None:
    for name in ("monty", "confined"):
        sandbox = create_sandbox(name)  # type: ignore[arg-type]
        sandbox.close()
        sandbox.close()
        assert sandbox.run(ADD).kind == "unsupported"


@posix
def test_closing_ends_what_runs() -> None:
    need("confined")
    sandbox = create_sandbox("confined")
    found: list[Outcome] = []
    job = Job(
        code="def solve():\n    while True: pass\n", function="solve", calls=((),), limits=Limits(wall_s=60, cpu_s=60)
    )
    thread = threading.Thread(target=lambda: found.append(sandbox.run(job)))
    thread.start()
    time.sleep(0.3)
    sandbox.close()
    thread.join(5)
    assert [outcome.kind for outcome in found] == ["crashed"]


SOLO = """
import sys
from autodata_adapters.sandbox import Job, Limits, available_tiers, create_sandbox
sandbox = create_sandbox(sys.argv[1])
print("ready", flush=True)
job = Job(code="import os\\ndef solve():\\n    while True: pass", function="solve", calls=((),),
          limits=Limits(wall_s=1.5 if sys.argv[1] == "monty" else 60, cpu_s=60))
sandbox.run(job)
"""


@posix
@pytest.mark.parametrize("name", ["confined", "bwrap", "monty"])
def test_a_killed_host_leaves_no_process_behind(name: str) -> None:
    need(name)
    host = subprocess.Popen([sys.executable, "-c", SOLO, name], stdout=subprocess.PIPE)
    try:
        assert host.stdout is not None
        assert host.stdout.readline() == b"ready\n"
        deadline = time.monotonic() + 10
        while not (family := descendants(host.pid)) and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(0.3)
        family = descendants(host.pid)
    finally:
        host.kill()
        host.communicate()
    assert family
    deadline = time.monotonic() + 10  # a monty worker ends with its time, the others at once
    while (left := [pid for pid in family if alive(pid)]) and time.monotonic() < deadline:
        time.sleep(0.05)
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    assert not left


def descendants(pid: int) -> list[int]:
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, task.read_text().split()):
            found += [child, *descendants(child)]
    return found


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


ORDINARY = """
import os
from autodata_adapters.sandbox import Job, available_tiers, create_sandbox
assert os.getuid() == 65534
print([each for each in available_tiers() if each.name == "confined"])
sandbox = create_sandbox("confined")
code = '''
import os
def solve():
    tried = []
    for act in (lambda: open("/etc/passwd"), os.fork, lambda: os.kill(1, 0), lambda: open("/tmp/x", "w")):
        try:
            act()
            tried.append("HARM")
        except PermissionError:
            tried.append("refused")
    return tried
'''
print(sandbox.run(Job(code=code, function="solve", calls=((),))).values)
sandbox.close()
"""


@posix
def test_an_ordinary_user_is_confined_as_well() -> None:
    need("confined")
    if os.getuid() != 0:
        pytest.skip("every test here already runs as an ordinary user")
    packages = [str(Path(module.__file__ or "").parents[1]) for module in (autodata_core, pytest, ladder_package())]
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    environment = {"PYTHONPATH": os.pathsep.join(packages), "PYTHONDONTWRITEBYTECODE": "1"}
    for python in (sys.executable, f"/usr/local/bin/python{version}", f"/usr/bin/python{version}"):
        try:
            asked: Any = subprocess.run(
                [python, "-c", ORDINARY], capture_output=True, text=True, env=environment, cwd="/", check=False,
                user=65534, group=65534, extra_groups=[],
            )  # fmt: skip
        except (PermissionError, FileNotFoundError):
            continue
        if "ok=" in asked.stdout:
            assert "ok=True" in asked.stdout, asked.stdout
            assert "(['list', ['refused', 'refused', 'refused', 'refused']],)" in asked.stdout, asked.stdout
            return
    pytest.skip("no Python here that an ordinary user may start with these packages")


def ladder_package() -> Any:
    import autodata_adapters

    return autodata_adapters


CASES = [
    # name, number and arguments on each machine, what the filter says
    ("read", {"x86_64": 0, "aarch64": 63}, (), "allow"),
    ("execve", {"x86_64": 59, "aarch64": 221}, (), "EPERM"),
    ("execveat", {"x86_64": 322, "aarch64": 281}, (), "EPERM"),
    ("socket", {"x86_64": 41, "aarch64": 198}, (1, 1), "EPERM"),
    ("connect", {"x86_64": 42, "aarch64": 203}, (), "EPERM"),
    ("ptrace", {"x86_64": 101, "aarch64": 117}, (), "EPERM"),
    ("thread", {"x86_64": 56, "aarch64": 220}, (0x3D0F00,), "allow"),
    ("fork", {"x86_64": 56, "aarch64": 220}, (17,), "EPERM"),
    ("thread in a namespace", {"x86_64": 56, "aarch64": 220}, (0x3D0F00 | 0x10000000,), "EPERM"),
    ("clone3", {"x86_64": 435, "aarch64": 435}, (), "ENOSYS"),
    ("kill self", {"x86_64": 62, "aarch64": 129}, (77, 9), "allow"),
    ("kill other", {"x86_64": 62, "aarch64": 129}, (78, 9), "EPERM"),
    ("kill all", {"x86_64": 62, "aarch64": 129}, (2**64 - 1, 9), "EPERM"),
    ("kill group", {"x86_64": 62, "aarch64": 129}, (0, 9), "EPERM"),
    ("tkill", {"x86_64": 200, "aarch64": 130}, (77, 9), "EPERM"),
    ("open to read", {"x86_64": 257, "aarch64": 56}, (2**64 - 100, 1, os.O_RDONLY), "allow"),
    ("open to write", {"x86_64": 257, "aarch64": 56}, (2**64 - 100, 1, os.O_RDWR), "EPERM"),
    ("create", {"x86_64": 257, "aarch64": 56}, (2**64 - 100, 1, os.O_CREAT), "EPERM"),
    ("read limits", {"x86_64": 302, "aarch64": 261}, (0, 7, 0, 1), "allow"),
    ("set limits", {"x86_64": 302, "aarch64": 261}, (0, 7, 1, 0), "EPERM"),
    ("set limits, pointer above 4 GiB", {"x86_64": 302, "aarch64": 261}, (0, 7, 1 << 32, 0), "EPERM"),
    ("send to a pair", {"x86_64": 44, "aarch64": 206}, (3, 1, 1, 0, 0, 0), "allow"),
    ("send to an address", {"x86_64": 44, "aarch64": 206}, (3, 1, 1, 0, 1 << 40, 16), "EPERM"),
    ("unix pair", {"x86_64": 53, "aarch64": 199}, (1, 1, 0), "allow"),
    ("packet pair", {"x86_64": 53, "aarch64": 199}, (17, 1, 0), "EPERM"),
    ("dumpable", {"x86_64": 157, "aarch64": 167}, (4, 1), "EPERM"),
    ("type into terminal", {"x86_64": 16, "aarch64": 29}, (0, 0x5412), "EPERM"),
    ("signal owner", {"x86_64": 72, "aarch64": 25}, (0, 8), "EPERM"),
    ("x32", {"x86_64": 0x40000000}, (), "kill"),
    ("no number", {"x86_64": 2**32 - 1}, (), "kill"),
    ("future call", {"x86_64": 999, "aarch64": 999}, (), "EPERM"),
]


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
@pytest.mark.parametrize(
    ("numbers", "arguments", "wanted"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_the_filter_says(machine: str, numbers: dict[str, int], arguments: tuple[int, ...], wanted: str) -> None:
    architecture = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}[machine]
    number = numbers.get(machine)  # None: this machine has no such call
    assert number is None or judged(filter_for(machine, 77), architecture, number, arguments) == wanted


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_the_filter_refuses_another_architecture(machine: str) -> None:
    assert judged(filter_for(machine, 77), 0x40000003, 0, ()) == "kill"


def judged(program: bytes, architecture: int, number: int, arguments: tuple[int, ...]) -> str:
    """Run a filter as the kernel would."""
    given = struct.pack("=IIQ6Q", number, architecture, 0, *[*arguments, 0, 0, 0, 0, 0, 0][:6])
    steps = list(struct.iter_unpack("=HBBI", program))
    at, held = 0, 0
    while True:
        code, yes, no, value = steps[at]
        at += 1
        if code == 0x20:
            held = struct.unpack_from("=I", given, value)[0]
        elif code == 0x54:
            held &= value
        elif code in (0x15, 0x45):
            at += yes if (held == value if code == 0x15 else held & value) else no
        else:
            return {0x7FFF0000: "allow", 0x80000000: "kill", 0x50001: "EPERM", 0x50026: "ENOSYS"}[value]
