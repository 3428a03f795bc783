"""Documents from a JSON-lines file, one a line, read strictly: what is unclear is an error that names its line."""

from __future__ import annotations

import json
import math
from collections import Counter
from typing import Any, NoReturn

from autodata_adapters.sources.chunks import add_chunks
from autodata_adapters.sources.loaded import Shelf, fit_id
from autodata_adapters.sources.reading import decode_text
from autodata_core.errors import SourceError, shorten

__all__ = ["KEYS", "add_lines"]

KEYS = ("id", "text", "meta", "licence", "sha256")
"""What a line may hold. Only `text` must be there."""

_LARGEST_INT = 2**63 - 1
"""Larger whole numbers do not survive a graph's state."""


def add_lines(content: bytes, *, name: str, licence: str | None, chunk_tokens: int | None, shelf: Shelf) -> None:
    """Put each line of `content` on the shelf; the id of a line without one is `<name>:<line>`.

    Args:
        content: The file. Lines end at LF bytes only, for JSON text may hold other line separators.
        name: Id of the file.
        licence: For lines that name none.
        chunk_tokens: Longer texts are cut into parts; None keeps them whole.
        shelf: Where the documents go.

    Raises:
        NotTextError: The file is binary.
        SourceError: A line is not an object of the known keys, or its id is used twice in the file.
    """
    decode_text(content, name)
    first_line: dict[str, int] = {}
    found = False
    for number, raw in enumerate(content.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1):
        if not raw.strip():
            continue
        found = True
        place = f"{name}, line {number}"
        line = _parse(raw, place)
        id = fit_id(line.get("id") or f"{name}:{number}")
        if id in first_line:
            raise SourceError(f"{place}: the id {shorten(id)} stands in line {first_line[id]} already. Ids are unique.")
        first_line[id] = number
        meta = {"file": name, "line": number, **line.get("meta", {})}
        add_chunks(
            line["text"],
            id=id,
            licence=line.get("licence") or licence,
            meta=meta,
            place=place,
            chunk_tokens=chunk_tokens,
            shelf=shelf,
            sha256=line.get("sha256"),
        )
    if not found:
        shelf.skip(name, "It has no lines.")


def _parse(raw: bytes, place: str) -> dict[str, Any]:
    try:
        line = json.loads(
            raw,
            object_pairs_hook=_unique,
            parse_constant=_no_constant,
            parse_float=_finite,
            parse_int=_small,
        )
    except (ValueError, RecursionError) as error:
        raise SourceError(f"{place}: not valid JSON: {error}. Write one JSON object a line.") from error
    if not isinstance(line, dict):
        raise SourceError(f"{place}: expected an object with a 'text', got {shorten(line)}.")
    for key in line:
        if key not in KEYS:
            raise SourceError(f"{place}: unknown key {shorten(key)}; known are {', '.join(KEYS)}. Put it under 'meta'.")
    if not isinstance(line.get("text"), str):
        raise SourceError(f"{place}: 'text' must be a string, got {shorten(line.get('text'))}.")
    line = {key: value for key, value in line.items() if value is not None}
    for key, kind in (("id", str), ("licence", str), ("sha256", str), ("meta", dict)):
        if key in line and not isinstance(line[key], kind):
            what = "an object" if kind is dict else "a string"
            raise SourceError(f"{place}: {key!r} must be {what}, got {shorten(line[key])}.")
    return _valid_unicode(line)  # type: ignore[no-any-return]


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        twice = next(key for key, times in Counter(key for key, _ in pairs).items() if times > 1)
        raise ValueError(f"the key {shorten(twice)} stands there twice")
    return made


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def _finite(text: str) -> float:
    if not math.isfinite(value := float(text)):
        raise ValueError(f"the number {shorten(text)} is too large")
    return value


def _small(text: str) -> int:
    if len(text) > 20 or abs(value := int(text)) > _LARGEST_INT:
        raise ValueError(f"the number {shorten(text)} has more than 64 bits; write it as a string")
    return value


def _valid_unicode(value: Any) -> Any:
    """Return `value` with half surrogate pairs (JSON allows their escapes, no file or database does) as `?`."""
    match value:
        case str():
            return value.encode("utf-8", "replace").decode("utf-8")
        case list():
            return [_valid_unicode(part) for part in value]
        case dict():
            return {_valid_unicode(key): _valid_unicode(part) for key, part in value.items()}
        case _:
            return value
