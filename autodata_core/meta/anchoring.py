"""A rewritten quality check does not decide alone: what it let pass, the check one began with looks at once more.

So a search may make the check stricter or clearer, and gains nothing by making it kinder. One rule for every road: the search,
gepa's engine and DSPy's optimizers.
"""

from __future__ import annotations

from collections.abc import Mapping

from autodata_core.driver import Ports, aanswer_all, answer_all
from autodata_core.item import ItemState, Step
from autodata_core.meta.objective import gap_quality
from autodata_core.ports import Answer
from autodata_core.recipe import Recipe, Rules
from autodata_core.records import Reason, ReasonKind, Round, Source
from autodata_core.screening import review
from autodata_core.sourcing import readable
from autodata_core.turn import Turn, candidate_of, changed

__all__ = ["aanchor_item", "anchor_item", "anchored_check"]

_STAGE = "anchor"


def anchored_check(recipe: Recipe, before: Recipe) -> str:
    """Return the check that looks on while `recipe` is measured; empty where it has the check one began with."""
    return "" if recipe.check == before.check else before.check


def anchor_item(rules: Rules, before: Rules, source: Source, state: ItemState, ports: Ports) -> ItemState:
    """Return a finished item with what the check in `before` says of the questions that the check in `rules` let pass.

    Looked at are the row and every question that would count for its gap. One that is refused counts as refused by quality;
    where no model answers, the item is without an answer (`infra`).
    """
    for round_ in _rounds(rules, before, state):
        step = _look(before, source, _reopened(state, round_))
        while step.asks:
            step = _look(before, source, step.state, answer_all(ports, step.asks))
        state = _seen(state, round_, step.state)
    return state


async def aanchor_item(rules: Rules, before: Rules, source: Source, state: ItemState, ports: Ports) -> ItemState:
    """Return the same as `anchor_item`."""
    for round_ in _rounds(rules, before, state):
        step = _look(before, source, _reopened(state, round_))
        while step.asks:
            step = _look(before, source, step.state, await aanswer_all(ports, step.asks))
        state = _seen(state, round_, step.state)
    return state


def _rounds(rules: Rules, before: Rules, state: ItemState) -> tuple[Round, ...]:
    """Return the rounds that count by the word of another check than the one in `before`, where a check is asked at all."""
    asked = rules.protocol.quality_check or rules.protocol.final_check
    if not asked or state.status not in ("accepted", "refused") or not anchored_check(rules.recipe, before.recipe):
        return ()
    row = state.history[-1].number if state.status == "accepted" else None
    return tuple(r for r in state.history if r.candidate and (r.number == row or gap_quality(r) > 0))


def _reopened(state: ItemState, round_: Round) -> ItemState:
    """Return an item as it stood before the last gate of a round."""
    fresh = {"faults": {}, "reasons": (), "created": "", "note": ""}
    return changed(state, status="open", phase="decide", round=round_.number, candidate=round_.candidate, **fresh)


def _look(before: Rules, source: Source, state: ItemState, answers: Mapping[str, Answer] | None = None) -> Step:
    """Return the next step of asking the check one began with; used like `advance` until a step asks nothing."""
    turn = Turn(before, readable(source, before), answers or {})
    return review(turn, state, candidate_of(state), final=True)


def _seen(state: ItemState, round_: Round, found: ItemState) -> ItemState:
    """Return the item with what was found of one round: as it was, refused, or without an answer."""
    state = changed(state, usage=found.usage)
    if found.status == "infra" or state.status == "infra":
        return changed(state, status="infra", note=found.note or state.note)
    reasons = tuple(Reason(kind=r.kind, stage=_STAGE, detail=r.detail) for r in found.reasons)
    if found.done:  # the check can never be asked about this question, so nothing speaks for it
        reasons = (Reason(kind=ReasonKind.FAILED_QUALITY, stage=_STAGE, detail=found.note),)
    if not reasons:
        return state
    verdict = round_.verdict.model_copy(update={"reasons": (*round_.verdict.reasons, *reasons)})
    refused = round_.model_copy(update={"verdict": verdict})
    history = tuple(refused if r.number == round_.number else r for r in state.history)
    state = changed(state, history=history)
    if round_.number != history[-1].number or state.status != "accepted":
        return state
    return changed(state, status="refused", note="the quality check that the recipe began with refuses it")
