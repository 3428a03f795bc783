"""Labels that people gave to rows, one line of a gold file each. Which row a line is about is in `matching`."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from autodata_core.audit.rows import QUALITY
from autodata_core.errors import RecordError, shorten

__all__ = ["GoldLine", "Label", "read_gold_line"]

_LABELS: Mapping[str, bool] = {
    "keep": False,
    "good": False,
    "accept": False,
    "refuse": True,
    "bad": True,
    "reject": True,
}
"""By word: whether the row is faulty. JSON true and 1 keep it, false and 0 refuse it."""

_GOLD_KEYS = ("id", "line", "label", "faults", "inclusion", "note")


@dataclass(frozen=True)
class GoldLine:
    """One line of a gold file."""

    number: int
    """Its own line, from 1."""
    id: str | None
    line: int | None
    """Line of the row in the data."""
    faulty: bool | None
    """None while nobody has labelled it."""
    faults: tuple[str, ...] | None
    """`gate` or `gate:kind`; None where nobody said which."""
    inclusion: Fraction | None
    """How likely the row was to be drawn into the sample; None where none was drawn."""
    ignored: tuple[str, ...] = ()
    """Keys that mean nothing here."""


@dataclass(frozen=True)
class Label:
    """What is known of a row."""

    faulty: bool
    faults: tuple[str, ...] | None
    inclusion: Fraction | None = None

    def has(self, gate: str) -> bool | None:
        """Return whether the row has a fault that `gate` looks for; None when that is not known."""
        if gate == QUALITY:  # it looks for every fault
            return self.faulty
        return None if self.faults is None else any(fault.partition(":")[0] == gate for fault in self.faults)


def read_gold_line(value: Mapping[str, Any], number: int) -> GoldLine:
    """Return a line of a gold file, given as a JSON object.

    Raises:
        RecordError: It names no row, or label, faults or inclusion are not of their form.
    """
    place = f"gold line {number}"
    for key in value:
        near = difflib.get_close_matches(key, _GOLD_KEYS, n=1, cutoff=0.7)
        if key not in _GOLD_KEYS and near:
            raise RecordError(f"{place}: unknown key {shorten(key, 60)}. Did you mean {near[0]!r}?")
    _check_names_row(value.get("id"), value.get("line"), place)
    faulty = _faulty(value.get("label"), place)
    faults = _faults(value.get("faults"), place)
    if faulty is None and faults:
        raise RecordError(f"{place}: it names faults and has no label. Set 'label' to \"refuse\".")
    if faulty is False and faults:
        raise RecordError(f"{place}: the label keeps the row and yet it names faults. Correct one of them.")
    return GoldLine(
        number,
        id=value.get("id"),
        line=value.get("line"),
        faulty=faulty,
        faults=() if faulty is False else faults,
        inclusion=_inclusion(value.get("inclusion"), place),
        ignored=tuple(key for key in value if key not in _GOLD_KEYS),
    )


def _check_names_row(id: Any, line: Any, place: str) -> None:
    if id is None and line is None:
        raise RecordError(f"{place}: it names no row. Give 'id', or 'line' counted from 1.")
    if id is not None and (not isinstance(id, str) or not id):
        raise RecordError(f"{place}: 'id' is a text, got {shorten(id)}.")
    if line is not None and (type(line) is not int or line < 1):
        raise RecordError(f"{place}: 'line' is a whole number from 1, got {shorten(line)}.")


def _faulty(label: Any, place: str) -> bool | None:
    if label is None:
        return None
    if isinstance(label, bool) or (type(label) is int and label in (0, 1)):
        return not label
    if isinstance(label, str) and label in _LABELS:
        return _LABELS[label]
    raise RecordError(
        f'{place}: label is "keep" (also "good", "accept", true, 1) or "refuse" (also "bad", "reject", false, 0), '
        f"or null while nobody has looked; got {shorten(label)}."
    )


def _faults(value: Any, place: str) -> tuple[str, ...] | None:
    if value is None:
        return None
    if not isinstance(value, list) or not all(isinstance(x, str) and x.partition(":")[0].strip() for x in value):
        raise RecordError(
            f'{place}: \'faults\' is a list such as ["leak", "quote:changed number"], got {shorten(value)}.'
        )
    cleaned = (":".join(" ".join(part.split()) for part in x.split(":", 1)) for x in value)
    return tuple(sorted(set(cleaned)))


def _inclusion(value: Any, place: str) -> Fraction | None:
    if value is None:
        return None
    try:
        found = Fraction(value) if isinstance(value, str) else None
    except (ValueError, ZeroDivisionError):
        found = None
    if found is None or not 0 < found <= 1:
        raise RecordError(f"{place}: 'inclusion' is a fraction as text, such as \"3/40\"; got {shorten(value)}.")
    return found
