"""Which row each line of a gold file is about. A line that may be about two rows, or against another line, is an error."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from autodata_core.audit.gold import GoldLine, Label
from autodata_core.audit.rows import AuditRow
from autodata_core.errors import RecordError, shorten

__all__ = ["GoldFigures", "match_gold"]


@dataclass(frozen=True)
class GoldFigures:
    """What became of a gold file."""

    labels: Mapping[int, Label]
    """By line of the data."""
    unmatched: tuple[str, ...] = ()
    """Gold lines that name no row of the data."""
    without: tuple[str, ...] = ()
    """Ids of rows that have no gold line."""
    unlabelled: tuple[str, ...] = ()
    """Ids of rows whose label is still null."""
    repeated: int = 0
    """Gold lines that say what an earlier one said."""
    ignored: tuple[str, ...] = ()
    """Keys of the gold file that mean nothing here."""


def match_gold(rows: Sequence[AuditRow], gold: Iterable[GoldLine]) -> GoldFigures:
    """Return the label of each row, and what could not be matched.

    Raises:
        RecordError: Two gold lines contradict each other, an id stands for several rows, id and line name two rows, or
            only some lines have an inclusion.
    """
    by_line = {row.line: row for row in rows}
    by_id: dict[str, list[AuditRow]] = {}
    for known in rows:
        by_id.setdefault(known.id, []).append(known)
    first: dict[int, GoldLine] = {}
    unmatched: list[str] = []
    ignored: dict[str, None] = {}
    repeated = 0
    for given in gold:
        ignored |= dict.fromkeys(given.ignored)
        row = _row_of(given, by_line, by_id)
        if row is None:
            unmatched.append(f"gold line {given.number} ({given.id if given.line is None else f'line {given.line}'})")
            continue
        before = first.setdefault(row.line, given)
        if before is not given:
            _check_same(before, given, row)
            repeated += 1
    _check_inclusions(first.values())
    labels = {
        line: Label(given.faulty, given.faults, given.inclusion)
        for line, given in sorted(first.items())
        if given.faulty is not None
    }
    return GoldFigures(
        labels=labels,
        unmatched=tuple(unmatched),
        without=tuple(row.id for row in rows if row.line not in first),
        unlabelled=tuple(by_line[line].id for line, given in sorted(first.items()) if given.faulty is None),
        repeated=repeated,
        ignored=tuple(ignored),
    )


def _row_of(
    given: GoldLine, by_line: Mapping[int, AuditRow], by_id: Mapping[str, Sequence[AuditRow]]
) -> AuditRow | None:
    if given.line is not None:
        row = by_line.get(given.line)
        if row is not None and given.id is not None and row.id != given.id:
            raise RecordError(
                f"gold line {given.number} says line {given.line} is {shorten(given.id, 60)}, but there stands "
                f"{shorten(row.id, 60)}. Was the data set changed after the labels were made?"
            )
        return row
    found = by_id.get(given.id or "", ())
    if len(found) > 1:
        lines = ", ".join(str(row.line) for row in found[:5])
        raise RecordError(
            f"gold line {given.number}: the id {shorten(given.id, 60)} stands in lines {lines} of the data. "
            "Name the row by 'line'."
        )
    return found[0] if found else None


def _check_same(before: GoldLine, given: GoldLine, row: AuditRow) -> None:
    if (before.faulty, before.faults, before.inclusion) != (given.faulty, given.faults, given.inclusion):
        raise RecordError(
            f"gold line {given.number} contradicts gold line {before.number}: both are about row {shorten(row.id, 60)} "
            f"(line {row.line}). Settle it and keep one."
        )


def _check_inclusions(lines: Collection[GoldLine]) -> None:
    without = [given.number for given in lines if given.inclusion is None]
    if 0 < len(without) < len(lines):
        raise RecordError(
            f"gold line {min(without)} has no 'inclusion' and others have one. A drawn sample and other labels cannot be "
            "weighted together; audit them apart."
        )
