"""What the challenger is told about the place of its question: what is wanted, and what exists nearby.

It is told kinds that the run's targets name, and subjects that its own source speaks of: no word of another source reaches it,
and nothing that a model called its question.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from autodata_core.coverage.cells import ANY, Cell
from autodata_core.lazily import lazy

__all__ = ["MOST_CHARS", "Nearby", "key_terms", "steering_text"]

MOST_CHARS = 700
"""Ours: longest text; a challenger needs a direction, not a list."""
_MOST_TYPES = 6
_MOST_TERMS = 10
_MOST_TOPIC_TERMS = 5

_WORD = lazy(r"[^\W\d_]{3,30}")
_PLAIN = lazy(r"[^\w /-]+")
_COMMON_WORDS = """
about above after again all also among and any are because been before being below between both but can could did does
each few for from given had has have her here his how into its just least less may more most much must not now off one
only other our out over per same shall she should since some such than that the their them then there these they this
those through total two under until use used uses using very was were what when where which while who whom whose why
will with within without would you your
"""
_COMMON = frozenset(_COMMON_WORDS.split())
_BANDS = {
    "hard": "so hard that the weak solver gets at most a quarter of the points",
    "medium": "of medium difficulty: the weak solver gets a quarter to half of the points",
    "easy": "within reach: the weak solver gets more than half of the points",
}


@dataclass(frozen=True)
class Nearby:
    """A question that exists close to where the next one should be."""

    source: str
    question_type: str
    terms: tuple[str, ...]
    """Its key terms, see `key_terms`."""


def key_terms(text: str) -> tuple[str, ...]:
    """Return the content words of a text, folded, in order, each once."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return tuple(dict.fromkeys(word for word in _WORD.findall(folded) if word not in _COMMON))


def steering_text(
    cell: Cell | None,
    nearby: Sequence[Nearby],
    *,
    own: frozenset[str],
    terms: Sequence[str] = (),
    types: Iterable[str] = (),
) -> str:
    """Return what the challenger is told; empty when there is nothing to say.

    Args:
        cell: What is wanted; None leaves it to the source.
        nearby: Questions near the place, of this and of other sources.
        own: Key terms of the challenger's own source; nothing else is named of `terms` and `nearby`.
        terms: Key terms of the topic, the most telling first.
        types: Question types that the targets name; no other is told.
    """
    may_name = {label for name in types if (label := _label(name))}
    counts = Counter(_label(one.question_type) for one in nearby)
    there = [f"{count} of type {name!r}" for name, count in _ranked(counts) if name in may_name][:_MOST_TYPES]
    subjects = Counter(term for one in nearby for term in one.terms if term in own)
    # In the order of the alphabet: of a question there is no more than its words.
    about = sorted(term for term, _ in _ranked(subjects)[:_MOST_TERMS])
    topic = sorted([term for term in terms if term in own][:_MOST_TOPIC_TERMS])
    while True:
        text = _compose(cell, may_name, topic, there, about, len(nearby))
        if len(text) <= MOST_CHARS or not (about or there or topic):
            return text[:MOST_CHARS]
        max((about, there, topic), key=len).pop()


def _compose(
    cell: Cell | None, may_name: set[str], topic: list[str], there: list[str], about: list[str], near: int
) -> str:
    wanted = []
    if cell is not None and cell.question_type != ANY and _label(cell.question_type) in may_name:
        wanted.append(f"of type {_label(cell.question_type)!r}")
    if topic:
        wanted.append(f"on this subject ({', '.join(topic)})")
    if cell is not None and cell.band in _BANDS:
        wanted.append(_BANDS[cell.band])
    parts = [f"Lacking: a question {', '.join(wanted)}."] * bool(wanted)
    if there or about:
        exist = f"Near it exist {near} questions" + (f": {', '.join(there)}" if there else "")
        parts.append(exist + (f"; they are about {', '.join(about)}" if about else "") + ".")
    return " ".join(parts)


def _label(name: str) -> str:
    """Return a question type as it may be told: a model wrote it, so it is cut down to a few plain words."""
    return " ".join(_PLAIN.sub(" ", unicodedata.normalize("NFKC", name)).split()[:5])[:50]


def _ranked(counts: Counter[str]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
