"""`autodata run`: from a recipe to a run folder. The same command goes on where an earlier one stopped."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from autodata_adapters.coverage import ChromaCoverage, WithoutKnown, create_embedder
from autodata_adapters.stores import (
    RecordedCoverage,
    RunFolder,
    RunLock,
    SqliteRunStore,
    is_current,
    open_run,
    write_dataset,
)
from autodata_cli.binding import bind, fork
from autodata_cli.learning import first_recipe, keep_learned, note_study, token_counter
from autodata_cli.run_cards import write_card
from autodata_cli.steering import known_texts, library_of, monitor_of, publish_rows, steering_of
from autodata_cli.workspace import Workspace
from autodata_core.budget import Budget
from autodata_core.calls import JournaledModel
from autodata_core.crashpoints import crashpoint
from autodata_core.errors import ModelUnreachableError
from autodata_core.ports import CoverageMap, Model, NoCoverage
from autodata_core.recipe import Recipe
from autodata_core.records import Example
from autodata_langgraph import Dataset, Progress, agenerate
from autodata_langgraph.dataset_context import BATCH, Behind
from autodata_langgraph.runner import Event

__all__ = ["Run", "RunResult", "run_recipe"]

_DRAIN_S = 6.0
"""Time for items in flight after the first signal; the promise is 10 s with everything written."""


@dataclass(frozen=True)
class RunResult:
    """How a run ended."""

    dataset: Dataset
    """Without its rows, which are in the folder."""
    folder: Path
    exit_code: int
    """0 done (also by limit or budget), 130 interrupted, 143 terminated."""
    seconds: float


@dataclass
class Run:
    """One `autodata run`. `budget` and `progress` can be watched while it runs."""

    workspace: Workspace
    out: Path
    limit: int | None = None
    budget_usd: float | None = None
    concurrency: int = 8
    fork: Path | None = None
    """Go on here, with what the run in `out` has paid for, under whatever the recipe says now."""
    on_event: Callable[[Event], None] = lambda event: None
    progress: Progress = field(default_factory=Progress)
    budget: Budget = field(default_factory=Budget)
    signal: int | None = None
    """The first signal that came."""


def run_recipe(run: Run) -> RunResult:
    """Run a recipe to its end, its limit, its budget or a signal.

    Raises:
        AutodataError: Of the kind that belongs to what is broken; whatever was finished is kept.
    """
    usd = run.budget_usd if run.budget_usd is not None else run.workspace.file.budget.usd
    run.workspace.check_prices(usd)
    os.umask(0o077)  # what models and documents say is nobody else's to read
    folder = open_run(run.fork or run.out)
    with RunLock(folder.path), SqliteRunStore(folder.database, free_space=folder.release_reserve) as store:
        if run.fork is not None:
            fork(run.out, store)
        bind(run.workspace, store)
        table = run.workspace.file.budget
        run.budget.usd, run.budget.calls, run.budget.tokens = usd, table.calls, table.tokens
        run.budget.spent = store.spent()
        began = time.monotonic()
        store.event("run", payload={"state": "started", "at": _now()}).result()
        store.flush()  # what nobody waited for is part of it
        if not is_current(store, folder.path):
            write_dataset(store, folder.path)
        try:
            dataset = asyncio.run(_produce(run, folder, store))
        finally:
            _write_files(run, folder, store)  # whatever happened, what is accepted can be read
        seconds = time.monotonic() - began
        ended = {"state": "ended", "at": _now(), "seconds": round(seconds, 3), "stopped": dataset.stopped}
        store.event("run", payload=ended).result()
        keep_learned(run.workspace, store)
        publish_rows(run.workspace, store, folder.path)
    waiting = dataset.counts.get("infra", 0)
    if waiting and not dataset.stopped:
        raise ModelUnreachableError(
            f"{waiting} items got no answer and are not finished ({run.progress.note}). The rest is kept; "
            "check the models and run the same command to try these again."
        )
    return RunResult(dataset, folder.path, _exit_code(run.signal), seconds)


def _exit_code(seen: int | None) -> int:
    return 0 if seen is None else 128 + seen


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _write_files(run: Run, folder: RunFolder, store: SqliteRunStore) -> None:
    """Write what people read, unless it is there already: a large run that only goes on need not be read through."""
    store.flush()  # what nobody waited for is part of it
    if is_current(store, folder.path) and (folder.path / "CARD.md").is_file():
        return
    write_dataset(store, folder.path)
    write_card(folder.path, store, run.workspace.rules, run.workspace.sources.sources)


def _go_on(run: Run, store: SqliteRunStore) -> Behind:
    """Return where the run goes on: how many items lie behind, in whole batches, and the recipe in force after them."""
    progress, recipe = run.progress, first_recipe(run.workspace, store)
    progress.limit = run.limit
    batches = {int(p["planned"]): p for _, _, p in store.events("batch")}
    planned = {number: str(batch["version"]) for number, batch in batches.items()}
    plans = {int(p["first"]): p for _, _, p in store.events("plan")}
    recipes = store.recipes()
    behind = store.first_open_item() // BATCH * BATCH
    if behind and planned.get(behind) not in recipes:
        behind = 0  # stopped before it was studied, or the last batch is not a whole one
    if behind:
        recipe = Recipe.from_json(json.loads(recipes[planned[behind]]))
        progress.counts.update(store.counts(before=behind))
        if run.limit is not None and progress.accepted >= run.limit:
            progress.stop("limit")
    store.use_recipe(recipe.version, json.dumps(recipe.to_json()))
    return Behind(behind, recipe, batches, plans)


def _keep_plan(event: Event, store: SqliteRunStore) -> None:
    """Keep what was planned before anything of it is asked; what was planned stays planned."""
    if not event["recorded"]:
        kept = {name: event[name] for name in ("first", "items", "open", "gaps", "wanted", "filled", "closing")}
        store.event("plan", payload=kept)
        crashpoint("plan.recorded")
    store.register_items(event["assignments"])


async def _produce(run: Run, folder: RunFolder, store: SqliteRunStore) -> Dataset:
    workspace = run.workspace
    coverage = _coverage(workspace, folder, store)
    behind = _go_on(run, store)
    next_write = 0.0

    def on_event(event: Event) -> None:
        nonlocal next_write
        if event["kind"] == "finished":
            folder.check_space()
        if event["kind"] == "plan":
            _keep_plan(event, store)
        if event["kind"] == "alarm":
            store.event("alarm", payload={name: value for name, value in event.items() if name != "kind"})
        if event["kind"] == "study":
            note_study(event, store)
        if event["kind"] == "batch":
            crashpoint("study.done")
            ended = {name: event[name] for name in ("digests", "tries", "alarms")}
            store.use_recipe(event["version"], json.dumps(event["recipe"]), planned=event["planned"], ended=ended)
        if event["kind"] == "batch" and time.monotonic() >= next_write:  # can be read while the run goes on
            began = time.monotonic()
            write_dataset(store, folder.path)
            # It is written whole: a large one less often, so that writing stays under a twentieth of the time.
            next_write = time.monotonic() + 20 * (time.monotonic() - began)
        run.on_event(event)

    task = asyncio.ensure_future(
        agenerate(
            workspace.rules,
            workspace.sources.sources,
            models=_journaled(run, store),
            examples_per_source=workspace.file.sources.examples_per_source,
            limit=run.limit,
            concurrency=run.concurrency,
            coverage=coverage.map,
            verifiers=workspace.verifiers,
            store=_Items(store),
            fence_key=store.get_meta("fence_key") or "",
            progress=run.progress,
            count_tokens=token_counter(workspace.file.models.challenger),
            on_event=on_event,
            steering=steering_of(workspace, store),
            monitor=monitor_of(workspace),
            behind=behind,
        )
    )
    _watch_signals(run, task)
    if (minutes := workspace.file.budget.minutes) is not None:
        note = f"budget.minutes = {minutes:g} is spent"
        asyncio.get_running_loop().call_later(minutes * 60, run.progress.stop, "budget", note)
    try:
        return await task
    except asyncio.CancelledError:
        if run.signal is None:
            raise
        progress = run.progress
        return Dataset((), dict(progress.counts), workspace.rules.recipe, "interrupted")
    finally:
        coverage.close()
        for model in workspace.models.values():
            if (close := getattr(model, "aclose", None)) is not None:
                await close()


@dataclass(frozen=True)
class _Items:
    """The store as the graph sees it. Nobody needs the rows as records: reading ten thousand takes seconds."""

    store: SqliteRunStore

    def finished(self, item: str) -> dict[str, Any] | None:
        return self.store.finished(item)

    def finish(self, item: str, state: dict[str, Any], example: Example | None) -> bool:
        return self.store.finish(item, state, example)

    def examples(self) -> Sequence[Example]:
        return ()


def _watch_signals(run: Run, task: asyncio.Future[Dataset]) -> None:
    """First signal: take no new item, give those in flight a moment. Second: leave at once; the store is always whole."""
    loop = asyncio.get_running_loop()

    def seen(number: int) -> None:
        if run.signal is not None:
            os._exit(_exit_code(number))
        run.signal = number
        crashpoint("drain.begun")
        run.progress.stop("interrupted")
        run.on_event({"kind": "stopping", "signal": number})
        loop.call_later(_DRAIN_S, task.cancel)

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, seen, number)


def _journaled(run: Run, store: SqliteRunStore) -> dict[str, Model]:
    """Return every model with the journal and the budget around it."""
    made: dict[str, Model] = {}
    for role, model in run.workspace.models.items():
        prices = run.workspace.prices[role]
        made[role] = JournaledModel(model, store, run.budget, prices.price_in or 0.0, prices.price_out or 0.0)
    return made


@dataclass(frozen=True)
class _Coverage:
    map: CoverageMap
    close: Callable[[], None]


def _coverage(workspace: Workspace, folder: RunFolder, store: SqliteRunStore) -> _Coverage:
    """Return the coverage map with its recorded decisions."""
    wanted = workspace.items
    if store.first_open_item() >= wanted:  # nothing will be asked, and reading a large index takes seconds
        return _Coverage(RecordedCoverage(NoCoverage(), store), lambda: None)
    table, known = workspace.file.coverage, known_texts(workspace)

    def guarded(map: CoverageMap, close: Callable[[], None]) -> _Coverage:
        recorded = RecordedCoverage(map if known is None else WithoutKnown(map, known), store)

        def close_both() -> None:
            try:
                recorded.wait()
            finally:
                close()

        return _Coverage(recorded, close_both)

    if table.embedder == "none":
        return guarded(NoCoverage(), lambda: None)
    embedder = create_embedder(table.embedder, workspace.base_dir)
    library = library_of(workspace, embedder, folder.path)
    earlier = library.entries(without_run=store.get_meta("run_id") or "")
    chroma = ChromaCoverage(folder.coverage, embedder, earlier)
    return guarded(chroma, chroma.close)
