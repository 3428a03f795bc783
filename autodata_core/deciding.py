"""The last gates, for a candidate whose scores are good enough: is the judge to be trusted, and does it hold up once more?

The cheapest first: the policy, a rubric that got easier, the judge's controls, the final check, the debate.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from autodata_core.controls import judge_controls
from autodata_core.critics import debate
from autodata_core.item import ItemState, Step
from autodata_core.judging import judge, judge_view
from autodata_core.lazily import lazy
from autodata_core.leaks import scripts_of, shared_words
from autodata_core.ports import Ask, VerifierReply, VerifyAsk
from autodata_core.prompts import visible
from autodata_core.records import Attempt, Candidate, Reason, ReasonKind, Round
from autodata_core.safety import find_instructions
from autodata_core.screening import review
from autodata_core.turn import Turn, candidate_of, changed, finished_round, refuse, scores_of

__all__ = ["decide"]

_SAME_QUESTION = 0.6
"""Share of words from which two questions of one item ask for the same. Our number; copies are refused long before."""


def decide(turn: Turn, state: ItemState) -> Step:
    """Decide on the marks, then try every gate that is left."""
    candidate = candidate_of(state)
    if not state.passed:
        reasons = _policy(turn, state, candidate)
        if reasons:
            return refuse(state, *reasons)
        return decide(turn, changed(state, passed=("policy",)))
    for name, gate in _GATES.items():
        if name not in state.passed:
            step = gate(turn, state, candidate)
            if step.asks or step.state.phase != "decide" or step.state.done:
                return step
            return decide(turn, changed(step.state, passed=(*step.state.passed, name)))
    return Step(changed(state, phase="accept", passed=()))


def _policy(turn: Turn, state: ItemState, candidate: Candidate) -> tuple[Reason, ...]:
    if state.prompts.get("weak") != state.prompts.get("strong"):
        detail = "weak and strong solver were asked different things"
        return (Reason(kind=ReasonKind.FORMAT, stage="decide", detail=detail),)
    return turn.rules.policy.decide(scores_of(state.weak, candidate), scores_of(state.strong, candidate))


def _easing(turn: Turn, state: ItemState, candidate: Candidate) -> Step:
    """Refuse a rubric or check that got easier: one under which answers that were refused before would be good enough."""
    asks: list[Ask] = []
    for before in state.history:
        if not _asks_the_same(before, candidate):
            continue
        marked = []
        for attempt in before.strong:
            state, again, ask = _mark_again(turn, state, before, attempt, candidate)
            if state.done:
                return Step(state)
            asks += [ask] if ask else []
            marked += [again] if again else []
        if asks or len(marked) < len(before.strong):
            continue
        if not turn.rules.policy.decide(scores_of(state.weak, candidate), scores_of(tuple(marked), candidate)):
            detail = (
                f"rubric or check got easier: the strong answers that failed in round {before.number} would pass now"
            )
            return refuse(state, Reason(kind=ReasonKind.FAILED_QUALITY, stage="decide", detail=detail))
    return Step(state, tuple(asks))


def _asks_the_same(before: Round, candidate: Candidate) -> bool:
    failed = any(reason.kind is ReasonKind.FAILED_STRONG for reason in before.verdict.reasons)
    if not failed or before.candidate is None or any(a.outcome != "scored" for a in before.strong):
        return False
    return shared_words(before.candidate.question, candidate.question) >= _SAME_QUESTION


def _mark_again(
    turn: Turn, state: ItemState, before: Round, attempt: Attempt, candidate: Candidate
) -> tuple[ItemState, Attempt | None, Ask | None]:
    """Mark an earlier answer by the present rubric or check."""
    step = f"r{state.round}.again.{before.number}.{attempt.index}"
    answer = attempt.answer or ""
    if candidate.check is not None and candidate.check.kind != "judge":
        ask = VerifyAsk(key=step, check=candidate.check, answer=answer, source=turn.source.text)
        reply = turn.answers.get(step)
        if not isinstance(reply, VerifierReply):
            return state, None, ask
        return state, attempt.model_copy(update={"marks": (reply.outcome == "pass",)}), None
    found = judge(turn, state, step, judge_view(answer, candidate))
    again = None if found.marks is None else attempt.model_copy(update={"marks": found.marks})
    return found.state, again, found.ask


def _controls(turn: Turn, state: ItemState, candidate: Candidate) -> Step:
    """Have the judge mark answers whose marks are known. What it says of the others counts only if these come out right."""
    judged = candidate.rubric is not None or (candidate.check is not None and candidate.check.kind == "judge")
    if not judged or turn.rules.protocol.judge_controls == "off":
        return Step(state)
    asks: list[Ask] = []
    strict = turn.rules.protocol.judge_controls == "strict"
    carried = [a.answer or "" for a in state.strong if strict or _may_plead(a, candidate)]
    controls = judge_controls(candidate, state.item, carried)
    for control in controls:
        name = f"judge.{control.name}"
        if name in state.controls:
            continue
        found = judge(turn, state, f"r{state.round}.control.{control.name}", control.view)
        state = found.state
        if state.done:
            return Step(state)
        if found.ask is not None:
            asks.append(found.ask)
            continue
        right = found.marks is not None and control.right(found.marks)
        state = changed(state, controls={**state.controls, name: right})
    if asks:
        return Step(state, tuple(asks))
    fatal = [c for c in controls if strict or c.fatal]
    failed = [c.name for c in fatal if not state.controls[f"judge.{c.name}"]]
    if not failed:
        return Step(state)
    detail = f"the judge failed its controls ({', '.join(failed)}), so its marks say nothing about this row"
    reason = Reason(kind=ReasonKind.INFRA, stage="controls", detail=detail)
    state = changed(state, reasons=(reason,))
    history = (*state.history, finished_round(turn, state))
    return Step(changed(state, status="quarantined", history=history, note=detail))


def _may_plead(attempt: Attempt, candidate: Candidate) -> bool:
    """Return whether an answer may speak to the judge.

    It reads as instructions, speaks of judging where nothing that was asked does, is written in a script of its own, or holds
    what a prompt would not show as it is. Such an answer costs one more call, not the row.
    """
    answer = attempt.answer or ""
    asked = f"{candidate.question} {candidate.context} {candidate.reference_answer}"
    if _OF_JUDGING.search(answer) and not _OF_JUDGING.search(asked):
        return True
    if not scripts_of(answer) <= scripts_of(asked) or _OF_FENCES.search(answer):
        return True
    return visible(answer) != answer or bool(find_instructions(answer))


_OF_JUDGING = lazy(
    r"\b(?:verdicts?|rubrics?|criteri\w+|grad(?:e[ds]?|ers?|ing)|judg\w+|mark(?:s|ing|ers?)|checklists?|10 ?/ ?10)(?!\w)",
    re.IGNORECASE,
)
_OF_FENCES = lazy(r"[<>‹›＜＞«»]{3}")


def _final_check(turn: Turn, state: ItemState, candidate: Candidate) -> Step:
    return review(turn, state, candidate, final=True) if turn.rules.protocol.final_check else Step(state)


def _debate(turn: Turn, state: ItemState, candidate: Candidate) -> Step:
    return debate(turn, state, candidate) if turn.rules.protocol.debate_rounds else Step(state)


_GATES: Mapping[str, Callable[[Turn, ItemState, Candidate], Step]] = {
    "easing": _easing,
    "controls": _controls,
    "final_check": _final_check,
    "debate": _debate,
}
"""In the order in which they are tried, after the policy."""
