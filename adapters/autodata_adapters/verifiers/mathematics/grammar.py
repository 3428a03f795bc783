"""Reads one expression by precedence. What can be read in two ways (`1/2x`, `2 1/3`, `sin 2x`) is refused, not guessed."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

from autodata_adapters.verifiers.mathematics.expressions import ExpressionError, Node, NodeKind
from autodata_adapters.verifiers.mathematics.tokens import CONSTANTS, FUNCTIONS, number, tokens
from autodata_core.errors import shorten

__all__ = ["Reader"]

_NODES_MAX = 200
_DEPTH_MAX = 30
_SIGNS_MAX = 2

_CLOSING = {"(": ")", "{": "}", "[": "]", "|": "|"}
_POWERED = frozenset(("sin", "cos", "tan", "cot", "sec", "csc", "sinh", "cosh", "tanh", "ln"))
"""Functions that people square between name and argument."""


class Reader:
    """Reads the expressions of one answer, which share a bound on their operations."""

    def __init__(self, variables: tuple[str, ...]) -> None:
        self._variables = variables
        self._nodes = 0
        self._tokens: list[tuple[str, str]] = []
        self._at = 0

    def read(self, text: str) -> Node:
        """Return the tree of `text`.

        Raises:
            ExpressionError: It is not in the grammar, or beyond one of its bounds.
        """
        self._tokens, self._at = list(tokens(text, self._variables)), 0
        if not self._tokens:
            raise ExpressionError("no expression in it")
        found = self._sum(0)
        if self._at < len(self._tokens):
            raise self._misplaced()
        return found

    @property
    def _kind(self) -> str:
        return self._tokens[self._at][0] if self._at < len(self._tokens) else ""

    @property
    def _text(self) -> str:
        return self._tokens[self._at][1] if self._at < len(self._tokens) else ""

    def _take(self, *marks: str) -> str:
        """Return the mark that stands here and step over it; empty when it is none of `marks`."""
        found = self._text if self._kind == "mark" and self._text in marks else ""
        self._at += bool(found)
        return found

    def _starts_factor(self) -> bool:
        return self._text in ("(", "{") if self._kind == "mark" else bool(self._kind)

    def _misplaced(self) -> ExpressionError:
        return ExpressionError(f"{shorten(self._text or 'the end')} is out of place")

    def _node(self, kind: NodeKind, *inner: Node, name: str = "", value: Fraction = Fraction(0)) -> Node:
        self._nodes += 1
        if self._nodes > _NODES_MAX:
            raise ExpressionError(f"more than {_NODES_MAX} operations")
        return Node(kind, inner, name, value)

    # One method for each level of precedence, the weakest first.

    def _sum(self, depth: int) -> Node:
        _check_depth(depth)
        found = self._signed(self._product, depth)
        while sign := self._take("+", "-"):
            right = self._signed(self._product, depth)
            found = self._node("+", found, self._node("-", right) if sign == "-" else right)
        return found

    def _signed(self, read: Callable[[int], Node], depth: int) -> Node:
        negative, signs = False, 0
        while sign := self._take("+", "-"):
            negative, signs = negative != (sign == "-"), signs + 1
            if signs > _SIGNS_MAX:
                raise ExpressionError("a row of signs")
        found = read(depth)
        return self._node("-", found) if negative else found

    def _product(self, depth: int) -> Node:
        found = self._power(depth)
        divided = False
        while True:
            if self._take("*"):
                found = self._node("*", found, self._signed(self._power, depth))
            elif self._take("/"):
                divided = True
                found = self._node("/", found, self._signed(self._power, depth))
            elif self._starts_factor():
                self._check_side_by_side(divided)
                found = self._node("*", found, self._power(depth))
            else:
                return found

    def _check_side_by_side(self, divided: bool) -> None:
        if divided:
            raise ExpressionError(
                "a product without a sign after a division can be read in two ways; write parentheses"
            )
        after_number = self._tokens[self._at - 1][0] == "number"
        if after_number and (self._kind == "number" or self._text == "frac"):
            raise ExpressionError("two numbers side by side")
        if self._kind == "number":
            raise self._misplaced()

    def _power(self, depth: int) -> Node:
        base = self._atom(depth)
        if self._take("!"):
            base = self._node("call", base, name="factorial")
            if self._text == "!":
                raise ExpressionError("a double factorial")
        if not self._take("^", "**"):
            return base
        _check_depth(depth)
        return self._node("^", base, self._signed(self._power, depth + 1))

    def _atom(self, depth: int) -> Node:
        kind, text = self._kind, self._text
        if kind == "number":
            self._at += 1
            return self._node("number", value=number(text))
        if opening := self._take("(", "{", "|"):
            inner = self._enclosed(opening, depth)
            return self._node("call", inner, name="abs") if opening == "|" else inner
        if kind not in ("name", "command"):
            raise self._misplaced()
        self._at += 1
        if kind == "command" and text == "frac":
            return self._node("/", self._argument(depth), self._argument(depth))
        if kind == "command" and text == "sqrt" and self._take("["):
            return self._root(depth)
        return self._named(text, depth)

    def _enclosed(self, opening: str, depth: int) -> Node:
        found = self._sum(depth + 1)
        self._expect(_CLOSING[opening])
        return found

    def _expect(self, mark: str) -> None:
        if not self._take(mark):
            raise ExpressionError(f"expected {mark!r}, got {shorten(self._text or 'the end')}")

    def _root(self, depth: int) -> Node:
        degree = self._enclosed("[", depth)
        if degree.kind == "number" and degree.value == 3:  # a power of 1/3 has no value below 0
            return self._node("call", self._argument(depth), name="cbrt")
        one = self._node("number", value=Fraction(1))
        return self._node("^", self._argument(depth), self._node("/", one, degree))

    def _named(self, text: str, depth: int) -> Node:
        if text in self._variables:
            return self._node("variable", name=text)
        if text in FUNCTIONS:
            return self._call(FUNCTIONS[text], depth)
        if text in CONSTANTS:
            return self._node("constant", name=text)
        raise ExpressionError(f"the name {shorten(text, 40)} is not known here")

    def _call(self, name: str, depth: int) -> Node:
        power: Node | None = None
        if name in _POWERED and self._take("^"):
            power = self._atom(depth + 1)
            if power.kind != "number" or power.value < 2 or power.value.denominator != 1:
                raise ExpressionError(
                    f"{name} with a negative or odd power before its argument can be read in two ways"
                )
        found = self._node("call", *self._arguments(depth), name=name)
        if len(found.inner) > 1:
            if name != "ln" or len(found.inner) > 2:
                raise ExpressionError(f"{name} takes one argument")
            base = self._node("call", found.inner[1], name="ln")
            found = self._node("/", self._node("call", found.inner[0], name="ln"), base)
        return found if power is None else self._node("^", found, power)

    def _arguments(self, depth: int) -> list[Node]:
        if not self._take("("):
            return [self._argument(depth)]
        found = [self._sum(depth + 1)]
        while self._take(","):
            found.append(self._sum(depth + 1))
        self._expect(")")
        return found

    def _argument(self, depth: int) -> Node:
        """Return what stands in braces, or one name or number with nothing behind it that might belong to it."""
        if opening := self._take("{", "("):
            return self._enclosed(opening, depth)
        if self._kind not in ("number", "name", "command") or self._text in FUNCTIONS or self._text == "frac":
            raise _bare_argument()
        found = self._atom(depth + 1)
        if (self._starts_factor() and self._text not in FUNCTIONS) or self._text in ("^", "**", "!"):
            raise _bare_argument()
        return found


def _check_depth(depth: int) -> None:
    if depth > _DEPTH_MAX:
        raise ExpressionError("nested too deeply")


def _bare_argument() -> ExpressionError:
    return ExpressionError("a function without parentheses around its argument")
