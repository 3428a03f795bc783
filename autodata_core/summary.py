"""Figures over finished items: yield, refusals by kind, gap, rounds. Pure counting; nothing is decided here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from autodata_core.item import ItemState
from autodata_core.records import ReasonKind, Usage
from autodata_core.scoring import attempt_score, mean

__all__ = ["Summary", "summarise"]


@dataclass
class Summary:
    """What a run gave so far. Means are None where there is nothing to average."""

    items: Counter[str] = field(default_factory=Counter)
    """Finished items by status."""
    refusals: Counter[ReasonKind] = field(default_factory=Counter)
    """Refused rounds by the kind of their first reason."""
    question_types: Counter[str] = field(default_factory=Counter)
    """Accepted rows by question type."""
    sources: set[str] = field(default_factory=set)
    """Sources with an accepted row."""
    rounds: list[int] = field(default_factory=list)
    """Rounds each accepted row took."""
    weak: list[Fraction] = field(default_factory=list)
    """Mean weak score of each accepted row."""
    strong: list[Fraction] = field(default_factory=list)
    weak_refused: list[Fraction] = field(default_factory=list)
    """Mean weak score of each refused candidate whose attempts were scored."""
    spread: list[Fraction] = field(default_factory=list)
    """Best minus worst weak score of each accepted row."""
    attempts: int = 0
    flags: Counter[str] = field(default_factory=Counter)
    """Flags over all attempts: `truncated`, `refusal`, …"""
    usage: dict[str, Usage] = field(default_factory=dict)
    """By role, over all finished items."""
    usage_by_outcome: dict[str, Usage] = field(default_factory=dict)
    """By item status: what accepted rows cost, and what was paid for nothing."""
    controls: dict[str, Counter[bool]] = field(default_factory=dict)
    """By control: how often it came out right, and how often not."""

    @property
    def accepted(self) -> int:
        return self.items["accepted"]

    @property
    def total_usage(self) -> Usage:
        total = Usage()
        for usage in self.usage.values():
            total = total.plus(usage)
        return total


def average(values: list[Fraction]) -> float | None:
    """Return the mean as a float, None of nothing."""
    return float(mean(values)) if values else None


def summarise(states: Iterable[Mapping[str, object] | ItemState]) -> Summary:
    """Return the figures of finished items, given as states or their JSON."""
    summary = Summary()
    for value in states:
        state = value if isinstance(value, ItemState) else ItemState.from_json(value)
        summary.items[state.status] += 1
        for role, usage in state.usage.items():
            summary.usage[role] = summary.usage.get(role, Usage()).plus(usage)
            outcome = summary.usage_by_outcome.get(state.status, Usage())
            summary.usage_by_outcome[state.status] = outcome.plus(usage)
        _count_rounds(summary, state)
    return summary


def _count_rounds(summary: Summary, state: ItemState) -> None:
    for round_ in state.history:
        attempts = (*round_.weak, *round_.strong)
        for name, right in round_.controls.items():
            summary.controls.setdefault(name, Counter())[right] += 1
        summary.attempts += len(attempts)
        summary.flags.update(flag for attempt in attempts for flag in attempt.flags)
        rubric = round_.candidate.rubric if round_.candidate else None
        weak = [attempt_score(a, rubric) for a in round_.weak if a.outcome == "scored"]
        strong = [attempt_score(a, rubric) for a in round_.strong if a.outcome == "scored"]
        if not round_.verdict.accepted:
            summary.refusals[round_.verdict.reasons[0].kind] += 1
            if weak and len(weak) == len(round_.weak):
                summary.weak_refused.append(mean(weak))
            continue
        summary.rounds.append(round_.number)
        summary.sources.add(state.source_id)
        summary.weak.append(mean(weak))
        summary.strong.append(mean(strong))
        summary.spread.append(max(weak) - min(weak))
        if round_.candidate:
            summary.question_types[round_.candidate.question_type] += 1
