"""What is odd about an answer that a model is to judge: an echo, words to the judge, a text that repeats itself.

What is done about it is in `attempting`.
"""

from __future__ import annotations

import re

from autodata_core.leaks import words_of
from autodata_core.records import Candidate

__all__ = ["oddities"]

_ECHO_WORDS = 6
_ECHO_SHARE = 0.9
_REPETITIVE_WORDS = 200
_REPETITIVE_SHARE = 0.15
_TO_THE_JUDGE = re.compile(
    r"\b10 ?(?:/|out of) ?10\b|\bfull marks\b|\b100 ?% correct\b"
    r"|\b(?:answer|response|submission)\b.{0,60}\b(?:all|every)(?: of the)? criteri"
    r"|\bmark (?:all|every|this|it|each|the answer)\b.{0,40}\b(?:true|met|correct|right)\b"
    r"|\b(?:ignore|disregard|forget) (?:(?:all|any|the|your|previous|prior|above|these|of) ){0,4}"
    r"(?:instructions?|rubric|criteria|system prompt|prompt)\b"
    r"|\b(?:dear|note to(?: the)?|attention|hello|hey)[ ,:]+(?:the )?(?:judge|grader|evaluator|marker)\b"
    r"|\bthis (?:answer|response) (?:is|should be(?: marked| graded)?) (?:entirely |completely |fully )?"
    r"(?:correct|accepted|right)\b"
    r"|\"(?:marks|correct|overall|passed|verdict)\"\s*:\s*(?:\[|true|\"(?:pass|accept))",
    re.IGNORECASE,
)
_READ_CHARS = 40_000


def oddities(answer: str, candidate: Candidate) -> tuple[str, ...]:
    """Return the flags of an answer, sorted: `echo`, `judge_directed`, `repetitive`; empty when it is an answer."""
    text = answer[:_READ_CHARS]
    words = words_of(text)
    found = set()
    if not words:
        found.add("empty")
    given = [candidate.question, *(c.criterion for c in candidate.rubric or ())]
    if len(words) >= _ECHO_WORDS and _echoes(words, [words_of(part) for part in given]):
        found.add("echo")
    if _TO_THE_JUDGE.search(text):
        found.add("judge_directed")
    triples = set(zip(words, words[1:], words[2:], strict=False))
    if len(words) >= _REPETITIVE_WORDS and len(triples) < _REPETITIVE_SHARE * len(words):
        found.add("repetitive")
    return tuple(sorted(found))


def _echoes(words: list[str], given: list[list[str]]) -> bool:
    """Return whether nine in ten triples of an answer stand in the question or the rubric."""
    known = {triple for part in given for triple in zip(part, part[1:], part[2:], strict=False)}
    triples = list(zip(words, words[1:], words[2:], strict=False))
    return sum(1 for triple in triples if triple in known) >= _ECHO_SHARE * len(triples)
