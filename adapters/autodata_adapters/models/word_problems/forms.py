"""The sentence forms of the problems with their arithmetic, and which figures each makes sense for.

Filling them in and reading them back is in `problems`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

from autodata_adapters.models.word_problems.facts import Fact
from autodata_adapters.models.word_problems.phrases import word_set

__all__ = ["FORMS", "LEVELS", "Form", "per_of", "style_of"]

LEVELS = ("look_up", "one_step", "conversion", "two_step")
"""Question types, the easiest first."""

Compute = Callable[[Fraction, Fraction, int, int], Fraction]
"""Values of the first and the second figure, counts `k` and `m` → answer, in the unit of the figures."""

_PRICE, _RATE, _DURATION, _AMOUNT, _WEIGHT, _DISTANCE, _MEASURE = (
    "price",
    "rate",
    "duration",
    "amount",
    "weight",
    "distance",
    "measure",
)
_CACHED = 2_000
_ALL = frozenset({_PRICE, _RATE, _DURATION, _AMOUNT, _WEIGHT, _DISTANCE, _MEASURE})
_ADDED = frozenset({_PRICE, _DURATION, _AMOUNT, _WEIGHT, _DISTANCE})
_UNPRICED = _ALL - {_PRICE, _RATE}

# A figure with such a word is a limit, a place on a line or a wait: it may be compared, but it does not add up.
_FIXED = word_set(
    "age after before best between capacity curing drying expiry from germination harvest height interval keeps least life "
    "limit max maximum min minimum most notice onwards opening ripening season shelf since sowing storage until up upto valid "
    "validity width depth thickness diameter spacing row"
)
_COVERED = word_set("ascent climb descent distance route")


def per_of(attribute: str) -> str | None:
    """Return `hour` of `price per hour`."""
    match = re.search(r" per ([^\W\d_]+)$", attribute)
    return match[1] if match else None


@lru_cache(maxsize=_CACHED)
def style_of(fact: Fact) -> str:
    """Return what kind of figure this is, which decides what may be asked about it."""
    words = set(re.findall(r"[^\W\d_]+", f"{fact.attribute} {fact.heading}".lower()))
    if fact.quantity == "money":
        return _RATE if " per " in fact.attribute else _PRICE
    if words & _FIXED or " per " in fact.attribute:
        return _MEASURE
    if fact.quantity == "time":
        return _MEASURE if fact.unit in ("days", "weeks") else _DURATION
    if fact.quantity == "length":
        return _DISTANCE if words & _COVERED else _MEASURE
    return _WEIGHT if fact.attribute.endswith("weight") else _AMOUNT


@dataclass(frozen=True)
class Form:
    """One way to ask.

    Slots: {a}, {b} figures by name, {x}, {y} their subjects, {both} two figures of one kind, {k}, {m} counts, {unit} of the
    answer, {per} the unit of a rate, {does} with {x}.
    """

    level: str
    text: str
    compute: Compute
    styles: frozenset[str]
    converts: bool = False
    """The answer stands in another unit than the figures."""
    attributes: frozenset[str] | None = None
    """Attributes that the sentence leaves out because its verb says them; None when it names the attribute."""
    unit: str | None = None
    """The only unit of figures that the arithmetic holds for."""

    @property
    def opening(self) -> str:
        """The words before the first slot, by which a reader tells most forms apart at a glance."""
        return self.text.partition("{")[0]

    @property
    def pairs(self) -> bool:
        """Whether it asks about two figures."""
        return any(slot in self.text for slot in ("{b}", "{y}", "{both}"))

    @property
    def skills(self) -> tuple[str, ...]:
        read = "reading figures" if self.pairs else "reading a figure"
        if self.level == "look_up":
            return (read, "naming a unit")
        worked = () if self.level == "conversion" else ("arithmetic",)
        planned = ("planning steps",) if self.level == "two_step" else ()
        return (read, *worked, *(("unit conversion",) if self.converts else planned))


def _first(a: Fraction, b: Fraction, k: int, m: int) -> Fraction:
    return a


def _sum(a: Fraction, b: Fraction, k: int, m: int) -> Fraction:
    return a + b


def _difference(a: Fraction, b: Fraction, k: int, m: int) -> Fraction:
    return a - b


def _times(a: Fraction, b: Fraction, k: int, m: int) -> Fraction:
    return k * a


def _both_times(a: Fraction, b: Fraction, k: int, m: int) -> Fraction:
    return k * a + m * b


_COST = frozenset({"price", "cost", "fare", "fee"})
_LAST = frozenset({"time", "duration"})

Row = tuple[str, frozenset[str], frozenset[str] | None]
"""Text, styles, and the attributes that the text leaves out."""

# Wordings that point into the text: with `How many {unit} is {a}?` a small model begins to reckon instead of reading.
_LOOK_UP: tuple[Row, ...] = (
    ("What is {a}, in {unit}?", _ALL, None),
    ("What does the text state as {a}, in {unit}?", _ALL, None),
    ("According to the text, what is {a} in {unit}?", _ALL, None),
    ("As given in the text, what is {a}, in {unit}?", _ALL, None),
    ("Look it up in the text: what is {a}, in {unit}?", _ALL, None),
    ("The text gives {a}. What is it, in {unit}?", _ALL, None),
)
_CONVERSION: tuple[Row, ...] = (
    ("How many {unit} is {a}?", _ALL, None),
    ("Convert {a} to {unit}. What number results?", _ALL, None),
    ("What is {a} when it is written in {unit}?", _ALL, None),
    ("Somebody wants to note {a} in {unit}. Which number do they write down?", _ALL, None),
    ("Expressed in {unit}, what is {a}?", _ALL, None),
)
_SUM: tuple[Row, ...] = (
    ("How many {unit} are {both} together?", _ADDED, None),
    ("What do {both} add up to, in {unit}?", _ADDED, None),
    ("Add {b} to {a}. How many {unit} is that?", _ADDED, None),
    ("Somebody pays for {x} and for {y}. How many {unit} is that in all?", frozenset({_PRICE}), _COST),
    ("How much do {x} and {y} cost together, in {unit}?", frozenset({_PRICE}), _COST),
    ("How many {unit} do {x} and {y} take, one after the other?", frozenset({_DURATION}), _LAST),
    ("How many {unit} do {x} and {y} weigh together?", frozenset({_WEIGHT}), frozenset({"weight"})),
    ("Somebody covers {both}. How many {unit} is that in all?", frozenset({_DISTANCE}), None),
)
_DIFFERENCE: tuple[Row, ...] = (
    ("What is the difference between {both}, in {unit}?", _ALL, None),
    ("By how many {unit} does {a} exceed {b}?", _ALL, None),
    ("How many {unit} must be added to {b} to reach {a}?", _ALL, None),
    ("{Both} are not the same. By how many {unit} do they differ?", _ALL, None),
    ("How many {unit} more {does} {x} cost than {y}?", frozenset({_PRICE}), _COST),
    ("How many {unit} longer {does} {x} take than {y}?", frozenset({_DURATION}), _LAST),
    ("How many {unit} more {does} {x} weigh than {y}?", frozenset({_WEIGHT}), frozenset({"weight"})),
)
_MULTIPLE: tuple[Row, ...] = (
    ("What is {k} times {a}, in {unit}?", _ADDED, None),
    ("Multiply {a} by {k}. How many {unit} is that?", _ADDED, None),
    ("Somebody pays for {x} {k} times. How many {unit} is that in all?", frozenset({_PRICE}), _COST),
    ("How much does it cost, in {unit}, to pay for {x} {k} times?", frozenset({_PRICE}), _COST),
    ("A plan contains {a} {k} times. How many {unit} does that fill?", frozenset({_DURATION}), None),
    ("How many {unit} pass when {a} is needed {k} times, one after the other?", frozenset({_DURATION}), None),
    ("If {k} times {a} is needed, how many {unit} is that?", frozenset({_AMOUNT}), None),
    ("What is the total weight, in {unit}, of {k} pieces like {x}?", frozenset({_WEIGHT}), frozenset({"weight"})),
    ("Somebody covers {a} {k} times. How many {unit} is that in all?", frozenset({_DISTANCE}), None),
)
_CHARGED: tuple[Row, ...] = (
    ("At {a}, how many {unit} are due for {k} {per}s?", frozenset({_RATE}), None),
    ("What is due, in {unit}, for {k} {per}s at {a}?", frozenset({_RATE}), None),
    ("If {k} {per}s are charged at {a}, how many {unit} is that?", frozenset({_RATE}), None),
    ("Somebody has to pay {a} for {k} {per}s. How many {unit} do they pay?", frozenset({_RATE}), None),
)
_MIXED: tuple[Row, ...] = (
    ("What is {k} times {a} plus {m} times {b}, in {unit}?", _ADDED, None),
    ("Take {k} times {a} and {m} times {b}. How many {unit} is that together?", _ADDED, None),
    ("Somebody pays for {x} {k} times and for {y} {m} times. How many {unit} is that in all?", frozenset({_PRICE}), _COST),
    ("A group orders {x} {k} times and {y} {m} times. What does the group pay, in {unit}?", frozenset({_PRICE}), _COST),
    ("A plan contains {a} {k} times and {b} {m} times. How many {unit} do they fill?", frozenset({_DURATION}), None),
    ("One customer pays {a} for {k} {per}s, another {b} for {m} {per}s. How many {unit} is that together?",
     frozenset({_RATE}), None),
)  # fmt: skip
_TWO_STEP: tuple[tuple[str, Compute, str, frozenset[str] | None], ...] = (
    ("A group has {m}0 {unit} and pays for {x} {k} times. How many {unit} are left?",
     lambda a, b, k, m: 10 * m - k * a, _PRICE, _COST),
    ("If {k} people share the cost of {x} and {y} equally, how many {unit} does each of them pay?",
     lambda a, b, k, m: (a + b) / k, _PRICE, _COST),
    ("Each of {k} people chooses {y} instead of {x}. How many {unit} do they save altogether?",
     lambda a, b, k, m: k * (a - b), _PRICE, _COST),
    ("For {k} {per}s, by how many {unit} does {a} come to more than {b}?", lambda a, b, k, m: k * (a - b), _RATE, None),
    ("Somebody has {m}0 {unit} and has to pay {a} for {k} {per}s. How many {unit} are left?",
     lambda a, b, k, m: 10 * m - k * a, _RATE, None),
    ("What is the mean of {both}, in {unit}?", lambda a, b, k, m: (a + b) / 2, _MEASURE, None),
)  # fmt: skip
_HOURS = "Out of {m} hours, {a} is used up {k} times. How many minutes are left?"


def _made(
    level: str, rows: Sequence[Row], compute: Compute, *, converts: bool = False, within: frozenset[str] = _ALL
) -> list[Form]:
    kept = [(text, styles & within, left_out) for text, styles, left_out in rows]
    return [Form(level, text, compute, styles, converts, left_out) for text, styles, left_out in kept if styles]


FORMS: tuple[Form, ...] = (
    *_made("look_up", _LOOK_UP, _first),
    *_made("one_step", _SUM, _sum),
    *_made("one_step", _DIFFERENCE, _difference),
    *_made("one_step", (*_MULTIPLE, *_CHARGED), _times),
    *_made("conversion", _CONVERSION, _first, converts=True),
    *_made("two_step", _MIXED, _both_times),
    *(Form("two_step", text, how, frozenset({style}), False, out) for text, how, style, out in _TWO_STEP),
    Form("two_step", _HOURS, lambda a, b, k, m: 60 * m - k * a, frozenset({_DURATION}), unit="minutes"),
    # In cents nobody pays; with other units the second step is the conversion.
    *_made("two_step", _SUM, _sum, converts=True, within=_UNPRICED),
    *_made("two_step", _DIFFERENCE, _difference, converts=True, within=_UNPRICED),
    *_made("two_step", _MULTIPLE, _times, converts=True, within=_UNPRICED),
)
