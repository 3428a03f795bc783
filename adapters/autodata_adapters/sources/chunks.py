"""Cuts a long document into parts of a bounded number of tokens, at paragraphs where that is possible."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from autodata_adapters.sources.loaded import Shelf, fit_id
from autodata_adapters.tokens import TokenCounter
from autodata_core.errors import SourceError

__all__ = ["add_chunks", "chunk_spans"]

_SEAMS = (re.compile(r"\n\s*\n"), re.compile(r"\n"), re.compile(r"(?<=[.!?])\s+"))
"""Where to cut, best first: paragraphs, lines, sentences."""


def add_chunks(
    text: str,
    *,
    id: str,
    licence: str | None,
    meta: Mapping[str, Any],
    place: str,
    chunk_tokens: int | None,
    shelf: Shelf,
    sha256: object = None,
) -> None:
    """Put a document on the shelf, in parts when it has more than `chunk_tokens` tokens.

    Raises:
        SourceError: `chunk_tokens` is below 1, or the document cannot be used.
    """
    if chunk_tokens is None:
        shelf.add(text, id=id, licence=licence, meta=meta, place=place, sha256=sha256)
        return
    if chunk_tokens < 1:
        raise SourceError(f"chunk_tokens must be at least 1, got {chunk_tokens}.")
    spans = chunk_spans(text, chunk_tokens, TokenCounter())
    if len(spans) < 2:
        shelf.add(text, id=id, licence=licence, meta=meta, place=place, sha256=sha256)
        return
    for number, (start, end) in enumerate(spans, 1):
        part = {**meta, "part": number, "span": [start, end]}
        shelf.add(text[start:end], id=fit_id(f"{id}#{number}"), licence=licence, meta=part, place=place)


def chunk_spans(text: str, max_tokens: int, counter: TokenCounter) -> list[tuple[int, int]]:
    """Return start and end of each part, in characters, in order. Together they hold all that is not white space.

    Parts are filled up with whole paragraphs, then lines, then sentences; a longer sentence is cut anywhere. The
    token count of a part is the sum over its pieces, which is not below that of the whole by more than a few.
    """
    spans: list[tuple[int, int]] = []
    used = 0
    for start, end, tokens in _pieces(text, (0, len(text)), max_tokens, counter):
        if spans and used + tokens <= max_tokens:
            spans[-1] = (spans[-1][0], end)
            used += tokens
        else:
            spans.append((start, end))
            used = tokens
    trimmed = ((_skip_blank(text, start, end), end) for start, end in spans)
    return [(start, start + len(text[start:end].rstrip())) for start, end in trimmed if start < end]


def _pieces(
    text: str, span: tuple[int, int], max_tokens: int, counter: TokenCounter, level: int = 0
) -> Iterator[tuple[int, int, int]]:
    start, end = span
    tokens = counter.count(text[start:end])
    if tokens <= max_tokens:
        yield start, end, tokens
        return
    if level == len(_SEAMS):
        yield from _hard_cuts(text, span, max_tokens, counter)
        return
    here = start
    for seam in _SEAMS[level].finditer(text, start, end):
        if seam.end() > here:
            yield from _pieces(text, (here, seam.end()), max_tokens, counter, level + 1)
            here = seam.end()
    if here < end:
        yield from _pieces(text, (here, end), max_tokens, counter, level + 1)


def _hard_cuts(
    text: str, span: tuple[int, int], max_tokens: int, counter: TokenCounter
) -> Iterator[tuple[int, int, int]]:
    start, end = span
    while start < end:
        # At least one character, though a rare one may have more tokens than allowed.
        size = max(1, len(counter.truncate(text[start:end], max_tokens).text))
        yield start, start + size, max_tokens
        start += size


def _skip_blank(text: str, start: int, end: int) -> int:
    return start + len(text[start:end]) - len(text[start:end].lstrip())
