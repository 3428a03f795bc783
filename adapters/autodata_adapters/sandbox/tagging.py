"""Python values as plain JSON that keeps their type: `(1, 1.0)` and `[1, True]` come back as what they were.

Standard library only, and not even this package: the same file runs on the host and inside a sandboxed child. What a
value is compared with does not live here.

    None, True, "text"   as they are
    12                   ["int", "12"]            hexadecimal above 1,024 bits
    0.5, nan, -inf       ["float", "0.5"]
    1j                   ["complex", "0.0", "1.0"]
    b"\\x00"              ["bytes", "00"]
    "\\ud800"             ["text16", "00d8"]       text that is not valid Unicode
    [..] (..)            ["list", [..]], ["tuple", [..]]
    {1, 2}               ["set", [..]], ["frozenset", [..]], sorted
    {"a": 1}             ["dict", [[key, value], ..]], sorted, so that equal dicts have equal tags
"""

from __future__ import annotations

import json

TYPE_CHECKING = False  # as in `typing`, which would cost every job some milliseconds to import
if TYPE_CHECKING:
    from typing import Any

__all__ = ["MAX_DEPTH", "MAX_NODES", "TagError", "TooLargeError", "canonical", "tagged", "untagged"]

MAX_DEPTH = 50
"""Containers within containers. Deeper ones are refused, which also ends cycles."""
MAX_NODES = 200_000
"""Values in one value, counted as often as they are reached, so that shared lists cannot multiply."""

_SHORT_BITS = 1_024


class TagError(ValueError):
    """A value, or a tag, that has none of the forms."""


class TooLargeError(TagError):
    """A value with more parts than `MAX_NODES`."""


def tagged(value: Any) -> Any:
    """Return `value` as plain JSON that `untagged` turns back.

    Types are compared exactly: an object that only claims to be equal, or a subclass that overrides methods, is refused.

    Raises:
        TagError: The value, or a part of it, has another type or is nested too deeply.
        TooLargeError: It has too many parts.
    """
    return _tagged(value, MAX_DEPTH, [MAX_NODES])


def untagged(tag: Any) -> Any:
    """Return the value that `tagged` was given.

    Raises:
        TagError: `tag` is not exactly what `tagged` returns for some value.
    """
    try:
        value = _untagged(tag, MAX_DEPTH)
        same = tagged(value) == tag
    except (TypeError, ValueError, OverflowError) as error:  # an unhashable key, digits that are none
        raise TagError(f"a tagged value was expected: {error}") from error
    if not same:
        raise TagError("a tagged value in its one canonical form was expected")
    return value


def canonical(tag: Any) -> str:
    """Return the one JSON text of a tag; sets and dicts are sorted by it."""
    return json.dumps(tag, separators=(",", ":"))


def _tagged(value: Any, depth: int, left: list[int]) -> Any:
    left[0] -= 1
    if left[0] < 0:
        raise TooLargeError(f"returned more than {MAX_NODES:,} values within one")
    kind = type(value)
    if value is None or kind is bool:
        return value
    if kind is str:
        return _text(value)
    if kind is int:
        return ["int", str(value) if value.bit_length() <= _SHORT_BITS else hex(value)]
    if kind is float:
        return ["float", repr(value)]
    if kind is complex:
        return ["complex", repr(value.real), repr(value.imag)]
    if kind is bytes:
        return ["bytes", value.hex()]
    if depth <= 0:
        raise TagError(f"returned containers nested more than {MAX_DEPTH} deep")
    if kind is list or kind is tuple:
        return [_name(kind), [_tagged(part, depth - 1, left) for part in value]]
    if kind is set or kind is frozenset:
        return [_name(kind), sorted([_tagged(part, depth - 1, left) for part in value], key=canonical)]
    if kind is dict:
        pairs = [[_tagged(key, depth - 1, left), _tagged(part, depth - 1, left)] for key, part in value.items()]
        return ["dict", sorted(pairs, key=canonical)]
    raise TagError(f"returned a value of type {_name(kind)}")


def _text(value: str) -> Any:
    try:
        value.encode()
    except UnicodeEncodeError:
        return ["text16", value.encode("utf-16-le", "surrogatepass").hex()]
    return value


def _name(kind: type) -> str:
    """Return the type's own name, past a metaclass that would answer something else."""
    return str(type.__dict__["__name__"].__get__(kind))


def _untagged(tag: Any, depth: int) -> Any:
    if tag is None or type(tag) in (bool, str):
        return tag
    if type(tag) is not list or len(tag) < 2 or type(tag[0]) is not str:
        raise TagError("neither a plain value nor a list that starts with a type")
    kind, body = tag[0], tag[1]
    if kind in ("list", "tuple", "set", "frozenset", "dict"):
        if type(body) is not list or len(tag) != 2 or depth <= 0:
            raise TagError(f"{kind} needs one list of parts")
        return _container(kind, body, depth - 1)
    if any(type(part) is not str for part in tag):
        raise TagError(f"{kind} needs text")
    if kind == "complex" and len(tag) == 3:
        return complex(float(body), float(tag[2]))
    read = _SCALARS.get(kind)
    if read is None or len(tag) != 2:
        raise TagError("no known type")
    return read(body)


def _container(kind: str, parts: list[Any], depth: int) -> Any:
    if kind == "dict":
        if any(type(pair) is not list or len(pair) != 2 for pair in parts):
            raise TagError("dict needs pairs")
        return {_untagged(key, depth): _untagged(part, depth) for key, part in parts}
    made = [_untagged(part, depth) for part in parts]
    return {"list": list, "tuple": tuple, "set": set, "frozenset": frozenset}[kind](made)


_SCALARS: dict[str, Any] = {
    "int": lambda text: int(text, 0),
    "float": float,
    "bytes": bytes.fromhex,
    "text16": lambda text: bytes.fromhex(text).decode("utf-16-le", "surrogatepass"),
}
