"""Whether the answer stands where a solver can read it. Text rules only; models are asked elsewhere."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from fractions import Fraction

from autodata_core.domains import Domain
from autodata_core.lazily import lazy
from autodata_core.records import Candidate
from autodata_core.safety import decoded
from autodata_core.verify import NumberVerifier, fold_text, numbers_in

__all__ = ["find_leaks", "scripts_of", "shared_words", "words_of"]

_SHINGLE = 8
"""Words in a row that nobody writes twice by chance. Our number."""
_TOLD_SHARE = Fraction(9, 10)
"""Share of the answer's words and numbers from which a context tells it. Our number."""
_TOLD_WORDS = 8
"""Fewer words than this of an answer may stand in its context by chance."""
_CRITERION_WORDS = 5
_STOP = """
a an and are as at be been but by can could does for from had has have if in into is it its may more most not of on or so such
than that the their them then there these they this to was were when which while will with would
"""
_STOP_WORDS = frozenset(_STOP.split())


def find_leaks(candidate: Candidate, domain: Domain) -> tuple[str, ...]:
    """Return where the answer is given away; empty when it is not.

    The question never holds the answer. The context may where the domain says that it gives the data of the problem; there
    solvers decide whether finding it is too easy. Hidden text (base64, hex, escapes, …) is read as well.
    """
    places = [("question", candidate.question)]
    if not domain.context_may_hold_answer:
        places.append(("context", candidate.context))
    found = []
    for name, text in places:
        if _gives_away(text, candidate):
            found.append(f"the answer stands in the {name}")
        elif _shares_passage(text, candidate.reference_answer):
            found.append(f"{_SHINGLE} words in a row of the reference answer stand in the {name}")
        elif name == "context" and _tells(text, candidate.reference_answer):
            found.append("the answer can be read off the context: nearly all of its words and numbers stand there")
    for name, text in (("question", candidate.question), ("context", candidate.context)):
        if any(_gives_away(hidden, candidate) for hidden in decoded(text)):
            found.append(f"the answer stands encoded in the {name}")
    if any(c.weight > 0 and _names(candidate, c.criterion) for c in candidate.rubric or ()):
        found.append("a criterion of the rubric stands in question or context")
    return tuple(found)


def words_of(text: str) -> list[str]:
    """Return the words of a text without differences of case, Unicode form and punctuation."""
    return re.findall(r"\w+", fold_text(text))


def shared_words(one: str, other: str) -> Fraction:
    """Return the share of the words of both texts that stand in both, in [0, 1]; words without content do not count."""
    a, b = set(_content(words_of(one))), set(_content(words_of(other)))
    return Fraction(len(a & b), len(a | b)) if a | b else Fraction(0)


def scripts_of(text: str) -> frozenset[str]:
    """Return the scripts of whose letters a text has words: `LATIN`, `ARABIC`, `CJK`, …; a lone symbol is no word."""
    words = [] if text.isascii() else _OTHER_WORD.findall(text)
    names = {unicodedata.name(word[0], "").partition(" ")[0] for word in words}
    return frozenset({"LATIN", *(names - {"", "LATIN", "MATHEMATICAL", "GREEK"})})


_OTHER_WORD = lazy(r"[^\W\d_\u0000-\u024f]{2,}")


def _gives_away(text: str, candidate: Candidate) -> bool:
    check = candidate.check
    if check is not None and check.kind == "number" and NumberVerifier().check_spec(check) is None:
        return Fraction(check.spec["value"]) in numbers_in(text)
    answers = check.spec.get("accepted") if check is not None and check.kind == "text" else [candidate.reference_answer]
    return any(isinstance(answer, str) and _contains(text, answer) for answer in answers or ())


def _names(candidate: Candidate, criterion: str) -> bool:
    """Return whether question or context states a criterion, in its words or in their order."""
    if any(_contains(text, criterion) for text in (candidate.question, candidate.context)):
        return True
    wanted = set(_content(words_of(criterion))) - _RUBRIC_WORDS
    return len(wanted) >= _CRITERION_WORDS and wanted <= set(words_of(candidate.question))


_RUBRIC_WORDS = frozenset(
    ["answer", "criterion", "explains", "gives", "identifies", "mentions", "names", "notes", "says", "states"]
)
"""What criteria begin with; not what they ask for."""


def _tells(text: str, answer: str) -> bool:
    words = set(_content(words_of(answer)))
    return len(words) >= _TOLD_WORDS and len(words & set(words_of(text))) >= _TOLD_SHARE * len(words)


def _content(words: list[str]) -> list[str]:
    return [word for word in words if word not in _STOP_WORDS]


def _contains(text: str, part: str) -> bool:
    """Return whether `part` stands in `text` as whole words; yes and no, and single letters, prove nothing."""
    folded = words_of(part)
    if len(" ".join(folded)) < 4:
        return False
    return f" {' '.join(folded)} " in f" {' '.join(words_of(text))} "


def _shares_passage(text: str, answer: str) -> bool:
    known = set(_shingles(words_of(text)))
    return any(shingle in known for shingle in _shingles(words_of(answer)))


def _shingles(words: list[str]) -> Iterator[tuple[str, ...]]:
    return zip(*(words[n:] for n in range(_SHINGLE)), strict=False)
