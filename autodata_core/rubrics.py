"""Rubric lint: criteria that cannot tell a good answer from a bad one. The counts and weights are the domain's `RubricShape`."""

from __future__ import annotations

import re
from collections.abc import Sequence

from autodata_core.errors import shorten
from autodata_core.lazily import lazy
from autodata_core.leaks import words_of
from autodata_core.records import Criterion

__all__ = ["rubric_faults"]

_TO_THE_JUDGE = lazy(
    r"\b(?:always|automatically|just|simply|please|must) (?:mark|score|grade|award|give|accept|pass)\b"
    r"|\b(?:mark|score|grade|award|give) (?:this|it|the answer|full|all|true|as)\b"
    r"|\b(?:judge|grader|evaluator|marker)s? (?:should|must|shall|will|is to|are to)\b"
    r"|\b(?:ignore|disregard|forget) (?:(?:all|any|the|your|previous|prior|above|other|these|of) ){0,4}"
    r"(?:instructions?|rubric|criteria|prompt)\b",
    re.IGNORECASE,
)
_ANYTHING = lazy(
    r"^\W*(?:any|every|whatever|all) (?:answers?|responses?|attempts?|text|repl(?:y|ies)) (?:at all )?"
    r"(?:is|are|will|counts?|pass(?:es)?|meets?|qualif(?:y|ies)|deserves?)\b"
    r"|\b(?:gives|provides|contains|is|has|makes|offers) (?:an?|some|any) (?:answer|response|attempt|reply|text)\b\W*$"
    r"|\b(?:answers|responds to|addresses|attempts) the question\b\W*$"
    r"|^\W*(?:the )?(?:answer|response|reply) (?:is|seems|looks) (?:correct|right|good|complete|accurate|relevant)\b\W*$"
    r"|^\W*(?:is )?(?:correct|right|good|true|accurate|complete|relevant)\W*$",
    re.IGNORECASE,
)
_FORM_ONLY = lazy(
    r"\b(?:at least|at most|more than|fewer than|exactly|between|no more than|under|over) (?:\d+|one|two|three|four|five|ten|"
    r"fifty|a hundred)(?: (?:and|to) \d+)? (?:words?|sentences?|paragraphs?|characters?|lines?|pages?|bullet points?)\b"
    r"|\b(?:is|are|in|uses?|with|has) (?:an? )?(?:clear|clearly|concise|polite|"
    r"well[- ](?:written|structured|organi[sz]ed|formatted)|"
    r"fluent|grammatical|readable|professional)\b"
    r"(?: (?:and|,) \w+)?(?: (?:style|tone|language|prose|english|writing|manner|structure|format))?\W*$"
    r"|\b(?:uses?|in|with|formatted (?:as|with)) (?:proper |correct |good )?(?:markdown|bullet points?|headings?|latex|json"
    r"|html|grammar|spelling|punctuation)\b",
    re.IGNORECASE,
)
_MIN_WORDS = 2


def rubric_faults(rubric: Sequence[Criterion]) -> tuple[str, ...]:
    """Return what is wrong with single criteria and between them, one sentence each; empty when nothing is."""
    found = []
    for criterion in rubric:
        fault = _fault(criterion)
        if fault:
            found.append(f"criterion {shorten(criterion.criterion, 60)} {fault}")
    seen: dict[frozenset[str], str] = {}
    for criterion in rubric:
        key = frozenset(words_of(criterion.criterion))
        if key in seen and len(key) >= _MIN_WORDS:
            found.append(f"criterion {shorten(criterion.criterion, 60)} says the same as {shorten(seen[key], 60)}")
        seen.setdefault(key, criterion.criterion)
    return tuple(found)


def _fault(criterion: Criterion) -> str | None:
    text = criterion.criterion[:2_000]
    if len(words_of(text)) < _MIN_WORDS:
        return "is too short to be marked"
    if _TO_THE_JUDGE.search(text):
        return "speaks to the judge instead of describing an answer"
    if criterion.weight > 0 and _ANYTHING.search(text):
        return "is met by any answer"
    if criterion.weight > 0 and _FORM_ONLY.search(text):
        return "rewards form alone"
    return None
