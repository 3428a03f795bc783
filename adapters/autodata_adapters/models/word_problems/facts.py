"""The figures of a document: table cells and `label: value unit` lines, each with the passage it stands in.

How a figure is named in a sentence is in `phrases`, what may be asked about it in `forms`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

from autodata_adapters.models.word_problems.phrases import (
    attribute_of,
    heads_measure,
    is_plural,
    substance,
    thing,
    word_set,
)
from autodata_adapters.models.word_problems.units import canonical, quantity

__all__ = ["Fact", "Section", "read_sections"]

_MOST_FACTS = 400
_MOST_PER_SECTION = 60
_LONGEST_LINE = 400
_LONGEST_NAME = 60
_NUMBER = r"(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]{1,9})(?:\.[0-9]{1,4})?"
_FIGURE = rf"(?P<sign>[€$£])?\s?(?P<value>{_NUMBER})\s*(?P<unit>[^\W\d]{{1,12}}|[€$£])?"
_LINE = re.compile(rf"\s*(?:[-*+]\s+)?[*_]*(?P<label>[^\W\d][^:|]{{0,60}}?)\s*:[\s*_]*{_FIGURE}\s*\.?\s*")
_CELL = re.compile(_FIGURE)
_HEADER = re.compile(r"(?P<name>[^()]{1,60}?)\s*\((?P<unit>[^()]{1,12})\)")
_PLURAL_HEADING = re.compile(
    r"(?P<name>[^\W\d]+(?: [^\W\d]+)?) (?P<what>time|price|distance|length|weight|fee)s", re.IGNORECASE
)
_ATTRIBUTE = {"time": "time", "mass": "amount given", "volume": "amount given", "length": "length", "money": "price"}
_OWNED = word_set(
    "capacity cost depth diameter duration fare height length load mass price size thickness volume weight width"
)
_SUMS = frozenset({"total", "sum", "subtotal", "average", "mean", "all", "together"})
"""Labels of figures that were worked out from the others."""


@dataclass(frozen=True)
class Fact:
    """One figure: the price of the adult ticket is 3.20 euros."""

    subject: str
    """The label as it stands; the heading for a line such as `Baking time: 35 minutes`, and empty without one."""
    attribute: str
    """`price`, `baking time`, `price per hour`."""
    value: Fraction
    unit: str
    line: str
    """The verbatim line it stands in."""
    heading: str = ""
    """Of the section, without marks."""
    header: tuple[str, ...] = ()
    """The verbatim head of the table it stands in, empty for a line of text."""
    span: tuple[int, int] = (0, 0)
    """Where the figure stands in the text that was read."""

    @property
    def quantity(self) -> str:
        return quantity(self.unit)

    @cached_property
    def thing(self) -> str:
        """The subject within a sentence: `the adult ticket`."""
        material = self.attribute == "amount given" and " " not in self.subject
        return substance(self.subject) if material else thing(self.subject)

    @property
    def link(self) -> str:
        """`of` or `for`: the weight of a loaf, but the baking time for it."""
        return "of" if self.attribute.rpartition(" ")[2] in _OWNED else "for"

    @cached_property
    def name(self) -> str:
        """The figure within a sentence: `the price of the adult ticket`."""
        return f"the {self.attribute} {self.link} {self.thing}" if self.subject else f"the {self.attribute}"


@dataclass(frozen=True)
class Section:
    """A part of a document that can stand alone, with its figures."""

    text: str
    """Verbatim, headings included."""
    facts: tuple[Fact, ...]

    def excerpt(self, *used: Fact) -> str:
        """Return the lines of the section that these figures need: heading, head of the table, their own lines."""
        wanted = {line for fact in used for line in (fact.line, *fact.header)}
        lines = self.text.split("\n")
        headings = [line for line in lines if line.startswith("#")]
        return "\n".join([*headings[-1:], *[""] * bool(headings), *[line for line in lines if line in wanted]])

    def quote(self, *used: Fact) -> str:
        """Return the passage from the first to the last line of these figures, as it stands."""
        lines = self.text.split("\n")
        places = [lines.index(fact.line) for fact in used]
        return "\n".join(lines[min(places) : max(places) + 1])


def read_sections(text: str) -> tuple[Section, ...]:
    """Return the parts of a document that hold figures. Never fails: what cannot be read is no figure."""
    made, budget = [], _MOST_FACTS
    for start, part in _parts(text):
        facts = _unambiguous(tuple(_facts(part, start)))[: min(budget, _MOST_PER_SECTION)]
        budget -= len(facts)
        if facts:
            made.append(Section(part.strip("\n"), facts))
    return tuple(made)


def _parts(text: str) -> Iterator[tuple[int, str]]:
    """Yield the parts between headings, each with its own heading, after the place where it begins."""
    begin, place, body = 0, 0, False
    for line in text.split("\n"):
        if line.startswith("#") and body:
            yield begin, text[begin : place - 1]
            begin, body = place, False
        body = body or (not line.startswith("#") and bool(line.strip()))
        place += len(line) + 1
    yield begin, text[begin:]


def _facts(part: str, place: int) -> Iterator[Fact]:
    header: list[str] | None = None
    head: tuple[str, ...] = ()
    heading = ""
    for line in part.split("\n"):
        start, place = place, place + len(line) + 1
        if len(line) > _LONGEST_LINE:
            continue
        if not line.strip().startswith("|"):
            header = None
            heading = line.lstrip("# ").strip() if line.startswith("#") else heading
            yield from _line_facts(line, heading, start)
            continue
        cells = line.strip().strip("|").split("|")
        if header is None:
            header, head = [cell.strip() for cell in cells], (line,)
        elif all(set(cell) <= set("-: ") for cell in cells):
            head = (*head, line)
        else:
            yield from _row_facts(header, cells, line, heading, head, start)


def _line_facts(line: str, heading: str, start: int) -> Iterator[Fact]:
    match = _LINE.fullmatch(line)
    unit = _unit_of(match, "") if match else None
    label = match["label"].strip(" *_") if match else ""
    if match is None or unit is None or not label or label.lower() in _SUMS:
        return
    span = (start + match.start("value"), start + match.end("value"))
    if heads_measure(label):  # `Baking time: 35 minutes` says what, the heading says of what
        names_one = len(heading) <= _LONGEST_NAME and not is_plural(f"the {heading}")
        subject = heading if names_one else ""
        attribute = attribute_of(label, quantity(unit))
    else:
        subject, attribute = label, _named_by(heading) or _ATTRIBUTE[quantity(unit)]
    yield Fact(subject, attribute, _value(match["value"]), unit, line, heading, (), span)


def _named_by(heading: str) -> str | None:
    """Return `baking time` for `Baking times`: under that heading every line is a baking time."""
    match = _PLURAL_HEADING.fullmatch(heading)
    return f"{match['name']} {match['what']}".lower() if match else None


def _row_facts(
    header: list[str], cells: list[str], line: str, heading: str, head: tuple[str, ...], start: int
) -> Iterator[Fact]:
    subject = cells[0].strip(" *_")
    if (
        not subject[:1].isalpha()
        or len(subject) > _LONGEST_NAME
        or subject.lower() in _SUMS
        or len(cells) != len(header)
    ):
        return
    place = start + len(line) - len(line.lstrip().lstrip("|")) + len(cells[0]) + 1
    for title, cell in zip(header[1:], cells[1:], strict=True):
        named, match = _HEADER.fullmatch(title), _CELL.fullmatch(cell.strip())
        at, place = place + len(cell) - len(cell.lstrip()), place + len(cell) + 1
        unit = _unit_of(match, named["unit"] if named else "") if match else None
        name = (named["name"] if named else title).strip(" *_")
        if match is None or unit is None or not name:
            continue
        attribute = attribute_of(name, quantity(unit))
        span = (at + match.start("value"), at + match.end("value"))
        yield Fact(subject, attribute, _value(match["value"]), unit, line, heading, head, span)


def _unit_of(match: re.Match[str], otherwise: str) -> str | None:
    return canonical(match["unit"] or match["sign"] or otherwise)


def _value(text: str) -> Fraction:
    return Fraction(text.replace(",", ""))


def _unambiguous(facts: tuple[Fact, ...]) -> tuple[Fact, ...]:
    """Drop figures whose name stands twice in the section, since a question could not say which is meant."""
    count = Counter(fact.name.casefold() for fact in facts)
    lines = Counter(fact.line for fact in facts if not fact.header)
    return tuple(f for f in facts if count[f.name.casefold()] == 1 and lines[f.line] <= 1)
