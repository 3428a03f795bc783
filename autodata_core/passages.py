"""Whether a text quotes a source, and the text without the quotation: what is learnt from one source goes to others.

Words are compared without case, Unicode form, punctuation and hidden characters. A fact in words of its own passes.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from typing import Any

from autodata_core.lazily import lazy

__all__ = ["Passages", "word_count"]

WINDOW = 8
"""Words in a row that nobody writes twice by chance. Our number, as in `leaks`."""
_SENTENCE = 4
"""A shorter sentence is a quotation from this many words on, when it is whole."""
_MOST = 2_000_000
"""Windows that are remembered, about 200 MB; a text that comes later is not known."""

_CJK = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af"
_HIDDEN = "\u00ad\u034f\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufe00-\ufe0f\ufeff"
_TOKEN = lazy(rf"[{_CJK}]|(?:(?![{_CJK}_])[\w{_HIDDEN}])+")
_STRIP = lazy(f"[{_HIDDEN}]")
_ENDS = lazy(r"(?<=[.!?;。！？])\s+|\n+")


class Passages:
    """What texts hold, as hashes of words in a row. Copies share it; it is safe to use from many threads."""

    def __init__(self, *texts: str) -> None:
        self._known: set[int] = set()
        self._learnt: set[int] = set()
        for text in texts:
            self.learn(text)

    def __deepcopy__(self, memo: object) -> Passages:
        return self

    def learn(self, text: str) -> None:
        """Remember a text, once."""
        if hash(text) in self._learnt or len(self._known) > _MOST:
            return
        self._learnt.add(hash(text))
        words = [word for word, _, _ in _words(text)]
        self._known.update(hash(tuple(words[n : n + WINDOW])) for n in range(len(words) - WINDOW + 1))
        for sentence in _ENDS.split(text):
            whole = tuple(word for word, _, _ in _words(sentence))
            if _SENTENCE <= len(whole) < WINDOW:
                self._known.add(hash(whole))

    def without(self, text: str, keep: str = "") -> str:
        """Return `text` with every quotation replaced by how long it was.

        Args:
            text: Any text.
            keep: What may be said although it stands in a source, such as the instructions one began with.
        """
        found = list(_words(text))
        kept = Passages(keep)._known if keep else set()
        quoted = [False] * len(found)
        for size in range(_SENTENCE, WINDOW + 1):
            for n in range(len(found) - size + 1):
                window = hash(tuple(word for word, _, _ in found[n : n + size]))
                if window in self._known and window not in kept:
                    quoted[n : n + size] = [True] * size
        made, at, n = "", 0, 0
        while n < len(found):
            if not quoted[n]:
                n += 1
                continue
            first = n
            while n < len(found) and quoted[n]:
                n += 1
            made += f"{text[at : found[first][1]]}[{n - first} words of a source]"
            at = found[n - 1][2]
        return made + text[at:]

    def quoted_in(self, text: str) -> bool:
        """Return whether `text` quotes anything known."""
        return self.without(text) != text

    def without_in(self, value: Any) -> Any:
        """Return plain JSON with the quotations replaced in every text of it; keys stay."""
        if isinstance(value, str):
            return self.without(value)
        if isinstance(value, dict):
            return {key: self.without_in(inner) for key, inner in value.items()}
        return [self.without_in(inner) for inner in value] if isinstance(value, list) else value


def word_count(text: str) -> int:
    """Return how many words a text has, as they are counted here."""
    return sum(1 for _ in _words(text))


def _words(text: str) -> Iterator[tuple[str, int, int]]:
    """Yield each word folded, with where it starts and ends."""
    for match in _TOKEN.finditer(text):
        folded = unicodedata.normalize("NFKC", _STRIP.sub("", match[0])).casefold()
        for word in re.findall(r"[^\W_]+", folded):
            yield word, match.start(), match.end()
