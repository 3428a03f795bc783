"""Reads what an answer writes: one value, or the elements of a set or a tuple."""

from __future__ import annotations

import re

from autodata_adapters.verifiers.mathematics.expressions import ExpressionError, Form, FormKind
from autodata_adapters.verifiers.mathematics.grammar import Reader
from autodata_adapters.verifiers.mathematics.spelling import spelled

__all__ = ["read"]

_PARTS_MAX = 8
"""Elements of a set or tuple."""

_ALTERNATIVES = re.compile(r"\s(?:or|and)\s|;")
_NAMED = re.compile(
    r"\s*\\?[A-Za-z][A-Za-z0-9]{0,15}(?:_\{?[A-Za-z0-9]{1,3}\}?)?(?:\s?\(\s?[A-Za-z][A-Za-z0-9]{0,15}\s?\))?\s*"
)
"""Left side of `x = …` or `f(x) = …`."""


def read(text: str, variables: tuple[str, ...]) -> Form:
    """Return what `text` writes.

    Raises:
        ExpressionError: It is not in the grammar, or beyond one of its bounds.
    """
    text = spelled(text)
    opening, inner, closing = _brackets(text)
    kind: FormKind
    if not opening:
        texts = [part for clause in _ALTERNATIVES.split(text) for part in _split(clause)]
        kind = "value" if len(texts) == 1 else "set"
    else:
        texts, kind = _split(inner), "set" if opening == "{" else "tuple"
        if len(texts) == 1 and opening + closing == "()":
            kind, texts, opening, closing = "value", [text], "", ""
    if len(texts) > _PARTS_MAX:
        raise ExpressionError(f"more than {_PARTS_MAX} values")
    texts = [_right_side(part) for part in texts]
    reader = Reader(variables)
    return Form(kind, tuple(reader.read(part) for part in texts), tuple(texts), opening, closing)


def _brackets(text: str) -> tuple[str, str, str]:
    """Return the brackets around the whole of `text` and what they hold; empty brackets when there are none around it."""
    text = text.replace("\\{", "{").replace("\\}", "}") if text.startswith("\\{") and text.endswith("\\}") else text
    if len(text) < 2 or text[0] not in "({[" or text[-1] not in ")}]" or (text[0] == "{") != (text[-1] == "}"):
        return "", text, ""
    depth = 0
    for at, character in enumerate(text):
        depth += _step(character)
        if depth == 0 and at < len(text) - 1:
            return "", text, ""
    return text[0], text[1:-1], text[-1]


def _split(text: str) -> list[str]:
    """Return the parts of `text` between the commas that stand in no bracket."""
    parts, depth, start = [], 0, 0
    for at, character in enumerate(text):
        depth += _step(character)
        if character == "," and depth == 0:
            parts.append(text[start:at])
            start = at + 1
    return [*parts, text[start:]]


def _step(character: str) -> int:
    """Return how a character changes the depth of brackets; an interval may close with another one than it opened with."""
    return (character in "({[") - (character in ")}]")


def _right_side(text: str) -> str:
    left, *right = text.split("=")
    if not right:
        return text
    if len(right) > 1 or not _NAMED.fullmatch(left):
        raise ExpressionError("an equation, not one expression")
    return right[0]
