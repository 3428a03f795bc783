"""One paid call: replay it if it is recorded, else reserve, record that it is sent, ask, record the reply, settle.

The journal is the only cache. How a model is reached, and retries, are the model's own business.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol, TypeVar

from autodata_core.budget import Budget, BudgetSpentError, Reservation, Tries
from autodata_core.crashpoints import crashpoint
from autodata_core.errors import BudgetError, ModelError
from autodata_core.ports import Model, ModelReply, ModelRequest
from autodata_core.records import ModelIdentity, Usage, canonical_json

__all__ = ["CallJournal", "JournaledModel", "NoJournal", "Written", "call_key", "check_reply_bound"]

_OUTPUT_TOKENS = 4096
"""Reserved for a reply that nobody bounded, where no ceiling depends on its length."""
_BOUNDS = ("max_tokens", "max_completion_tokens")
"""Parameters of an identity that say how long a reply gets; the provider is told them with every call."""
_MESSAGE_TOKENS = 16
"""What the form of a chat costs besides its texts, per message. Ours, high."""
_CREDIBLE_TOKENS = 2_000_000
"""No model reads or writes more in one call; a provider that says so did not count."""
_CREDIBLE_EXCESS = 8
"""Times the bound on a reply from which its count is taken for a mistake. Ours."""
_MOST_LOSSES = 2
"""So often a call may go without an answer in one session; the next session asks it again."""
_WAIT_S = 0.02
_NOT_BILLED = ("unreachable:", "rate_limit:", "bad_request:", "context_length:")
"""Starts of errors of calls that nobody worked on: nobody was there, or the request was refused."""


class Written(dict[str, Any]):
    """A JSON object with its canonical text, so that a journal which keeps the text need not make it again."""

    def __init__(self, value: Mapping[str, Any], text: str = "") -> None:
        super().__init__(value)
        self.text = text or canonical_json(value)


class CallJournal(Protocol):
    """Keeps every call by its content.

    Writes return futures that are done when the record is on disk, and reach the disk in the order they were made: who
    waits for a later one need not wait for the earlier ones.
    """

    def lookup(self, key: str) -> ModelReply | None:
        """Return the recorded reply of a finished call, None when there is none; also right after `done`."""
        ...

    def send(
        self,
        key: str,
        request: Mapping[str, Any],
        identity: Mapping[str, Any],
        reserved_usd: float,
        reserved_tokens: int = 0,
    ) -> Future[bool]:
        """Record that a call is about to be sent; True when it was sent before and never answered (perhaps billed).

        A try that gave no answer and is made again is sent again, and what the one before reserved stays spent.
        """
        ...

    def done(self, key: str, reply: ModelReply, charged: Usage | None = None) -> Future[None]:
        """Record the reply and what it is charged; None is what the reply says it used."""
        ...

    def failed(self, key: str, error: str, charged_usd: float = 0.0, charged: Usage | None = None) -> Future[None]:
        """Record that no reply came and what it may have cost; the call may be asked again later.

        `charged` says it with calls and tokens and goes before `charged_usd`.
        """
        ...

    def spent(self) -> Usage:
        """Return what all recorded calls used; unanswered ones count as reserved."""
        ...


class NoJournal:
    """A journal that keeps nothing, for runs that only need the budget."""

    def lookup(self, key: str) -> ModelReply | None:
        return None

    def send(
        self,
        key: str,
        request: Mapping[str, Any],
        identity: Mapping[str, Any],
        reserved_usd: float,
        reserved_tokens: int = 0,
    ) -> Future[bool]:
        return _finished(False)

    def done(self, key: str, reply: ModelReply, charged: Usage | None = None) -> Future[None]:
        return _finished(None)

    def failed(self, key: str, error: str, charged_usd: float = 0.0, charged: Usage | None = None) -> Future[None]:
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
    return _key(_content(request).text, _asked_model(identity))


def check_reply_bound(identity: ModelIdentity, budget: Budget, *, priced: bool) -> None:
    """Refuse a model that is told no bound on its replies where a ceiling depends on their length.

    Args:
        identity: Of the model.
        budget: With its ceilings.
        priced: Whether its tokens cost money.

    Raises:
        BudgetError: No reservation can hold the ceiling.
    """
    if _reply_bound(identity) is None and _length_counts(budget, priced):
        raise BudgetError(
            f"A ceiling in {'US dollars' if budget.tokens is None else 'tokens'} needs a bound on every reply, and "
            f"{identity.name!r} is told none. Set its max_tokens: in [models.options.ROLE], or where the object is made."
        )


def _length_counts(budget: Budget, priced: bool) -> bool:
    """Return whether a ceiling depends on how much a model reads and writes."""
    return budget.tokens is not None or (budget.usd is not None and priced)


def _reply_bound(identity: ModelIdentity) -> int | None:
    """Return the most tokens of a reply that the model is told with every call; None where it is told none."""
    for name in _BOUNDS:
        limit = identity.params.get(name)
        if isinstance(limit, int) and not isinstance(limit, bool) and limit >= 0:
            return limit
    return None


def _content(request: ModelRequest) -> Written:
    return Written(request.model_dump(mode="json", exclude={"view"}))  # the view says the same as the messages


def _asked_model(identity: ModelIdentity) -> str:
    return canonical_json(identity.model_dump(mode="json", exclude={"served"}))  # served is known after the first reply


def _key(content: str, model: str) -> str:
    return hashlib.sha256(f"[{content},{model}]".encode("ascii")).hexdigest()


class _Bound(NamedTuple):
    """What one try may use at most."""

    usd: float
    tokens: int
    output_tokens: int
    limited: bool
    """Whether the model is told that bound."""


class _Call(NamedTuple):
    """One call on its way."""

    key: str
    content: Written
    model: Written
    bound: _Bound


class _Identity(NamedTuple):
    """A model's identity in the forms that a call needs."""

    record: ModelIdentity
    content: Written
    asked: str
    """Without what is known only after the first reply."""
    limit: int | None
    """Tokens of a reply at most; None where nobody tells the model."""


@dataclass
class _Session:
    """What this process has seen of a model."""

    longest: int = 0
    """Tokens of the longest reply."""
    lost: Counter[str] = field(default_factory=Counter)
    """By key: how often a call went without an answer."""
    identity: _Identity | None = None
    """The same for every call, as a rule."""


@dataclass(frozen=True)
class JournaledModel:
    """A model whose calls are journaled and kept within the budget.

    A call that ends in any way settles its reservation: by what the reply says it used; as reserved where nobody knows,
    which includes a call that was cancelled; not at all where nobody was asked.

    Raises:
        BudgetError: The budget has a ceiling that depends on the length of replies, and the model is told no bound on it.
    """

    model: Model
    journal: CallJournal
    budget: Budget
    price_in: float = 0.0
    """US dollars per million input tokens."""
    price_out: float = 0.0
    _session: _Session = field(default_factory=_Session, repr=False, compare=False)

    def __post_init__(self) -> None:
        self._identified()  # what cannot be bounded is refused before the first call of any role is paid

    @property
    def identity(self) -> ModelIdentity:
        return self.model.identity

    def complete(self, request: ModelRequest) -> ModelReply:
        call = self._call(request)
        known = self._known(call)
        if known is not None:
            return known
        crashpoint("call.reserve")
        tries = self._tries(call, self.budget.reserve_when_free(call.bound.usd, call.bound.tokens))
        try:
            repeated = self._send(call).result()
        except BaseException:
            tries.abandon()  # not on disk as sent, so it is not sent
            raise
        self._note_loss(call, repeated)
        crashpoint("call.sent")
        try:
            with tries.in_force():
                reply = self.model.complete(request)
        except BaseException as error:
            self._broke(call, tries, error)
            raise
        return self._answered(call, tries, reply)

    async def acomplete(self, request: ModelRequest) -> ModelReply:
        call = self._call(request)
        known = self._known(call)
        if known is not None:
            return known
        crashpoint("call.reserve")
        tries = await self._reserved(call)
        try:
            repeated = await asyncio.wrap_future(self._send(call))
        except BaseException:
            tries.abandon()
            raise
        self._note_loss(call, repeated)
        crashpoint("call.sent")
        try:
            with tries.in_force():
                reply = await self.model.acomplete(request)
        except BaseException as error:
            self._broke(call, tries, error)
            raise
        return self._answered(call, tries, reply)

    def _identified(self) -> _Identity:
        known, identity = self._session.identity, self.identity
        if known is None or known.record is not identity:
            content, limit = Written(identity.to_json()), _reply_bound(identity)
            self._session.identity = known = _Identity(identity, content, _asked_model(identity), limit)
        if known.limit is None:
            check_reply_bound(identity, self.budget, priced=self._priced)
        return known

    @property
    def _priced(self) -> bool:
        return self.price_in > 0 or self.price_out > 0

    def _call(self, request: ModelRequest) -> _Call:
        identity, content = self._identified(), _content(request)
        bound = self._bound(request, identity.limit)
        return _Call(_key(content.text, identity.asked), content, identity.content, bound)

    def _known(self, call: _Call) -> ModelReply | None:
        known = self.journal.lookup(call.key)
        if known is None and self._session.lost[call.key] >= _MOST_LOSSES:
            return ModelReply(error=f"unanswered: lost {_MOST_LOSSES} times in this session; the next one asks again")
        return known

    def _bound(self, request: ModelRequest, limit: int | None) -> _Bound:
        # No tokeniser makes more tokens of a text than it has bytes. A reservation may be too high, never too low.
        tokens_in = sum(len(m.content.encode("utf-8", "replace")) + _MESSAGE_TOKENS for m in request.messages)
        if request.response_schema is not None:
            tokens_in += len(canonical_json(request.response_schema))
        # Whoever wrote more than it was told will do so again.
        tokens_out = max(_OUTPUT_TOKENS if limit is None else limit, self._session.longest)
        usd = (tokens_in * self.price_in + tokens_out * self.price_out) / 1e6
        return _Bound(usd, tokens_in + tokens_out, tokens_out, limit is not None)

    async def _reserved(self, call: _Call) -> Tries:
        """Reserve, waiting as `Budget.reserve_when_free` does."""
        while True:
            try:
                return self._tries(call, self.budget.reserve(call.bound.usd, call.bound.tokens))
            except BudgetSpentError:
                if not self.budget.in_flight:
                    raise
            await asyncio.sleep(_WAIT_S)

    def _tries(self, call: _Call, reserved: Reservation) -> Tries:
        # Tries after the first are rare and come after a pause, so one may wait for the disk where it stands.
        return Tries(self.budget, reserved, announce=lambda: self._send(call).result())

    def _send(self, call: _Call) -> Future[bool]:
        crashpoint("call.reserved")
        return self.journal.send(call.key, call.content, call.model, call.bound.usd, call.bound.tokens)

    def _note_loss(self, call: _Call, repeated: bool) -> None:
        if repeated and not self._session.lost[call.key]:
            self._session.lost[call.key] = 1  # the loss that an earlier session left

    def _answered(self, call: _Call, tries: Tries, reply: ModelReply) -> ModelReply:
        """Settle a call that came back, and queue the record of it.

        Nobody waits for the record: the next call's announcement is written behind it and is waited for.
        """
        crashpoint("call.replied")
        if reply.error is None:
            reply = self._charged(call, reply)
            self._session.longest = max(self._session.longest, reply.usage.output_tokens)
            self.journal.done(call.key, reply, tries.settle(reply.usage))
        elif reply.error.startswith(_NOT_BILLED):
            self.journal.failed(call.key, reply.error, charged=tries.abandon())
        else:
            charged = tries.settle(None)
            self.journal.failed(call.key, reply.error, charged.cost_usd, charged)
        return reply

    def _broke(self, call: _Call, tries: Tries, error: BaseException) -> None:
        """Settle a call that ended in an exception."""
        if isinstance(error, ModelError):  # the provider refused it
            self.journal.failed(call.key, str(error), charged=tries.abandon())
            return
        charged = tries.settle(None)
        self._session.lost[call.key] += 1
        # One that was cancelled stays `sent` in the journal, as after a crash: nobody knows what became of it.
        if isinstance(error, Exception):
            text = f"{type(error).__name__}: {error}"
            self.journal.failed(call.key, text, charged.cost_usd, charged)

    def _charged(self, call: _Call, reply: ModelReply) -> ModelReply:
        """Return the reply with what it is charged: as reserved where nothing usable is said, or such a model would be free."""
        usage, bound = reply.usage, call.bound
        # An estimate is made from the text that came, and a model may be paid for thoughts that it does not show.
        guessed = usage.estimated and _length_counts(self.budget, self._priced)
        if not guessed and self._credible(usage, reply.text, bound):
            usd = (usage.input_tokens * self.price_in + usage.output_tokens * self.price_out) / 1e6
            if usage.cost_usd >= usd:
                return reply
            usage = usage.model_copy(update={"cost_usd": usd})
        else:
            calls = usage.calls if 0 < usage.calls < 1000 else 1
            usage = Usage(calls=calls, input_tokens=bound.tokens, cost_usd=bound.usd, estimated=True)
        return reply.model_copy(update={"usage": usage})

    def _credible(self, usage: Usage, text: str, bound: _Bound) -> bool:
        """Return whether a usage can be what the call used."""
        counts = (usage.calls - 1, usage.input_tokens, usage.output_tokens)
        if min(counts) < 0 or max(counts) > _CREDIBLE_TOKENS or not 0 <= usage.cost_usd < float("inf"):
            return False
        if bound.limited and usage.output_tokens > _CREDIBLE_EXCESS * bound.output_tokens:
            return False
        priced = self._priced
        said = usage.input_tokens or usage.output_tokens or usage.cost_usd
        if priced and text and not said:
            return False
        return not priced or usage.cost_usd <= _CREDIBLE_TOKENS * (self.price_in + self.price_out) / 1e6
