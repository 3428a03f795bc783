"""The one layer that retries: a total deadline per call, bounded tries, typed outcomes.

How one call is made is in `langchain` and `dspy`; what an exception means is in `failures`. SDK retries are switched off there,
since tries would multiply. Nothing here knows a provider.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterable
from contextvars import copy_context
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar

from autodata_adapters.models.failures import DeadlineError, Failure, FailureKind, classify, is_stale
from autodata_adapters.models.slots import Slots
from autodata_core.errors import AutodataError, ModelAuthError, ModelError, ModelQuotaError
from autodata_core.ports import ModelReply, ModelRequest
from autodata_core.records import ModelIdentity, Usage

__all__ = ["Ambient", "CallPolicy", "ResilientModel", "in_thread", "utc_now"]

T = TypeVar("T")

_FIRST_WAIT_S = 0.5
_LONGEST_WAIT_S = 30.0
"""Backoff doubles from the first to the longest. Ours."""
_STALE = 1000
"""As many connections as a client's pool can hold."""


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
    """Total for a call with all its tries and waits. Waiting for a slot does not count: it says nothing about the model."""
    retries: int = 3
    """Tries after the first."""
    max_concurrency: int | None = None
    """Calls in flight at most; None leaves it to the run."""

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
    this model can succeed.
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
        self._identity = identity
        self._policy = policy or CallPolicy()
        self._secrets = tuple(secrets)
        self._key_hint = key_hint
        self._ambient = ambient or Ambient()
        self._slots = Slots(self._policy.max_concurrency)

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
        with self._slots.held():
            call = _Call(self)
            while True:
                left_s = call.start_try()
                try:
                    reply = _within(lambda left_s=left_s: self._once(request, left_s), left_s)  # type: ignore[misc]
                except Exception as error:  # noqa: BLE001 - the boundary to foreign SDKs; `failed` raises what is fatal
                    outcome = call.failed(error)
                else:
                    return call.finished(reply)
                if isinstance(outcome, ModelReply):
                    return outcome
                self._ambient.sleep(outcome)

    async def acomplete(self, request: ModelRequest) -> ModelReply:
        async with self._slots.aheld():
            call = _Call(self)
            while True:
                left_s = call.start_try()
                deadline = asyncio.timeout(left_s)
                try:
                    async with deadline:
                        reply = await self._aonce(request, left_s)
                except Exception as error:  # noqa: BLE001 - as in `complete`
                    late = isinstance(error, TimeoutError) and deadline.expired()
                    outcome = call.failed(DeadlineError() if late else error)
                else:
                    return call.finished(reply)
                if isinstance(outcome, ModelReply):
                    return outcome
                await self._ambient.asleep(outcome)


@dataclass
class _Call:
    """The tries of one call: the part that sync and async share."""

    model: ResilientModel
    tries: int = 0
    kinds: set[FailureKind] = field(default_factory=set)
    stale: int = 0
    """Tries that met a connection of a closed event loop; they reached nobody and do not count."""
    ends: float = 0.0

    def __post_init__(self) -> None:
        self.ends = self._ambient.monotonic() + self._policy.timeout_s

    @property
    def _ambient(self) -> Ambient:
        return self.model._ambient

    @property
    def _policy(self) -> CallPolicy:
        return self.model._policy

    def start_try(self) -> float:
        """Return the seconds left for this try."""
        self.tries += 1
        return max(0.001, self.ends - self._ambient.monotonic())

    def finished(self, reply: ModelReply) -> ModelReply:
        # Every try that reached the provider may be on its bill, so all are counted.
        usage = reply.usage.model_copy(update={"calls": self.tries})
        return reply.model_copy(update={"usage": usage, "created": self._created()})

    def failed(self, error: Exception) -> float | ModelReply:
        """Return the seconds to wait before the next try, or the reply that ends the call.

        Raises:
            ModelError: No call to this model can succeed.
        """
        if isinstance(error, AutodataError):
            raise error
        if is_stale(error) and self.stale < _STALE:
            self.stale += 1
            self.tries -= 1
            return 0.0
        failure = classify(error, secrets=self.model._secrets, now=self._ambient.now())
        self.kinds.add(failure.kind)
        # A traceback prints the cause as it came; with a secret in it the cause must not be shown.
        clean = not any(secret and secret in str(error) for secret in self.model._secrets)
        _raise_fatal(failure, self.model.identity, self.model._key_hint, error if clean else None)
        left_s = self.ends - self._ambient.monotonic()
        if isinstance(error, DeadlineError) or left_s <= 0:
            return self._ended(failure, f"no reply within {self._policy.timeout_s:g} s")
        if not failure.retry or self.tries > self._policy.retries:
            return self._ended(failure, failure.message)
        if failure.wait_s is None:
            backoff_s = min(_LONGEST_WAIT_S, _FIRST_WAIT_S * 2.0 ** (self.tries - 1)) * (
                0.5 + self._ambient.chance() / 2
            )
            # With little time left an early second try is worth more than none.
            return min(backoff_s, left_s / 4)
        if failure.wait_s >= left_s:
            return self._ended(
                failure, f"{failure.message} (asked to wait {failure.wait_s:g} s, {left_s:.1f} s are left)"
            )
        return failure.wait_s

    def _ended(self, failure: Failure, message: str) -> ModelReply:
        kind = failure.kind
        if kind is FailureKind.UNREACHABLE and self.kinds != {FailureKind.UNREACHABLE}:
            kind = FailureKind.CONNECTION  # somebody answered one of the tries
        tries = "" if self.tries == 1 else f" (after {self.tries} tries)"
        return ModelReply(error=f"{kind}: {message}{tries}", usage=Usage(calls=self.tries), created=self._created())

    def _created(self) -> str:
        return self._ambient.now().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _raise_fatal(failure: Failure, identity: ModelIdentity, key_hint: str, cause: Exception | None) -> None:
    where = f"{identity.name!r}" + (f" at {identity.endpoint}" if identity.endpoint else "")
    match failure.kind:
        case FailureKind.AUTH:
            hint = key_hint or "Check the key and its rights."
            raise ModelAuthError(
                f"The provider of {where} refused the credentials: {failure.message}. {hint}"
            ) from cause
        case FailureKind.QUOTA:
            raise ModelQuotaError(
                f"The account for {where} has no quota left: {failure.message}. Top it up, then resume."
            ) from cause
        case FailureKind.MODEL:
            raise ModelError(
                f"The model {where} cannot be used: {failure.message}. Check its name and base_url."
            ) from cause
        case _:
            return


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
