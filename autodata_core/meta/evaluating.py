"""One evaluation: a recipe works on one source, and the finished item becomes a figure. Which are needed is in `search`.

An evaluation sees no other: each has a coverage map of its own, so that its figure does not depend on what ran before it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

from pydantic import Field, StrictBool, StrictFloat, StrictInt, StrictStr

from autodata_core.driver import Ports, adrive, drive
from autodata_core.item import ItemState, item_id, start
from autodata_core.meta.anchoring import aanchor_item, anchor_item, anchored_check
from autodata_core.meta.objective import Objective
from autodata_core.ports import NoCoverage
from autodata_core.recipe import EvaluationProtocol, Recipe, Rules
from autodata_core.records import Record, Source, Usage, fingerprint

__all__ = ["Evaluation", "Part", "aevaluate", "evaluate", "evaluation_from", "evaluation_key"]

Part = Literal["train", "validation", "test"]


class Evaluation(Record):
    """What one recipe made of one source, once."""

    key: StrictStr
    recipe: StrictStr
    """Version."""
    part: Part
    source: StrictStr
    slot: StrictInt
    """Which of several evaluations of the source; the same slot has the same seeds for every recipe."""
    status: StrictStr
    score: StrictFloat = Field(ge=0, le=1)
    accepted: StrictBool
    refusals: dict[StrictStr, StrictInt] = Field(default_factory=dict)
    """Refused rounds by the kind of their first reason."""
    question_type: StrictStr = ""
    """Of the row, as its writer calls it; empty where there is none."""
    rounds: StrictInt = 0
    calls: StrictInt = 0
    cost_usd: StrictFloat = 0.0


def evaluation_key(
    recipe: Recipe,
    protocol: EvaluationProtocol,
    source: Source,
    slot: int,
    objective: Objective,
    before: Recipe | None = None,
) -> str:
    """Return the key of an evaluation: everything that its figure follows from.

    Args:
        recipe: That works.
        protocol: That measures.
        source: Worked on.
        slot: Which of several evaluations of the source.
        objective: What counts.
        before: Recipe one began with, whose check looks on.
    """
    parts = [recipe.version, protocol.hash, source.id, source.sha256, slot, objective.to_json()]
    anchor = "" if before is None else anchored_check(recipe, before)
    return fingerprint([*parts, anchor] if anchor else parts)


def evaluation_from(
    rules: Rules,
    source: Source,
    slot: int,
    part: Part,
    state: ItemState,
    objective: Objective,
    before: Recipe | None = None,
) -> Evaluation:
    """Return the figures of a finished item; the arguments are those of `evaluation_key`."""
    refused = [r.verdict.reasons[0].kind.value for r in state.history if not r.verdict.accepted]
    total = Usage()
    for usage in state.usage.values():
        total = total.plus(usage)
    return Evaluation(
        key=evaluation_key(rules.recipe, rules.protocol, source, slot, objective, before),
        recipe=rules.recipe.version,
        part=part,
        source=source.id,
        slot=slot,
        status=state.status,
        score=objective.score(state),
        accepted=state.status == "accepted",
        refusals=dict(sorted(Counter(refused).items())),
        question_type=_question_type(state),
        rounds=len(state.history),
        calls=total.calls,
        cost_usd=total.cost_usd,
    )


def _question_type(state: ItemState) -> str:
    candidate = state.history[-1].candidate if state.status == "accepted" and state.history else None
    return "" if candidate is None else " ".join(candidate.question_type.split())[:60] or "(no type)"


def evaluate(
    rules: Rules, source: Source, slot: int, ports: Ports, *, run: str, fence_key: str, before: Recipe | None = None
) -> ItemState:
    """Return the finished item that a recipe makes of a source.

    Args:
        rules: The recipe, and the protocol that measures.
        source: To work on.
        slot: Which of several evaluations of the source.
        ports: Whom to ask.
        run: Id of the run.
        fence_key: Secret of the run.
        before: Recipe one began with: what its check refuses is no row, whatever the check of `rules` says.
    """
    state = drive(rules, source, _begin(source, slot, run, fence_key), _alone(ports))
    return state if before is None else anchor_item(rules, Rules(before, rules.protocol), source, state, ports)


async def aevaluate(
    rules: Rules, source: Source, slot: int, ports: Ports, *, run: str, fence_key: str, before: Recipe | None = None
) -> ItemState:
    """Return the same as `evaluate`."""
    state = await adrive(rules, source, _begin(source, slot, run, fence_key), _alone(ports))
    return state if before is None else await aanchor_item(rules, Rules(before, rules.protocol), source, state, ports)


def _begin(source: Source, slot: int, run: str, fence_key: str) -> ItemState:
    # The id knows the slot and not the recipe: seeds follow from it, so two recipes meet the same chance.
    return start(source, item=item_id(source, slot), run=run, fence_key=fence_key)


def _alone(ports: Ports) -> Ports:
    return replace(ports, coverage=NoCoverage())


def scores_by_source(evaluations: Mapping[str, Evaluation] | list[Evaluation]) -> dict[str, tuple[float, ...]]:
    """Return every score by source, in the order of the slots."""
    found: dict[str, list[tuple[int, float]]] = {}
    for one in evaluations.values() if isinstance(evaluations, Mapping) else evaluations:
        found.setdefault(one.source, []).append((one.slot, one.score))
    return {source: tuple(score for _, score in sorted(pairs)) for source, pairs in sorted(found.items())}
