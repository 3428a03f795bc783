"""What a lesson may say before it may stand in a prompt: it speaks about questions, to nobody, and holds no text of a source."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from autodata_core.lazily import lazy
from autodata_core.learnings.borrowing import Owned, borrowed
from autodata_core.safety import find_instructions, neutralise

__all__ = ["fault_of", "faults_of"]

_LONGEST_WORD = 30
_SHORTEST_LESSON = 3
"""Words."""
_SIGNS = lazy(r"[{}<>`\\|\[\]«»‹›=^~#@$]|://|\bwww\.|[\x00-\x1f\x7f]")
"""Of code, markup, links and fences: a plain sentence has none."""
_SPREAD = lazy(r"(?<!\w)(?:[^\W\d_][\W_]+){4,}[^\W\d_](?!\w)")
_MEASURE = lazy(
    r"\b(?:judg\w*|grader\w*|evaluators?|examiners?|arbiter|advocate|critics?|reviewers?|verdicts?|verifiers?|quality.check\w*"
    r"|accept(?:s|ed|ance|ing)?|approv\w*|full.marks|prompts?|assistant|instructions?)\b",
    re.IGNORECASE,
)
"""Who measures, and how a text speaks to a model: a lesson advises one who writes questions."""
_VERDICT = lazy(
    r"\b(?:overall|grounded|self.contained|no.leak|answer.correct|passed|correct|marks?|score[sd]?|met)\b"
    r"\W{0,4}(?:is|are|was|be|to|as)?\W{0,4}\b(?:true|false|yes|met|1|10|100)\b",
    re.IGNORECASE,
)


def fault_of(text: str, private: Iterable[str | Owned], *, label: bool = False) -> str | None:
    """Return why a lesson is refused, None when it may be told; see `faults_of`."""
    return faults_of([text], private, label=label)[0]


def faults_of(texts: Sequence[str], private: Iterable[str | Owned], *, label: bool = False) -> tuple[str | None, ...]:
    """Return for each lesson why it is refused, None when it may be told. No reason repeats words of the lesson.

    Args:
        texts: Lessons.
        private: Everything that no lesson may hold text of.
        label: The texts are names of question types or skills: shorter, and of names only those that are surely ones count.
    """
    own = [_own_fault(text, label=label) for text in texts]
    asked = [text for text, fault in zip(texts, own, strict=True) if fault is None]
    found = iter(borrowed(asked, private, certain_names=label) if asked else ())
    return tuple(fault if fault is not None else next(found) for fault in own)


def _own_fault(text: str, *, label: bool) -> str | None:
    """Return what is wrong with a lesson by itself."""
    flags = find_instructions(text)
    if flags:
        return f"it reads as addressed to a model ({', '.join(flags)})"
    if neutralise(text) != text:
        return "it holds marks of a chat template"
    if not label and len(text.split()) < _SHORTEST_LESSON:
        return f"it has fewer than {_SHORTEST_LESSON} words"
    return _form_fault(text) or (None if label else _content_fault(text))


def _form_fault(text: str) -> str | None:
    if _SIGNS.search(text):
        return "it holds signs of code, markup or links; a plain sentence has none"
    if _SPREAD.search(text):
        return "it spreads letters"
    if any(len(word) > _LONGEST_WORD for word in text.split()):
        return f"it has a word of more than {_LONGEST_WORD} characters"
    return None


def _content_fault(text: str) -> str | None:
    if _VERDICT.search(text):
        return "it states a verdict"
    if _MEASURE.search(text):
        return "it speaks of who measures or of instructions; a lesson is about questions"
    return None
