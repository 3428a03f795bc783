"""Ceilings hold with any number of workers, and a call that is recorded is never paid for again."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from autodata_core.budget import Budget, BudgetSpentError, another_try
from autodata_core.calls import JournaledModel, call_key
from autodata_core.errors import BudgetError, ModelAuthError, ModelUnreachableError, StoreError
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

    inner = ScriptedModel(script, max_tokens=4096)
    await ask(JournaledModel(inner, journal, budget, price_in=100, price_out=100), request(), mode)
    assert seen[0][0] == ["send"]
    assert seen[0][1] == pytest.approx((1016 + 4096) * 100 / 1e6)
    assert budget._reserved_usd == pytest.approx(0)


@MODES
async def test_without_budget_nothing_is_sent(mode: str) -> None:
    inner, journal = ScriptedModel("fine", max_tokens=10), Journal()
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
    dead = ScriptedModel(lambda r: error, max_tokens=10)
    with pytest.raises(type(error)):
        await ask(JournaledModel(dead, journal, budget, price_in=100), request(), mode)
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


class Named(ScriptedModel):
    """A model whose identity says what is given."""

    def __init__(self, **params: Any) -> None:
        super().__init__("fine")
        self.params = params

    @property
    def identity(self) -> ModelIdentity:
        return ModelIdentity(name="provider:named", params=self.params)


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
def test_a_bounded_reply_reserves_its_bound(name: str) -> None:
    journal = Journal()
    JournaledModel(Named(**{name: 10}), journal, Budget(), price_in=0, price_out=1e6).complete(request())
    assert journal.notes[0][2] == 10


@pytest.mark.parametrize("params", [{}, {"max_tokens": True}, {"max_tokens": -1}, {"max_tokens": "10"}])
@pytest.mark.parametrize(("limits", "unit"), [({"usd": 1.0}, "US dollars"), ({"tokens": 10**9}, "tokens")])
def test_a_ceiling_is_refused_where_nobody_bounds_the_replies(
    params: dict[str, Any], limits: dict[str, Any], unit: str
) -> None:
    with pytest.raises(BudgetError, match=rf"ceiling in {unit} .*'provider:named' .*max_tokens") as caught:
        JournaledModel(Named(**params), Journal(), Budget(**limits), price_out=1.0)
    assert "\n" not in str(caught.value)
    JournaledModel(Named(max_tokens=10), Journal(), Budget(**limits), price_out=1.0)


@pytest.mark.parametrize(("limits", "price"), [({}, 1.0), ({"calls": 5}, 1.0), ({"usd": 1.0}, 0.0)])
def test_a_ceiling_that_no_length_can_pass_needs_no_bound(limits: dict[str, Any], price: float) -> None:
    JournaledModel(Named(), Journal(), Budget(**limits), price_in=price, price_out=price).complete(request())


@pytest.mark.parametrize(("limits", "charged"), [({"usd": 1.0}, 1026), ({"tokens": 5000}, 1026), ({}, 12)])
def test_a_usage_that_was_estimated_is_charged_as_reserved_where_a_ceiling_depends_on_it(
    limits: dict[str, Any], charged: int
) -> None:
    """A model may think at length and show little, and what it shows is all that an estimate is made from."""
    said = Usage(calls=1, input_tokens=10, output_tokens=2, estimated=True)
    inner = ScriptedModel(ModelReply(text="four", usage=said), max_tokens=10)
    budget = Budget(**limits)
    JournaledModel(inner, Journal(), budget, 1.0, 1.0).complete(request())
    assert budget.spent.input_tokens + budget.spent.output_tokens == charged
    assert budget.spent.cost_usd == pytest.approx(charged / 1e6)


# --- a provider that keeps its own books ------------------------------------------------------------------------------

PRICE_IN, PRICE_OUT = 3.0, 15.0
MOST_TOKENS = 100


class Provider:
    """Bills what a call really used, and says something else about it."""

    def __init__(self, says: str) -> None:
        self.says, self.billed_usd, self.lock, self.calls = says, 0.0, threading.Lock(), 0

    @property
    def identity(self) -> ModelIdentity:
        return ModelIdentity(name="provider", params={"max_tokens": MOST_TOKENS})

    def complete(self, request: ModelRequest) -> ModelReply:
        self._bill(request)
        time.sleep(0.0005)
        return self._reply(request)

    async def acomplete(self, request: ModelRequest) -> ModelReply:
        self._bill(request)
        await asyncio.sleep(0.0005)
        return self._reply(request)

    def _used(self, request: ModelRequest) -> tuple[int, int]:
        sent = sum(len(m.content.encode()) for m in request.messages) + 4 * len(request.messages)
        return sent, MOST_TOKENS - request.seed % 50

    def _bill(self, request: ModelRequest) -> None:
        asked, written = self._used(request)
        with self.lock:
            self.calls += 1
            self.billed_usd += (asked * PRICE_IN + written * PRICE_OUT) / 1e6

    def _reply(self, request: ModelRequest) -> ModelReply:
        asked, written = self._used(request)
        usage = {
            "the truth": Usage(calls=1, input_tokens=asked, output_tokens=written),
            "nothing": Usage(),
            "a call": Usage(calls=1),
            "less than nothing": Usage.model_construct(calls=1, input_tokens=-5, output_tokens=-(10**6), cost_usd=-1.0),
            "nonsense": Usage(calls=1, input_tokens=10**12, output_tokens=10**12, cost_usd=1e12),
        }[self.says]
        return ModelReply(text="an answer", usage=usage)


@pytest.mark.parametrize("says", ["the truth", "nothing", "a call", "less than nothing", "nonsense"])
@pytest.mark.parametrize("workers", [1, 8, 64, 128])
@MODES
async def test_the_bill_never_passes_the_budget(mode: str, workers: int, says: str) -> None:
    cap = 0.05
    provider, budget = Provider(says), Budget(usd=cap)
    model = JournaledModel(provider, Journal(), budget, PRICE_IN, PRICE_OUT)

    def work(n: int) -> bool:
        try:
            model.complete(request(attempt=n, seed=n))
        except BudgetSpentError:
            return False
        return True

    async def awork(numbers: list[int]) -> int:
        made = 0
        while numbers:
            n = numbers.pop()
            try:
                await model.acomplete(request(attempt=n, seed=n))
            except BudgetSpentError:
                return made
            made += 1
        return made

    if mode == "sync":
        with ThreadPoolExecutor(workers) as pool:
            made = sum(pool.map(work, range(60)))
    else:
        numbers = list(range(60))
        made = sum(await asyncio.gather(*(awork(numbers) for _ in range(workers))))
    assert made == provider.calls
    assert provider.billed_usd <= cap
    assert budget.spent.cost_usd <= cap
    assert budget.spent.cost_usd >= provider.billed_usd - 1e-12
    assert budget.in_flight == 0
    assert 8 <= made <= 15  # one call is reserved at $0.0046 and used at $0.0042 on average


@MODES
async def test_a_call_waits_while_those_in_flight_hold_what_it_needs(mode: str) -> None:
    """Eight at once where two fit: all are made, one after the other, and none is refused."""
    provider = Provider("the truth")
    model = JournaledModel(provider, Journal(), Budget(usd=0.05, calls=100), PRICE_IN, PRICE_OUT)
    room = model.budget.reserve(0.04, 0)  # leaves room for two
    if mode == "sync":
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda n: model.complete(request(attempt=n)), range(2)))
            waiting = [pool.submit(model.complete, request(attempt=n, seed=n)) for n in (2, 3)]
            time.sleep(0.05)
            model.budget.release(room)
            assert all(w.result().error is None for w in waiting)
    else:
        tasks = [asyncio.ensure_future(model.acomplete(request(attempt=n, seed=n))) for n in range(4)]
        await asyncio.sleep(0.1)
        model.budget.release(room)
        assert all(reply.error is None for reply in await asyncio.gather(*tasks))
    assert provider.calls == 4


class Retrying(Provider):
    """Answers at the fourth try; the others time out, and are billed all the same."""

    def __init__(self, perhaps_billed: bool = True) -> None:
        super().__init__("the truth")
        self.perhaps_billed = perhaps_billed

    def complete(self, request: ModelRequest) -> ModelReply:
        for tries in range(1, 5):
            if tries > 1 and not another_try(perhaps_billed=self.perhaps_billed):
                return ModelReply(error="timeout: no reply", usage=Usage(calls=tries - 1))
            if self.perhaps_billed or tries == 4:
                self._bill(request)
        reply = self._reply(request)
        return reply.model_copy(update={"usage": reply.usage.model_copy(update={"calls": 4})})

    async def acomplete(self, request: ModelRequest) -> ModelReply:
        return self.complete(request)


@MODES
@pytest.mark.parametrize("perhaps_billed", [True, False])
async def test_every_try_is_reserved_before_it_is_made(mode: str, perhaps_billed: bool) -> None:
    cap = 0.05
    provider, budget, journal = Retrying(perhaps_billed), Budget(usd=cap), Journal()
    model = JournaledModel(provider, journal, budget, PRICE_IN, PRICE_OUT)
    made = 0
    try:
        for n in range(100):
            await ask(model, request(attempt=n, seed=n), mode)
            made += 1
    except BudgetSpentError:
        pass
    assert provider.billed_usd <= budget.spent.cost_usd + 1e-12 <= cap + 1e-12
    assert budget.in_flight == 0
    assert made == (3 if perhaps_billed else 11)
    # Written down before it is made, so that a crash forgets no try that may be on the bill.
    first = journal.verbs[: journal.verbs.index("done") + 1]
    assert first == ["send"] * (4 if perhaps_billed else 1) + ["done"]
    assert budget.spent.calls >= 4 * 2
    assert another_try(perhaps_billed=True)  # outside of a call nobody counts


@MODES
async def test_a_retry_that_cannot_be_written_down_is_not_made(mode: str) -> None:
    class Filling(Journal):
        def _note(self, *what: Any) -> Future[Any]:
            if self.verbs.count("send") < 2 or what[0] != "send":
                return super()._note(*what)
            failed: Future[Any] = Future()
            failed.set_exception(StoreError("the disk is full"))
            return failed

    provider, budget = Retrying(), Budget(usd=1.0)
    model = JournaledModel(provider, Filling(), budget, PRICE_IN, PRICE_OUT)
    with pytest.raises(StoreError, match="full"):
        await ask(model, request(), mode)
    assert (provider.calls, budget.in_flight) == (2, 0)
    assert budget.spent.cost_usd >= provider.billed_usd


class Breaking(ScriptedModel):
    """Ends every call in an exception."""

    def __init__(self, error: BaseException) -> None:
        super().__init__("unused", max_tokens=10)
        self.error = error

    def complete(self, request: ModelRequest) -> ModelReply:
        raise self.error

    async def acomplete(self, request: ModelRequest) -> ModelReply:
        raise self.error


@MODES
@pytest.mark.parametrize("error", [ValueError("a bug in a model"), KeyboardInterrupt(), asyncio.CancelledError()])
async def test_a_call_that_breaks_is_charged_and_keeps_no_reservation(mode: str, error: BaseException) -> None:
    journal, budget = Journal(), Budget(usd=1.0)
    with pytest.raises(type(error)):
        await ask(JournaledModel(Breaking(error), journal, budget, price_in=100, price_out=100), request(), mode)
    assert budget.in_flight == 0
    assert budget._reserved_usd == 0
    assert budget.spent.cost_usd == pytest.approx(journal.notes[0][2])
    # One that was cancelled stays as sent: it may be answered, and billed, when nobody listens any more.
    assert journal.verbs == (["send", "failed"] if isinstance(error, Exception) else ["send"])


async def test_a_cancelled_call_is_charged() -> None:
    budget = Budget(usd=1.0)
    model = JournaledModel(Slow("late", max_tokens=10), Journal(), budget, price_in=100, price_out=100)
    task = asyncio.ensure_future(model.acomplete(request()))
    await asyncio.sleep(0.02)
    assert budget.in_flight == 1
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert budget.in_flight == 0
    assert budget.spent.cost_usd > 0


class Slow(ScriptedModel):
    async def acomplete(self, request: ModelRequest) -> ModelReply:
        await asyncio.sleep(60)
        return self.complete(request)


class Unwritable(Journal):
    def send(
        self,
        key: str,
        request: Mapping[str, Any],
        identity: Mapping[str, Any],
        reserved_usd: float,
        reserved_tokens: int = 0,
    ) -> Future[bool]:
        failed: Future[bool] = Future()
        failed.set_exception(StoreError("the disk is full"))
        return failed


@MODES
async def test_a_call_that_cannot_be_announced_is_not_made_and_not_charged(mode: str) -> None:
    inner, budget = ScriptedModel("fine", max_tokens=10), Budget(usd=1.0)
    with pytest.raises(StoreError):
        await ask(JournaledModel(inner, Unwritable(), budget, price_in=100), request(), mode)
    assert (inner.requests, budget.spent, budget.in_flight) == ([], Usage(), 0)


@MODES
async def test_a_call_that_was_lost_twice_is_not_asked_a_third_time_in_this_session(mode: str) -> None:
    error, journal, budget = ConnectionError("gone"), Journal(), Budget()
    broken = Breaking(error)
    model = JournaledModel(broken, journal, budget)
    for _ in range(2):
        with pytest.raises(ConnectionError):
            await ask(model, request(), mode)
    reply = await ask(model, request(), mode)
    assert (reply.error or "").startswith("unanswered: lost 2 times")
    assert journal.verbs.count("send") == 2
    with pytest.raises(ConnectionError):
        await ask(JournaledModel(broken, journal, budget), request(), mode)  # another session asks again


class Repeated(Journal):
    """A journal that knows the call from a session that died."""

    def _note(self, *what: Any) -> Future[Any]:
        noted = super()._note(*what)
        if what[0] == "send":
            noted = Future()
            noted.set_result(True)
        return noted


@MODES
async def test_a_call_that_an_earlier_session_lost_is_retried_once(mode: str) -> None:
    journal = Repeated()
    model = JournaledModel(Breaking(ConnectionError("gone")), journal, Budget())
    with pytest.raises(ConnectionError):
        await ask(model, request(), mode)
    assert (await ask(model, request(), mode)).error
    assert journal.verbs.count("send") == 1


@MODES
@pytest.mark.parametrize(("bound", "reserved"), [(None, 4096), (3000, 3000)])
async def test_a_reply_longer_than_reserved_raises_what_the_next_one_reserves(
    mode: str, bound: int | None, reserved: int
) -> None:
    long = ModelReply(text="long", usage=Usage(calls=1, input_tokens=10, output_tokens=9_000))
    journal = Journal()
    model = JournaledModel(ScriptedModel(long, max_tokens=bound), journal, Budget(), price_out=1e6)
    for attempt in range(2):
        await ask(model, request(attempt=attempt), mode)
    assert [note[2] for note in journal.notes if note[0] == "send"] == [reserved, 9000]


@MODES
async def test_a_price_is_charged_though_the_model_says_it_was_free(mode: str) -> None:
    said = ModelReply(text="fine", usage=Usage(calls=1, input_tokens=1000, output_tokens=1000))
    budget = Budget()
    reply = await ask(JournaledModel(ScriptedModel(said), Journal(), budget, 1.0, 2.0), request(), mode)
    assert reply.usage.cost_usd == budget.spent.cost_usd == pytest.approx(0.003)
