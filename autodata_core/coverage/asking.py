"""What became of the items that were asked for a cell. Why a gap stays open follows from it; what to do is in `advising`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from pydantic import Field, StrictBool, StrictInt, StrictStr

from autodata_core.coverage.cells import ANY, Cell
from autodata_core.records import ReasonKind, Record

__all__ = ["Asked", "Course", "Outcome", "count_asked"]


class Outcome(Record):
    """One item that was asked for a cell, with what became of it."""

    wanted: Cell
    status: StrictStr = "open"
    """As of the item; `open` while it is not finished."""
    came: tuple[Cell, ...] = ()
    """Where its questions lie, in order; that of a kept row is the last and has its difficulty."""
    reason: StrictStr = ""
    """Kind of the first reason against its last question; empty for a kept one."""


class Asked(Record):
    """What became of all items that were asked for one cell; each item counts once."""

    items: StrictInt = 0
    kept: StrictInt = 0
    """Gave the cell a row."""
    other_type: dict[StrictStr, StrictInt] = Field(default_factory=dict)
    """By the question type that came instead, kept or not: no question of such an item was of the type asked for."""
    other_band: dict[StrictStr, StrictInt] = Field(default_factory=dict)
    """By the difficulty that was measured instead: kept, of the right type."""
    skipped: StrictInt = 0
    """The challenger found nothing to ask."""
    refused: dict[StrictStr, StrictInt] = Field(default_factory=dict)
    """By kind of the first reason against the last question; `FORMAT` for replies that cannot be read."""
    pending: StrictInt = 0
    """Planned and not finished."""

    @property
    def done(self) -> int:
        """Items that are finished."""
        return self.items - self.pending


class Course(Record):
    """How far a run is: what a gap can still hope for."""

    items: StrictInt = 0
    """Items the run has in all."""
    done: dict[StrictStr, StrictInt] = Field(default_factory=dict)
    """Finished items by status."""
    finished: StrictBool = False
    """Nothing is left to ask: neither the items planned so far nor later batches."""
    exploring: StrictInt = 0
    """Items that were left to their sources."""
    most_per_source: StrictInt | None = None
    used_up: tuple[StrictStr, ...] = ()
    """Topics all of whose sources gave as many items as one may."""


def count_asked(outcomes: Iterable[Outcome]) -> dict[Cell, Asked]:
    """Return, by cell, what became of the items that were asked for it."""
    tallies: dict[Cell, _Tally] = {}
    for one in outcomes:
        tallies.setdefault(one.wanted, _Tally()).add(one)
    return {cell: tally.asked() for cell, tally in tallies.items()}


class _Tally:
    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._named: Mapping[str, Counter[str]] = {name: Counter() for name in ("other_type", "other_band", "refused")}

    def add(self, one: Outcome) -> None:
        self._counts["items"] += 1
        other = _other_type(one)
        if one.status == "open":
            self._counts["pending"] += 1
        elif other:
            self._named["other_type"][other] += 1
        elif one.status == "accepted" and not one.reason and one.came:
            if one.wanted.holds(one.came[-1]):
                self._counts["kept"] += 1
            else:
                self._named["other_band"][one.came[-1].band] += 1
        elif one.status == "skipped":
            self._counts["skipped"] += 1
        else:
            self._named["refused"][one.reason or ReasonKind.FAILED_QUALITY.value] += 1

    def asked(self) -> Asked:
        return Asked(**self._counts, **{name: dict(counts) for name, counts in self._named.items()})


def _other_type(one: Outcome) -> str:
    """Return the question type that came in place of the one asked for, empty when that one came or nothing did."""
    types = [cell.question_type for cell in one.came]
    if not types or one.wanted.question_type in (ANY, *types):
        return ""
    return types[-1]
