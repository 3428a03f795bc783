"""Gates: what can refuse a candidate by rule alone, before any model or verifier is asked. Each says what it found.

Gates that ask a model are in `screening`; what a solver scored is judged in `acceptance`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from autodata_core.citations import find_quote
from autodata_core.lazily import lazy
from autodata_core.leaks import find_leaks
from autodata_core.recipe import Rules
from autodata_core.records import Candidate, Reason, ReasonKind, Source
from autodata_core.rubrics import rubric_faults
from autodata_core.safety import SafetyRules, find_instructions, neutralise, screen_texts
from autodata_core.verify import fold_text, numbers_in

__all__ = ["GATES", "Gate", "admitted", "check_kinds", "refusals"]


@dataclass(frozen=True)
class Gate:
    """One rule that every candidate passes or not."""

    name: str
    kind: ReasonKind
    find: Callable[[Candidate, Source, Rules], tuple[str, ...]]
    """Return what is wrong, one sentence each; empty when nothing is."""
    silent: Callable[[Candidate], str] = lambda candidate: ""
    """Return why the gate has nothing to say of a candidate; empty when it has."""
    needs_source: bool = False
    """Whether it compares with the source."""


def refusals(candidate: Candidate, source: Source, rules: Rules) -> tuple[Reason, ...]:
    """Return why rules refuse a candidate, gate by gate; a leak is looked for only in one that is otherwise in form."""
    found: list[Reason] = []
    for gate in GATES:
        if found and gate.kind is ReasonKind.LEAK:
            continue
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
            found.append(f"check.kind is one of {', '.join(kinds)}")
        if any(_UNFIT & set(find_instructions(text)) for text in _strings(candidate.check.spec)):
            found.append("check.spec holds marks of a chat template or characters that nobody sees")
        if candidate.check.kind == "text":
            found += _contradictions(candidate.check.spec.get("accepted"))
    return tuple(found)


_UNFIT = {"role_tokens", "hidden_characters"}


def _strings(value: Any) -> Iterator[str]:
    """Yield every text in a spec, keys included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield key
            yield from _strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _strings(inner)


_OPPOSITES = (frozenset({"yes", "no"}), frozenset({"true", "false"}))


def _contradictions(accepted: Any) -> list[str]:
    """Return why a list of accepted answers cannot be right: two of them differ in a number alone, or are yes and no."""
    texts = [fold_text(text) for text in accepted if isinstance(text, str)] if isinstance(accepted, list) else []
    if any(pair <= set(texts) for pair in _OPPOSITES):
        return ["two of the accepted answers exclude each other"]
    numbers: dict[str, set[Fraction]] = {}
    for text in texts[:_ACCEPTED_READ]:
        stated = set(numbers_in(text))
        around = " ".join(_DIGITS.sub(" ", text).split())
        if stated and numbers.setdefault(around, stated) != stated:
            return ["two of the accepted answers differ in their numbers alone, so one of them is wrong"]
    return []


_DIGITS = lazy(r"[-+]?[\d.,/]*\d")
_ACCEPTED_READ = 20


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


def _safety(candidate: Candidate, source: Source, rules: Rules) -> tuple[str, ...]:
    return screen_texts(_texts(candidate), rules.protocol.safety).reasons


def _texts(candidate: Candidate) -> dict[str, str]:
    texts = {name: getattr(candidate, name) for name in ("context", "question", "reference_answer", "question_type")}
    texts |= {f"skill {n}": skill for n, skill in enumerate(candidate.skills, start=1)}
    return texts | {f"criterion {n}": c.criterion for n, c in enumerate(candidate.rubric or (), start=1)}


def admitted(candidate: Candidate, safety: SafetyRules) -> tuple[Candidate, tuple[str, ...]]:
    """Return the candidate as it may be asked and kept, with flags for what was odd about it.

    Personal data is masked where the rules say so; chat role tokens are broken up and hidden characters shown, so that
    neither a solver nor a reader of the data set takes them for more than text.
    """
    found = screen_texts(_texts(candidate), safety)
    texts = {name: neutralise(text) for name, text in found.texts.items()}
    changes: dict[str, Any] = {name: texts[name] for name in ("context", "question", "reference_answer")}
    # A name is one line, wherever it is shown.
    changes["question_type"] = " ".join(texts["question_type"].split())
    changes["skills"] = tuple(" ".join(texts[f"skill {n}"].split()) for n in range(1, len(candidate.skills) + 1))
    if candidate.rubric is not None:
        changes["rubric"] = tuple(
            c.model_copy(update={"criterion": texts[f"criterion {n}"]}) for n, c in enumerate(candidate.rubric, start=1)
        )
    return candidate.model_copy(update=changes), found.flags


GATES: tuple[Gate, ...] = (
    Gate("form", ReasonKind.FORMAT, _form),
    Gate("rubric", ReasonKind.FAILED_QUALITY, _rubric, silent=lambda c: "" if c.rubric else "the row has no rubric"),
    Gate(
        "quote",
        ReasonKind.FAILED_QUALITY,
        _quote,
        silent=lambda c: "the row quotes nothing" if c.quote is None else "",
        needs_source=True,
    ),
    Gate("leak", ReasonKind.LEAK, _leak),
    Gate("safety", ReasonKind.UNSAFE, _safety),
)
"""In the order in which they are tried."""
