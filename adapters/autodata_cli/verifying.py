"""`autodata verify`: recomputes hashes and verdicts of a run folder from what was recorded."""

from __future__ import annotations

import json
from pathlib import Path

from autodata_adapters.stores import SqliteRunStore, verify_run
from autodata_cli.reporting import open_finished_run
from autodata_core.errors import RecordError, StoreError
from autodata_core.item import ItemState
from autodata_core.recipe import EvaluationProtocol, Recipe, Rules
from autodata_core.records import Example
from autodata_core.scoring import attempt_score

__all__ = ["verify_folder"]


def verify_folder(folder: Path) -> list[str]:
    """Return what is wrong with a run folder, one sentence each; empty when nothing is."""
    open_finished_run(folder).close()
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
    state = ItemState.from_json(kept)
    last = state.history[-1] if state.history else None
    if last is None or last.candidate is None or last.candidate.question != example.question:
        return "asks another question than its item."
    try:
        weak = [attempt_score(attempt, example.rubric) for attempt in last.weak]
        strong = [attempt_score(attempt, example.rubric) for attempt in last.strong]
        reasons = rules.policy.decide(weak, strong)
    except RecordError as error:
        return f"cannot be decided again: {error}"
    if reasons or example.verdict.reasons:
        return f"is not accepted by {rules.policy.name}: {(*reasons, *example.verdict.reasons)[0].detail}."
    if [float(s) for s in (*weak, *strong)] != [*example.scores.weak, *example.scores.strong]:
        return "has scores that do not follow from the marks."
    return None
