"""What to do about what is lacking, in sentences for people who did not write the recipe. Decides nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from pydantic import StrictStr

from autodata_core.coverage.asking import Asked, Course
from autodata_core.coverage.cells import Cell
from autodata_core.coverage.lacking import Gap
from autodata_core.records import ReasonKind, Record

__all__ = ["KINDS", "Advice", "advise", "kinds_text"]

KINDS: Mapping[str, str] = {
    ReasonKind.TOO_EASY: "too easy for the weak model",
    ReasonKind.FAILED_STRONG: "not solved by the strong model",
    ReasonKind.FAILED_QUALITY: "refused by the quality check",
    ReasonKind.FORMAT: "not readable",
    ReasonKind.INFRA: "left without an answer",
    ReasonKind.DUPLICATE: "repeating a question that exists",
    ReasonKind.LEAK: "giving their answer away",
    ReasonKind.UNSAFE: "against a safety rule",
    ReasonKind.BUDGET: "cut off by the budget",
}
"""Why a question was refused, behind a number: `12 too easy for the weak model`."""

_NOT_ASKED = "not_asked"
_TOO_FEW = "too_few"
_WAITING = "waiting"
_OTHER_TYPE = "other_type"
_OTHER_BAND = "other_band"
_SKIPPED = "skipped"
_USED_UP = "used_up"
_WHAT_TO_DO = {
    _WAITING: "Items are planned for these and not done yet. Run the same command again.",
    _OTHER_TYPE: "The challenger writes another type of question than it is asked for. Say in its text what these types are, "
    "take another model, or drop them from question_types.",
    _OTHER_BAND: "The questions are kept, but come out as another difficulty than the one wanted. "
    "Want what the weak model shows, or change it.",
    _SKIPPED: "The challenger skips these documents: it finds nothing to ask. See whether they fit the domain, add others, "
    "or want fewer rows of the topic.",
    ReasonKind.TOO_EASY: "The weak model manages most of these. Have harder ones written, or want fewer of them.",
    ReasonKind.FAILED_STRONG: "The strong model fails, too. See whether the documents hold the answers, or take a stronger one.",
    ReasonKind.FAILED_QUALITY: "The quality check refuses most of these. refused.jsonl says why, question by question.",
    ReasonKind.FORMAT: "The challenger's replies could not be read; refused.jsonl says why. "
    "Give it more max_tokens, or take another model.",
    ReasonKind.INFRA: "Models gave no answer. Run the same command again.",
    ReasonKind.DUPLICATE: "New questions repeat what exists: these documents are asked out. Add documents, or want fewer.",
    ReasonKind.LEAK: "Question or context gives the answer away. Say so in the challenger's text.",
    ReasonKind.UNSAFE: "Safety rules refuse most of these. See whether the documents belong in this data set.",
    ReasonKind.BUDGET: "The budget ended before these were done. Run the same command with more.",
}
_MOSTLY_KEPT = 2
"""Ours: a cell in which at least one of two tries is kept lacks tries, not better questions."""


class Advice(Record):
    """One thing to do, and where."""

    cells: tuple[Cell, ...]
    """The most lacking first."""
    missing: int
    """Rows that all of them lack."""
    cause: StrictStr
    """Kind of reason, `not_asked` or `too_few`."""
    text: StrictStr


def advise(
    gaps: Iterable[Gap],
    refused: Mapping[Cell, Mapping[str, int]],
    *,
    steered: bool = False,
    asked: Mapping[Cell, Asked] | None = None,
    course: Course | None = None,
) -> tuple[Advice, ...]:
    """Return what to do about gaps, what would fill most first. Gaps with one cause are taken together.

    Args:
        gaps: As they are ranked.
        refused: By cell without difficulty: refused questions by the kind of their first reason.
        steered: Batches are planned from the gaps.
        asked: What became of the items asked for each cell; of a steered run.
        course: How far the run is; None for a run that goes on.
    """
    found: dict[str, list[Gap]] = {}
    course = course or Course()
    for gap in gaps:
        if steered and asked is not None:
            cause = _cause_of_asked(gap, asked.get(gap.cell, Asked()), course)
        else:
            cause = _cause(gap, refused.get(gap.cell.pair, {}))
        found.setdefault(cause, []).append(gap)
    made = [
        Advice(
            cells=tuple(gap.cell for gap in these),
            missing=sum(gap.missing for gap in these),
            cause=cause,
            text=_text(cause, steered, course),
        )
        for cause, these in found.items()
    ]
    return tuple(sorted(made, key=lambda advice: -advice.missing))


def kinds_text(counts: Mapping[str, int], most: int = 3) -> str:
    """Return refusals in words, the commonest first; empty of none."""
    ranked = sorted(Counter(counts).items(), key=lambda pair: (-pair[1], pair[0]))
    shown = [f"{n} {KINDS.get(kind, kind)}" for kind, n in ranked[:most]]
    rest = sum(n for _, n in ranked[most:])
    return ", ".join([*shown, f"{rest} for other reasons"] if rest else shown)


def _cause(gap: Gap, refused: Mapping[str, int]) -> str:
    if gap.saturated:
        return ReasonKind.DUPLICATE.value
    tried = gap.have + sum(refused.values())
    if not tried:
        return _NOT_ASKED
    if not refused or gap.have * _MOSTLY_KEPT >= tried:
        return _TOO_FEW
    known = {kind: n for kind, n in refused.items() if kind in KINDS}
    return max(sorted(known), key=lambda kind: known[kind]) if known else _TOO_FEW


def _cause_of_asked(gap: Gap, asked: Asked, course: Course) -> str:
    """Return why a gap of a steered run is open, from what became of the items that were asked for it."""
    if gap.saturated:
        return ReasonKind.DUPLICATE.value
    against = Counter({kind: n for kind, n in asked.refused.items() if kind in KINDS})
    against[_OTHER_TYPE] = sum(asked.other_type.values())
    against[_OTHER_BAND] = sum(asked.other_band.values())
    against[_SKIPPED] = asked.skipped
    if against.total() and asked.kept * _MOSTLY_KEPT < asked.done:
        return max(sorted(against), key=lambda cause: against[cause])
    if asked.pending:
        return _WAITING
    if gap.cell.topic in course.used_up:
        return _USED_UP
    return _TOO_FEW if asked.done else _NOT_ASKED


def _text(cause: str, steered: bool, course: Course) -> str:
    """Return what to do; what can still come by itself is promised only while the run goes on."""
    if cause == _USED_UP:
        each = f", {course.most_per_source} of each" if course.most_per_source is not None else ""
        return (
            f"Every document of these topics gave as many items as it may{each}. "
            "Raise most_per_source, add documents, or want fewer."
        )
    if cause not in (_NOT_ASKED, _TOO_FEW):
        return _WHAT_TO_DO[cause]
    first = (
        "Nobody asked for these yet."
        if cause == _NOT_ASKED
        else "What was asked was mostly kept; more items would fill it."
    )
    if not steered:
        return f"{first} This run was not steered: steer = true under [coverage] sends questions there."
    if not course.finished:
        return f"{first} The next batch goes there by itself."
    left = (
        f" {course.exploring:,} of them were left to their documents: lower exploration under [coverage]."
        if course.exploring
        else ""
    )
    return (
        f"{first} The {course.items:,} items of this run are used up.{left} "
        "A larger examples_per_source asks for more rows of everything, these included."
    )
