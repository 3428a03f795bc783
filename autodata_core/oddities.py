"""What is odd about an answer that a model is to judge: an echo, words to the judge, a text that repeats itself.

What is done about it is in `attempting`.
"""

from __future__ import annotations

import re
import zlib

from autodata_core.lazily import lazy
from autodata_core.leaks import words_of
from autodata_core.records import Candidate

__all__ = ["oddities"]

_ECHO_WORDS = 6
_ECHO_SHARE = 0.9
_REPETITIVE_WORDS = 200
_REPETITIVE_SHARE = 0.15
_FLOOD_CHARS = 2_000
_FLOOD_SHARE = 0.04
"""A text that compresses to less says next to nothing; prose comes to a third, a table of numbers to a tenth. Our number."""
_TO_THE_JUDGE = lazy(
    r"\b10 ?(?:/|out of) ?10\b(?! of\b| [a-z])|\b100 ?% correct\b"
    r"|(?:\A|[.!?:;,\n]|\b(?:please|must|should|now|and))\s*(?:give|award|assign|grant|deserves?|earns?)\b.{0,30}\bfull marks\b"
    r"|\b(?:deserves?|earns?) full marks\b|\bfull marks,? (?:please|for (?:me|this|my))\b|(?:\A|[.!?:;\n])\s*full marks\b"
    r"|\b(?:my|this|the above|above) (?:answer|response|submission)\b.{0,60}\b(?:all|every)(?: of the)? criteri"
    r"|\bmark (?:all|every|this|it|each|the answer)\b.{0,40}\b(?:true|met|correct|right)\b"
    r"|\b(?:ignore|disregard|forget) (?:(?:all|any|the|your|previous|prior|above|these|of) ){0,4}"
    r"(?:instructions?|rubric|criteria|system prompt|prompt)\b"
    r"|\b(?:dear|note to(?: the)?|attention|hello|hey)[ ,:]+(?:the )?(?:judge|grader|evaluator|marker)\b"
    r"|\bthis (?:answer|response) (?:is|should be(?: marked| graded)?) (?:entirely |completely |fully )?"
    r"(?:correct|accepted|right)\b"
    r"|\"(?:marks|correct|overall|passed|verdict)\"\s*:\s*(?:\[|true|\"(?:pass|accept))",
    re.IGNORECASE,
)
_QUOTED = lazy(r"“[^“”\n]{1,300}”|«[^«»\n]{1,300}»|(?<!\w)'[^'\n]{1,300}'(?!\w)|(?<!\w)\"[^\"\n{}]{1,300}\"(?!\w|\s*:)")
"""What an answer quotes, as one about prompt injection does. A judge that obeys it all the same fails its controls."""
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
    if _TO_THE_JUDGE.search(_QUOTED.sub(" ", text)):
        found.add("judge_directed")
    triples = set(zip(words, words[1:], words[2:], strict=False))
    few = len(words) >= _REPETITIVE_WORDS and len(triples) < _REPETITIVE_SHARE * len(words)
    if few or (len(text) >= _FLOOD_CHARS and _compressed(text) < _FLOOD_SHARE):
        found.add("repetitive")
    return tuple(sorted(found))


def _compressed(text: str) -> float:
    octets = text.encode("utf-8", "replace")
    return len(zlib.compress(octets, 1)) / len(octets)


def _echoes(words: list[str], given: list[list[str]]) -> bool:
    """Return whether nine in ten triples of an answer stand in the question or the rubric."""
    known = {triple for part in given for triple in zip(part, part[1:], part[2:], strict=False)}
    triples = list(zip(words, words[1:], words[2:], strict=False))
    return sum(1 for triple in triples if triple in known) >= _ECHO_SHARE * len(triples)
