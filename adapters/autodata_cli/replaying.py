"""Makes a run again from its journal: no model is built and no network is touched.

`replay_item` plays one item by the state machine of the core; what it gives is compared with what was kept.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from autodata_adapters.stores import SqliteRunStore, write_jsonl
from autodata_adapters.stores.sqlite import FinishedItem
from autodata_cli.binding import binding_of, changes
from autodata_cli.reporting import open_finished_run
from autodata_cli.workspace import open_workspace
from autodata_core.calls import call_key
from autodata_core.driver import Ports
from autodata_core.errors import AutodataError, RecordError, StoreError, shorten
from autodata_core.item import ItemState, start
from autodata_core.loop import advance
from autodata_core.ports import (
    Answer,
    Ask,
    CoverageAsk,
    CoverageReply,
    Model,
    ModelAsk,
    ModelReply,
    ModelRequest,
    Verifier,
)
from autodata_core.recipe import EvaluationProtocol, Recipe, Rules
from autodata_core.recipe_file import RecipeFile
from autodata_core.records import Aim, ModelIdentity, Role, Source
from autodata_core.rows import example_from

__all__ = ["Journal", "ReplayResult", "Replayed", "replay_items", "replay_run"]

_MOST_SHOWN = 3
"""Differences of one item that are named."""
_AFTER_AN_ERROR = ("usage", "created", "served")
"""What an answer that never came may have said besides; the journal keeps only its error."""


@dataclass(frozen=True)
class RecordedModel:
    """A model of which only the name is left. It answers from the journal, or not at all."""

    identity: ModelIdentity

    def complete(self, request: ModelRequest) -> ModelReply:
        raise RecordError(f"No model is asked in a replay, and {request.step!r} of {request.item!r} was.")

    async def acomplete(self, request: ModelRequest) -> ModelReply:
        return self.complete(request)


@dataclass
class Journal:
    """What a run recorded, as answers."""

    store: SqliteRunStore
    identities: Mapping[str, ModelIdentity]
    """By role."""
    verifiers: Mapping[str, Verifier]
    claims: Mapping[str, tuple[CoverageAsk, CoverageReply]] = field(init=False)
    errors: int = field(default=0, init=False)
    """Answers that were errors, in the item in hand."""

    def __post_init__(self) -> None:
        self.claims = {ask.id: (ask, reply) for ask, reply in self.store.claims()}
        self._ports = Ports(models={}, verifiers=self.verifiers)

    def answer(self, ask: Ask) -> Answer:
        """Return what was answered.

        Raises:
            RecordError: Nothing was recorded for it.
        """
        if isinstance(ask, ModelAsk):
            return self._reply(ask)
        if isinstance(ask, CoverageAsk):
            known = self.claims.get(ask.id)
            if known is None:
                raise RecordError(f"its question {ask.id!r} is not in the coverage claims")
            if known[0].text != ask.text:
                raise RecordError(f"the coverage claim {ask.id!r} is about another question")
            return known[1]
        return self._ports.at_once(ask)

    def _reply(self, ask: ModelAsk) -> ModelReply:
        identity = self.identities.get(ask.request.role)
        if identity is None:
            raise RecordError(f"no model is recorded in the role {ask.request.role!r}")
        key = call_key(ask.request, identity)
        reply = self.store.lookup(key)
        if reply is not None:
            return reply
        error = self.store.error_of(key)
        if error is None:
            raise RecordError(
                f"its step {ask.key!r} follows from no recorded reply, so something before it was changed"
            )
        self.errors += 1
        return ModelReply(error=error)


@dataclass(frozen=True)
class Replayed:
    """One item, played again."""

    item: FinishedItem
    state: ItemState | None
    rules: Rules | None
    source: Source | None
    problem: str = ""
    """Why what was kept does not follow from what was answered; empty when it does."""

    def row(self) -> dict[str, Any] | None:
        """Return the row that the item gives, None when it gives none."""
        if self.state is None or self.rules is None or self.source is None or self.state.status != "accepted":
            return None
        return example_from(self.rules, self.source, self.state).to_json()


def replay_items(journal: Journal, protocol: EvaluationProtocol, sources: Mapping[str, Source]) -> Iterator[Replayed]:
    """Play every finished item again, in order.

    Args:
        journal: What was recorded.
        protocol: Of the run.
        sources: By id; what is not in here is taken from the run.
    """
    store = journal.store
    recipes = {version: _recipe(version, text) for version, text in store.recipes().items()}
    fence_key, run = store.get_meta("fence_key") or "", store.get_meta("run_id") or ""
    for item in store.finished_items():
        recipe = recipes.get(item.recipe or "")
        source = sources.get(item.source) or store.source(item.source)
        if recipe is None or source is None:
            missing = "its source" if recipe is not None else f"the recipe {shorten(item.recipe, 16)}"
            yield Replayed(item, None, None, None, f"cannot be replayed: {missing} is not in the run.")
            continue
        rules = Rules(recipe, protocol)
        journal.errors = 0
        try:
            state = _play(journal, rules, source, _first(source, item, run, fence_key))
            yield Replayed(item, state, rules, source, _difference(item, state, journal.errors))
        except AutodataError as error:
            yield Replayed(item, None, rules, source, f"does not follow from its recorded calls: {error}.")


def _first(source: Source, item: FinishedItem, run: str, fence_key: str) -> ItemState:
    aim = item.state.get("aim")  # a part of the first prompt, so a changed one follows from no recorded call
    return start(source, item=item.id, run=run, fence_key=fence_key, aim=Aim.from_json(aim) if aim else None)


def _recipe(version: str, text: str) -> Recipe | None:
    """Return a recipe of the run, None when its text is not the one that its version is the hash of."""
    try:
        recipe = Recipe.from_json(json.loads(text))
    except (RecordError, ValueError):
        return None
    return recipe if recipe.version == version else None


def _play(journal: Journal, rules: Rules, source: Source, state: ItemState) -> ItemState:
    while not state.done:
        step = advance(rules, source, state)
        while step.asks:
            step = advance(rules, source, step.state, {ask.key: journal.answer(ask) for ask in step.asks})
        state = step.state
    return state


def _difference(item: FinishedItem, state: ItemState, errors: int) -> str:
    made, kept = state.to_json(), dict(item.state)
    if errors:
        for name in _AFTER_AN_ERROR:
            made.pop(name, None), kept.pop(name, None)
    found = list(_paths("", kept, made))
    if not found:
        return ""
    more = f" and {len(found) - _MOST_SHOWN} more" if len(found) > _MOST_SHOWN else ""
    return f"does not follow from its recorded calls: {', '.join(found[:_MOST_SHOWN])}{more} differ."


def _paths(where: str, kept: Any, made: Any) -> Iterator[str]:
    """Yield the places in which two JSON values differ."""
    if isinstance(kept, dict) and isinstance(made, dict):
        for key in dict.fromkeys([*made, *kept]):
            yield from _paths(f"{where}.{key}" if where else str(key), kept.get(key), made.get(key))
    elif isinstance(kept, list) and isinstance(made, list) and len(kept) == len(made):
        for n, (one, other) in enumerate(zip(kept, made, strict=True)):
            yield from _paths(f"{where}[{n}]", one, other)
    elif kept != made:
        yield where


@dataclass(frozen=True)
class ReplayResult:
    """What a replay gave."""

    items: int
    rows: int
    sha256: str
    """Of the data set that was made."""
    differences: tuple[str, ...]


def replay_run(recipe: Path, out: Path) -> ReplayResult:
    """Make the data set of a run again, by its recipe and documents, and compare it with the one in the folder.

    Raises:
        StoreError: There is no run, or the recipe is not the one it was made by.
    """
    with open_finished_run(out) as store:
        protocol = _protocol(store)
        specs = json.loads(store.get_meta("models_json") or "{}")

        def recorded(file: RecipeFile) -> Mapping[Role, Model]:
            known = protocol.models
            return {
                role: RecordedModel(known.get(role, ModelIdentity(name=spec))) for role, spec in file.roles().items()
            }

        workspace = open_workspace(recipe, models=recorded)
        differing = [name for name, value in binding_of(workspace).items() if store.bound().get(name) != value]
        named = [role for role, spec in workspace.file.roles().items() if specs.get(role, spec) != spec]
        if differing or named:
            shown = "; ".join(
                [*changes(workspace, store), *(f"the model of {role!r} was {specs[role]}" for role in named)]
            )
            what = ", ".join([*differing, *named])
            raise StoreError(f"The run in {out} was made by something else ({what}): {shown}.")
        journal = Journal(store, protocol.models, workspace.verifiers)
        sources = {source.id: source for source in workspace.sources.sources}
        replayed = list(_rows(replay_items(journal, protocol, sources)))
        problems = [f"Item {one.item.id} {one.problem}" for one, _ in replayed if one.problem]
        rows = [row for _, row in replayed if row is not None]
        digest, different = _compare(rows, out / "dataset.jsonl")
        return ReplayResult(len(replayed), len(rows), digest, tuple(problems + different))


def _rows(items: Iterator[Replayed]) -> Iterator[tuple[Replayed, dict[str, Any] | None]]:
    for one in items:
        # Which of two items with one row was first depends on the threads of that day; it is recorded.
        yield one, one.row() if one.item.duplicate_of is None else None


def _protocol(store: SqliteRunStore) -> EvaluationProtocol:
    text = store.get_meta("protocol_json")
    if text is None:
        raise StoreError(f"{store.path} does not say what was measured how. Is it the database of a run?")
    try:
        return EvaluationProtocol.from_json(json.loads(text))
    except ValueError as error:
        raise StoreError(f"{store.path}: the protocol was changed after it was written.") from error


def _compare(rows: list[dict[str, Any]], path: Path) -> tuple[str, list[str]]:
    """Write the rows in a folder that is thrown away; return their hash, and the lines of the file that are others."""
    with tempfile.TemporaryDirectory(prefix="autodata-replay-") as folder:
        made = Path(folder) / "dataset.jsonl"
        digest = write_jsonl(made, rows)
        wanted = made.read_bytes()
    try:
        found = path.read_bytes()
    except OSError as error:
        return digest, [f"{path.name} cannot be read: {error.strerror}."]
    if hashlib.sha256(found).hexdigest() == digest:
        return digest, []
    ours, theirs = wanted.splitlines(), found.splitlines()
    lines = [n + 1 for n in range(max(len(ours), len(theirs))) if ours[n : n + 1] != theirs[n : n + 1]]
    ids = [str(rows[n - 1]["id"]) if n <= len(rows) else "no row of this run" for n in lines]
    return digest, [f"{path.name} line {n} differs ({id})." for n, id in zip(lines, ids, strict=True)] or [
        f"{path.name} differs in its line ends."
    ]
