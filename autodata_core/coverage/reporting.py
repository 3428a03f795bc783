"""The gap report: what a data set covers and lacks, as a record and as text for people. Reads nothing, decides nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from pydantic import Field, StrictFloat, StrictInt, StrictStr

from autodata_core.coverage.cells import Cell, Topic, TopicMap, cell_of, count_cells, have
from autodata_core.coverage.collapse import Alarm, Figures
from autodata_core.coverage.lacking import Gap, gaps
from autodata_core.coverage.repeating import Saturation, saturated_cells
from autodata_core.records import Example, Record

__all__ = ["CellLine", "CoverageReport", "Region", "coverage_report", "missing_skills", "report_text"]

_SHOWN = 10
"""Lines of a list that are shown; the rest is counted."""


class CellLine(Record):
    """What one cell has."""

    cell: Cell
    have: StrictInt
    target: StrictInt


class Region(Record):
    """A place in the sources that no question is near."""

    source: StrictStr
    similarity: StrictFloat
    """To the nearest question, in [0, 1]; 0 when there is none."""
    neighbours: tuple[StrictStr, ...] = ()
    """Other sources that lie there, the nearest first."""
    passage: StrictStr = ""
    """How the source begins, shortened, so that a person knows what it is."""


class CoverageReport(Record):
    """What a data set covers and lacks."""

    rows: StrictInt
    tried: StrictInt
    """Questions that were asked about the map, kept or not."""
    duplicates: StrictInt
    topics: tuple[Topic, ...]
    sizes: dict[StrictStr, StrictInt]
    """Sources by topic."""
    cells: tuple[CellLine, ...]
    """Every cell with a target, and every other one with a row."""
    gaps: tuple[Gap, ...]
    """As ranked for the next batch."""
    saturation: tuple[Saturation, ...] = ()
    sources: StrictInt
    unused: tuple[StrictStr, ...] = ()
    """Sources without a row, sorted."""
    regions: tuple[Region, ...] = ()
    missing_skills: dict[StrictStr, tuple[StrictStr, ...]] = Field(default_factory=dict)
    """By topic: skills that other topics' rows have and its own have not."""
    figures: Figures | None = None
    alarms: tuple[Alarm, ...] = ()
    similarity: dict[StrictStr, StrictFloat] = Field(default_factory=dict)
    """How near questions are to the nearest other one: `middle` and `most`."""

    @property
    def filled(self) -> float:
        """Share of the cells with a target that reach it, in [0, 1]; 1 without targets."""
        wanted = [line for line in self.cells if line.target]
        return sum(line.have >= line.target for line in wanted) / len(wanted) if wanted else 1.0


def coverage_report(
    rows: Sequence[Example],
    topics: TopicMap,
    targets: Mapping[Cell, int],
    *,
    tries: Iterable[tuple[Cell, bool]] = (),
    saturation: Sequence[Saturation] = (),
    regions: Sequence[Region] = (),
    figures: Figures | None = None,
    alarms: Sequence[Alarm] = (),
    similarities: Sequence[float] = (),
) -> CoverageReport:
    """Return the report.

    Args:
        rows: Accepted ones.
        topics: Of the sources.
        targets: Rows wanted per cell.
        tries: Cell of each question that was tried, and whether it was a duplicate.
        saturation: Of those.
        regions: Where no question is near, the emptiest first.
        figures: Of diversity.
        alarms: Figures beyond their limits.
        similarities: Of each question that was tried to the nearest other one.
    """
    counts, used = count_cells(rows, topics), {row.source.id for row in rows}
    tried = list(tries)
    uncounted = sorted(
        (cell for cell in counts if not any(wanted.holds(cell) for wanted in targets)), key=lambda cell: cell.order
    )
    lines = [CellLine(cell=cell, have=have(counts, cell), target=target) for cell, target in targets.items()]
    lines += [CellLine(cell=cell, have=counts[cell], target=0) for cell in uncounted]
    near = sorted(similarities)
    return CoverageReport(
        rows=len(rows),
        tried=len(tried),
        duplicates=sum(duplicate for _, duplicate in tried),
        topics=topics.topics,
        sizes=dict(topics.sizes()),
        cells=tuple(lines),
        gaps=gaps(counts, targets, saturated_cells(saturation)),
        saturation=tuple(saturation),
        sources=len(topics.of),
        unused=tuple(sorted(set(topics.of) - used)),
        regions=tuple(regions),
        missing_skills=missing_skills(rows, topics),
        figures=figures,
        alarms=tuple(alarms),
        similarity={"middle": round(near[len(near) // 2], 6), "most": round(near[-1], 6)} if near else {},
    )


def missing_skills(rows: Iterable[Example], topics: TopicMap) -> dict[str, tuple[str, ...]]:
    """Return, by topic, the skills that rows of at least two other topics need and none of its own, the commonest first."""
    by_skill: dict[str, Counter[str]] = {}
    for row in rows:
        for skill in {" ".join(skill.casefold().split()) for skill in row.skills}:
            by_skill.setdefault(skill, Counter())[cell_of(row, topics).topic] += 1
    ranked = sorted(by_skill, key=lambda skill: (-by_skill[skill].total(), skill))
    found = {
        topic.name: tuple(s for s in ranked if topic.name not in by_skill[s] and len(by_skill[s]) >= 2)
        for topic in topics.topics
    }
    return {topic: skills for topic, skills in found.items() if skills}


def report_text(report: CoverageReport) -> str:
    """Return the report as a person reads it."""
    wanted = [line for line in report.cells if line.target]
    reached = sum(line.have >= line.target for line in wanted)
    lines = [
        _line("questions", f"{report.tried} tried, {report.rows} kept, {report.duplicates} duplicates"),
        _line("nearest", _nearest(report)),
        _line("sources", f"{report.sources - len(report.unused)} of {report.sources} have a row"),
        _line("cells", f"{reached} of {len(wanted)} reach their target" if wanted else "no targets"),
        _line("topics", f"{len(report.topics)}"),
    ]
    lines += _list("", [_topic(report, topic) for topic in report.topics])
    missing = [gap for gap in report.gaps if not gap.saturated]
    full = [line for line in report.saturation if line.saturated]
    lines += _list("lacking", [f"{gap.cell}: {gap.have} of {gap.target}" for gap in missing])
    lines += _list(
        "repeating", [f"{line.cell.pair}: {line.recent:.0%} of the last tries were duplicates" for line in full]
    )
    lines += _list("without a row", report.unused)
    lines += _list("far away", [_region(region) for region in report.regions])
    skills = [f"{topic}: {', '.join(names[:5])}" for topic, names in report.missing_skills.items()]
    lines += _list("no question", [f"that needs, in {line}" for line in skills])
    lines += _list("variety", _figures(report.figures))
    lines += _list("alarms", [str(alarm) for alarm in report.alarms])
    return "\n".join(lines)


def _line(name: str, value: str) -> str:
    return f"{name:<14}{value}"


def _list(name: str, values: Sequence[str]) -> list[str]:
    more = [f"and {len(values) - _SHOWN} more"] if len(values) > _SHOWN else []
    return [_line(name if n == 0 else "", value) for n, value in enumerate([*values[:_SHOWN], *more])]


def _nearest(report: CoverageReport) -> str:
    if not report.similarity:
        return "–"
    return f"similarity {report.similarity['middle']:.2f} in the middle, {report.similarity['most']:.2f} at most"


def _topic(report: CoverageReport, topic: Topic) -> str:
    kept = [line for line in report.cells if line.cell.topic == topic.name]
    rows = sum(line.have for line in kept)
    terms = ", ".join(topic.terms[:5])
    shown = f" ({terms})" if terms and terms != topic.name else ""
    return f"{topic.name}: {rows} rows from {report.sizes.get(topic.name, 0)} sources{shown}"


def _region(region: Region) -> str:
    beside = f", beside {', '.join(region.neighbours)}" if region.neighbours else ""
    passage = f": “{region.passage}”" if region.passage else ""
    return f"{region.source} (nearest question {region.similarity:.2f}{beside}){passage}"


def _figures(figures: Figures | None) -> list[str]:
    if figures is None:
        return []
    values = figures.to_json()
    shown = [f"{name.replace('_', ' ')} {value:.2f}" for name, value in values.items() if isinstance(value, float)]
    return [", ".join(shown)] if shown else [f"too few rows to say ({figures.texts})"]
