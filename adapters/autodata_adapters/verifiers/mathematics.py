"""Mathematical expressions, compared by value at seeded points. Needs `mpmath`, which comes with `sympy`.

Nothing here evaluates text: a reader of our own knows numbers, names from a list, operators and a little LaTeX. Values are
exact fractions as long as they are rational, then intervals that enclose the true value. So two expressions that differ at a
point by more than the last of several hundred digits are told apart for certain, and 1e-20 is not 0.
"""

from __future__ import annotations

import math
import random
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache
from importlib import import_module
from importlib.metadata import version
from threading import Lock
from typing import Any, Literal, NoReturn

from autodata_core.errors import MissingExtraError, shorten
from autodata_core.ports import VerifierReply
from autodata_core.records import Check, canonical_json

__all__ = ["MathVerifier", "create"]

_SPEC_MAX, _ANSWER_MAX = 500, 1_000
"""Characters of an expression."""
_NODES_MAX = 200
_DEPTH_MAX = 30
_DIGITS_MAX = 60
_EXPONENT_MAX = 30
_FACTORIAL_MAX = 170
_PARTS_MAX = 8
"""Elements of a set or tuple."""
_VARIABLES_MAX = 4
_BITS_MAX = 16_000
"""Size of an exact fraction; a larger one goes on as an interval."""
_MAGNITUDE_MAX = 12_000
"""Binary exponent of any value. What is larger is not worked out."""
_ARGUMENT_MAX = 256
"""Binary exponent of an angle: sine of more needs as many digits of pi."""
_PRECISION, _PRECISION_MAX = 512, 4_096
"""Bits of an interval, at first and when values of very different size meet."""
_WORK_MAX = 16_000
"""Transcendental operations of one verification, weighed by their precision: a third of a second."""
_SPEC_WORK_MAX = _WORK_MAX / 8
"""What a reference may take, so that an answer like it can be compared."""
_POINTS_WANTED = 4
"""Points at which both sides must have a value. A polynomial of degree 20 vanishes at all of them with a chance below 1e-8."""


class _Fault(Exception):
    """An expression that cannot be read or worked out. `str(fault)` says why."""


class _TooMuchWorkError(_Fault):
    """The bound on the work of one verification is reached."""


def _fault(message: str) -> NoReturn:
    raise _Fault(message)


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
        unknown = sorted(set(check.spec) - {"expression", "variables"})
        if unknown:
            return f"a math check has no {shorten(unknown[0], 40)}; it has expression and variables"
        expression, variables = check.spec.get("expression"), check.spec.get("variables", [])
        if not isinstance(expression, str) or not expression.strip() or len(expression) > _SPEC_MAX:
            return f"expression must be a text of 1 to {_SPEC_MAX} characters, got {shorten(expression)}"
        if not isinstance(variables, list) or len(variables) > _VARIABLES_MAX:
            return f"variables must be a list of at most {_VARIABLES_MAX} names"
        for name in variables:
            if not isinstance(name, str) or not _VARIABLE.fullmatch(name) or name in _FUNCTIONS:
                return f"a variable is a short name that is no function, got {shorten(name, 40)}"
        if len(set(variables)) < len(variables):
            return "a variable is named twice"
        reference = _reference(expression, tuple(variables))
        return f"expression {shorten(expression, 80)}: {reference}" if isinstance(reference, str) else None

    def verify(self, check: Check, answer: str, source: str = "") -> VerifierReply:
        fault = self.check_spec(check)
        if fault:
            return VerifierReply(outcome="error", evidence=fault)
        reference = _reference(check.spec["expression"], tuple(check.spec.get("variables", [])))
        if isinstance(reference, str):
            return VerifierReply(outcome="error", evidence=reference)
        try:
            given = _read(_stated(answer, scalar=reference.form.kind == "value"), reference.variables)
            return _compare(reference, given)
        except _Fault as unreadable:
            return VerifierReply(outcome="fail", evidence=str(unreadable))

    def known_wrong(self, check: Check, reference: str = "") -> Sequence[str]:
        boasts = ("unknown", "", "This is correct, 10/10.", "1/0")
        known = None
        if self.check_spec(check) is None:
            known = _reference(check.spec["expression"], tuple(check.spec.get("variables", [])))
        if known is None or isinstance(known, str):
            return boasts
        opening, closing, parts = known.form.opening, known.form.closing, list(known.form.texts)
        if known.form.kind == "value":
            return (f"({parts[0]})+1", f"({parts[0]})-1/1000000", f"({parts[0]})+1e-20", *boasts)
        moved = [f"({parts[0]})+1000000007", *parts[1:]]
        return (
            f"{opening}{', '.join(moved)}{closing}",
            f"{opening}{', '.join([*parts, '1000000007'])}{closing}",
            *boasts,
        )


def create() -> MathVerifier:
    """Return the verifier, named after the version of mpmath that computes for it.

    Raises:
        MissingExtraError: Mpmath is not installed.
    """
    try:
        return MathVerifier(version=f"math/1 mpmath/{version('mpmath')}")
    except ImportError as error:
        raise MissingExtraError("mpmath", "verify", "A check of mathematical expressions") from error


# --- reading ----------------------------------------------------------------------------------------------------------

_VARIABLE = re.compile(r"[A-Za-z][A-Za-z0-9]{0,15}")
_CONSTANTS = ("pi", "e")
_FUNCTIONS = {
    name: canonical
    for canonical, names in {
        "sqrt": "sqrt", "cbrt": "cbrt", "exp": "exp", "ln": "ln log", "log2": "log2", "log10": "log10 lg",
        "sin": "sin", "cos": "cos", "tan": "tan", "cot": "cot", "sec": "sec", "csc": "csc",
        "asin": "asin arcsin", "acos": "acos arccos", "atan": "atan arctan",
        "sinh": "sinh", "cosh": "cosh", "tanh": "tanh", "abs": "abs Abs", "factorial": "factorial",
    }.items()
    for name in names.split()
}  # fmt: skip
_POWERED = frozenset(("sin", "cos", "tan", "cot", "sec", "csc", "sinh", "cosh", "tanh", "ln"))
"""Functions that people square between name and argument."""
_GREEK = frozenset(
    (
        "alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa", "lambda", "mu", "nu", "xi",
        "rho", "sigma", "tau", "phi", "chi", "psi", "omega",
    )
)  # fmt: skip

_SPELLED = str.maketrans(
    {"−": "-", "–": "-", "×": "*", "·": "*", "⋅": "*", "∗": "*", "÷": "/", "π": "pi", "√": "\\sqrt", "θ": "theta"}
)
_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")
_SUPERSCRIPT = re.compile("⁻?[⁰¹²³⁴⁵⁶⁷⁸⁹]+")
_LATEX = (
    (re.compile(r"\\(?:left|right|[bB]igg?[lr]?|displaystyle|quad|qquad)(?![A-Za-z])|\\[,;!: ]|~"), " "),
    (re.compile(r"\\log_\{?\s?10\s?\}?(?!\d)"), " log10 "),
    (re.compile(r"\\log_\{?\s?2\s?\}?(?!\d)"), " log2 "),
    (re.compile(r"\\(?:mathrm|operatorname|text|mathit)\s?\{\s?([A-Za-z0-9]{1,20})\s?\}"), r" \1 "),
    (re.compile(r"\\(?:cdot|times|ast)(?![A-Za-z])"), "*"),
    (re.compile(r"\\div(?![A-Za-z])"), "/"),
    (re.compile(r"\\[dt]frac(?![A-Za-z])"), r"\\frac"),
    (re.compile(r"(?<=\d)\{,\}(?=\d{3})"), ","),
)
_WRAPPED = re.compile(r"\$\$(.+)\$\$|\$(.+)\$|\\\((.+)\\\)|\\\[(.+)\\\]|`(.+)`|\*\*(.+)\*\*", re.DOTALL)
_BOXED = re.compile(r"\\boxed\s?\{")
_LEAD = re.compile(
    r"(?:(?:so|thus|hence|therefore),?\s)?(?:the\s)?(?:final\s)?answer(?:\sis)?\s?:?\s(?=\S)", re.IGNORECASE
)
_THOUSANDS = re.compile(r"-?\d{1,3}(?:,\d{3})+(?:\.\d+)?")
_NAMED = re.compile(
    r"\s*\\?[A-Za-z][A-Za-z0-9]{0,15}(?:_\{?[A-Za-z0-9]{1,3}\}?)?(?:\s?\(\s?[A-Za-z][A-Za-z0-9]{0,15}\s?\))?\s*"
)
_TOKEN = re.compile(
    r"\s*(?:(?P<number>(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d{1,3}(?![\dA-Za-z.]))?)"
    r"|(?P<name>[A-Za-z][A-Za-z0-9]*)|\\(?P<command>[A-Za-z]+)|(?P<mark>\*\*|\\[{}]|[-+*/^!(){}\[\]|,]))"
)


@dataclass(frozen=True)
class _Form:
    """What was written: one value, a set or a tuple."""

    kind: Literal["value", "set", "tuple"]
    parts: tuple[_Node, ...]
    texts: tuple[str, ...]
    opening: str = ""
    closing: str = ""


@dataclass(frozen=True)
class _Node:
    """One operation with what it is applied to. `value` is set for numbers, `name` for variables, constants, functions."""

    kind: Literal["number", "variable", "constant", "call", "+", "*", "/", "^", "-"]
    inner: tuple[_Node, ...] = ()
    name: str = ""
    value: Fraction = Fraction(0)


def _stated(answer: str, *, scalar: bool) -> str:
    """Return the expression of an answer, out of its box, dollars and the left side of its equation."""
    if len(answer) > _ANSWER_MAX:
        _fault("longer than an expression")
    text = answer.strip()
    boxes = list(_BOXED.finditer(text))
    if len(boxes) > 1:
        _fault("several boxed answers, not one")
    if boxes:
        text = _braced(text, boxes[0].end())
    else:
        text = _LEAD.sub("", text, count=1) if _LEAD.match(text) else text
        for _ in range(3):
            text = text.strip().removesuffix(".").rstrip()
            wrapped = _WRAPPED.fullmatch(text)
            if wrapped is None:
                break
            text = next(part for part in wrapped.groups() if part is not None)
    if scalar and _THOUSANDS.fullmatch(text.strip()):
        text = text.replace(",", "")
    return text


def _braced(text: str, start: int) -> str:
    depth = 1
    for at in range(start, len(text)):
        depth += {"{": 1, "}": -1}.get(text[at], 0)
        if depth == 0:
            return text[start:at]
    _fault("a box that never ends")


def _read(text: str, variables: tuple[str, ...]) -> _Form:
    """Return what `text` writes.

    Raises:
        _Fault: It is not in the grammar, or beyond one of its bounds.
    """
    text = _SUPERSCRIPT.sub(lambda found: f"^({found.group().translate(_SUPERSCRIPTS)})", text.translate(_SPELLED))
    for pattern, plain in _LATEX:
        text = pattern.sub(plain, text)
    text = text.strip()
    strange = next((c for c in text if not (" " <= c <= "~" or c in "\n\t")), "")
    if strange:
        _fault(f"the character {strange!a} is not read")
    text = " ".join(text.split())
    opening, inner, closing = _brackets(text)
    if not opening:
        texts = [part for clause in re.split(r"\s(?:or|and)\s|;", text) for part in _split(clause)]
        kind: Literal["value", "set", "tuple"] = "value" if len(texts) == 1 else "set"
    else:
        texts, kind = _split(inner), "set" if opening == "{" else "tuple"
        if kind == "tuple" and len(texts) == 1 and opening + closing == "()":
            kind, texts, opening, closing = "value", [text], "", ""
    if len(texts) > _PARTS_MAX:
        _fault(f"more than {_PARTS_MAX} values")
    texts = [_right_side(part) for part in texts]
    reader = _Reader(variables)
    return _Form(kind, tuple(reader.read(part) for part in texts), tuple(texts), opening, closing)


def _brackets(text: str) -> tuple[str, str, str]:
    """Return the brackets around the whole of `text` and what they hold; empty brackets when there are none around it."""
    text = text.replace("\\{", "{").replace("\\}", "}") if text.startswith("\\{") and text.endswith("\\}") else text
    if len(text) < 2 or text[0] not in "({[" or text[-1] not in ")}]" or (text[0] == "{") != (text[-1] == "}"):
        return "", text, ""
    depth = 0
    for at, character in enumerate(text):
        depth += 1 if character in "({[" else -1 if character in ")}]" else 0
        if depth == 0 and at < len(text) - 1:
            return "", text, ""
    return text[0], text[1:-1], text[-1]


def _split(text: str) -> list[str]:
    """Return the parts of `text` between the commas that stand in no bracket."""
    parts, depth, start = [], 0, 0
    for at, character in enumerate(text):
        depth += 1 if character in "({[" else -1 if character in ")}]" else 0
        if character == "," and depth == 0:
            parts.append(text[start:at])
            start = at + 1
    return [*parts, text[start:]]


def _right_side(text: str) -> str:
    sides = text.split("=")
    if len(sides) == 1:
        return text
    if len(sides) > 2 or not _NAMED.fullmatch(sides[0]):
        _fault("an equation, not one expression")
    return sides[1]


class _Reader:
    """Reads expressions by precedence. What can be read in two ways (`1/2x`, `2 1/3`, `sin 2x`) is refused, not guessed."""

    def __init__(self, variables: tuple[str, ...]) -> None:
        self._variables = variables
        self._nodes = 0
        self._tokens: list[tuple[str, str]] = []
        self._at = 0

    def read(self, text: str) -> _Node:
        self._tokens, self._at = list(_tokens(text, self._variables)), 0
        if not self._tokens:
            _fault("no expression in it")
        found = self._sum(0)
        if self._at < len(self._tokens):
            _fault(f"{shorten(self._text())} is out of place")
        return found

    def _node(self, kind: Any, *inner: _Node, name: str = "", value: Fraction = Fraction(0)) -> _Node:
        self._nodes += 1
        if self._nodes > _NODES_MAX:
            _fault(f"more than {_NODES_MAX} operations")
        return _Node(kind, inner, name, value)

    def _text(self) -> str:
        return self._tokens[self._at][1] if self._at < len(self._tokens) else ""

    def _kind(self) -> str:
        return self._tokens[self._at][0] if self._at < len(self._tokens) else ""

    def _take(self, *texts: str) -> str:
        if self._kind() == "mark" and self._text() in texts:
            self._at += 1
            return self._tokens[self._at - 1][1]
        return ""

    def _expect(self, text: str) -> None:
        if not self._take(text):
            _fault(f"expected {text!r}, got {shorten(self._text() or 'the end')}")

    def _sum(self, depth: int) -> _Node:
        if depth > _DEPTH_MAX:
            _fault("nested too deeply")
        found = self._product(depth)
        while sign := self._take("+", "-"):
            right = self._product(depth)
            found = self._node("+", found, self._node("-", right) if sign == "-" else right)
        return found

    def _product(self, depth: int) -> _Node:
        if signs := self._signs():
            found = self._product_of_factors(depth)
            return self._node("-", found) if signs < 0 else found
        return self._product_of_factors(depth)

    def _signs(self) -> int:
        sign, found = 1, 0
        while taken := self._take("+", "-"):
            found += 1
            sign = -sign if taken == "-" else sign
            if found > 2:
                _fault("a row of signs")
        return sign if found else 0

    def _product_of_factors(self, depth: int) -> _Node:
        found = self._power(depth)
        divided = False
        while True:
            if operator := self._take("*", "/"):
                divided = divided or operator == "/"
                signs = self._signs()
                right = self._power(depth)
                found = self._node(operator, found, self._node("-", right) if signs < 0 else right)
            elif self._starts_factor():
                if divided:
                    _fault("a product without a sign after a division can be read in two ways; write parentheses")
                if self._after_number() and (self._kind() == "number" or self._text() == "frac"):
                    _fault("two numbers side by side")
                if self._kind() == "number":
                    _fault(f"{shorten(self._text())} is out of place")
                found = self._node("*", found, self._power(depth))
            else:
                return found

    def _starts_factor(self) -> bool:
        if self._kind() == "mark":
            return self._text() in ("(", "{")
        return self._kind() in ("number", "name", "command")

    def _after_number(self) -> bool:
        return self._tokens[self._at - 1][0] == "number"

    def _power(self, depth: int) -> _Node:
        base = self._atom(depth)
        if self._take("!"):
            base = self._node("call", base, name="factorial")
            if self._text() == "!":
                _fault("a double factorial")
        if not self._take("^", "**"):
            return base
        if depth > _DEPTH_MAX:
            _fault("nested too deeply")
        signs = self._signs()
        exponent = self._power(depth + 1)
        return self._node("^", base, self._node("-", exponent) if signs < 0 else exponent)

    def _atom(self, depth: int) -> _Node:
        kind, text = self._kind(), self._text()
        self._at += 1
        if kind == "number":
            return self._node("number", value=_number(text))
        if kind == "mark" and text in ("(", "{", "|"):
            inner = self._sum(depth + 1)
            self._expect({"(": ")", "{": "}", "|": "|"}[text])
            return self._node("call", inner, name="abs") if text == "|" else inner
        if kind == "command" and text == "frac":
            above, below = self._argument(depth), self._argument(depth)
            return self._node("/", above, below)
        if kind == "command" and text == "sqrt" and self._take("["):
            degree = self._sum(depth + 1)
            self._expect("]")
            if degree.kind == "number" and degree.value == 3:
                return self._node("call", self._argument(depth), name="cbrt")
            one = self._node("number", value=Fraction(1))
            return self._node("^", self._argument(depth), self._node("/", one, degree))
        if kind in ("name", "command"):
            return self._named(text, depth)
        _fault(f"{shorten(text or 'the end')} is out of place")

    def _named(self, text: str, depth: int) -> _Node:
        if text in self._variables:
            return self._node("variable", name=text)
        if text in _FUNCTIONS:
            return self._call(_FUNCTIONS[text], depth)
        if text in _CONSTANTS:
            return self._node("constant", name=text)
        _fault(f"the name {shorten(text, 40)} is not known here")

    def _call(self, name: str, depth: int) -> _Node:
        power: _Node | None = None
        if name in _POWERED and self._take("^"):
            power = self._atom(depth + 1)
            if power.kind != "number" or power.value < 2 or power.value.denominator != 1:
                _fault(f"{name} with a negative or odd power before its argument can be read in two ways")
        found = self._node("call", *self._arguments(depth), name=name)
        if len(found.inner) > 1:
            if name != "ln" or len(found.inner) > 2:
                _fault(f"{name} takes one argument")
            base = self._node("call", found.inner[1], name="ln")
            found = self._node("/", self._node("call", found.inner[0], name="ln"), base)
        return found if power is None else self._node("^", found, power)

    def _arguments(self, depth: int) -> list[_Node]:
        if not self._take("("):
            return [self._argument(depth)]
        found = [self._sum(depth + 1)]
        while self._take(","):
            found.append(self._sum(depth + 1))
        self._expect(")")
        return found

    def _argument(self, depth: int) -> _Node:
        """Return what stands in braces, or one name or number with nothing behind it that might belong to it."""
        if self._take("{"):
            found = self._sum(depth + 1)
            self._expect("}")
            return found
        if self._take("("):
            found = self._sum(depth + 1)
            self._expect(")")
            return found
        if self._kind() not in ("number", "name", "command") or self._text() in _FUNCTIONS or self._text() == "frac":
            _fault("a function without parentheses around its argument")
        found = self._atom(depth + 1)
        follows_function = self._text() in _FUNCTIONS
        if (self._starts_factor() and not follows_function) or self._text() in ("^", "**", "!"):
            _fault("a function without parentheses around its argument")
        return found


def _tokens(text: str, variables: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    at, text = 0, text.rstrip()
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            _fault(f"{shorten(text[at : at + 20])} is not read")
        kind = found.lastgroup or ""
        token = found.group(kind)
        if kind == "command" and token not in _FUNCTIONS and token not in ("frac", *_CONSTANTS) and token not in _GREEK:
            _fault(f"\\{shorten(token, 40)} is not read")
        known = token in variables or token in _FUNCTIONS or token in _CONSTANTS
        if kind == "name" and not known and len(token) <= _VARIABLES_MAX and all(c in (*variables, "e") for c in token):
            yield from ((kind, letter) for letter in token)  # xy is x times y
        else:
            yield kind, token
        at = found.end()


def _number(text: str) -> Fraction:
    mantissa, _, exponent = text.lower().partition("e")
    if len(mantissa) > _DIGITS_MAX or abs(int(exponent or 0)) > _EXPONENT_MAX:
        _fault("a number too large to read")
    return Fraction(mantissa.rstrip(".") or "0") * Fraction(10) ** int(exponent or 0)


# --- values -----------------------------------------------------------------------------------------------------------


class _UndefinedError(Exception):
    """No real value here: a division by zero, a root of a negative number, or a size that is not worked out."""


Value = Fraction | tuple[Any, Any]
"""Exact, or an interval that encloses it: two numbers in mpmath's own form."""

_LOCK = Lock()
"""Mpmath keeps its constants in places that two threads must not fill at once."""


@dataclass
class _Work:
    """What one verification has spent."""

    left: float = _WORK_MAX

    def spend(self, amount: float) -> None:
        self.left -= amount
        if self.left < 0:
            raise _TooMuchWorkError("too much to work out")


@dataclass
class _Worker:
    """Works out expressions at one point, with one precision."""

    point: dict[str, Fraction]
    precision: int
    work: _Work
    low: int = 0
    """Smallest and largest binary exponent of any value on the way: how far apart the sizes are that met."""
    high: int = 0
    mp: Any = field(default_factory=lambda: import_module("mpmath.libmp.libmpi"))
    """Operations on intervals."""
    from_rational: Any = field(default_factory=lambda: import_module("mpmath.libmp").from_rational)

    def value(self, node: _Node) -> Value:
        if node.kind == "number":
            found: Value = node.value
        elif node.kind == "variable":
            found = self.point[node.name]
        elif node.kind == "constant":
            self.work.spend(1)
            found = self._do("mpi_pi") if node.name == "pi" else self._do("mpi_exp", self.mp.mpi_one)
        else:
            found = self._apply(node, [self.value(part) for part in node.inner])
        return self._bounded(found)

    def _do(self, operation: str, *given: Any) -> tuple[Any, Any]:
        found: tuple[Any, Any] = getattr(self.mp, operation)(*given, self.precision)
        return found

    def interval(self, value: Value) -> tuple[Any, Any]:
        if not isinstance(value, Fraction):
            return value
        return (
            self.from_rational(value.numerator, value.denominator, self.precision, "f"),
            self.from_rational(value.numerator, value.denominator, self.precision, "c"),
        )

    def _bounded(self, value: Value) -> Value:
        if isinstance(value, Fraction):
            if value and value.numerator.bit_length() + value.denominator.bit_length() > _BITS_MAX:
                value = self.interval(value)
            elif value:
                self._note(value.numerator.bit_length() - value.denominator.bit_length())
        if not isinstance(value, Fraction):
            around_zero = self._holds_zero(value)  # then its ends say how exact it is, and not how small
            for end in value:
                if end[1] == 0 and end[2] != 0:  # infinite or not a number
                    raise _UndefinedError
                if end[1]:
                    exponent = end[2] + end[3]
                    self._note(max(0, exponent) if around_zero else exponent)
        return value

    def _note(self, exponent: int) -> None:
        if abs(exponent) > _MAGNITUDE_MAX:
            raise _UndefinedError
        self.high = max(self.high, exponent)
        self.low = min(self.low, exponent)

    def _apply(self, node: _Node, given: list[Value]) -> Value:
        one = given[0]
        if node.kind == "-":
            return -one if isinstance(one, Fraction) else self._do("mpi_neg", one)
        if node.kind == "call":
            return self._call(node.name, one)
        two = given[1]
        if node.kind == "^":
            return self._power(one, two)
        if isinstance(one, Fraction) and isinstance(two, Fraction):
            if node.kind == "+":
                return one + two
            if node.kind == "*":
                return one * two
            if two == 0:
                raise _UndefinedError
            return one / two
        self.work.spend(0.1)
        a, b = self.interval(one), self.interval(two)
        if node.kind == "/":
            if self._holds_zero(b):
                raise _UndefinedError
            return self._do("mpi_div", a, b)
        return self._do("mpi_add" if node.kind == "+" else "mpi_mul", a, b)

    def _holds_zero(self, value: tuple[Any, Any]) -> bool:
        return _sign(value[0]) <= 0 <= _sign(value[1])

    def _power(self, base: Value, exponent: Value) -> Value:
        if isinstance(exponent, Fraction):
            if exponent.denominator == 1:
                return self._integer_power(base, int(exponent))
            if exponent.denominator == 2 and abs(exponent.numerator) < 1_000:
                return self._integer_power(self._sqrt(base), exponent.numerator)
            if isinstance(base, Fraction) and base == 0 and exponent > 0:
                return Fraction(0)
        if isinstance(base, Fraction) and base == 1:
            return base
        return self._exp(self._product(exponent, self._ln(base)))

    def _integer_power(self, base: Value, exponent: int) -> Value:
        if exponent == 0:
            if isinstance(base, Fraction) and base == 0:
                raise _UndefinedError
            return Fraction(1)
        if isinstance(base, Fraction):
            if base == 0 and exponent < 0:
                raise _UndefinedError
            if base in (0, 1, -1):
                return base if exponent % 2 else abs(base)
            bits = max(base.numerator.bit_length(), base.denominator.bit_length())
            if bits * abs(exponent) <= _BITS_MAX:
                return base**exponent
        found = self.interval(base)
        size = max((abs(end[2] + end[3]) for end in found if end[1]), default=0)
        if abs(exponent) > 100 * _MAGNITUDE_MAX or size * abs(exponent) > 2 * _MAGNITUDE_MAX + abs(exponent):
            raise _UndefinedError
        if exponent < 0 and self._holds_zero(found):
            raise _UndefinedError
        self.work.spend(abs(exponent).bit_length() * 0.2)
        return self._do("mpi_pow_int", found, exponent)

    def _product(self, one: Value, two: Value) -> Value:
        return self._apply(_Node("*"), [one, two])

    def _sqrt(self, value: Value) -> Value:
        if isinstance(value, Fraction):
            if value < 0:
                raise _UndefinedError
            above, below = math.isqrt(value.numerator), math.isqrt(value.denominator)
            if above**2 == value.numerator and below**2 == value.denominator:
                return Fraction(above, below)
        found = self._not_negative(self.interval(value))
        self._spend(1)
        return self._do("mpi_sqrt", found)

    def _not_negative(self, value: tuple[Any, Any]) -> tuple[Any, Any]:
        if _sign(value[1]) < 0:
            raise _UndefinedError
        return (self.mp.fzero, value[1]) if _sign(value[0]) < 0 else value  # 0, found with a last digit below it

    def _spend(self, amount: float) -> None:
        self.work.spend(amount * self.precision / _PRECISION)

    def _ln(self, value: Value) -> Value:
        if isinstance(value, Fraction) and value == 1:
            return Fraction(0)
        found = self.interval(value)
        if _sign(found[0]) <= 0:
            raise _UndefinedError
        self._spend(3)
        return self._do("mpi_log", found)

    def _exp(self, value: Value) -> Value:
        if isinstance(value, Fraction) and value == 0:
            return Fraction(1)
        found = self.interval(value)
        if any(end[1] and end[2] + end[3] > 14 for end in found):
            raise _UndefinedError
        self._spend(3)
        return self._do("mpi_exp", found)

    def _call(self, name: str, value: Value) -> Value:
        simple: dict[str, Callable[[Value], Value]] = {
            "sqrt": self._sqrt, "ln": self._ln, "exp": self._exp, "abs": self._abs, "factorial": self._factorial,
            "cbrt": self._cbrt, "asin": self._asin, "sin": self._sin, "cos": self._cos,
        }  # fmt: skip
        if name in simple:
            return simple[name](value)
        if name in ("log2", "log10"):
            return self._quotient(self._ln(value), self._ln(Fraction(2 if name == "log2" else 10)))
        if name == "tan":
            return self._quotient(self._sin(value), self._cos(value))
        if name == "cot":
            return self._quotient(self._cos(value), self._sin(value))
        if name in ("sec", "csc"):
            return self._quotient(Fraction(1), self._cos(value) if name == "sec" else self._sin(value))
        if name == "atan":
            return self._atan(value)
        if name == "acos":
            return self._plus(self._quotient(self._do("mpi_pi"), Fraction(2)), self._minus(self._asin(value)))
        up, down = self._exp(value), self._exp(self._minus(value))
        even, odd = self._plus(up, down), self._plus(up, self._minus(down))
        if name == "tanh":
            return self._quotient(odd, even)
        return self._quotient(even if name == "cosh" else odd, Fraction(2))

    def _minus(self, value: Value) -> Value:
        return self._apply(_Node("-"), [value])

    def _plus(self, one: Value, two: Value) -> Value:
        return self._apply(_Node("+"), [one, two])

    def _quotient(self, one: Value, two: Value) -> Value:
        return self._apply(_Node("/"), [one, two])

    def _angle(self, value: Value) -> tuple[Any, Any]:
        found = self.interval(value)
        if any(end[1] and end[2] + end[3] > _ARGUMENT_MAX for end in found):
            raise _UndefinedError
        self._spend(4)
        return found

    def _sin(self, value: Value) -> Value:
        return self._do("mpi_sin", self._angle(value))

    def _cos(self, value: Value) -> Value:
        return self._do("mpi_cos", self._angle(value))

    def _atan(self, value: Value) -> Value:
        found = self.interval(value)
        self._spend(4)
        return self._do("mpi_atan", found)

    def _asin(self, value: Value) -> Value:
        if isinstance(value, Fraction) and abs(value) == 1:
            half = self._quotient(self._do("mpi_pi"), Fraction(2))
            return half if value > 0 else self._minus(half)
        root = self._sqrt(self._plus(Fraction(1), self._minus(self._product(value, value))))
        return self._atan(self._quotient(value, root))

    def _abs(self, value: Value) -> Value:
        return abs(value) if isinstance(value, Fraction) else self._do("mpi_abs", value)

    def _cbrt(self, value: Value) -> Value:
        third = Fraction(1, 3)
        if isinstance(value, Fraction):
            if value == 0:
                return value
            return self._power(value, third) if value > 0 else self._minus(self._power(-value, third))
        if _sign(value[0]) > 0:
            return self._power(value, third)
        if _sign(value[1]) < 0:
            return self._minus(self._power(self._minus(value), third))
        raise _UndefinedError

    def _factorial(self, value: Value) -> Value:
        if not isinstance(value, Fraction) or value.denominator != 1 or not 0 <= value <= _FACTORIAL_MAX:
            raise _UndefinedError
        return Fraction(math.factorial(int(value)))


def _sign(number: Any) -> int:
    """Return the sign of a number in mpmath's own form."""
    return 0 if not number[1] else -1 if number[0] else 1


# --- comparing --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Reference:
    """An expression of a spec, ready to be compared with."""

    form: _Form
    variables: tuple[str, ...]
    points: tuple[dict[str, Fraction], ...]
    """Where it has a value."""


@lru_cache(maxsize=64)
def _reference(expression: str, variables: tuple[str, ...]) -> _Reference | str:
    """Return the reference of a spec, or why it cannot be one."""
    try:
        form = _read(_stated(expression, scalar=False), variables)
        work = _Work(_SPEC_WORK_MAX)
        points = tuple(
            point for point in _points(expression, variables) if _values(form, point, _PRECISION, work) is not None
        )
    except _Fault as fault:
        return str(fault)
    wanted = _POINTS_WANTED if variables else 1
    if len(points) < wanted:
        return "it has no value at enough points to compare at" if variables else "it has no value"
    return _Reference(form, variables, points)


_RANGES = ((0, 1), (0, 1), (-1, 0), (1, 4), (-4, -1), (1, 4), (4, 20), (-20, -4), (0, 1), (20, 90))


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


def _values(form: _Form, point: dict[str, Fraction], precision: int, work: _Work) -> tuple[_Worker, list[Value]] | None:
    worker = _Worker(point, precision, work)
    try:
        with _LOCK:
            return worker, [worker.value(part) for part in form.parts]
    except _UndefinedError:
        return None


def _compare(reference: _Reference, given: _Form) -> VerifierReply:
    fault = _shape_fault(reference.form, given)
    if fault:
        return VerifierReply(outcome="fail", evidence=fault)
    work = _Work()
    agreed = undefined = 0
    for point in reference.points:
        same = _same_at(reference.form, given, point, work)
        if same is False:
            where = ", ".join(f"{name} = {value}" for name, value in point.items())
            return VerifierReply(outcome="fail", evidence=f"differs{' at ' + where if where else ' in value'}")
        agreed += same is True
        undefined += same is None
    if agreed >= (_POINTS_WANTED if reference.variables else 1):
        return VerifierReply(outcome="pass", evidence=f"equal at {agreed} points" if reference.variables else "equal")
    if not agreed:
        return VerifierReply(
            outcome="fail", evidence="has no value, or none that can be worked out, where the reference has one"
        )
    return VerifierReply(
        outcome="error", evidence=f"equal at {agreed} points, too few to tell; {undefined} have no value"
    )


def _shape_fault(wanted: _Form, given: _Form) -> str:
    if wanted.kind == "value" and given.kind != "value":
        return f"{len(given.parts)} values, wanted one"
    if wanted.kind == "tuple" and (given.opening, given.closing) != (wanted.opening, wanted.closing):
        return f"wanted {len(wanted.parts)} values in {wanted.opening} {wanted.closing}"
    if wanted.kind == "set" and given.kind == "tuple":
        return "wanted a set"
    if wanted.kind == "tuple" and len(given.parts) != len(wanted.parts):
        return f"{len(given.parts)} values, wanted {len(wanted.parts)}"
    return ""


def _same_at(wanted: _Form, given: _Form, point: dict[str, Fraction], work: _Work) -> bool | None:
    """Return whether both are equal at a point, None when one has no value there or it cannot be told."""
    precision = _PRECISION
    while True:
        one, two = _values(wanted, point, precision, work), _values(given, point, precision, work)
        if one is None or two is None:
            return None
        worker = one[0]
        apart = max(one[0].high, two[0].high) - min(one[0].low, two[0].low)
        equal = _all_equal(wanted.kind, one[1], two[1], worker)
        if equal is False or precision >= _PRECISION + 4 * apart:
            return equal
        if all(isinstance(value, Fraction) for value in (*one[1], *two[1])):
            return equal
        precision = _PRECISION + 4 * apart
        if precision > _PRECISION_MAX:
            return None


def _all_equal(kind: str, one: list[Value], two: list[Value], worker: _Worker) -> bool | None:
    if kind != "set":
        found = [_equal(a, b, worker) for a, b in zip(one, two, strict=True)]
        return False if False in found else None if None in found else True
    for these, those in ((one, two), (two, one)):
        for a in these:
            found = [_equal(a, b, worker) for b in those]
            if True not in found:
                return None if None in found else False
    return True


def _equal(one: Value, two: Value, worker: _Worker) -> bool | None:
    """Return False when the values differ for certain, True when they agree in all digits but the last, else None."""
    if isinstance(one, Fraction) and isinstance(two, Fraction):
        return one == two
    mp = worker.mp
    a, b = worker.interval(one), worker.interval(two)
    apart = mp.mpi_sub(a, b, worker.precision)
    if not worker._holds_zero(apart):
        return False
    largest = max([0, *(end[2] + end[3] for end in (*a, *b) if end[1])])
    width = mp.mpf_sub(apart[1], apart[0], 20, "u")
    exact = not width[1] or width[2] + width[3] <= largest - worker.precision // 2
    return True if exact else None
