"""The figures of an audit: gate by gate, of the whole filter, and by kind of fault. How they are shown is up to a card."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from autodata_core.agreement import BAR, Confusion, GateFigures, Standing, WeightedShare, standing, weighted_share
from autodata_core.audit.gold import Label
from autodata_core.audit.matching import GoldFigures
from autodata_core.audit.rows import UNREAD, RowOpinions

__all__ = ["UNNAMED", "AuditReport", "FaultFigures", "report"]

UNNAMED = "not named"
"""Stands for the fault of a row that is only labelled as faulty."""


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
    """Gate, why it could not tell, and of how many rows: in the order of the gates, the most rows first."""
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
    labelled = [(row, labels[row.row.line]) for row in rows if row.row.line in labels]
    names = list(dict.fromkeys(opinion.gate for row in rows for opinion in row.opinions))
    gates = tuple(_figures(name, by.get(name, "rule"), rows, labels if gold else None) for name in names)
    confusion = Confusion.of((label.faulty, row.refused) for row, label in labelled) if gold else None
    drawn = [(row.refused == label.faulty, float(label.inclusion)) for row, label in labelled if label.inclusion]
    return AuditReport(
        rows=tuple(rows),
        gates=gates,
        overall=_overall(rows, gates, confusion),
        unverified=_unverified(rows, names),
        bar=bar,
        gold=gold,
        weighted=weighted_share(drawn),
        faults=_by_fault(labelled, set(names)),
        alarms=tuple(row for row, label in labelled if row.refused and not label.faulty),
    )


def _overall(rows: Sequence[RowOpinions], gates: Sequence[GateFigures], confusion: Confusion | None) -> GateFigures:
    return GateFigures(
        name="overall",
        by="any gate",
        looked=len(rows),
        refused=sum(row.refused for row in rows),
        confusion=confusion,
        calls=sum(gate.calls for gate in gates),
        cost_usd=math.fsum(gate.cost_usd for gate in gates),
    )


def _unverified(rows: Sequence[RowOpinions], names: Sequence[str]) -> tuple[tuple[str, str, int], ...]:
    unread = sum(row.row.candidate is None for row in rows)
    silent = Counter((o.gate, o.detail) for row in rows if row.row.candidate for o in row.opinions if o.passed is None)
    found = sorted(silent.items(), key=lambda each: (names.index(each[0][0]), -each[1], each[0][1]))
    first = (("all others", UNREAD, unread),) if unread else ()
    return (*first, *((gate, why, n) for (gate, why), n in found))


def _figures(name: str, by: str, rows: Sequence[RowOpinions], labels: Mapping[int, Label] | None) -> GateFigures:
    said = [(row.row.line, opinion) for row in rows if (opinion := row.of(name)) is not None]
    told = [(line, opinion) for line, opinion in said if opinion.passed is not None]
    confusion = None
    if labels is not None:
        confusion = Confusion.of(
            (faulty, not opinion.passed)
            for line, opinion in told
            if line in labels and (faulty := labels[line].has(name)) is not None
        )
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
