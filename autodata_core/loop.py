"""The state machine of one item: what is asked next, and whether the item is in.

`advance(rules, source, state, answers)` returns the next state with what to ask. No I/O, no clock, no chance. A shell
answers the asks through the ports and comes back; asked again with the same state it gets the same asks, so a shell may
die at any point. Scores are compared only by the policy (`acceptance`).

    propose → check → attempt_weak → attempt_strong → decide → accept
       ↑________ refine ←──────┴──────────┴────────────┘   └→ (refine) → give_up

Asks of one step are independent of each other and may be answered at once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal

from pydantic import Field, StrictInt, StrictStr

from autodata_core.acceptance import shadow_verdicts
from autodata_core.errors import RecordError
from autodata_core.leaks import find_leaks, find_quote
from autodata_core.parsing import (
    ReplyFault,
    Skip,
    parse_answer,
    parse_candidate,
    parse_equivalence,
    parse_marks,
    parse_quality,
    reply_schema,
)
from autodata_core.ports import (
    Answer,
    Ask,
    CoverageAsk,
    CoverageReply,
    ModelAsk,
    ModelReply,
    ModelRequest,
    VerifierReply,
    VerifyAsk,
)
from autodata_core.prompts import Fence, again, render_challenger, render_check, render_judge, render_solver
from autodata_core.recipe import Rules
from autodata_core.records import (
    Attempt,
    Candidate,
    Example,
    Message,
    ModelIdentity,
    Provenance,
    Reason,
    ReasonKind,
    Record,
    Role,
    Round,
    Scores,
    Source,
    SourceRef,
    Usage,
    Verdict,
    fingerprint,
)
from autodata_core.scoring import attempt_score, mean
from autodata_core.verify import EXACT_VERIFIERS
from autodata_core.views import (
    ChallengerView,
    CheckView,
    FailureView,
    RubricJudgeView,
    SolverView,
    VerifiableJudgeView,
)

__all__ = ["PHASES", "ItemState", "Phase", "Status", "Step", "advance", "example_from", "start"]

Phase = Literal["propose", "check", "attempt_weak", "attempt_strong", "decide", "refine", "accept", "give_up"]
PHASES: tuple[Phase, ...] = (
    "propose",
    "check",
    "attempt_weak",
    "attempt_strong",
    "decide",
    "refine",
    "accept",
    "give_up",
)
"""Every phase; each is a node of the item graph."""

Status = Literal["open", "accepted", "refused", "skipped", "infra"]
"""`skipped`: the challenger found the source unsuitable. `infra`: a model gave no answer; ask again later."""

Solver = Literal["weak", "strong"]


class Fault(Record):
    """An unreadable reply, kept until the re-ask has quoted it."""

    reply: StrictStr
    fault: StrictStr


class ItemState(Record):
    """Where one item stands. Plain JSON; its size is bounded by rounds × attempts × answer length."""

    item: StrictStr
    run: StrictStr
    source_id: StrictStr
    source_sha256: StrictStr
    fence_key: StrictStr
    """Secret of the run, from which the nonces around untrusted text are made. Not in rows."""
    status: Status = "open"
    phase: Phase = "propose"
    round: StrictInt = 1
    candidate: Candidate | None = None
    passed: tuple[StrictStr, ...] = ()
    """Steps of the present phase that are behind us."""
    faults: dict[StrictStr, tuple[Fault, ...]] = Field(default_factory=dict)
    """By step: what came and could not be used. Its length says how often that step was asked again."""
    weak: tuple[Attempt, ...] = ()
    strong: tuple[Attempt, ...] = ()
    reasons: tuple[Reason, ...] = ()
    """Against the present candidate."""
    history: tuple[Round, ...] = ()
    """Finished rounds, oldest first; the last one is the accepted one when the item is accepted."""
    usage: dict[StrictStr, Usage] = Field(default_factory=dict)
    served: dict[StrictStr, StrictStr] = Field(default_factory=dict)
    prompts: dict[StrictStr, StrictStr] = Field(default_factory=dict)
    verifiers: tuple[StrictStr, ...] = ()
    created: StrictStr = ""
    note: StrictStr = ""
    """Why the item was skipped or could not be finished."""

    @property
    def done(self) -> bool:
        return self.status != "open"


@dataclass(frozen=True)
class Step:
    """What `advance` found: the next state, and what to ask. No asks means that the phase changed or the item is done."""

    state: ItemState
    asks: tuple[Ask, ...] = ()


def start(rules: Rules, source: Source, *, item: str, run: str, fence_key: str) -> ItemState:
    """Return the first state of an item.

    Args:
        rules: Recipe and protocol in force.
        source: What the item is grounded in.
        item: Its id, unique in the run.
        run: Id of the run, for provenance.
        fence_key: Secret of the run; at least 16 characters.
    """
    if len(fence_key) < 16:
        raise RecordError(
            "The fence key has at least 16 characters, or the marks around untrusted text can be guessed."
        )
    return ItemState(item=item, run=run, source_id=source.id, source_sha256=source.sha256, fence_key=fence_key)


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
    return _PHASES[state.phase](_Turn(rules, source, answers or {}), state)


@dataclass(frozen=True)
class _Turn:
    """What does not change within one call of `advance`."""

    rules: Rules
    source: Source
    answers: Mapping[str, Answer]

    @property
    def domain(self) -> Any:
        return self.rules.domain

    # --- asking ---

    def ask(self, state: ItemState, step: str, role: Role, messages: tuple[Message, ...], **more: Any) -> ModelAsk:
        """Return the ask for a step; after an unreadable reply it quotes the fault, and it has a seed of its own."""
        faults = state.faults.get(step, ())
        key = f"{step}.again{len(faults)}" if faults else step
        if faults and role not in ("weak", "strong"):  # solvers are asked the same, byte for byte
            messages = again(messages, faults[-1].reply, faults[-1].fault)
        seed = int(fingerprint([self.rules.protocol.seed, state.item, key])[:8], 16) % 2**31
        request = ModelRequest(
            role=role, item=state.item, round=state.round, step=key, messages=messages, seed=seed, **more
        )
        return ModelAsk(key=key, request=request)

    def fence(self, state: ItemState, step: str) -> Fence:
        return Fence(state.fence_key, f"{state.item}/{step}")

    # --- hearing ---

    def reply(self, ask: ModelAsk) -> ModelReply | None:
        answer = self.answers.get(ask.key)
        if answer is not None and not isinstance(answer, ModelReply):
            raise RecordError(f"Ask {ask.key!r} is answered by a ModelReply, got {type(answer).__name__}.")
        return answer

    def again(self, state: ItemState, step: str, reply: ModelReply, fault: str) -> tuple[ItemState, bool]:
        """Note an unreadable reply; the second value says whether the step may be asked again."""
        before = state.faults.get(step, ())
        if len(before) >= self.rules.protocol.again:
            return state, False
        noted = (*before, Fault(reply=reply.text[:4_000], fault=fault))
        return _with(state, faults={**state.faults, step: noted}), True


def _with(state: ItemState, **changes: Any) -> ItemState:
    return state.model_copy(update=changes)


def _heard(state: ItemState, role: Role, reply: ModelReply) -> ItemState:
    """Add a reply's usage, served model and time to the state."""
    usage = {**state.usage, role: state.usage.get(role, Usage()).plus(reply.usage)}
    served = {**state.served, role: reply.served} if reply.served else state.served
    return _with(state, usage=usage, served=served, created=max(state.created, reply.created))


def _infra(state: ItemState, ask: ModelAsk, reply: ModelReply) -> Step:
    """Suspend the item: no answer is not a bad answer, and no round is used up."""
    return Step(_with(state, status="infra", note=f"{ask.request.role} gave no answer: {reply.error}"))


def _refuse(turn: _Turn, state: ItemState, *reasons: Reason) -> Step:
    """End the round with these reasons."""
    return Step(_with(state, phase="refine", reasons=reasons, passed=()))


# --- propose ----------------------------------------------------------------------------------------------------------


def _propose(turn: _Turn, state: ItemState) -> Step:
    step = f"r{state.round}.propose"
    recipe, domain = turn.rules.recipe, turn.domain
    rubric = domain.scoring == "rubric"
    view = ChallengerView(
        source_text=turn.source.text,
        round=state.round,
        failures=tuple(_failure(r, turn.rules) for r in state.history),
        learnings=tuple(x.view() for x in recipe.learnings),
    )
    messages = render_challenger(recipe.challenger, domain, view, turn.fence(state, step))
    schema = reply_schema("candidate_rubric" if rubric else "candidate_check")
    ask = turn.ask(state, step, "challenger", messages, response_schema=schema, view=view.to_json())
    reply = turn.reply(ask)
    if reply is None:
        return Step(state, (ask,))
    if reply.error:
        return _infra(state, ask, reply)
    state = _heard(state, "challenger", reply)
    state = _with(state, prompts={**state.prompts, "challenger": fingerprint(recipe.challenger)})
    try:
        candidate = parse_candidate(reply, rubric=rubric)
    except ReplyFault as fault:
        state, may_ask = turn.again(state, step, reply, str(fault))
        if may_ask:
            return _propose(_Turn(turn.rules, turn.source, {}), state)
        return _refuse(turn, state, Reason(kind=ReasonKind.FORMAT, stage="propose", detail=str(fault)))
    if isinstance(candidate, Skip):
        return Step(_with(state, status="skipped" if not state.history else "refused", note=candidate.reason))
    return Step(_with(state, candidate=candidate, phase="check", passed=()))


def _failure(round_: Round, rules: Rules) -> FailureView:
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
    return float(mean([attempt_score(a, candidate.rubric) for a in attempts]))


# --- check ------------------------------------------------------------------------------------------------------------


def _check(turn: _Turn, state: ItemState) -> Step:
    """Everything that can refuse a candidate before a solver is paid, the cheapest first."""
    candidate = _candidate(state)
    if not state.passed:
        reasons = _lint(turn, candidate)
        if reasons:
            return _refuse(turn, state, *reasons)
        return _check(turn, _with(state, passed=("form",)))
    for name, part in (("controls", _controls), ("coverage", _coverage), ("quality", _quality)):
        if name not in state.passed:
            step = part(turn, state, candidate)
            if step.asks or step.state.phase != "check" or step.state.done:
                return step
            return _check(turn, _with(step.state, passed=(*step.state.passed, name)))
    return Step(_with(state, phase="attempt_weak", passed=()))


def _candidate(state: ItemState) -> Candidate:
    if state.candidate is None:
        raise RecordError(f"Item {state.item!r} is in phase {state.phase!r} without a candidate; its state is damaged.")
    return state.candidate


def _lint(turn: _Turn, candidate: Candidate) -> tuple[Reason, ...]:
    """Return what is wrong with the candidate by rule: form, quotation, leaks."""
    domain = turn.domain

    def reason(kind: ReasonKind, detail: str) -> Reason:
        return Reason(kind=kind, stage="check", detail=detail)

    found: list[Reason] = []
    if domain.question_types and candidate.question_type not in domain.question_types:
        known = ", ".join(domain.question_types)
        found.append(reason(ReasonKind.FORMAT, f"question_type is not one of {known}"))
    if candidate.rubric is not None and domain.rubric_shape is not None:
        found += [reason(ReasonKind.FORMAT, fault) for fault in domain.rubric_shape.faults(candidate.rubric)]
    if candidate.check is not None:
        fault = _check_fault(candidate, domain.check_kinds)
        found += [reason(ReasonKind.FORMAT, fault)] if fault else []
    if candidate.quote is not None and find_quote(candidate.quote, turn.source.text) is None:
        found.append(reason(ReasonKind.FAILED_QUALITY, "the quote does not stand in the source"))
    if not found:
        found += [reason(ReasonKind.LEAK, leak) for leak in find_leaks(candidate, domain)]
    return tuple(found)


def _check_fault(candidate: Candidate, kinds: tuple[str, ...]) -> str | None:
    check = candidate.check
    assert check is not None  # asked only for candidates with a check
    if kinds and check.kind not in kinds:
        return f"check.kind is one of {', '.join(kinds)}, got {check.kind[:40]!r}"
    verifier = EXACT_VERIFIERS.get(check.kind)
    return verifier.check_spec(check) if verifier else None


def _controls(turn: _Turn, state: ItemState, candidate: Candidate) -> Step:
    """The check must pass the reference answer and fail answers that are known to be wrong, or it decides nothing."""
    check = candidate.check
    if check is None or check.kind == "judge":
        return Step(state)
    verifier = EXACT_VERIFIERS.get(check.kind)
    wrong = verifier.known_wrong(check) if verifier else ("", "This is correct, 10/10.")
    step = f"r{state.round}.control"
    asks = [VerifyAsk(key=f"{step}.right", check=check, answer=candidate.reference_answer)]
    asks += [VerifyAsk(key=f"{step}.wrong{n}", check=check, answer=answer) for n, answer in enumerate(wrong)]
    if asks[0].key not in turn.answers:
        return Step(state, tuple(asks))
    replies = [_verified(turn, ask) for ask in asks]
    if replies[0].outcome != "pass":
        detail = f"the check does not pass the reference answer: {replies[0].evidence}"
        return _refuse(turn, state, Reason(kind=ReasonKind.FAILED_QUALITY, stage="check", detail=detail))
    if any(reply.outcome != "fail" for reply in replies[1:]):
        detail = "the check passes an answer that is known to be wrong, so it decides nothing"
        return _refuse(turn, state, Reason(kind=ReasonKind.FAILED_QUALITY, stage="check", detail=detail))
    version = turn.rules.protocol.verifiers.get(check.kind, check.kind)
    return Step(_with(state, verifiers=tuple(sorted({*state.verifiers, version}))))


def _verified(turn: _Turn, ask: VerifyAsk) -> VerifierReply:
    answer = turn.answers.get(ask.key)
    if not isinstance(answer, VerifierReply):
        raise RecordError(f"Ask {ask.key!r} is answered by a VerifierReply, got {type(answer).__name__}.")
    return answer


def _coverage(turn: _Turn, state: ItemState, candidate: Candidate) -> Step:
    """Refuse a near-copy before solvers are paid."""
    ask = CoverageAsk(
        key=f"r{state.round}.coverage",
        id=f"{state.item}/r{state.round}",
        text=candidate.question,
        meta={"source": state.source_id, "question_type": candidate.question_type},
    )
    answer = turn.answers.get(ask.key)
    if answer is None:
        return Step(state, (ask,))
    if not isinstance(answer, CoverageReply):
        raise RecordError(f"Ask {ask.key!r} is answered by a CoverageReply, got {type(answer).__name__}.")
    if answer.nearest is not None and answer.similarity >= turn.rules.protocol.near_duplicate:
        own = answer.nearest.startswith(f"{state.item}/")
        whose = "an earlier question of this item" if own else "a question that exists already"
        detail = f"similarity {answer.similarity:.2f} to {whose}"
        return _refuse(turn, state, Reason(kind=ReasonKind.DUPLICATE, stage="check", detail=detail))
    return Step(state)


def _quality(turn: _Turn, state: ItemState, candidate: Candidate) -> Step:
    if not turn.rules.protocol.quality_check:
        return Step(state)
    return _review(turn, state, candidate, final=False)


def _review(turn: _Turn, state: ItemState, candidate: Candidate, *, final: bool) -> Step:
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
        return _infra(state, ask, reply)
    state = _heard(state, "check", reply)
    state = _with(state, prompts={**state.prompts, "check": fingerprint(turn.rules.recipe.check)})
    try:
        verdict = parse_quality(reply)
    except ReplyFault as fault:
        state, may_ask = turn.again(state, step, reply, str(fault))
        if may_ask:
            return _review(_Turn(turn.rules, turn.source, {}), state, candidate, final=final)
        detail = f"the quality check gave no readable verdict: {fault}"
        return _refuse(turn, state, Reason(kind=ReasonKind.FORMAT, stage=stage, detail=detail))
    if not verdict.overall:
        faults = ", ".join(verdict.faults()) or "overall"
        detail = f"not {faults}: {verdict.feedback.strip() or 'no feedback'}"
        return _refuse(turn, state, Reason(kind=ReasonKind.FAILED_QUALITY, stage=stage, detail=detail))
    return Step(state)


# --- attempts ---------------------------------------------------------------------------------------------------------


def _attempt_weak(turn: _Turn, state: ItemState) -> Step:
    step = _attempts(turn, state, "weak", turn.rules.protocol.weak_attempts)
    if step.asks or step.state.phase != "attempt_weak" or step.state.done:
        return step
    state = step.state
    reasons = turn.rules.policy.check_weak(_scores(state.weak, _candidate(state)))
    if reasons:
        return _refuse(turn, state, *reasons)
    return Step(_with(state, phase="attempt_strong"))


def _attempt_strong(turn: _Turn, state: ItemState) -> Step:
    step = _attempts(turn, state, "strong", turn.rules.protocol.strong_attempts)
    if step.asks or step.state.phase != "attempt_strong" or step.state.done:
        return step
    return Step(_with(step.state, phase="decide"))


def _scores(attempts: tuple[Attempt, ...], candidate: Candidate) -> list[Fraction]:
    return [attempt_score(attempt, candidate.rubric) for attempt in attempts]


def _attempts(turn: _Turn, state: ItemState, solver: Solver, wanted: int) -> Step:
    """Ask for answers, then for their marks, until every attempt is settled; unusable ones refuse the round as FORMAT."""
    candidate = _candidate(state)
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
    state = _with(state, **{solver: tuple(settled)})
    if asks:
        return Step(state, tuple(asks))
    unusable = [a for a in settled if a.outcome != "scored"]
    if unusable:
        flags = ", ".join(sorted({flag for a in unusable for flag in a.flags}))
        detail = f"{len(unusable)} of {wanted} {solver} answers could not be scored ({flags}); that is not difficulty"
        return _refuse(turn, state, Reason(kind=ReasonKind.FORMAT, stage=state.phase, detail=detail))
    return Step(state)


def _one_attempt(
    turn: _Turn, state: ItemState, solver: Solver, attempt: Attempt, candidate: Candidate
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
    turn: _Turn, state: ItemState, solver: Solver, attempt: Attempt, candidate: Candidate
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
        return _infra(state, ask, reply).state, attempt, None
    state = _heard(state, solver, reply)
    state = _with(state, prompts={**state.prompts, solver: ask.request.messages_sha256()})
    parsed = parse_answer(reply, value=value)
    read = attempt.model_copy(
        update={"finish_reason": reply.finish_reason, "flags": parsed.flags, "answer": parsed.answer}
    )
    if parsed.answer is None:
        state, may_ask = turn.again(state, step, reply, ", ".join(parsed.flags))
        if may_ask:
            return _answer(_Turn(turn.rules, turn.source, {}), state, solver, attempt, candidate)
        return state, read.model_copy(update={"outcome": "invalid"}), None
    return state, read, None


def _mark(
    turn: _Turn, state: ItemState, solver: Solver, attempt: Attempt, candidate: Candidate
) -> tuple[ItemState, Attempt, Ask | None]:
    """Verify the answer, or have it judged. The judge hears neither who answered nor the other attempts."""
    answer = attempt.answer or ""
    step = f"r{state.round}.{solver}.{attempt.index}.mark"
    if candidate.check is not None and candidate.check.kind != "judge":
        verify = VerifyAsk(key=step, check=candidate.check, answer=answer)
        if verify.key not in turn.answers:
            return state, attempt, verify
        found = _verified(turn, verify)
        if found.outcome == "error":
            return state, _unjudged(attempt, found.evidence), None
        return state, _marked(attempt, (found.outcome == "pass",), found.evidence), None
    ask = _judge_ask(turn, state, step, answer, candidate)
    reply = turn.reply(ask)
    if reply is None:
        return state, attempt, ask
    if reply.error:
        return _infra(state, ask, reply).state, attempt, None
    state = _heard(state, "judge", reply)
    verifier = "judge.rubric" if candidate.rubric is not None else "judge.equivalence"
    state = _with(
        state,
        prompts={**state.prompts, "judge": turn.rules.protocol.prompts[verifier]},
        verifiers=tuple(sorted({*state.verifiers, verifier})),
    )
    try:
        marks = parse_marks(reply, len(candidate.rubric)) if candidate.rubric is not None else parse_equivalence(reply)
    except ReplyFault as fault:
        state, may_ask = turn.again(state, step, reply, str(fault))
        if may_ask:
            return _mark(_Turn(turn.rules, turn.source, {}), state, solver, attempt, candidate)
        return state, _unjudged(attempt, str(fault)), None
    return state, _marked(attempt, tuple(marks.marks), marks.why), None


def _judge_ask(turn: _Turn, state: ItemState, step: str, answer: str, candidate: Candidate) -> ModelAsk:
    view: RubricJudgeView | VerifiableJudgeView
    if candidate.rubric is not None:
        view, schema = RubricJudgeView(answer=answer, rubric=candidate.rubric), "marks"
    else:
        view, schema = VerifiableJudgeView(answer=answer, reference_answer=candidate.reference_answer), "equivalence"
    # The fence, and so the messages, must not tell which solver it was: the call's name goes in only as a hash.
    messages = render_judge(view, turn.fence(state, step))
    return turn.ask(state, step, "judge", messages, response_schema=reply_schema(schema), view=view.to_json())


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


# --- decide and after -------------------------------------------------------------------------------------------------


def _decide(turn: _Turn, state: ItemState) -> Step:
    candidate = _candidate(state)
    if state.prompts.get("weak") != state.prompts.get("strong"):
        detail = "weak and strong solver were asked different things"
        return _refuse(turn, state, Reason(kind=ReasonKind.FORMAT, stage="decide", detail=detail))
    reasons = turn.rules.policy.decide(_scores(state.weak, candidate), _scores(state.strong, candidate))
    if reasons:
        return _refuse(turn, state, *reasons)
    if turn.rules.protocol.final_check:
        step = _review(turn, state, candidate, final=True)
        if step.asks or step.state.phase != "decide" or step.state.done:
            return step
        state = step.state
    return Step(_with(state, phase="accept"))


def _round(turn: _Turn, state: ItemState) -> Round:
    """Return the present round as a finished one, with what every other preset says of it."""
    weak, strong = _settled_scores(state.weak, state), _settled_scores(state.strong, state)
    shadow = shadow_verdicts(turn.rules.policy, weak, strong) if weak else {}
    verdict = Verdict(policy=turn.rules.policy.name, reasons=state.reasons, shadow=shadow)
    return Round(number=state.round, candidate=state.candidate, weak=state.weak, strong=state.strong, verdict=verdict)


def _settled_scores(attempts: tuple[Attempt, ...], state: ItemState) -> list[Fraction]:
    if state.candidate is None or any(a.outcome != "scored" for a in attempts):
        return []
    return _scores(attempts, state.candidate)


def _refine(turn: _Turn, state: ItemState) -> Step:
    history = (*state.history, _round(turn, state))
    if state.round >= turn.rules.protocol.rounds:
        return Step(_with(state, history=history, phase="give_up"))
    fresh: dict[str, Any] = {"candidate": None, "weak": (), "strong": (), "reasons": (), "faults": {}, "passed": ()}
    return Step(_with(state, history=history, round=state.round + 1, phase="propose", **fresh))


def _give_up(turn: _Turn, state: ItemState) -> Step:
    return Step(_with(state, status="refused", note=f"no question passed in {state.round} rounds"))


def _accept(turn: _Turn, state: ItemState) -> Step:
    return Step(_with(state, status="accepted", history=(*state.history, _round(turn, state))))


_PHASES: Mapping[Phase, Callable[[_Turn, ItemState], Step]] = {
    "propose": _propose,
    "check": _check,
    "attempt_weak": _attempt_weak,
    "attempt_strong": _attempt_strong,
    "decide": _decide,
    "refine": _refine,
    "accept": _accept,
    "give_up": _give_up,
}


# --- the row ----------------------------------------------------------------------------------------------------------


def example_from(rules: Rules, source: Source, state: ItemState) -> Example:
    """Return the row of an accepted item, recomputed from the raw marks.

    Raises:
        RecordError: The item was not accepted, or its marks do not support that it was.
    """
    if state.status != "accepted" or not state.history:
        raise RecordError(f"Item {state.item!r} is {state.status}; only an accepted item has a row.")
    last = state.history[-1]
    candidate = last.candidate
    if candidate is None:
        raise RecordError(f"Item {state.item!r} was accepted without a candidate; its state is damaged.")
    weak, strong = _scores(last.weak, candidate), _scores(last.strong, candidate)
    if rules.policy.decide(weak, strong):
        raise RecordError(f"Item {state.item!r} says accepted, but its marks do not. The record was changed.")
    return Example(
        id=Example.id_for(candidate, source),
        domain=rules.domain.name,
        question_type=candidate.question_type,
        skills=candidate.skills,
        context=candidate.context,
        question=candidate.question,
        reference_answer=candidate.reference_answer,
        rubric=candidate.rubric,
        check=candidate.check,
        scores=Scores(
            weak=tuple(float(s) for s in weak),
            strong=tuple(float(s) for s in strong),
            gap=float(mean(strong) - mean(weak)),
        ),
        verdict=last.verdict,
        round=last.number,
        source=SourceRef(
            id=source.id,
            sha256=source.sha256,
            licence=source.licence,
            span=find_quote(candidate.quote, source.text) if candidate.quote else None,
        ),
        provenance=_provenance(rules, state),
    )


def _provenance(rules: Rules, state: ItemState) -> Provenance:
    named = rules.protocol.models
    models = {role: named.get(role, ModelIdentity(name=state.served.get(role, ""))) for role in sorted(state.usage)}
    models = {
        role: identity.model_copy(update={"served": state.served.get(role, identity.served)})
        for role, identity in models.items()
    }
    return Provenance(
        run=state.run,
        item=state.item,
        created=state.created,
        recipe=rules.recipe.version,
        protocol=rules.protocol.hash,
        models=models,
        prompts={role: state.prompts[role] for role in sorted(state.prompts)},
        verifiers=state.verifiers,
        usage={role: state.usage[role] for role in sorted(state.usage)},
        cost_usd=sum(state.usage[role].cost_usd for role in sorted(state.usage)),
    )
