"""Gates as a table: what cards of a run and of an audit share, with how to read it. Shares never flatter."""

from __future__ import annotations

import math
from collections.abc import Sequence

from autodata_cli.cards import Card, Table
from autodata_core.agreement import BAR, Confusion, GateFigures, Interval, fewest_for

__all__ = ["gate_table", "how_to_read", "run_card", "share"]


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
    unknown = [f"No control was run for {', '.join(uncontrolled)}; nothing is known of how right they are."]
    return Card(
        title,
        tuple(headline),
        tuple(facts),
        (gate_table(figures, bar, "Gates, verifiers and judges, against their controls"), *tables),
        (*(unknown if uncontrolled else []), *notes, *how_to_read(bar)),
    )


def gate_table(figures: Sequence[GateFigures], bar: float, title: str) -> Table:
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


def how_to_read(bar: float, *, weighted: bool = False) -> tuple[str, ...]:
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


def share(share: float | None, bounds: Interval, digits: int = 3) -> str:
    """Return a share with its interval, rounded so that it never flatters."""
    if share is None:
        return "–"
    low, high = _down(bounds.low, digits), -_down(-bounds.high, digits)
    return f"{_down(share, digits):.{digits}f} ({low:.{digits}f}–{high:.{digits}f})"


def _measured(found: Confusion | None, bar: float) -> list[str]:
    if found is None or not found.n:
        return ["0", "–", "–", "–", "–", "not measured"]
    recall = share(found.recall, found.recall_bounds, 2) if found.tp + found.fn else "no faults"
    return [
        str(found.n),
        share(found.agreement, found.agreement_bounds),
        share(found.precision, found.precision_bounds, 2),
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


def _down(value: float, digits: int) -> float:
    scale = 10.0**digits
    return math.floor(round(value * scale, 9)) / scale
