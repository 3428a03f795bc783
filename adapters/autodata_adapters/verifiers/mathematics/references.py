"""The expression of a spec, ready to be compared with: read once, with the points at which it has a value."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

from autodata_adapters.verifiers.mathematics.arithmetic import PRECISION, WORK_MAX, Work
from autodata_adapters.verifiers.mathematics.expressions import ExpressionError, Form
from autodata_adapters.verifiers.mathematics.reading import read
from autodata_adapters.verifiers.mathematics.spelling import stated
from autodata_adapters.verifiers.mathematics.values import evaluate
from autodata_core.records import canonical_json

__all__ = ["Reference", "to_reference"]

_SPEC_WORK_MAX = WORK_MAX / 8
"""What a reference may take, so that an answer like it can be compared."""
_POINTS_WANTED = 4
"""Points at which both sides must have a value. A polynomial of degree 20 vanishes at all of them with a chance below 1e-8."""
_RANGES = ((0, 1), (0, 1), (-1, 0), (1, 4), (-4, -1), (1, 4), (4, 20), (-20, -4), (0, 1), (20, 90))
"""Of each point that is tried: between which numbers its coordinates are drawn. Many functions live on some of them only."""


@dataclass(frozen=True)
class Reference:
    """An expression of a spec, ready to be compared with."""

    form: Form
    variables: tuple[str, ...]
    points: tuple[dict[str, Fraction], ...]
    """Where it has a value."""

    @property
    def points_wanted(self) -> int:
        """Points at which an answer must be equal."""
        return _POINTS_WANTED if self.variables else 1


@lru_cache(maxsize=64)
def to_reference(expression: str, variables: tuple[str, ...]) -> Reference | str:
    """Return the reference of a spec, or why it cannot be one."""
    try:
        form = read(stated(expression, scalar=False), variables)
        work = Work(_SPEC_WORK_MAX)
        drawn = _points(expression, variables)
        points = tuple(point for point in drawn if evaluate(form, point, PRECISION, work) is not None)
    except ExpressionError as fault:
        return str(fault)
    reference = Reference(form, variables, points)
    if len(points) < reference.points_wanted:
        return "it has no value at enough points to compare at" if variables else "it has no value"
    return reference


def _points(expression: str, variables: tuple[str, ...]) -> Iterator[dict[str, Fraction]]:
    """Yield points of rational coordinates that nobody can guess who does not know the expression."""
    if not variables:
        yield {}
        return
    drawn = random.Random(canonical_json([expression, list(variables)]))  # noqa: S311 - must repeat
    for number in range(len(_RANGES)):
        point = {}
        for place, name in enumerate(variables):
            low, high = _RANGES[(number + (drawn.randrange(len(_RANGES)) if place else 0)) % len(_RANGES)]
            below = drawn.randrange(101, 1_000)
            point[name] = low + Fraction(drawn.randrange(1, below), below) * (high - low)
        yield point
