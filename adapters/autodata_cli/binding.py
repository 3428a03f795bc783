"""Ties a run folder to its recipe, or says what was changed; and starts a fork of a run. Asks no model."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import autodata_core
from autodata_adapters.stores import SqliteRunStore
from autodata_cli.reporting import open_finished_run
from autodata_cli.steering import coverage_hash, human_questions, keep_steering
from autodata_cli.workspace import Workspace
from autodata_core.errors import StoreError, shorten
from autodata_core.records import fingerprint
from autodata_langgraph.dataset_context import assignments_for
from autodata_langgraph.generate import run_id

__all__ = ["Binding", "bind", "binding_of", "changes", "core_sha256", "fork"]

_MOST_SHOWN = 6


class Binding(dict[str, str]):
    """Named hashes of everything that decides what a run gives."""


def binding_of(workspace: Workspace) -> Binding:
    """Return what a run of this workspace is tied to."""
    rules, file = workspace.rules, workspace.file
    sources = [[s.id, s.sha256] for s in workspace.sources.sources]
    parts = {f"model {role}": fingerprint(m.to_json()) for role, m in rules.protocol.models.items()}
    return Binding(
        {
            "recipe": rules.recipe.version,
            "protocol": rules.protocol.hash,
            "sources": fingerprint(sources),
            **parts,
            "policy": fingerprint(rules.protocol.policy),
            "attempts": fingerprint([rules.protocol.weak_attempts, rules.protocol.strong_attempts]),
            "examples_per_source": str(file.sources.examples_per_source),
            "embedder": file.coverage.embedder,
            "coverage": coverage_hash(workspace),
        }
    )


def bind(workspace: Workspace, store: SqliteRunStore) -> None:
    """Tie the run folder to this recipe, and keep what it takes to decide everything again.

    Raises:
        StoreError: It belongs to another recipe; the message shows what differs.
    """
    rules, file, sources = workspace.rules, workspace.file, workspace.sources.sources
    parts: dict[str, str] = dict(binding_of(workspace))
    recipe_hash, protocol_hash, sources_hash = (parts.pop(name) for name in ("recipe", "protocol", "sources"))
    recipe_json = json.dumps(rules.recipe.to_json())

    def explain() -> str:
        return "; ".join(changes(workspace, store))

    store.bind(recipe_hash, protocol_hash, sources_hash, recipe_json, parts, explain)
    if store.get_meta("fence_key") is None:
        store.set_meta("fence_key", secrets.token_hex(16)).result()
    store.set_meta("core_sha256", core_sha256())
    if store.get_meta("kept") == "1":
        return
    store.set_meta("protocol_json", json.dumps(rules.protocol.to_json())).result()
    store.set_meta("models_json", json.dumps(file.roles())).result()
    store.set_meta("coverage_json", json.dumps(file.coverage.to_json()))
    store.set_meta("run_id", run_id(rules, sources, file.sources.examples_per_source)).result()
    store.keep_sources(sources)
    store.set_meta("human_json", json.dumps(human_questions(workspace)))
    if file.coverage.steers:  # its items are chosen batch by batch
        keep_steering(workspace, store)
    else:
        items = assignments_for(sources, file.sources.examples_per_source)
        store.register_items((a.item, a.position, a.source.id) for a in items)
    store.set_meta("kept", "1").result()


def core_sha256() -> str:
    """Return the hash of the rules as code: what is asked and decided follows from them, the recipe and the replies."""
    folder = Path(autodata_core.__file__).parent
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        digest.update(path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def changes(workspace: Workspace, store: SqliteRunStore) -> list[str]:
    """Return what differs between a run and a recipe as it is now, with both values, a few of them."""
    rules = workspace.rules
    found: list[str] = []
    parts = {"recipe": rules.recipe, "protocol": rules.protocol, "coverage": workspace.file.coverage}
    for name, now in ((name, part.to_json()) for name, part in parts.items()):
        kept = store.get_meta(f"{name}_json")
        if kept is not None:
            found += _differences(name, json.loads(kept), json.loads(json.dumps(now)))
    then = store.sources()
    now_sources = {s.id: s.sha256 for s in workspace.sources.sources}
    found += [f"source {id!r} is gone" for id in then if id not in now_sources]
    found += [f"source {id!r} is new" for id in now_sources if then and id not in then]
    found += [f"source {id!r} was changed" for id, sha in then.items() if now_sources.get(id, sha) != sha]
    more = len(found) - _MOST_SHOWN
    return found if more <= 0 else [*found[:_MOST_SHOWN], f"and {more} more"]


def _differences(where: str, then: Any, now: Any) -> Iterator[str]:
    if isinstance(then, dict) and isinstance(now, dict):
        for key in dict.fromkeys([*then, *now]):
            yield from _differences(f"{where}.{key}", then.get(key), now.get(key))
    elif then != now:
        yield f"{where} was {shorten(then, 60)} and is {shorten(now, 60)}"


def fork(old: Path, store: SqliteRunStore) -> None:
    """Start a run with the paid calls of another one as its cache, unless it was started so before.

    Raises:
        StoreError: There is no run to fork, or the new folder holds another one.
    """
    with open_finished_run(old) as parent:
        origin = {"folder": old.resolve().name, "run": parent.get_meta("run_id"), "bound": parent.bound()}
        known = store.get_meta("forked_from")
        if known is not None:
            if json.loads(known)["run"] != origin["run"]:
                raise StoreError(f"{store.path.parent} is the fork of another run. Choose another folder for --fork.")
            return
        if store.bound():
            raise StoreError(f"{store.path.parent} holds a run already. Choose an empty folder for --fork.")
        fence_key = parent.get_meta("fence_key")
        if fence_key is not None:  # without it no prompt would be the same
            store.set_meta("fence_key", fence_key).result()
        if (learned := parent.get_meta("learned_before")) is not None:
            store.set_meta("learned_before", learned).result()
        taken = store.take_over(parent.answered_calls())
    at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    store.set_meta("forked_from", json.dumps({**origin, "calls": taken, "at": at})).result()
