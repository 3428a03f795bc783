"""What a run learned before it began, and what it leaves to the next: ties the library of learnings to a run folder."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from autodata_adapters.stores import LearningLibrary, SqliteRunStore
from autodata_adapters.tokens import TokenCounter
from autodata_cli.workspace import Workspace
from autodata_core.learnings import Kept, Learning
from autodata_core.recipe import Recipe
from autodata_langgraph.runner import Event

__all__ = ["first_recipe", "keep_learned", "note_study", "token_counter"]

_META = "learned_before"


def library_of(workspace: Workspace) -> LearningLibrary | None:
    """Return the library that the recipe file names, None when it names none."""
    name = workspace.file.learnings.library
    return LearningLibrary(workspace.base_dir / Path(name)) if name else None


def first_recipe(workspace: Workspace, store: SqliteRunStore) -> Recipe:
    """Return the recipe that the run begins with: the file's, and what earlier runs of its domain taught.

    The library is read once in the life of a run, so that a resumed run begins as it did, whatever others learned since.

    Raises:
        StoreError: The library cannot be used.
    """
    library, recipe = library_of(workspace), workspace.rules.recipe
    if library is None:
        return recipe
    found = library.read()  # also on resume: a damaged file is better known before anything is paid
    kept = store.get_meta(_META)
    if kept is None:
        sources = (source.text for source in workspace.sources.sources)
        learnings, refused = found.starting(recipe.domain.name, sources, question_types=recipe.domain.question_types)
        if learnings or refused:
            shown = {"told": len(learnings), "refused": [{"id": id, "why": why} for id, why in refused]}
            store.event("library", payload=shown)
        kept = json.dumps([lesson.to_json() for lesson in learnings])
        store.set_meta(_META, kept).result()
    return recipe.learned(tuple(Learning.from_json(lesson) for lesson in json.loads(kept)))


def keep_learned(workspace: Workspace, store: SqliteRunStore) -> None:
    """Give the library what the run has learned so far; without a library, or a studied batch, nothing happens.

    Raises:
        StoreError: The library cannot be read or written; the run is kept whole.
    """
    library, version = library_of(workspace), store.get_meta("recipe_last")
    text = store.recipes().get(version or "")
    if library is None or version is None or text is None or not store.events("batch"):
        return
    recipe = Recipe.from_json(json.loads(text))
    kept = Kept(recipe.learnings, recipe.retired)
    run, at = store.get_meta("run_id") or "", datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    library.update(lambda known: known.with_run(kept, domain=recipe.domain.name, run=run, recipe=version, at=at))


def note_study(event: Event, store: SqliteRunStore) -> None:
    """Keep what a study found, refused and retired, where it did."""
    found = {name: value for name, value in event.items() if name != "kind"}
    if any(found[name] for name in ("noted", "refused", "retired", "note")):
        store.event("study", payload=found)


def token_counter(model: str) -> Callable[[str], int]:
    """Return a counter for the model that reads the learnings; the encoding is loaded when there is something to count."""

    @cache
    def counter() -> TokenCounter:
        return TokenCounter(model)

    return lambda text: counter().count(text)
