"""How far a filter agrees with known labels: counts, intervals, and whether a bar is met. Where the labels come from is not here.

The positive class is "refuse": a true positive is a faulty row that was refused.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

__all__ = [
    "BAR",
    "Z_95",
    "Confusion",
    "GateFigures",
    "Interval",
    "Standing",
    "WeightedShare",
    "fewest_for",
    "standing",
    "weighted_share",
    "wilson",
]

Z_95 = 1.959963984540054
"""The 97.5 % point of the normal distribution: two-sided intervals of 95 %."""

BAR = 0.95
"""Ours: agreement from which a gate is called verified, when its lower bound reaches it."""


@dataclass(frozen=True)
class Interval:
    """Where a share lies, with 95 % confidence; bounds in [0, 1]."""

    low: float
    high: float


def wilson(hits: float, n: float) -> Interval:
    """Return the Wilson score interval of 95 % for `hits` out of `n`.

    Exactly 0 below when nothing hit and exactly 1 above when everything did; of nothing at all it is the whole of [0, 1].
    Neither needs to be whole: a weighted sample has an effective size.

    Raises:
        ValueError: Fewer than 0 hits, or more than `n`.

    Source:
        E. B. Wilson (1927), JASA 22, pages 209 to 212.
    """
    if not 0 <= hits <= n or not math.isfinite(n):
        raise ValueError(f"hits lie between 0 and n, got {hits!r} of {n!r}")
    if n == 0:
        return Interval(0.0, 1.0)
    share, z2 = hits / n, Z_95 * Z_95
    middle = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = Z_95 * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n)) / (1 + z2 / n)
    low = 0.0 if hits == 0 else max(0.0, middle - half)
    high = 1.0 if hits == n else min(1.0, middle + half)
    return Interval(low, high)


Standing = Literal["met", "not shown", "not met"]
"""`met`: the lower bound reaches the bar. `not shown`: the estimate does, its bound does not. `not met`: neither."""


def standing(share: float | None, bounds: Interval, bar: float = BAR) -> Standing:
    """Return how a share stands to a bar; a share of nothing is not shown."""
    if share is None:
        return "not shown"
    if bounds.low >= bar:
        return "met"
    return "not shown" if share >= bar else "not met"


def fewest_for(bar: float = BAR) -> int:
    """Return the fewest labels that can show a bar: with all of them right the lower bound reaches it. `bar` is below 1."""
    n = max(1, math.floor(bar / (1 - bar) * Z_95 * Z_95))
    while wilson(n, n).low < bar:
        n += 1
    return n


@dataclass(frozen=True)
class Confusion:
    """What was refused against what ought to be."""

    tp: int = 0
    """Faulty rows that were refused."""
    fp: int = 0
    """Sound rows that were refused."""
    fn: int = 0
    """Faulty rows that were kept."""
    tn: int = 0
    """Sound rows that were kept."""

    @classmethod
    def of(cls, pairs: Iterable[tuple[bool, bool]]) -> Confusion:
        """Return the counts of `(faulty, refused)` pairs."""
        counts = {(True, True): 0, (False, True): 0, (True, False): 0, (False, False): 0}
        for faulty, refused in pairs:
            counts[faulty, refused] += 1
        return cls(counts[True, True], counts[False, True], counts[True, False], counts[False, False])

    @property
    def n(self) -> int:
        return self.tp + self.fp + self.fn + self.tn

    @property
    def agreement(self) -> float | None:
        """Share of rows where filter and label say the same; None of none."""
        return _share(self.tp + self.tn, self.n)

    @property
    def agreement_bounds(self) -> Interval:
        return wilson(self.tp + self.tn, self.n)

    @property
    def precision(self) -> float | None:
        """Share of the refused rows that are faulty; None when nothing was refused."""
        return _share(self.tp, self.tp + self.fp)

    @property
    def precision_bounds(self) -> Interval:
        return wilson(self.tp, self.tp + self.fp)

    @property
    def recall(self) -> float | None:
        """Share of the faulty rows that were refused; None when none is faulty."""
        return _share(self.tp, self.tp + self.fn)

    @property
    def recall_bounds(self) -> Interval:
        return wilson(self.tp, self.tp + self.fn)

    @property
    def kappa(self) -> float | None:
        """Cohen's kappa: agreement beyond what chance would give; None where both sides say one thing of every row.

        Source:
            J. Cohen (1960), Educational and Psychological Measurement 20, pages 37 to 46.
        """
        n = self.n
        refused, faulty = self.tp + self.fp, self.tp + self.fn
        by_chance = refused * faulty + (n - refused) * (n - faulty)  # times n², so that it is exact
        if by_chance == n * n:
            return None
        return (n * (self.tp + self.tn) - by_chance) / (n * n - by_chance)

    def standing(self, bar: float = BAR) -> Standing:
        """Return how the agreement stands to a bar."""
        return standing(self.agreement, self.agreement_bounds, bar)

    def too_few(self, bar: float = BAR) -> bool:
        """Return whether so few labels cannot show the bar, even with every one right."""
        return wilson(self.n, self.n).low < bar

    def plus(self, other: Confusion) -> Confusion:
        return Confusion(self.tp + other.tp, self.fp + other.fp, self.fn + other.fn, self.tn + other.tn)


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


@dataclass(frozen=True)
class WeightedShare:
    """A share of a population, estimated from a sample in which not every row was as likely to be drawn."""

    share: float
    bounds: Interval
    n: int
    """Rows in the sample."""
    n_effective: float
    """Equally weighted rows that would say as much; at most `n`."""


def weighted_share(hits: Iterable[tuple[bool, float]]) -> WeightedShare | None:
    """Return the share of hits in the population from `(hit, inclusion)` pairs; None of none.

    Every row counts for 1 / inclusion rows. The interval is Wilson's at the effective sample size (Σw)² / Σw².

    Args:
        hits: Whether the row is a hit, and how likely it was to be drawn, in (0, 1].

    Raises:
        ValueError: A probability outside (0, 1].

    Source:
        J. Hájek (1971) for the ratio of weighted sums, L. Kish (1965) for the effective size.
    """
    pairs = list(hits)
    if not all(0 < inclusion <= 1 for _, inclusion in pairs):
        raise ValueError("inclusion is a probability above 0 and at most 1")
    if not pairs:
        return None
    total = math.fsum(1 / inclusion for _, inclusion in pairs)
    squares = math.fsum(1 / inclusion**2 for _, inclusion in pairs)
    hit = math.fsum(1 / inclusion for right, inclusion in pairs if right)
    share = 1.0 if all(right for right, _ in pairs) else min(1.0, hit / total)
    effective = min(float(len(pairs)), total * total / squares)
    return WeightedShare(share, wilson(min(effective, share * effective), effective), len(pairs), effective)


@dataclass(frozen=True)
class GateFigures:
    """The figures of one gate, verifier or critic, wherever its right answers come from."""

    name: str
    by: str
    """`rule`, `verifier`, `coverage`, or the name of the model that was asked."""
    looked: int
    """Rows, or controls, that it gave a verdict on."""
    refused: int
    confusion: Confusion | None = None
    """None where no right answer is known."""
    unlooked: int = 0
    """Rows it could not say anything about; why is told elsewhere."""
    calls: int = 0
    """Calls to models."""
    cost_usd: float = 0.0
