"""What differs between a quote that does not stand in its source and the passage it comes nearest to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from difflib import Match, SequenceMatcher

from autodata_core.citations.finding import Text
from autodata_core.citations.folding import fold
from autodata_core.citations.words import has_number, is_negation, words_of
from autodata_core.errors import shorten

__all__ = ["difference"]

_WORDS_MAX = 120
"""Words of a quote that are compared with the nearest passage: comparing takes the square of it."""
_NEAR = 0.6
"""Share of equal words from which a passage is named as the near one. Our number."""


def difference(quote: str, text: Text) -> str:
    """Return what differs between a quote and the nearest passage of the source, numbers and negations first."""
    wanted = words_of(fold(quote))[:_WORDS_MAX]
    passage, blocks = _nearest(wanted, words_of(text.folded))
    if sum(block.size for block in blocks) < _NEAR * max(1, len(wanted)):
        return f"does not stand in the source: {shorten(quote, 80)}"
    near = shorten(" ".join(passage), 100)
    changes = [
        (passage[a:b], wanted[c:d], a == 0 or b == len(passage))
        for kind, a, b, c, d in SequenceMatcher(None, passage, wanted, autojunk=False).get_opcodes()
        if kind != "equal"
    ]
    for name, is_one in (("number", has_number), ("negation", is_negation)):
        for there, here, at_edge in changes:
            stated, quoted = [w for w in there if is_one(w)], [w for w in here if is_one(w)]
            if stated != quoted and (quoted or not at_edge):  # what stands beside the quote is not left out of it
                return (
                    f"a {name} differs: the source has {_listed(stated)}, the quote has {_listed(quoted)}, near {near}"
                )
    if not changes:
        return (
            f"stands in the source only in part, with a word or number cut in two, or otherwise punctuated; near {near}"
        )
    there, here, _ = changes[0]
    return f"words differ: the source has {_listed(there)}, the quote has {_listed(here)}, near {near}"


def _listed(words: Sequence[str]) -> str:
    return shorten(" ".join(words), 60) if words else "none"


def _nearest(wanted: Sequence[str], words: Sequence[str]) -> tuple[list[str], list[Match]]:
    """Return the passage of the source that shares most words with the quote, and what they share. Linear in the source."""
    width = len(wanted) + 4
    missing = Counter(wanted)
    shared = best = at = 0
    for n, word in enumerate(words):
        if word in missing:
            shared += missing[word] > 0
            missing[word] -= 1
        gone = words[n - width] if n >= width else None
        if gone is not None and gone in missing:
            missing[gone] += 1
            shared -= missing[gone] > 0
        if shared > best:
            best, at = shared, n
    window = list(words[max(0, at - width + 1) : at + width + 1])
    blocks = SequenceMatcher(None, window, list(wanted), autojunk=False).get_matching_blocks()[:-1]
    if not best or not blocks:
        return [], []
    end = blocks[-1].a + len(wanted) - blocks[-1].b
    return window[max(0, blocks[0].a - blocks[0].b) : end], blocks
