"""Where more tries would only repeat what exists: a duplicate rate that is high and does not fall."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from fractions import Fraction

from pydantic import StrictBool, StrictFloat, StrictInt

from autodata_core.coverage.cells import Cell
from autodata_core.records import Record

__all__ = ["Repeats", "Saturation", "saturated_cells", "saturation"]

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


class Repeats:
    """Counts tries per cell as they come, in the order of the plan; difficulty is left out of the cell.

    Args:
        window: How many tries are recent; with fewer in all nothing is called saturated.
        share: Of duplicates among them, from which a cell is saturated.
    """

    def __init__(self, window: int = _WINDOW, share: Fraction = _SHARE) -> None:
        self._window, self._share = window, share
        self._cells: dict[Cell, tuple[list[int], deque[bool]]] = {}

    def note(self, cell: Cell, duplicate: bool) -> None:
        """Take up one try."""
        pair = cell if cell.band == "any" else cell.pair
        if pair not in self._cells:
            self._cells[pair] = ([0, 0], deque())
        earlier, last = self._cells[pair]
        last.append(duplicate)
        if len(last) > self._window:
            earlier[0] += 1
            earlier[1] += last.popleft()

    def saturation(self) -> tuple[Saturation, ...]:
        """Return how full each cell is, sorted by cell."""
        return tuple(self._judge(cell) for cell in sorted(self._cells, key=lambda cell: cell.order))

    def _judge(self, cell: Cell) -> Saturation:
        (tries, duplicates), last = self._cells[cell]
        before, recent = _rate(duplicates, tries), _rate(sum(last), len(last))
        return Saturation(
            cell=cell,
            tries=tries + len(last),
            duplicates=duplicates + sum(last),
            before=round(float(before), 6),
            recent=round(float(recent), 6),
            saturated=len(last) >= self._window and recent >= self._share and recent >= before,
        )


def saturation(
    tries: Iterable[tuple[Cell, bool]], *, window: int = _WINDOW, share: Fraction = _SHARE
) -> tuple[Saturation, ...]:
    """Return how full each cell is, sorted by cell; see `Repeats`.

    Args:
        tries: Cell and whether the question was a duplicate, in the order of the plan.
        window: How many tries are recent.
        share: Of duplicates among them, from which a cell is saturated.
    """
    repeats = Repeats(window, share)
    for cell, duplicate in tries:
        repeats.note(cell, duplicate)
    return repeats.saturation()


def saturated_cells(found: Iterable[Saturation]) -> frozenset[Cell]:
    """Return the cells that are full."""
    return frozenset(line.cell for line in found if line.saturated)


def _rate(part: int, whole: int) -> Fraction:
    return Fraction(part, whole) if whole else Fraction(0)
