"""Where more tries would only repeat what exists: a duplicate rate that is high and does not fall."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction

from pydantic import StrictBool, StrictFloat, StrictInt

from autodata_core.coverage.cells import Cell
from autodata_core.records import Record

__all__ = ["Saturation", "saturated_cells", "saturation"]

_WINDOW = 8
_SHARE = Fraction(1, 2)
"""Ours: a cell is full when half of its last eight tries repeated something, and no fewer than before."""


class Saturation(Record):
    """How often tries in one cell repeated what existed."""

    cell: Cell
    tries: StrictInt
    duplicates: StrictInt
    before: StrictFloat
    """Share of duplicates among all tries but the last few, in [0, 1]."""
    recent: StrictFloat
    """The same among the last few."""
    saturated: StrictBool


def saturation(
    tries: Iterable[tuple[Cell, bool]], *, window: int = _WINDOW, share: Fraction = _SHARE
) -> tuple[Saturation, ...]:
    """Return how full each cell is, sorted by cell.

    Args:
        tries: Cell and whether the question was a duplicate, in the order of the plan; difficulty is left out of the cell.
        window: How many tries are recent; with fewer in all nothing is called saturated.
        share: Of duplicates among them, from which a cell is saturated.
    """
    by_cell: dict[Cell, list[bool]] = {}
    for cell, duplicate in tries:
        by_cell.setdefault(cell.pair, []).append(duplicate)
    return tuple(_judge(cell, by_cell[cell], window, share) for cell in sorted(by_cell, key=lambda cell: cell.order))


def saturated_cells(found: Iterable[Saturation]) -> frozenset[Cell]:
    """Return the cells that are full."""
    return frozenset(line.cell for line in found if line.saturated)


def _judge(cell: Cell, outcomes: list[bool], window: int, share: Fraction) -> Saturation:
    earlier, last = outcomes[:-window], outcomes[-window:]
    before, recent = _rate(earlier), _rate(last)
    return Saturation(
        cell=cell,
        tries=len(outcomes),
        duplicates=sum(outcomes),
        before=round(float(before), 6),
        recent=round(float(recent), 6),
        saturated=len(outcomes) >= window and recent >= share and recent >= before,
    )


def _rate(outcomes: list[bool]) -> Fraction:
    return Fraction(sum(outcomes), len(outcomes)) if outcomes else Fraction(0)
