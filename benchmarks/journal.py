"""What the call journal costs: CPU beside the model for a call that is on disk before it is sent and after it is answered.

Gate: 0.5 ms of CPU per call with one call at a time, where each waits alone for the disk; less with more. Best of seven: other
programs on the machine only add to it. The time on the clock is the disk's.
"""

import asyncio
import sys
import tempfile
import time
from pathlib import Path

from autodata_adapters.stores import SqliteRunStore
from autodata_core.budget import Budget
from autodata_core.calls import JournaledModel
from autodata_core.crashpoints import crashpoint
from autodata_core.ports import ModelReply, ModelRequest
from autodata_core.records import Message, ModelIdentity, Usage

LIMIT_MS = 0.5
POINT_LIMIT_US = 0.3
CALLS = 600
TEXT = "word and more " * 300


class Instant:
    """Answers at once with a text of usual length."""

    identity = ModelIdentity(
        name="openai:m", endpoint="http://localhost", params={"temperature": 1.0, "max_tokens": 400}
    )

    def complete(self, request: ModelRequest) -> ModelReply:
        usage = Usage(calls=1, input_tokens=500, output_tokens=200)
        return ModelReply(text=TEXT[:800], finish_reason="stop", usage=usage)

    async def acomplete(self, request: ModelRequest) -> ModelReply:
        return self.complete(request)


def request(n: int) -> ModelRequest:
    return ModelRequest(
        role="weak",
        item=f"it-{n // 12}",
        round=1,
        step=f"r1.weak.{n}",
        messages=(Message(role="system", content=TEXT[:1500]), Message(role="user", content=f"{n} {TEXT[:2500]}")),
        seed=n,
        view={"question": TEXT[:1500]},
    )


async def ask_all(model: JournaledModel, requests: list[ModelRequest], at_once: int) -> None:
    waiting = iter(requests)

    async def work() -> None:
        for asked in waiting:
            await model.acomplete(asked)

    await asyncio.gather(*(work() for _ in range(at_once)))


def measured(at_once: int) -> tuple[float, float]:
    """Return milliseconds of CPU and on the clock per call."""
    requests = [request(n) for n in range(CALLS)]
    with tempfile.TemporaryDirectory() as folder, SqliteRunStore(Path(folder) / "run.db") as store:
        model = JournaledModel(Instant(), store, Budget(usd=1000.0), price_in=1.0, price_out=1.0)
        began, clock = time.process_time(), time.monotonic()
        asyncio.run(ask_all(model, requests, at_once))
        store.flush()
        return (time.process_time() - began) / CALLS * 1e3, (time.monotonic() - clock) / CALLS * 1e3


def point_us() -> float:
    began = time.process_time()
    for _ in range(1_000_000):
        crashpoint("call.sent")
    return time.process_time() - began


def main() -> None:
    held = True
    for at_once in (1, 8, 64):
        cpu, clock = min(measured(at_once) for _ in range(7))
        held = held and cpu <= LIMIT_MS
        print(f"{at_once:>3} at once  {cpu:5.2f} ms CPU per call  ({clock:.2f} ms on the clock)")
    point = min(point_us() for _ in range(3))
    print(f"disabled crash point  {point:.3f} µs")
    if not held or point > POINT_LIMIT_US:
        sys.exit(f"FAILED: more than {LIMIT_MS} ms CPU per call, or {POINT_LIMIT_US} µs per crash point")


if __name__ == "__main__":
    main()
