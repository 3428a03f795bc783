"""One paid call: replay it if it is recorded, else reserve, record that it is sent, ask, record the reply, settle.

The journal is the only cache. How a model is reached, and retries, are the model's own business.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from autodata_core.budget import Budget, BudgetSpentError, Reservation
from autodata_core.errors import ModelError
from autodata_core.ports import Model, ModelReply, ModelRequest
from autodata_core.records import ModelIdentity, Usage, fingerprint

__all__ = ["CallJournal", "JournaledModel", "NoJournal", "call_key"]

_OUTPUT_TOKENS = 4096
"""Reserved for a reply whose length nobody bounded."""
_WAIT_S = 0.02


class CallJournal(Protocol):
    """Keeps every call by its content. Writes return futures that are done when the record is on disk."""

    def lookup(self, key: str) -> ModelReply | None:
        """Return the recorded reply of a finished call, None when there is none."""
        ...

    def send(self, key: str, request: dict[str, Any], identity: dict[str, Any], reserved_usd: float) -> Future[bool]:
        """Record that a call is about to be sent; True when it was sent before and never answered (perhaps billed)."""
        ...

    def done(self, key: str, reply: ModelReply) -> Future[None]:
        """Record the reply."""
        ...

    def failed(self, key: str, error: str, charged_usd: float = 0.0) -> Future[None]:
        """Record that no reply came and what it may have cost; the call may be asked again later."""
        ...

    def spent(self) -> Usage:
        """Return what all recorded calls used; unanswered ones count as reserved."""
        ...


class NoJournal:
    """A journal that keeps nothing, for runs that only need the budget."""

    def lookup(self, key: str) -> ModelReply | None:
        return None

    def send(self, key: str, request: dict[str, Any], identity: dict[str, Any], reserved_usd: float) -> Future[bool]:
        return _finished(False)

    def done(self, key: str, reply: ModelReply) -> Future[None]:
        return _finished(None)

    def failed(self, key: str, error: str, charged_usd: float = 0.0) -> Future[None]:
        return _finished(None)

    def spent(self) -> Usage:
        return Usage()


_T = TypeVar("_T")


def _finished(value: _T) -> Future[_T]:
    future: Future[_T] = Future()
    future.set_result(value)
    return future


def call_key(request: ModelRequest, identity: ModelIdentity) -> str:
    """Return the key of a call: a hash of the whole request and of the model with its endpoint and parameters."""
    content = request.to_json()
    del content["view"]  # says the same as the messages
    asked = identity.to_json()
    del asked["served"]  # is known only after the first reply
    return fingerprint([content, asked])


@dataclass(frozen=True)
class JournaledModel:
    """A model whose calls are journaled and kept within the budget."""

    model: Model
    journal: CallJournal
    budget: Budget
    price_in: float = 0.0
    """US dollars per million input tokens."""
    price_out: float = 0.0

    @property
    def identity(self) -> ModelIdentity:
        return self.model.identity

    def complete(self, request: ModelRequest) -> ModelReply:
        key = call_key(request, self.identity)
        known = self.journal.lookup(key)
        if known is not None:
            return known
        reservation = self._reserve(request)
        self.journal.send(key, request.to_json(), self.identity.to_json(), reservation.usd).result()
        try:
            reply = self.model.complete(request)
        except ModelError as error:
            self._not_answered(key, reservation, error).result()
            raise
        reply = _charged(reply, reservation)
        self._answered(key, reservation, reply).result()
        return reply

    async def acomplete(self, request: ModelRequest) -> ModelReply:
        key = call_key(request, self.identity)
        known = self.journal.lookup(key)
        if known is not None:
            return known
        reservation = await self._areserve(request)
        await asyncio.wrap_future(self.journal.send(key, request.to_json(), self.identity.to_json(), reservation.usd))
        try:
            reply = await self.model.acomplete(request)
        except ModelError as error:
            await asyncio.wrap_future(self._not_answered(key, reservation, error))
            raise
        reply = _charged(reply, reservation)
        await asyncio.wrap_future(self._answered(key, reservation, reply))
        return reply

    def _reserve(self, request: ModelRequest) -> Reservation:
        # No tokeniser makes more than one token of two bytes of ordinary text; a reservation may be too high, never too low.
        tokens_in = sum(len(m.content.encode("utf-8", "replace")) for m in request.messages) // 2 + 16
        limit = self.identity.params.get("max_tokens")
        tokens_out = limit if isinstance(limit, int) else _OUTPUT_TOKENS
        usd = (tokens_in * self.price_in + tokens_out * self.price_out) / 1e6
        return self.budget.reserve(usd, tokens_in + tokens_out)

    async def _areserve(self, request: ModelRequest) -> Reservation:
        """Reserve, waiting while calls in flight hold more than they will use; only with none in flight is nothing left."""
        while True:
            try:
                return self._reserve(request)
            except BudgetSpentError:
                if not self.budget.in_flight:
                    raise
            await asyncio.sleep(_WAIT_S)

    def _answered(self, key: str, reservation: Reservation, reply: ModelReply) -> Future[None]:
        if reply.error is None:
            self.budget.settle(reservation, reply.usage)
            return self.journal.done(key, reply)
        if reply.error.startswith("unreachable:"):  # nobody was there to bill it
            self.budget.release(reservation)
            return self.journal.failed(key, reply.error)
        self.budget.settle(reservation, None)
        return self.journal.failed(key, reply.error, reservation.usd)

    def _not_answered(self, key: str, reservation: Reservation, error: ModelError) -> Future[None]:
        self.budget.release(reservation)
        return self.journal.failed(key, str(error))


def _charged(reply: ModelReply, reservation: Reservation) -> ModelReply:
    """Return the reply with what it is charged: as reserved where its model says nothing, or such a model would be free."""
    if reply.error is not None or reply.usage.calls:
        return reply
    usage = Usage(calls=1, input_tokens=reservation.tokens, cost_usd=reservation.usd, estimated=True)
    return reply.model_copy(update={"usage": usage})
