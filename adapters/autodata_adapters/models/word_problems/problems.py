"""Problems: forms filled in with the figures of a section, and read back.

The challenger fills in and the solver reads back, which is why the solver is privileged: it knows every question that can be
asked. What the forms say is in `forms`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from random import Random

from autodata_adapters.models.word_problems.facts import Fact, Section, read_sections
from autodata_adapters.models.word_problems.forms import FORMS, LEVELS, Form, per_of, style_of
from autodata_adapters.models.word_problems.phrases import is_plural, plural
from autodata_adapters.models.word_problems.settings import Settings
from autodata_adapters.models.word_problems.units import factor, neighbours

__all__ = ["LEVELS", "Problem", "answer_of", "draw", "write_number"]

_TIMES = {"small": (3, 4, 5, 6, 7, 8, 9, 12, 15), "large": (16, 17, 18, 19, 23, 24, 27, 32, 36, 45, 48, 64, 75, 99)}
_TRIES = 300
_LEAST, _MOST = Fraction(1, 100), 10**7
_LEAST_CONVERTED, _MOST_CONVERTED = Fraction(1, 20), 10**4
"""Nobody wants the length of a rope in kilometres, or that of a morning in seconds."""
_MOST_NAMED = 12
"""Figures that one question can name; more is no question of ours, and reading it would take long."""
_K, _M = "\x00k\x00", "\x00m\x00"
_NUMBER_WORDS = {
    word: Fraction(n)
    for n, word in enumerate(
        ("two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"), 2
    )
}


@dataclass(frozen=True)
class Problem:
    """One question with its exact answer."""

    level: str
    question: str
    answer: Fraction
    unit: str
    skills: tuple[str, ...]
    context: str
    """The lines of the section that the question needs, or the whole of it, verbatim."""
    quote: str
    """The passage of the section that the answer rests on, verbatim."""


def draw(
    sections: Sequence[Section], level: str, random: Random, avoid: frozenset[str], settings: Settings | None = None
) -> Problem | None:
    """Return a sound problem of a level that is not among `avoid`, or None when none was found."""
    settings = settings or Settings()
    whole, times = settings.context == "whole section", _TIMES[settings.counts]
    forms = [form for form in FORMS if form.level == level]
    facts = [(section, fact) for section in sections for fact in section.facts]
    easiest = level == LEVELS[0] and settings.figures == "plain lines first"
    # The easiest look-up is a line that says one thing; tables come when such lines are used up.
    lines = [(section, fact) for section, fact in facts if not fact.header] if easiest else []
    for n in range(_TRIES if facts else 0):
        section, a = random.choice(lines if lines and n < _TRIES // 2 else facts)
        form = random.choice([form for form in forms if style_of(a) in form.styles])
        peers = [fact for fact in section.facts if _comparable(a, fact)]
        b = random.choice(peers) if peers else None
        k, m = random.choice(times), random.choice(times)
        unit = random.choice(neighbours(a.unit) or (a.unit,)) if form.converts else a.unit
        problem = _problem(form, section, a, b if form.pairs else None, k, m, unit, avoid, whole)
        if problem is not None:
            return problem
    return None


def answer_of(section: Section, question: str) -> tuple[Fraction, str] | None:
    """Return answer and unit of a question that one of the forms asks about the section's figures.

    Returns:
        None for any other question, and for one that could be read in two ways.
    """
    named = [fact for fact in section.facts if fact.thing in question or fact.name in question]
    readings = set(_readings(named, question)) if len(named) <= _MOST_NAMED else set()
    return readings.pop() if len(readings) == 1 else None


def _readings(facts: Sequence[Fact], question: str) -> Iterator[tuple[Fraction, str]]:
    for form in (form for form in FORMS if question.startswith(form.opening)):
        for a in facts:
            for b in [fact for fact in facts if _comparable(a, fact)] if form.pairs else [None]:
                for unit in neighbours(a.unit) if form.converts else (a.unit,):
                    if not _fits(form, a, b):
                        continue
                    counts = _counts(form, _text(form, a, b, _K, _M, unit), question)
                    if counts is not None:
                        yield _value(form, a, b, *counts, unit), unit


def _counts(form: Form, asked: str, question: str) -> tuple[int, int] | None:
    """Return `k` and `m` of the question if it is `asked` with any counts; 0 for one that the form has not."""
    pattern = re.escape(asked)
    for slot, mark in (("k", _K), ("m", _M)):
        if f"{{{slot}}}" in form.text:
            pattern = pattern.replace(re.escape(mark), f"(?P<{slot}>[0-9]{{1,3}})", 1)
    match = re.fullmatch(pattern, question)
    if match is None:
        return None
    found = match.groupdict()
    return int(found.get("k", 0)), int(found.get("m", 0))


def _comparable(a: Fact, b: Fact) -> bool:
    return b.attribute == a.attribute and b.unit == a.unit and b.subject != a.subject


def _fits(form: Form, a: Fact, b: Fact | None) -> bool:
    """Whether the form makes sense for these figures."""
    subjects = "{x}" in form.text or "{both}" in form.text.lower()
    return (
        style_of(a) in form.styles
        and (form.pairs == (b is not None))
        and (form.attributes is None or a.attribute in form.attributes)
        and (form.unit is None or a.unit == form.unit)
        and (not subjects or bool(a.subject and (b is None or b.subject)))
        and ("{per}" not in form.text or per_of(a.attribute) is not None)
    )


def _text(form: Form, a: Fact, b: Fact | None, k: str, m: str, unit: str) -> str:
    both = f"the {plural(a.attribute)} {a.link} {a.thing} and {b.thing}" if b else ""
    return form.text.format(
        a=a.name,
        b=b.name if b else "",
        x=a.thing,
        y=b.thing if b else "",
        both=both,
        Both=both[:1].upper() + both[1:],
        does="do" if is_plural(a.thing) else "does",
        k=k,
        m=m,
        unit=unit,
        per=per_of(a.attribute) or "",
    )


def _value(form: Form, a: Fact, b: Fact | None, k: int, m: int, unit: str) -> Fraction:
    return form.compute(a.value, b.value if b else Fraction(0), k, m) * factor(a.unit, unit)


def _problem(
    form: Form, section: Section, a: Fact, b: Fact | None, k: int, m: int, unit: str, avoid: frozenset[str], whole: bool
) -> Problem | None:
    """Return the filled form, None where it would be no sound question or one to avoid."""
    if not _fits(form, a, b) or (form.converts and unit == a.unit) or (k == m and "{m}" in form.text):
        return None
    value = _value(form, a, b, k, m, unit)
    if form.converts and not _LEAST_CONVERTED <= value < _MOST_CONVERTED:
        return None
    question = _text(form, a, b, str(k), str(m), unit)
    if question in avoid or not _is_plain(value) or _states(question, value):
        return None
    used = (a,) if b is None else (a, b)
    context = section.text if whole else section.excerpt(*used)
    if form.level != "look_up" and _states(context, value):
        return None
    # The excerpt must still say what the whole section said: the same headings, columns and names.
    if not any(answer_of(part, question) == (value, unit) for part in read_sections(context)):
        return None
    return Problem(form.level, question, value, unit, form.skills, context, section.quote(*used))


def _is_plain(value: Fraction) -> bool:
    """Whether a value can be written with at most four decimals, and is neither trivial nor tiny."""
    return _LEAST <= value < _MOST and (value * 10**4).denominator == 1 and value != 1


def _states(text: str, value: Fraction) -> bool:
    """Whether a number in the text, in digits or as a word, equals the value."""
    numbers = (Fraction(n.replace(",", "")) for n in re.findall(r"[0-9][0-9,]*(?:\.[0-9]+)?", text))
    words = (_NUMBER_WORDS[w] for w in re.findall(r"[a-z]+", text.lower()) if w in _NUMBER_WORDS)
    return value in numbers or value in words


def write_number(value: Fraction) -> str:
    """Return a value of at most four decimals as decimal text without needless zeros."""
    digits = 0
    while (value * 10**digits).denominator != 1:
        digits += 1
    whole = f"{(value * 10**digits).numerator:0{digits + 1}d}"
    return f"{whole[:-digits]}.{whole[-digits:]}" if digits else whole
