"""What to do about what is lacking, in sentences for people who did not write the recipe. Decides nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from pydantic import StrictStr

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
_WHAT_TO_DO = {
    _NOT_ASKED: "Nobody asked for these yet.",
    _TOO_FEW: "What was asked was mostly kept; more questions would fill it. Raise examples_per_source.",
    ReasonKind.TOO_EASY: "The weak model manages most of these. Have harder ones written, or want fewer of them.",
    ReasonKind.FAILED_STRONG: "The strong model fails, too. See whether the documents hold the answers, or take a stronger one.",
    ReasonKind.FAILED_QUALITY: "The quality check refuses most of these. refused.jsonl says why, question by question.",
    ReasonKind.FORMAT: "The challenger's replies could not be read. Give it more max_tokens, or take another model.",
    ReasonKind.INFRA: "Models gave no answer. Run the same command again.",
    ReasonKind.DUPLICATE: "New questions repeat what exists: these documents are asked out. Add documents, or want fewer.",
    ReasonKind.LEAK: "Question or context gives the answer away. Say so in the challenger's text.",
    ReasonKind.UNSAFE: "Safety rules refuse most of these. See whether the documents belong in this data set.",
    ReasonKind.BUDGET: "The budget ended before these were done. Run the same command with more.",
}
_NEXT = {
    True: " The next batch goes there by itself.",
    False: " This run was not steered: steer = true under [coverage] sends the next questions there.",
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
    gaps: Iterable[Gap], refused: Mapping[Cell, Mapping[str, int]], *, steered: bool = False
) -> tuple[Advice, ...]:
    """Return what to do about gaps, what would fill most first. Gaps with one cause are taken together.

    Args:
        gaps: As they are ranked.
        refused: By cell without difficulty: refused questions by the kind of their first reason.
        steered: Batches are planned from the gaps.
    """
    found: dict[str, list[Gap]] = {}
    for gap in gaps:
        found.setdefault(_cause(gap, refused.get(gap.cell.pair, {})), []).append(gap)
    made = [
        Advice(
            cells=tuple(gap.cell for gap in these),
            missing=sum(gap.missing for gap in these),
            cause=cause,
            text=_WHAT_TO_DO[cause] + (_NEXT[steered] if cause == _NOT_ASKED else ""),
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
