"""Words of a passage, and which of them are numbers or negations: those that change most of what it says."""

from __future__ import annotations

from autodata_core.citations.folding import LOOKALIKES, Folded
from autodata_core.lazily import lazy

__all__ = ["bare", "count", "has_number", "is_negation", "words_of"]

_AROUND = ".,:;!?\"'()[]"
_UNSPACED = lazy(r"[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff]")  # Thai, kana, Han
_NUMBER = lazy(r"[-+−]?(?:\d[\d.,/:]*)?\d")
_NEGATIONS = frozenset(
    (
        "not", "no", "never", "none", "nobody", "nothing", "nowhere", "neither", "nor", "cannot", "without", "hardly",
        "isn't", "aren't", "wasn't", "weren't", "don't", "doesn't", "didn't", "won't", "wouldn't", "can't",
        "couldn't", "shouldn't", "mustn't", "hasn't", "haven't", "hadn't",
    )
)  # fmt: skip


def count(text: str) -> int:
    """Return the number of words; two characters of a script without blanks count as one."""
    return max(len(text.split()), len(_UNSPACED.findall(text)) // 2)


def words_of(folded: Folded) -> list[str]:
    """Return the words without what stands around them."""
    return [stripped for word in folded.text.split() if (stripped := word.strip(_AROUND))]


def bare(word: str) -> str:
    """Return a word as it is compared: folded, in small letters, without what stands around it."""
    return word.translate(LOOKALIKES).strip(_AROUND).casefold()


def has_number(word: str) -> bool:
    return bool(_NUMBER.search(word)) or any(c.isnumeric() for c in word)


def is_negation(word: str) -> bool:
    return word.casefold() in _NEGATIONS
