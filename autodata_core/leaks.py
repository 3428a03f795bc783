"""Whether the answer stands where a solver can read it. Text rules only; models are asked elsewhere."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction

from autodata_core.domains import Domain
from autodata_core.records import Candidate
from autodata_core.verify import NumberVerifier, fold_text, numbers_in

__all__ = ["find_leaks"]

_SHINGLE = 8
"""Words in a row that nobody writes twice by chance. Our number."""


def find_leaks(candidate: Candidate, domain: Domain) -> tuple[str, ...]:
    """Return where the answer is given away; empty when it is not.

    The question never holds the answer. The context may where the domain says that it gives the data of the problem.
    """
    places = [("question", candidate.question)]
    if not domain.context_may_hold_answer:
        places.append(("context", candidate.context))
    found = []
    for name, text in places:
        if candidate.check is not None and _states_answer(text, candidate):
            found.append(f"the answer stands in the {name}")
        elif _shares_passage(text, candidate.reference_answer):
            found.append(f"{_SHINGLE} words in a row of the reference answer stand in the {name}")
    for criterion in candidate.rubric or ():
        if criterion.weight > 0 and _contains(candidate.question + "\n" + candidate.context, criterion.criterion):
            found.append("a criterion of the rubric stands in question or context")
            break
    return tuple(found)


def _states_answer(text: str, candidate: Candidate) -> bool:
    check = candidate.check
    if check is not None and check.kind == "number" and NumberVerifier().check_spec(check) is None:
        return Fraction(check.spec["value"]) in numbers_in(text)
    answers = check.spec.get("accepted") if check is not None and check.kind == "text" else [candidate.reference_answer]
    return any(isinstance(answer, str) and _contains(text, answer) for answer in answers or ())


def _contains(text: str, part: str) -> bool:
    """Return whether `part` stands in `text` as whole words; yes and no, and single letters, prove nothing."""
    folded = _words(part)
    if len(" ".join(folded)) < 4:
        return False
    return f" {' '.join(folded)} " in f" {' '.join(_words(text))} "


def _shares_passage(text: str, answer: str) -> bool:
    known = set(_shingles(_words(text)))
    return any(shingle in known for shingle in _shingles(_words(answer)))


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", fold_text(text))


def _shingles(words: list[str]) -> Iterator[tuple[str, ...]]:
    return zip(*(words[n:] for n in range(_SHINGLE)), strict=False)
