"""Ties a run to what steers it: topics and targets are made once and kept in its folder; files are read where they are named."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

from autodata_adapters.coverage import (
    Alike,
    CoverageLibrary,
    Embedder,
    KnownTexts,
    create_embedder,
    create_steering,
    create_targets,
    create_topics,
    open_library,
    read_texts,
)
from autodata_adapters.stores import SqliteRunStore
from autodata_cli.workspace import Workspace
from autodata_core.coverage import Cell, CollapseMonitor, Steering, TopicMap, reachable_bands
from autodata_core.errors import RecipeError
from autodata_core.records import fingerprint

__all__ = [
    "coverage_hash",
    "keep_steering",
    "known_texts",
    "library_of",
    "monitor_of",
    "notes_of",
    "publish_rows",
    "steering_of",
    "wanted_of",
]

_BUILT_IN = ("proportional", "uniform")
_MOST_HUMAN = 1_000
"""Questions of people that are kept with a run; figures are taken over fewer words than these have."""


def coverage_hash(workspace: Workspace) -> str:
    """Return the hash of what decides what is asked and what is refused: the table, and the files that it names.

    Raises:
        RecipeError: A file cannot be read.
    """
    table = workspace.file.coverage
    names = [name for name in (table.targets, table.topics, table.failures) if isinstance(name, str)]
    named = [workspace.base_dir / name for name in names if name not in _BUILT_IN]
    named += [*_known(workspace), *([workspace.base_dir / table.human] if table.human else [])]
    return fingerprint([table.to_json(), [_digest(path) for path in named]])


def wanted_of(workspace: Workspace) -> tuple[TopicMap, dict[Cell, int]] | None:
    """Return topics and targets as the recipe says, None where a run is not steered.

    Raises:
        RecipeError: A file cannot be read, or names what no source is about.
        MissingExtraError: scikit-learn is not installed.
    """
    table, sources = workspace.file.coverage, workspace.sources.sources
    if not table.steers:
        return None
    base, seed = workspace.base_dir, workspace.rules.protocol.seed
    protocol, policy = workspace.rules.protocol, workspace.rules.policy
    possible = reachable_bands(
        policy, protocol.weak_attempts, protocol.strong_attempts, exact=workspace.rules.domain.scoring != "rubric"
    )
    if (never := [band for band in table.bands if band not in possible]) and possible:
        raise RecipeError(
            f"[coverage] bands: the policy {policy.name!r} accepts no row that is {' or '.join(never)} for the weak "
            f"solver, so such cells would stay empty. It accepts: {', '.join(possible)}."
        )
    topics = create_topics(sources, base / table.topics if isinstance(table.topics, str) else table.topics, seed=seed)
    targets = create_targets(
        topics,
        sources,
        total=workspace.items,
        targets=table.targets if table.targets in _BUILT_IN else base / table.targets,
        failures=base / table.failures if table.failures else None,
        types=table.question_types or workspace.rules.domain.question_types,
        bands=table.bands,
        seed=seed,
    )
    return topics, {cell: target for cell, target in targets.items() if target}


def notes_of(workspace: Workspace, wanted: tuple[TopicMap, dict[Cell, int]] | None) -> list[str]:
    """Return what a user may not expect of what the table says."""
    table, notes = workspace.file.coverage, []
    if idle := table.idle():
        notes.append(f"[coverage] {', '.join(idle)} say nothing to a run that is not steered")
    if wanted is not None:
        items = workspace.items
        rows = sum(wanted[1].values())
        if rows > items:
            notes.append(f"the targets want {rows} rows and the run has {items} items; raise examples_per_source")
    return notes


def keep_steering(workspace: Workspace, store: SqliteRunStore) -> None:
    """Make topics and targets and keep them with the run, unless it is not steered.

    Raises:
        AutodataError: As `wanted_of`.
    """
    made = wanted_of(workspace)
    if made is None:
        return
    topics, targets = made
    store.set_meta("topics_json", json.dumps(topics.to_json()))
    lines = [{"cell": cell.to_json(), "target": target} for cell, target in targets.items()]
    store.set_meta("targets_json", json.dumps(lines)).result()


def steering_of(workspace: Workspace, store: SqliteRunStore) -> Steering | None:
    """Return the steering of a run by what is kept with it, None when it is not steered."""
    topics, targets = store.get_meta("topics_json"), store.get_meta("targets_json")
    if topics is None or targets is None:
        return None
    table = workspace.file.coverage
    return create_steering(
        workspace.sources.sources,
        total=workspace.items,
        topics=TopicMap.from_json(json.loads(topics)),
        targets={Cell.from_json(line["cell"]): int(line["target"]) for line in json.loads(targets)},
        types=table.question_types or workspace.rules.domain.question_types,
        exploration=table.exploration,
        most_per_source=table.most_per_source,
        seed=workspace.rules.protocol.seed,
    )


def monitor_of(workspace: Workspace) -> CollapseMonitor | None:
    """Return what watches the run for collapse, None when nobody does.

    Raises:
        RecipeError: The file of human rows cannot be read.
    """
    table = workspace.file.coverage
    if table.collapse == "off" or table.embedder == "none":
        return None
    texts = tuple(source.text for source in workspace.sources.sources)
    return CollapseMonitor(human_questions(workspace), texts, stops=table.collapse == "stop", alike=Alike())


def human_questions(workspace: Workspace) -> tuple[str, ...]:
    """Return what people asked, the last of the file, none where the recipe names no file.

    Raises:
        RecipeError: The file cannot be read.
    """
    name = workspace.file.coverage.human
    return tuple(read_texts(workspace.base_dir / name).values())[-_MOST_HUMAN:] if name else ()


def known_texts(workspace: Workspace) -> KnownTexts | None:
    """Return the texts that no question may repeat, None when no file is named.

    Raises:
        RecipeError: A file cannot be read, or a pattern fits none.
    """
    paths = _known(workspace)
    if not paths:
        return None
    name = workspace.file.coverage.embedder
    known = KnownTexts(None if name == "none" else create_embedder(name, workspace.base_dir))
    for path in paths:
        known.add(read_texts(path))
    return known


def library_of(workspace: Workspace, embedder: Embedder, folder: Path) -> CoverageLibrary:
    """Return the kept questions of earlier runs, none where no place is named.

    Raises:
        RecipeError: A place does not exist.
    """
    return open_library(workspace.file.coverage.library, workspace.base_dir, embedder, without=folder)


def publish_rows(workspace: Workspace, store: SqliteRunStore, folder: Path) -> None:
    """Give the kept questions to every shared collection that the recipe names as library; again changes nothing.

    Raises:
        StoreError: A server cannot be reached; the run is kept whole, and the same command publishes it.
    """
    table = workspace.file.coverage
    if any("://" in place for place in table.library):
        embedder = create_embedder(table.embedder, workspace.base_dir)
        library_of(workspace, embedder, folder).publish(store.get_meta("run_id") or "", store.examples())


def _known(workspace: Workspace) -> list[Path]:
    table, found = workspace.file.coverage, list[Path]()
    for key, patterns in (("evaluation", table.evaluation), ("training", table.training)):
        for pattern in patterns:
            fitting = sorted(_glob(workspace.base_dir, pattern))
            if not fitting:
                raise RecipeError(f"[coverage] {key}: no file fits {pattern!r} in {workspace.base_dir}.")
            found += fitting
    return found


def _glob(base: Path, pattern: str) -> Iterable[Path]:
    if Path(pattern).is_absolute() or not any(sign in pattern for sign in "*?["):
        return [path] if (path := base / pattern).is_file() else []
    return (path for path in base.glob(pattern) if path.is_file())


def _digest(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise RecipeError(
            f"[coverage] names {str(path)!r}, which cannot be read: {error.strerror}. "
            f"(targets is one of {', '.join(_BUILT_IN)}, or a file.)"
        ) from error
