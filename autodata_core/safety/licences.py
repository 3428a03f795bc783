"""Whether a licence is on a list of allowed ones: SPDX names and simple expressions of them.

Compares names only. What a licence permits, and whether a document really is under it, is not known here.
"""

from __future__ import annotations

from autodata_core.lazily import lazy

__all__ = ["allows_licence"]

_TOKEN = lazy(r"\(|\)|[A-Za-z0-9.+:-]{1,100}")
_VERSIONED = lazy(r"([a-z0-9.:-]*[a-z])-v?([0-9]{1,4}(?:\.[0-9]{1,4}){0,3})")
_LONGEST = 1_000
_DEEPEST = 20


def allows_licence(licence: str | None, allowed: tuple[str, ...]) -> bool:
    """Return whether the allow-list covers `licence`.

    Names are compared without case. `A OR B` needs one of both, `A AND B` both; an exception (`WITH`) only adds rights. A
    source under `-or-later` or `+` may be used under that version or a later one; an entry of the list with `-or-later`
    or `+` covers later versions too. No licence, an unknown one and one that cannot be read are not covered.
    """
    if not licence or len(licence) > _LONGEST:
        return False
    tokens = _TOKEN.findall(licence)
    if "".join(tokens) != "".join(licence.split()):
        return False
    names = tuple(_Name(entry) for entry in allowed)
    try:
        covered, rest = _either(tokens, names, 0)
    except _Unreadable:
        return False
    return covered and not rest


class _Unreadable(Exception):
    """The expression breaks off or is nested too deeply."""


class _Name:
    """One licence name: `GPL-2.0-or-later` is the family gpl from version 2.0 on."""

    def __init__(self, text: str) -> None:
        bare = text.strip().lower()
        self.later = bare.endswith(("-or-later", "+"))
        self.bare = bare.removesuffix("+").removesuffix("-or-later").removesuffix("-only")
        versioned = _VERSIONED.fullmatch(self.bare)
        self.family = versioned[1] if versioned else self.bare
        self.version = _version(versioned[2]) if versioned else None

    def covers(self, other: _Name) -> bool:
        if self.bare == other.bare:
            return True
        if self.version is None or other.version is None or self.family != other.family:
            return False
        return self.version == other.version or (
            (self.later and other.version > self.version) or (other.later and self.version > other.version)
        )


def _version(text: str) -> tuple[int, ...]:
    numbers = [int(number) for number in text.split(".")]
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)


def _either(tokens: list[str], allowed: tuple[_Name, ...], depth: int) -> tuple[bool, list[str]]:
    covered, tokens = _both(tokens, allowed, depth)
    while tokens and tokens[0].upper() == "OR":
        other, tokens = _both(tokens[1:], allowed, depth)
        covered = covered or other
    return covered, tokens


def _both(tokens: list[str], allowed: tuple[_Name, ...], depth: int) -> tuple[bool, list[str]]:
    covered, tokens = _one(tokens, allowed, depth)
    while tokens and tokens[0].upper() == "AND":
        other, tokens = _one(tokens[1:], allowed, depth)
        covered = covered and other
    return covered, tokens


def _one(tokens: list[str], allowed: tuple[_Name, ...], depth: int) -> tuple[bool, list[str]]:
    if not tokens or depth > _DEEPEST or tokens[0].upper() in ("AND", "OR", "WITH", ")"):
        raise _Unreadable
    if tokens[0] == "(":
        covered, rest = _either(tokens[1:], allowed, depth + 1)
        if not rest or rest[0] != ")":
            raise _Unreadable
        return covered, rest[1:]
    name, rest = _Name(tokens[0]), tokens[1:]
    if rest and rest[0].upper() == "WITH":
        if len(rest) < 2 or rest[1] in "()":
            raise _Unreadable
        rest = rest[2:]
    return any(entry.covers(name) for entry in allowed), rest
