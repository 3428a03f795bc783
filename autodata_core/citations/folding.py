"""Folds what typesetting changes in a text, and remembers where each piece stood before.

White space, dashes, quotation marks and the Unicode form are forgiven; what a number, a negation or a word says never is:
whatever folding would turn into another digit stays as it is.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate

from autodata_core.lazily import lazy

__all__ = ["DASHES", "LOOKALIKES", "MARK", "Folded", "fold"]

_MARKS_MAX = 8
"""Combining marks on one letter that are folded; longer runs are no writing, and ordering them takes quadratic time."""

DASHES = "‐‑‒–—―−﹘﹣－"
LOOKALIKES = str.maketrans(
    {**dict.fromkeys(DASHES, "-"), **dict.fromkeys("‘’‚‛′`´", "'"), **dict.fromkeys("“”„‟″«»", '"')}
)
MARK = r"\u0300-\u036f\u0483-\u0487\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f"
"""Combining marks, for a class of characters in a pattern."""
# Runs are copied whole; their last letter goes to the next piece when a mark follows it.
_PIECE = lazy(
    rf"""(?P<ascii>[!-&(-_a-~]+(?![{MARK}]))
    |(?P<word>[^\W\d_]+(?![{MARK}]))
    |(?P<blank>\s+)
    |(?P<soft>(?<=[^\W\d_])\xad\s{{0,8}}(?=[^\W\d_]))  # inside a word only: before a digit it may stand for a minus
    |(?P<other>.[{MARK}]*)""",
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True)
class Folded:
    """Folded text, and where each piece of it came from."""

    text: str
    starts: tuple[int, ...]
    """Where each piece starts in `text`."""
    raw: tuple[tuple[int, int], ...]
    """`raw[i]` is the span of piece `i` in the text before folding."""
    plain: tuple[bool, ...]
    """Whether piece `i` was copied, so that its inner places have places before folding."""

    def place(self, start: int, end: int) -> tuple[int, int] | None:
        """Return the span before folding, None when it begins or ends within one character."""
        first, last = bisect_right(self.starts, start) - 1, bisect_right(self.starts, end - 1) - 1
        after = self.starts[last + 1] if last + 1 < len(self.starts) else len(self.text)
        if not self.plain[first] and start != self.starts[first]:
            return None
        if not self.plain[last] and end != after:
            return None
        begin = self.raw[first][0] + (start - self.starts[first] if self.plain[first] else 0)
        return begin, (self.raw[last][0] + end - self.starts[last] if self.plain[last] else self.raw[last][1])


def fold(text: str) -> Folded:
    """Return `text` folded. Time is linear."""
    parts: list[str] = []
    raw: list[tuple[int, int]] = []
    plain: list[bool] = []
    for part, span, copied in _pieces(text):
        parts.append(part)
        raw.append(span)
        plain.append(copied)
    starts = tuple(accumulate(map(len, parts), initial=0))[:-1]
    return Folded("".join(parts), starts, tuple(raw), tuple(plain))


def _pieces(text: str) -> Iterator[tuple[str, tuple[int, int], bool]]:
    """Yield folded pieces with the span that each came from, and whether it is a plain copy of that."""
    for found in _PIECE.finditer(text):
        kind, part, span = found.lastgroup, found.group(), found.span()
        if kind == "ascii" or (kind == "word" and unicodedata.is_normalized("NFKD", part)):
            yield part, span, True
        elif kind == "word":
            yield from ((_fold_cluster(letter), (at, at + 1), False) for at, letter in enumerate(part, span[0]))
        elif kind == "blank":
            yield " ", span, False
        elif kind == "other":
            yield _fold_cluster(part), span, False


@lru_cache(maxsize=4096)
def _fold_cluster(cluster: str) -> str:
    """Return one character with its marks in the one form in which all of its ways of writing are equal."""
    if len(cluster) > _MARKS_MAX + 1:
        return cluster
    alike = cluster.translate(LOOKALIKES)
    kind = unicodedata.decomposition(alike[0]).partition(" ")[0]
    folded = unicodedata.normalize("NFKD", alike)
    new_digit = not alike[0].isdecimal() and any(c.isdecimal() for c in folded)
    if kind in ("<super>", "<sub>", "<fraction>") or new_digit or folded[:1].isspace():
        return alike
    return folded.translate(LOOKALIKES)
