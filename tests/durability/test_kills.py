"""P1 and P2: kill -9 anywhere, run the same command again, and it is the same data set; no recorded call is paid twice."""

from __future__ import annotations

import random
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from .conftest import Ended, Ledger, World

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


def chain(world: World, faults: tuple[str, ...]) -> Ledger:
    ledger = Ledger(world)
    for fault in faults:
        ledger.note(world.run(fault=fault))
    return ledger


def drained(world: World) -> Ended:
    """Kill the process in the moment in which it heard the first signal."""
    before = sum(world.billed().values())
    process = world.start(fault="drain.begun:1:kill")
    while process.poll() is None and sum(world.billed().values()) < before + 5:
        time.sleep(0.002)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    return Ended(process.returncode, out, err)


def at_random(world: World, kills: int, seed: int) -> Ledger:
    ledger, chance = Ledger(world), random.Random(seed)
    for _ in range(kills):
        ledger.note(world.killed_when(chance.randint(1, 30)))
    return ledger


def finish(ledger: Ledger, golden: World) -> None:
    ended = ledger.world.run()
    assert ended.code == 0, ended.err
    ledger.check(golden)
    said = ledger.world.command("verify", ledger.world.out)
    assert said.code == 0, said.out


def test_killed_at_every_named_place_and_at_random_the_data_set_is_the_same(golden: World) -> None:
    with ThreadPoolExecutor(2) as pool:
        named = {name: pool.submit(chain, golden.beside(name), faults) for name, faults in CHAINS.items()}
        random_ = pool.submit(at_random, golden.beside("random"), 7, 1)
        ledgers = [job.result() for job in (*named.values(), random_)]
        ledgers[-1].note(drained(ledgers[-1].world))
        list(pool.map(lambda ledger: finish(ledger, golden), ledgers))
    assert sum(ledger.kills for ledger in ledgers) >= 20


@pytest.mark.long
@pytest.mark.parametrize("seed", range(4))
def test_a_hundred_kills_at_random_change_nothing(golden: World, seed: int) -> None:
    names = [f"long-{seed}-{n}" for n in range(5)]
    with ThreadPoolExecutor(2) as pool:
        jobs = [pool.submit(at_random, golden.beside(name), 6, 100 * seed + n) for n, name in enumerate(names)]
        for job in jobs:
            finish(job.result(), golden)
