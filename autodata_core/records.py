"""The values that flow through the loop: source → candidate → attempts → verdict → row. All frozen, all plain JSON.

Rules about these values (scores, acceptance, shapes) do not live here.
"""

from __future__ import annotations

import hashlib
import json
from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, StrictStr, ValidationError

from autodata_core.errors import RecordError, SourceError, shorten

__all__ = [
    "SCHEMA_VERSION",
    "Aim",
    "Attempt",
    "Candidate",
    "Check",
    "Criterion",
    "Example",
    "FinishReason",
    "Message",
    "ModelIdentity",
    "Opinion",
    "Outcome",
    "Provenance",
    "Reason",
    "ReasonKind",
    "Record",
    "Role",
    "Round",
    "Scores",
    "Shadow",
    "Source",
    "SourceRef",
    "Statement",
    "Usage",
    "Verdict",
    "canonical_json",
    "fingerprint",
    "fold_type",
]

SCHEMA_VERSION = 1
"""Version of the records on disk. A reader refuses a newer one."""

Role = Literal[
    "challenger",
    "check",
    "weak",
    "strong",
    "judge",
    "critic_logic",
    "critic_factuality",
    "critic_format",
    "critic_safety",
    "advocate",
    "opponent",
    "arbiter",
    "study",
    "analyzer",
    "implementer",
]
"""Who is asked. `check` is the quality check, `weak` and `strong` are the solvers; `advocate`, `opponent` and `arbiter` debate a
row; `study` reads what a batch taught; `analyzer` and `implementer` rewrite the recipe."""

FinishReason = Literal["stop", "length", "content_filter", "unknown"]
"""Why a model stopped, as the provider said. `length` means the reply is cut."""

Outcome = Literal["pending", "scored", "invalid", "infra"]
"""What became of an attempt. Only `scored` counts; `invalid` and `infra` are never difficulty."""

Count = Annotated[StrictInt, Field(ge=0, le=10**15)]


def canonical_json(value: Any) -> str:
    """Return `value` as the one JSON text that stands for it: sorted keys, no spaces, ASCII, no NaN."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def fingerprint(value: Any) -> str:
    """Return the SHA-256 of `canonical_json(value)`, 64 hexadecimal characters."""
    return hashlib.sha256(canonical_json(value).encode("ascii")).hexdigest()


class Record(BaseModel):
    """Base of every value: frozen, no unknown key, no NaN."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values (dict, list, str, int, float, bool, None)."""
        return self.model_dump(mode="json")

    @classmethod
    def from_json(cls, value: Any) -> Self:
        """Return the record that `to_json` wrote.

        Raises:
            RecordError: `value` does not have the record's form.
        """
        try:
            return cls.model_validate(value)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"]) or "the value itself"
            raise RecordError(
                f"{cls.__name__} cannot be read: {where}: {first['msg']}, got {shorten(first['input'])}."
            ) from error


class Source(Record):
    """One document, or one part of it, that examples are grounded in."""

    id: StrictStr = Field(min_length=1, max_length=200)
    """Stable name, unique in a run; for files the path relative to the recipe's folder."""
    text: StrictStr = Field(min_length=1)
    """The text a challenger reads. Valid Unicode."""
    sha256: StrictStr = Field(pattern=r"^[0-9a-f]{64}$")
    """Hash of `text` in UTF-8."""
    licence: StrictStr | None = None
    """SPDX name or free text, None when nobody said."""
    meta: dict[str, Any] = Field(default_factory=dict)
    """What the loader knew besides: path, line number, title. Plain JSON."""

    @classmethod
    def create(cls, text: str, *, id: str = "", licence: str | None = None, meta: dict[str, Any] | None = None) -> Self:
        """Return a source for `text`; without `id` its name is the start of its hash.

        Raises:
            SourceError: The text is empty or only white space: there is nothing to ground a question in. Or id, licence or
            meta have another form.
        """
        clean = text.encode("utf-8", "replace").decode("utf-8")
        if not clean.strip():
            raise SourceError(f"Source {id!r} is empty. Give it text, or take it out of the sources.")
        digest = hashlib.sha256(clean.encode()).hexdigest()
        made = {"id": id or f"source-{digest[:12]}", "text": clean, "sha256": digest, "licence": licence}
        try:
            return cls.from_json({**made, "meta": {} if meta is None else meta})
        except RecordError as error:
            raise SourceError(str(error)) from error

    @classmethod
    def from_input(cls, value: Any) -> Self:
        """Return a source from what a user passes: a `Source`, its JSON, `{"text": ...}` or plain text.

        Raises:
            SourceError: It is none of these, or the given hash does not fit the text.
        """
        if isinstance(value, cls):
            return value
        if isinstance(value, str):
            return cls.create(value)
        if not isinstance(value, dict) or not isinstance(value.get("text"), str):
            raise SourceError(f"A source is a mapping with a 'text', or plain text; got {shorten(value)}.")
        unknown = sorted(set(value) - {"id", "text", "sha256", "licence", "meta"})
        if unknown:
            raise SourceError(f"A source has no key {unknown[0]!r}. Put what is not id, text or licence under 'meta'.")
        made = cls.create(value["text"], id=value.get("id") or "", licence=value.get("licence"), meta=value.get("meta"))
        if value.get("sha256") not in (None, made.sha256):
            raise SourceError(f"Source {made.id!r} was changed: its sha256 does not fit its text. Load it again.")
        return made


class Criterion(Record):
    """One line of a rubric."""

    criterion: StrictStr = Field(min_length=1, max_length=2000)
    """What an answer must (or, with a negative weight, must not) contain."""
    weight: Annotated[StrictInt, Field(ge=-100, le=100)]
    """Points for meeting it; negative for a fault. Never 0."""


class Check(Record):
    """How an answer is verified without a judge."""

    kind: StrictStr = Field(min_length=1, max_length=64)
    """Name of a verifier: `number`, `text`, … or `judge` (a judge compares with the reference answer)."""
    spec: dict[str, Any] = Field(default_factory=dict)
    """What that verifier needs; see the verifier. Never shown to a solver."""


class Candidate(Record):
    """What a challenger wrote, before anybody said it is any good."""

    question_type: StrictStr = Field(min_length=1, max_length=100)
    skills: tuple[StrictStr, ...] = Field(max_length=10)
    context: StrictStr = Field(max_length=20_000)
    """What a solver is told besides the question. May be empty."""
    question: StrictStr = Field(min_length=1, max_length=10_000)
    reference_answer: StrictStr = Field(min_length=1, max_length=20_000)
    rubric: tuple[Criterion, ...] | None = None
    check: Check | None = None
    """Exactly one of `rubric` and `check` is set."""
    quote: StrictStr | None = Field(default=None, max_length=4_000)
    """A verbatim passage of the source that the answer rests on. None when the challenger gave none."""


class Usage(Record):
    """Tokens and money of one call, or the sum of several."""

    calls: Count = 0
    input_tokens: Count = 0
    output_tokens: Count = 0
    cost_usd: Annotated[float, Field(ge=0)] = 0.0
    estimated: StrictBool = False
    """True when a provider did not say and the tokens were counted or estimated here."""

    def plus(self, other: Usage) -> Usage:
        """Return the sum of both."""
        return Usage(
            calls=self.calls + other.calls,
            input_tokens=self.input_tokens + other.input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            cost_usd=self.cost_usd + other.cost_usd,
            estimated=self.estimated or other.estimated,
        )


class Message(Record):
    """One chat message, as every host sends it."""

    role: Literal["system", "user", "assistant"]
    content: StrictStr


class ModelIdentity(Record):
    """Which model was asked, with everything that can change its answers. No secrets."""

    name: StrictStr
    """As in the recipe: `provider:model`, `local:smollm2`, `program:exact`."""
    endpoint: StrictStr = ""
    """Base URL without user info, or empty for the provider's own."""
    served: StrictStr = ""
    """The model name the provider said it served, or the hash of a weights file. Empty before the first reply."""
    params: dict[str, Any] = Field(default_factory=dict)
    """Temperature, token limit and the like; `privileged: true` when a solver knows more than it is told."""


class Attempt(Record):
    """One answer of one solver to one candidate."""

    index: Count
    """Place among the attempts of this solver, from 0."""
    outcome: Outcome = "pending"
    answer: StrictStr | None = None
    """What the solver answered; None while pending or when nothing usable came."""
    marks: tuple[StrictBool, ...] | None = None
    """`marks[i]` says whether criterion `i` is met; one mark for a check. None unless scored."""
    evidence: StrictStr = ""
    """What the verifier or judge said about it, shortened. Never read back as a verdict."""
    finish_reason: FinishReason = "unknown"
    flags: tuple[StrictStr, ...] = ()
    """Sorted names: `empty`, `refusal`, `truncated`, `unreadable`, `echo`, `judge_directed`, `repetitive`, `unjudged`,
    `repeated`."""


class ReasonKind(StrEnum):
    """Why a candidate was refused."""

    TOO_EASY = "TOO_EASY"
    FAILED_STRONG = "FAILED_STRONG"
    FAILED_QUALITY = "FAILED_QUALITY"
    FORMAT = "FORMAT"
    INFRA = "INFRA"
    DUPLICATE = "DUPLICATE"
    LEAK = "LEAK"
    UNSAFE = "UNSAFE"
    BUDGET = "BUDGET"


class Reason(Record):
    """One reason against a candidate."""

    kind: ReasonKind
    stage: StrictStr
    """Where it was found: `propose`, `check`, `attempt_weak`, `attempt_strong`, `decide`, `final_check`."""
    detail: StrictStr
    """For people and for the challenger: what was measured against what was wanted."""


class Shadow(Record):
    """What another preset would have said about the same attempts."""

    accepted: StrictBool | None
    """None when it cannot be known because the strong solver was not asked."""
    reasons: tuple[ReasonKind, ...] = ()


class Verdict(Record):
    """Accepted exactly when there is no reason against."""

    policy: StrictStr
    reasons: tuple[Reason, ...] = ()
    shadow: dict[str, Shadow] = Field(default_factory=dict)
    """The same attempts under every other preset, by name. Empty when no solver was asked."""

    @property
    def accepted(self) -> bool:
        return not self.reasons


class Opinion(Record):
    """What one critic, or the arbiter of a debate, said of a candidate."""

    passed: StrictBool
    why: StrictStr = ""


class Statement(Record):
    """One turn of a debate."""

    speaker: Literal["advocate", "opponent"]
    text: StrictStr


def fold_type(name: str) -> str:
    """Return a question type as it is compared: in another case or with other separators it is the same."""
    return "".join(c for c in name.casefold() if c.isalnum())


class Aim(Record):
    """What one item is wanted for, where a run is steered by what its data set lacks. The source decides what it can carry."""

    topic: StrictStr = ""
    question_type: StrictStr = ""
    """Empty leaves it to the challenger."""
    band: Literal["hard", "medium", "easy", "any"] = "any"
    text: StrictStr = ""
    """What the challenger is told; empty when there is nothing to say."""


class Round(Record):
    """Everything that happened to one candidate of an item. Refused rounds are kept whole."""

    number: Annotated[StrictInt, Field(ge=1)]
    candidate: Candidate | None = None
    """None when no readable candidate came."""
    weak: tuple[Attempt, ...] = ()
    strong: tuple[Attempt, ...] = ()
    opinions: dict[StrictStr, Opinion] = Field(default_factory=dict)
    """By critic: `logic`, `factuality`, `format`, `safety`, and `arbiter` where it was debated."""
    debate: tuple[Statement, ...] = ()
    controls: dict[StrictStr, StrictBool] = Field(default_factory=dict)
    """By control: whether the judge (`judge.praise`, …) or the check (`check.wrong`) came out right."""
    verdict: Verdict


class Scores(Record):
    """Scores in [0, 1], in attempt order; `gap` is mean strong minus mean weak."""

    weak: tuple[float, ...]
    strong: tuple[float, ...]
    gap: float


class SourceRef(Record):
    """Which source a row rests on."""

    id: StrictStr
    sha256: StrictStr
    licence: StrictStr | None
    span: tuple[StrictInt, StrictInt] | None
    """Start and end of the quoted passage in the source text, in characters; None when nothing was quoted."""


class Provenance(Record):
    """How a row came to be. Enough to ask the same again."""

    run: StrictStr
    item: StrictStr
    created: StrictStr
    """UTC time of the deciding reply, ISO 8601."""
    recipe: StrictStr
    """Content hash of the recipe version in force."""
    protocol: StrictStr
    """Content hash of the evaluation protocol in force."""
    models: dict[str, ModelIdentity]
    prompts: dict[str, str]
    """By role: SHA-256 of the role's text; for `weak` and `strong` of the whole messages, which must be equal."""
    verifiers: tuple[str, ...]
    """What verified the answers, with its version; for code with the sandbox tier that ran it."""
    controls: dict[str, StrictBool]
    """By control: known-right and known-wrong answers that the judge or check was given for this row."""
    critics: dict[str, StrictBool]
    """By critic: whether it let the row pass. Empty where no critic was asked."""
    agreement: float | None
    """Share of the critics that agree with the majority, in [0.5, 1]; None of none."""
    flags: tuple[str, ...]
    """What was odd about source or row: `instructions`, `role_tokens`, `hidden_characters`, `personal_data:email`, …"""
    usage: dict[str, Usage]
    """By role, for the whole item with its refused rounds."""
    cost_usd: float


class Example(Record):
    """An accepted row. Every row has every key; exactly one of `rubric` and `check` is not null."""

    id: StrictStr
    domain: StrictStr
    question_type: StrictStr
    skills: tuple[StrictStr, ...]
    context: StrictStr
    question: StrictStr
    reference_answer: StrictStr
    rubric: tuple[Criterion, ...] | None
    check: Check | None
    scores: Scores
    verdict: Verdict
    round: StrictInt
    source: SourceRef
    provenance: Provenance

    @staticmethod
    def id_for(candidate: Candidate, source: Source) -> str:
        """Return the row's id: a hash of question, context, answer and source, so that equal rows have equal ids."""
        parts = [candidate.question, candidate.context, candidate.reference_answer, source.sha256]
        return "ex-" + fingerprint(parts)[:20]
