"""`autodata verify`: recomputes the hashes of a run folder, and decides every item again from the replies that were recorded.

Needs the folder alone: no recipe, no documents, no model.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from autodata_adapters.stores import SqliteRunStore, verify_run
from autodata_adapters.verifiers import create_verifiers
from autodata_cli.binding import core_sha256
from autodata_cli.replaying import Journal, Replayed, replay_items
from autodata_cli.reporting import open_finished_run
from autodata_core.errors import AutodataError, RecordError, StoreError
from autodata_core.item import ItemState
from autodata_core.ports import Verifier
from autodata_core.recipe import EvaluationProtocol, Recipe, Rules
from autodata_core.records import Example, Source
from autodata_core.rows import example_from

__all__ = ["Verification", "verify_folder"]


class Verification(NamedTuple):
    """What was found in a run folder."""

    problems: tuple[str, ...]
    """One sentence each; empty when nothing is wrong."""
    notes: tuple[str, ...]
    """What could not be looked at."""


def verify_folder(folder: Path) -> Verification:
    """Look at everything in a run folder that can be recomputed."""
    with open_finished_run(folder) as store:
        runs = [payload.get("state") for _, _, payload in store.events("run")]
    if runs and runs[-1] != "ended":
        unfinished = "The run is still working, or was stopped hard. Run the same command to finish it, then verify."
        return Verification((unfinished,), ())
    problems, notes = verify_run(folder), _Notes()
    try:
        problems += _verdict_problems(folder, notes)
    except AutodataError as error:
        problems.append(str(error))
    return Verification(tuple(dict.fromkeys(problems)), tuple(notes))


class _Notes(list[str]):
    """What could not be looked at."""


def _verdict_problems(folder: Path, notes: _Notes) -> Iterator[str]:
    """Play every item again from its recorded replies, under the protocol of the run, and look at every row."""
    with open_finished_run(folder) as store:
        rules = _rules(store)
        bound = store.bound()
        if rules.recipe.version != bound.get("recipe"):
            yield "run.db: the recipe that the run was started with was changed."
        if rules.protocol.hash != bound.get("protocol"):
            yield "run.db: the protocol of the run was changed."
        if not store.get_meta("fence_key"):
            yield "run.db: the key of the marks around untrusted text is gone."
        for version, text in store.recipes().items():
            if _version(text) != version:
                yield f"run.db: the recipe {version[:12]} was changed after it was written."
        examples = {example.provenance.item: example for example in store.examples()}
        states = {item.id: item.state for item in store.finished_items()}
        for example in examples.values():
            problem = _row_problem(rules, example, states.get(example.provenance.item))
            if problem:
                yield f"Row {example.id} {problem}"
        if store.get_meta("core_sha256") != core_sha256():
            notes.append(
                "The run was made by another version of the rules: rows were decided again from their marks, not marks "
                "from the replies."
            )
            return
        yield from _replay_problems(store, rules.protocol, examples, notes)


def _replay_problems(
    store: SqliteRunStore, protocol: EvaluationProtocol, examples: Mapping[str, Example], notes: _Notes
) -> Iterator[str]:
    journal = Journal(store, protocol.models, _verifiers(protocol))
    left_out = 0
    for one in replay_items(journal, protocol, {}):
        if not _can_be_checked(protocol, journal, one):
            left_out += 1
        elif one.problem:
            yield f"Item {one.item.id} {one.problem}"
        elif one.item.duplicate_of is None:
            example, made = examples.get(one.item.id), one.row()
            if made is not None and example is None:
                yield f"Item {one.item.id} was accepted and has no row."
            elif made is not None and example is not None and made != example.to_json():
                yield f"Row {example.id} does not follow from the recorded calls of its item."
    if left_out:
        notes.append(
            f"{left_out} items were checked by a verifier that is not installed here, and were not decided again."
        )


def _version(text: str) -> str | None:
    try:
        return Recipe.from_json(json.loads(text)).version
    except (RecordError, ValueError):
        return None


def _verifiers(protocol: EvaluationProtocol) -> dict[str, Verifier]:
    """Return the verifiers of the run that this installation has, the same version and tier."""
    installed = create_verifiers()
    return {
        kind: installed[kind]
        for kind, version in protocol.verifiers.items()
        if kind in installed and installed[kind].version == version
    }


def _can_be_checked(protocol: EvaluationProtocol, journal: Journal, one: Replayed) -> bool:
    """Return whether the item needs no verifier that is missing here: such an item cannot be decided again."""
    checks = [(played.get("candidate") or {}).get("check") or {} for played in one.item.state.get("history", [])]
    return all(check.get("kind") in journal.verifiers for check in checks if check.get("kind") in protocol.verifiers)


def _rules(store: SqliteRunStore) -> Rules:
    recipe, protocol = store.get_meta("recipe_json"), store.get_meta("protocol_json")
    if recipe is None or protocol is None:
        raise StoreError(f"{store.path} does not say what was measured how. Is it the database of a run?")
    try:
        return Rules(Recipe.from_json(json.loads(recipe)), EvaluationProtocol.from_json(json.loads(protocol)))
    except ValueError as error:
        raise StoreError(f"{store.path}: the recipe or protocol was changed after it was written.") from error


def _row_problem(rules: Rules, example: Example, kept: dict[str, object] | None) -> str | None:
    """Return why a row does not follow from its item's marks, None when it does."""
    if kept is None:
        return "belongs to no finished item."
    if example.provenance.protocol != rules.protocol.hash:
        return "was measured by another protocol than the run's."
    ref = example.source
    source = Source.model_construct(id=ref.id, text="", sha256=ref.sha256, licence=ref.licence, meta={})
    try:
        again = example_from(rules, source, ItemState.from_json(kept)).to_json()
    except RecordError as error:
        return f"cannot be decided again: {error}"
    found = example.to_json()
    # The text of a source is not looked at here, and a later version of the recipe may have made the row.
    again["source"]["span"], again["provenance"]["recipe"] = found["source"]["span"], found["provenance"]["recipe"]
    differing = [key for key in found if found[key] != again[key]]
    return f"does not follow from its item: {', '.join(differing)} differ." if differing else None
