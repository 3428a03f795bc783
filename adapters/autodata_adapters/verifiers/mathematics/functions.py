"""Powers, roots and the functions of analysis, each of a value that may be exact or an interval.

All raise `UndefinedError` where the function has no real value, or where the interval does not tell whether it has one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from fractions import Fraction

from autodata_adapters.verifiers.mathematics.arithmetic import (
    BITS_MAX,
    MAGNITUDE_MAX,
    Arithmetic,
    Interval,
    UndefinedError,
    Value,
    holds_zero,
    magnitudes,
    sign,
)

__all__ = ["CALLS", "constant", "power"]

_FACTORIAL_MAX = 170
_ARGUMENT_MAX = 256
"""Binary exponent of an angle: sine of more needs as many digits of pi."""
_EXP_ARGUMENT_MAX = 14
"""Binary exponent of what is put into `exp`: more gives sizes that are not worked out."""
_ROOT_MAX = 1_000
"""Numerator of a half up to which `x^(n/2)` is a power of a root; beyond, it goes by logarithms."""


def constant(a: Arithmetic, name: str) -> Interval:
    """Return `pi` or `e`."""
    a.work.spend(1)
    return a.do("mpi_pi") if name == "pi" else a.do("mpi_exp", a.mp.mpi_one)


def power(a: Arithmetic, base: Value, exponent: Value) -> Value:
    if isinstance(exponent, Fraction):
        if exponent.denominator == 1:
            return _integer_power(a, base, int(exponent))
        if exponent.denominator == 2 and abs(exponent.numerator) < _ROOT_MAX:
            return _integer_power(a, _sqrt(a, base), exponent.numerator)
        if base == 0 and exponent > 0:
            return Fraction(0)
    if base == 1:
        return base
    return _exp(a, a.times(exponent, _ln(a, base)))


def _integer_power(a: Arithmetic, base: Value, exponent: int) -> Value:
    if base == 0 and exponent <= 0:
        raise UndefinedError
    if exponent == 0:
        return Fraction(1)
    if isinstance(base, Fraction):
        if base in (0, 1, -1):
            return base if exponent % 2 else abs(base)
        bits = max(base.numerator.bit_length(), base.denominator.bit_length())
        if bits * abs(exponent) <= BITS_MAX:
            return base**exponent
    found = a.interval(base)
    size = max((abs(magnitude) for magnitude in magnitudes(found)), default=0)
    if abs(exponent) > 100 * MAGNITUDE_MAX or size * abs(exponent) > 2 * MAGNITUDE_MAX + abs(exponent):
        raise UndefinedError
    if exponent < 0 and holds_zero(found):
        raise UndefinedError
    a.work.spend(abs(exponent).bit_length() * 0.2)
    return a.do("mpi_pow_int", found, exponent)


def _sqrt(a: Arithmetic, value: Value) -> Value:
    if isinstance(value, Fraction):
        if value < 0:
            raise UndefinedError
        above, below = math.isqrt(value.numerator), math.isqrt(value.denominator)
        if above**2 == value.numerator and below**2 == value.denominator:
            return Fraction(above, below)
    low, high = a.interval(value)
    if sign(high) < 0:
        raise UndefinedError
    a.spend(1)
    return a.do("mpi_sqrt", (a.mp.fzero if sign(low) < 0 else low, high))  # 0, found with a last digit below it


def _cbrt(a: Arithmetic, value: Value) -> Value:
    if value == 0:
        return value
    low, high = (value, value) if isinstance(value, Fraction) else (sign(value[0]), sign(value[1]))
    if low > 0:
        return power(a, value, Fraction(1, 3))
    if high < 0:
        return a.minus(power(a, a.minus(value), Fraction(1, 3)))
    raise UndefinedError


def _ln(a: Arithmetic, value: Value) -> Value:
    if value == 1:
        return Fraction(0)
    found = a.interval(value)
    if sign(found[0]) <= 0:
        raise UndefinedError
    a.spend(3)
    return a.do("mpi_log", found)


def _exp(a: Arithmetic, value: Value) -> Value:
    if value == 0:
        return Fraction(1)
    found = a.interval(value)
    if any(magnitude > _EXP_ARGUMENT_MAX for magnitude in magnitudes(found)):
        raise UndefinedError
    a.spend(3)
    return a.do("mpi_exp", found)


def _log(base: int) -> Callable[[Arithmetic, Value], Value]:
    return lambda a, value: a.over(_ln(a, value), _ln(a, Fraction(base)))


def _angle(a: Arithmetic, value: Value) -> Interval:
    found = a.interval(value)
    if any(magnitude > _ARGUMENT_MAX for magnitude in magnitudes(found)):
        raise UndefinedError
    a.spend(4)
    return found


def _sin(a: Arithmetic, value: Value) -> Value:
    return a.do("mpi_sin", _angle(a, value))


def _cos(a: Arithmetic, value: Value) -> Value:
    return a.do("mpi_cos", _angle(a, value))


def _atan(a: Arithmetic, value: Value) -> Value:
    found = a.interval(value)
    a.spend(4)
    return a.do("mpi_atan", found)


def _asin(a: Arithmetic, value: Value) -> Value:
    if value == 1:
        return _right_angle(a)
    if value == -1:
        return a.minus(_right_angle(a))
    root = _sqrt(a, a.plus(Fraction(1), a.minus(a.times(value, value))))
    return _atan(a, a.over(value, root))


def _acos(a: Arithmetic, value: Value) -> Value:
    return a.plus(_right_angle(a), a.minus(_asin(a, value)))


def _right_angle(a: Arithmetic) -> Value:
    return a.over(a.do("mpi_pi"), Fraction(2))


def _even_and_odd(a: Arithmetic, value: Value) -> tuple[Value, Value]:
    """Return `e^x + e^-x` and `e^x - e^-x`."""
    up, down = _exp(a, value), _exp(a, a.minus(value))
    return a.plus(up, down), a.plus(up, a.minus(down))


def _cosh(a: Arithmetic, value: Value) -> Value:
    return a.over(_even_and_odd(a, value)[0], Fraction(2))


def _sinh(a: Arithmetic, value: Value) -> Value:
    return a.over(_even_and_odd(a, value)[1], Fraction(2))


def _tanh(a: Arithmetic, value: Value) -> Value:
    even, odd = _even_and_odd(a, value)
    return a.over(odd, even)


def _abs(a: Arithmetic, value: Value) -> Value:
    return abs(value) if isinstance(value, Fraction) else a.do("mpi_abs", value)


def _factorial(a: Arithmetic, value: Value) -> Value:
    if not isinstance(value, Fraction) or value.denominator != 1 or not 0 <= value <= _FACTORIAL_MAX:
        raise UndefinedError
    return Fraction(math.factorial(int(value)))


CALLS: Mapping[str, Callable[[Arithmetic, Value], Value]] = {
    "sqrt": _sqrt,
    "cbrt": _cbrt,
    "exp": _exp,
    "ln": _ln,
    "log2": _log(2),
    "log10": _log(10),
    "sin": _sin,
    "cos": _cos,
    "tan": lambda a, value: a.over(_sin(a, value), _cos(a, value)),
    "cot": lambda a, value: a.over(_cos(a, value), _sin(a, value)),
    "sec": lambda a, value: a.over(Fraction(1), _cos(a, value)),
    "csc": lambda a, value: a.over(Fraction(1), _sin(a, value)),
    "asin": _asin,
    "acos": _acos,
    "atan": _atan,
    "sinh": _sinh,
    "cosh": _cosh,
    "tanh": _tanh,
    "abs": _abs,
    "factorial": _factorial,
}
"""By the name that `tokens.FUNCTIONS` gives it."""
