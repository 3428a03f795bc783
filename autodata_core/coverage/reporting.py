"""The gap report as a record: what a data set covers and lacks. Reads nothing, decides nothing; people read `wording`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from pydantic import Field, StrictBool, StrictFloat, StrictInt, StrictStr

from autodata_core.coverage.advising import Advice, advise
from autodata_core.coverage.asking import Asked, Course, Outcome, count_asked
from autodata_core.coverage.cells import Cell, Topic, TopicMap, cell_of, count_cells, have
from autodata_core.coverage.collapse import Alarm, Figures
from autodata_core.coverage.lacking import Closing, Gap, gaps
from autodata_core.coverage.repeating import Saturation, saturated_cells
from autodata_core.records import Example, Record

__all__ = [
    "BatchLine",
    "CellLine",
    "CoverageReport",
    "DocumentLine",
    "Pointed",
    "Region",
    "coverage_report",
    "document_of",
    "missing_skills",
]

_DOCUMENTS = 200
"""Documents in a report, those with the fewest rows; the rest is counted."""
_PER_TOPIC = 12


class CellLine(Record):
    """What one cell has."""

    cell: Cell
    have: StrictInt
    target: StrictInt
    refused: dict[StrictStr, StrictInt] = Field(default_factory=dict)
    """Refused questions of this topic and type by the kind of their first reason; their difficulty was not measured."""
    asked: Asked | None = None
    """What became of the items that were asked for it; None where items are not asked for cells."""

    @property
    def tried(self) -> int:
        """Questions that lie in it, whatever they were asked for."""
        return self.have + sum(self.refused.values())


class DocumentLine(Record):
    """What one document has; its parts are taken together."""

    document: StrictStr
    parts: StrictInt
    rows: StrictInt
    refused: StrictInt
    """Questions about it that were refused."""
    begins: StrictStr = ""
    """Its first words, so that a person knows what it is; empty where its text is not at hand."""


class Region(Record):
    """A place in the sources that no question is near."""

    source: StrictStr
    similarity: StrictFloat
    """To the nearest question, in [0, 1]; 0 when there is none."""
    neighbours: tuple[StrictStr, ...] = ()
    """Other sources that lie there, the nearest first."""
    passage: StrictStr = ""
    """How the source begins, shortened, so that a person knows what it is."""


class Pointed(Record):
    """How many items of a batch were asked for one cell."""

    cell: Cell
    items: StrictInt


class BatchLine(Record):
    """What one batch of a steered run was pointed at, and what came of it."""

    first: StrictInt
    """Position of its first item in the run."""
    items: StrictInt
    exploring: StrictInt
    """Items that were left to their source."""
    pointed: tuple[Pointed, ...]
    """Most items first."""
    gaps_open: StrictInt | None = None
    """Gaps when it was planned."""
    closing: Closing | None = None
    """What it closed; None until the next batch was planned."""
    filled_before: StrictFloat | None = None
    """Share of all rows that the run wants which was there when it was planned, in [0, 1]; None where that is not kept."""
    filled_after: StrictFloat | None = None
    """The same when the next batch was planned, or now."""


class CoverageReport(Record):
    """What a data set covers and lacks."""

    rows: StrictInt
    tried: StrictInt
    """Replies of the challenger that should be a question: kept, refused, or not readable."""
    duplicates: StrictInt
    topics: tuple[Topic, ...]
    sizes: dict[StrictStr, StrictInt]
    """Sources by topic."""
    cells: tuple[CellLine, ...]
    """Every cell with a target, and every other one with a row."""
    gaps: tuple[Gap, ...]
    """As ranked for the next batch."""
    saturation: tuple[Saturation, ...] = ()
    refused: dict[StrictStr, StrictInt] = Field(default_factory=dict)
    """All refused questions by the kind of their first reason."""
    advice: tuple[Advice, ...] = ()
    """What to do about the gaps, what would fill most first."""
    steered: StrictBool = False
    """Batches were planned from gaps."""
    wanted_by: Literal["targets", "recipe", "shares"] = "shares"
    """What the numbers of rows wanted rest on: targets the run was steered by, what the recipe of a run without steering says,
    or nothing: then they are shares of the documents, which nobody asked for."""
    course: Course = Field(default_factory=Course)
    batches: tuple[BatchLine, ...] = ()
    """Of a steered run, in order."""
    documents: tuple[DocumentLine, ...] = ()
    """Those with the fewest rows first, 200 at most."""
    document_count: StrictInt = 0
    documents_without_row: StrictInt = 0
    topic_documents: dict[StrictStr, tuple[StrictStr, ...]] = Field(default_factory=dict)
    """By topic: some of its documents, sorted."""
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
    refusals: Iterable[tuple[str, Cell | None, str]] = (),
    steered: bool = False,
    wanted_by: Literal["targets", "recipe", "shares"] | None = None,
    outcomes: Iterable[Outcome] | None = None,
    course: Course | None = None,
    questions: int | None = None,
    batches: Sequence[BatchLine] = (),
    saturation: Sequence[Saturation] = (),
    regions: Sequence[Region] = (),
    figures: Figures | None = None,
    alarms: Sequence[Alarm] = (),
    similarities: Sequence[float] = (),
    begins: Mapping[str, str] | None = None,
) -> CoverageReport:
    """Return the report.

    Args:
        rows: Accepted ones.
        topics: Of the sources.
        targets: Rows wanted per cell.
        tries: Cell of each question that was tried, and whether it was a duplicate.
        refusals: Source, cell and kind of reason of each question that was refused; None for the cell of one that could not
            be read.
        steered: Batches were planned from the gaps.
        wanted_by: See `CoverageReport`; None takes targets for a steered run and shares for another.
        outcomes: Of each item that was asked for a cell; None where items are not asked for cells.
        course: How far the run is.
        questions: Replies that should be a question, with those that never came to be compared; None for as many as `tries`.
        batches: Those, in order.
        saturation: Of the tries.
        regions: Where no question is near, the emptiest first.
        figures: Of diversity.
        alarms: Figures beyond their limits.
        similarities: Of each question that was tried to the nearest other one.
        begins: First words by source.
    """
    counts, used = count_cells(rows, topics), {row.source.id for row in rows}
    if all(cell.band == "any" for cell in targets):  # difficulty is not asked about, so it tells no cells apart
        counts = sum((Counter({cell.pair: n}) for cell, n in counts.items()), Counter())
    tried = list(tries)
    uncounted = sorted(
        (cell for cell in counts if not any(wanted.holds(cell) for wanted in targets)), key=lambda cell: cell.order
    )
    lines = [CellLine(cell=cell, have=have(counts, cell), target=target) for cell, target in targets.items()]
    lines += [CellLine(cell=cell, have=counts[cell], target=0) for cell in uncounted]
    near = sorted(similarities)
    refused_in: dict[Cell, Counter[str]] = {}
    refused_of: Counter[str] = Counter()
    refused: Counter[str] = Counter()
    for source, cell, kind in refusals:
        refused[kind] += 1
        refused_of[source] += 1
        if cell is not None:
            refused_in.setdefault(cell.pair, Counter())[kind] += 1
    asked = None if outcomes is None else count_asked(outcomes)
    lines = [
        line.model_copy(update={"refused": dict(_of(refused_in, line.cell)), "asked": _asked(asked, line)})
        for line in lines
    ]
    lacking = gaps(counts, targets, saturated_cells(saturation))
    why = {gap.cell.pair: _of(refused_in, gap.cell) for gap in lacking}
    documents = _documents(rows, topics, refused_of, begins or {})
    return CoverageReport(
        rows=len(rows),
        tried=len(tried) if questions is None else questions,
        duplicates=sum(duplicate for _, duplicate in tried),
        topics=topics.topics,
        sizes=dict(topics.sizes()),
        cells=tuple(lines),
        gaps=lacking,
        refused=dict(refused),
        advice=advise(lacking, why, steered=steered, asked=asked, course=course),
        steered=steered,
        wanted_by=wanted_by or ("targets" if steered else "shares"),
        course=course or Course(),
        batches=tuple(batches),
        documents=documents[:_DOCUMENTS],
        document_count=len(documents),
        documents_without_row=sum(line.rows == 0 for line in documents),
        topic_documents={
            topic.name: tuple(dict.fromkeys(map(document_of, topics.sources_of(topic.name))))[:_PER_TOPIC]
            for topic in topics.topics
        },
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


def document_of(source: str) -> str:
    """Return the document that a source is a part of; loaders number parts behind a `#`."""
    return source.partition("#")[0]


def _of(refused: Mapping[Cell, Counter[str]], wanted: Cell) -> Counter[str]:
    """Return the refusals that a cell holds, whatever their difficulty would have been."""
    pair = wanted.pair
    return sum((counts for cell, counts in refused.items() if pair.holds(cell)), Counter())


def _asked(asked: Mapping[Cell, Asked] | None, line: CellLine) -> Asked | None:
    """Return what was asked for a cell; where nothing was asked for a target, that is said with zeros."""
    return None if asked is None else asked.get(line.cell, Asked() if line.target else None)


def _documents(
    rows: Iterable[Example], topics: TopicMap, refused: Mapping[str, int], begins: Mapping[str, str]
) -> list[DocumentLine]:
    first: dict[str, str] = {}
    for source in topics.of:  # in the order of the sources: the first part of a document is how it begins
        first.setdefault(document_of(source), begins.get(source, ""))
    parts = Counter(document_of(source) for source in topics.of)
    kept = Counter(document_of(row.source.id) for row in rows)
    against: Counter[str] = Counter()
    for source, count in refused.items():
        against[document_of(source)] += count
    made = [
        DocumentLine(document=d, parts=n, rows=kept[d], refused=against[d], begins=first[d]) for d, n in parts.items()
    ]
    return sorted(made, key=lambda line: (line.rows, line.refused, line.document))
