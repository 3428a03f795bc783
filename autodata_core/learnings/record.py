"""One lesson with its evidence, one that was retired with the reason, and the settings of the study. Rules are elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field, StrictFloat, StrictInt, StrictStr

from autodata_core.prompts.study_texts import STUDY_TEXT
from autodata_core.records import ReasonKind, Record
from autodata_core.views import LearningView

__all__ = [
    "ADVICE",
    "CONFIDENCES",
    "MAX_ADVICE_CHARS",
    "Confidence",
    "Learning",
    "Retired",
    "StudySettings",
    "estimate_tokens",
]

Confidence = Literal["low", "medium", "high"]
CONFIDENCES: tuple[Confidence, ...] = ("low", "medium", "high")
"""In [0, 1] as thirds; no finer, since nobody can say it finer."""

MAX_ADVICE_CHARS = 300

ADVICE: Mapping[ReasonKind, str] = {
    ReasonKind.TOO_EASY: "the weak solver manages them; ask for more steps",
    ReasonKind.FAILED_STRONG: "the strong solver fails or the gap is small; ask something that can be settled",
    ReasonKind.FAILED_QUALITY: "the quality check refuses them; ground every figure and say what form the answer has",
    ReasonKind.LEAK: "the answer leaks into question or context; leave it out",
    ReasonKind.DUPLICATE: "they repeat what exists; take another part of the source",
    ReasonKind.FORMAT: "the reply cannot be read; keep to the schema",
}
"""By kind of refusal: what a challenger can do about it. Kinds that are not its doing are not here."""


def estimate_tokens(text: str) -> int:
    """Return a number of tokens for when nobody counts them: four characters each."""
    return (len(text) + 3) // 4


class StudySettings(Record):
    """How a run learns. Part of a recipe."""

    mode: Literal["rules", "model"] = "rules"
    """`rules` counts; `model` also lets the study role read the failures of each batch."""
    text: StrictStr = Field(default=STUDY_TEXT, min_length=1)
    """Instructions of the study role."""
    max_tokens: Annotated[StrictInt, Field(ge=50, le=4_000)] = 400
    """Most tokens of learnings in one prompt."""
    stale_batches: Annotated[StrictInt, Field(ge=1, le=1_000)] = 6
    """Batches without support after which a learning is retired. Our number."""


class Learning(Record):
    """One lesson with its evidence."""

    question_type: StrictStr = ""
    """Type of question it is about; empty for all."""
    kind: ReasonKind | None = None
    """The failure it is about, as counted; None where none stands out."""
    share: StrictFloat = 0.0
    """Share of the tries of this type that failed this way, in [0, 1]."""
    tries: StrictInt = 0
    """Tries of this type that were looked at."""
    items: tuple[StrictStr, ...] = ()
    """Some of the items it comes from, at most five."""
    advice: StrictStr = Field(default="", max_length=MAX_ADVICE_CHARS)
    """What the study role wrote; empty for a lesson that was counted."""
    skills: tuple[StrictStr, ...] = Field(default=(), max_length=3)
    """Skills of the questions it comes from, the most frequent first. Never in a prompt."""
    confidence: Confidence = "low"
    support: StrictInt = 1
    """Batches that showed it."""
    first: StrictInt = 0
    """Batch of this run that showed it first, from 1; 0 when only earlier runs did."""
    last: StrictInt = 0
    """Batch of this run that showed it last; 0 when only earlier runs did."""
    runs: tuple[StrictStr, ...] = ()
    """Earlier runs that it comes from."""
    tokens: StrictInt = 0
    """Of its text, as counted when it was made; 0 when nobody counted."""

    @property
    def text(self) -> str:
        """Return the lesson as the challenger reads it."""
        if self.advice or self.kind is None:
            return self.advice
        return (
            f"Questions of type {self.question_type!r}: {self.share:.0%} of {self.tries} tries were {self.kind.value}; "
            f"{ADVICE.get(self.kind, 'try another angle')}."
        )

    @property
    def key(self) -> tuple[str, str]:
        """Return what a counted lesson is about; lessons of the study role are compared by their words as well."""
        return self.question_type, self.kind.value if self.kind else ""

    @property
    def cost_tokens(self) -> int:
        """Return what its line costs in a prompt."""
        return self.tokens or estimate_tokens(self.text)

    def view(self) -> LearningView:
        return LearningView(
            text=self.text,
            kind=self.kind,
            question_type=self.question_type,
            share=self.share,
            tries=self.tries,
            written=bool(self.advice),
        )


class Retired(Record):
    """A lesson that is told no more."""

    learning: Learning
    why: Literal["faded", "stale", "crowded"]
    """`faded`: its failures became rare; `stale`: nothing showed it for long; `crowded`: stronger ones took its place."""
    detail: StrictStr
    """What was measured."""
    batch: StrictInt
    """Batch of this run after which it was retired."""
