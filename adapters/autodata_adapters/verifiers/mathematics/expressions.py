"""What an expression is once it has been read: a tree of operations on exact numbers and names."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

__all__ = ["ExpressionError", "Form", "FormKind", "Node", "NodeKind"]

NodeKind = Literal["number", "variable", "constant", "call", "+", "*", "/", "^", "-"]
FormKind = Literal["value", "set", "tuple"]


@dataclass(frozen=True)
class Node:
    """One operation with what it is applied to. `value` is set for numbers, `name` for variables, constants, functions."""

    kind: NodeKind
    inner: tuple[Node, ...] = ()
    name: str = ""
    value: Fraction = Fraction(0)


@dataclass(frozen=True)
class Form:
    """What was written: one value, a set or a tuple."""

    kind: FormKind
    parts: tuple[Node, ...]
    texts: tuple[str, ...]
    """`texts[i]` is how `parts[i]` was written."""
    opening: str = ""
    closing: str = ""


class ExpressionError(Exception):
    """An expression that cannot be read or worked out; the text says why. A verifier turns it into its reply."""
