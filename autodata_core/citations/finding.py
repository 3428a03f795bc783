"""Where a quoted passage stands in its source."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

from autodata_core.citations.folding import Folded, fold

__all__ = ["Text", "find_quote", "places"]

_PLACES_TRIED = 64
"""Places that are looked at when the first ones cut a character in two."""


def find_quote(quote: str, text: str) -> tuple[int, int] | None:
    """Return start and end of `quote` in `text`, None when it does not stand there.

    Verbatim where it stands verbatim; else the first place that differs in white space, dashes, quotation marks, soft
    hyphens or Unicode form alone. Case, digits, signs and superscripts are kept: `10³` is not `103`. Time is linear.
    """
    return next(places(quote, Text(text)), None)


class Text:
    """A text that is folded once, when somebody asks."""

    def __init__(self, raw: str) -> None:
        self.raw = raw

    @cached_property
    def folded(self) -> Folded:
        return fold(self.raw)


def places(quote: str, text: Text) -> Iterator[tuple[int, int]]:
    """Yield the spans of `quote`: the verbatim ones, then those after folding; only the first ones where there are many."""
    if not quote.strip():
        return
    at = -1
    for _ in range(_PLACES_TRIED):
        at = text.raw.find(quote, at + 1)
        if at < 0:
            break
        yield at, at + len(quote)
    wanted = fold(quote.strip()).text
    at = -1
    for _ in range(_PLACES_TRIED):
        at = text.folded.text.find(wanted, at + 1)
        if at < 0:
            return
        span = text.folded.place(at, at + len(wanted))
        if span is not None:
            yield span
