"""P1 to P3 and P5 as one state machine: calls, ends of every kind, crashes, takeovers, against a model of what must hold.

A crash is a copy of the files as the kernel has them, opened in place of the store that goes on in memory: what a process that
was killed leaves behind.
"""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from autodata_adapters.stores import SqliteRunStore
from autodata_core.budget import Budget, BudgetSpentError, another_try
from autodata_core.calls import JournaledModel, call_key
from autodata_core.errors import StoreError
from autodata_core.ports import ModelReply, ModelRequest
from autodata_core.records import Message, ModelIdentity, Usage
from autodata_core.testing.conformance import sample_example

PRICE = 1000.0
"""US dollars per million tokens, in and out."""
MOST_TOKENS = 50
CAP_USD = 3.0
"""About 30 reservations, so that some sequences spend it."""

ENDS = (
    "answers",
    "says nothing",
    "says nonsense",
    "times out",
    "nobody there",
    "retries",
    "breaks",
    "is cut off",
    "is cut off at a retry",
)
CALLS = st.integers(0, 7)
ITEMS = st.integers(0, 3)


class Cut(BaseException):
    """The process was told to end while the call was on its way."""


class Provider:
    """Ends a call in the way it is told, and keeps its own books: whoever reaches it is billed."""

    identity = ModelIdentity(name="provider", params={"max_tokens": MOST_TOKENS})

    def __init__(self) -> None:
        self.end = "answers"
        self.billed_usd = 0.0
        self.asked: Counter[str] = Counter()

    def _bill(self, request: ModelRequest) -> Usage:
        usage = Usage(calls=1, input_tokens=len(request.messages[0].content), output_tokens=MOST_TOKENS)
        self.billed_usd += (usage.input_tokens + usage.output_tokens) * PRICE / 1e6
        self.asked[call_key(request, self.identity)] += 1
        return usage

    def complete(self, request: ModelRequest) -> ModelReply:
        if self.end == "nobody there":
            return ModelReply(error="unreachable: connection refused")
        usage = self._bill(request)
        match self.end:
            case "times out":
                return ModelReply(error="timeout: no reply")
            case "breaks":
                raise ValueError("a bug in a model")
            case "is cut off":
                raise Cut
            case "is cut off at a retry":
                if another_try(perhaps_billed=True):
                    self._bill(request)
                raise Cut
            case "retries":
                if not another_try(perhaps_billed=True):
                    return ModelReply(error="timeout: the budget has no room for another try")
                usage = self._bill(request).model_copy(update={"calls": 2})
            case "says nothing":
                usage = Usage()
            case "says nonsense":
                usage = Usage(calls=1, input_tokens=10**12, output_tokens=10**12)
        return ModelReply(text=f"answer to {request.step}", usage=usage)

    async def acomplete(self, request: ModelRequest) -> ModelReply:
        return self.complete(request)


def request(n: int) -> ModelRequest:
    message = Message(role="user", content=f"question {n}")
    return ModelRequest(role="weak", item=f"it-{n}", round=1, step=f"r1.weak.{n}", messages=(message,), seed=n)


class RunMachine(RuleBasedStateMachine):
    """One run over any number of processes."""

    @initialize()
    def begin(self) -> None:
        self.scratch = Path(tempfile.mkdtemp(prefix="autodata-machine-"))
        self.openings = 0
        self.provider = Provider()
        self.answers: dict[str, str] = {}
        """What the first answer to each call was that is surely on disk, by key."""
        self.fresh: dict[str, str] = {}
        """The same for answers that may still be in memory."""
        self.rows: dict[str, str] = {}
        self.path = self.scratch / "0" / "run.db"
        self.path.parent.mkdir()
        self.open()

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.store.close()
            shutil.rmtree(self.scratch)

    def open(self) -> None:
        """Start a process: the budget goes on from what the journal says was or may have been spent."""
        self.store = SqliteRunStore(self.path)
        self.budget = Budget(usd=CAP_USD, spent=self.store.spent())
        self.model = JournaledModel(self.provider, self.store, self.budget, PRICE, PRICE)

    def settle(self) -> None:
        """A write was waited for, and everything before it is on disk with it."""
        self.answers |= {key: text for key, text in self.fresh.items() if key not in self.answers}
        self.fresh = {}

    @rule(n=CALLS, end=st.sampled_from(ENDS))
    def call(self, n: int, end: str) -> None:
        self.provider.end = end
        asked = request(n)
        key = call_key(asked, self.provider.identity)
        known, times = {**self.answers, **self.fresh}.get(key), self.provider.asked[key]
        sends = self.provider.asked.total()
        try:
            reply = self.model.complete(asked)
        except BudgetSpentError:
            assert self.budget.spent.cost_usd + 0.12 > CAP_USD, "refused though there was room for a call"
            return
        except (ValueError, Cut):
            self.settle()  # it was announced, and that was waited for
            return
        if known is not None:
            assert (reply.text, self.provider.asked[key]) == (known, times), "a recorded call was asked again"
        elif self.provider.asked.total() > sends or end == "nobody there":
            self.settle()
        if known is None and reply.error is None:
            self.fresh[key] = reply.text

    @rule(n=ITEMS, name=ITEMS)
    def finish(self, n: int, name: int) -> None:
        """Two items may have one row, and an item may be finished again."""
        item, example = f"it-{n}", sample_example(f"it-{n}", f"row {name}")
        known = self.store.finished(item) is not None
        kept = self.store.finish(item, {"status": "accepted"}, example)
        self.settle()
        if not known:
            assert kept == (example.id not in self.rows)
            self.rows.setdefault(example.id, item)

    @rule()
    def wait(self) -> None:
        self.store.flush()
        self.settle()

    @rule()
    def close_and_go_on(self) -> None:
        self.store.close()
        self.settle()
        self.open()

    @rule()
    def crash(self) -> None:
        self.openings += 1
        left = self.scratch / str(self.openings)
        left.mkdir()
        for name in ("run.db", "run.db-wal"):
            if (found := self.path.with_name(name)).exists():
                shutil.copy(found, left / name)
        old, self.path = self.store, left / "run.db"
        self.open()
        old.close()
        lost = [key for key in self.fresh if self.store.lookup(key) is None]
        # At most what nobody waited for; and what was lost counts as spent all the same, see below.
        self.answers |= {key: text for key, text in self.fresh.items() if key not in lost}
        self.fresh = {}

    @rule(n=CALLS)
    def take_over(self, n: int) -> None:
        """A second process opens the same file; the first one can announce no call and finish no item any more."""
        self.store.flush()
        self.settle()
        stale, model, asked = self.store, self.model, self.provider.asked.total()
        self.open()
        self.provider.end = "answers"
        if call_key(request(n), self.provider.identity) not in self.answers:
            with pytest.raises((StoreError, BudgetSpentError)):
                model.complete(request(n))
        with pytest.raises(StoreError, match="taken over"):
            stale.finish("it-stale", {"status": "accepted"}, sample_example("it-stale"))
        assert self.provider.asked.total() == asked, "a process that was taken over paid for a call"
        stale.close()

    @precondition(lambda self: hasattr(self, "store"))
    @invariant()
    def nothing_is_lost_or_doubled(self) -> None:
        assert {key: self.store.lookup(key).text for key in self.answers} == self.answers  # type: ignore[union-attr]
        rows = list(self.store.rows())
        assert {row.id: row.item for row in rows} == self.rows
        assert len(rows) == len(self.rows)

    @precondition(lambda self: hasattr(self, "store"))
    @invariant()
    def what_was_billed_is_charged_and_under_the_cap(self) -> None:
        billed = self.provider.billed_usd
        assert billed <= self.budget.spent.cost_usd + 1e-9
        assert self.budget.spent.cost_usd <= CAP_USD + 1e-9
        assert billed <= self.store.spent().cost_usd + 1e-9, "the next process would count less than was billed"
        assert self.budget.in_flight == 0


TestRunMachine = RunMachine.TestCase
TestRunMachine.settings = settings(max_examples=30, stateful_step_count=25)
