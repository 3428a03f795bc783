"""Sums and products of values that are exact as long as they can be, and else enclosed in an interval of bounded size."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from importlib import import_module
from typing import Any

from autodata_adapters.verifiers.mathematics.expressions import ExpressionError

__all__ = [
    "BITS_MAX",
    "MAGNITUDE_MAX",
    "PRECISION",
    "WORK_MAX",
    "Arithmetic",
    "Interval",
    "UndefinedError",
    "Value",
    "Work",
    "holds_zero",
    "magnitudes",
    "sign",
]

BITS_MAX = 16_000
"""Size of an exact fraction; a larger one goes on as an interval."""
MAGNITUDE_MAX = 12_000
"""Binary exponent of any value. What is larger is not worked out."""
PRECISION = 512
"""Bits of an interval at first; more where values of very different size meet."""
WORK_MAX = 16_000
"""Transcendental operations of one verification, weighed by their precision: a third of a second."""

Interval = tuple[Any, Any]
"""Two numbers in mpmath's own form: sign, mantissa, exponent, bits of the mantissa."""
Value = Fraction | Interval
"""Exact, or an interval that encloses it."""


class UndefinedError(Exception):
    """No real value here: a division by zero, a root of a negative number, or a size that is not worked out."""


@dataclass
class Work:
    """What one verification may still spend."""

    left: float = WORK_MAX

    def spend(self, amount: float) -> None:
        self.left -= amount
        if self.left < 0:
            raise ExpressionError("too much to work out")


@dataclass
class Arithmetic:
    """Works with one precision, and notes how far apart the sizes are that met."""

    precision: int
    work: Work
    low: int = 0
    """Smallest binary exponent of any value on the way."""
    high: int = 0
    """Largest one."""
    mp: Any = field(default_factory=lambda: import_module("mpmath.libmp.libmpi"))
    """Operations on intervals."""
    from_rational: Any = field(default_factory=lambda: import_module("mpmath.libmp").from_rational)

    def do(self, operation: str, *given: Any) -> Interval:
        """Return the interval that an operation of mpmath gives with this precision."""
        found: Interval = getattr(self.mp, operation)(*given, self.precision)
        return found

    def spend(self, amount: float) -> None:
        """Spend work that grows with the precision."""
        self.work.spend(amount * self.precision / PRECISION)

    def interval(self, value: Value) -> Interval:
        if not isinstance(value, Fraction):
            return value
        return (
            self.from_rational(value.numerator, value.denominator, self.precision, "f"),
            self.from_rational(value.numerator, value.denominator, self.precision, "c"),
        )

    def bounded(self, value: Value) -> Value:
        """Return the value, as an interval where it is too large to go on as a fraction.

        Raises:
            UndefinedError: It is infinite or too large for that, too.
        """
        if isinstance(value, Fraction):
            above, below = value.numerator.bit_length(), value.denominator.bit_length()
            if not value:
                return value
            if above + below <= BITS_MAX:
                self._note(above - below)
                return value
            value = self.interval(value)
        if any(end[1] == 0 and end[2] != 0 for end in value):  # infinite or not a number
            raise UndefinedError
        around_zero = holds_zero(value)  # then its ends say how exact it is, and not how small
        for magnitude in magnitudes(value):
            self._note(max(0, magnitude) if around_zero else magnitude)
        return value

    def _note(self, magnitude: int) -> None:
        if abs(magnitude) > MAGNITUDE_MAX:
            raise UndefinedError
        self.high = max(self.high, magnitude)
        self.low = min(self.low, magnitude)

    def minus(self, one: Value) -> Value:
        return -one if isinstance(one, Fraction) else self.do("mpi_neg", one)

    def plus(self, one: Value, two: Value) -> Value:
        if isinstance(one, Fraction) and isinstance(two, Fraction):
            return one + two
        return self.do("mpi_add", *self._intervals(one, two))

    def times(self, one: Value, two: Value) -> Value:
        if isinstance(one, Fraction) and isinstance(two, Fraction):
            return one * two
        return self.do("mpi_mul", *self._intervals(one, two))

    def over(self, one: Value, two: Value) -> Value:
        if isinstance(one, Fraction) and isinstance(two, Fraction):
            if two == 0:
                raise UndefinedError
            return one / two
        above, below = self._intervals(one, two)
        if holds_zero(below):
            raise UndefinedError
        return self.do("mpi_div", above, below)

    def _intervals(self, one: Value, two: Value) -> tuple[Interval, Interval]:
        self.work.spend(0.1)
        return self.interval(one), self.interval(two)


def sign(number: Any) -> int:
    """Return the sign of a number in mpmath's own form."""
    return 0 if not number[1] else -1 if number[0] else 1


def holds_zero(value: Interval) -> bool:
    return sign(value[0]) <= 0 <= sign(value[1])


def magnitudes(value: Interval) -> list[int]:
    """Return the binary exponents of the ends that are not 0."""
    return [end[2] + end[3] for end in value if end[1]]
