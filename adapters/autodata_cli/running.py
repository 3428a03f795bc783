"""`autodata run`: from a recipe to a run folder. The same command goes on where an earlier one stopped."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from autodata_adapters.coverage import ChromaCoverage, create_embedder
from autodata_adapters.stores import RecordedCoverage, RunFolder, RunLock, SqliteRunStore, open_run, write_dataset
from autodata_cli.run_cards import write_card
from autodata_cli.workspace import Workspace
from autodata_core.budget import Budget
from autodata_core.calls import JournaledModel
from autodata_core.errors import ModelUnreachableError
from autodata_core.ports import CoverageMap, Model, NoCoverage
from autodata_core.records import fingerprint
from autodata_langgraph import Dataset, Progress, agenerate
from autodata_langgraph.dataset_graph import assignments_for
from autodata_langgraph.runner import Event

__all__ = ["Run", "RunResult", "run_recipe"]

_DRAIN_S = 8.0
"""Time for items in flight after the first signal; the promise is 10 s with everything written."""


@dataclass(frozen=True)
class RunResult:
    """How a run ended."""

    dataset: Dataset
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
    folder = open_run(run.out)
    with RunLock(folder.path), SqliteRunStore(folder.database, free_space=folder.release_reserve) as store:
        _bind(run.workspace, store)
        table = run.workspace.file.budget
        run.budget.usd, run.budget.calls, run.budget.tokens = usd, table.calls, table.tokens
        run.budget.spent = store.spent()
        began = time.monotonic()
        store.event("run", payload={"state": "started", "at": _now()}).result()
        write_dataset(store, folder.path)
        try:
            dataset = asyncio.run(_produce(run, folder, store))
        finally:
            write_dataset(store, folder.path)  # whatever happened, what is accepted can be read
        seconds = time.monotonic() - began
        _write_recipe(folder, run.workspace, dataset)
        write_card(folder.path, store, run.workspace.rules, run.workspace.sources.sources)
        ended = {"state": "ended", "at": _now(), "seconds": round(seconds, 3), "stopped": dataset.stopped}
        store.event("run", payload=ended).result()
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


def _bind(workspace: Workspace, store: SqliteRunStore) -> None:
    """Tie the run folder to this recipe, or refuse when it belongs to another."""
    rules, file = workspace.rules, workspace.file
    sources = [[s.id, s.sha256] for s in workspace.sources.sources]
    parts = {f"model {role}": fingerprint(m.to_json()) for role, m in rules.protocol.models.items()}
    parts |= {
        "policy": fingerprint(rules.protocol.policy),
        "attempts": fingerprint([rules.protocol.weak_attempts, rules.protocol.strong_attempts]),
        "examples_per_source": str(file.sources.examples_per_source),
        "embedder": file.coverage.embedder,
    }
    store.bind(
        rules.recipe.version, rules.protocol.hash, fingerprint(sources), json.dumps(rules.recipe.to_json()), parts
    )
    if store.get_meta("fence_key") is None:
        store.set_meta("fence_key", secrets.token_hex(16)).result()
    store.set_meta("protocol_json", json.dumps(rules.protocol.to_json())).result()
    items = assignments_for(workspace.sources.sources, file.sources.examples_per_source)
    store.register_items((a.item, a.position, a.source.id) for a in items)


def _write_recipe(folder: RunFolder, workspace: Workspace, dataset: Dataset) -> None:
    """Write `recipe.json`: the recipe at the end, the protocol, and their hashes."""
    content = {
        "version": dataset.recipe.version,
        "recipe": dataset.recipe.to_json(),
        "protocol_hash": workspace.rules.protocol.hash,
        "protocol": workspace.rules.protocol.to_json(),
    }
    temporary = folder.path / ".recipe.json"
    temporary.write_text(json.dumps(content, indent=2, ensure_ascii=True) + "\n", "ascii")
    temporary.replace(folder.path / "recipe.json")


async def _produce(run: Run, folder: RunFolder, store: SqliteRunStore) -> Dataset:
    workspace = run.workspace
    coverage = _coverage(workspace, folder, store)
    next_write = 0.0

    def on_event(event: Event) -> None:
        nonlocal next_write
        if event["kind"] == "finished":
            folder.check_space()
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
            store=store,
            fence_key=store.get_meta("fence_key") or "",
            progress=run.progress,
            on_event=on_event,
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
        return Dataset(tuple(store.examples()), dict(progress.counts), workspace.rules.recipe, "interrupted")
    finally:
        coverage.close()
        for model in workspace.models.values():
            if (close := getattr(model, "aclose", None)) is not None:
                await close()


def _watch_signals(run: Run, task: asyncio.Future[Dataset]) -> None:
    """First signal: take no new item, give those in flight a moment. Second: leave at once; the store is always whole."""
    loop = asyncio.get_running_loop()

    def seen(number: int) -> None:
        if run.signal is not None:
            os._exit(_exit_code(number))
        run.signal = number
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
    table = workspace.file.coverage
    if table.embedder == "none":
        return _Coverage(RecordedCoverage(NoCoverage(), store), lambda: None)
    chroma = ChromaCoverage(folder.coverage, create_embedder(table.embedder, workspace.base_dir))
    return _Coverage(RecordedCoverage(chroma, store), chroma.close)
