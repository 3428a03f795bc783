"""What counts as the same text: case, Unicode form, punctuation and spacing do not, numbers and operators do.

Nor does it count that a letter was replaced by one that looks the same, or that `what is` was drawn together to `what's`.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from functools import lru_cache

__all__ = ["STOP_WORDS", "fold", "is_exact", "stem", "text_hash", "tokens"]

_SENTENCE_WORDS = """
a an and are as at be been being but by can could did do does for from had has have he her his how i if in into is it
its may me might must my of on or our please shall she should so some such than that the their them then there these
they this those to us was we were what when where which while who whom whose why will with would you your
"""
STOP_WORDS = frozenset(_SENTENCE_WORDS.split())
"""English words that make sentences rather than meaning. Negations, quantities and comparisons are not among them."""

_TO_TWENTY = """
zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen
eighteen nineteen twenty
"""
_TENS = ("thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_NUMBER_WORDS = {word: str(value) for value, word in enumerate(_TO_TWENTY.split())} | {
    word: str(value) for value, word in zip(range(30, 100, 10), _TENS, strict=True)
}

_TOKEN = re.compile(
    r"\d+(?:[.,]\d+)*"  # a number with its separators
    r"|[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af]"  # scripts without spaces: each sign is a word
    r"|[^\W\d_]+(?:['\u2019][^\W\d_]+)*"  # a word, with what follows an apostrophe
    r"|[-+*/^=<>%×÷·≤≥≠≈√±|&~$€£¥°]"  # signs that change what is asked
)
_EMPHASIS = re.compile(r"(?<![\w)\]*])\*{1,2}(?=[^\s*])|(?<=[^\s*])\*{1,2}(?![\w(\[*])")
"""Stars around words, as in Markdown; a star between two values is a product."""
_THOUSANDS = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?")
_INVISIBLE = dict.fromkeys((173, 8203, 8204, 8205, 8288, 65279))
_CYRILLIC = dict(zip("асеорхуіјѕһԛԝ", "aceopxyijshqw", strict=True))
_GREEK = dict(zip("αεικνορτυχ", "aeiknoptux", strict=True))
"""Small letters that look like Latin ones, by script."""
_LOOKALIKE = {ord(letter): latin for letter, latin in (_CYRILLIC | _GREEK).items()}
_FOREIGN = re.compile(r"[\u0370-\u03ff\u0400-\u052f]")
_LATIN = re.compile(r"[a-z]")
_WORD_LETTERS = re.compile(r"[^\W\d_]+")
_CYRILLIC_LETTER = re.compile(r"[\u0400-\u052f]")
_ENDINGS = {"s": "is", "re": "are", "ve": "have", "ll": "will", "d": "would", "m": "am"}
"""What stands behind the apostrophe of a word that makes sentences; `n't` is a negation and stays."""


def tokens(text: str) -> list[str]:
    """Return words, numbers and operators of `text` in order, folded; punctuation is gone."""
    clean = unicodedata.normalize("NFKC", text).casefold().translate(_INVISIBLE)
    # Once more: folding the case can leave a form that is not normal.
    clean = _EMPHASIS.sub(" ", unicodedata.normalize("NFKC", clean).replace("−", "-"))
    if _FOREIGN.search(clean):
        clean = _without_lookalikes(clean)
    found: list[str] = []
    for match in _TOKEN.finditer(clean):
        part = match.group()
        # A hyphen or slash between words is punctuation, before or between numbers it is an operator.
        if part in "-/|&~$" and not clean[match.end() : match.end() + 2].lstrip()[:1].isdigit():
            continue
        if _THOUSANDS.fullmatch(part):
            part = part.replace(",", "")
        if "'" in part or "’" in part:
            found += _drawn_apart(part.replace("’", "'"))
        else:
            found.append(_NUMBER_WORDS.get(part, part))
    return found


def _without_lookalikes(text: str) -> str:
    """Return a folded text in which no Latin word is written with Cyrillic or Greek letters.

    A word of two scripts is a Latin one if most of its letters are. A word wholly of such letters is Russian where the text has
    any Cyrillic letter that looks like no Latin one; Greek letters alone are names of quantities and stay.
    """
    latin_text = bool(_LATIN.search(text)) and all(letter in _CYRILLIC for letter in _CYRILLIC_LETTER.findall(text))

    def plain(match: re.Match[str]) -> str:
        word = match.group()
        foreign = len(_FOREIGN.findall(word))
        if not foreign:
            return word
        mixed = len(word) > 2 and 2 * len(_LATIN.findall(word)) >= len(word)
        if mixed or (latin_text and all(letter in _CYRILLIC or letter.isascii() for letter in word)):
            return word.translate(_LOOKALIKE)
        return word

    return _WORD_LETTERS.sub(plain, text)


def _drawn_apart(word: str) -> list[str]:
    """Return `what`, `is` for `what's`; possessives of things stay as they are."""
    stem_of_word, _, ending = word.partition("'")
    return [stem_of_word, _ENDINGS[ending]] if ending in _ENDINGS and stem_of_word in STOP_WORDS else [word]


def fold(text: str) -> str:
    """Return the text that stands for all texts which differ in case, Unicode form, punctuation and spacing only."""
    return " ".join(tokens(text)) or " ".join(text.split())


def text_hash(text: str) -> bytes:
    """Return 16 bytes that are equal exactly when the folded texts are."""
    return hashlib.blake2b(fold(text).encode("utf-8", "replace"), digest_size=16).digest()


def is_exact(token: str) -> bool:
    """Tell whether a token is a number or an operator, where being nearly the same means nothing."""
    return not token[0].isalpha()


@lru_cache(maxsize=20_000)
def stem(word: str) -> str:
    """Return an English word without the ending of its plural or possessive."""
    word = word.removesuffix("'s")
    if len(word) > 4 and word.endswith("ies"):
        return word[:-3] + "y"
    if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        return word[:-1]
    return word
