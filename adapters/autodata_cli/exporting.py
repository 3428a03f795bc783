"""`autodata export`: accepted rows as a file, without what stands in evaluation sets, with rows of people at a stated share."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from autodata_adapters.coverage import (
    HashingEmbedder,
    Hit,
    KnownTexts,
    TopicFinder,
    read_texts,
    topics_of,
)
from autodata_adapters.coverage.folding import fold
from autodata_adapters.exports import ORIGIN, human_rows, made_lines, made_row, write_parquet
from autodata_adapters.stores import SqliteRunStore, write_jsonl
from autodata_cli.reporting import open_finished_run
from autodata_core.coverage import Mixed, TopicMap, mix
from autodata_core.coverage.wording import short
from autodata_core.errors import RecipeError
from autodata_core.records import Source

__all__ = ["FORMATS", "STRATA", "Export", "Exported", "export_rows", "export_text"]

FORMATS = ("jsonl", "parquet")
STRATA = ("topic", "question_type", "none")
"""What the share of human rows holds within."""

Row = Mapping[str, Any]
_SHOWN = 10


@dataclass(frozen=True)
class Export:
    """One `autodata export`."""

    folder: Path
    out: Path
    format: str = "jsonl"
    human: Path | None = None
    """Rows that people wrote, JSON lines."""
    share: float = 0.0
    """Of human rows in the export, in [0, 1)."""
    by: str = "topic"
    """One of `STRATA`."""
    seed: int = 0
    evaluation: Sequence[Path] = ()
    """Sets that no exported row may repeat."""
    mapping: Mapping[str, str] = field(default_factory=dict)
    """Field of ours to where it stands in a human row."""

    @property
    def removed_path(self) -> Path:
        """File beside the export that says what was taken out."""
        return self.out.with_suffix(".removed.jsonl")


@dataclass(frozen=True)
class Exported:
    """What was written."""

    job: Export
    made: int
    mixed: Mixed[Row] | None = None
    """How human rows came in; None without them."""
    checked: int | None = None
    """Texts of evaluation sets that every row was compared with; None where none was given."""
    removed: tuple[tuple[Row, Hit], ...] = field(default=())
    not_human: int = 0
    """Rows of the file of people that a run made, this one or another; they were left out."""
    unchecked: tuple[str, ...] = ()
    """Evaluation files that the run's recipe names, where none was given here."""

    @property
    def human(self) -> int:
        return sum(stratum.human for stratum in self.mixed.strata) if self.mixed else 0


def export_rows(job: Export) -> Exported:
    """Write the accepted rows of a run.

    Raises:
        StoreError: It is not a run folder, or a file cannot be written.
        RecipeError: The share is none, or an evaluation set cannot be read.
        RecordError: A line of the human rows is no row.
        MissingExtraError: scikit-learn, or pyarrow for Parquet, is not installed.
    """
    with open_finished_run(job.folder) as store:
        rows: list[Row] = [example.to_json() for example in store.examples()]
        topics = _Topics.of(store) if job.human is not None and job.by == "topic" else None
        named = json.loads(store.get_meta("coverage_json") or "{}").get("evaluation") or []
    people, not_human = _people(job, rows)
    if job.human is not None:
        rows = [made_row(row) for row in rows]
    known = _known(job.evaluation)
    removed: tuple[tuple[Row, Hit], ...] = ()
    if known is not None:
        clean, clean_people = known.clean(rows), known.clean(people)
        rows, people = list(clean.kept), list(clean_people.kept)
        removed = (*clean.removed, *clean_people.removed)
    mixed = None
    if job.human is not None:
        strata = _strata(job.by, topics, people)
        mixed = mix(rows, people, job.share, strata=strata, seed=job.seed, name=lambda row: [row[ORIGIN], row["id"]])
    _write(job, mixed.rows if mixed else rows)
    if known is not None:  # also when there is nothing to say, so that no list of an earlier export stays
        write_jsonl(job.removed_path, (_removal(row, hit) for row, hit in removed))
    unchecked = () if job.evaluation else tuple(str(name) for name in named)
    return Exported(job, len(rows), mixed, None if known is None else len(known), removed, not_human, unchecked)


def export_text(done: Exported) -> str:
    """Return what was written, as a person reads it."""
    job = done.job
    whole = done.made + done.human
    shown = f": {done.made} made, {done.human} human ({_percent(done.human, whole)})" if done.mixed else ""
    lines = [f"{whole} rows in {job.out}{shown}", *_mixture(done)]
    if done.not_human:
        lines.append(f"{done.not_human} rows of {job.human} were left out: a run made them, so they are not human")
    if done.unchecked:
        names = ", ".join(short(name, 60) for name in done.unchecked[:_SHOWN])
        lines.append(
            f"not compared with evaluation sets. The recipe of this run names {names}: give them with --evaluation"
        )
    if done.checked is not None:
        lines.append(
            f"{len(done.removed)} rows taken out, after {done.checked:,} texts of evaluation sets were compared"
        )
        lines += [f"  {short(row['question'], 70)}  stands in {hit}" for row, hit in done.removed[:_SHOWN]]
        lines += [f"  and {len(done.removed) - _SHOWN} more"] if len(done.removed) > _SHOWN else []
        lines += [f"  all of them: {job.removed_path}"] if done.removed else []
    return "\n".join(lines)


def _people(job: Export, rows: Sequence[Row]) -> tuple[list[Row], int]:
    """Return the rows that people wrote, and how many of their file a run made."""
    if job.human is None:
        return [], 0
    ids, asked = {str(row["id"]) for row in rows}, {fold(row["question"]) for row in rows}
    told = human_rows(job.human, job.mapping, made_ids=ids)
    people: list[Row] = [row for row in told if fold(row["question"]) not in asked]
    return people, len(made_lines(job.human, ids)) + len(told) - len(people)


def _mixture(done: Exported) -> list[str]:
    if done.mixed is None or not done.job.share:
        return []
    lines = []
    if done.job.by != "none":
        name = done.job.by.replace("_", " ")
        lines.append(f"  {name:<46}{'made':>6}{'human':>7}{'short':>7}")
        lines += [
            f"  {short(line.name, 44):<46}{line.made:>6}{line.human:>7}{line.short or '–':>7}"
            for line in done.mixed.strata
        ]
    if done.mixed.short:
        lacking = [short(line.name, 44) for line in done.mixed.strata if line.short and line.name]
        where = f" of {'; '.join(lacking[:5])}{'; …' if len(lacking) > 5 else ''}" if lacking else ""
        whole = done.made + done.human
        lines.append(
            f"  short: {done.mixed.short} human rows{where}. {done.job.human} has no more, so the share is "
            f"{_percent(done.human, whole)} and not {done.job.share:.0%}."
        )
    return lines


@dataclass(frozen=True)
class _Topics:
    """Names the topic of a row: of a made one by its source, of a human one by its words."""

    map: TopicMap
    finder: TopicFinder

    @classmethod
    def of(cls, store: SqliteRunStore) -> _Topics:
        sources: list[Source] = [source for id in store.sources() if (source := store.source(id)) is not None]
        if not sources:
            raise RecipeError(
                "This run kept no documents, so nothing tells what a human row is about. Take --by question_type or none."
            )
        kept = store.get_meta("topics_json")
        topics = TopicMap.from_json(json.loads(kept)) if kept else topics_of(sources)
        return cls(topics, TopicFinder(topics, sources))


def _strata(by: str, topics: _Topics | None, people: Sequence[Row]) -> Callable[[Row], str]:
    if topics is not None:
        texts = [f"{row['question']} {row['context'] or ''} {row['reference_answer']}" for row in people]
        found = dict(zip((row["id"] for row in people), topics.finder.topics_of(texts), strict=True))
        known = topics.map
        return lambda row: found[row["id"]] if row[ORIGIN] == "human" else known.topic_of(row["source"]["id"])
    if by == "question_type":
        return lambda row: str(row["question_type"])
    return lambda row: ""


def _known(paths: Sequence[Path]) -> KnownTexts | None:
    if not paths:
        return None
    known = KnownTexts(HashingEmbedder())
    for path in paths:
        # By the path as it was given: two sets may both be called test.jsonl.
        known.add({f"{path}:{where.rpartition(':')[2]}": text for where, text in read_texts(path).items()})
    return known


def _removal(row: Row, hit: Hit) -> dict[str, Any]:
    file, _, line = hit.where.rpartition(":")
    found = {"file": file, "line": int(line), "by": hit.how, "amount": round(float(hit.amount), 6)}
    return {"id": row["id"], ORIGIN: row.get(ORIGIN, "made"), "question": row["question"], "found": found}


def _write(job: Export, rows: Sequence[Row]) -> None:
    if job.format == "parquet":
        write_parquet(job.out, rows)
    else:
        write_jsonl(job.out, rows)


def _percent(part: int, whole: int) -> str:
    return f"{part / whole:.0%}" if whole else "0%"
