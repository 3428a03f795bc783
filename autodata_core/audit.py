"""Runs every gate on every row of a data set that exists, each on its own, and says how far they agree with known labels.

In the loop the first gate that refuses ends a round; here each is asked, so that each has figures of its own. Reading
files is in the adapters, what agreement means is in `agreement`.
"""

from __future__ import annotations

import difflib
import hashlib
import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from autodata_core.agreement import BAR, Confusion, GateFigures, Standing, WeightedShare, standing, weighted_share
from autodata_core.critics import ask_critics
from autodata_core.domains import DOMAINS, Domain, RubricShape
from autodata_core.driver import Ports, answer_all
from autodata_core.errors import RecordError, shorten
from autodata_core.gates import GATES, Gate, admitted, check_kinds
from autodata_core.item import ItemState, Step, start
from autodata_core.ports import CoverageAsk, CoverageMap, Verifier
from autodata_core.recipe import EvaluationProtocol, Recipe, Rules
from autodata_core.records import Candidate, Check, Source, Usage
from autodata_core.roles import CRITICS
from autodata_core.screening import fact_of, review
from autodata_core.sourcing import readable, screened
from autodata_core.turn import Turn, changed
from autodata_core.verify import EXACT_VERIFIERS, control

__all__ = [
    "UNNAMED",
    "AuditReport",
    "AuditRow",
    "AuditRules",
    "Drawn",
    "FaultFigures",
    "GateOpinion",
    "GoldFigures",
    "GoldLine",
    "Label",
    "RowOpinions",
    "ask_reviewer",
    "audit_rules",
    "draw_sample",
    "gate_names",
    "judge_row",
    "match_gold",
    "read_gold_line",
    "report",
    "reviewers",
]

RECORD, SOURCE, CONTROL, DUPLICATE, QUALITY = "record", "source", "control", "duplicate", "quality"
"""Gates beside those in `gates.GATES`: the line can be read, its source may be read, its check can decide, its question is
new, and the quality check agrees."""

UNNAMED = "not named"
"""Stands for the fault of a row that is only labelled as faulty."""

_NEEDS_SOURCE = frozenset({SOURCE, QUALITY, "critic.factuality"}) | {gate.name for gate in GATES if gate.needs_source}
"""Gates that compare with the source; without one they say nothing."""
_SILENT = {gate.name: gate.silent for gate in GATES}


# --- rows and what gates say of them ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class AuditRow:
    """One line of a data set, read or not."""

    line: int
    """From 1."""
    id: str
    candidate: Candidate | None
    """None when the line cannot be read as a row; `fault` says why."""
    source: Source | None = None
    fault: str = ""
    no_source: str = "no source was given"
    """Why there is no source, where there is none."""
    domain: str = ""
    """As the row names it."""


@dataclass(frozen=True)
class GateOpinion:
    """What one gate says of one row."""

    gate: str
    passed: bool | None
    """None when it could not tell; `detail` says why."""
    detail: str = ""
    usage: Usage = field(default_factory=Usage)


@dataclass(frozen=True)
class RowOpinions:
    """Everything that was said of a row. It is refused when any gate refuses it."""

    row: AuditRow
    opinions: tuple[GateOpinion, ...]
    flags: tuple[str, ...] = ()
    """What is odd about it and refuses nothing, such as `instructions`: the loop keeps it on the row."""

    @property
    def refused(self) -> bool:
        return any(opinion.passed is False for opinion in self.opinions)

    @property
    def refusals(self) -> tuple[GateOpinion, ...]:
        return tuple(opinion for opinion in self.opinions if opinion.passed is False)

    def plus(self, opinions: Iterable[GateOpinion]) -> RowOpinions:
        return RowOpinions(self.row, (*self.opinions, *opinions), self.flags)

    def of(self, gate: str) -> GateOpinion | None:
        return next((opinion for opinion in self.opinions if opinion.gate == gate), None)


# --- rules for rows that no recipe made -------------------------------------------------------------------------------


@dataclass(frozen=True)
class AuditRules:
    """Which rules a row is measured by: the recipe's, or those of its form."""

    recipe: Rules | None
    rubric: Rules
    check: Rules
    by_domain: Mapping[str, Rules] = field(default_factory=dict)

    def of(self, row: AuditRow) -> Rules:
        has_rubric = row.candidate is not None and row.candidate.rubric is not None
        if self.recipe is not None and has_rubric == (self.recipe.domain.scoring == "rubric"):
            return self.recipe
        if self.recipe is None and row.domain in self.by_domain:
            return self.by_domain[row.domain]
        return self.rubric if has_rubric else self.check


def audit_rules(recipe: Rules | None = None, verifiers: Mapping[str, Verifier] = EXACT_VERIFIERS) -> AuditRules:
    """Return the rules of an audit.

    Args:
        recipe: Measures every row of its form (rubric or check) where it is given; the others get its safety rules too.
            Without one a row that names a built-in domain is measured by that, and any other by rules that fit its
            form: a rubric of 1 to 40 criteria, or any check that is installed.
        verifiers: By kind.
    """
    own_rubric = Domain(
        name="any_rubric",
        scoring="rubric",
        rubric_shape=RubricShape(positive=(1, 40), negative=(0, 39), total=(1, 40), max_weight=100),
        answer_format="text",
        policy="deployed_c1",
    )
    own_check = Domain(
        name="any_check",
        scoring="check",
        check_kinds=(*sorted(verifiers), "judge"),
        answer_format="value",
        context_may_hold_answer=True,
        policy="exact_counts",
    )
    by_domain = {name: _unasked(domain, verifiers, recipe) for name, domain in DOMAINS.items()}
    return AuditRules(
        recipe, _unasked(own_rubric, verifiers, recipe), _unasked(own_check, verifiers, recipe), by_domain
    )


def _unasked(domain: Domain, verifiers: Mapping[str, Verifier], recipe: Rules | None) -> Rules:
    """Return rules under which no model is asked."""
    protocol = EvaluationProtocol.create(domain, quality_check=False, final_check=False).with_verifiers(verifiers)
    if recipe is not None:
        same = {key: recipe.protocol.to_json()[key] for key in ("safety", "near_duplicate")}
        protocol = EvaluationProtocol.from_json({**protocol.to_json(), **same})
    return Rules(Recipe.for_domain(domain, challenger="Nobody is asked.", check="Nobody is asked."), protocol)


# --- one row ----------------------------------------------------------------------------------------------------------


def gate_names(reviewers: Sequence[str] = ()) -> tuple[str, ...]:
    """Return the names of all gates of an audit, in the order in which they are told."""
    return (RECORD, SOURCE, *(gate.name for gate in GATES), CONTROL, DUPLICATE, *reviewers)


def reviewers(rules: Rules) -> tuple[str, ...]:
    """Return the names of the gates that ask a model under a recipe: the quality check and each critic."""
    return (*((QUALITY,) if rules.protocol.quality_check else ()), *(f"critic.{n}" for n in rules.protocol.critics))


def judge_row(row: AuditRow, rules: Rules, ports: Ports) -> RowOpinions:
    """Return what every gate that asks no model says of a row.

    Args:
        row: The row; those before it are claimed in `ports.coverage` already, for the first of two copies is the one kept.
        rules: The same that the loop goes by.
        ports: Coverage map and verifiers.
    """
    if row.candidate is None:
        unread = [GateOpinion(name, None, _UNREAD) for name in gate_names()[1:]]
        return RowOpinions(row, (GateOpinion(RECORD, False, row.fault), *unread))
    candidate = _to_measure(row.candidate, rules)
    said = [GateOpinion(RECORD, True), _source(candidate, row, rules)]
    said += [_by_rule(gate, candidate, row, rules) for gate in GATES]
    said.append(_control(candidate, row, ports.verifiers))
    said.append(_duplicate(candidate, row, rules, ports.coverage))
    _, flags = admitted(candidate, rules.protocol.safety)
    return RowOpinions(row, tuple(said), flags)


_UNREAD = "the line cannot be read"


def _to_measure(candidate: Candidate, rules: Rules) -> Candidate:
    """Return the candidate as the filter would see it: an answer without rubric or check is compared by a judge."""
    if candidate.rubric is None and candidate.check is None and "judge" in check_kinds(rules):
        return candidate.model_copy(update={"check": Check(kind="judge")})
    return candidate


def _source_of(row: AuditRow) -> Source:
    """Return the row's source, or one without text: gates that need a text are not asked then."""
    return row.source or Source.model_construct(id="none", text="", sha256="0" * 64, licence=None, meta={})


def _source(candidate: Candidate, row: AuditRow, rules: Rules) -> GateOpinion:
    why = _not_for(SOURCE, candidate, row)
    if why:
        return GateOpinion(SOURCE, None, why)
    found = screened(_source_of(row), rules)
    return GateOpinion(SOURCE, found.source is not None, found.reason)


def _by_rule(gate: Gate, candidate: Candidate, row: AuditRow, rules: Rules) -> GateOpinion:
    why = _not_for(gate.name, candidate, row)
    if why:
        return GateOpinion(gate.name, None, why)
    found = gate.find(candidate, _source_of(row), rules)
    return GateOpinion(gate.name, not found, "; ".join(found))


def _not_for(gate: str, candidate: Candidate, row: AuditRow) -> str:
    """Return why a gate has nothing to say of a row; empty when it has."""
    silent = _SILENT[gate](candidate) if gate in _SILENT else ""
    if silent:
        return silent
    return row.no_source if gate in _NEEDS_SOURCE and row.source is None else ""


_CONTROL_FAULTS = {
    "spec": "the check cannot be read",
    "reference": "the check does not pass the reference answer",
    "vacuous": "the check passes a wrong answer",
}


def _control(candidate: Candidate, row: AuditRow, verifiers: Mapping[str, Verifier]) -> GateOpinion:
    check = candidate.check
    if check is None or check.kind == "judge":
        return GateOpinion(CONTROL, None, "the row has no check that can be run")
    verifier = verifiers.get(check.kind)
    if verifier is None:
        return GateOpinion(CONTROL, None, f"no verifier for {shorten(check.kind, 40)} is installed")
    reply = control(verifier, check, candidate.reference_answer, _source_of(row).text)
    if reply.fault == "error":
        return GateOpinion(CONTROL, None, f"the check could not be run: {reply.evidence}")
    if reply.fault:
        return GateOpinion(CONTROL, False, f"{_CONTROL_FAULTS[reply.fault]}: {reply.evidence}")
    return GateOpinion(CONTROL, True, f"{reply.controls} known-wrong answers fail")


def _duplicate(candidate: Candidate, row: AuditRow, rules: Rules, coverage: CoverageMap) -> GateOpinion:
    meta = {"source": row.source.id if row.source else "", "question_type": candidate.question_type}
    if row.source or candidate.context.strip():  # else every answer "12" would ask for the same
        meta |= fact_of(_source_of(row).sha256, candidate)
    reply = coverage.claim(CoverageAsk(DUPLICATE, f"line {row.line}", candidate.question, meta))
    if reply.nearest is None or reply.similarity < rules.protocol.near_duplicate:
        return GateOpinion(DUPLICATE, True)
    return GateOpinion(DUPLICATE, False, f"similarity {reply.similarity:.2f} to {reply.nearest}")


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
        return GateOpinion(name, None, _UNREAD)
    candidate = _to_measure(row.candidate, rules)
    why = _not_for(name, candidate, row)
    if why:
        return GateOpinion(name, None, why)
    if row.source is not None and screened(row.source, rules).source is None:
        return GateOpinion(name, None, "no model may read its source")
    candidate, _ = admitted(candidate, rules.protocol.safety)
    source = readable(_source_of(row), rules)
    opened = start(source, item=f"row-{row.line}", run="audit", fence_key=fence_key)
    state = changed(opened, phase="check", candidate=candidate)
    ask, rules = _asking(name, candidate, rules)
    step = ask(Turn(rules, source, {}), state)
    while step.asks:
        step = ask(Turn(rules, source, answer_all(ports, step.asks)), step.state)
    usage = Usage()
    for used in step.state.usage.values():
        usage = usage.plus(used)
    if step.state.done:
        return GateOpinion(name, None, step.state.note, usage)
    if step.state.phase == "refine":
        return GateOpinion(name, False, "; ".join(reason.detail for reason in step.state.reasons), usage)
    return GateOpinion(name, True, usage=usage)


def _asking(name: str, candidate: Candidate, rules: Rules) -> tuple[Callable[[Turn, ItemState], Step], Rules]:
    """Return how a reviewer is asked, and the rules under which nobody else is."""
    if name == QUALITY:
        return lambda turn, state: review(turn, state, candidate, final=False), rules
    critic = name.removeprefix("critic.")
    if critic not in CRITICS:
        raise RecordError(f"There is no critic {critic!r}. Critics are {', '.join(CRITICS)}.")
    protocol = EvaluationProtocol.from_json({**rules.protocol.to_json(), "critics": [critic], "quorum": "all"})
    return lambda turn, state: ask_critics(turn, state, candidate), Rules(rules.recipe, protocol)


# --- labels -----------------------------------------------------------------------------------------------------------

_LABELS: Mapping[str, bool] = {
    "keep": False,
    "good": False,
    "accept": False,
    "refuse": True,
    "bad": True,
    "reject": True,
}
"""By word: whether the row is faulty. JSON true and 1 keep it, false and 0 refuse it."""

_GOLD_KEYS = ("id", "line", "label", "faults", "inclusion", "note")


@dataclass(frozen=True)
class GoldLine:
    """One line of a gold file."""

    number: int
    """Its own line, from 1."""
    id: str | None
    line: int | None
    """Line of the row in the data."""
    faulty: bool | None
    """None while nobody has labelled it."""
    faults: tuple[str, ...] | None
    """`gate` or `gate:kind`; None where nobody said which."""
    inclusion: Fraction | None
    """How likely the row was to be drawn into the sample; None where none was drawn."""
    ignored: tuple[str, ...] = ()
    """Keys that mean nothing here."""


@dataclass(frozen=True)
class Label:
    """What is known of a row."""

    faulty: bool
    faults: tuple[str, ...] | None
    inclusion: Fraction | None = None

    def has(self, gate: str) -> bool | None:
        """Return whether the row has a fault that `gate` looks for; None when that is not known."""
        if gate == QUALITY:  # it looks for every fault
            return self.faulty
        return None if self.faults is None else any(fault.partition(":")[0] == gate for fault in self.faults)


def read_gold_line(value: Mapping[str, Any], number: int) -> GoldLine:
    """Return a line of a gold file, given as a JSON object.

    Raises:
        RecordError: It names no row, or label, faults or inclusion are not of their form.
    """
    place = f"gold line {number}"
    for key in value:
        near = difflib.get_close_matches(key, _GOLD_KEYS, n=1, cutoff=0.7)
        if key not in _GOLD_KEYS and near:
            raise RecordError(f"{place}: unknown key {shorten(key, 60)}. Did you mean {near[0]!r}?")
    id, line, label = value.get("id"), value.get("line"), value.get("label")
    if id is None and line is None:
        raise RecordError(f"{place}: it names no row. Give 'id', or 'line' counted from 1.")
    if id is not None and (not isinstance(id, str) or not id):
        raise RecordError(f"{place}: 'id' is a text, got {shorten(id)}.")
    if line is not None and (type(line) is not int or line < 1):
        raise RecordError(f"{place}: 'line' is a whole number from 1, got {shorten(line)}.")
    faulty = _faulty(label, place)
    faults = _faults(value.get("faults"), place)
    if faulty is None and faults:
        raise RecordError(f"{place}: it names faults and has no label. Set 'label' to \"refuse\".")
    if faulty is False and faults:
        raise RecordError(f"{place}: the label keeps the row and yet it names faults. Correct one of them.")
    return GoldLine(
        number,
        id,
        line,
        faulty,
        () if faulty is False else faults,
        _inclusion(value.get("inclusion"), place),
        tuple(key for key in value if key not in _GOLD_KEYS),
    )


def _faulty(label: Any, place: str) -> bool | None:
    if label is None:
        return None
    if isinstance(label, bool) or (type(label) is int and label in (0, 1)):
        return not label
    if isinstance(label, str) and label in _LABELS:
        return _LABELS[label]
    raise RecordError(
        f'{place}: label is "keep" (also "good", "accept", true, 1) or "refuse" (also "bad", "reject", false, 0), '
        f"or null while nobody has looked; got {shorten(label)}."
    )


def _faults(value: Any, place: str) -> tuple[str, ...] | None:
    if value is None:
        return None
    if not isinstance(value, list) or not all(isinstance(x, str) and x.partition(":")[0].strip() for x in value):
        raise RecordError(
            f'{place}: \'faults\' is a list such as ["leak", "quote:changed number"], got {shorten(value)}.'
        )
    cleaned = (":".join(" ".join(part.split()) for part in x.split(":", 1)) for x in value)
    return tuple(sorted(set(cleaned)))


def _inclusion(value: Any, place: str) -> Fraction | None:
    if value is None:
        return None
    try:
        found = Fraction(value) if isinstance(value, str) else None
    except (ValueError, ZeroDivisionError):
        found = None
    if found is None or not 0 < found <= 1:
        raise RecordError(f"{place}: 'inclusion' is a fraction as text, such as \"3/40\"; got {shorten(value)}.")
    return found


@dataclass(frozen=True)
class GoldFigures:
    """What became of a gold file."""

    labels: Mapping[int, Label]
    """By line of the data."""
    unmatched: tuple[str, ...] = ()
    """Gold lines that name no row of the data."""
    without: tuple[str, ...] = ()
    """Ids of rows that have no gold line."""
    unlabelled: tuple[str, ...] = ()
    """Ids of rows whose label is still null."""
    repeated: int = 0
    """Gold lines that say what an earlier one said."""
    ignored: tuple[str, ...] = ()
    """Keys of the gold file that mean nothing here."""


def match_gold(rows: Sequence[AuditRow], gold: Iterable[GoldLine]) -> GoldFigures:
    """Return the label of each row, and what could not be matched.

    Raises:
        RecordError: Two gold lines contradict each other, an id stands for several rows, id and line name two rows, or
            only some lines have an inclusion.
    """
    by_line = {row.line: row for row in rows}
    by_id: dict[str, list[AuditRow]] = {}
    for known in rows:
        by_id.setdefault(known.id, []).append(known)
    first: dict[int, GoldLine] = {}
    unmatched: list[str] = []
    ignored: dict[str, None] = {}
    repeated = 0
    for given in gold:
        ignored |= dict.fromkeys(given.ignored)
        row = _row_of(given, by_line, by_id)
        if row is None:
            unmatched.append(f"gold line {given.number} ({given.id if given.line is None else f'line {given.line}'})")
            continue
        before = first.setdefault(row.line, given)
        if before is given:
            continue
        if (before.faulty, before.faults, before.inclusion) != (given.faulty, given.faults, given.inclusion):
            raise RecordError(
                f"gold line {given.number} contradicts gold line {before.number}: both are about row {shorten(row.id, 60)} "
                f"(line {row.line}). Settle it and keep one."
            )
        repeated += 1
    labels = {
        line: Label(given.faulty, given.faults, given.inclusion)
        for line, given in sorted(first.items())
        if given.faulty is not None
    }
    drawn = {given.number: given.inclusion is not None for given in first.values()}
    if len(set(drawn.values())) > 1:
        number = min(number for number, has in drawn.items() if not has)
        raise RecordError(
            f"gold line {number} has no 'inclusion' and others have one. A drawn sample and other labels cannot be weighted "
            "together; audit them apart."
        )
    return GoldFigures(
        labels=labels,
        unmatched=tuple(unmatched),
        without=tuple(row.id for row in rows if row.line not in first),
        unlabelled=tuple(by_line[line].id for line, given in sorted(first.items()) if given.faulty is None),
        repeated=repeated,
        ignored=tuple(ignored),
    )


def _row_of(
    given: GoldLine, by_line: Mapping[int, AuditRow], by_id: Mapping[str, Sequence[AuditRow]]
) -> AuditRow | None:
    if given.line is not None:
        row = by_line.get(given.line)
        if row is not None and given.id is not None and row.id != given.id:
            raise RecordError(
                f"gold line {given.number} says line {given.line} is {shorten(given.id, 60)}, but there stands "
                f"{shorten(row.id, 60)}. Was the data set changed after the labels were made?"
            )
        return row
    found = by_id.get(given.id or "", ())
    if len(found) > 1:
        lines = ", ".join(str(row.line) for row in found[:5])
        raise RecordError(
            f"gold line {given.number}: the id {shorten(given.id, 60)} stands in lines {lines} of the data. "
            "Name the row by 'line'."
        )
    return found[0] if found else None


# --- the report -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class FaultFigures:
    """What became of the rows with one kind of fault."""

    fault: str
    """As in the gold file."""
    looked_for: bool
    """Whether a gate of this audit has that name."""
    n: int
    own: int
    """Rows that the gate of that name refused."""
    other: int
    """Rows that only other gates refused."""
    missed: tuple[str, ...]
    """Ids of rows that were kept."""
    flagged: int = 0
    """Of those, rows that carry a flag."""


@dataclass(frozen=True)
class AuditReport:
    """What an audit found."""

    rows: tuple[RowOpinions, ...]
    gates: tuple[GateFigures, ...]
    overall: GateFigures
    unverified: tuple[tuple[str, str, int], ...]
    """Gate, why it could not tell, and of how many rows."""
    bar: float = BAR
    gold: GoldFigures | None = None
    weighted: WeightedShare | None = None
    """Overall agreement of the whole data set, where the gold is a drawn sample."""
    faults: tuple[FaultFigures, ...] = ()
    alarms: tuple[RowOpinions, ...] = ()
    """Rows that are refused although their label keeps them."""

    @property
    def standing(self) -> Standing:
        """How the filter stands to the bar: by the weighted estimate where there is one."""
        if self.weighted is not None:
            return standing(self.weighted.share, self.weighted.bounds, self.bar)
        return self.overall.confusion.standing(self.bar) if self.overall.confusion else "not shown"


def report(
    rows: Sequence[RowOpinions], *, by: Mapping[str, str], gold: GoldFigures | None = None, bar: float = BAR
) -> AuditReport:
    """Return the figures of an audit.

    Args:
        rows: In the order of the data.
        by: By gate: who decides, for people; `rule` where it is not given.
        gold: Labels, where there are any.
        bar: Agreement that counts as verified, in (0, 1).
    """
    labels = gold.labels if gold else {}
    names = list(dict.fromkeys(opinion.gate for row in rows for opinion in row.opinions))
    gates = tuple(_figures(name, by.get(name, "rule"), rows, labels if gold else None) for name in names)
    labelled = [(row, labels[row.row.line]) for row in rows if row.row.line in labels]
    overall = GateFigures(
        name="overall",
        by="any gate",
        looked=len(rows),
        refused=sum(row.refused for row in rows),
        confusion=Confusion.of((label.faulty, row.refused) for row, label in labelled) if gold else None,
        calls=sum(gate.calls for gate in gates),
        cost_usd=math.fsum(gate.cost_usd for gate in gates),
    )
    drawn = [(row.refused == label.faulty, float(label.inclusion)) for row, label in labelled if label.inclusion]
    silent = Counter((o.gate, o.detail) for row in rows if row.row.candidate for o in row.opinions if o.passed is None)
    unread = sum(row.row.candidate is None for row in rows)
    order = {name: n for n, name in enumerate(names)}
    return AuditReport(
        rows=tuple(rows),
        gates=gates,
        overall=overall,
        unverified=(
            *((("all others", _UNREAD, unread),) if unread else ()),
            *(
                (gate, why, silent[gate, why])
                for gate, why in sorted(silent, key=lambda o: (order[o[0]], -silent[o], o[1]))
            ),
        ),
        bar=bar,
        gold=gold,
        weighted=weighted_share(drawn),
        faults=_by_fault(labelled, set(names)),
        alarms=tuple(row for row, label in labelled if row.refused and not label.faulty),
    )


def _figures(name: str, by: str, rows: Sequence[RowOpinions], labels: Mapping[int, Label] | None) -> GateFigures:
    said = [(row.row.line, opinion) for row in rows if (opinion := row.of(name)) is not None]
    told = [(line, opinion) for line, opinion in said if opinion.passed is not None]
    confusion = None
    if labels is not None:
        known = [(labels[line].has(name), not opinion.passed) for line, opinion in told if line in labels]
        confusion = Confusion.of((faulty, refused) for faulty, refused in known if faulty is not None)
    return GateFigures(
        name=name,
        by=by,
        looked=len(told),
        refused=sum(not opinion.passed for _, opinion in told),
        confusion=confusion,
        unlooked=len(said) - len(told),
        calls=sum(opinion.usage.calls for _, opinion in said),
        cost_usd=math.fsum(opinion.usage.cost_usd for _, opinion in said),
    )


def _by_fault(labelled: Sequence[tuple[RowOpinions, Label]], gates: set[str]) -> tuple[FaultFigures, ...]:
    grouped: dict[str, list[RowOpinions]] = {}
    for row, label in labelled:
        for fault in (label.faults or (UNNAMED,)) if label.faulty else ():
            grouped.setdefault(fault, []).append(row)
    found = []
    for fault in sorted(grouped):
        rows, gate = grouped[fault], fault.partition(":")[0]
        own = sum((opinion := row.of(gate)) is not None and opinion.passed is False for row in rows)
        missed = tuple(row.row.id for row in rows if not row.refused)
        flagged = sum(bool(row.flags) and not row.refused for row in rows)
        found.append(FaultFigures(fault, gate in gates, len(rows), own, len(rows) - own - len(missed), missed, flagged))
    return tuple(found)


# --- a sample for people to label -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Drawn:
    """A row of the sample."""

    row: RowOpinions
    stratum: str
    inclusion: Fraction
    """How likely the row was to be drawn, in (0, 1]."""


def draw_sample(rows: Sequence[RowOpinions], n: int, seed: int = 0) -> tuple[Drawn, ...]:
    """Return a stratified sample, in an order that does not tell the strata.

    A stratum is the first gate that refuses a row, or `kept`. Places go by the square root of a stratum's size, between
    equal shares (which see rare faults) and proportional ones (which see the misses among kept rows); each has at least one.
    Where there are fewer places than strata, all refused rows are one stratum; a sample of one has a single stratum.

    Args:
        rows: The whole data set; the same rows and seed give the same sample.
        n: Rows wanted; all of them when there are no more.
        seed: Another one gives another sample.
    """
    strata: dict[str, list[RowOpinions]] = {}
    for row in rows:
        strata.setdefault(row.refusals[0].gate if row.refused else "kept", []).append(row)
    n = min(n, len(rows))
    if n < len(strata):
        merged = {"kept": strata.get("kept", []), "refused": [row for row in rows if row.refused]}
        strata = {name: found for name, found in merged.items() if found}
    if n < len(strata):
        strata = {"all": list(rows)}
    places = _places({name: len(found) for name, found in strata.items()}, n)
    drawn = []
    for name, found in strata.items():
        for row in sorted(found, key=lambda r: _lot(seed, r.row))[: places[name]]:
            drawn.append(Drawn(row, name, Fraction(places[name], len(found))))
    return tuple(sorted(drawn, key=lambda one: _lot(seed + 1, one.row.row)))


def _places(sizes: Mapping[str, int], n: int) -> dict[str, int]:
    """Return how many rows each stratum gives: at least one, at most all, together `n`."""
    if n <= 0:
        return dict.fromkeys(sizes, 0)
    given = dict.fromkeys(sizes, 1)
    while sum(given.values()) < n:
        # The next place goes where the share by square roots is least filled (Webster's divisors).
        open_ = [name for name in sizes if given[name] < sizes[name]]
        best = max(open_, key=lambda name: (math.sqrt(sizes[name]) / (2 * given[name] + 1), name))
        given[best] += 1
    return given


def _lot(seed: int, row: AuditRow) -> bytes:
    return hashlib.sha256(f"{seed}|{row.line}|{row.id}".encode("utf-8", "replace")).digest()
