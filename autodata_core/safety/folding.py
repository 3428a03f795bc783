"""One form for text that reads the same: case, width, accents and hidden characters; look-alike letters on demand.

Names nothing good or bad; what is searched in folded text is elsewhere.
"""

from __future__ import annotations

import unicodedata

from autodata_core.lazily import lazy
from autodata_core.safety.hidden import without_hidden

__all__ = ["fold", "fold_shown", "look_alikes"]

_MARKS = lazy("[\u00ad\u0300-\u036f\u0483-\u0487\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\u3099\u309a\ufe20-\ufe2f]+")

_SAME_SHAPE = {
    "а": "a", "в": "b", "с": "c", "ԁ": "d", "е": "e", "ғ": "f", "ɡ": "g", "һ": "h", "н": "h", "і": "i", "ј": "j",
    "к": "k", "ӏ": "l", "м": "m", "п": "n", "о": "o", "р": "p", "ԛ": "q", "г": "r", "ѕ": "s", "т": "t", "υ": "u",
    "ѵ": "v", "ԝ": "w", "х": "x", "у": "y", "α": "a", "β": "b", "ε": "e", "η": "n", "ι": "i", "κ": "k", "ν": "v",
    "ο": "o", "ρ": "p", "σ": "o", "τ": "t", "χ": "x", "γ": "y", "ı": "i", "ɑ": "a", "ℓ": "l", "ⅼ": "l", "ո": "n",
    "օ": "o", "ս": "u", "հ": "h", "ց": "g", "ɪ": "i", "ɴ": "n", "ᴏ": "o", "ʀ": "r", "ᴇ": "e", "ɢ": "g", "ꜱ": "s",
    "ᴛ": "t", "ᴜ": "u", "ᴄ": "c", "ᴘ": "p", "ᴠ": "v", "ʏ": "y", "ᴀ": "a", "ʟ": "l", "ᴅ": "d", "ᴍ": "m", "ʙ": "b",
    "ø": "o", "đ": "d", "ł": "l", "ħ": "h",
}  # fmt: skip
_DIGITS_FOR_LETTERS = {"0": "o", "1": "i", "3": "e", "4": "a", "5": "s", "7": "t", "@": "a", "$": "s", "|": "i"}
_SHAPES = str.maketrans({**_SAME_SHAPE, **_DIGITS_FOR_LETTERS})
_LEET = str.maketrans(_DIGITS_FOR_LETTERS)


def fold(text: str) -> str:
    """Return `text` in lower case without hidden characters, accents, soft hyphens and differences of width.

    Accents go in every script, so that patterns and terms must be folded as well before they are compared.
    """
    return fold_shown(without_hidden(text))


def fold_shown(text: str) -> str:
    """Return what `fold` does of a text whose hidden characters are gone already."""
    if text.isascii():
        return text.lower()
    return _MARKS.sub("", unicodedata.normalize("NFKD", text.casefold()))


def look_alikes(folded: str) -> str:
    """Return folded text with letters of other scripts, and digits, in place of the Latin letters they look like."""
    return folded.translate(_LEET if folded.isascii() else _SHAPES)
