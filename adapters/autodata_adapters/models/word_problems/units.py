"""Units of everyday documents: which quantity they measure and how they convert, exactly."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

__all__ = ["canonical", "factor", "neighbours", "quantity"]

# By quantity: unit as a question writes it → size in the smallest unit of the row. Rows of one unit never convert.
_TABLE: Mapping[str, Mapping[str, int]] = {
    "time": {"seconds": 1, "minutes": 60, "hours": 3600, "days": 86_400, "weeks": 604_800},
    "mass": {"grams": 1, "kilograms": 1000, "tonnes": 1_000_000},
    "volume": {"millilitres": 1, "litres": 1000},
    "length": {"millimetres": 1, "centimetres": 10, "metres": 1000, "kilometres": 1_000_000},
    "money": {"cents": 1, "euros": 100},
    "dollars": {"dollars": 1},
    "pounds": {"pounds": 1},
    "francs": {"francs": 1},
}
_WRITTEN: Mapping[str, str] = {
    "seconds": "s sec secs second",
    "minutes": "min mins minute",
    "hours": "h hr hrs hour",
    "days": "d day",
    "weeks": "wk week",
    "grams": "g gram gramme grammes",
    "kilograms": "kg kilo kilos kilogram",
    "tonnes": "t tonne",
    "millilitres": "ml millilitre milliliter milliliters",
    "litres": "l litre liter liters",
    "millimetres": "mm millimetre millimeter millimeters",
    "centimetres": "cm centimetre centimeter centimeters",
    "metres": "m metre meter meters",
    "kilometres": "km kilometre kilometer kilometers",
    "cents": "ct cent",
    "euros": "eur € euro",
    "dollars": "usd $ dollar",
    "pounds": "gbp £",
    "francs": "chf franc",
}
_ALIASES = {alias: unit for unit, text in _WRITTEN.items() for alias in (unit, *text.split())}
_QUANTITY = {unit: name for name, row in _TABLE.items() for unit in row}
_CURRENCIES = frozenset({"money", "dollars", "pounds", "francs"})


def canonical(unit: str) -> str | None:
    """Return the unit as a question writes it, None when it is none of ours."""
    found = unit.strip().rstrip(".")
    # A single letter is taken as it stands: `M` is not metres, and `T` is hardly tonnes.
    return _ALIASES.get(found) or (_ALIASES.get(found.lower()) if len(found) > 1 else None)


def quantity(unit: str) -> str:
    """Return what a unit of `canonical` measures: time, mass, volume, length or money of whatever currency."""
    found = _QUANTITY[unit]
    return "money" if found in _CURRENCIES else found


def factor(unit: str, to: str) -> Fraction:
    """Return by how much a value in `unit` is multiplied to stand in `to`, a unit of the same row."""
    row = _TABLE[_QUANTITY[unit]]
    return Fraction(row[unit], row[to])


def neighbours(unit: str) -> tuple[str, ...]:
    """Return the next smaller and larger unit, if there are any; nobody asks for weeks in seconds."""
    row = list(_TABLE[_QUANTITY[unit]])
    place = row.index(unit)
    return tuple(row[max(0, place - 1) : place] + row[place + 1 : place + 2])
