"""The cells as a heat map and the texts as points on a plane: SVG as text, without script, for a report, light or dark."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from html import escape
from typing import Literal

from pydantic import StrictFloat, StrictStr

from autodata_core.coverage.cells import ANY
from autodata_core.coverage.reporting import CellLine
from autodata_core.records import Record

__all__ = ["Point", "heat_map_svg", "map_svg"]

_CELL = (54, 26)
_ROW_CHARS, _COLUMN_CHARS = 34, 24
_LETTER = (6.7, 4.3)
"""Room for a letter of a row label, and for one of a column label that leans, in pixels."""
_MAP = (640, 420)
_COLOURS = {"source": "#8a95a1", "row": "#3b7bf0", "refused": "#d97706", "human": "#12a17a", "empty": "#e5484d"}
_NAMES = {
    "source": "document",
    "row": "kept row",
    "refused": "refused question",
    "human": "human row",
    "empty": "document that no row is near",
}
_WAYS = {"source": 100, "row": 100, "refused": 150, "human": 110, "empty": 0}
"""Room for each name in the legend, in pixels."""


class Point(Record):
    """A text on the plane."""

    x: StrictFloat
    """In [0, 1]."""
    y: StrictFloat
    kind: Literal["source", "row", "refused", "human", "empty"]
    """`empty`: a source that no question is near."""
    label: StrictStr = ""


def heat_map_svg(lines: Sequence[CellLine]) -> str:
    """Return topics × question types (and bands), each cell with its rows and target; the fuller, the darker."""
    rows = sorted({line.cell.topic for line in lines})
    columns = sorted({_column(line) for line in lines})
    left = 16 + round(_LETTER[0] * max((min(len(name), _ROW_CHARS) for name in rows), default=0))
    top = 24 + round(_LETTER[1] * max((min(len(name), _COLUMN_CHARS) for name in columns), default=0))
    width, height = left + _CELL[0] * len(columns) + 90, top + _CELL[1] * len(rows) + 10
    parts = [
        f'<text x="{left - 8}" y="{top + _CELL[1] * n + 17}" text-anchor="end">{_short(name, _ROW_CHARS)}</text>'
        for n, name in enumerate(rows)
    ]
    parts += [
        f'<text transform="translate({left + _CELL[0] * n + 20} {top - 8}) rotate(-35)">{_short(name, _COLUMN_CHARS)}</text>'
        for n, name in enumerate(columns)
    ]
    for line in lines:
        x, y = left + _CELL[0] * columns.index(_column(line)), top + _CELL[1] * rows.index(line.cell.topic)
        share = min(1.0, line.have / line.target) if line.target else min(1.0, line.have / 5)
        text = f"{line.have}/{line.target}" if line.target else str(line.have)
        # The paler, the emptier, on any ground; numbers take the colour of the page until the ground is dark.
        ink = "#fff" if share > 0.55 else "currentColor"
        parts.append(
            f'<g><title>{_plain(str(line.cell))}: {text}</title><rect x="{x}" y="{y}" width="{_CELL[0] - 2}" '
            f'height="{_CELL[1] - 2}" rx="3" fill="#2457c5" fill-opacity="{0.07 + 0.88 * share:.2f}"/>'
            f'<text x="{x + _CELL[0] // 2 - 1}" y="{y + 17}" text-anchor="middle" fill="{ink}">{text}</text></g>'
        )
    return _svg(width, height, "Rows per cell, of the rows wanted", parts)


def map_svg(points: Sequence[Point]) -> str:
    """Return the texts as dots, sources below, with a legend; similar texts lie near one another."""
    width, height = _MAP
    order = sorted(points, key=lambda point: list(_COLOURS).index(point.kind))
    parts = [
        _dot(20 + point.x * (width - 40), 20 + (1 - point.y) * (height - 60), point.kind, _plain(point.label[:200]))
        for point in order
    ]
    x = 26
    for kind in (kind for kind in _COLOURS if any(point.kind == kind for point in points)):
        parts.append(_dot(x, height - 16, kind))
        parts.append(f'<text x="{x + 11}" y="{height - 12}">{_NAMES[kind]}</text>')
        x += 30 + _WAYS[kind]
    return _svg(width, height, "Documents and questions, by similarity", parts, fits=True)


def _dot(x: float, y: float, kind: str, label: str = "") -> str:
    """Return a point; what nothing is near is a ring, so that colour is not all that tells it."""
    title = f"<title>{label}</title>" if label else ""
    look = (
        f'fill="none" stroke="{_COLOURS[kind]}" stroke-width="2.5"' if kind == "empty" else f'fill="{_COLOURS[kind]}"'
    )
    size = {"source": 3.5, "empty": 6.0}.get(kind, 4.5)
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{size}" {look} opacity="0.8">{title}</circle>'


def _column(line: CellLine) -> str:
    parts = [part for part in (line.cell.question_type, line.cell.band) if part != ANY]
    return " · ".join(parts) or "all"


def _short(text: str, most: int) -> str:
    return _plain(text if len(text) <= most else text[: most - 1] + "…")


def _plain(text: str) -> str:
    """Return text of others as text of an SVG: escaped, and without anything that hides or turns writing."""
    return escape("".join(c if unicodedata.category(c)[0] != "C" and c not in "\u2028\u2029" else " " for c in text))


def _svg(width: int, height: int, title: str, parts: Sequence[str], *, fits: bool = False) -> str:
    shrinks = 'class="fits" ' if fits else ""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'{shrinks}role="img" font-family="system-ui, sans-serif" font-size="12" '
        f'fill="currentColor"><title>{escape(title)}</title>{"".join(parts)}</svg>'
    )
