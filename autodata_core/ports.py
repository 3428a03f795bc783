"""What the loop needs from outside, as protocols. Each shell and adapter plugs in here.

A port never decides: no thresholds, no verdicts. Plain in-memory implementations stand at the end.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

from pydantic import Field, StrictInt, StrictStr

from autodata_core.records import (
    Check,
    Example,
    FinishReason,
    Message,
    ModelIdentity,
    Record,
    Role,
    Usage,
    fingerprint,
)

__all__ = [
    "KNOWN",
    "LIBRARY",
    "Answer",
    "Ask",
    "ControlAsk",
    "ControlReply",
    "CoverageAsk",
    "CoverageMap",
    "CoverageReply",
    "MemoryStore",
    "Model",
    "ModelAsk",
    "ModelReply",
    "ModelRequest",
    "NoCoverage",
    "RecordStore",
    "Verifier",
    "VerifierReply",
    "VerifyAsk",
]


class ModelRequest(Record):
    """One question to one model. `fingerprint(request)` with the model's identity is the key of the call."""

    role: Role
    item: StrictStr
    """Id of the item this belongs to."""
    round: StrictInt
    attempt: StrictInt = 0
    """Which of several independent answers to the same messages."""
    step: StrictStr
    """Name of the ask within the item, unique: `r2.weak.0`, `r2.weak.0.judge`, `r2.propose.again1`."""
    messages: tuple[Message, ...]
    response_schema: dict[str, Any] | None = None
    """JSON schema of the wanted reply, for models that can be held to one. The reply is parsed strictly all the same."""
    seed: StrictInt
    """Differs between attempts, equal on replay. 31 bits."""
    view: dict[str, Any] = Field(default_factory=dict)
    """What the role may see, structured; `program:` models read this instead of the messages."""

    def messages_sha256(self) -> str:
        """Return the hash of exactly what is sent."""
        return fingerprint([m.to_json() for m in self.messages])


class ModelReply(Record):
    """What came back from a model. A reply with `error` has no text and is never difficulty."""

    text: StrictStr = ""
    finish_reason: FinishReason = "unknown"
    usage: Usage = Usage()
    served: StrictStr = ""
    """Model name the provider said it served."""
    error: StrictStr | None = None
    """Why there is no reply (timeout, server error, …) after every retry; None when one came."""
    created: StrictStr = ""
    """UTC time the reply came, ISO 8601; empty when nobody noted it."""


KNOWN = "known:"
"""Begins `CoverageReply.nearest`, before file and line, where a question or its context stands in a file."""
LIBRARY = "library:"
"""Begins `CoverageReply.nearest` where a question was kept by an earlier run."""


class CoverageReply(Record):
    """The nearest question that is already there."""

    similarity: float = 0.0
    """In [0, 1]; 1 is the same text after folding."""
    nearest: StrictStr | None = None
    """Id of the nearest entry, None when there is none."""
    text: StrictStr = ""
    """Its question."""


class VerifierReply(Record):
    """What a verifier found. `error` means that it could not tell, which never counts as pass or fail."""

    outcome: Literal["pass", "fail", "error"]
    evidence: StrictStr = ""


class ControlReply(Record):
    """What the controls of a check showed, before any answer is verified with it."""

    fault: Literal["", "spec", "reference", "vacuous", "error"]
    """Empty when the check can be used. `spec`: it cannot be read; `reference`: it fails the reference answer; `vacuous`: it
    passes an answer that is known to be wrong; `error`: it could not be run, so the item stays unverified."""
    evidence: StrictStr = ""
    controls: StrictInt = 0
    """Known-wrong answers that were tried and failed."""


@dataclass(frozen=True)
class ModelAsk:
    """Ask a model. Answered by `ModelReply`."""

    key: str
    request: ModelRequest


@dataclass(frozen=True)
class CoverageAsk:
    """Ask for the nearest known question, and remember this one. Answered by `CoverageReply`."""

    key: str
    id: str
    """Name of the entry; asking twice with one id gives one entry and one answer."""
    text: str
    """The question."""
    meta: Mapping[str, str] = field(default_factory=dict)
    context: str = ""
    """What is given with the question; compared with texts that no row may repeat, and with nothing else."""


@dataclass(frozen=True)
class VerifyAsk:
    """Ask a verifier. Answered by `VerifierReply`."""

    key: str
    check: Check
    answer: str
    source: str = ""
    """Text of the source, for verifiers that compare with it."""


@dataclass(frozen=True)
class ControlAsk:
    """Ask whether a check can be used: it passes the reference and fails what is wrong. Answered by `ControlReply`."""

    key: str
    check: Check
    reference: str
    source: str = ""


Ask = ModelAsk | CoverageAsk | VerifyAsk | ControlAsk
Answer = ModelReply | CoverageReply | VerifierReply | ControlReply
"""`answers[ask.key]` has the type that belongs to the ask."""


@runtime_checkable
class Model(Protocol):
    """A model behind one interface for every host.

    `complete` and `acomplete` do the same. Duties: keep the total deadline; retry what may pass; return a reply with
    `error` when it did not; raise a `ModelError` only when no call to this model can succeed (key, quota, unknown
    model). Never raise for what a model said. Safe to call from many threads and tasks at once.
    """

    @property
    def identity(self) -> ModelIdentity: ...

    def complete(self, request: ModelRequest) -> ModelReply: ...

    async def acomplete(self, request: ModelRequest) -> ModelReply: ...


class CoverageMap(Protocol):
    """Knows every question so far, accepted or not."""

    def claim(self, ask: CoverageAsk) -> CoverageReply:
        """Return the nearest other entry and record this one, in one step, so that two workers cannot both be first.

        Idempotent by `ask.id`: a second claim with the same id gives the first answer again.
        """
        ...


class Verifier(Protocol):
    """Checks an answer by rule or by execution. Safe to call from many threads at once."""

    @property
    def kind(self) -> str:
        """The `Check.kind` it answers for."""
        ...

    @property
    def version(self) -> str:
        """Name and version for provenance, with the sandbox tier where code is run: `python/1 monty/1.4.0`."""
        ...

    @property
    def form(self) -> str:
        """How a challenger writes `check.spec`, in one or two sentences with an example."""
        ...

    def check_spec(self, check: Check) -> str | None:
        """Return why `check.spec` cannot be used, or None when it can."""
        ...

    def verify(self, check: Check, answer: str, source: str = "") -> VerifierReply:
        """Return pass, fail or error with evidence; never a default, never an exception for a bad answer.

        Args:
            check: With a spec in which `check_spec` found no fault; any other spec gives `error`.
            answer: What a solver answered.
            source: Text of the item's source, for verifiers that compare with it.
        """
        ...

    def known_wrong(self, check: Check, reference: str) -> Sequence[str]:
        """Return at least one answer that must fail, such as mutants of the reference: it shows the check can refuse."""
        ...


class RecordStore(Protocol):
    """Keeps finished items and accepted rows. Called from one event loop or thread at a time per item."""

    def finished(self, item: str) -> dict[str, Any] | None:
        """Return the JSON of the finished `ItemState`, or None when the item is not finished."""
        ...

    def finish(self, item: str, state: dict[str, Any], example: Example | None) -> bool:
        """Record a finished item, with its row when it was accepted, in one step.

        Returns:
            False when the row's id is in the store already, from another item: then the item is kept and the row is not.
        """
        ...

    def examples(self) -> Sequence[Example]:
        """Return the accepted rows in the order of their items."""
        ...


class NoCoverage:
    """A coverage map that knows equal texts, and verified questions that ask for the same; it knows no rephrase otherwise."""

    def __init__(self) -> None:
        self._first: dict[str, CoverageAsk] = {}
        self._replies: dict[str, CoverageReply] = {}

    def claim(self, ask: CoverageAsk) -> CoverageReply:
        if ask.id in self._replies:
            return self._replies[ask.id]
        folded = " ".join(ask.text.casefold().split())
        first = self._first.setdefault(folded, ask)
        if "fact" in ask.meta:  # worded otherwise, it asks for the same
            fact = self._first.setdefault(f"fact {ask.meta['fact']}", ask)
            first = fact if first.id == ask.id else first
        same = CoverageReply(similarity=1.0, nearest=first.id, text=first.text)
        reply = CoverageReply() if first.id == ask.id else same
        self._replies[ask.id] = reply
        return reply


class MemoryStore:
    """A record store without a disk, for apps that keep the rows themselves."""

    def __init__(self) -> None:
        self._items: dict[str, dict[str, Any]] = {}
        self._examples: dict[str, Example] = {}
        self._kept: dict[str, bool] = {}

    def finished(self, item: str) -> dict[str, Any] | None:
        return copy.deepcopy(self._items.get(item))

    def finish(self, item: str, state: dict[str, Any], example: Example | None) -> bool:
        if item not in self._items:  # what is finished stays as it was finished
            self._items[item] = copy.deepcopy(state)
            kept = example and self._examples.setdefault(example.id, example)
            self._kept[item] = kept is None or kept.provenance.item == item
        return self._kept[item]

    def examples(self) -> Sequence[Example]:
        return tuple(self._examples.values())
