"""The solvers' attempts: ask for answers, then for their marks. An answer that cannot be scored is never difficulty."""

from __future__ import annotations

from autodata_core.item import ItemState, Solver, Step
from autodata_core.judging import judge, judge_view
from autodata_core.oddities import oddities
from autodata_core.parsing import SolverAnswer, parse_answer, reply_schema
from autodata_core.ports import Ask, VerifyAsk
from autodata_core.prompts import render_solver
from autodata_core.records import Attempt, Candidate, Reason, ReasonKind
from autodata_core.turn import Turn, candidate_of, changed, heard, refuse, suspend
from autodata_core.views import SolverView

__all__ = ["settle_attempts"]


def settle_attempts(turn: Turn, state: ItemState, solver: Solver, wanted: int) -> Step:
    """Ask for answers, then for their marks, until every attempt is settled; unusable ones refuse the round as FORMAT."""
    candidate = candidate_of(state)
    attempts = getattr(state, solver) or tuple(Attempt(index=n) for n in range(wanted))
    asks: list[Ask] = []
    settled = []
    for before in attempts:
        state, attempt, ask = _one_attempt(turn, state, solver, before, candidate)
        if state.done:
            return Step(state)
        settled.append(attempt)
        asks += [ask] if ask else []
    if not asks:
        settled = _flag_repeats(settled)
    state = changed(state, **{solver: tuple(settled)})
    if asks:
        return Step(state, tuple(asks))
    unusable = [a for a in settled if a.outcome != "scored"]
    if unusable:
        flags = ", ".join(sorted({flag for a in unusable for flag in a.flags}))
        detail = f"{len(unusable)} of {wanted} {solver} answers could not be scored ({flags}); that is not difficulty"
        return refuse(state, Reason(kind=ReasonKind.FORMAT, stage=state.phase, detail=detail))
    return Step(state)


def _one_attempt(
    turn: Turn, state: ItemState, solver: Solver, attempt: Attempt, candidate: Candidate
) -> tuple[ItemState, Attempt, Ask | None]:
    """Take one attempt as far as the answers go."""
    if attempt.outcome != "pending":
        return state, attempt, None
    if attempt.answer is None:
        state, attempt, ask = _answer(turn, state, solver, attempt, candidate)
        if ask is not None or state.done or attempt.outcome != "pending":
            return state, attempt, ask
    return _mark(turn, state, solver, attempt, candidate)


def _answer(
    turn: Turn, state: ItemState, solver: Solver, attempt: Attempt, candidate: Candidate
) -> tuple[ItemState, Attempt, Ask | None]:
    step = f"r{state.round}.{solver}.{attempt.index}"
    view = SolverView(context=candidate.context, question=candidate.question, answer_format=turn.domain.answer_format)
    value = view.answer_format == "value"
    ask = turn.ask(
        state,
        step,
        solver,
        render_solver(view),
        attempt=attempt.index,
        response_schema=reply_schema("value") if value else None,
        view=view.to_json(),
    )
    reply = turn.reply(ask)
    if reply is None:
        return state, attempt, ask
    if reply.error:
        return suspend(state, ask, reply).state, attempt, None
    state = heard(state, solver, reply)
    state = changed(state, prompts={**state.prompts, solver: ask.request.messages_sha256()})
    parsed = parse_answer(reply, value=value)
    if parsed.answer is not None and _judged(candidate):
        parsed = _without_oddities(parsed.answer, candidate, solver)
    read = attempt.model_copy(
        update={"finish_reason": reply.finish_reason, "flags": parsed.flags, "answer": parsed.answer}
    )
    if parsed.answer is None:
        state, may_ask = turn.again(state, step, reply, ", ".join(parsed.flags))
        if may_ask:
            return _answer(turn.unheard(), state, solver, attempt, candidate)
        return state, read.model_copy(update={"outcome": "invalid"}), None
    return state, read, None


def _without_oddities(answer: str, candidate: Candidate, solver: Solver) -> SolverAnswer:
    """Return the answer with its flags; None instead of one that could earn marks by anything but what it says."""
    odd = oddities(answer, candidate)
    # Words to the judge can only help who says them: in the weak solver's favour they refuse the row, so they are marked.
    unusable = set(odd) - ({"judge_directed"} if solver == "weak" else set())
    return SolverAnswer(None if unusable else answer, odd)


def _judged(candidate: Candidate) -> bool:
    return candidate.check is None or candidate.check.kind == "judge"


def _mark(
    turn: Turn, state: ItemState, solver: Solver, attempt: Attempt, candidate: Candidate
) -> tuple[ItemState, Attempt, Ask | None]:
    """Verify the answer, or have it judged."""
    answer = attempt.answer or ""
    step = f"r{state.round}.{solver}.{attempt.index}.mark"
    if candidate.check is not None and not _judged(candidate):
        verify = VerifyAsk(key=step, check=candidate.check, answer=answer, source=turn.source.text)
        if verify.key not in turn.answers:
            return state, attempt, verify
        found = turn.verified(verify)
        if found.outcome == "error":
            return state, _unjudged(attempt, found.evidence), None
        return state, _marked(attempt, (found.outcome == "pass",), found.evidence), None
    judged = judge(turn, state, step, judge_view(answer, candidate))
    if judged.state.done or judged.ask is not None:
        return judged.state, attempt, judged.ask
    if judged.marks is None:
        return judged.state, _unjudged(attempt, judged.evidence), None
    return judged.state, _marked(attempt, judged.marks, judged.evidence), None


def _marked(attempt: Attempt, marks: tuple[bool, ...], evidence: str) -> Attempt:
    return attempt.model_copy(update={"outcome": "scored", "marks": marks, "evidence": evidence[:500]})


def _unjudged(attempt: Attempt, evidence: str) -> Attempt:
    flags = tuple(sorted({*attempt.flags, "unjudged"}))
    return attempt.model_copy(update={"outcome": "invalid", "flags": flags, "evidence": evidence[:500]})


def _flag_repeats(attempts: list[Attempt]) -> list[Attempt]:
    """Flag long answers that are equal to another attempt's: the attempts may not be independent (one seed, a cache)."""
    texts = [a.answer for a in attempts]
    return [
        a.model_copy(update={"flags": tuple(sorted({*a.flags, "repeated"}))})
        if a.answer and len(a.answer) > 80 and texts.count(a.answer) > 1
        else a
        for a in attempts
    ]
