"""What the card of an audit says. Where the figures come from is in `autodata_core.audit`, how it is written in `cards`."""

from __future__ import annotations

import re
from collections.abc import Sequence

from autodata_cli.cards import Card, Quoted, Table
from autodata_cli.gate_tables import gate_table, how_to_read, share
from autodata_core.agreement import Confusion, fewest_for
from autodata_core.audit import UNNAMED, AuditReport, FaultFigures

__all__ = ["audit_card"]

_SHOWN = 10
"""Rows that a list names; the rest is counted."""
_VARYING = re.compile(r"\d+(?:\.\d+)?|'[^']*'|\"[^\"]*\"")
"""What differs between two refusals for the same reason: numbers and quoted words."""


def audit_card(report: AuditReport, *, title: str, facts: Sequence[tuple[str, str]]) -> Card:
    """Return the card of an audit. `facts` says what was measured by what, and who made the gold."""
    name = "Agreement with the gold, gate by gate" if report.gold else "Gate by gate"
    tables = (
        gate_table((report.overall, *report.gates), report.bar, name),
        _faults(report.faults),
        _alarms(report),
        _refusals(report),
        _flags(report),
        _unverified(report),
    )
    return Card(
        title,
        _headline(report),
        (*facts, *_label_facts(report)),
        tuple(table for table in tables if table is not None),
        how_to_read(report.bar, weighted=report.weighted is not None) if report.gold else (),
    )


def _headline(report: AuditReport) -> tuple[str, ...]:
    rows, refused = report.overall.looked, report.overall.refused
    first = f"{refused} of {rows} rows are refused, {rows - refused} are kept."
    found = report.overall.confusion
    if report.gold is None:
        unknown = "Nobody has labelled rows, so nothing says whether that is right: `--sample` draws rows to label."
        return first, unknown
    if found is None or not found.n:
        return first, "The gold has no label for any of these rows, so nothing says whether that is right."
    caught = (
        f"Of {found.tp + found.fn} faulty rows {found.tp} are caught and {found.fn} missed; "
        f"of {found.fp + found.tn} sound rows {found.fp} are refused by mistake."
    )
    return first, _agreement_sentence(report, found), _bar_sentence(report, found), caught


def _agreement_sentence(report: AuditReport, found: Confusion) -> str:
    unweighted = share(found.agreement, found.agreement_bounds)
    if report.weighted is None:
        return f"Filter and labels agree on {found.tp + found.tn} of {found.n} rows: {unweighted}."
    weighted = share(report.weighted.share, report.weighted.bounds)
    return (
        f"Agreement with the labels, estimated for all {report.overall.looked} rows from a sample of {report.weighted.n}: "
        f"{weighted} weighted, {unweighted} unweighted."
    )


def _bar_sentence(report: AuditReport, found: Confusion) -> str:
    bar = f"The bar of {report.bar:g}"
    if report.standing == "met":
        return f"{bar} is met: the lower bound reaches it."
    if report.standing == "not met":
        return f"{bar} is not met."
    if found.too_few(report.bar):
        return f"{bar} is not shown: {found.n} labels cannot show it even without an error, {fewest_for(report.bar)} are needed."
    return f"{bar} is not shown: the estimate reaches it, its lower bound does not. More labels would tell."


def _faults(faults: Sequence[FaultFigures]) -> Table | None:
    if not faults:
        return None
    rows = tuple(
        (
            Quoted(f.fault),
            str(f.n),
            str(f.own) if f.looked_for else "–" if f.fault == UNNAMED else "none looks for it",
            str(f.other),
            str(len(f.missed)),
            str(f.flagged),
            _some(f.missed, 3),
        )
        for f in faults
    )
    return Table(
        "What was caught and what was missed, by kind of fault",
        ("fault", "rows", "caught by its gate", "by another", "missed", "of these flagged", "missed rows"),
        rows,
    )


def _alarms(report: AuditReport) -> Table | None:
    if not report.alarms:
        return None
    rows = tuple(
        (Quoted(row.row.id), str(row.row.line), ", ".join(o.gate for o in row.refusals), Quoted(row.refusals[0].detail))
        for row in report.alarms[:_SHOWN]
    )
    return Table("Sound rows that are refused", ("row", "line", "gate", "why"), rows, _more(len(report.alarms)))


def _refusals(report: AuditReport) -> Table | None:
    """Return what is refused and why, grouped; the same sentence with other numbers is one group."""
    groups: dict[tuple[str, str], tuple[str, list[str]]] = {}
    for row in report.rows:
        for opinion in row.refusals:
            alike = opinion.gate, _VARYING.sub("#", opinion.detail)[:80]
            groups.setdefault(alike, (opinion.detail, []))[1].append(row.row.id)
    if not groups:
        return None
    order = {gate.name: n for n, gate in enumerate(report.gates)}
    found = sorted(groups.items(), key=lambda group: (order[group[0][0]], -len(group[1][1]), group[0][1]))
    rows = tuple((gate, str(len(ids)), Quoted(first), _some(ids, 3)) for (gate, _), (first, ids) in found)
    return Table("What is refused, and why", ("gate", "rows", "why (first case)", "rows such as"), rows)


def _flags(report: AuditReport) -> Table | None:
    found: dict[str, list[str]] = {}
    for row in report.rows:
        for flag in () if row.refused else row.flags:
            found.setdefault(flag, []).append(row.row.id)
    rows = tuple((Quoted(flag), str(len(found[flag])), _some(found[flag], 3)) for flag in sorted(found))
    note = (
        "A flag refuses nothing; the loop keeps it on the row, and breaks up what a model could take for instructions."
    )
    return Table("What is kept with a flag", ("flag", "rows", "rows such as"), rows, note) if rows else None


def _unverified(report: AuditReport) -> Table | None:
    rows = tuple((gate, str(n), Quoted(why)) for gate, why, n in report.unverified)
    return Table("What was not verified", ("gate", "rows", "why"), rows) if rows else None


def _label_facts(report: AuditReport) -> tuple[tuple[str, str], ...]:
    gold = report.gold
    if gold is None:
        return ()
    faulty = sum(label.faulty for label in gold.labels.values())
    facts = [("labels", f"{len(gold.labels)}: {faulty} refuse, {len(gold.labels) - faulty} keep")]
    if report.weighted is not None:
        worth = f"worth {report.weighted.n_effective:.1f} of equal weight"
        facts.append(("sample", f"{report.weighted.n} rows drawn by strata, {worth}"))
    unused = (("not labelled", gold.unlabelled), ("without gold", gold.without), ("unmatched gold", gold.unmatched))
    for name, ids in unused:
        if ids:
            facts.append((name, Quoted(f"{len(ids)}: {_some(ids, 5)}")))
    if gold.repeated:
        facts.append(("repeated gold", f"{gold.repeated} lines say what an earlier one said"))
    if gold.ignored:
        facts.append(("ignored keys", _some(gold.ignored, 8)))
    return tuple(facts)


def _more(n: int) -> str:
    return f"{_SHOWN} of {n} are shown." if n > _SHOWN else ""


def _some(ids: Sequence[str], most: int) -> str:
    if not ids:
        return ""
    more = f" and {len(ids) - most} more" if len(ids) > most else ""
    return Quoted(", ".join(ids[:most]) + more)
