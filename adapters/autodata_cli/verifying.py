"""`autodata verify`: recomputes hashes and verdicts of a run folder from what was recorded."""

from __future__ import annotations

import json
from pathlib import Path

from autodata_adapters.stores import SqliteRunStore, verify_run
from autodata_cli.reporting import open_finished_run
from autodata_core.errors import RecordError, StoreError
from autodata_core.item import ItemState
from autodata_core.recipe import EvaluationProtocol, Recipe, Rules
from autodata_core.records import Example, Source
from autodata_core.rows import example_from

__all__ = ["verify_folder"]


def verify_folder(folder: Path) -> list[str]:
    """Return what is wrong with a run folder, one sentence each; empty when nothing is."""
    with open_finished_run(folder) as store:
        runs = [payload.get("state") for _, _, payload in store.events("run")]
    if runs and runs[-1] != "ended":
        return ["The run is still working, or was stopped hard. Run the same command to finish it, then verify."]
    return verify_run(folder) or _verdict_problems(folder)


def _verdict_problems(folder: Path) -> list[str]:
    """Decide every accepted row again from its raw marks, under the protocol of the run."""
    with open_finished_run(folder) as store:
        rules = _rules(store)
        states = {finished.id: finished.state for finished in store.finished_items()}
        found = ((e, _row_problem(rules, e, states.get(e.provenance.item))) for e in store.examples())
        return [f"Row {example.id} {problem}" for example, problem in found if problem]


def _rules(store: SqliteRunStore) -> Rules:
    recipe, protocol = store.get_meta("recipe_json"), store.get_meta("protocol_json")
    if recipe is None or protocol is None:
        raise StoreError(f"{store.path} does not say what was measured how. Is it the database of a run?")
    return Rules(Recipe.from_json(json.loads(recipe)), EvaluationProtocol.from_json(json.loads(protocol)))


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
    # The text of a source is not in the run, and a later version of the recipe may have made the row.
    again["source"]["span"], again["provenance"]["recipe"] = found["source"]["span"], found["provenance"]["recipe"]
    differing = [key for key in found if found[key] != again[key]]
    return f"does not follow from its item: {', '.join(differing)} differ." if differing else None
