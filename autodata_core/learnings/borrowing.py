"""Whether texts share words in a row, a number or a name with others: what was learned from one source goes to others.

Texts are compared without case, accents, hidden characters, look-alike letters and punctuation. What is said in other words
passes. A word that is no name is held against a text only where one source has it and everyday English does not.
"""

from __future__ import annotations

import codecs
from collections.abc import Collection, Iterable, Sequence
from fractions import Fraction
from functools import cache
from typing import NamedTuple

from autodata_core.lazily import lazy
from autodata_core.prompts.editable import CHALLENGER_TEXTS, CHECK_TEXTS
from autodata_core.prompts.study_texts import COMMON_WORDS, ORDINARY_WORDS, STUDY_TEXT
from autodata_core.safety import decoded
from autodata_core.safety.folding import fold, look_alikes
from autodata_core.verify import numbers_in

__all__ = ["WORDS_IN_A_ROW", "Owned", "borrowed"]

WORDS_IN_A_ROW = 6
_ORDINARY_NUMBERS = frozenset(Fraction(n) for n in range(13))
"""Everybody writes these."""
_SHORTEST_NAME = 2

_CJK = "\u0e00-\u0e7f\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af"
_WORD = lazy(rf"[{_CJK}]|(?:(?![{_CJK}_])\w)+")
"""In scripts without blanks a character is a word."""
_CASED = lazy(r"[^\W\d_](?:[\w’'-]*\w)?")
_HUMP = lazy(r"(?<=[a-z\u00df-\u00ff])(?=[A-Z\u00c0-\u00de])")
_NAME = lazy(r"[A-Z\u00c0-\u00de\u0391-\u03a9\u0400-\u042f]|.*[^\W\d_].*\d|.*[a-z].*[A-Z]")
"""Begins with a capital, or mixes letters with digits or capitals."""
_OPENS = lazy(r"(?:^|[.!?:;•|>#*\n\"“”„(\[-])[\s*_#>|\"“„(\[-]*$")


class Owned(NamedTuple):
    """Text of a source, whose words are compared with those of the other sources."""

    text: str
    source: str
    """Name of the document."""


def borrowed(
    texts: Sequence[str], private: Iterable[str | Owned], *, certain_names: bool = False
) -> tuple[str | None, ...]:
    """Return for each text what it shares with the private ones, None when nothing. The shared words are not repeated.

    Args:
        texts: Short ones.
        private: Texts of sources and of what was made from them. Read once; time is linear in their length. Of those that
            are `Owned`, no word may be taken that stands in one of them only, unless it is a common one.
        certain_names: A word counts as a name only where it has a capital inside a sentence.
    """
    wanted = [_Wanted(text) for text in texts]
    grams = frozenset().union(*(w.grams for w in wanted))
    numbers = frozenset().union(*(w.numbers for w in wanted))
    words = frozenset().union(*(w.words for w in wanted))
    shared: set[tuple[str, ...]] = set()
    stated: set[Fraction] = set()
    small: set[str] = set()
    large: set[str] = set()
    parts: dict[str, frozenset[str]] = {}
    owners: dict[str, set[str]] = {}
    for given in private:
        text = given if isinstance(given, str) else given.text
        row = _words(text) if grams or numbers or words else []
        if isinstance(given, Owned):
            for word in words.intersection(row):
                owners.setdefault(word, set()).add(given.source)
        if grams:
            shared |= grams & set(_grams(row))
        if numbers:
            stated |= numbers & ({abs(n) for n in numbers_in(text)} | set(_spelled(row)))
        if words:
            _note_case(text, words, parts, small, large, certain_names)
    names = large - small
    rare = {word for word, found in owners.items() if len(found) == 1 and not _is_common(word)}
    return tuple(_fault(w, shared, stated, names, rare) for w in wanted)


def _fault(
    wanted: _Wanted,
    shared: set[tuple[str, ...]],
    stated: set[Fraction],
    names: Collection[str],
    rare: Collection[str],
) -> str | None:
    if wanted.grams & shared:
        return f"{WORDS_IN_A_ROW} words in a row stand in a source, question or answer"
    if wanted.numbers & stated:
        return "a number of it stands in a source, question or answer"
    if wanted.words & set(names):
        return "a name of it stands in a source, question or answer"
    if wanted.words & set(rare):
        return "a word of it stands in one source only"
    return None


class _Wanted:
    """What of a text is looked for elsewhere."""

    def __init__(self, text: str) -> None:
        whole = "\n".join([text, *decoded(text)])
        row = _words(whole)
        turned = (_words(text[::-1]), _words(codecs.encode(text, "rot13")))
        self.grams = frozenset(gram for words in (row, *turned) for gram in _grams(words))
        self.numbers = frozenset({abs(n) for n in numbers_in(whole)} | set(_spelled(row))) - _ORDINARY_NUMBERS
        self.words = frozenset(word for word in row if len(word) >= _SHORTEST_NAME and word not in _ordinary())


def _words(text: str) -> list[str]:
    return _WORD.findall(look_alikes(fold(_HUMP.sub(" ", text))))


def _grams(words: Sequence[str]) -> Iterable[tuple[str, ...]]:
    return zip(*(words[n:] for n in range(WORDS_IN_A_ROW)), strict=False)


def _note_case(
    text: str,
    wanted: frozenset[str],
    parts: dict[str, frozenset[str]],
    small: set[str],
    large: set[str],
    certain: bool,
) -> None:
    """Note which of the wanted words stand in a text with a capital, and which without.

    Args:
        text: Is read once.
        wanted: Folded words.
        parts: By token: which of them it holds; filled here.
        small: Words that were seen without a capital.
        large: Words that were seen as names.
        certain: A capital counts only inside a sentence.
    """
    for match in _CASED.finditer(text):
        token = match[0]
        found = parts.get(token)
        if found is None:
            found = parts[token] = wanted.intersection(_words(token))
        if not found:
            continue
        if not _NAME.match(token):
            small |= found
        elif not certain or not _OPENS.search(text, max(0, match.start() - 12), match.start()):
            large |= found


@cache
def _ordinary() -> frozenset[str]:
    """Return the words that our own texts use: a lesson may speak of questions, answers and solvers."""
    texts = [*CHALLENGER_TEXTS.values(), *CHECK_TEXTS.values(), STUDY_TEXT, ORDINARY_WORDS]
    return frozenset(_words("\n".join(texts)))


@cache
def _common() -> frozenset[str]:
    return frozenset(_words(COMMON_WORDS))


def _is_common(word: str) -> bool:
    """Return whether a word is everyday English, in this form or another."""
    known = _common() | _ordinary()
    forms = [word, *(word.removesuffix(end) for end in _ENDINGS if word.endswith(end) and len(word) > len(end) + 2)]
    return any(form in known or f"{form}e" in known for form in forms)


_ENDINGS = ("s", "es", "d", "ed", "ing", "ly", "er", "est")
_UNIT_WORDS = """zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen
seventeen eighteen nineteen"""
_TEN_WORDS = "twenty thirty forty fifty sixty seventy eighty ninety"
_UNITS = {word: n for n, word in enumerate(_UNIT_WORDS.split())}
_TENS = {word: 10 * n for n, word in enumerate(_TEN_WORDS.split(), start=2)}
_LARGE = {"hundred": 100, "thousand": 1_000, "million": 1_000_000, "billion": 1_000_000_000}


def _spelled(words: Sequence[str]) -> Iterable[Fraction]:
    """Yield the numbers that are written as English words: `nine hundred and four`."""
    total = part = 0
    inside = False
    for word in [*words, ""]:
        if word in _UNITS or word in _TENS:
            part, inside = part + _UNITS.get(word, 0) + _TENS.get(word, 0), True
        elif word == "hundred":
            part, inside = max(part, 1) * 100, True
        elif word in _LARGE:
            total, part, inside = total + max(part, 1) * _LARGE[word], 0, True
        elif word != "and" and inside:
            yield Fraction(total + part)
            total = part = 0
            inside = False
