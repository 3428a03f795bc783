"""`autodata coverage`: what a run covers and lacks, and the index of its questions made anew. Changes nothing of what counts."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autodata_adapters.coverage import (
    Alike,
    ChromaCoverage,
    HashingEmbedder,
    create_embedder,
    create_targets,
    far_regions,
    on_plane,
    topics_of,
)
from autodata_adapters.stores import RunLock, SqliteRunStore, write_jsonl
from autodata_cli.coverage_events import (
    Places,
    batches_of,
    outcomes_of,
    plans_of,
    questions_of,
    refusals_of,
    tries_of,
)
from autodata_cli.reporting import open_finished_run
from autodata_core.coverage import (
    BANDS,
    Cell,
    CollapseMonitor,
    Course,
    CoverageReport,
    Point,
    Region,
    TopicMap,
    coverage_report,
    grid,
    heat_map_svg,
    map_svg,
    proportional,
    report_text,
    saturation,
)
from autodata_core.coverage.wording import short
from autodata_core.errors import MissingExtraError, StoreError
from autodata_core.ports import CoverageAsk, CoverageReply
from autodata_core.records import Example, Source

__all__ = [
    "Coverage",
    "coverage_json",
    "coverage_line",
    "coverage_text",
    "read_coverage",
    "rebuild_coverage",
    "write_coverage",
]

_NEAR_DUPLICATE = 0.9
_MOST_TYPES = 8
_MOST_POINTS = 2_000
_SAMPLE = 500
_LABEL_CHARS = 100
_BEGINS_CHARS = 120
_KEPT = ("topics_json", "targets_json", "protocol_json", "human_json", "coverage_json")
_REGIONS = 12
_UNLIKE = 0.1
"""Ours: a source less similar than this to every row shares next to no words with them, though one names it."""


@dataclass(frozen=True)
class Coverage:
    """What a run covers, with what it takes to draw it."""

    report: CoverageReport
    topics: TopicMap
    points: tuple[Point, ...] = ()
    """Sources and questions on a plane; empty without scikit-learn."""

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain JSON: the report, the share of cells that are filled, the points."""
        shown = [point.to_json() for point in self.points]
        return {**self.report.to_json(), "filled": self.report.filled, "points": shown}

    def heat_map(self) -> str:
        """Return the cells as SVG."""
        return heat_map_svg(self.report.cells)

    def map(self) -> str:
        """Return the points as SVG."""
        return map_svg(self.points)


def coverage_text(folder: Path) -> str:
    """Return what a run covers and lacks, as a person reads it.

    Raises:
        StoreError: It is not a run folder.
    """
    return report_text(read_coverage(folder).report)


def coverage_json(folder: Path) -> dict[str, Any]:
    """Return the same as plain JSON."""
    return read_coverage(folder).to_json()


def coverage_line(found: Coverage) -> str:
    """Return the same as the one line of `coverage.json`, without its end."""
    return json.dumps(found.to_json(), ensure_ascii=True, allow_nan=False)


def write_coverage(folder: Path, found: Coverage | None = None) -> Path:
    """Write `coverage.json` into the run folder and return its path.

    Args:
        folder: Of the run.
        found: What `read_coverage` gave; None reads it.

    Raises:
        StoreError: It is not a run folder, or it cannot be written.
    """
    path = folder / "coverage.json"
    write_jsonl(path, [(found or read_coverage(folder)).to_json()])
    return path


def read_coverage(folder: Path) -> Coverage:
    """Return what a run covers: by the topics and targets that it was steered by, or by such as its sources suggest.

    Raises:
        StoreError: It is not a run folder.
    """
    with open_finished_run(folder) as store:
        claims, rows = store.claims(), list(store.examples())
        items = len(store.registered_items())
        sources = [source for id in store.sources() if (source := store.source(id)) is not None]
        kept = {name: store.get_meta(name) for name in _KEPT}
        refused = [json.loads(line) for line in store.refused_lines()]
        plans = plans_of(payload for _, _, payload in store.events("plan"))
        table = json.loads(kept["coverage_json"] or "{}")
        topics = TopicMap.from_json(json.loads(kept["topics_json"])) if kept["topics_json"] else _topics(sources, rows)
        steered_by = _kept_targets(kept["targets_json"])
        steered = kept["targets_json"] is not None  # also by targets that are all 0
        said = steered_by if steered else _said_targets(topics, sources, table, max(items, len(rows)))
        places = Places.of(topics, said)
        course = _course(store, plans, table, topics)
        outcomes = list(outcomes_of(plans, store.finished_items(), {s.id: s for s in sources}, places))
    near = json.loads(kept["protocol_json"])["near_duplicate"] if kept["protocol_json"] else _NEAR_DUPLICATE
    rows = [places.respelled(row) for row in rows]
    tries = list(tries_of(claims, places, near))
    targets = said if said or steered else _targets(topics, claims, rows, max(items, len(rows)))
    seen = _Vectors.of(sources, rows)
    monitor = _monitor(rows, sources, json.loads(kept["human_json"] or "[]"))
    varied = monitor.figures(_per_topic(rows, targets, topics))
    report = coverage_report(
        rows,
        topics,
        targets,
        tries=tries,
        refusals=refusals_of(refused, claims, places, near),
        steered=steered,
        wanted_by="targets" if steered else "recipe" if said else "shares",
        outcomes=outcomes if plans else None,
        course=course,
        questions=questions_of(claims, refused, len(rows)),
        saturation=saturation(tries),
        regions=seen.regions(sources, rows) if seen else (),
        figures=varied,
        alarms=monitor.alarms(varied),
        similarities=[reply.similarity for _, reply in claims if reply.nearest is not None],
        begins={source.id: short(source.text[: 4 * _BEGINS_CHARS], _BEGINS_CHARS) for source in sources},
    )
    report = report.model_copy(update={"batches": tuple(batches_of(plans, report.gaps, sum(targets.values())))})
    return Coverage(report, topics, seen.points(sources, rows, report.regions) if seen else ())


@dataclass(frozen=True)
class _Vectors:
    """Vectors of the wording of sources and of rows; they are for looking at, decisions have their own."""

    sources: Any
    rows: Any

    @classmethod
    def of(cls, sources: Sequence[Source], rows: Sequence[Example]) -> _Vectors | None:
        try:
            embedder = HashingEmbedder()
        except MissingExtraError:
            return None
        texts = [f"{row.question} {row.context} {row.reference_answer}" for row in rows]
        return cls(embedder.embed_matrix([s.text for s in sources]), embedder.embed_matrix(texts)) if sources else None

    def regions(self, sources: Sequence[Source], rows: Sequence[Example]) -> tuple[Region, ...]:
        """Return where no question is near: sources without a row, and those whose rows speak of something else."""
        ids, used = [s.id for s in sources], {row.source.id for row in rows}
        found = far_regions(self.sources, self.rows, ids, [s.text for s in sources], count=_REGIONS)
        return tuple(region for region in found if region.source not in used or region.similarity < _UNLIKE)

    def points(self, sources: Sequence[Source], rows: Sequence[Example], empty: Sequence[Region]) -> tuple[Point, ...]:
        shown, newest = sources[:_MOST_POINTS], rows[-_MOST_POINTS:]
        of_sources, of_rows = on_plane(self.sources[:_MOST_POINTS], self.rows[len(rows) - len(newest) :])
        far = {region.source for region in empty}
        points = [
            Point(x=x, y=y, kind="empty" if source.id in far else "source", label=source.id[:_LABEL_CHARS])
            for (x, y), source in zip(of_sources, shown, strict=True)
        ]
        points += [
            Point(x=x, y=y, kind="row", label=f"{row.question_type}: {row.question}"[:_LABEL_CHARS])
            for (x, y), row in zip(of_rows, newest, strict=True)
        ]
        return tuple(points)


def _topics(sources: Sequence[Source], rows: Sequence[Example]) -> TopicMap:
    if sources:
        return topics_of(sources)
    of = {row.source.id: row.source.id.partition("#")[0] for row in rows}  # a run of before sources were kept
    return TopicMap(topics=(), of=of, made_by="documents-v1")


def _kept_targets(text: str | None) -> dict[Cell, int]:
    return {Cell.from_json(line["cell"]): int(line["target"]) for line in json.loads(text)} if text else {}


def _said_targets(topics: TopicMap, sources: Sequence[Source], table: Mapping[str, Any], total: int) -> dict[Cell, int]:
    """Return what the recipe of a run without steering says is wanted, empty where it says nothing.

    A table or failures lie in files of the recipe, which the run does not keep.
    """
    types, bands = tuple(table.get("question_types") or ()), tuple(b for b in BANDS if b in (table.get("bands") or ()))
    shape = table.get("targets", "proportional")
    if not (types or bands or shape == "uniform") or shape not in ("uniform", "proportional") or table.get("failures"):
        return {}
    made = create_targets(topics, sources, total=total, targets=shape, types=types, bands=bands)
    return {cell: target for cell, target in made.items() if target}


def _course(
    store: SqliteRunStore, plans: Sequence[Mapping[str, Any]], table: Mapping[str, Any], topics: TopicMap
) -> Course:
    """Return how far a run is. One that ended without being stopped is finished, though its sources gave fewer items."""
    ended = [payload for _, _, payload in store.events("run") if payload.get("state") == "ended"]
    done, registered = store.counts(), len(store.registered_items())
    whole = max(registered, len(store.sources()) * int(store.bound().get("examples_per_source", 1)))
    through = bool(ended) and ended[-1].get("stopped") is None and sum(done.values()) >= registered
    lines = [line["planned"] for plan in plans for line in plan.get("items", ())]
    most, used = table.get("most_per_source"), Counter(line["source"] for line in lines)
    full = [
        topic.name
        for topic in topics.topics
        if most is not None and all(used[source] >= most for source in topics.sources_of(topic.name))
    ]
    return Course(
        items=registered if through else whole,
        done=done,
        finished=through or (registered > 0 and sum(done.values()) >= whole),
        exploring=sum(bool(line.get("exploring")) for line in lines),
        most_per_source=most,
        used_up=tuple(full),
    )


def _targets(
    topics: TopicMap, claims: Sequence[tuple[CoverageAsk, CoverageReply]], rows: Sequence[Example], total: int
) -> dict[Cell, int]:
    """Return targets where a run had none: rows in proportion to the sources, over the commonest question types."""
    tried = Counter(ask.meta.get("question_type", "") for ask, _ in claims)
    tried.update(row.question_type for row in rows)
    types = sorted(name for name, _ in tried.most_common(_MOST_TYPES) if name)
    return {cell: target for cell, target in proportional(grid(topics, types), topics.sizes(), total).items() if target}


def _monitor(rows: Sequence[Example], sources: Sequence[Source], human: Sequence[str]) -> CollapseMonitor:
    """Return what a run is watched by, with its rows; without scikit-learn it cannot say how alike they are."""
    questions, texts = [row.question for row in rows], tuple(source.text for source in sources)
    try:
        HashingEmbedder()
    except MissingExtraError:
        return CollapseMonitor.of(questions, human=human, sources=texts)
    return CollapseMonitor.of(questions, human=human, sources=texts, alike=Alike())


def _per_topic(rows: Sequence[Example], targets: Mapping[Cell, int], topics: TopicMap) -> dict[object, int]:
    per_topic: dict[object, int] = {cell.topic: 0 for cell in targets}
    for row in rows:
        name = topics.topic_of(row.source.id)
        per_topic[name] = per_topic.get(name, 0) + 1
    return per_topic


def rebuild_coverage(folder: Path) -> int:
    """Make `coverage/` anew from the run's recorded questions; decisions stay as they are recorded.

    Returns:
        How many questions it holds.

    Raises:
        StoreError: It is not a run folder, or its embedder is the user's own.
        RunLockedError: A run works on it.
    """
    open_finished_run(folder).close()
    with RunLock(folder), SqliteRunStore(folder / "run.db", read_only=True) as store:
        name = store.bound().get("embedder", "hashing")
        entries = [ask for ask, _ in store.claims()]
        if name == "none":
            return 0
        if ":" in name:
            raise StoreError(
                f"The vectors of {folder} come from {name!r}, which only its recipe can load. "
                "Repeat `autodata run` with that recipe: it rebuilds the index."
            )
        with ChromaCoverage(folder / "coverage", create_embedder(name, folder)) as coverage:
            coverage.preload(entries)
    return len(entries)
