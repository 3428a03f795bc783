"""Everything before a solver is paid: the challenger proposes, rules and the quality check refuse. The cheapest first."""

from __future__ import annotations

from autodata_core.critics import ask_critics
from autodata_core.errors import RecordError
from autodata_core.gates import admitted, check_kinds, refusals
from autodata_core.item import ItemState, Step
from autodata_core.learnings import Learning, select
from autodata_core.parsing import ReplyFault, Skip, parse_candidate, parse_quality, reply_schema
from autodata_core.ports import KNOWN, LIBRARY, ControlAsk, ControlReply, CoverageAsk, CoverageReply
from autodata_core.prompts import render_challenger, render_check
from autodata_core.recipe import Recipe
from autodata_core.records import Attempt, Candidate, Reason, ReasonKind, Round, fingerprint
from autodata_core.scoring import mean
from autodata_core.sourcing import screened
from autodata_core.turn import Turn, candidate_of, changed, heard, refuse, scores_of, suspend
from autodata_core.views import ChallengerView, CheckView, FailureView

__all__ = ["check", "fact_of", "propose", "review"]


def propose(turn: Turn, state: ItemState) -> Step:
    if not state.passed:
        found = screened(turn.source, turn.rules)
        state = changed(state, passed=("source",), source_flags=found.flags)
        if found.source is None:
            return Step(changed(state, status="skipped", note=f"the source may not be used: {found.reason}"))
    step = f"r{state.round}.propose"
    recipe, domain = turn.rules.recipe, turn.domain
    rubric = domain.scoring == "rubric"
    view = ChallengerView(
        source_text=turn.source.text,
        round=state.round,
        failures=tuple(_failure(r) for r in state.history),
        learnings=tuple(x.view() for x in _lessons(recipe, state)),
        aim=state.aim,
    )
    forms = (
        {}
        if rubric
        else {kind: turn.rules.protocol.check_forms.get(kind, "spec {}") for kind in check_kinds(turn.rules)}
    )
    fence = turn.fence(state, step)
    messages = render_challenger(
        recipe.challenger, domain, view, fence, forms, [d.reply for d in recipe.demonstrations]
    )
    schema = reply_schema("candidate_rubric" if rubric else "candidate_check")
    ask = turn.ask(state, step, "challenger", messages, response_schema=schema, view=view.to_json())
    reply = turn.reply(ask)
    if reply is None:
        return Step(state, (ask,))
    if reply.error:
        return suspend(state, ask, reply)
    state = heard(state, "challenger", reply)
    state = changed(state, prompts={**state.prompts, "challenger": fingerprint(recipe.challenger)})
    try:
        candidate = parse_candidate(reply, rubric=rubric)
    except ReplyFault as fault:
        state, may_ask = turn.again(state, step, reply, str(fault))
        if may_ask:
            return propose(turn.unheard(), state)
        return refuse(state, Reason(kind=ReasonKind.FORMAT, stage="propose", detail=str(fault)))
    if isinstance(candidate, Skip):
        return Step(changed(state, status="skipped" if not state.history else "refused", note=candidate.reason))
    candidate, flags = admitted(candidate, turn.rules.protocol.safety)
    state = changed(state, flags=flags)
    return Step(changed(state, candidate=candidate, phase="check", passed=()))


def _lessons(recipe: Recipe, state: ItemState) -> tuple[Learning, ...]:
    """Return the learnings for the next question, first those about what this item has tried."""
    tried = [round_.candidate for round_ in reversed(state.history) if round_.candidate is not None]
    types = [candidate.question_type for candidate in tried]
    skills = [skill for candidate in tried for skill in candidate.skills]
    return select(recipe.learnings, recipe.study.max_tokens, question_types=types, skills=skills)


def _failure(round_: Round) -> FailureView:
    """Return a refused round as the challenger is told about it. The first reason leads; all are in the detail."""
    candidate, reasons = round_.candidate, round_.verdict.reasons
    means = [_mean_or_none(side, candidate) for side in (round_.weak, round_.strong)]
    return FailureView(
        kind=reasons[0].kind,
        round=round_.number,
        question_type=candidate.question_type if candidate else "",
        question=candidate.question if candidate else "",
        detail="; ".join(r.detail for r in reasons),
        weak_mean=means[0],
        strong_mean=means[1],
    )


def _mean_or_none(attempts: tuple[Attempt, ...], candidate: Candidate | None) -> float | None:
    if candidate is None or not attempts or any(a.outcome != "scored" for a in attempts):
        return None
    return float(mean(scores_of(attempts, candidate)))


def check(turn: Turn, state: ItemState) -> Step:
    """Everything that can refuse a candidate before a solver is paid, the cheapest first."""
    candidate = candidate_of(state)
    if not state.passed:
        reasons = refusals(candidate, turn.source, turn.rules)
        if reasons:
            return refuse(state, *reasons)
        return check(turn, changed(state, passed=("form",)))
    parts = (("controls", _controls), ("coverage", _coverage), ("quality", _quality), ("critics", ask_critics))
    for name, part in parts:
        if name not in state.passed:
            step = part(turn, state, candidate)
            if step.asks or step.state.phase != "check" or step.state.done:
                return step
            return check(turn, changed(step.state, passed=(*step.state.passed, name)))
    return Step(changed(state, phase="attempt_weak", passed=()))


def _controls(turn: Turn, state: ItemState, candidate: Candidate) -> Step:
    """The check must pass the reference answer and fail answers that are known to be wrong, or it decides nothing."""
    check = candidate.check
    if check is None or check.kind == "judge":
        return Step(state)
    ask = ControlAsk(f"r{state.round}.control", check, candidate.reference_answer, turn.source.text)
    reply = turn.answers.get(ask.key)
    if reply is None:
        return Step(state, (ask,))
    if not isinstance(reply, ControlReply):
        raise RecordError(f"Ask {ask.key!r} is answered by a ControlReply, got {type(reply).__name__}.")
    shown = {"check.right": reply.fault != "reference"} if reply.fault in ("", "reference", "vacuous") else {}
    shown |= {"check.wrong": reply.fault != "vacuous"} if reply.fault in ("", "vacuous") else {}
    state = changed(state, controls={**state.controls, **shown})
    if reply.fault:
        kind, detail = _CONTROL_FAULTS[reply.fault]
        return refuse(state, Reason(kind=kind, stage="check", detail=f"{detail}: {reply.evidence}"))
    version = turn.rules.protocol.verifiers.get(check.kind, check.kind)
    return Step(
        changed(
            state,
            verifiers=tuple(sorted({*state.verifiers, version})),
        )
    )


_CONTROL_FAULTS = {
    "spec": (ReasonKind.FORMAT, "the check cannot be read"),
    "reference": (ReasonKind.FAILED_QUALITY, "the check does not pass the reference answer"),
    "vacuous": (
        ReasonKind.FAILED_QUALITY,
        "the check passes an answer that is known to be wrong, so it decides nothing",
    ),
    "error": (ReasonKind.INFRA, "unverified, since the check could not be run"),
}


def _coverage(turn: Turn, state: ItemState, candidate: Candidate) -> Step:
    """Refuse a near-copy before solvers are paid."""
    ask = CoverageAsk(
        key=f"r{state.round}.coverage",
        id=f"{state.item}/r{state.round}",
        text=candidate.question,
        meta={
            "source": state.source_id,
            "question_type": candidate.question_type,
            **fact_of(state.source_sha256, candidate),
        },
        context=candidate.context,
    )
    answer = turn.answers.get(ask.key)
    if answer is None:
        return Step(state, (ask,))
    if not isinstance(answer, CoverageReply):
        raise RecordError(f"Ask {ask.key!r} is answered by a CoverageReply, got {type(answer).__name__}.")
    if answer.nearest is not None and answer.similarity >= turn.rules.protocol.near_duplicate:
        own = answer.nearest.startswith(f"{state.item}/")
        whose = "an earlier question of this item" if own else "a question that exists already"
        if answer.nearest.startswith(KNOWN):  # an evaluation set, or training data that exists
            whose = f"a text of {answer.nearest.removeprefix(KNOWN)}, which no question may repeat"
        elif answer.nearest.startswith(LIBRARY):
            whose = "a question that an earlier run kept"
        detail = f"similarity {answer.similarity:.2f} to {whose}"
        return refuse(state, Reason(kind=ReasonKind.DUPLICATE, stage="check", detail=detail))
    return Step(state)


def fact_of(source_sha256: str, candidate: Candidate) -> dict[str, str]:
    """Return what a verified question asks for, whatever its wording: the same value from the same context of a source."""
    if candidate.check is None or candidate.check.kind == "judge":
        return {}
    parts = [source_sha256, " ".join(candidate.context.split()), candidate.check.to_json()]
    return {"fact": fingerprint(parts)}


def _quality(turn: Turn, state: ItemState, candidate: Candidate) -> Step:
    if not turn.rules.protocol.quality_check:
        return Step(state)
    return review(turn, state, candidate, final=False)


def review(turn: Turn, state: ItemState, candidate: Candidate, *, final: bool) -> Step:
    """Ask the quality check; used before the solvers and once more at the very end."""
    stage = "final_check" if final else "check"
    step = f"r{state.round}.{stage}"
    view = CheckView(
        source_text=turn.source.text,
        question_type=candidate.question_type,
        context=candidate.context,
        question=candidate.question,
        reference_answer=candidate.reference_answer if candidate.rubric is None else None,
        rubric=candidate.rubric,
        final=final,
    )
    messages = render_check(turn.rules.recipe.check, turn.domain, view, turn.fence(state, step))
    ask = turn.ask(state, step, "check", messages, response_schema=reply_schema("quality"), view=view.to_json())
    reply = turn.reply(ask)
    if reply is None:
        return Step(state, (ask,))
    if reply.error:
        return suspend(state, ask, reply)
    state = heard(state, "check", reply)
    state = changed(state, prompts={**state.prompts, "check": fingerprint(turn.rules.recipe.check)})
    try:
        verdict = parse_quality(reply)
    except ReplyFault as fault:
        state, may_ask = turn.again(state, step, reply, str(fault))
        if may_ask:
            return review(turn.unheard(), state, candidate, final=final)
        detail = f"the quality check gave no readable verdict: {fault}"
        return refuse(state, Reason(kind=ReasonKind.FORMAT, stage=stage, detail=detail))
    if not verdict.overall:
        faults = ", ".join(verdict.faults()) or "overall"
        detail = f"not {faults}: {verdict.feedback.strip() or 'no feedback'}"
        return refuse(state, Reason(kind=ReasonKind.FAILED_QUALITY, stage=stage, detail=detail))
    return Step(state)
