"""The words of the grammar: numbers, the names that are known, and marks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction

from autodata_adapters.verifiers.mathematics.expressions import ExpressionError
from autodata_core.errors import shorten

__all__ = ["CONSTANTS", "FUNCTIONS", "VARIABLES_MAX", "number", "tokens"]

_DIGITS_MAX = 60
_EXPONENT_MAX = 30
VARIABLES_MAX = 4
"""Variables of one expression, and so letters that are read as a product of them."""

CONSTANTS = ("pi", "e")
FUNCTIONS = {
    name: canonical
    for canonical, names in {
        "sqrt": "sqrt", "cbrt": "cbrt", "exp": "exp", "ln": "ln log", "log2": "log2", "log10": "log10 lg",
        "sin": "sin", "cos": "cos", "tan": "tan", "cot": "cot", "sec": "sec", "csc": "csc",
        "asin": "asin arcsin", "acos": "acos arccos", "atan": "atan arctan",
        "sinh": "sinh", "cosh": "cosh", "tanh": "tanh", "abs": "abs Abs", "factorial": "factorial",
    }.items()
    for name in names.split()
}  # fmt: skip
"""By a name that people give it: the function."""
_GREEK = frozenset(
    (
        "alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa", "lambda", "mu", "nu", "xi",
        "rho", "sigma", "tau", "phi", "chi", "psi", "omega",
    )
)  # fmt: skip
_COMMANDS = frozenset(("frac", *FUNCTIONS, *CONSTANTS, *_GREEK))

_TOKEN = re.compile(
    r"\s*(?:(?P<number>(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d{1,3}(?![\dA-Za-z.]))?)"
    r"|(?P<name>[A-Za-z][A-Za-z0-9]*)|\\(?P<command>[A-Za-z]+)|(?P<mark>\*\*|\\[{}]|[-+*/^!(){}\[\]|,]))"
)


def tokens(text: str, variables: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Yield kind (`number`, `name`, `command`, `mark`) and text of each word.

    Raises:
        ExpressionError: Something is no word of the grammar.
    """
    at, text = 0, text.rstrip()
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            raise ExpressionError(f"{shorten(text[at : at + 20])} is not read")
        kind = found.lastgroup or ""
        token = found.group(kind)
        if kind == "command" and token not in _COMMANDS:
            raise ExpressionError(f"\\{shorten(token, 40)} is not read")
        if kind == "name" and _is_product(token, variables):
            yield from ((kind, letter) for letter in token)
        else:
            yield kind, token
        at = found.end()


def _is_product(name: str, variables: tuple[str, ...]) -> bool:
    """Return whether `xy` is x times y."""
    known = name in variables or name in FUNCTIONS or name in CONSTANTS
    return not known and len(name) <= VARIABLES_MAX and all(letter in (*variables, "e") for letter in name)


def number(text: str) -> Fraction:
    """Return the exact value of a number token.

    Raises:
        ExpressionError: It is longer or larger than anybody needs.
    """
    mantissa, _, exponent = text.lower().partition("e")
    if len(mantissa) > _DIGITS_MAX or abs(int(exponent or 0)) > _EXPONENT_MAX:
        raise ExpressionError("a number too large to read")
    return Fraction(mantissa.rstrip(".") or "0") * Fraction(10) ** int(exponent or 0)
