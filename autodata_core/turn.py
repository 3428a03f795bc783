"""One turn of the machine: how a phase asks, and hears what came back. Shared by all phases; decides nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from autodata_core.acceptance import shadow_verdicts
from autodata_core.domains import Domain
from autodata_core.errors import RecordError
from autodata_core.item import Fault, ItemState, Step
from autodata_core.ports import Answer, ModelAsk, ModelReply, ModelRequest, VerifierReply, VerifyAsk
from autodata_core.prompts import Fence, again
from autodata_core.recipe import Rules
from autodata_core.records import Attempt, Candidate, Message, Reason, Role, Round, Source, Usage, Verdict, fingerprint
from autodata_core.scoring import attempt_score

__all__ = ["Turn", "candidate_of", "changed", "finished_round", "heard", "refuse", "scores_of", "suspend"]


@dataclass(frozen=True)
class Turn:
    """What does not change within one call of `advance`."""

    rules: Rules
    source: Source
    answers: Mapping[str, Answer]

    @property
    def domain(self) -> Domain:
        return self.rules.domain

    # --- asking ---

    def ask(
        self,
        state: ItemState,
        step: str,
        role: Role,
        messages: tuple[Message, ...],
        *,
        shown_as: str | None = None,
        **more: Any,
    ) -> ModelAsk:
        """Return the ask for a step; after an unreadable reply it quotes the fault, and it has a seed of its own.

        Args:
            state: Knows what came before.
            step: Name of the ask within the item.
            role: Who is asked.
            messages: What is sent.
            shown_as: The name that the model sees, where the step's own would tell too much.
            more: Other fields of the request.
        """
        faults = state.faults.get(step, ())
        key = f"{step}.again{len(faults)}" if faults else step
        if faults and role not in ("weak", "strong"):  # solvers are asked the same, byte for byte
            messages = again(messages, faults[-1].reply, faults[-1].fault)
        seed = int(fingerprint([self.rules.protocol.seed, state.item, key])[:8], 16) % 2**31
        shown = key if shown_as is None else shown_as + key.removeprefix(step)
        request = ModelRequest(
            role=role, item=state.item, round=state.round, step=shown, messages=messages, seed=seed, **more
        )
        return ModelAsk(key=key, request=request)

    def fence(self, state: ItemState, step: str) -> Fence:
        """Return the fence of this call; a re-ask is another call and has a code of its own."""
        return Fence(state.fence_key, f"{state.item}/{step}.{len(state.faults.get(step, ()))}")

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
        return changed(state, faults={**state.faults, step: noted}), True

    def unheard(self) -> Turn:
        """Return the turn without answers, to hear the asks that come next."""
        return Turn(self.rules, self.source, {})

    def verified(self, ask: VerifyAsk) -> VerifierReply:
        answer = self.answers.get(ask.key)
        if not isinstance(answer, VerifierReply):
            raise RecordError(f"Ask {ask.key!r} is answered by a VerifierReply, got {type(answer).__name__}.")
        return answer


def changed(state: ItemState, **changes: Any) -> ItemState:
    """Return the state with these fields changed."""
    return state.model_copy(update=changes)


def heard(state: ItemState, role: Role, reply: ModelReply) -> ItemState:
    """Add a reply's usage, served model and time to the state."""
    usage = {**state.usage, role: state.usage.get(role, Usage()).plus(reply.usage)}
    served = {**state.served, role: reply.served} if reply.served else state.served
    return changed(state, usage=usage, served=served, created=max(state.created, reply.created))


def suspend(state: ItemState, ask: ModelAsk, reply: ModelReply) -> Step:
    """Suspend the item: no answer is not a bad answer, and no round is used up.

    Where the same request can never be answered (too long, filtered, refused as malformed) the item is given up instead.
    """
    final = (reply.error or "").partition(":")[0] in ("bad_request", "context_length", "content_filter", "empty")
    status = "refused" if final else "infra"
    return Step(changed(state, status=status, note=f"{ask.request.role} gave no answer: {reply.error}"))


def refuse(state: ItemState, *reasons: Reason) -> Step:
    """End the round with these reasons."""
    return Step(changed(state, phase="refine", reasons=reasons, passed=()))


def candidate_of(state: ItemState) -> Candidate:
    """Return the present candidate.

    Raises:
        RecordError: There is none in a phase that has one.
    """
    if state.candidate is None:
        raise RecordError(f"Item {state.item!r} is in phase {state.phase!r} without a candidate; its state is damaged.")
    return state.candidate


def scores_of(attempts: tuple[Attempt, ...], candidate: Candidate) -> list[Fraction]:
    """Return exact scores in attempt order; every attempt must be scored."""
    return [attempt_score(attempt, candidate.rubric) for attempt in attempts]


def finished_round(turn: Turn, state: ItemState) -> Round:
    """Return the present round as a finished one, with what every other preset says of it."""
    weak, strong = _settled_scores(state.weak, state), _settled_scores(state.strong, state)
    shadow = shadow_verdicts(turn.rules.policy, weak, strong) if weak else {}
    verdict = Verdict(policy=turn.rules.policy.name, reasons=state.reasons, shadow=shadow)
    return Round(
        number=state.round,
        candidate=state.candidate,
        weak=state.weak,
        strong=state.strong,
        opinions=state.opinions,
        debate=state.debate,
        controls=state.controls,
        verdict=verdict,
    )


def _settled_scores(attempts: tuple[Attempt, ...], state: ItemState) -> list[Fraction]:
    if state.candidate is None or any(a.outcome != "scored" for a in attempts):
        return []
    return scores_of(attempts, state.candidate)
