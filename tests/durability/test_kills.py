"""P1 and P2: kill -9 anywhere, run the same command again, and it is the same data set; no recorded call is paid twice."""

from __future__ import annotations

import random
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from .conftest import IN_FLIGHT, Ended, Ledger, Nursery, World

CHAINS = {
    "calls": (
        "call.reserve:9:kill",
        "call.reserved:17:kill",
        "call.sent:30:kill",
        "call.replied:30:kill",
        "call.done:40:kill",
        "lock.taken:1:kill",
        "write:6:kill",
    ),
    "rows": (
        "accept.commit:2:kill",
        "accept.committed:3:kill",
        "claim.decided:3:kill",
        "projection.rename:2:kill",
        "projection.renamed:4:kill",
        "study.done:1:kill",
        "call.sent:3:kill",
    ),
}
"""Each run is killed at these places one after the other, each time further on."""


def chain(world: World, golden: World, faults: tuple[str, ...]) -> Ledger:
    with Nursery() as nursery:
        ledger = Ledger(world.raised_by(nursery))
        for fault in faults:
            ledger.note(ledger.world.run(fault=fault))
        finish(ledger, golden)
    return ledger


def drained(world: World) -> Ended:
    """Kill the process in the moment in which it heard the first signal."""
    before = world.heard()
    process = world.start(fault="drain.begun:1:kill")
    while process.poll() is None and world.heard() < before + 5:
        time.sleep(0.002)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    return Ended(process.returncode, out, err)


def at_random(world: World, golden: World, kills: int, seed: int, *, drain: bool = False) -> Ledger:
    chance = random.Random(seed)
    with Nursery() as nursery:
        ledger = Ledger(world.raised_by(nursery))
        for _ in range(kills):
            ledger.note(ledger.world.killed_when(chance.randint(1, 30), chance.random() / 50))
        if drain:
            ledger.note(drained(ledger.world))
        finish(ledger, golden)
    return ledger


def finish(ledger: Ledger, golden: World) -> None:
    ended = ledger.world.run()
    assert ended.code == 0, ended.err
    ledger.check(golden)
    said = ledger.world.command("verify", ledger.world.out)
    assert said.code == 0, said.out


def test_killed_at_every_named_place_and_at_random_the_data_set_is_the_same(golden: World) -> None:
    with ThreadPoolExecutor(2) as pool:
        jobs = [pool.submit(chain, golden.beside(name), golden, faults) for name, faults in CHAINS.items()]
        jobs.append(pool.submit(at_random, golden.beside("random"), golden, 7, 1, drain=True))
        ledgers = [job.result() for job in jobs]
    assert sum(ledger.kills for ledger in ledgers) >= 20


@pytest.mark.long
@pytest.mark.parametrize("seed", range(5))
def test_a_hundred_kills_at_random_change_nothing(golden: World, seed: int, capsys: pytest.CaptureFixture[str]) -> None:
    """Each of the five makes 24."""
    worlds = [golden.beside(f"long-{seed}-{n}") for n in range(2)]
    with ThreadPoolExecutor(2) as pool:
        jobs = [pool.submit(at_random, world, golden, 12, 100 * seed + n) for n, world in enumerate(worlds)]
        ledgers = [job.result() for job in jobs]
    repeats = [count for ledger in ledgers for count in ledger.repeats]
    most = max(ledger.most_in_flight for ledger in ledgers)
    with capsys.disabled():
        print(
            f"\n{len(repeats)} kills, 0 rows lost or doubled; paid again per kill: {sum(repeats) / len(repeats):.1f} on "
            f"average, {max(repeats)} at most; in flight by the journal {most} at most, {IN_FLIGHT} allowed"
        )
    assert len(repeats) == sum(ledger.kills for ledger in ledgers) == 24
