"""Many callers of one endpoint: slots that adapt, waits that hold for all, one probe while it is down. Time is virtual."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import random
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from autodata_adapters.models import calling
from autodata_adapters.models.calling import Ambient, CallPolicy, ResilientModel, in_thread
from autodata_adapters.models.slots import Breaker, Endpoint, Endpoints, Gate, Slots
from autodata_core.ports import ModelReply, ModelRequest
from autodata_core.records import Message, ModelIdentity, Usage

MANY = 128


class World:
    """Time that passes only when every task waits for it, so that equal scripts give equal histories."""

    def __init__(self) -> None:
        self.now = 0.0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._numbers = itertools.count()
        chances = random.Random(7)
        self.ambient = Ambient(self.time, self._refuse, self.sleep, chances.random)

    def time(self) -> float:
        return self.now

    def _refuse(self, seconds: float) -> None:
        raise AssertionError("these tests are async")

    async def sleep(self, seconds: float) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self.now + seconds, next(self._numbers), future))
        await future

    async def settle(self) -> None:
        for _ in range(20):
            await asyncio.sleep(0)

    async def until(self, moment: float) -> None:
        """Let time pass up to `moment`."""
        await self.settle()
        while self._sleepers and self._sleepers[0][0] <= moment:
            self.now, _, future = heapq.heappop(self._sleepers)
            if not future.done():
                future.set_result(None)
            await self.settle()
        self.now = max(self.now, moment)

    async def all(self, tasks: list[asyncio.Task[Any]]) -> list[Any]:
        await self.settle()
        while not all(task.done() for task in tasks):
            assert self._sleepers, "somebody waits for ever"
            await self.until(self._sleepers[0][0])
        return await asyncio.gather(*tasks, return_exceptions=True)


class Refused(Exception):
    def __init__(self, status: int, wait: str | None = None) -> None:
        super().__init__(f"status {status}")
        self.status_code = status
        self.response = type("Response", (), {"headers": {} if wait is None else {"retry-after": wait}})()


Script = Callable[[ModelRequest], Awaitable[str]]


class Fake(ResilientModel):
    """Answers by a script and notes when each try began."""

    def __init__(self, world: World, script: Script, *, key: str = "one-key", url: str = "", **policy: Any) -> None:
        super().__init__(
            ModelIdentity(name="fake", endpoint=url),
            policy=CallPolicy(**policy),
            ambient=world.ambient,
            secrets=[key],
        )
        self.world, self.script = world, script
        self.started: list[tuple[float, str]] = []
        self.left_s: list[float] = []

    def _once(self, request: ModelRequest, left_s: float) -> ModelReply:
        raise AssertionError("these tests are async")

    async def _aonce(self, request: ModelRequest, left_s: float) -> ModelReply:
        self.started.append((self.world.now, request.step))
        self.left_s.append(left_s)
        return ModelReply(text=await self.script(request), usage=Usage(calls=1, output_tokens=1))

    def call(self, name: str = "s") -> asyncio.Task[ModelReply]:
        messages = (Message(role="user", content="q"),)
        asked = ModelRequest(role="weak", item="i", round=1, step=name, messages=messages, seed=1)
        return asyncio.get_running_loop().create_task(self.acomplete(asked))

    @property
    def times(self) -> list[float]:
        return [moment for moment, _ in self.started]


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calling, "ENDPOINTS", Endpoints())


@pytest.fixture
def world() -> World:
    return World()


def after(world: World, seconds: float, outcome: str | Exception = "fine") -> Script:
    async def script(request: ModelRequest) -> str:
        await world.sleep(seconds)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    return script


class TestSlots:
    def test_many_refusals_at_once_halve_once_and_full_rounds_give_one_slot_back(self) -> None:
        slots = Slots(16)
        for _ in range(16):
            slots.slow_down(0)
        assert (slots.limit, slots.cuts) == (8, 1)
        slots.speed_up(0)
        assert slots.limit == 8, "a try from before the cut shows nothing"
        for wanted in (9, 10, 11):
            for _ in range(slots.limit + 1):
                slots.speed_up(1)
            assert slots.limit == wanted

    def test_the_limit_stays_between_one_and_the_bound(self) -> None:
        slots = Slots(3)
        for cut in range(9):
            slots.slow_down(cut)
        assert slots.limit == 1
        for _ in range(99):
            slots.speed_up(9)
        assert slots.limit == 3

    def test_without_a_bound_the_first_overload_sets_one(self) -> None:
        slots = Slots(None)
        tickets = [slots.enter(lambda: None) for _ in range(10)]
        assert all(ticket.granted for ticket in tickets)
        slots.slow_down(0)
        assert slots.limit == 5
        late = slots.enter(lambda: None)
        for ticket in tickets[:5]:
            slots.leave(ticket)
        assert not late.granted
        slots.leave(tickets[5])
        assert late.granted

    def test_leaving_twice_is_leaving_once(self) -> None:
        slots = Slots(1)
        first, second, third = (slots.enter(lambda: None) for _ in range(3))
        slots.leave(first)
        slots.leave(first)
        assert (second.granted, third.granted, slots.in_flight) == (True, False, 1)

    def test_a_waiter_whose_loop_is_closed_is_passed_over(self) -> None:
        slots = Slots(1)
        first = slots.enter(lambda: None)

        def gone() -> None:
            raise RuntimeError("Event loop is closed")

        slots.enter(gone)
        last = slots.enter(lambda: None)
        slots.leave(first)
        assert (last.granted, slots.in_flight) == (True, 1)

    async def test_first_come_first_served(self, world: World) -> None:
        model = Fake(world, after(world, 1.0), max_concurrency=4)
        await world.all([model.call(f"{n:03}") for n in range(MANY)])
        names = [name for _, name in model.started]
        assert names == sorted(names)
        assert model.times == [float(n // 4) for n in range(MANY)]

    async def test_waiting_in_line_is_not_counted_against_the_deadline(self, world: World) -> None:
        model = Fake(world, after(world, 1.0), max_concurrency=1, timeout_s=2.0)
        replies = await world.all([model.call() for _ in range(10)])
        assert [reply.error for reply in replies] == [None] * 10
        assert model.left_s == [2.0] * 10

    def test_threads_and_tasks_share_the_bound_and_leave_nothing_behind(self) -> None:
        lock, now, most = threading.Lock(), 0, 0

        class Busy(ResilientModel):
            def _once(self, request: ModelRequest, left_s: float) -> ModelReply:
                nonlocal now, most
                with lock:
                    now += 1
                    most = max(most, now)
                time.sleep(0.002)
                with lock:
                    now -= 1
                return ModelReply(text="x")

            async def _aonce(self, request: ModelRequest, left_s: float) -> ModelReply:
                return await in_thread(lambda: self._once(request, left_s))

        model = Busy(ModelIdentity(name="busy"), policy=CallPolicy(max_concurrency=5))
        asked = ModelRequest(
            role="weak", item="i", round=1, step="s", messages=(Message(role="user", content="q"),), seed=1
        )

        async def both() -> list[ModelReply]:
            calls = [model.acomplete(asked) for _ in range(MANY // 2)]
            return await asyncio.gather(*calls, *(in_thread(lambda: model.complete(asked)) for _ in range(MANY // 2)))

        replies = asyncio.run(both())
        assert [reply.text for reply in replies] == ["x"] * MANY
        assert most == 5
        assert model._endpoint.slots.in_flight == 0


class TestSharing:
    async def test_roles_with_one_address_and_key_share_slots_and_the_strictest_bound(self, world: World) -> None:
        weak = Fake(world, after(world, 1.0), url="http://a/v1", max_concurrency=8)
        judge = Fake(world, after(world, 1.0), url="http://a/v1", max_concurrency=2)
        other = Fake(world, after(world, 1.0), url="http://a/v1", key="two-keys", max_concurrency=8)
        await world.all([model.call() for model in (weak, judge, other) for _ in range(4)])
        assert sorted(weak.times + judge.times) == [0, 0, 1, 1, 2, 2, 3, 3]
        assert other.times == [0, 0, 0, 0]

    def test_a_model_without_address_and_key_shares_with_nobody(self) -> None:
        known, ambient = Endpoints(), Ambient()
        assert known.shared("", [], ambient, 2) is not known.shared("", [], ambient, 2)
        first = known.shared("", ["k"], ambient, 2)
        assert first is known.shared("", ["k"], ambient, None)
        assert first is not known.shared("http://a", ["k"], ambient, 2)


class TestRetryAfter:
    async def test_it_holds_for_every_caller_and_nobody_marches_in_step(self, world: World) -> None:
        async def script(request: ModelRequest) -> str:
            busy = world.now < 7.0
            await world.sleep(0.5)
            if busy:
                raise Refused(429, "7")
            return "fine"

        weak = Fake(world, script, max_concurrency=32)
        strong = Fake(world, script, max_concurrency=32)
        tasks = [(weak if n % 2 else strong).call(f"{n:03}") for n in range(MANY)]
        replies = await world.all(tasks)
        assert [reply.error for reply in replies] == [None] * MANY
        times = sorted(weak.times + strong.times)
        assert [t for t in times if t < 7.5] == [0.0] * 32, "those in flight; nobody else before the wait is over"
        again = [t for t in times if t >= 7.5]
        assert len(again) == MANY
        first = [t for t in again if t < 8.0]
        assert len(first) == len(set(first)) >= 4, "one by one, not all at the stroke"
        assert weak._endpoint.slots.in_flight == 0

    async def test_without_a_bound_the_herd_is_halved_too(self, world: World) -> None:
        async def script(request: ModelRequest) -> str:
            busy = world.now < 7.0
            await world.sleep(0.5)
            if busy:
                raise Refused(429, "7")
            return "fine"

        model = Fake(world, script)
        replies = await world.all([model.call() for _ in range(MANY)])
        assert [reply.error for reply in replies] == [None] * MANY
        again = [t for t in model.times if t >= 7.5]
        assert len([t for t in again if t < 8.0]) <= MANY // 2
        assert max(again.count(t) for t in again if t < 8.0) == 1

    async def test_the_limit_halves_and_comes_back(self, world: World) -> None:
        async def script(request: ModelRequest) -> str:
            busy = world.now < 1.0
            await world.sleep(0.1)
            if busy:
                raise Refused(503)
            return "fine"

        model = Fake(world, script, max_concurrency=8, retries=9)
        tasks = [model.call() for _ in range(8)]
        await world.until(0.2)
        assert model._endpoint.slots.limit == 4
        await world.all(tasks)
        low = model._endpoint.slots.limit or 0
        assert low < 8
        await world.all([model.call() for _ in range(64)])
        assert model._endpoint.slots.limit == 8

    async def test_a_wait_that_no_deadline_allows_ends_calls_without_asking(self, world: World) -> None:
        model = Fake(world, after(world, 0.5, Refused(429, "3600")), timeout_s=60.0, max_concurrency=1)
        replies = await world.all([model.call() for _ in range(5)])
        assert len(model.started) == 1
        assert replies[0].error.startswith("rate_limit: ")
        assert {reply.error.partition(":")[0] for reply in replies[1:]} == {"unreachable"}
        assert [reply.usage.calls for reply in replies] == [1, 0, 0, 0, 0]

    def test_turns_come_one_after_the_other_until_one_came_through(self) -> None:
        gate = Gate()
        assert gate.turn_s(0.0, 0.0) == 0.0
        gate.close(0.0, 8.0, callers=4)
        assert [gate.turn_s(1.0, 0.0) for _ in range(3)] == [7.0, 7.25, 7.5]
        assert gate.turn_s(8.0, 1.0) > 0
        assert gate.is_closed(7.9)
        assert not gate.is_closed(8.0)
        gate.open()
        assert gate.turn_s(8.0, 0.0) == 0.0

    def test_the_longest_wait_counts(self) -> None:
        gate = Gate()
        gate.close(0.0, 8.0, callers=1)
        gate.close(1.0, 2.0, callers=1)
        assert gate.wait_s(1.0) == 7.0
        assert gate.is_closed(7.9)


class TestBreaker:
    async def _opened(self, world: World, script: Script, **policy: Any) -> Fake:
        """Return a model whose endpoint just went down."""
        model = Fake(world, script, **{"retries": 0, "timeout_s": 60.0, **policy})
        while not model._endpoint.breaker.is_open:
            await world.all([model.call()])
        model.started.clear()
        return model

    async def test_ten_failures_in_a_row_open_it_and_any_answer_starts_the_count_anew(self, world: World) -> None:
        turns: list[str | Exception] = [*[ConnectionResetError()] * 9, Refused(400), *[ConnectionResetError()] * 9]

        async def script(request: ModelRequest) -> str:
            turn = turns.pop(0)
            if isinstance(turn, Exception):
                raise turn
            return turn

        model = Fake(world, script, retries=0)
        while turns:
            await world.all([model.call()])
            assert not model._endpoint.breaker.is_open
        turns.append(ConnectionResetError())
        await world.all([model.call()])
        assert model._endpoint.breaker.is_open

    def test_those_who_were_on_their_way_do_not_prolong_it_and_their_answer_ends_it(self) -> None:
        breaker = Breaker()
        for _ in range(10):
            breaker.failed(0.0, probe=False)
        for _ in range(10):
            breaker.failed(4.0, probe=False)
        assert (breaker.trips, breaker.wait_s(4.0), breaker.claim(4.0)) == (1, 1.0, None)
        breaker.answered()
        assert (breaker.wait_s(4.0), breaker.claim(4.0)) == (0.0, False)

    async def test_failures_long_ago_do_not_count(self, world: World) -> None:
        breaker = Breaker()
        for n in range(30):
            breaker.failed(n * 601.0, probe=False)
        assert not breaker.is_open

    async def test_calls_that_cannot_wait_end_at_once_and_cost_nothing(self, world: World) -> None:
        model = await self._opened(world, after(world, 0.1, ConnectionRefusedError()))
        quick = Fake(world, model.script, timeout_s=2.0)
        before = world.now
        replies = await world.all([quick.call() for _ in range(MANY)])
        assert (world.now, quick.started) == (before, [])
        assert all(reply.error.startswith("unreachable: ") and reply.usage.calls == 0 for reply in replies)

    async def test_one_probes_and_when_it_fails_the_others_do_not_try(self, world: World) -> None:
        model = await self._opened(world, after(world, 1.0, ConnectionResetError()), max_concurrency=8)
        opened = world.now
        replies = await world.all([model.call() for _ in range(MANY)])
        assert model.times == [opened + 5.0]
        assert world.now <= opened + 6.2, "nobody sat out a deadline of 60 s"
        assert sorted(reply.usage.calls for reply in replies) == [0] * (MANY - 1) + [1]
        assert {reply.error.partition(":")[0] for reply in replies} == {"connection", "unreachable"}
        assert model._endpoint.slots.in_flight == 0

    async def test_when_the_probe_is_answered_the_others_go_on(self, world: World) -> None:
        model = await self._opened(world, after(world, 1.0, ConnectionResetError()), max_concurrency=8)
        model.script = after(world, 1.0)
        opened = world.now
        replies = await world.all([model.call() for _ in range(20)])
        assert [reply.error for reply in replies] == [None] * 20
        assert model.times[:2] == [opened + 5.0, pytest.approx(opened + 6.1, abs=0.11)]

    async def test_who_waits_for_a_slow_probe_waits_no_longer_than_its_deadline(self, world: World) -> None:
        model = await self._opened(world, after(world, 0.0, ConnectionResetError()))
        slow = Fake(world, after(world, 500.0), timeout_s=1000.0)
        opened, probe = world.now, slow.call()
        await world.until(world.now + 5.5)
        others = [Fake(world, model.script, timeout_s=20.0) for _ in range(3)]
        tasks = [other.call() for other in others for _ in range(10)]
        await world.until(opened + 5.5 + 20.1)
        assert all(task.done() for task in tasks)
        assert not probe.done()
        assert [other.started for other in others] == [[], [], []]
        assert {task.result().usage.calls for task in tasks} == {0}
        await world.all([probe])
        assert not model._endpoint.breaker.is_open

    async def test_the_pause_doubles_up_to_a_minute(self, world: World) -> None:
        model = await self._opened(world, after(world, 0.0, ConnectionResetError()), timeout_s=100.0)
        opened = world.now
        for _ in range(6):
            await world.all([model.call()])
        gaps = [b - a for a, b in itertools.pairwise([opened, *model.times])]
        assert gaps == [5, 10, 20, 40, 60, 60]

    async def test_a_probe_that_is_cancelled_is_taken_over(self, world: World) -> None:
        model = await self._opened(world, after(world, 0.0, ConnectionResetError()))
        model.script = after(world, 3.0)
        tasks = [model.call(str(n)) for n in range(3)]
        await world.until(world.now + 6.0)
        assert len(model.started) == 1
        tasks[int(model.started[0][1])].cancel()
        replies = await world.all(tasks)
        assert sorted(isinstance(reply, ModelReply) and reply.error is None for reply in replies) == [False, True, True]
        assert model._endpoint.slots.in_flight == 0

    async def test_a_call_in_the_middle_of_its_tries_waits_for_the_probe_too(self, world: World) -> None:
        async def script(request: ModelRequest) -> str:
            if world.now < 4.0:
                raise ConnectionResetError
            return "fine"

        model = Fake(world, script, retries=3)
        tasks = [model.call() for _ in range(12)]
        await world.until(2.0)
        assert model._endpoint.breaker.is_open
        assert model._endpoint.slots.in_flight == 0, "who waits is in nobody's way"
        replies = await world.all(tasks)
        assert [reply.error for reply in replies] == [None] * 12
        early = [t for t in model.times if t < 4.0]
        assert len(early) <= 12 + 10


class TestCancel:
    @pytest.mark.parametrize("seed", range(8))
    async def test_whatever_is_cancelled_holds_neither_slot_nor_probe(self, world: World, seed: int) -> None:
        chances = random.Random(seed)

        async def script(request: ModelRequest) -> str:
            await world.sleep(chances.random())
            match chances.randrange(6):
                case 0:
                    raise Refused(429, "2")
                case 1 | 2 | 3:
                    raise ConnectionResetError
            return "fine"

        model = Fake(world, script, max_concurrency=6, retries=5)
        tasks = [model.call() for _ in range(MANY)]
        for moment in range(1, 40):
            await world.until(moment / 2)
            chances.choice(tasks).cancel()
        for task in tasks[:: 1 + seed % 3]:
            task.cancel()
        await world.all(tasks)
        endpoint: Endpoint = model._endpoint
        assert endpoint.slots.in_flight == 0
        assert not endpoint.breaker._probing
        model.script = after(world, 0.1)
        await world.until(world.now + 100.0)
        replies = await world.all([model.call() for _ in range(10)])
        assert [reply.error for reply in replies] == [None] * 10


class TestNothing:
    async def test_an_empty_answer_is_asked_for_once_more(self, world: World) -> None:
        turns = ["", "fine"]

        async def script(request: ModelRequest) -> str:
            return turns.pop(0)

        model = _Silent(world, script)
        (reply,) = await world.all([model.call()])
        assert (reply.text, reply.error, reply.usage.calls, reply.usage.input_tokens) == ("fine", None, 2, 14)

    async def test_a_trivial_question_tells_an_empty_answer_from_an_outage(self, world: World) -> None:
        async def quiet(request: ModelRequest) -> str:
            return "yes" if request.step.endswith(".probe") else ""

        async def dead(request: ModelRequest) -> str:
            if request.step.endswith(".probe"):
                raise ConnectionResetError
            return ""

        for script, kind in ((quiet, "empty"), (dead, "outage"), (after(world, 0.0, ""), "outage")):
            model = _Silent(world, script)
            (reply,) = await world.all([model.call()])
            assert reply.error.startswith(f"{kind}: "), reply.error
            assert (reply.usage.calls, len(model.started)) == (3, 3)

    async def test_without_retries_nothing_is_asked_again(self, world: World) -> None:
        model = _Silent(world, after(world, 0.0, ""), retries=0)
        (reply,) = await world.all([model.call()])
        assert (reply.error.partition(":")[0], reply.usage.calls) == ("empty", 1)

    async def test_what_was_counted_as_written_is_an_answer(self, world: World) -> None:
        model = Fake(world, after(world, 0.0, ""))
        (reply,) = await world.all([model.call()])
        assert (reply.text, reply.error, reply.usage.calls) == ("", None, 1)


class _Silent(Fake):
    """Counts no written tokens for an empty text."""

    async def _aonce(self, request: ModelRequest, left_s: float) -> ModelReply:
        reply = await super()._aonce(request, left_s)
        usage = Usage(calls=1, input_tokens=7, output_tokens=len(reply.text))
        return reply.model_copy(update={"usage": usage})
