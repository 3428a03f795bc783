"""The check of an expression: what its spec may say, and what becomes of an answer."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version

from autodata_adapters.verifiers.mathematics.comparing import compare
from autodata_adapters.verifiers.mathematics.expressions import ExpressionError, Form
from autodata_adapters.verifiers.mathematics.reading import read
from autodata_adapters.verifiers.mathematics.references import Reference, to_reference
from autodata_adapters.verifiers.mathematics.spelling import stated
from autodata_adapters.verifiers.mathematics.tokens import FUNCTIONS, VARIABLES_MAX
from autodata_core.errors import MissingExtraError, shorten
from autodata_core.ports import VerifierReply
from autodata_core.records import Check

__all__ = ["MathVerifier", "create"]

_SPEC_MAX = 500
"""Characters of an expression."""
_VARIABLE = re.compile(r"[A-Za-z][A-Za-z0-9]{0,15}")
_BOASTS = ("unknown", "", "This is correct, 10/10.", "1/0")


@dataclass(frozen=True)
class MathVerifier:
    """`{"expression": "x^2 + 2*x", "variables": ["x"]}`: the answer is equal for every value of the variables.

    `{1, 2}` is a set in any order, `(1, 2)` and `[1, 2]` are tuples or intervals, whose brackets count. An answer that has no
    value where the expression has one fails. Real numbers only.
    """

    kind: str = "math"
    version: str = "math/1"
    form: str = (
        'spec {"expression": "x^2 + sqrt(2)*x", "variables": ["x"]}; written with + - * / ^, parentheses, pi, e, sqrt, exp, '
        "ln (log is the same), sin and the like; {1, 2} is a set, (1, 2) is ordered; the answer is equal exactly, not rounded"
    )

    def check_spec(self, check: Check) -> str | None:
        reference = _reference_of(check)
        return reference if isinstance(reference, str) else None

    def verify(self, check: Check, answer: str, source: str = "") -> VerifierReply:
        reference = _reference_of(check)
        if isinstance(reference, str):
            return VerifierReply(outcome="error", evidence=reference)
        try:
            given = read(stated(answer, scalar=reference.form.kind == "value"), reference.variables)
            return compare(reference, given)
        except ExpressionError as fault:
            return VerifierReply(outcome="fail", evidence=str(fault))

    def known_wrong(self, check: Check, reference: str = "") -> Sequence[str]:
        known = _reference_of(check)
        return _BOASTS if isinstance(known, str) else (*_near_misses(known.form), *_BOASTS)


def create() -> MathVerifier:
    """Return the verifier, named after the version of mpmath that computes for it.

    Raises:
        MissingExtraError: Mpmath is not installed.
    """
    try:
        return MathVerifier(version=f"math/1 mpmath/{version('mpmath')}")
    except ImportError as error:
        raise MissingExtraError("mpmath", "verify", "A check of mathematical expressions") from error


def _reference_of(check: Check) -> Reference | str:
    """Return what a check compares with, or what is wrong with its spec."""
    unknown = sorted(set(check.spec) - {"expression", "variables"})
    if unknown:
        return f"a math check has no {shorten(unknown[0], 40)}; it has expression and variables"
    expression, variables = check.spec.get("expression"), check.spec.get("variables", [])
    if not isinstance(expression, str) or not expression.strip() or len(expression) > _SPEC_MAX:
        return f"expression must be a text of 1 to {_SPEC_MAX} characters, got {shorten(expression)}"
    if not isinstance(variables, list) or len(variables) > VARIABLES_MAX:
        return f"variables must be a list of at most {VARIABLES_MAX} names"
    for name in variables:
        if not isinstance(name, str) or not _VARIABLE.fullmatch(name) or name in FUNCTIONS:
            return f"a variable is a short name that is no function, got {shorten(name, 40)}"
    if len(set(variables)) < len(variables):
        return "a variable is named twice"
    reference = to_reference(expression, tuple(variables))
    return f"expression {shorten(expression, 80)}: {reference}" if isinstance(reference, str) else reference


def _near_misses(form: Form) -> tuple[str, ...]:
    """Return answers that are wrong by little: another value, one element moved, one too many."""
    first, *others = form.texts
    if form.kind == "value":
        return (f"({first})+1", f"({first})-1/1000000", f"({first})+1e-20")
    moved = (f"({first})+1000000007", *others)
    more = (*form.texts, "1000000007")
    return tuple(f"{form.opening}{', '.join(parts)}{form.closing}" for parts in (moved, more))
