"""How many rows each cell should have: as the sources are, all alike, or as the user says. What is there is not asked here."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction

from pydantic import Field, StrictInt, StrictStr

from autodata_core.coverage.cells import ANY, Band, Cell, TopicMap
from autodata_core.errors import RecipeError
from autodata_core.records import Record

__all__ = ["TargetLine", "apportion", "grid", "proportional", "scaled", "tabled", "uniform"]


class TargetLine(Record):
    """One line of a user's table, or one failure of the user's model: how much of what."""

    topic: StrictStr = ANY
    question_type: StrictStr = ANY
    band: Band = "any"
    count: StrictInt = Field(default=1, ge=0, le=10_000_000)


def grid(topics: TopicMap, question_types: Iterable[str] = (), bands: Iterable[Band] = ()) -> tuple[Cell, ...]:
    """Return every cell of topics that have a source, sorted; a part without names is `any`."""
    types, levels = tuple(question_types) or (ANY,), tuple(bands) or ("any",)
    carried = [topic for topic, size in topics.sizes().items() if size]
    made = {Cell(topic=t, question_type=q, band=b) for t in carried for q in types for b in levels}
    return tuple(sorted(made, key=lambda cell: cell.order))


def uniform(cells: Sequence[Cell], total: int) -> dict[Cell, int]:
    """Return targets that are alike for all cells."""
    return dict(zip(cells, apportion([1] * len(cells), total), strict=True))


def proportional(cells: Sequence[Cell], weights: Mapping[str, int], total: int) -> dict[Cell, int]:
    """Return targets in proportion to how much the sources say about each topic.

    Args:
        cells: Of every topic as many as of any other, as `grid` gives them.
        weights: By topic: sources, or words.
        total: Rows in all.
    """
    topics = list(dict.fromkeys(cell.topic for cell in cells))
    shares = dict(zip(topics, apportion([weights.get(topic, 0) for topic in topics], total), strict=True))
    targets: dict[Cell, int] = {}
    begin = 0
    for topic in topics:
        own = [cell for cell in cells if cell.topic == topic]
        # A topic with fewer rows than cells begins where the one before it ended, so that no type stays empty in all of them.
        turned = [*own[begin % len(own) :], *own[: begin % len(own)]]
        targets |= dict(zip(turned, apportion([1] * len(own), shares[topic]), strict=True))
        begin += shares[topic]
    return {cell: targets[cell] for cell in cells}


def tabled(cells: Sequence[Cell], lines: Iterable[TargetLine], total: int | None = None) -> dict[Cell, int]:
    """Return targets as the user's lines say; `any` in a line is spread over the cells that it fits.

    Args:
        cells: The grid.
        lines: A table, or failures of the user's model with how often each kind occurred.
        total: Rows in all, when the counts are shares rather than rows.

    Raises:
        RecipeError: A line fits no cell; the message names the nearest topic or question type.
    """
    wanted: Counter[Cell] = Counter()
    for line in lines:
        fitting = [cell for cell in cells if _fits(line, cell)]
        if not fitting:
            raise RecipeError(_unknown(line, cells))
        for cell, count in zip(fitting, apportion([1] * len(fitting), line.count), strict=True):
            wanted[cell] += count
    targets = {cell: wanted[cell] for cell in cells}
    return targets if total is None else scaled(targets, total)


def scaled(targets: Mapping[Cell, int], total: int) -> dict[Cell, int]:
    """Return the same targets for another number of rows."""
    return dict(zip(targets, apportion(list(targets.values()), total), strict=True))


def apportion(weights: Sequence[int], total: int) -> list[int]:
    """Return whole numbers in proportion to `weights` that add up to `total`, by largest remainders; all 0 for no weight."""
    whole = sum(weights)
    if whole <= 0 or total <= 0:
        return [0] * len(weights)
    exact = [Fraction(weight * total, whole) for weight in weights]
    given = [int(share) for share in exact]
    rest = sorted(range(len(weights)), key=lambda n: (given[n] - exact[n], n))
    for n in rest[: total - sum(given)]:
        given[n] += 1
    return given


def _fits(line: TargetLine, cell: Cell) -> bool:
    return (
        line.topic in (ANY, cell.topic)
        and (line.question_type == ANY or cell.question_type in (ANY, line.question_type))
        and (line.band == "any" or cell.band in ("any", line.band))
    )


def _unknown(line: TargetLine, cells: Sequence[Cell]) -> str:
    topics = sorted({cell.topic for cell in cells})
    types = sorted({cell.question_type for cell in cells})
    name, known = ("topic", topics) if line.topic not in (ANY, *topics) else ("question_type", types)
    asked = getattr(line, name)
    near = difflib.get_close_matches(asked, known, n=1, cutoff=0.4)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return f"[coverage] targets: no source is about {name} {asked!r}.{hint} Known: {', '.join(known[:12])}."
