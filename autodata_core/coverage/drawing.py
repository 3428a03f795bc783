"""The cells as a heat map and the texts as points on a plane: SVG as text, without script, for a report."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Literal

from pydantic import StrictFloat, StrictStr

from autodata_core.coverage.cells import ANY
from autodata_core.coverage.reporting import CellLine
from autodata_core.records import Record

__all__ = ["Point", "heat_map_svg", "map_svg"]

_CELL = (54, 26)
_LABELS = (230, 110)
"""Room for row and column labels, in pixels."""
_MAP = (640, 420)
_COLOURS = {"source": "#9aa5b1", "row": "#2563eb", "refused": "#d97706", "human": "#059669", "empty": "#dc2626"}


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
    left, top = _LABELS
    width, height = left + _CELL[0] * len(columns) + 10, top + _CELL[1] * len(rows) + 10
    parts = [
        f'<text x="{left - 8}" y="{top + _CELL[1] * n + 17}" text-anchor="end">{_short(name, 34)}</text>'
        for n, name in enumerate(rows)
    ]
    parts += [
        f'<text transform="translate({left + _CELL[0] * n + 20} {top - 8}) rotate(-35)">{_short(name, 24)}</text>'
        for n, name in enumerate(columns)
    ]
    for line in lines:
        x, y = left + _CELL[0] * columns.index(_column(line)), top + _CELL[1] * rows.index(line.cell.topic)
        share = min(1.0, line.have / line.target) if line.target else min(1.0, line.have / 5)
        shade = f"rgb({round(239 - 202 * share)},{round(246 - 147 * share)},{round(255 - 20 * share)})"
        text = f"{line.have}/{line.target}" if line.target else str(line.have)
        parts.append(
            f'<g><title>{escape(str(line.cell))}: {text}</title><rect x="{x}" y="{y}" width="{_CELL[0] - 2}" '
            f'height="{_CELL[1] - 2}" fill="{shade}"/><text x="{x + _CELL[0] // 2 - 1}" y="{y + 17}" '
            f'text-anchor="middle" fill="{"#fff" if share > 0.6 else "#111"}">{text}</text></g>'
        )
    return _svg(width, height, "Rows per cell, of the rows wanted", parts)


def map_svg(points: Sequence[Point]) -> str:
    """Return the texts as dots, sources below, with a legend; similar texts lie near one another."""
    width, height = _MAP
    order = sorted(points, key=lambda point: list(_COLOURS).index(point.kind))
    parts = [
        f'<circle cx="{20 + point.x * (width - 40):.1f}" cy="{20 + (1 - point.y) * (height - 60):.1f}" '
        f'r="{4 if point.kind != "source" else 3}" fill="{_COLOURS[point.kind]}" fill-opacity="0.7">'
        f"<title>{escape(point.label[:200])}</title></circle>"
        for point in order
    ]
    for n, kind in enumerate(kind for kind in _COLOURS if any(point.kind == kind for point in points)):
        parts.append(f'<circle cx="{26 + 110 * n}" cy="{height - 16}" r="5" fill="{_COLOURS[kind]}"/>')
        parts.append(f'<text x="{36 + 110 * n}" y="{height - 12}">{kind}</text>')
    return _svg(width, height, "Sources and questions, by similarity", parts)


def _column(line: CellLine) -> str:
    parts = [part for part in (line.cell.question_type, line.cell.band) if part != ANY]
    return " · ".join(parts) or "all"


def _short(text: str, most: int) -> str:
    return escape(text if len(text) <= most else text[: most - 1] + "…")


def _svg(width: int, height: int, title: str, parts: Sequence[str]) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'role="img" font-family="system-ui, sans-serif" font-size="12"><title>{escape(title)}</title>{"".join(parts)}</svg>'
    )
