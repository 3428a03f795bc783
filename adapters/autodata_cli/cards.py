"""A report card, as text for a terminal and as Markdown. What it says is up to `gate_tables`, `audit_cards` and `run_cards`.

The same figures give the same bytes. Whatever comes from the data is shown so that it cannot draw, link or hide anything.
"""

from __future__ import annotations

import re
import textwrap
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Card", "Quoted", "Table", "card_markdown", "card_text", "plain"]

_TEXT_WIDTH = 100
_HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>|~#&!$@^])")
_LINK = re.compile(r"(?i)\b(https?|ftp|mailto|xmpp):|\bwww\.")
_NUMBER = re.compile(r"[-$]?[\d.,]+|–")


class Quoted(str):
    """Text that comes from the data."""

    __slots__ = ()


@dataclass(frozen=True)
class Table:
    """Rows of cells under a title."""

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""
    """A sentence above the table."""


@dataclass(frozen=True)
class Card:
    """A report card before it is written down."""

    title: str
    headline: tuple[str, ...]
    """What it comes to, in sentences."""
    facts: tuple[tuple[str, str], ...] = ()
    """What was measured by what."""
    tables: tuple[Table, ...] = ()
    notes: tuple[str, ...] = ()
    """How to read it."""


def plain(text: str, limit: int = 200) -> str:
    """Return `text` on one line, in which nothing can move the cursor, hide or turn the direction of writing."""
    shown = "".join(c if unicodedata.category(c) not in _HIDDEN else _named(c) for c in " ".join(text.split()))
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"


def _named(character: str) -> str:
    return f"\\u{{{ord(character):x}}}"


def card_text(card: Card) -> str:
    """Return the card for a terminal."""
    lines = [plain(card.title), ""]
    lines += [line for text in card.headline for line in _wrapped(text)]
    if card.facts:
        wide = max(len(name) for name, _ in card.facts)
        lines += ["", *(f"{plain(name):<{wide}}  {plain(value, 400)}" for name, value in card.facts)]
    for table in card.tables:
        lines += ["", plain(table.title), *([plain(table.note)] if table.note else [])]
        lines += _columns(table)
    lines += ["", *(line for note in card.notes for line in _wrapped(note))] if card.notes else []
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(plain(text, 600), _TEXT_WIDTH, break_long_words=False, break_on_hyphens=False)


def _columns(table: Table) -> list[str]:
    rows = [tuple(plain(cell, 90) for cell in row) for row in (table.head, *table.rows)]
    widths = [max(_width(row[n]) for row in rows) for n in range(len(table.head))]
    numeric = _numeric(rows[1:], len(table.head))
    lines = []
    for row in rows:
        cells = []
        for n, cell in enumerate(row):
            blank = " " * (widths[n] - _width(cell))
            cells.append(blank + cell if numeric[n] else cell + blank)
        lines.append("  " + "  ".join(cells))
    lines.insert(1, "  " + "  ".join("─" * width for width in widths))
    return lines


def _numeric(rows: Sequence[Sequence[str]], columns: int) -> list[bool]:
    """Return which columns hold nothing but numbers, to stand right."""
    return [all(_NUMBER.fullmatch(row[n]) for row in rows) for n in range(columns)]


def _width(text: str) -> int:
    """Return how many cells of a terminal a text takes."""
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in ("W", "F") else 1 for c in text
    )


def card_markdown(card: Card) -> str:
    """Return the card as GitHub-flavoured Markdown."""
    lines = [f"# {_escaped(card.title)}", ""]
    lines += [f"{_escaped(line, 400)}  " for line in card.headline[:-1]]
    lines += [_escaped(line, 400) for line in card.headline[-1:]]
    if card.facts:
        lines += ["", "| | |", "|---|---|"]
        lines += [f"| {_escaped(name)} | {_cell(value, 400)} |" for name, value in card.facts]
    for table in card.tables:
        lines += ["", *_markdown_table(table)]
    if card.notes:
        lines += ["", "## How to read this", "", *(f"- {_escaped(note, 600)}" for note in card.notes)]
    return "\n".join(lines) + "\n"


def _markdown_table(table: Table) -> list[str]:
    lines = [f"## {_escaped(table.title)}", ""]
    lines += [_escaped(table.note), ""] if table.note else []
    lines.append("| " + " | ".join(_escaped(cell) for cell in table.head) + " |")
    numeric = _numeric(table.rows, len(table.head))
    lines.append("|" + "|".join("---:" if right else "---" for right in numeric) + "|")
    return lines + ["| " + " | ".join(_cell(cell) for cell in row) + " |" for row in table.rows]


def _cell(cell: str, limit: int = 200) -> str:
    return _code(cell, limit) if isinstance(cell, Quoted) else _escaped(cell, limit)


def _escaped(text: str, limit: int = 200) -> str:
    """Return text of ours; code between backticks stays code."""
    shown = plain(text, limit)
    parts = shown.split("`")
    if len(parts) % 2 == 0:  # a backtick without its pair is no code
        parts = [shown]
    return "".join(f"`{part}`" if n % 2 else _no_markup(part) for n, part in enumerate(parts))


def _no_markup(text: str) -> str:
    marked = _MARKDOWN.sub(r"\\\1", text)
    return _LINK.sub(lambda m: m.group().replace(":", "&#58;").replace(".", "&#46;"), marked)


def _code(text: str, limit: int) -> str:
    """Return data as code, in which nothing is markup; a bar would end the cell of a table."""
    shown = plain(text, limit)
    if not shown:
        return ""
    fence = "`" * (max((len(run) for run in re.findall(r"`+", shown)), default=0) + 1)
    pad = " " if shown[:1] == "`" or shown[-1:] == "`" else ""
    return f"{fence}{pad}{shown}{pad}{fence}".replace("|", "\\|")
