"""Compares an answer with a reference, point by point, and tells them apart only where they differ for certain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction

from autodata_adapters.verifiers.mathematics.arithmetic import (
    PRECISION,
    Arithmetic,
    Value,
    Work,
    holds_zero,
    magnitudes,
)
from autodata_adapters.verifiers.mathematics.expressions import Form, FormKind
from autodata_adapters.verifiers.mathematics.references import Reference
from autodata_adapters.verifiers.mathematics.values import Values, evaluate
from autodata_core.ports import VerifierReply

__all__ = ["compare"]

_PRECISION_MAX = 4_096
"""Bits of an interval when values of very different size meet."""


def compare(reference: Reference, given: Form) -> VerifierReply:
    """Return whether `given` is equal to the reference wherever that has a value.

    Raises:
        ExpressionError: The work is spent.
    """
    fault = _shape_fault(reference.form, given)
    if fault:
        return VerifierReply(outcome="fail", evidence=fault)
    work = Work()
    agreed = undefined = 0
    for point in reference.points:
        same = _same_at(reference.form, given, point, work)
        if same is False:
            where = ", ".join(f"{name} = {value}" for name, value in point.items())
            return VerifierReply(outcome="fail", evidence=f"differs{' at ' + where if where else ' in value'}")
        agreed += same is True
        undefined += same is None
    if agreed >= reference.points_wanted:
        return VerifierReply(outcome="pass", evidence=f"equal at {agreed} points" if reference.variables else "equal")
    if not agreed:
        return VerifierReply(
            outcome="fail", evidence="has no value, or none that can be worked out, where the reference has one"
        )
    return VerifierReply(
        outcome="error", evidence=f"equal at {agreed} points, too few to tell; {undefined} have no value"
    )


def _shape_fault(wanted: Form, given: Form) -> str:
    if wanted.kind == "value" and given.kind != "value":
        return f"{len(given.parts)} values, wanted one"
    if wanted.kind == "tuple" and (given.opening, given.closing) != (wanted.opening, wanted.closing):
        return f"wanted {len(wanted.parts)} values in {wanted.opening} {wanted.closing}"
    if wanted.kind == "set" and given.kind == "tuple":
        return "wanted a set"
    if wanted.kind == "tuple" and len(given.parts) != len(wanted.parts):
        return f"{len(given.parts)} values, wanted {len(wanted.parts)}"
    return ""


def _same_at(wanted: Form, given: Form, point: Mapping[str, Fraction], work: Work) -> bool | None:
    """Return whether both are equal at a point, None when one has no value there or it cannot be told."""
    precision = PRECISION
    while precision <= _PRECISION_MAX:
        one, two = evaluate(wanted, point, precision, work), evaluate(given, point, precision, work)
        if one is None or two is None:
            return None
        equal = _all_equal(wanted.kind, one, two)
        needed = PRECISION + 4 * _sizes_apart(one, two)
        exact = all(isinstance(value, Fraction) for value in (*one.parts, *two.parts))
        if equal is False or exact or precision >= needed:
            return equal
        precision = needed
    return None


def _sizes_apart(one: Values, two: Values) -> int:
    a, b = one.arithmetic, two.arithmetic
    return max(a.high, b.high) - min(a.low, b.low)


def _all_equal(kind: FormKind, one: Values, two: Values) -> bool | None:
    arithmetic = one.arithmetic
    if kind == "set":
        forward = _each_among(one.parts, two.parts, arithmetic)
        return _each_among(two.parts, one.parts, arithmetic) if forward else forward
    found = [_equal(a, b, arithmetic) for a, b in zip(one.parts, two.parts, strict=True)]
    return False if False in found else None if None in found else True


def _each_among(these: Sequence[Value], those: Sequence[Value], arithmetic: Arithmetic) -> bool | None:
    for a in these:
        found = [_equal(a, b, arithmetic) for b in those]
        if True not in found:
            return None if None in found else False
    return True


def _equal(one: Value, two: Value, arithmetic: Arithmetic) -> bool | None:
    """Return False when the values differ for certain, True when they agree in all digits but the last, else None."""
    if isinstance(one, Fraction) and isinstance(two, Fraction):
        return one == two
    mp = arithmetic.mp
    a, b = arithmetic.interval(one), arithmetic.interval(two)
    apart = mp.mpi_sub(a, b, arithmetic.precision)
    if not holds_zero(apart):
        return False
    largest = max([0, *magnitudes(a), *magnitudes(b)])
    width = mp.mpf_sub(apart[1], apart[0], 20, "u")
    exact = not width[1] or width[2] + width[3] <= largest - arithmetic.precision // 2
    return True if exact else None
