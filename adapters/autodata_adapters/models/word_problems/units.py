"""Units of everyday documents: which quantity they measure and how they convert, exactly."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

__all__ = ["canonical", "factor", "neighbours", "quantity"]

# By quantity: unit as people write it → size in the smallest unit of the row.
_TABLE: Mapping[str, Mapping[str, int]] = {
    "time": {"seconds": 1, "minutes": 60, "hours": 3600, "days": 86_400, "weeks": 604_800},
    "mass": {"g": 1, "kg": 1000},
    "volume": {"ml": 1, "litres": 1000},
    "length": {"mm": 1, "cm": 10, "m": 1000, "km": 1_000_000},
    "money": {"cents": 1, "EUR": 100},
}
_ALIASES = {
    "s": "seconds", "sec": "seconds", "second": "seconds", "min": "minutes", "minute": "minutes", "h": "hours",
    "hr": "hours", "hour": "hours", "day": "days", "week": "weeks", "gram": "g", "grams": "g", "kilograms": "kg", "l": "litres",
    "litre": "litres", "liter": "litres", "liters": "litres", "metres": "m", "metre": "m", "€": "EUR", "euro": "EUR",
    "euros": "EUR", "eur": "EUR", "cent": "cents",
}  # fmt: skip
_QUANTITY = {unit: name for name, row in _TABLE.items() for unit in row}


def canonical(unit: str) -> str | None:
    """Return the unit as it is written here, None when it is none of ours."""
    found = unit.strip().rstrip(".")
    if found in _QUANTITY:
        return found
    return _ALIASES.get(found) or _ALIASES.get(found.lower()) or (found.lower() if found.lower() in _QUANTITY else None)


def quantity(unit: str) -> str | None:
    """Return what a unit measures: time, mass, volume, length or money."""
    return _QUANTITY.get(unit)


def factor(unit: str, to: str) -> Fraction:
    """Return by how much a value in `unit` is multiplied to stand in `to`, a unit of the same quantity."""
    row = _TABLE[_QUANTITY[unit]]
    return Fraction(row[unit], row[to])


def neighbours(unit: str) -> tuple[str, ...]:
    """Return the next smaller and larger unit of the same quantity; nobody asks for weeks in seconds."""
    row = list(_TABLE[_QUANTITY[unit]])
    place = row.index(unit)
    return tuple(row[max(0, place - 1) : place] + row[place + 1 : place + 2])
