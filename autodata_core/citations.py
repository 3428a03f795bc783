"""Where a quoted passage stands in its source."""

from __future__ import annotations

import re

__all__ = ["find_quote"]


def find_quote(quote: str, text: str) -> tuple[int, int] | None:
    """Return start and end of `quote` in `text`, white space aside; None when it does not stand there."""
    start = text.find(quote)
    if start >= 0 and quote.strip():
        return start, start + len(quote)
    words = quote.split()
    if not words:
        return None
    # Found in the text with single blanks, then placed in the real one: a pattern of words would try every start anew.
    spans = [word.span() for word in re.finditer(r"\S+", text)]
    single, wanted = " ".join(text[a:b] for a, b in spans), " ".join(words)
    at = single.find(wanted)
    if at < 0:
        return None

    def place(offset: int) -> int:
        return spans[single.count(" ", 0, offset)][0] + offset - (single.rfind(" ", 0, offset) + 1)

    return place(at), place(at + len(wanted) - 1) + 1
