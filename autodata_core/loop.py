"""The state machine of one item: what is asked next, and whether the item is in.

`advance(rules, source, state, answers)` returns the next state with what to ask. No I/O, no clock, no chance. A shell
answers the asks through the ports and comes back; asked again with the same state it gets the same asks, so a shell may
die at any point. Scores are compared only by the policy (`acceptance`).

    propose → check → attempt_weak → attempt_strong → decide → accept
       ↑________ refine ←──────┴──────────┴────────────┘   └→ (refine) → give_up

Asks of one step are independent of each other and may be answered at once. What happens inside `propose` and `check` is in
`screening`, inside the attempts in `attempting`, between good scores and a row in `deciding`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from autodata_core.attempting import settle_attempts
from autodata_core.deciding import decide
from autodata_core.errors import RecordError
from autodata_core.item import ItemState, Phase, Step
from autodata_core.ports import Answer
from autodata_core.recipe import Rules
from autodata_core.records import Source
from autodata_core.screening import check, propose
from autodata_core.sourcing import readable
from autodata_core.turn import Turn, candidate_of, changed, finished_round, refuse, scores_of

__all__ = ["advance"]


def advance(rules: Rules, source: Source, state: ItemState, answers: Mapping[str, Answer] | None = None) -> Step:
    """Return the next state with what to ask.

    Args:
        rules: The same for the whole item.
        source: The same source the item started with.
        state: As returned before.
        answers: By ask key; all asks of the last step, or none to hear them again.

    Raises:
        RecordError: Another source than the item's, or an answer of the wrong kind.
    """
    if source.sha256 != state.source_sha256:
        raise RecordError(f"Item {state.item!r} belongs to source {state.source_id!r}; another text was given.")
    if state.done:
        return Step(state)
    return _PHASES[state.phase](Turn(rules, readable(source, rules), answers or {}), state)


def _attempt_weak(turn: Turn, state: ItemState) -> Step:
    step = settle_attempts(turn, state, "weak", turn.rules.protocol.weak_attempts)
    if step.asks or step.state.phase != "attempt_weak" or step.state.done:
        return step
    state = step.state
    reasons = turn.rules.policy.check_weak(scores_of(state.weak, candidate_of(state)))
    if reasons:
        return refuse(state, *reasons)
    return Step(changed(state, phase="attempt_strong"))


def _attempt_strong(turn: Turn, state: ItemState) -> Step:
    step = settle_attempts(turn, state, "strong", turn.rules.protocol.strong_attempts)
    if step.asks or step.state.phase != "attempt_strong" or step.state.done:
        return step
    return Step(changed(step.state, phase="decide"))


def _refine(turn: Turn, state: ItemState) -> Step:
    history = (*state.history, finished_round(turn, state))
    if state.round >= turn.rules.protocol.rounds:
        return Step(changed(state, history=history, phase="give_up"))
    # An untouched item with what belongs to it: nothing said of one candidate may count for the next.
    fresh = {name: ItemState.model_fields[name].get_default(call_default_factory=True) for name in _OF_THE_ROUND}
    return Step(changed(state, history=history, round=state.round + 1, phase="propose", **fresh))


def _give_up(turn: Turn, state: ItemState) -> Step:
    return Step(changed(state, status="refused", note=f"no question passed in {state.round} rounds"))


def _accept(turn: Turn, state: ItemState) -> Step:
    return Step(changed(state, status="accepted", history=(*state.history, finished_round(turn, state))))


_OF_THE_ROUND = (
    "candidate", "flags", "weak", "strong", "opinions", "debate", "controls", "marks", "reasons", "faults", "passed"
)  # fmt: skip

_PHASES: Mapping[Phase, Callable[[Turn, ItemState], Step]] = {
    "propose": propose,
    "check": check,
    "attempt_weak": _attempt_weak,
    "attempt_strong": _attempt_strong,
    "decide": decide,
    "refine": _refine,
    "accept": _accept,
    "give_up": _give_up,
}
