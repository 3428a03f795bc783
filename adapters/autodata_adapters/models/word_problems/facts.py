"""The figures of a document: table cells and `label: value unit` lines, each with the passage it stands in."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from autodata_adapters.models.word_problems.units import canonical, quantity

__all__ = ["Fact", "Section", "read_sections"]

_MOST_FACTS = 400
_LONGEST_LINE = 400
_NUMBER = r"(?:\d{1,3}(?:,\d{3})+|\d{1,9})(?:\.\d{1,4})?"
_FIGURE = rf"(?P<value>{_NUMBER})\s*(?P<unit>[^\W\d]{{1,12}}|€)?"
_LINE = re.compile(rf"\s*(?:[-*]\s+)?(?P<label>[^\W\d][^:|]{{0,60}}?)\s*:\s*{_FIGURE}\s*\.?\s*")
_CELL = re.compile(_FIGURE)
_HEADER = re.compile(r"(?P<name>[^()]{1,60}?)\s*\((?P<unit>[^()]{1,12})\)")
_ATTRIBUTE = {"time": "time", "mass": "weight", "volume": "volume", "length": "length", "money": "price"}


@dataclass(frozen=True)
class Fact:
    """One figure: the price for an adult ticket is 3.20 EUR."""

    subject: str
    attribute: str
    """Lower case; `price`, `baking time`, `price per hour`."""
    value: Fraction
    unit: str
    line: str
    """The verbatim line it stands in."""
    header: tuple[str, ...] = ()
    """The verbatim head of the table it stands in, empty for a line of text."""

    @property
    def quantity(self) -> str:
        return quantity(self.unit) or ""


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


def read_sections(text: str) -> tuple[Section, ...]:
    """Return the parts of a document that hold figures. Never fails: what cannot be read is no figure."""
    made, budget = [], _MOST_FACTS
    for part in _parts(text):
        facts = _unambiguous(tuple(_facts(part.split("\n"))))[:budget]
        budget -= len(facts)
        if facts:
            made.append(Section(part.strip("\n"), facts))
    return tuple(made)


def _parts(text: str) -> Iterator[str]:
    """Yield the parts between headings, each with its own heading."""
    lines: list[str] = []
    for line in text.split("\n"):
        if line.startswith("#") and any(not known.startswith("#") and known.strip() for known in lines):
            yield "\n".join(lines)
            lines = []
        lines.append(line)
    yield "\n".join(lines)


def _facts(lines: list[str]) -> Iterator[Fact]:
    header: list[str] | None = None
    head: tuple[str, ...] = ()
    heading = ""
    for line in lines:
        if len(line) > _LONGEST_LINE:
            continue
        if not line.strip().startswith("|"):
            header = None
            heading = line.lstrip("# ").strip() if line.startswith("#") else heading
            fact = _line_fact(line, heading)
            if fact:
                yield fact
            continue
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if header is None:
            header, head = cells, (line,)
        elif all(set(cell) <= set("-: ") for cell in cells):
            head = (*head, line)
        else:
            yield from _row_facts(header, cells, line, head)


def _line_fact(line: str, heading: str) -> Fact | None:
    match = _LINE.fullmatch(line)
    unit = canonical(match["unit"] or "") if match else None
    if match is None or unit is None:
        return None
    label = match["label"].strip(" *_")
    attribute = _ATTRIBUTE[quantity(unit) or "time"]
    if attribute == "time" and re.fullmatch(r"[^\W\d]+ times", heading):
        attribute = heading[:-1].lower()  # under "Baking times" every line is a baking time
    return Fact(label, attribute, _value(match["value"]), unit, line) if label else None


def _row_facts(header: list[str], cells: list[str], line: str, head: tuple[str, ...]) -> Iterator[Fact]:
    subject = cells[0].strip(" *_")
    if not subject or len(cells) != len(header) or subject[0].isdigit():
        return
    for title, cell in zip(header[1:], cells[1:], strict=True):
        named, match = _HEADER.fullmatch(title), _CELL.fullmatch(cell)
        if match is None:
            continue
        unit = canonical(match["unit"] or (named["unit"] if named else ""))
        name = (named["name"] if named else title).strip(" *_").lower()
        if unit is not None and name:
            yield Fact(subject, name, _value(match["value"]), unit, line, head)


def _value(text: str) -> Fraction:
    return Fraction(text.replace(",", ""))


def _unambiguous(facts: tuple[Fact, ...]) -> tuple[Fact, ...]:
    """Drop figures whose name stands twice in the section, since a question could not say which is meant."""
    names = [(f.subject.casefold(), f.attribute) for f in facts]
    return tuple(f for f, name in zip(facts, names, strict=True) if names.count(name) == 1)
