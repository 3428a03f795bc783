"""Works out the values of what was read, at one point."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from threading import Lock

from autodata_adapters.verifiers.mathematics.arithmetic import Arithmetic, UndefinedError, Value, Work
from autodata_adapters.verifiers.mathematics.expressions import Form, Node
from autodata_adapters.verifiers.mathematics.functions import CALLS, constant, power

__all__ = ["Values", "evaluate"]

_LOCK = Lock()
"""Mpmath keeps its constants in places that two threads must not fill at once."""


@dataclass(frozen=True)
class Values:
    """Values of the parts of a form, with the arithmetic that found them."""

    parts: tuple[Value, ...]
    arithmetic: Arithmetic


def evaluate(form: Form, point: Mapping[str, Fraction], precision: int, work: Work) -> Values | None:
    """Return the values at a point, None when one of them is undefined there.

    Raises:
        ExpressionError: The work is spent.
    """
    arithmetic = Arithmetic(precision, work)
    try:
        with _LOCK:
            return Values(tuple(_value(part, point, arithmetic) for part in form.parts), arithmetic)
    except UndefinedError:
        return None


def _value(node: Node, point: Mapping[str, Fraction], a: Arithmetic) -> Value:
    given = [_value(part, point, a) for part in node.inner]
    return a.bounded(_applied(node, given, point, a))


def _applied(node: Node, given: list[Value], point: Mapping[str, Fraction], a: Arithmetic) -> Value:
    match node.kind:
        case "number":
            return node.value
        case "variable":
            return point[node.name]
        case "constant":
            return constant(a, node.name)
        case "call":
            return CALLS[node.name](a, *given)
        case "-":
            return a.minus(*given)
        case "+":
            return a.plus(*given)
        case "*":
            return a.times(*given)
        case "/":
            return a.over(*given)
        case "^":
            return power(a, *given)
