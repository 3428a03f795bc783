"""A rewritten quality check does not decide alone: what it let pass, the check one began with looks at once more.

So an optimizer may make the check stricter or clearer, and gains nothing by making it kinder.
"""

from __future__ import annotations

from collections.abc import Mapping

from autodata_core.item import ItemState, Step
from autodata_core.ports import Answer
from autodata_core.recipe import Rules
from autodata_core.records import Reason, Source
from autodata_core.screening import review
from autodata_core.sourcing import readable
from autodata_core.turn import Turn, candidate_of, changed

__all__ = ["anchor", "anchored", "needs_anchor", "reopened"]

_STAGE = "anchor"


def needs_anchor(rules: Rules, before: Rules, state: ItemState) -> bool:
    """Return whether an item was accepted by another check than the one in `before`, where a check is asked at all."""
    asked = rules.protocol.quality_check or rules.protocol.final_check
    return asked and state.status == "accepted" and rules.recipe.check != before.recipe.check


def reopened(state: ItemState) -> ItemState:
    """Return an accepted item as it stood before its last gate, to be given to `anchor`."""
    last = state.history[-1]
    return changed(state, status="open", phase="decide", candidate=last.candidate, faults={}, reasons=(), created="")


def anchor(before: Rules, source: Source, state: ItemState, answers: Mapping[str, Answer] | None = None) -> Step:
    """Return the next step of asking the check one began with; used like `advance` until a step asks nothing."""
    turn = Turn(before, readable(source, before), answers or {})
    return review(turn, state, candidate_of(state), final=True)


def anchored(accepted: ItemState, state: ItemState) -> ItemState:
    """Return the accepted item with what the anchor found: as it was, refused, or without an answer (`infra`)."""
    paid = changed(accepted, usage=state.usage)
    if state.done:
        return changed(paid, status=state.status, note=state.note)
    if not state.reasons:
        return paid
    last = accepted.history[-1]
    reasons = tuple(Reason(kind=r.kind, stage=_STAGE, detail=r.detail) for r in state.reasons)
    refused = last.model_copy(update={"verdict": last.verdict.model_copy(update={"reasons": reasons})})
    note = "the quality check that the recipe began with refuses it"
    return changed(paid, status="refused", history=(*accepted.history[:-1], refused), note=note)
