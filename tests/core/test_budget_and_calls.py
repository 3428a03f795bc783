"""Ceilings hold with any number of workers, and a call that is recorded is never paid for again."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from autodata_core.budget import Budget, BudgetSpentError
from autodata_core.calls import JournaledModel, call_key
from autodata_core.errors import BudgetError, ModelAuthError, ModelUnreachableError
from autodata_core.ports import ModelReply, ModelRequest
from autodata_core.records import Message, ModelIdentity, Usage
from autodata_core.testing import ScriptedModel

# --- the budget -------------------------------------------------------------------------------------------------------


def test_what_does_not_fit_is_not_reserved() -> None:
    budget = Budget(usd=1.0)
    budget.reserve(0.75, 10)
    with pytest.raises(BudgetSpentError, match=r"budget\.usd = 1 is spent"):
        budget.reserve(0.5, 10)
    budget.reserve(0.25, 10)  # up to the limit, exactly
    with pytest.raises(BudgetSpentError):
        budget.reserve(0.0001, 0)


@pytest.mark.parametrize(
    ("limits", "name"), [({"calls": 2}, "calls"), ({"tokens": 20}, "tokens"), ({"usd": 0.2}, "usd")]
)
def test_each_limit_is_kept_and_named(limits: dict[str, Any], name: str) -> None:
    budget = Budget(**limits)
    budget.reserve(0.1, 10)
    budget.reserve(0.1, 10)
    with pytest.raises(BudgetError, match=f"budget.{name}") as caught:
        budget.reserve(0.1, 10)
    assert "\n" not in str(caught.value)


def test_settling_replaces_the_reservation_and_releasing_gives_it_back() -> None:
    budget = Budget(usd=1.0, calls=2, tokens=100)
    one, two = budget.reserve(0.5, 50), budget.reserve(0.5, 50)
    budget.release(one)
    budget.settle(two, Usage(calls=1, input_tokens=10, output_tokens=5, cost_usd=0.1))
    assert budget.spent == Usage(calls=1, input_tokens=10, output_tokens=5, cost_usd=0.1)
    budget.release(budget.reserve(0.9, 85))
    with pytest.raises(BudgetSpentError):
        budget.reserve(0.9, 86)


def test_a_call_whose_cost_nobody_knows_is_charged_as_reserved() -> None:
    budget = Budget(usd=1.0)
    budget.settle(budget.reserve(0.75, 40), None)
    assert budget.spent == Usage(calls=1, input_tokens=40, cost_usd=0.75, estimated=True)


def test_what_was_spent_before_counts() -> None:
    budget = Budget(usd=1.0, spent=Usage(calls=3, cost_usd=0.75))
    budget.reserve(0.25, 0)
    with pytest.raises(BudgetSpentError):
        budget.reserve(0.25, 0)


def test_no_limit_is_no_limit() -> None:
    budget = Budget()
    for _ in range(100):
        budget.reserve(1e6, 10**9)


@pytest.mark.parametrize("limits", [{"usd": 1.0}, {"calls": 100}, {"tokens": 1000}])
def test_sixty_four_threads_never_pass_a_limit(limits: dict[str, Any]) -> None:
    budget, over, seen = Budget(**limits), threading.Event(), threading.Lock()
    running, most, fits = Usage(), Usage(), 0

    def work(_: int) -> bool:
        nonlocal running, most, fits
        try:
            held = budget.reserve(0.01, 10)
        except BudgetSpentError:
            return False
        with seen:
            running = running.plus(Usage(calls=1, input_tokens=10, cost_usd=0.01))
            fits += 1
            if limits.get("calls", 10**9) < running.calls or limits.get("tokens", 10**9) < running.input_tokens:
                over.set()
        budget.settle(held, Usage(calls=1, input_tokens=10, cost_usd=0.01))
        return True

    with ThreadPoolExecutor(64) as pool:
        done = sum(pool.map(work, range(400)))
    assert not over.is_set()
    assert done == fits == budget.spent.calls
    assert 99 <= done <= 100  # .01 is no binary number, so the hundredth may not fit
    assert budget.spent.cost_usd <= 1.0 + 1e-9


# --- journaled calls --------------------------------------------------------------------------------------------------


class Journal:
    """A journal in memory, which notes the order of what is asked of it."""

    def __init__(self) -> None:
        self.replies: dict[str, ModelReply] = {}
        self.notes: list[tuple[Any, ...]] = []

    def lookup(self, key: str) -> ModelReply | None:
        return self.replies.get(key)

    def _note(self, *what: Any) -> Future[Any]:
        self.notes.append(what)
        noted: Future[Any] = Future()
        noted.set_result(False)
        return noted

    def send(
        self,
        key: str,
        request: Mapping[str, Any],
        identity: Mapping[str, Any],
        reserved_usd: float,
        reserved_tokens: int = 0,
    ) -> Future[bool]:
        return self._note("send", key, reserved_usd)

    def done(self, key: str, reply: ModelReply, charged: Usage | None = None) -> Future[None]:
        self.replies[key] = reply
        return self._note("done", key)

    def failed(self, key: str, error: str, charged_usd: float = 0.0, charged: Usage | None = None) -> Future[None]:
        return self._note("failed", key, error, charged_usd)

    def spent(self) -> Usage:
        return Usage()

    @property
    def verbs(self) -> list[str]:
        return [note[0] for note in self.notes]


def request(**changes: Any) -> ModelRequest:
    plain: dict[str, Any] = {
        "role": "weak",
        "item": "it-1",
        "round": 1,
        "step": "r1.weak.0",
        "messages": (Message(role="user", content="x" * 1000),),
        "seed": 7,
    }
    return ModelRequest(**{**plain, **changes})


async def ask(model: JournaledModel, made: ModelRequest, mode: str) -> ModelReply:
    return model.complete(made) if mode == "sync" else await model.acomplete(made)


MODES = pytest.mark.parametrize("mode", ["sync", "async"])


@MODES
async def test_a_recorded_call_is_replayed_and_not_paid(mode: str) -> None:
    inner, journal, budget = ScriptedModel("fine"), Journal(), Budget(calls=1)
    model = JournaledModel(inner, journal, budget)
    first = await ask(model, request(), mode)
    again = await ask(model, request(), mode)
    assert first == again
    assert len(inner.requests) == 1
    assert journal.verbs == ["send", "done"]
    assert budget.spent == first.usage


@MODES
async def test_a_call_is_reserved_and_noted_before_it_is_sent(mode: str) -> None:
    journal, budget, seen = Journal(), Budget(usd=1.0), []

    def script(_: ModelRequest) -> str:
        seen.append((list(journal.verbs), budget._reserved_usd))
        return "fine"

    await ask(JournaledModel(ScriptedModel(script), journal, budget, price_in=100, price_out=100), request(), mode)
    assert seen[0][0] == ["send"]
    assert seen[0][1] == pytest.approx((1016 + 4096) * 100 / 1e6)
    assert budget._reserved_usd == pytest.approx(0)


@MODES
async def test_without_budget_nothing_is_sent(mode: str) -> None:
    inner, journal = ScriptedModel("fine"), Journal()
    with pytest.raises(BudgetSpentError):
        await ask(JournaledModel(inner, journal, Budget(tokens=100)), request(), mode)
    assert inner.requests == []
    assert journal.notes == []


@MODES
async def test_a_reply_that_did_not_come_is_charged_and_may_be_asked_again(mode: str) -> None:
    inner = ScriptedModel(lambda r: ModelReply(error="timeout after 60 s"))
    journal, budget = Journal(), Budget()
    model = JournaledModel(inner, journal, budget, price_in=100, price_out=100)
    assert (await ask(model, request(), mode)).error
    assert journal.verbs == ["send", "failed"]
    assert journal.notes[1][3] == journal.notes[0][2] == pytest.approx(budget.spent.cost_usd)
    assert budget.spent.calls == 1
    await ask(model, request(), mode)
    assert len(inner.requests) == 2


@MODES
@pytest.mark.parametrize("error", [ModelAuthError("no key"), ModelUnreachableError("nobody there")])
async def test_a_dead_model_gives_the_reservation_back(mode: str, error: Exception) -> None:
    journal, budget = Journal(), Budget(usd=1.0, calls=5)
    with pytest.raises(type(error)):
        await ask(JournaledModel(ScriptedModel(lambda r: error), journal, budget, price_in=100), request(), mode)
    assert budget.spent == Usage()
    assert budget._reserved_calls == 0
    assert journal.verbs == ["send", "failed"]


@MODES
async def test_an_endpoint_where_nobody_was_is_not_charged(mode: str) -> None:
    inner = ScriptedModel(lambda r: ModelReply(error="unreachable: connection refused"))
    journal, budget = Journal(), Budget()
    await ask(JournaledModel(inner, journal, budget, price_in=100), request(), mode)
    assert budget.spent == Usage()
    assert journal.verbs == ["send", "failed"]


@MODES
async def test_a_reply_without_usage_is_charged_as_reserved(mode: str) -> None:
    """A model that says nothing about its usage must not be free, or no ceiling holds."""
    inner = ScriptedModel(lambda r: ModelReply(text=f"fine {r.attempt}", finish_reason="stop"))
    budget = Budget(calls=2)
    model = JournaledModel(inner, Journal(), budget, price_in=100, price_out=100)
    for attempt in range(2):
        await ask(model, request(attempt=attempt), mode)
    assert budget.spent.calls == 2
    assert budget.spent.cost_usd > 0
    assert budget.spent.estimated
    with pytest.raises(BudgetSpentError):
        await ask(model, request(attempt=2), mode)


@pytest.mark.parametrize(
    "change",
    [
        {"role": "strong"},
        {"item": "it-2"},
        {"round": 2},
        {"attempt": 1},
        {"step": "r1.weak.1"},
        {"seed": 8},
        {"messages": (Message(role="user", content="y"),)},
        {"messages": (Message(role="system", content="x" * 1000),)},
        {"response_schema": {"type": "object"}},
    ],
)
def test_another_request_is_another_call(change: dict[str, Any]) -> None:
    identity = ModelIdentity(name="m")
    assert call_key(request(**change), identity) != call_key(request(), identity)


def test_the_key_holds_model_endpoint_and_parameters_and_not_what_is_known_later() -> None:
    plain = ModelIdentity(name="m", endpoint="http://a", params={"temperature": 1.0})
    key = call_key(request(), plain)
    for other in ({"name": "n"}, {"endpoint": "http://b"}, {"params": {"temperature": 0.0}}):
        assert call_key(request(), plain.model_copy(update=other)) != key
    assert call_key(request(), plain.model_copy(update={"served": "m-2026"})) == key
    assert call_key(request(view={"question": "the same in other words"}), plain) == key


def test_a_bounded_reply_reserves_its_bound() -> None:
    class Bounded(ScriptedModel):
        @property
        def identity(self) -> ModelIdentity:
            return ModelIdentity(name="m", params={"max_tokens": 10})

    journal = Journal()
    JournaledModel(Bounded("fine"), journal, Budget(), price_in=0, price_out=1e6).complete(request())
    assert journal.notes[0][2] == 10
