"""What the gates that ask a model say of a row: the quality check and the critics, asked as in the loop."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce

from autodata_core.audit.opinions import as_measured, source_of, why_silent
from autodata_core.audit.rows import QUALITY, UNREAD, AuditRow, GateOpinion
from autodata_core.critics import ask_critics
from autodata_core.driver import Ports, answer_all
from autodata_core.errors import RecordError
from autodata_core.gates import admitted
from autodata_core.item import ItemState, Step, start
from autodata_core.recipe import EvaluationProtocol, Rules
from autodata_core.records import Candidate, Usage
from autodata_core.roles import CRITICS
from autodata_core.screening import review
from autodata_core.sourcing import readable, screened
from autodata_core.turn import Turn, changed

__all__ = ["ask_reviewer", "reviewers"]

_Ask = Callable[[Turn, ItemState], Step]


def reviewers(rules: Rules) -> tuple[str, ...]:
    """Return the names of the gates that ask a model under a recipe: the quality check and each critic."""
    return (*((QUALITY,) if rules.protocol.quality_check else ()), *(f"critic.{n}" for n in rules.protocol.critics))


def ask_reviewer(name: str, row: AuditRow, rules: Rules, ports: Ports, fence_key: str) -> GateOpinion:
    """Return what one of `reviewers` says of a row, asked as in the loop, with its re-ask of an unreadable verdict.

    Args:
        name: `quality`, or `critic.` and the name of a critic.
        row: The row; every reviewer is asked about it, whatever the rules said.
        rules: The recipe's.
        ports: The models.
        fence_key: Secret for the marks around untrusted text; at least 16 characters.
    """
    if row.candidate is None:
        return GateOpinion(name, None, UNREAD)
    candidate = as_measured(row.candidate, rules)
    why = why_silent(name, candidate, row)
    if why:
        return GateOpinion(name, None, why)
    if row.source is not None and screened(row.source, rules).source is None:
        return GateOpinion(name, None, "no model may read its source")
    candidate, _ = admitted(candidate, rules.protocol.safety)
    source = readable(source_of(row), rules)
    opened = start(source, item=f"row-{row.line}", run="audit", fence_key=fence_key)
    ask, alone = _asking(name, candidate, rules)
    state = _answered(ask, Turn(alone, source, {}), changed(opened, phase="check", candidate=candidate), ports)
    usage = reduce(Usage.plus, state.usage.values(), Usage())
    if state.done:
        return GateOpinion(name, None, state.note, usage)
    if state.phase == "refine":
        return GateOpinion(name, False, "; ".join(reason.detail for reason in state.reasons), usage)
    return GateOpinion(name, True, usage=usage)


def _asking(name: str, candidate: Candidate, rules: Rules) -> tuple[_Ask, Rules]:
    """Return how a reviewer is asked, and the rules under which nobody else is."""
    if name == QUALITY:
        return lambda turn, state: review(turn, state, candidate, final=False), rules
    critic = name.removeprefix("critic.")
    if critic not in CRITICS:
        raise RecordError(f"There is no critic {critic!r}. Critics are {', '.join(CRITICS)}.")
    protocol = EvaluationProtocol.from_json({**rules.protocol.to_json(), "critics": [critic], "quorum": "all"})
    return lambda turn, state: ask_critics(turn, state, candidate), Rules(rules.recipe, protocol)


def _answered(ask: _Ask, turn: Turn, state: ItemState, ports: Ports) -> ItemState:
    """Return the state once nothing more is asked."""
    step = ask(turn, state)
    while step.asks:
        step = ask(Turn(turn.rules, turn.source, answer_all(ports, step.asks)), step.state)
    return step.state
