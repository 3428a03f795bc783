"""Marks × rubric → score, with exact arithmetic. Whether a score is good enough is in `acceptance`."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from autodata_core.errors import RecordError
from autodata_core.records import Attempt, Criterion

__all__ = ["attempt_score", "mean", "score"]


def score(rubric: Sequence[Criterion], marks: Sequence[bool]) -> Fraction:
    """Return the share of the positive weight that an answer earned, faults taken off.

    Args:
        rubric: Criteria with integer weights; negative ones are faults.
        marks: `marks[i]` is True when criterion `i` is met (or fault `i` was made).

    Returns:
        `clip(Σ wᵢ·markᵢ / Σ positive w, 0, 1)`, exact.

    Raises:
        RecordError: Another number of marks than criteria, or no positive weight.

    Source:
        Autodata (arXiv 2606.25996) section 4; the clipping follows PRBench, the paper leaves it open.
    """
    if len(marks) != len(rubric):
        raise RecordError(f"A rubric of {len(rubric)} criteria needs as many marks, got {len(marks)}.")
    best = sum(c.weight for c in rubric if c.weight > 0)
    if best <= 0:
        raise RecordError("The rubric has no positive weight; a score needs one. Give a criterion a weight above 0.")
    earned = sum(c.weight for c, mark in zip(rubric, marks, strict=True) if mark)
    return Fraction(min(max(earned, 0), best), best)


def attempt_score(attempt: Attempt, rubric: Sequence[Criterion] | None) -> Fraction:
    """Return the score of a scored attempt: by the rubric, or 0 or 1 where a check was used.

    Raises:
        RecordError: The attempt was not scored. An unscored attempt is not a zero.
    """
    if attempt.outcome != "scored" or attempt.marks is None:
        raise RecordError(f"Attempt {attempt.index} is {attempt.outcome}, so it has no score.")
    if rubric is not None:
        return score(rubric, attempt.marks)
    if len(attempt.marks) != 1:
        raise RecordError(f"A verified attempt has one mark, got {len(attempt.marks)}.")
    return Fraction(int(attempt.marks[0]))


def mean(scores: Sequence[Fraction]) -> Fraction:
    """Return the exact mean of at least one score."""
    if not scores:
        raise RecordError("The mean of no scores is not defined; ask at least one attempt.")
    return sum(scores, Fraction(0)) / len(scores)
