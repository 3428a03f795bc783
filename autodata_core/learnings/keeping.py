"""Which lessons are told on: the same lesson again is merged, one that is not borne out any more is retired, few are shown.

Deterministic: the same batches in the same order keep the same lessons in the same order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from autodata_core.leaks import shared_words, words_of
from autodata_core.learnings.counting import MIN_SHARE, MIN_TRIES, Figures, lessons_from
from autodata_core.learnings.record import CONFIDENCES, Confidence, Learning, Retired, StudySettings, estimate_tokens

__all__ = ["Kept", "keep", "select"]

_MOST_HELD = 16
"""Lessons in a recipe. Our number."""
_MOST_RETIRED = 32
"""Retired lessons that are remembered, the latest."""
_MOST_ITEMS = 5
_SAME_WORDS = Fraction(3, 5)
"""Share of words from which two lessons about one type are the same. Our number."""
_FADED_SHARE = 0.1
"""A written lesson may be about a rarer failure than a counted one; below this share it is about none. Our number."""


@dataclass(frozen=True)
class Kept:
    """The lessons in force, in the order of their weight, and those that were retired, oldest first."""

    learnings: tuple[Learning, ...] = ()
    retired: tuple[Retired, ...] = ()


def keep(
    held: Kept,
    noted: Sequence[Learning],
    *,
    batch: int,
    so_far: Figures,
    in_batch: Figures,
    settings: StudySettings | None = None,
    count_tokens: Callable[[str], int] = estimate_tokens,
) -> Kept:
    """Return the lessons after one more batch.

    Args:
        held: Before it.
        noted: What the study role wrote about this batch, admitted already.
        batch: Its number in the run, from 1.
        so_far: Counted over every batch of the run up to this one.
        in_batch: Counted over this one.
        settings: When a lesson is stale.
        count_tokens: Counts the tokens of a lesson as its reader's model does.
    """
    settings = settings or StudySettings()
    counted = {lesson.key: lesson for lesson in lessons_from(so_far)}
    learnings: list[Learning] = []
    retired: list[Retired] = []
    for old in held.learnings:
        again = counted.pop(old.key, None) if not old.advice else None
        lesson = _taken_up(old, again, batch, so_far, in_batch)
        gone = _retirement(lesson, batch, so_far, settings)
        if gone is None:
            learnings.append(lesson)
        else:
            retired.append(gone)
    learnings += [_begun(lesson, batch) for lesson in counted.values()]
    for new in noted:
        _merge(learnings, new, batch, so_far)
    ordered = sorted((_counted(lesson, count_tokens) for lesson in learnings), key=_weight)
    retired += [
        Retired(learning=lesson, why="crowded", detail=f"{_MOST_HELD} stronger ones are held", batch=batch)
        for lesson in ordered[_MOST_HELD:]
    ]
    back = {lesson.text for lesson in ordered[:_MOST_HELD]}
    before = [r for r in held.retired if r.learning.text not in back | {x.learning.text for x in retired}]
    return Kept(tuple(ordered[:_MOST_HELD]), tuple([*before, *retired][-_MOST_RETIRED:]))


def _begun(lesson: Learning, batch: int) -> Learning:
    return lesson.model_copy(update={"first": batch, "last": batch})


def _taken_up(old: Learning, again: Learning | None, batch: int, so_far: Figures, in_batch: Figures) -> Learning:
    """Return a held lesson with what this batch says of it."""
    update: dict[str, object] = {}
    if again is not None:
        update |= {"share": again.share, "tries": again.tries, "skills": again.skills}
    if old.kind is None:
        return old
    figures = {
        "share": so_far.share(old.question_type, old.kind),
        "tries": so_far.tries.get(old.question_type, 0),
    }
    if old.advice and figures["tries"] >= MIN_TRIES:
        update |= figures
    if in_batch.share(old.question_type, old.kind) >= (_FADED_SHARE if old.advice else MIN_SHARE):
        update |= figures | _supported(old, in_batch.items[old.question_type, old.kind], batch, "low")
    return old.model_copy(update=update) if update else old


def _supported(old: Learning, items: Sequence[str], batch: int, at_least: Confidence) -> dict[str, object]:
    """Return what changes in a lesson that a batch bears out: once a batch, whoever says so."""
    if old.last == batch:
        return {"items": _evidence(old.items, items)}
    raised = CONFIDENCES[min(CONFIDENCES.index(old.confidence) + 1, len(CONFIDENCES) - 1)]
    return {
        "items": _evidence(old.items, items),
        "support": old.support + 1,
        "confidence": max(raised, at_least, key=CONFIDENCES.index),
        "first": old.first or batch,
        "last": batch,
    }


def _evidence(old: Sequence[str], new: Sequence[str]) -> tuple[str, ...]:
    """Return some of both, the latest first."""
    return tuple(dict.fromkeys([*new, *old]))[:_MOST_ITEMS]


def _retirement(lesson: Learning, batch: int, so_far: Figures, settings: StudySettings) -> Retired | None:
    """Return why a lesson is told no more, None when it is."""
    tries = so_far.tries.get(lesson.question_type, 0)
    bound = _FADED_SHARE if lesson.advice else MIN_SHARE
    if lesson.kind is not None and tries >= MIN_TRIES:
        share = so_far.share(lesson.question_type, lesson.kind)
        if share < bound:
            detail = f"{share:.0%} of {tries} tries failed so, wanted {bound:.0%}"
            return Retired(learning=lesson, why="faded", detail=detail, batch=batch)
    if batch - lesson.last >= settings.stale_batches:
        detail = f"no batch showed it for {settings.stale_batches}"
        return Retired(learning=lesson, why="stale", detail=detail, batch=batch)
    return None


def _merge(learnings: list[Learning], new: Learning, batch: int, so_far: Figures) -> None:
    """Add a written lesson, or what it says to the lesson that says the same. The older wording stays."""
    for n, old in enumerate(learnings):
        if old.advice and old.question_type == new.question_type and _says_the_same(old.advice, new.advice):
            learnings[n] = old.model_copy(update=_supported(old, new.items, batch, new.confidence))
            return
    learnings.append(_begun(new, batch))


def _says_the_same(one: str, other: str) -> bool:
    return words_of(one) == words_of(other) or shared_words(one, other) >= _SAME_WORDS


def _counted(lesson: Learning, count_tokens: Callable[[str], int]) -> Learning:
    tokens = max(1, count_tokens(lesson.text))
    return lesson if lesson.tokens == tokens else lesson.model_copy(update={"tokens": tokens})


def _weight(lesson: Learning) -> tuple[object, ...]:
    """Order: the surest first, then by how many failures it is about, then by its words."""
    failures = lesson.tries * lesson.share
    return -CONFIDENCES.index(lesson.confidence), -failures, -lesson.support, lesson.question_type, lesson.text


def select(
    learnings: Sequence[Learning],
    max_tokens: int,
    *,
    question_types: Sequence[str] = (),
    skills: Sequence[str] = (),
) -> tuple[Learning, ...]:
    """Return the lessons for one prompt, the most relevant first, as many as fit.

    Args:
        learnings: In the order of their weight.
        max_tokens: Most tokens of them together. A lesson that does not fit is passed over for a shorter one.
        question_types: What the next question is likely to be, the likeliest first; empty when nobody knows.
        skills: What it is likely to need.
    """
    wanted_types = [" ".join(name.split()) for name in question_types]
    wanted_skills = frozenset(" ".join(skill.split()) for skill in skills)

    def relevance(lesson: Learning) -> tuple[int, int]:
        place = wanted_types.index(lesson.question_type) if lesson.question_type in wanted_types else len(wanted_types)
        return place, -len(wanted_skills.intersection(lesson.skills))

    chosen, left = [], max_tokens
    for lesson in sorted(learnings, key=relevance):
        if lesson.cost_tokens <= left:
            chosen.append(lesson)
            left -= lesson.cost_tokens
    return tuple(chosen)
