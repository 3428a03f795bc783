"""What failures taught, over many items: counts that become one sentence each, with their evidence.

A learning never holds text of a source or of a question, so it can go into another source's prompt.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from pydantic import StrictFloat, StrictInt, StrictStr

from autodata_core.records import ReasonKind, Record, Round
from autodata_core.views import LearningView

__all__ = ["Learning", "study"]

_MIN_TRIES = 4
"""Fewer tries of a question type say nothing about it. Our number."""
_MIN_SHARE = 0.5
_MAX_LEARNINGS = 8

_ADVICE = {
    ReasonKind.TOO_EASY: "the weak solver manages them; ask for more steps",
    ReasonKind.FAILED_STRONG: "the strong solver fails or the gap is small; ask something that can be settled",
    ReasonKind.FAILED_QUALITY: "the quality check refuses them; ground every figure and say what form the answer has",
    ReasonKind.LEAK: "the answer leaks into question or context; leave it out",
    ReasonKind.DUPLICATE: "they repeat what exists; take another part of the source",
    ReasonKind.FORMAT: "the reply cannot be read; keep to the schema",
}


class Learning(Record):
    """One lesson with its evidence."""

    question_type: StrictStr
    kind: ReasonKind
    share: StrictFloat
    """Share of the tries of this type that failed this way, in [0, 1]."""
    tries: StrictInt
    """Tries of this type that were looked at."""
    items: tuple[StrictStr, ...]
    """Some of the items it comes from, at most five."""

    @property
    def text(self) -> str:
        """Return the lesson as the challenger reads it."""
        return (
            f"Questions of type {self.question_type!r}: {self.share:.0%} of {self.tries} tries were {self.kind.value}; "
            f"{_ADVICE[self.kind]}."
        )

    def view(self) -> LearningView:
        return LearningView(
            text=self.text, kind=self.kind, question_type=self.question_type, share=self.share, tries=self.tries
        )


def study(items: Iterable[tuple[str, tuple[Round, ...]]]) -> tuple[Learning, ...]:
    """Return what the rounds of many items teach, the best supported first.

    Args:
        items: Item id with its rounds, accepted and refused.

    Returns:
        At most eight lessons; the same items in any order give the same lessons.
    """
    tries: Counter[str] = Counter()
    failed: Counter[tuple[str, ReasonKind]] = Counter()
    evidence: dict[tuple[str, ReasonKind], set[str]] = {}
    for item, rounds in items:
        for round_ in rounds:
            if round_.candidate is None:
                continue
            question_type = " ".join(round_.candidate.question_type.split())[:60]
            tries[question_type] += 1
            for kind in {reason.kind for reason in round_.verdict.reasons} & set(_ADVICE):
                failed[question_type, kind] += 1
                evidence.setdefault((question_type, kind), set()).add(item)
    lessons = [
        Learning(
            question_type=question_type,
            kind=kind,
            share=round(count / tries[question_type], 4),
            tries=tries[question_type],
            items=tuple(sorted(evidence[question_type, kind])[:5]),
        )
        for (question_type, kind), count in failed.items()
        if tries[question_type] >= _MIN_TRIES and count / tries[question_type] >= _MIN_SHARE
    ]
    lessons.sort(key=lambda lesson: (-lesson.tries * lesson.share, lesson.question_type, lesson.kind))
    return tuple(lessons[:_MAX_LEARNINGS])
