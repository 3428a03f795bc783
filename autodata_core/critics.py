"""Critics and debate: models that each ask one question of a candidate. What they are told nobody can change in a run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from autodata_core.item import ItemState, Step
from autodata_core.parsing import ReplyFault, parse_critic, reply_schema
from autodata_core.ports import ModelAsk, ModelReply
from autodata_core.prompts import render_critic, render_debate
from autodata_core.records import Candidate, Opinion, Reason, ReasonKind, Source, Statement
from autodata_core.roles import CRITICS
from autodata_core.turn import Turn, changed, heard, refuse, suspend
from autodata_core.views import CriticView, DebateView

__all__ = ["agreement", "ask_critics", "debate"]

_SEE_SOURCE = ("factuality", "safety")
"""The others judge the candidate as its readers will: without the source."""
_SPEECH_CHARS = 2_000
_SPEAKERS: tuple[Literal["advocate", "opponent"], ...] = ("advocate", "opponent")


def agreement(opinions: Mapping[str, Opinion]) -> float | None:
    """Return the share of critics on the majority's side, in [0.5, 1]; None of none."""
    said = [opinion.passed for opinion in opinions.values()]
    return max(sum(said), len(said) - sum(said)) / len(said) if said else None


def ask_critics(turn: Turn, state: ItemState, candidate: Candidate) -> Step:
    """Ask every critic of the protocol at once; a candidate without a quorum is refused with what they said."""
    asks: list[ModelAsk] = []
    for name in turn.rules.protocol.critics:
        if name in state.opinions:
            continue
        ask = _critic_ask(turn, state, candidate, name)
        heard_ = _opinion(turn, state, ask, f"r{state.round}.critic.{name}", name)
        if heard_ is None:
            asks.append(ask)
            continue
        state = heard_.state
        if state.done or state.phase != "check":
            return heard_
        if heard_.asks:  # unreadable: asked again, while what the others said is heard
            asks.append(_critic_ask(turn, state, candidate, name))
    if asks:
        return Step(state, tuple(asks))
    against = {name: o for name, o in state.opinions.items() if not o.passed}
    most = len(state.opinions) if turn.rules.protocol.quorum == "all" else len(state.opinions) // 2 + 1
    if len(state.opinions) - len(against) >= most:
        return Step(state)
    detail = "; ".join(f"{name}: {o.why.strip() or 'no reason given'}" for name, o in against.items())
    kind = ReasonKind.UNSAFE if set(against) == {"safety"} else ReasonKind.FAILED_QUALITY
    return refuse(state, Reason(kind=kind, stage="check", detail=f"critics refuse it ({detail})"))


def _critic_ask(turn: Turn, state: ItemState, candidate: Candidate, name: str) -> ModelAsk:
    step = f"r{state.round}.critic.{name}"
    view = _view(turn.source, candidate, see_source=name in _SEE_SOURCE)
    messages = render_critic(name, view, turn.rules.protocol.safety.negative_list, turn.fence(state, step))
    return turn.ask(state, step, CRITICS[name], messages, response_schema=reply_schema("critic"), view=view.to_json())


def _view(source: Source, candidate: Candidate, *, see_source: bool) -> CriticView:
    return CriticView(
        source_text=source.text if see_source else None,
        context=candidate.context,
        question=candidate.question,
        reference_answer=candidate.reference_answer,
        rubric=candidate.rubric,
    )


def _opinion(turn: Turn, state: ItemState, ask: ModelAsk, step: str, name: str) -> Step | None:
    """Take one verdict into the state. None when it was not heard yet; asks in the step when it must be asked again."""
    reply = turn.reply(ask)
    if reply is None:
        return None
    if reply.error:
        return suspend(state, ask, reply)
    role = ask.request.role
    state = heard(state, role, reply)
    key = f"debate.{name}" if name == "arbiter" else f"critic.{name}"
    state = changed(state, prompts={**state.prompts, role: turn.rules.protocol.prompts[key]})
    try:
        verdict = parse_critic(reply)
    except ReplyFault as fault:
        state, may_ask = turn.again(state, step, reply, str(fault))
        if may_ask:
            return Step(state, (ask,))
        detail = f"{name} gave no readable verdict: {fault}"
        return refuse(state, Reason(kind=ReasonKind.FORMAT, stage=state.phase, detail=detail))
    opinion = Opinion(passed=verdict.passed, why=verdict.why[:500])
    return Step(changed(state, opinions={**state.opinions, name: opinion}))


def debate(turn: Turn, state: ItemState, candidate: Candidate) -> Step:
    """Let advocate and opponent speak in turn, then the arbiter decide. Nobody hears more than was said before."""
    wanted = turn.rules.protocol.debate_rounds
    while len(state.debate) < 2 * wanted:
        speaker = _SPEAKERS[len(state.debate) % 2]
        step = f"r{state.round}.debate.{len(state.debate)}"
        view = _debate_view(turn, state, candidate)
        messages = render_debate(speaker, view, turn.fence(state, step))
        ask = turn.ask(state, step, speaker, messages, view=view.to_json())
        reply = turn.reply(ask)
        if reply is None:
            return Step(state, (ask,))
        if reply.error:
            return suspend(state, ask, reply)
        state = heard(state, speaker, reply)
        state = changed(
            state,
            prompts={**state.prompts, speaker: turn.rules.protocol.prompts[f"debate.{speaker}"]},
            debate=(*state.debate, Statement(speaker=speaker, text=_speech(reply))),
        )
    step = f"r{state.round}.debate.arbiter"
    view = _debate_view(turn, state, candidate)
    messages = render_debate("arbiter", view, turn.fence(state, step))
    ask = turn.ask(state, step, "arbiter", messages, response_schema=reply_schema("critic"), view=view.to_json())
    found = _opinion(turn, state, ask, step, "arbiter")
    if found is None:
        return Step(state, (ask,))
    if found.asks:
        return debate(turn.unheard(), found.state, candidate)
    if found.state.done or found.state.phase != "decide":
        return found
    verdict = found.state.opinions["arbiter"]
    if verdict.passed:
        return found
    detail = f"the arbiter refuses it after the debate: {verdict.why.strip() or 'no reason given'}"
    return refuse(found.state, Reason(kind=ReasonKind.FAILED_QUALITY, stage="debate", detail=detail))


def _debate_view(turn: Turn, state: ItemState, candidate: Candidate) -> DebateView:
    return DebateView(**_view(turn.source, candidate, see_source=True).model_dump(), said=state.debate)


def _speech(reply: ModelReply) -> str:
    """Return what a speaker said, cut to its time and without half characters; silence is an argument for nobody."""
    text = reply.text[:_SPEECH_CHARS].replace("\0", " ").encode("utf-8", "replace").decode("utf-8")
    return text.strip() or "(says nothing)"
