"""What the data set lacks, ranked, and whether a batch closed it. How the next batch is chosen is in `planning`."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from fractions import Fraction

from pydantic import Field, StrictBool, StrictInt

from autodata_core.coverage.cells import Cell, have
from autodata_core.records import Record

__all__ = ["Closing", "Gap", "gaps", "measure"]


_VAIN = 4
"""Ours: so many items in vain weigh as much as a row."""


class Gap(Record):
    """A cell that has fewer rows than it should."""

    cell: Cell
    have: StrictInt = Field(ge=0)
    target: StrictInt = Field(ge=1)
    saturated: StrictBool = False
    """What is asked here repeats what exists; more tries would be paid for nothing."""
    vain: StrictInt = Field(default=0, ge=0)
    """Items asked for it since the last one that gave it a row."""

    @property
    def missing(self) -> int:
        return max(0, self.target - self.have)

    @property
    def filled(self) -> Fraction:
        """Share of the target that is there, in [0, 1]."""
        return min(Fraction(self.have, self.target), Fraction(1))

    @property
    def standing(self) -> Fraction:
        """Place in the queue, the lowest first: how full it is, where four items in vain count as one row.

        A cell that nothing fills falls behind those that can be filled, and comes back when they are full.
        """
        return self.filled + Fraction(self.vain, _VAIN * self.target)


class Closing(Record):
    """What became of gaps between two looks."""

    closed: tuple[Cell, ...] = ()
    narrowed: tuple[Cell, ...] = ()
    unchanged: tuple[Cell, ...] = ()
    opened: tuple[Cell, ...] = ()
    """Lacking now and not before: the targets changed."""
    filled_before: float
    """Share of the missing rows' targets that was there, in [0, 1]; 1 without gaps."""
    filled_after: float

    def __str__(self) -> str:
        return (
            f"{len(self.closed)} gaps closed, {len(self.narrowed)} narrowed, {len(self.unchanged)} as before"
            f"{f', {len(self.opened)} new' if self.opened else ''}; {self.filled_before:.0%} → {self.filled_after:.0%} filled"
        )


def gaps(
    counts: Mapping[Cell, int],
    targets: Mapping[Cell, int],
    saturated: Container[Cell] = frozenset(),
    vain: Mapping[Cell, int] | None = None,
) -> tuple[Gap, ...]:
    """Return the cells below their target by their standing, among equals the one that lacks most; saturated ones last.

    Args:
        counts: Accepted rows per cell.
        targets: Rows wanted per cell; a cell of `any` takes all that it holds.
        saturated: Cells without difficulty (`Cell.pair`) where tries repeat what exists.
        vain: Items asked for a cell since its last row.
    """
    vain = vain or {}
    found = [
        Gap(cell=cell, have=there, target=target, saturated=cell.pair in saturated, vain=vain.get(cell, 0))
        for cell, target in targets.items()
        if (there := have(counts, cell)) < target
    ]
    return tuple(sorted(found, key=lambda gap: (gap.saturated, gap.standing, -gap.missing, gap.cell.order)))


def measure(before: Sequence[Gap], after: Sequence[Gap]) -> Closing:
    """Return whether the gaps of one look were closed by the next."""
    then = {gap.cell: gap for gap in before}
    now = {gap.cell: gap for gap in after}
    common = [cell for cell in then if cell in now]
    narrowed = tuple(cell for cell in common if now[cell].missing < then[cell].missing)
    wanted = sum(gap.target for gap in before)
    still = sum(min(now[cell].missing, gap.target) for cell, gap in then.items() if cell in now)
    return Closing(
        closed=tuple(cell for cell in then if cell not in now),
        narrowed=narrowed,
        unchanged=tuple(cell for cell in common if cell not in set(narrowed)),
        opened=tuple(cell for cell in now if cell not in then),
        filled_before=_share(sum(gap.have for gap in before), wanted),
        filled_after=_share(wanted - still, wanted),
    )


def _share(part: int, whole: int) -> float:
    return round(part / whole, 6) if whole else 1.0
