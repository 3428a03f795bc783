"""Gates: what can refuse a candidate by rule alone, before any model or verifier is asked. Each says what it found.

Gates that ask a model are in `screening`; what a solver scored is judged in `acceptance`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from autodata_core.citations import find_quote
from autodata_core.leaks import find_leaks
from autodata_core.recipe import Rules
from autodata_core.records import Candidate, Reason, ReasonKind, Source
from autodata_core.rubrics import rubric_faults

__all__ = ["GATES", "Gate", "check_kinds", "refusals"]


@dataclass(frozen=True)
class Gate:
    """One rule that every candidate passes or not."""

    name: str
    kind: ReasonKind
    find: Callable[[Candidate, Source, Rules], tuple[str, ...]]
    """Return what is wrong, one sentence each; empty when nothing is."""


def refusals(candidate: Candidate, source: Source, rules: Rules) -> tuple[Reason, ...]:
    """Return why rules refuse a candidate: everything that the first gate with a fault found, and those of its rank."""
    found: list[Reason] = []
    for gate in GATES:
        if found and gate.kind not in (ReasonKind.FORMAT, ReasonKind.FAILED_QUALITY):
            break  # a leak is looked for in what can be read
        found += [Reason(kind=gate.kind, stage="check", detail=fault) for fault in gate.find(candidate, source, rules)]
    return tuple(found)


def _form(candidate: Candidate, source: Source, rules: Rules) -> tuple[str, ...]:
    domain = rules.domain
    found = []
    if domain.question_types and candidate.question_type not in domain.question_types:
        found.append(f"question_type is not one of {', '.join(domain.question_types)}")
    if candidate.rubric is not None and domain.rubric_shape is not None:
        found += domain.rubric_shape.faults(candidate.rubric)
    if candidate.check is not None:
        kinds = check_kinds(rules)
        if candidate.check.kind not in kinds:
            found.append(f"check.kind is one of {', '.join(kinds)}, got {candidate.check.kind[:40]!r}")
    return tuple(found)


def check_kinds(rules: Rules) -> tuple[str, ...]:
    """Return the check kinds of the domain that somebody can answer for in this run."""
    named = rules.protocol.models
    known = {*rules.protocol.verifiers, *(("judge",) if not named or "judge" in named else ())}
    return tuple(kind for kind in rules.domain.check_kinds if kind in known)


def _rubric(candidate: Candidate, source: Source, rules: Rules) -> tuple[str, ...]:
    return rubric_faults(candidate.rubric or ())


def _quote(candidate: Candidate, source: Source, rules: Rules) -> tuple[str, ...]:
    if candidate.quote is not None and find_quote(candidate.quote, source.text) is None:
        return ("the quote does not stand in the source",)
    return ()


def _leak(candidate: Candidate, source: Source, rules: Rules) -> tuple[str, ...]:
    return find_leaks(candidate, rules.domain)


GATES: tuple[Gate, ...] = (
    Gate("form", ReasonKind.FORMAT, _form),
    Gate("rubric", ReasonKind.FAILED_QUALITY, _rubric),
    Gate("quote", ReasonKind.FAILED_QUALITY, _quote),
    Gate("leak", ReasonKind.LEAK, _leak),
)
"""In the order in which they are tried."""
