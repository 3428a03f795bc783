"""The grammar of the problems: sentence forms with their arithmetic. The challenger fills them in, the solver reads them back.

Both use the same forms, which is why the solver is privileged: it knows every question that can be asked.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from random import Random
from typing import Any

from autodata_adapters.models.word_problems.facts import Fact, Section
from autodata_adapters.models.word_problems.units import factor, neighbours

__all__ = ["LEVELS", "Problem", "answer_of", "draw", "write_number"]

LEVELS = ("look_up", "one_step", "conversion", "two_step")
"""Question types, the easiest first."""

_COUNTABLE = frozenset({"time", "mass", "volume", "money", "length"})
_TIMES = (2, 3, 4, 5, 6, 7, 8, 9, 12, 15)
_TRIES = 300

Compute = Callable[[Fraction, Fraction, int, int], Fraction]
"""Values of {a} and {b}, counts {k} and {m} → answer, in the unit of the figures."""


@dataclass(frozen=True)
class Form:
    """One way to ask. Slots: {attr}, {a}, {b} subjects, {k}, {m} counts, {unit}, {per} the unit of a rate."""

    level: str
    text: str
    compute: Compute
    skills: tuple[str, ...]
    converts: bool = False
    """The answer stands in another unit than the figures."""
    rate: bool = False
    """For attributes such as `price per hour`; only for these."""
    priced: bool = False
    """Only for prices: somebody buys."""


@dataclass(frozen=True)
class Problem:
    """One question with its exact answer."""

    level: str
    question: str
    answer: Fraction
    unit: str
    skills: tuple[str, ...]
    context: str
    """The lines of the section that the question needs, verbatim."""
    quote: str
    """A verbatim line of the section that the answer rests on."""


_READ, _ADD, _CONVERT = (
    ("reading a figure",),
    ("reading figures", "arithmetic"),
    ("reading a figure", "unit conversion"),
)
_TWO = ("reading figures", "arithmetic", "planning steps")
_BOTH = ("reading figures", "arithmetic", "unit conversion")


def _forms() -> tuple[Form, ...]:
    def look_up(text: str) -> Form:
        return Form("look_up", text, lambda a, b, k, m: a, _READ)

    def one(text: str, compute: Compute, **more: Any) -> Form:
        return Form("one_step", text, compute, _ADD, **more)

    def convert(text: str) -> Form:
        return Form("conversion", text, lambda a, b, k, m: a, _CONVERT, converts=True)

    def two(text: str, compute: Compute, **more: Any) -> Form:
        return Form("two_step", text, compute, _BOTH if more.get("converts") else _TWO, **more)

    return (
        look_up("What is the {attr} for “{a}”, in {unit}?"),
        look_up("Which {attr} is given for “{a}”, in {unit}?"),
        look_up("How many {unit} are given as the {attr} for “{a}”?"),
        look_up("State the {attr} for “{a}” in {unit}."),
        one("What is the {attr} for “{a}” and “{b}” together, in {unit}?", lambda a, b, k, m: a + b),
        one("By how many {unit} is the {attr} for “{a}” greater than the one for “{b}”?", lambda a, b, k, m: a - b),
        one("How many {unit} less is the {attr} for “{b}” than the one for “{a}”?", lambda a, b, k, m: a - b),
        one("What is {k} times the {attr} for “{a}”, in {unit}?", lambda a, b, k, m: k * a),
        one("Somebody takes “{a}” {k} times. How many {unit} do they pay?", lambda a, b, k, m: k * a, priced=True),
        one("At the {attr} for “{a}”, what do {k} {per}s come to, in {unit}?", lambda a, b, k, m: k * a, rate=True),
        convert("What is the {attr} for “{a}”, expressed in {unit}?"),
        convert("Convert the {attr} for “{a}”: how many {unit} is that?"),
        convert("Somebody notes the {attr} for “{a}” in {unit}. Which number do they write down?"),
        convert("How many {unit} correspond to the {attr} for “{a}”?"),
        two(
            "What is {k} times the {attr} for “{a}” plus {m} times the one for “{b}”, in {unit}?",
            lambda a, b, k, m: k * a + m * b,
        ),
        two(
            "By how many {unit} does {k} times the {attr} for “{a}” differ from {m} times the one for “{b}”?",
            lambda a, b, k, m: abs(k * a - m * b),
        ),
        two(
            "Somebody takes “{a}” {k} times and “{b}” {m} times. How many {unit} do they pay in all?",
            lambda a, b, k, m: k * a + m * b,
            priced=True,
        ),
        two(
            "What is the {attr} for “{a}” and “{b}” together, expressed in {unit}?",
            lambda a, b, k, m: a + b,
            converts=True,
        ),
        two(
            "By how many {unit} is the {attr} for “{a}” greater than the one for “{b}”, after conversion?",
            lambda a, b, k, m: a - b,
            converts=True,
        ),
        two("What is {k} times the {attr} for “{a}”, expressed in {unit}?", lambda a, b, k, m: k * a, converts=True),
        two(
            "One person rents “{a}” for {k} {per}s, another rents “{b}” for {m} {per}s. What do both pay together, in {unit}?",
            lambda a, b, k, m: k * a + m * b,
            rate=True,
        ),
    )


FORMS = _forms()


def draw(sections: Sequence[Section], level: str, random: Random, avoid: frozenset[str]) -> Problem | None:
    """Return a sound problem of a level that is not among `avoid`, or None when none was found."""
    forms = [form for form in FORMS if form.level == level]
    facts = [(section, fact) for section in sections for fact in section.facts]
    # The easiest look-up is a line that says one thing; tables come when such lines are used up.
    lines = [(section, fact) for section, fact in facts if not fact.header] if level == LEVELS[0] else []
    for n in range(_TRIES if facts else 0):
        section, a = random.choice(lines if lines and n < _TRIES // 2 else facts)
        form = random.choice(forms)
        peers = [f for f in section.facts if f.attribute == a.attribute and f.unit == a.unit and f.subject != a.subject]
        b = random.choice(peers) if peers else None
        k, m = random.choice(_TIMES), random.choice(_TIMES)
        unit = random.choice(neighbours(a.unit)) if form.converts else a.unit
        problem = _fill(form, section, a, b, k, m, unit)
        if problem is not None and problem.question not in avoid:
            return problem
    return None


def answer_of(section: Section, question: str) -> tuple[Fraction, str] | None:
    """Return answer and unit of a question that one of the forms asks about the section's figures; None for others."""
    for form in FORMS:
        match = _reader(form, section.facts).fullmatch(question)
        if match is None:
            continue
        slots = match.groupdict()
        found = _find(form, section.facts, slots)
        if found is None:
            continue
        a, b = found
        value = form.compute(a.value, b.value if b else Fraction(0), int(slots.get("k") or 0), int(slots.get("m") or 0))
        value *= factor(a.unit, slots["unit"])
        return (value, slots["unit"]) if _is_plain(value) else None
    return None


def _fill(form: Form, section: Section, a: Fact, b: Fact | None, k: int, m: int, unit: str) -> Problem | None:
    """Return the filled form, None where it would be no sound question."""
    per = _per(a.attribute)
    if form.rate != (per is not None) and form.level not in ("look_up", "conversion"):
        return None  # adding up prices per hour makes no sense, and neither do hours of something without a rate
    if form.priced and a.attribute != "price":
        return None
    if "{b}" in form.text and b is None:
        return None
    if a.quantity not in _COUNTABLE or (k == m and "{m}" in form.text):
        return None
    value = form.compute(a.value, b.value if b else Fraction(0), k, m) * factor(a.unit, unit)
    subject_b = b.subject if b else ""
    question = form.text.format(attr=a.attribute, a=a.subject, b=subject_b, k=k, m=m, unit=unit, per=per or "")
    if not _is_plain(value) or _states(question, value):
        return None
    context = section.excerpt(a, b) if b is not None and "{b}" in form.text else section.excerpt(a)
    if form.level != "look_up" and _states(context, value):
        return None
    return Problem(form.level, question, value, unit, form.skills, context, a.line)


def _per(attribute: str) -> str | None:
    """Return `hour` of `price per hour`."""
    match = re.search(r"\bper (\w+)$", attribute)
    return match[1] if match else None


def _is_plain(value: Fraction) -> bool:
    """Whether a value can be written with at most four decimals, and is not trivial."""
    return value > 0 and value < 10**7 and (value * 10**4).denominator == 1 and value != 1


def _states(text: str, value: Fraction) -> bool:
    numbers = re.findall(r"\d[\d,]*(?:\.\d+)?", text)
    return any(Fraction(n.replace(",", "")) == value for n in numbers)


def _reader(form: Form, facts: Sequence[Fact]) -> re.Pattern[str]:
    """Return the form as a pattern over the names that occur in the facts."""

    def names(values: Iterator[str]) -> str:
        return "|".join(re.escape(v) for v in sorted(set(values), key=lambda v: (-len(v), v)))

    units = {f.unit for f in facts} | {other for f in facts for other in neighbours(f.unit)}
    slots = {
        "attr": names(f.attribute for f in facts),
        "a": names(f.subject for f in facts),
        "b": names(f.subject for f in facts),
        "k": r"\d+",
        "m": r"\d+",
        "unit": names(iter(units)),
        "per": r"\w+",
    }
    pattern, seen = "", set()
    for part in re.split(r"(\{\w+\})", form.text):
        name = part.strip("{}")
        if part.startswith("{") and name in slots:
            pattern += f"(?P={name})" if name in seen else f"(?P<{name}>{slots[name]})"
            seen.add(name)
        else:
            pattern += re.escape(part)
    return re.compile(pattern)


def _find(form: Form, facts: Sequence[Fact], slots: dict[str, str | None]) -> tuple[Fact, Fact | None] | None:
    def one(subject: str | None) -> Fact | None:
        wanted = (subject, slots.get("attr"))
        for fact in facts:
            if fact.subject != wanted[0] or (wanted[1] is not None and fact.attribute != wanted[1]):
                continue
            if "attr" in slots or (_per(fact.attribute) if form.rate else fact.attribute == "price"):
                return fact
        return None

    a, b = one(slots.get("a")), one(slots.get("b")) if "b" in slots else None
    if a is None or ("b" in slots and b is None):
        return None
    return a, b


def write_number(value: Fraction) -> str:
    """Return a value of `_is_plain` form as decimal text without needless zeros."""
    digits = 0
    while (value * 10**digits).denominator != 1:
        digits += 1
    whole = f"{(value * 10**digits).numerator:0{digits + 1}d}"
    return f"{whole[:-digits]}.{whole[-digits:]}" if digits else whole
