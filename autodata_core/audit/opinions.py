"""What the gates that ask no model say of a row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from autodata_core.audit.rows import (
    CONTROL,
    DUPLICATE,
    QUALITY,
    RECORD,
    SOURCE,
    UNREAD,
    AuditRow,
    GateOpinion,
    RowOpinions,
)
from autodata_core.driver import Ports
from autodata_core.errors import shorten
from autodata_core.gates import GATES, Gate, admitted, check_kinds
from autodata_core.ports import CoverageAsk, CoverageMap, Verifier
from autodata_core.recipe import Rules
from autodata_core.records import Candidate, Check, Source
from autodata_core.screening import fact_of
from autodata_core.sourcing import screened
from autodata_core.verify import control

__all__ = ["as_measured", "gate_names", "judge_row", "source_of", "why_silent"]

_NEEDS_SOURCE = frozenset({SOURCE, QUALITY, "critic.factuality"}) | {gate.name for gate in GATES if gate.needs_source}
"""Gates that compare with the source; without one they say nothing."""
_SILENT = {gate.name: gate.silent for gate in GATES}
_CONTROL_FAULTS = {
    "spec": "the check cannot be read",
    "reference": "the check does not pass the reference answer",
    "vacuous": "the check passes a wrong answer",
}


def gate_names(reviewers: Sequence[str] = ()) -> tuple[str, ...]:
    """Return the names of all gates of an audit, in the order in which they are told."""
    return (RECORD, SOURCE, *(gate.name for gate in GATES), CONTROL, DUPLICATE, *reviewers)


def judge_row(row: AuditRow, rules: Rules, ports: Ports) -> RowOpinions:
    """Return what every gate that asks no model says of a row.

    Args:
        row: The row; those before it are claimed in `ports.coverage` already, for the first of two copies is the one kept.
        rules: The same that the loop goes by.
        ports: Coverage map and verifiers.
    """
    if row.candidate is None:
        unread = [GateOpinion(name, None, UNREAD) for name in gate_names()[1:]]
        return RowOpinions(row, (GateOpinion(RECORD, False, row.fault), *unread))
    candidate = as_measured(row.candidate, rules)
    said = [GateOpinion(RECORD, True), _source(candidate, row, rules)]
    said += [_by_rule(gate, candidate, row, rules) for gate in GATES]
    said.append(_control(candidate, row, ports.verifiers))
    said.append(_duplicate(candidate, row, rules, ports.coverage))
    _, flags = admitted(candidate, rules.protocol.safety)
    return RowOpinions(row, tuple(said), flags)


def as_measured(candidate: Candidate, rules: Rules) -> Candidate:
    """Return the candidate as the filter would see it: an answer without rubric or check is compared by a judge."""
    if candidate.rubric is None and candidate.check is None and "judge" in check_kinds(rules):
        return candidate.model_copy(update={"check": Check(kind="judge")})
    return candidate


def source_of(row: AuditRow) -> Source:
    """Return the row's source, or one without text: gates that need a text are not asked then."""
    return row.source or Source.model_construct(id="none", text="", sha256="0" * 64, licence=None, meta={})


def why_silent(gate: str, candidate: Candidate, row: AuditRow) -> str:
    """Return why a gate has nothing to say of a row; empty when it has."""
    silent = _SILENT[gate](candidate) if gate in _SILENT else ""
    if silent:
        return silent
    return row.no_source if gate in _NEEDS_SOURCE and row.source is None else ""


def _source(candidate: Candidate, row: AuditRow, rules: Rules) -> GateOpinion:
    why = why_silent(SOURCE, candidate, row)
    if why:
        return GateOpinion(SOURCE, None, why)
    found = screened(source_of(row), rules)
    return GateOpinion(SOURCE, found.source is not None, found.reason)


def _by_rule(gate: Gate, candidate: Candidate, row: AuditRow, rules: Rules) -> GateOpinion:
    why = why_silent(gate.name, candidate, row)
    if why:
        return GateOpinion(gate.name, None, why)
    found = gate.find(candidate, source_of(row), rules)
    return GateOpinion(gate.name, not found, "; ".join(found))


def _control(candidate: Candidate, row: AuditRow, verifiers: Mapping[str, Verifier]) -> GateOpinion:
    check = candidate.check
    if check is None or check.kind == "judge":
        return GateOpinion(CONTROL, None, "the row has no check that can be run")
    verifier = verifiers.get(check.kind)
    if verifier is None:
        return GateOpinion(CONTROL, None, f"no verifier for {shorten(check.kind, 40)} is installed")
    reply = control(verifier, check, candidate.reference_answer, source_of(row).text)
    if reply.fault == "error":
        return GateOpinion(CONTROL, None, f"the check could not be run: {reply.evidence}")
    if reply.fault:
        return GateOpinion(CONTROL, False, f"{_CONTROL_FAULTS[reply.fault]}: {reply.evidence}")
    return GateOpinion(CONTROL, True, f"{reply.controls} known-wrong answers fail")


def _duplicate(candidate: Candidate, row: AuditRow, rules: Rules, coverage: CoverageMap) -> GateOpinion:
    meta = {"source": row.source.id if row.source else "", "question_type": candidate.question_type}
    if row.source or candidate.context.strip():  # else every answer "12" would ask for the same
        meta |= fact_of(source_of(row).sha256, candidate)
    reply = coverage.claim(CoverageAsk(DUPLICATE, f"line {row.line}", candidate.question, meta))
    if reply.nearest is None or reply.similarity < rules.protocol.near_duplicate:
        return GateOpinion(DUPLICATE, True)
    return GateOpinion(DUPLICATE, False, f"similarity {reply.similarity:.2f} to {reply.nearest}")
