"""Retries, deadlines and slots with a clock of our own, and what exceptions mean."""

from __future__ import annotations

import asyncio
import json
import ssl
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from autodata_adapters.models.calling import Ambient, CallPolicy, ResilientModel, utc_now
from autodata_adapters.models.failures import EmptyReplyError, FailureKind, classify, one_line, redact
from autodata_adapters.models.replies import Prices, finish_reason, text_of, usage_of
from autodata_adapters.models.slots import Slots
from autodata_core.errors import ModelError, RecipeError
from autodata_core.ports import Model, ModelReply, ModelRequest
from autodata_core.records import Message, ModelIdentity, Usage

ASKED = ModelRequest(role="weak", item="i", round=1, step="s", messages=(Message(role="user", content="q"),), seed=1)
NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)


class Clock:
    """Time that passes only in sleep."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now_s += seconds

    async def asleep(self, seconds: float) -> None:
        self.sleep(seconds)

    def ambient(self) -> Ambient:
        return Ambient(lambda: self.now_s, self.sleep, self.asleep, lambda: 1.0, lambda: NOON)


class Scripted(ResilientModel):
    """Plays the turns in order: an exception is raised, a text is the reply."""

    def __init__(self, turns: list[Any], clock: Clock, **policy: Any) -> None:
        super().__init__(
            ModelIdentity(name="scripted"), policy=CallPolicy(**policy), ambient=clock.ambient(), secrets=["s3cret"]
        )
        self.turns = turns

    def _once(self, request: ModelRequest, left_s: float) -> ModelReply:
        turn = self.turns.pop(0)
        if isinstance(turn, BaseException):
            raise turn
        return ModelReply(text=turn, usage=Usage(calls=1))

    async def _aonce(self, request: ModelRequest, left_s: float) -> ModelReply:
        return self._once(request, left_s)


class HttpError(Exception):
    def __init__(self, status: int, headers: dict[str, str] | None = None) -> None:
        super().__init__(f"status {status}")
        self.status_code = status
        self.response = type("Response", (), {"headers": headers or {}})()


@pytest.fixture(params=["sync", "async"])
def run(request: pytest.FixtureRequest) -> Callable[[Model], ModelReply]:
    if request.param == "sync":
        return lambda model: model.complete(ASKED)
    return lambda model: asyncio.run(model.acomplete(ASKED))


def test_backoff_doubles_and_the_reply_counts_every_try(run: Any) -> None:
    clock = Clock()
    reply = run(Scripted([HttpError(500), HttpError(502), "fine"], clock))
    assert (reply.text, reply.usage.calls, clock.slept) == ("fine", 3, [0.5, 1.0])
    assert reply.created == "2030-01-01T12:00:00Z"


@pytest.mark.parametrize("retries", [0, 1, 3])
def test_tries_are_bounded(run: Any, retries: int) -> None:
    model = Scripted([HttpError(500)] * 9, Clock(), retries=retries)
    reply = run(model)
    assert reply.error.startswith("server: HTTP 500")
    assert reply.usage.calls == retries + 1


@pytest.mark.parametrize(
    ("headers", "wait_s"),
    [
        ({"retry-after": "7"}, 7.0),
        ({"retry-after-ms": "1500", "retry-after": "7"}, 1.5),
        ({"retry-after": (NOON + timedelta(seconds=9)).strftime("%a, %d %b %Y %H:%M:%S GMT")}, 9.0),
        ({"retry-after": "soon"}, 0.5),
        ({"retry-after": "nan"}, 0.5),
        ({"retry-after": "-3"}, 0.5),
    ],
)
def test_the_providers_wait_is_kept_when_it_makes_sense(run: Any, headers: dict[str, str], wait_s: float) -> None:
    clock = Clock()
    assert run(Scripted([HttpError(429, headers), "fine"], clock)).text == "fine"
    assert clock.slept == [wait_s]


def test_waits_never_pass_the_deadline(run: Any) -> None:
    clock = Clock()
    reply = run(Scripted([HttpError(500)] * 50, clock, retries=40, timeout_s=3.0))
    assert reply.error is not None
    assert clock.now_s < 3.0


def test_unreachable_means_that_no_try_reached_anybody(run: Any) -> None:
    refused = ConnectionRefusedError("nobody")
    assert run(Scripted([refused] * 4, Clock())).error.startswith("unreachable: ")
    assert run(Scripted([HttpError(500), *[refused] * 3], Clock())).error.startswith("connection: ")


def test_errors_of_ours_and_unknown_ones_are_not_retried(run: Any) -> None:
    with pytest.raises(ModelError, match="mine"):
        run(Scripted([ModelError("mine"), "never"], Clock()))
    reply = run(Scripted([ZeroDivisionError("with s3cret\nand lines"), "never"], Clock()))
    assert reply.error == "unexpected: ZeroDivisionError: with [secret] and lines"


def test_a_policy_says_what_it_cannot_be() -> None:
    for wrong in ({"timeout_s": 0}, {"retries": -1}, {"max_concurrency": 0}):
        with pytest.raises(ModelError, match="timeout_s > 0"):
            CallPolicy(**wrong)


def test_source_date_epoch_makes_the_time_reproducible(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "86400")
    assert utc_now() == datetime(1970, 1, 2, tzinfo=UTC)


class TooManyRedirects(Exception):
    """Named as in httpx."""


class LMError(Exception):
    """Named as in dspy."""


class LMServerError(LMError):
    pass


def _tls(reason: str) -> ssl.SSLError:
    error = ssl.SSLError(1, f"[SSL: {reason}] said OpenSSL")
    error.reason = reason
    return error


def _caused(outer: Exception, cause: Exception) -> Exception:
    outer.__cause__ = cause
    return outer


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (HttpError(401), FailureKind.AUTH),
        (HttpError(402), FailureKind.QUOTA),
        (HttpError(404), FailureKind.MODEL),
        (HttpError(408), FailureKind.TIMEOUT),
        (HttpError(413), FailureKind.BAD_REQUEST),
        (HttpError(429), FailureKind.RATE_LIMIT),
        (HttpError(529), FailureKind.SERVER),
        (TimeoutError(), FailureKind.TIMEOUT),
        (ConnectionResetError(), FailureKind.CONNECTION),
        (OSError("Name or service not known"), FailureKind.CONNECTION),
        (_caused(ConnectionError("x"), ConnectionRefusedError()), FailureKind.UNREACHABLE),
        (_caused(ConnectionError("x"), TimeoutError()), FailureKind.TIMEOUT),
        (ImportError("no module"), FailureKind.MODEL),
        (HttpError(307), FailureKind.MODEL),
        (HttpError(503), FailureKind.SERVER),
        (_caused(ConnectionError("x"), TooManyRedirects()), FailureKind.MODEL),
        (_caused(ConnectionError("x"), _tls("CERTIFICATE_VERIFY_FAILED")), FailureKind.TLS),
        (_caused(ConnectionError("x"), _tls("WRONG_VERSION_NUMBER")), FailureKind.TLS),
        (_caused(ConnectionError("x"), _tls("UNEXPECTED_EOF_WHILE_READING")), FailureKind.CONNECTION),
        (_caused(RuntimeError("x"), json.JSONDecodeError("no", "", 0)), FailureKind.UNREADABLE),
        (EmptyReplyError("x"), FailureKind.EMPTY),
        (TypeError("Received response with null value for 'choices'."), FailureKind.EMPTY),
        (ValueError({"message": "overloaded", "code": 529}), FailureKind.SERVER),
        (ValueError({"message": "none left", "code": "insufficient_quota"}), FailureKind.QUOTA),
        (ValueError("what"), FailureKind.UNEXPECTED),
    ],
)
def test_exceptions_have_a_meaning(error: Exception, kind: FailureKind) -> None:
    assert classify(error).kind is kind


@pytest.mark.parametrize(
    ("error", "overloaded"),
    [
        (HttpError(429), True),
        (HttpError(503), True),
        (HttpError(529), True),
        (HttpError(500), False),
        (HttpError(408), False),
        (TimeoutError(), False),
    ],
)
def test_overload_concerns_all_callers(error: Exception, overloaded: bool) -> None:
    assert classify(error).overloaded is overloaded


@pytest.mark.parametrize("kind", [kind for kind in FailureKind if kind not in ("auth", "quota", "model", "tls")])
def test_an_error_of_ours_keeps_its_kind_through_another_framework_and_is_not_retried_there(kind: FailureKind) -> None:
    failure = classify(LMServerError(f"[autodata/x] {kind}: what it said"))
    assert (failure.kind, failure.retry, failure.overloaded) == (kind, False, False)
    assert classify(RuntimeError(f"{kind}: said by somebody else")).kind is FailureKind.UNEXPECTED


def test_secrets_are_redacted_in_every_form_that_travels() -> None:
    secret = "a b+/c=d?e"
    texts = [secret, "a%20b%2B%2Fc%3Dd%3Fe", "a+b%2B%2Fc%3Dd%3Fe", "YSBiKy9jPWQ/ZQ=="]
    for text in texts:
        assert redact(f"<{text}>", [secret]).startswith("<[secret]")
    assert redact("https://me:pw@host/x", []) == "https://host/x"
    assert redact("nothing", [""]) == "nothing"


def test_messages_are_one_short_line() -> None:
    assert one_line("a\nb\x1b[31m\tc") == "a b [31m c"
    assert len(one_line("x" * 10_000)) == 300


def test_text_leaves_reasoning_and_bad_unicode_out() -> None:
    blocks = [
        {"type": "thinking", "thinking": "hm"},
        {"type": "reasoning", "reasoning": "hm"},
        "one ",
        {"type": "text", "text": "two"},
        {"type": "text"},
        {"type": "tool_use", "input": {}},
    ]
    assert text_of(blocks) == "one two"
    assert text_of("\ud800x") == "?x"
    assert text_of(None) == ""


def test_finish_reasons_are_known_or_unknown() -> None:
    said = ["STOP", "end_turn", "max_tokens", "refusal", "tool_calls", None, 3]
    assert [finish_reason(s) for s in said] == [
        "stop",
        "stop",
        "length",
        "content_filter",
        "unknown",
        "unknown",
        "unknown",
    ]


@pytest.mark.parametrize("absurd", [-1, 10**9 + 1, None, 1.5, True, "7"])
def test_absurd_counts_are_estimated(absurd: Any) -> None:
    usage = usage_of(absurd, absurd, asked=ASKED.messages, text="four words of text", prices=Prices(1, 1))
    assert usage.estimated
    assert 0 < usage.input_tokens < 100
    assert usage.cost_usd > 0


def test_a_price_is_an_amount() -> None:
    for wrong in (-1.0, float("nan"), float("inf")):
        with pytest.raises(RecipeError, match="USD per million"):
            Prices(price_in=wrong)


async def test_a_waiter_that_gives_up_leaves_the_line() -> None:
    slots = Slots(1)
    entered = []
    async with slots.aheld():
        first, second = (asyncio.create_task(_hold(slots, entered, n)) for n in (1, 2))
        await asyncio.sleep(0)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        assert entered == []
    await second
    assert entered == [2]
    async with slots.aheld():
        pass


async def _hold(slots: Slots, entered: list[int], name: int) -> None:
    async with slots.aheld():
        entered.append(name)


def test_a_slot_passes_from_a_thread_to_a_task_and_back() -> None:
    slots = Slots(1)
    entered: list[int] = []

    def hold(name: int) -> None:
        with slots.held():
            entered.append(name)

    async def both() -> None:
        async with slots.aheld():
            thread = threading.Thread(target=hold, args=(1,))
            thread.start()
        await _hold(slots, entered, 2)
        thread.join()

    asyncio.run(both())
    assert sorted(entered) == [1, 2]
