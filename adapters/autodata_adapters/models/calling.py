"""The one layer that retries: a total deadline per call, bounded tries, typed outcomes.

How one try is made is in `langchain` and `dspy`; what an exception means is in `failures`; what all callers of an endpoint
share is in `slots`. SDK retries are switched off, since tries would multiply. Nothing here knows a provider.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import threading
import time
import traceback
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Generator, Iterable
from contextvars import copy_context
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar, cast

from autodata_adapters.models.failures import (
    NOBODY_ANSWERED,
    SOMEBODY_ANSWERED,
    DeadlineError,
    EmptyReplyError,
    Failure,
    FailureKind,
    classify,
    is_stale,
)
from autodata_adapters.models.redaction import Redactor, guard_logs, known_secrets
from autodata_adapters.models.slots import Endpoint, Endpoints, Slots, Ticket
from autodata_core.budget import another_try
from autodata_core.errors import AutodataError, ModelAuthError, ModelError, ModelQuotaError
from autodata_core.ports import ModelReply, ModelRequest
from autodata_core.records import Message, ModelIdentity, Usage

__all__ = ["ENDPOINTS", "Ambient", "CallPolicy", "ResilientModel", "in_thread", "utc_now"]

T = TypeVar("T")

_FIRST_WAIT_S = 0.5
_LONGEST_WAIT_S = 30.0
"""Backoff doubles from the first to the longest. Ours."""
_STALE = 1000
"""As many connections as a client's pool can hold."""
_SURELY_A_KEY = 16
"""Characters of a secret that no answer contains by chance. Ours."""

_NOT_BILLED = frozenset({FailureKind.UNREACHABLE, FailureKind.RATE_LIMIT})
"""A try that failed so costs nothing. After any other that is made again the provider may have answered, and billed it."""

ENDPOINTS = Endpoints()
"""Shared by all models of this process."""


def utc_now() -> datetime:
    """Return the wall time, or the time of `SOURCE_DATE_EPOCH` when a reproducible run sets it."""
    epoch = os.environ.get("SOURCE_DATE_EPOCH", "")
    return datetime.fromtimestamp(int(epoch), UTC) if epoch.isdigit() else datetime.now(UTC)


@dataclass(frozen=True)
class Ambient:
    """Clock, sleep and chance, so that tests can bring their own."""

    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    asleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    chance: Callable[[], float] = random.random
    """In [0, 1); spreads the retries of many workers."""
    now: Callable[[], datetime] = utc_now


@dataclass(frozen=True)
class CallPolicy:
    """How long and how often one call is tried."""

    timeout_s: float = 120.0
    """Total for a call with all its tries and waits. Waiting in line does not count: it says nothing about the model."""
    retries: int = 3
    """Tries after the first."""
    max_concurrency: int | None = None
    """Calls in flight at most; None leaves it to the run. Of models with one address and key the strictest counts for all."""

    def __post_init__(self) -> None:
        if (
            not self.timeout_s > 0
            or self.retries < 0
            or (self.max_concurrency is not None and self.max_concurrency < 1)
        ):
            raise ModelError(f"A model needs timeout_s > 0, retries >= 0 and max_concurrency >= 1; got {self}.")


class ResilientModel(ABC):
    """A model behind our port. A subclass makes one try; this class makes a call of it.

    `complete` and `acomplete` return a reply, with `error` when no try gave one, and raise a `ModelError` only where no call to
    this model can succeed. Models with the same address and key share its slots, its waits and the knowledge that it is down.
    """

    def __init__(
        self,
        identity: ModelIdentity,
        *,
        policy: CallPolicy | None = None,
        secrets: Iterable[str] = (),
        key_hint: str = "",
        ambient: Ambient | None = None,
    ) -> None:
        """Prepare calls.

        Args:
            identity: Which model this is.
            policy: Deadline, tries and bound on calls in flight.
            secrets: Values that never leave in a message.
            key_hint: Where the key comes from, for the message when it is refused.
            ambient: Clock, sleep and chance.
        """
        keys = frozenset(filter(None, secrets))
        known = keys | known_secrets()
        guard_logs(known)
        self._identity = identity
        self._policy = policy or CallPolicy()
        self._redactor = Redactor(known)
        # An answer is data: only a value that can be nothing but a key is taken out of it.
        self._answer_redactor = Redactor(key for key in keys if len(key) >= _SURELY_A_KEY)
        self._key_hint = key_hint
        self._ambient = ambient or Ambient()
        self._endpoint = ENDPOINTS.shared(identity.endpoint, keys, self._ambient, self._policy.max_concurrency)

    @property
    def identity(self) -> ModelIdentity:
        return self._identity

    @abstractmethod
    def _once(self, request: ModelRequest, left_s: float) -> ModelReply:
        """Make one try, within `left_s` seconds if the client can hold to it. Runs in a thread of its own."""

    @abstractmethod
    async def _aonce(self, request: ModelRequest, left_s: float) -> ModelReply:
        """The same without blocking the event loop. It is cancelled at the deadline."""

    def complete(self, request: ModelRequest) -> ModelReply:
        steps = _Call(self, request).steps()
        heard: _Heard = None
        try:
            while True:
                match steps.send(heard):
                    case _Sleep(seconds):
                        self._ambient.sleep(seconds)
                        heard = None
                    case _Queue(slots):
                        heard = slots.take()
                    case _Try(asked, left_s):
                        heard = self._tried(asked, left_s)
        except StopIteration as done:
            reply: ModelReply = done.value
            return reply
        finally:
            steps.close()

    async def acomplete(self, request: ModelRequest) -> ModelReply:
        steps = _Call(self, request).steps()
        heard: _Heard = None
        try:
            while True:
                match steps.send(heard):
                    case _Sleep(seconds):
                        await self._ambient.asleep(seconds)
                        heard = None
                    case _Queue(slots):
                        heard = await slots.atake()
                    case _Try(asked, left_s):
                        heard = await self._atried(asked, left_s)
        except StopIteration as done:
            reply: ModelReply = done.value
            return reply
        finally:
            steps.close()

    def _tried(self, request: ModelRequest, left_s: float) -> ModelReply | Exception:
        try:
            return _within(lambda: self._once(request, left_s), left_s)
        except Exception as error:  # noqa: BLE001 - the boundary to foreign SDKs; the call raises what is fatal
            return error

    async def _atried(self, request: ModelRequest, left_s: float) -> ModelReply | Exception:
        deadline = asyncio.timeout(left_s)
        try:
            async with deadline:
                return await self._aonce(request, left_s)
        except Exception as error:  # noqa: BLE001 - as above
            return DeadlineError() if isinstance(error, TimeoutError) and deadline.expired() else error


@dataclass(frozen=True)
class _Sleep:
    seconds: float


@dataclass(frozen=True)
class _Queue:
    """Wait in line for a slot; answered by the ticket."""

    slots: Slots


@dataclass(frozen=True)
class _Try:
    """Ask the model once; answered by the reply or the exception."""

    request: ModelRequest
    left_s: float


_Heard = ModelReply | Exception | Ticket | None
_Steps = Generator[_Sleep | _Queue | _Try, _Heard, ModelReply]


@dataclass
class _Call:
    """The tries of one call: the part that sync and async share. It says what to do next and is told what came of it."""

    model: ResilientModel
    request: ModelRequest
    tries: int = 0
    kinds: set[FailureKind] = field(default_factory=set)
    last: Failure | None = None
    granted: int = 1
    """Tries that the budget has room for."""
    stale: int = 0
    """Tries that met a connection of a closed event loop; they reached nobody and do not count."""
    empty: int = 0
    """Tries that were answered with nothing."""
    ends: float = 0.0
    spent: Usage = field(default_factory=Usage)
    """Tokens of answers that were not used."""
    ticket: Ticket | None = None
    probing: bool = False
    """Whether this call probes for all while the endpoint is thought to be down."""
    trips: int | None = None
    """How often the endpoint was down when this call began to wait for it."""

    @property
    def _ambient(self) -> Ambient:
        return self.model._ambient

    @property
    def _policy(self) -> CallPolicy:
        return self.model._policy

    @property
    def _endpoint(self) -> Endpoint:
        return self.model._endpoint

    def _left_s(self) -> float:
        return self.ends - self._ambient.monotonic()

    def steps(self) -> _Steps:
        """Make the call.

        Raises:
            ModelError: No call to this model can succeed. It has no cause: clients keep keys in their exceptions.
        """
        self.ends = self._ambient.monotonic() + self._policy.timeout_s
        try:
            while True:
                refused = yield from self._admitted()
                if refused is not None:
                    return refused
                outcome = yield from self._asked(self.request)
                if isinstance(outcome, float) and not self._may_spend():
                    return self._no_money()
                if isinstance(outcome, float):
                    refused = yield from self._paused(outcome)
                    outcome = refused if refused is not None else outcome
                if isinstance(outcome, ModelReply):
                    return outcome
        finally:
            self._step_back()

    def _admitted(self) -> Generator[_Sleep | _Queue, _Heard, ModelReply | None]:
        """Wait until this call may try: the endpoint is up, there is a slot, the provider's wait is over."""
        breaker, gate = self._endpoint.breaker, self._endpoint.gate
        while True:
            refused = yield from self._until_up()
            if refused is not None:
                return refused
            if self.ticket is None:
                queued_at = self._ambient.monotonic()
                self.ticket = cast("Ticket", (yield _Queue(self._endpoint.slots)))
                # Waiting in line says nothing about the model.
                self.ends += self._ambient.monotonic() - queued_at
                continue  # it may have gone down meanwhile
            now = self._ambient.monotonic()
            if gate.wait_s(now) >= self._left_s() > 0:
                return self._held_back(gate.wait_s(now))
            wait_s = gate.turn_s(now, self._ambient.chance())
            if wait_s > 0:
                yield _Sleep(wait_s)
                if gate.is_closed(self._ambient.monotonic()) or breaker.is_open:
                    continue
            claimed = breaker.claim(self._ambient.monotonic())
            if claimed is not None:
                self.probing = claimed
                self.trips = breaker.trips if claimed else None
                return None

    def _until_up(self) -> Generator[_Sleep | _Queue, _Heard, ModelReply | None]:
        """Wait while the endpoint is thought to be down, for one probe at most, in nobody's way."""
        breaker = self._endpoint.breaker
        while breaker.is_open:
            if self.trips is None:
                self.trips = breaker.trips
            wait_s = breaker.wait_s(self._ambient.monotonic())
            if self.trips != breaker.trips or wait_s >= self._left_s():
                return self._down()
            if wait_s <= 0:
                return None
            self._leave_slot()
            yield _Sleep(wait_s)
        self.trips = None
        return None

    def _paused(self, seconds: float) -> Generator[_Sleep | _Queue, _Heard, ModelReply | None]:
        """Back off before the next try, unless it would find nobody."""
        if self.trips is not None and self.trips != self._endpoint.breaker.trips:
            return self._down()
        if seconds > 0 and not self._endpoint.breaker.is_open:
            yield _Sleep(seconds)
        return None

    def _asked(self, request: ModelRequest) -> Generator[_Try, _Heard, float | ModelReply]:
        """Make one try. Return the seconds to wait before the next, or the reply that ends the call."""
        self.tries += 1
        cuts = self._endpoint.slots.cuts
        heard = yield _Try(request, max(0.001, self._left_s()))
        if isinstance(heard, ModelReply):
            if not _is_silent(heard):
                self._endpoint.succeeded(cuts, self._ambient.monotonic())
                return self._finished(heard)
            self.spent = self.spent.plus(heard.usage)
            heard = EmptyReplyError("the answer is empty")
        error = cast("Exception", heard)
        if isinstance(error, AutodataError):
            raise self._without_secrets(error)
        if is_stale(error) and self.stale < _STALE:
            self.stale += 1
            self.tries -= 1
            return 0.0
        failure = classify(error, redactor=self.model._redactor, now=self._ambient.now())
        self.last = failure
        self.kinds.add(failure.kind)
        self._tell_others(failure, cuts)
        fatal = _fatal(failure, self.model.identity, self.model._key_hint)
        if fatal is not None:
            raise fatal
        if failure.kind is FailureKind.EMPTY:
            outcome: float | ModelReply = yield from self._nothing(failure)
            return outcome
        return self._failed(failure, late=isinstance(error, DeadlineError))

    def _failed(self, failure: Failure, *, late: bool) -> float | ModelReply:
        left_s = self._left_s()
        if late or left_s <= 0:
            return self._ended(failure.kind, f"no reply within {self._policy.timeout_s:g} s")
        if not failure.retry or self.tries > self._policy.retries:
            return self._ended(failure.kind, failure.message)
        if failure.wait_s is None:
            # With little time left an early second try is worth more than none.
            return min(self._backoff_s(), left_s / 4)
        if failure.wait_s >= left_s:
            return self._ended(
                failure.kind, f"{failure.message} (asked to wait {failure.wait_s:g} s, {left_s:.1f} s are left)"
            )
        # The gate holds back this call with all others where the provider is overloaded.
        return 0.0 if failure.overloaded else failure.wait_s

    def _backoff_s(self) -> float:
        full_s = min(_LONGEST_WAIT_S, _FIRST_WAIT_S * 2.0 ** (self.tries - 1))
        return full_s * (0.5 + self._ambient.chance() / 2)

    def _nothing(self, failure: Failure) -> Generator[_Try, _Heard, float | ModelReply]:
        """Decide about an answer without content: ask once more, then see whether the endpoint answers anything at all."""
        self.empty += 1
        left_s = self._left_s()
        if self.empty == 1 and self._policy.retries > 0 and left_s > 0:
            return min(self._backoff_s(), left_s / 4)
        if self._policy.retries == 0 or left_s <= 0:
            return self._ended(FailureKind.EMPTY, failure.message)
        if not self._may_spend():
            return self._no_money()
        self.tries += 1
        heard = yield _Try(_trivial(self.request), max(0.001, left_s))
        if isinstance(heard, ModelReply):
            self.spent = self.spent.plus(heard.usage)
            if not _is_silent(heard):
                self._endpoint.breaker.answered()
                return self._ended(FailureKind.EMPTY, f"{failure.message}, though a trivial question is answered")
        self._endpoint.breaker.failed(self._ambient.monotonic(), probe=self.probing)
        self.probing = False
        return self._ended(FailureKind.OUTAGE, f"{failure.message}, and so is that to a trivial question")

    def _may_spend(self) -> bool:
        """Ask the budget for the next try. One that met a connection of a closed loop is made again for nothing."""
        if self.tries < self.granted:
            return True
        last = self.last
        free = last is not None and (last.overloaded or last.kind in _NOT_BILLED)
        if not another_try(perhaps_billed=not free):
            return False
        self.granted += 1
        return True

    def _no_money(self) -> ModelReply:
        kind, message = (self.last.kind, self.last.message) if self.last else (FailureKind.UNEXPECTED, "no answer")
        return self._ended(kind, f"{message}; the budget has no room for another try")

    def _tell_others(self, failure: Failure, cuts: int) -> None:
        """Let all callers of the endpoint know what this try met."""
        now = self._ambient.monotonic()
        if failure.overloaded:
            self._endpoint.overloaded(cuts, now, failure.wait_s)
        if failure.kind in NOBODY_ANSWERED:
            self._endpoint.breaker.failed(now, probe=self.probing)
        elif failure.kind in SOMEBODY_ANSWERED:
            self._endpoint.breaker.answered()
        elif failure.kind is FailureKind.EMPTY:
            return  # decided when it is asked again
        elif self.probing:
            self._endpoint.breaker.unclaim()
        self.probing = False

    def _finished(self, reply: ModelReply) -> ModelReply:
        self.probing = False
        # Every try that reached the provider may be on its bill, so all are counted.
        usage = self.spent.plus(reply.usage).model_copy(update={"calls": self.tries})
        clean = self.model._answer_redactor.redact_exact
        return reply.model_copy(
            update={
                "usage": usage,
                "created": self._created(),
                "text": clean(reply.text),
                "served": clean(reply.served),
            }
        )

    def _held_back(self, wait_s: float) -> ModelReply:
        message = f"the provider wants no call for {wait_s:.1f} s, {self._left_s():.1f} s are left"
        return self._ended(FailureKind.RATE_LIMIT if self.tries else FailureKind.UNREACHABLE, message)

    def _down(self) -> ModelReply:
        # Without a try that reached somebody there is nothing to pay, and `unreachable` says so.
        kind = FailureKind.OUTAGE if self.kinds - {FailureKind.UNREACHABLE} else FailureKind.UNREACHABLE
        last = f": {self.last.message}" if self.last is not None else ""
        return self._ended(kind, f"the endpoint gave no answer to many calls in a row{last}")

    def _ended(self, kind: FailureKind, message: str) -> ModelReply:
        if kind is FailureKind.UNREACHABLE and self.kinds - {FailureKind.UNREACHABLE}:
            kind = FailureKind.CONNECTION  # somebody answered one of the tries
        tries = {0: " (not asked)", 1: ""}.get(self.tries, f" (after {self.tries} tries)")
        usage = self.spent.model_copy(update={"calls": self.tries})
        return ModelReply(error=f"{kind}: {message}{tries}", usage=usage, created=self._created())

    def _without_secrets(self, error: AutodataError) -> AutodataError:
        """Return an error of our own as it is, or without its causes where one of them shows a secret."""
        whole = "".join(traceback.format_exception(error))
        redact = self.model._redactor.redact
        if redact(whole) == whole:
            return error
        return (type(error) if isinstance(error, ModelError) else ModelError)(redact(str(error)))

    def _leave_slot(self) -> None:
        if self.ticket is not None:
            self._endpoint.slots.leave(self.ticket)
            self.ticket = None

    def _step_back(self) -> None:
        """Take nothing along: a call that is cancelled holds neither slot nor probe."""
        self._leave_slot()
        if self.probing:
            self._endpoint.breaker.unclaim()

    def _created(self) -> str:
        return self._ambient.now().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _is_silent(reply: ModelReply) -> bool:
    """Return whether a reply says nothing and, by its own count, nothing was written. Cut and filtered ones say why."""
    written = reply.text.strip() or reply.usage.output_tokens
    return reply.error is None and not written and reply.finish_reason in ("stop", "unknown")


def _trivial(request: ModelRequest) -> ModelRequest:
    """Return the cheapest question there is, in the place of `request`."""
    asked = (Message(role="user", content="Reply with the word: yes"),)
    return request.model_copy(
        update={"messages": asked, "step": f"{request.step}.probe", "response_schema": None, "view": {}}
    )


def _fatal(failure: Failure, identity: ModelIdentity, key_hint: str) -> ModelError | None:
    """Return what ends the use of the model, None where the next call may be fine."""
    where = f"{identity.name!r}" + (f" at {identity.endpoint}" if identity.endpoint else "")
    match failure.kind:
        case FailureKind.AUTH:
            hint = key_hint or "Check the key and its rights."
            return ModelAuthError(f"The provider of {where} refused the credentials: {failure.message}. {hint}")
        case FailureKind.QUOTA:
            return ModelQuotaError(
                f"The account for {where} has no quota left: {failure.message}. Top it up, then resume."
            )
        case FailureKind.MODEL:
            return ModelError(f"The model {where} cannot be used: {failure.message}. Check its name and base_url.")
        case FailureKind.TLS:
            return ModelError(
                f"The model {where} cannot be reached over TLS: {failure.message}. "
                "Check base_url (https or http?) and the certificate of the server."
            )
        case _:
            return None


def _within(call: Callable[[], T], seconds: float) -> T:
    """Return `call()`, or stop waiting for it after `seconds`.

    The thread is a daemon: a client that drips for ever must hold neither the caller nor the end of the program.

    Raises:
        DeadlineError: No result in time; the call goes on unobserved.
    """
    result: dict[str, Any] = {}
    done = threading.Event()
    context = copy_context()

    def work() -> None:
        try:
            result["value"] = context.run(call)
        except BaseException as error:  # noqa: BLE001 - raised again in the caller's thread
            result["error"] = error
        finally:
            done.set()

    threading.Thread(target=work, name="autodata-call", daemon=True).start()
    if not done.wait(seconds):
        raise DeadlineError
    if "error" in result:
        raise result["error"]
    value: T = result["value"]
    return value


async def in_thread(call: Callable[[], T]) -> T:
    """Return `call()` from a thread of its own.

    Not the event loop's executor: it has a handful of threads, so calls that only exist in sync form would queue there.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()
    context = copy_context()

    def give(value: T | None, error: BaseException | None) -> None:
        if future.done():
            return  # the caller was cancelled and is gone
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(value)  # type: ignore[arg-type]

    def work() -> None:
        value: T | None = None
        failed: BaseException | None = None
        try:
            value = context.run(call)
        except StopIteration as error:  # a future cannot carry it
            failed = RuntimeError(f"StopIteration: {error}")
        except BaseException as error:  # noqa: BLE001 - raised again in the awaiting task
            failed = error
        with contextlib.suppress(RuntimeError):  # the loop was closed in the meantime
            loop.call_soon_threadsafe(give, value, failed)

    threading.Thread(target=work, name="autodata-call", daemon=True).start()
    return await future
