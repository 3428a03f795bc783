"""Watches a run for collapse, batch by batch and across recipe versions. What a figure means is in `collapse`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from autodata_core.coverage.batches import Digest
from autodata_core.coverage.collapse import (
    DEFAULT_LIMITS,
    LEAST_TEXTS,
    Alarm,
    Figures,
    Limit,
    check_collapse,
    drift,
    figures,
)

__all__ = ["CollapseMonitor"]

_NEWEST = 4_000
"""Questions remembered; every figure is taken over fewer words than these have."""


@dataclass
class CollapseMonitor:
    """Takes up accepted questions and says when they become alike. One for a run; not safe from many threads."""

    human: Sequence[str] = ()
    """Questions of people, what made ones are compared with."""
    sources: Sequence[str] = ()
    """Texts of the sources, for the drift of vocabulary where there are no human questions."""
    limits: Sequence[Limit] = DEFAULT_LIMITS
    stops: bool = False
    """Whether a figure beyond its last limit ends the run; else it is only said."""
    alike: Callable[[Sequence[str]], tuple[Sequence[Sequence[float]], float]] = lambda questions: ((), 0.0)
    """Similarities of the newest questions, and their Vendi score; an adapter has the vectors."""
    _questions: list[str] = field(default_factory=list, init=False, repr=False)
    _seen: set[str] = field(default_factory=set, init=False, repr=False)

    @classmethod
    def of(cls, questions: Sequence[str], **settings: Any) -> CollapseMonitor:
        """Return a monitor that has heard these accepted questions, oldest first."""
        made = cls(**settings)
        made._questions += questions[-_NEWEST:]
        return made

    @cached_property
    def _baseline(self) -> Figures | None:
        return figures(self.human) if self.human else None

    def learn(self, item: Digest) -> None:
        """Take up a finished item, once."""
        if item.item not in self._seen:
            self._seen.add(item.item)
            self._questions += [one.question for one in item.accepted]
            del self._questions[:-_NEWEST]

    def figures(self, cells: Mapping[object, int] | None = None) -> Figures:
        """Return how varied the accepted questions are.

        Args:
            cells: Rows per topic or cell, with 0 for those that should have some.
        """
        similar, vendi = self.alike(self._questions) if self._questions else ((), 0.0)
        found = figures(
            self._questions,
            baseline=self.human,
            cells=cells,
            similarities=similar or None,
            vendi_score=vendi if similar else None,
        )
        if self.human or found.distinct_1 is None or not self.sources:
            return found
        return found.model_copy(update={"vocabulary_drift": drift(self._questions, self.sources)})

    def alarms(self, found: Figures) -> tuple[Alarm, ...]:
        """Return the figures beyond their limits, reasons to stop first; none of so few rows that they say nothing."""
        if found.texts < LEAST_TEXTS:
            return ()
        return check_collapse(found, self._baseline, self.limits)
