"""The report card of a filter, as text for a terminal and as Markdown. Where the figures come from is in `auditing`.

The same figures give the same bytes. Whatever comes from the data is shown so that it cannot draw, link or hide anything.
"""

from __future__ import annotations

import math
import re
import textwrap
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from autodata_core.agreement import BAR, Confusion, GateFigures, Interval, fewest_for
from autodata_core.audit import UNNAMED, AuditReport, FaultFigures

__all__ = ["Card", "Quoted", "Table", "audit_card", "card_markdown", "card_text", "plain", "run_card"]

_SHOWN = 10
"""Rows that a list names; the rest is counted."""
_TEXT_WIDTH = 100
_HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>|~#&!$@^])")
_LINK = re.compile(r"(?i)\b(https?|ftp|mailto|xmpp):|\bwww\.")


class Quoted(str):
    """Text that comes from the data."""

    __slots__ = ()


@dataclass(frozen=True)
class Table:
    """Rows of cells under a title."""

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""
    """A sentence above the table."""


@dataclass(frozen=True)
class Card:
    """A report card before it is written down."""

    title: str
    headline: tuple[str, ...]
    """What it comes to, in sentences."""
    facts: tuple[tuple[str, str], ...] = ()
    """What was measured by what."""
    tables: tuple[Table, ...] = ()
    notes: tuple[str, ...] = ()
    """How to read it."""


# --- what it says -----------------------------------------------------------------------------------------------------


def run_card(
    figures: Sequence[GateFigures],
    *,
    title: str,
    headline: Sequence[str] = (),
    facts: Sequence[tuple[str, str]] = (),
    tables: Sequence[Table] = (),
    notes: Sequence[str] = (),
    bar: float = BAR,
) -> Card:
    """Return the card of a run, whose gates are measured by controls: known-right and known-wrong answers.

    Args:
        figures: One for each gate, verifier and judge; `confusion` over its controls (faulty: a known-wrong answer;
            refused: it was failed), None where it has none.
        title: Of the card.
        headline: Sentences on top.
        facts: Name and value: recipe, models, verifiers, dates that are known.
        tables: What else there is to show, after the gates.
        notes: At the end, before how to read the figures.
        bar: Agreement that counts as verified.
    """
    uncontrolled = [f.name for f in figures if f.confusion is None or not f.confusion.n]
    more = (
        [f"No control was run for {', '.join(uncontrolled)}; nothing is known of how right they are."]
        if uncontrolled
        else []
    )
    return Card(
        title,
        tuple(headline),
        tuple(facts),
        (_gates(figures, bar, "Gates, verifiers and judges, against their controls"), *tables),
        (*more, *notes, *_how_to_read(bar)),
    )


def audit_card(report: AuditReport, *, title: str, facts: Sequence[tuple[str, str]]) -> Card:
    """Return the card of an audit. `facts` says what was measured by what, and who made the gold."""
    tables: list[Table | None] = []
    if report.gold is not None:
        tables.append(_gates((report.overall, *report.gates), report.bar, "Agreement with the gold, gate by gate"))
        tables += [_faults(report.faults), _alarms(report)]
    else:
        tables.append(_gates((report.overall, *report.gates), report.bar, "Gate by gate"))
    tables += [_refusals(report), _flags(report), _unverified(report)]
    return Card(
        title,
        _headline(report),
        (*facts, *_gold_facts(report)),
        tuple(table for table in tables if table is not None),
        _how_to_read(report.bar, weighted=report.weighted is not None) if report.gold else (),
    )


def _headline(report: AuditReport) -> tuple[str, ...]:
    rows, refused = report.overall.looked, report.overall.refused
    first = f"{refused} of {rows} rows are refused, {rows - refused} are kept."
    found = report.overall.confusion
    if report.gold is None:
        return (
            first,
            "Nobody has labelled rows, so nothing says whether that is right: `--sample` draws rows to label.",
        )
    if found is None or not found.n:
        return (first, "The gold has no label for any of these rows, so nothing says whether that is right.")
    lines = [first]
    if report.weighted is not None:
        bounds = _share(report.weighted.share, report.weighted.bounds)
        lines.append(
            f"Agreement with the labels, estimated for all {rows} rows from a sample of {report.weighted.n}: {bounds} "
            f"weighted, {_share(found.agreement, found.agreement_bounds)} unweighted."
        )
    else:
        lines.append(
            f"Filter and labels agree on {found.tp + found.tn} of {found.n} rows: "
            f"{_share(found.agreement, found.agreement_bounds)}."
        )
    lines.append(_bar_sentence(report, found))
    lines.append(
        f"Of {found.tp + found.fn} faulty rows {found.tp} are caught and {found.fn} missed; "
        f"of {found.fp + found.tn} sound rows {found.fp} are refused by mistake."
    )
    return tuple(lines)


def _bar_sentence(report: AuditReport, found: Confusion) -> str:
    bar = f"The bar of {report.bar:g}"
    if report.standing == "met":
        return f"{bar} is met: the lower bound reaches it."
    if report.standing == "not met":
        return f"{bar} is not met."
    if found.too_few(report.bar):
        return f"{bar} is not shown: {found.n} labels cannot show it even without an error, {fewest_for(report.bar)} are needed."
    return f"{bar} is not shown: the estimate reaches it, its lower bound does not. More labels would tell."


def _gates(figures: Sequence[GateFigures], bar: float, title: str) -> Table:
    """Return one line a gate; columns that say nothing of any gate are left out."""
    known = any(f.confusion is not None for f in figures)
    paid = any(f.calls for f in figures)
    head = ["gate", "by", "looked at", "refused"]
    head += ["n", "agreement (95 %)", "precision", "recall", "kappa", f"bar {bar:g}"] if known else []
    head += ["calls", "cost"] if paid else []
    rows = []
    for figure in figures:
        cells = [figure.name, figure.by, str(figure.looked), str(figure.refused)]
        cells += _measured(figure.confusion, bar) if known else []
        cells += [str(figure.calls), f"${figure.cost_usd:.4f}"] if paid else []
        rows.append(tuple(cells))
    return Table(title, tuple(head), tuple(rows))


def _measured(found: Confusion | None, bar: float) -> list[str]:
    if found is None or not found.n:
        return ["0", "–", "–", "–", "–", "not measured"]
    recall = _share(found.recall, found.recall_bounds, 2) if found.tp + found.fn else "no faults"
    return [
        str(found.n),
        _share(found.agreement, found.agreement_bounds),
        _share(found.precision, found.precision_bounds, 2),
        recall,
        "–" if found.kappa is None else f"{_down(found.kappa, 2):.2f}",
        _standing(found, bar),
    ]


def _standing(found: Confusion, bar: float) -> str:
    said = found.standing(bar)
    if said != "not met" and found.too_few(bar):
        return f"n below {fewest_for(bar)}"
    if said == "met" and not found.tp + found.fn:
        return "met, sound rows only"
    if said == "met" and (found.recall or 0.0) < bar:
        return f"met, misses {found.fn}"  # where faults are rare, a gate that misses them agrees all the same
    return said


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
    groups: Counter[tuple[str, str]] = Counter()
    first: dict[tuple[str, str], tuple[str, list[str]]] = {}
    for row in report.rows:
        for opinion in row.refusals:
            key = opinion.gate, re.sub(r"\d+(?:\.\d+)?|'[^']*'|\"[^\"]*\"", "#", opinion.detail)[:80]
            groups[key] += 1
            first.setdefault(key, (opinion.detail, []))[1].append(row.row.id)
    if not groups:
        return None
    order = {gate.name: n for n, gate in enumerate(report.gates)}
    found = sorted(groups, key=lambda key: (order[key[0]], -groups[key], key[1]))
    rows = tuple(
        (gate, str(groups[gate, why]), Quoted(first[gate, why][0]), _some(first[gate, why][1], 3))
        for gate, why in found
    )
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


def _gold_facts(report: AuditReport) -> tuple[tuple[str, str], ...]:
    gold = report.gold
    if gold is None:
        return ()
    faulty = sum(label.faulty for label in gold.labels.values())
    facts = [("labels", f"{len(gold.labels)}: {faulty} refuse, {len(gold.labels) - faulty} keep")]
    if report.weighted is not None:
        facts.append(
            (
                "sample",
                f"{report.weighted.n} rows drawn by strata, worth {report.weighted.n_effective:.1f} of equal weight",
            )
        )
    for name, ids in (
        ("not labelled", gold.unlabelled),
        ("without gold", gold.without),
        ("unmatched gold", gold.unmatched),
    ):
        if ids:
            facts.append((name, Quoted(f"{len(ids)}: {_some(ids, 5)}")))
    if gold.repeated:
        facts.append(("repeated gold", f"{gold.repeated} lines say what an earlier one said"))
    if gold.ignored:
        facts.append(("ignored keys", _some(gold.ignored, 8)))
    return tuple(facts)


def _how_to_read(bar: float, *, weighted: bool = False) -> tuple[str, ...]:
    notes = [
        "A faulty row that is refused counts as a hit. Precision: of what is refused, the share that is faulty. Recall: of what "
        "is faulty, the share that is refused. Kappa: agreement beyond chance. In brackets: Wilson's interval of 95 %.",
        f"The bar of {bar:g} is met when the lower bound of agreement reaches it, and not shown when only the estimate does. "
        f"Fewer than {fewest_for(bar)} labels cannot show it. Where faults are rare, agreement says little: look at recall. "
        "Shares are rounded down, upper bounds up.",
        "A gate is compared with the faults of its own name; the quality check and the line `overall` with the label of the row.",
    ]
    if weighted:
        notes.append(
            "The sample is stratified by the first gate that refuses. The weighted estimate counts each row for 1 / inclusion "
            "rows (Hájek); its interval is Wilson's at Kish's effective size. Figures by gate are unweighted."
        )
    return tuple(notes)


def _more(n: int) -> str:
    return f"{_SHOWN} of {n} are shown." if n > _SHOWN else ""


def _some(ids: Sequence[str], most: int) -> str:
    if not ids:
        return ""
    more = f" and {len(ids) - most} more" if len(ids) > most else ""
    return Quoted(", ".join(ids[:most]) + more)


def _share(share: float | None, bounds: Interval, digits: int = 3) -> str:
    """Return a share with its interval, rounded so that it never flatters."""
    if share is None:
        return "–"
    low, high = _down(bounds.low, digits), -_down(-bounds.high, digits)
    return f"{_down(share, digits):.{digits}f} ({low:.{digits}f}–{high:.{digits}f})"


def _down(value: float, digits: int) -> float:
    scale = 10.0**digits
    return math.floor(round(value * scale, 9)) / scale


# --- how it is written ------------------------------------------------------------------------------------------------


def plain(text: str, limit: int = 200) -> str:
    """Return `text` on one line, in which nothing can move the cursor, hide or turn the direction of writing."""
    shown = "".join(c if unicodedata.category(c) not in _HIDDEN else _named(c) for c in " ".join(text.split()))
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"


def _named(character: str) -> str:
    return f"\\u{{{ord(character):x}}}"


def card_text(card: Card) -> str:
    """Return the card for a terminal."""
    lines = [plain(card.title), ""]
    lines += [line for text in card.headline for line in _wrapped(text)]
    if card.facts:
        wide = max(len(name) for name, _ in card.facts)
        lines += ["", *(f"{plain(name):<{wide}}  {plain(value, 400)}" for name, value in card.facts)]
    for table in card.tables:
        lines += ["", plain(table.title), *([plain(table.note)] if table.note else [])]
        lines += _columns(table)
    lines += ["", *(line for note in card.notes for line in _wrapped(note))] if card.notes else []
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(plain(text, 600), _TEXT_WIDTH, break_long_words=False, break_on_hyphens=False)


def _columns(table: Table) -> list[str]:
    rows = [tuple(plain(cell, 90) for cell in row) for row in (table.head, *table.rows)]
    widths = [max(_width(row[n]) for row in rows) for n in range(len(table.head))]
    numeric = [all(_is_number(row[n]) for row in rows[1:]) for n in range(len(table.head))]
    lines = []
    for row in rows:
        cells = []
        for n, cell in enumerate(row):
            blank = " " * (widths[n] - _width(cell))
            cells.append(blank + cell if numeric[n] else cell + blank)
        lines.append("  " + "  ".join(cells))
    lines.insert(1, "  " + "  ".join("─" * width for width in widths))
    return lines


def _is_number(cell: str) -> bool:
    return bool(re.fullmatch(r"[-$]?[\d.,]+|–", cell))


def _width(text: str) -> int:
    """Return how many cells of a terminal a text takes."""
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in ("W", "F") else 1 for c in text
    )


def card_markdown(card: Card) -> str:
    """Return the card as GitHub-flavoured Markdown."""
    lines = [f"# {_escaped(card.title)}", ""]
    lines += [f"{_escaped(line, 400)}  " for line in card.headline[:-1]]
    lines += [_escaped(line, 400) for line in card.headline[-1:]]
    if card.facts:
        lines += ["", "| | |", "|---|---|"]
        lines += [f"| {_escaped(name)} | {_cell(value, 400)} |" for name, value in card.facts]
    for table in card.tables:
        lines += ["", f"## {_escaped(table.title)}", ""]
        lines += [_escaped(table.note), ""] if table.note else []
        lines.append("| " + " | ".join(_escaped(cell) for cell in table.head) + " |")
        numeric = [all(_is_number(row[n]) for row in table.rows) for n in range(len(table.head))]
        lines.append("|" + "|".join("---:" if right else "---" for right in numeric) + "|")
        lines += ["| " + " | ".join(_cell(cell) for cell in row) + " |" for row in table.rows]
    if card.notes:
        lines += ["", "## How to read this", "", *(f"- {_escaped(note, 600)}" for note in card.notes)]
    return "\n".join(lines) + "\n"


def _cell(cell: str, limit: int = 200) -> str:
    return _code(cell, limit) if isinstance(cell, Quoted) else _escaped(cell, limit)


def _escaped(text: str, limit: int = 200) -> str:
    """Return text of ours; code between backticks stays code."""
    parts = plain(text, limit).split("`")
    if len(parts) % 2 == 0:  # a backtick without its pair is no code
        return _no_links(_MARKDOWN.sub(r"\\\1", plain(text, limit)))
    return "".join(
        _no_links(_MARKDOWN.sub(r"\\\1", part)) if n % 2 == 0 else f"`{part}`" for n, part in enumerate(parts)
    )


def _no_links(text: str) -> str:
    return _LINK.sub(lambda m: m.group().replace(":", "&#58;").replace(".", "&#46;"), text)


def _code(text: str, limit: int) -> str:
    """Return data as code, in which nothing is markup; a bar would end the cell of a table."""
    shown = plain(text, limit)
    if not shown:
        return ""
    fence = "`" * (max((len(run) for run in re.findall(r"`+", shown)), default=0) + 1)
    pad = " " if shown[:1] == "`" or shown[-1:] == "`" else ""
    return f"{fence}{pad}{shown}{pad}{fence}".replace("|", "\\|")
