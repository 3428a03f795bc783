"""Whether a child recipe is better than its parent, and by how much: exact paired statistics. Who is compared is elsewhere.

The unit is a source. Both recipes work on the same sources with the same seeds; what is tested is the difference per source.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Literal

from pydantic import Field, StrictFloat, StrictInt

from autodata_core.agreement import Z_95
from autodata_core.records import Record
from autodata_core.scoring import mean

__all__ = ["ALPHAS", "CLOSE", "Comparison", "compare", "gain_interval", "sign_flip_p"]

ALPHAS = (0.0015, 0.005, 0.01, 0.015)
"""Level of each look; together 0.0315, so that a child that changes nothing is chosen in less than 5 % of all cases, however the
looks depend on one another. Hard at first, so that luck in a few evaluations decides nothing. Ours."""

CLOSE = 0.08
"""A child that was not better by so little in the end may be tried once more; that adds less than 0.4 %. Ours."""

_GRID = 200
"""Differences below half a two-hundredth are none: a few tokens saved on every source are no improvement. What is no fraction
with a small denominator is tested in steps of one. Ours."""
_MOST_PARTS = 960
"""Differences are tested exactly where so many parts of one hold them all, as they do thirds and quarters of rows. Ours."""
_HOPELESS = 0.5
"""From this p-value at the first look a child is not looked at again. Ours."""


def sign_flip_p(differences: Sequence[Fraction | float]) -> float:
    """Return how often signs thrown by chance give at least this sum: the exact one-sided p-value, in (0, 1].

    No assumption about the scores beyond this one: without an effect, a difference is as likely as its opposite. Every one
    of the 2ⁿ assignments is counted, in time linear in the number of differences.

    Source:
        R. A. Fisher (1935), The Design of Experiments, section 21; the count by a generating function is ours.
    """
    exact = [Fraction(d).limit_denominator(1_000_000) for d in differences if round(Fraction(d) * _GRID)]
    if not exact:
        return 1.0
    parts = math.lcm(*(d.denominator for d in exact))
    steps = [round(d * (parts if parts <= _MOST_PARTS else _GRID)) for d in exact]
    divisor = math.gcd(*steps)
    reached = sum(step for step in steps if step > 0) // divisor
    # One number holds how many subsets have each sum, a slot of `width` bits for each.
    width = len(steps) + 1
    subsets = 1
    for step in steps:
        subsets += subsets << (abs(step) // divisor * width)
    tail = subsets >> (reached * width)
    return float(Fraction(tail % ((1 << width) - 1), 1 << len(steps)))  # the remainder is the sum of the slots


class GainInterval(Record):
    """A mean difference with its interval of 95 %, all in [-1, 1]."""

    gain: StrictFloat
    low: StrictFloat
    high: StrictFloat

    @property
    def excludes_zero(self) -> bool:
        return self.low > 0 or self.high < 0


def gain_interval(differences: Sequence[Fraction | float], *, shares: bool = False) -> GainInterval:
    """Return the mean difference with an interval of 95 %.

    Two made-up pairs, one for and one against at half weight, keep the interval from closing on small samples where every
    source says the same. Of nothing it is the whole of [-1, 1].

    Args:
        differences: One per source, in [-1, 1].
        shares: Whether they are differences of shares, which could be 1 even where none is; otherwise the made-up pairs are as
            large as the largest difference, and at least a tenth.

    Source:
        A. Agresti and Y. Min (2005), Statistics in Medicine 24, pages 729 to 740, for paired proportions; for means of bounded
        scores ours. The coverage of both is tested.
    """
    values = [float(d) for d in differences]
    if not values:
        return GainInterval(gain=0.0, low=-1.0, high=1.0)
    made_up = 1.0 if shares else max(0.1, *(abs(v) for v in values))
    n = len(values) + 2
    middle = math.fsum(values) / n
    variance = (math.fsum(v * v for v in values) + made_up * made_up) / n - middle * middle
    half = Z_95 * math.sqrt(max(0.0, variance) / n)
    gain = math.fsum(values) / len(values)
    return GainInterval(gain=gain, low=max(-1.0, min(gain, middle - half)), high=min(1.0, max(gain, middle + half)))


class Comparison(Record):
    """What one look, or the last of several, says of parent and child."""

    look: StrictInt = Field(ge=1)
    """How often was looked; each look adds one evaluation of both on every source."""
    sources: StrictInt
    """Sources on which both have a score."""
    parent: StrictFloat
    """Mean score on them, in [0, 1]."""
    child: StrictFloat
    gain: GainInterval
    """Of child over parent. As a choice was made by it, it flatters a child that joined; the test part does not."""
    p: StrictFloat
    """Exact and one-sided."""
    alpha: StrictFloat
    """Level of this look."""
    decision: Literal["better", "not better", "look again"]
    parent_accepted: StrictFloat = 0.0
    """Share of the evaluations that gave a row."""
    child_accepted: StrictFloat = 0.0


def compare(
    parent: Mapping[str, Sequence[float]],
    child: Mapping[str, Sequence[float]],
    *,
    look: int,
    alphas: Sequence[float] = ALPHAS,
    accepted: tuple[float, float] = (0.0, 0.0),
) -> Comparison:
    """Compare two recipes after so many looks.

    A child is better when its mean is strictly higher and the exact paired test says so at the level of the look.

    Args:
        parent: By source: scores in [0, 1], one per look, with the same seeds as the child's.
        child: The same.
        look: Number of this look, from 1.
        alphas: Level of each look.
        accepted: Shares of evaluations that gave a row, parent's and child's, for the record.
    """
    both = [name for name in parent if parent[name] and child.get(name)]
    pairs = [(_mean(parent[name]), _mean(child[name])) for name in both]
    differences = [after - before for before, after in pairs]
    p, alpha = sign_flip_p(differences), alphas[look - 1]
    ahead = bool(differences) and sum(differences, Fraction(0)) > 0
    if ahead and p <= alpha:
        decision: Literal["better", "not better", "look again"] = "better"
    elif not ahead or look == len(alphas) or p >= _HOPELESS:
        decision = "not better"
    else:
        decision = "look again"
    return Comparison(
        look=look,
        sources=len(pairs),
        parent=float(mean([before for before, _ in pairs])) if pairs else 0.0,
        child=float(mean([after for _, after in pairs])) if pairs else 0.0,
        gain=gain_interval(differences),
        p=p,
        alpha=alpha,
        decision=decision,
        parent_accepted=accepted[0],
        child_accepted=accepted[1],
    )


def _mean(scores: Sequence[float]) -> Fraction:
    return mean([Fraction(score).limit_denominator(1_000_000) for score in scores])
