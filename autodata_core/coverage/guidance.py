"""What the challenger is told about the place of its question: what is wanted, and what exists nearby.

It is told kinds and subjects, never a question or a passage: a term is named only when two sources or more use it, and no
words in a row of another source may stand in the text.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from autodata_core.coverage.cells import ANY, Cell
from autodata_core.lazily import lazy

__all__ = ["MOST_CHARS", "Nearby", "key_terms", "quotes", "shared_terms", "steering_text"]

MOST_CHARS = 700
"""Ours: longest text; a challenger needs a direction, not a list."""
_WINDOW = 4
"""Words in a row that are a quotation here; shorter than elsewhere, since this text is built from single words."""
_MOST_TYPES = 6
_MOST_TERMS = 10

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


def shared_terms(texts: Mapping[str, str], least: int = 2) -> frozenset[str]:
    """Return the terms that at least so many sources use.

    Args:
        texts: By source id.
        least: Sources; 2 or more, so that no word stands for one source alone.
    """
    seen: Counter[str] = Counter()
    for text in texts.values():
        seen.update(key_terms(text))
    return frozenset(term for term, count in seen.items() if count >= max(2, least))


def quotes(text: str, others: Iterable[str], window: int = _WINDOW) -> bool:
    """Return whether words in a row of `text` stand in another text."""
    own = _windows(text, window)
    return bool(own) and any(not own.isdisjoint(_windows(other, window)) for other in others)


def steering_text(
    cell: Cell | None,
    nearby: Sequence[Nearby],
    *,
    terms: Sequence[str] = (),
    shared: frozenset[str] = frozenset(),
    types: Iterable[str] = (),
    others: Sequence[str] = (),
) -> str:
    """Return what the challenger is told; empty when there is nothing to say.

    Args:
        cell: What is wanted; None leaves it to the source.
        nearby: Questions near the place, of this and of other sources.
        terms: Key terms of the topic.
        shared: Terms that may be named, see `shared_terms`.
        types: Question types of the domain, which may always be named; others only when two sources have them.
        others: Texts of other sources that `nearby` and `terms` may come from; nothing of them is quoted.
    """
    known = {label for name in types if (label := _label(name))}
    used: dict[str, set[str]] = {}
    for one in nearby:
        used.setdefault(_label(one.question_type), set()).add(one.source)
    may_name = known | {name for name, sources in used.items() if len(sources) >= 2}
    counts = Counter(_label(one.question_type) for one in nearby)
    there = [f"{count} of type {name!r}" for name, count in _ranked(counts) if name in may_name][:_MOST_TYPES]
    subjects = Counter(term for one in nearby for term in one.terms if term in shared)
    # In the order of the alphabet, so that no sentence shows through.
    about = sorted(term for term, _ in _ranked(subjects)[:_MOST_TERMS])
    topic = sorted([term for term in terms if term in shared][:5])
    while True:
        text = _compose(cell, may_name, topic, there, about, len(nearby))
        if len(text) <= MOST_CHARS and not quotes(text, others):
            return text
        if not (about or there or topic):
            return ""
        longest = max((about, there, topic), key=len)
        longest.pop()


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


def _windows(text: str, window: int) -> set[tuple[str, ...]]:
    words = re.findall(r"\w+", unicodedata.normalize("NFKC", text).casefold())
    return {tuple(words[n : n + window]) for n in range(len(words) - window + 1)}
