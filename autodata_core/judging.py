"""One judgement: an answer goes to the judge in the one form that all answers have, and comes back as marks.

The judge hears neither who answered, nor other attempts, nor whether it is a control.
"""

from __future__ import annotations

from dataclasses import dataclass

from autodata_core.item import ItemState
from autodata_core.parsing import ReplyFault, parse_equivalence, parse_marks, reply_schema
from autodata_core.ports import ModelAsk
from autodata_core.prompts import render_judge
from autodata_core.records import Candidate, fingerprint
from autodata_core.turn import Turn, changed, heard, suspend
from autodata_core.views import RubricJudgeView, VerifiableJudgeView

__all__ = ["Judged", "judge", "judge_view"]


@dataclass(frozen=True)
class Judged:
    """Where one judgement stands."""

    state: ItemState
    marks: tuple[bool, ...] | None = None
    ask: ModelAsk | None = None
    """To be answered first; None together with no marks means that no readable judgement came, or the item is suspended."""
    evidence: str = ""
    """What the judge gave as its reason, or what was wrong with its reply."""


def judge_view(answer: str, candidate: Candidate) -> RubricJudgeView | VerifiableJudgeView:
    """Return what the judge sees of an answer."""
    if candidate.rubric is not None:
        return RubricJudgeView(answer=answer, rubric=candidate.rubric)
    return VerifiableJudgeView(answer=answer, reference_answer=candidate.reference_answer)


def judge(turn: Turn, state: ItemState, step: str, view: RubricJudgeView | VerifiableJudgeView) -> Judged:
    """Take one judgement as far as the answers go; marks that were heard stay in the state."""
    if step in state.marks:
        return Judged(state, state.marks[step])
    by_rubric = isinstance(view, RubricJudgeView)
    ask = turn.ask(
        state,
        step,
        "judge",
        render_judge(view, turn.fence(state, step)),
        # A name would tell whose answer it is, or that it is a control.
        shown_as=f"r{state.round}.judge.{fingerprint([state.fence_key, step])[:12]}",
        response_schema=reply_schema("marks" if by_rubric else "equivalence"),
        view=view.to_json(),
    )
    reply = turn.reply(ask)
    if reply is None:
        return Judged(state, ask=ask)
    if reply.error:
        return Judged(suspend(state, ask, reply).state)
    verifier = "judge.rubric" if by_rubric else "judge.equivalence"
    state = heard(state, "judge", reply)
    state = changed(
        state,
        prompts={**state.prompts, "judge": turn.rules.protocol.prompts[verifier]},
        verifiers=tuple(sorted({*state.verifiers, verifier})),
    )
    try:
        read = parse_marks(reply, len(view.rubric)) if isinstance(view, RubricJudgeView) else parse_equivalence(reply)
    except ReplyFault as fault:
        state, may_ask = turn.again(state, step, reply, str(fault))
        return judge(turn.unheard(), state, step, view) if may_ask else Judged(state, evidence=str(fault))
    marks = tuple(read.marks)
    return Judged(changed(state, marks={**state.marks, step: marks}), marks, evidence=read.why)
