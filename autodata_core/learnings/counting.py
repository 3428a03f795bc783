"""Counts that become one sentence each: which type of question failed which way, and how often. No model is asked.

Names of types and skills are a challenger's words. What a type may be called is checked here against its own source, and a name
that the domain does not give is told only where questions of two sources have it: a word of one document stays there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from autodata_core.lazily import lazy
from autodata_core.learnings.admitting import fault_of
from autodata_core.learnings.borrowing import Owned
from autodata_core.learnings.record import ADVICE, Confidence, Learning
from autodata_core.records import Candidate, ReasonKind, Round, Source

__all__ = [
    "MIN_SHARE",
    "MIN_TRIES",
    "Figures",
    "SharedNames",
    "Try",
    "count",
    "document_of",
    "is_label",
    "label_of",
    "lessons_from",
    "study",
    "tries_of",
]

MIN_TRIES = 4
"""Fewer tries of a question type say nothing about it. Our number."""
MIN_SHARE = 0.5
_MAX_LEARNINGS = 8
_MAX_ITEMS = 5
_SURE_TRIES = 8
"""Tries from which a counted lesson begins with medium confidence. Our number."""
_LABEL = lazy(r"[^\W_](?:[\w&+./()' -]{0,58}[\w)])?")
_LABEL_WORDS = 5
_MIN_SOURCES = 2
"""Whose questions have a name before it is told to others."""


class Try(NamedTuple):
    """One question that was tried."""

    question_type: str
    kinds: frozenset[ReasonKind]
    """How it failed, as far as its challenger can do something about it; empty when it did not."""
    skills: tuple[str, ...]


@dataclass(frozen=True)
class Figures:
    """What was counted over some items. The empty type stands for all types together."""

    tries: Mapping[str, int]
    failed: Mapping[tuple[str, ReasonKind], int]
    items: Mapping[tuple[str, ReasonKind], tuple[str, ...]]
    skills: Mapping[tuple[str, ReasonKind], tuple[str, ...]]
    """Of the failed questions, the most frequent first."""

    def share(self, question_type: str, kind: ReasonKind) -> float:
        """Return which share of the tries of a type failed a way, in [0, 1]; 0 of no tries."""
        tries = self.tries.get(question_type, 0)
        return round(self.failed.get((question_type, kind), 0) / tries, 4) if tries else 0.0


def label_of(candidate: Candidate, private: Collection[str] = (), known: Collection[str] = ()) -> str:
    """Return the type of a question as it may be told to others; empty when its name could carry text of its source.

    Args:
        candidate: Whose type it is.
        private: Texts that no name may be taken from.
        known: Types that the domain names; these are always told.
    """
    label = " ".join(candidate.question_type.split())[:60]
    return label if label in known or not private or is_label(label, private) else ""


def is_label(label: str, private: Collection[str | Owned]) -> bool:
    """Return whether a name of a type or skill may be told to others: short, plain, and nothing of the private texts."""
    words = label.replace("_", " ")
    if not _LABEL.fullmatch(label) or len(words.split()) > _LABEL_WORDS:
        return False
    return fault_of(words, private, label=True) is None


def tries_of(rounds: Iterable[Round], *, private: Collection[str] = (), known: Collection[str] = ()) -> tuple[Try, ...]:
    """Return the questions of one item that were tried; a type whose name is not told makes no try.

    Args:
        rounds: Of the item, accepted and refused.
        private: Text of its source; empty where names are not checked.
        known: Types that the domain names.
    """
    found = []
    labels: dict[str, str] = {}
    for round_ in rounds:
        candidate = round_.candidate
        if candidate is None:
            continue
        if candidate.question_type not in labels:
            labels[candidate.question_type] = label_of(candidate, private, known)
        label = labels[candidate.question_type]
        if not label:
            continue
        kinds = frozenset(reason.kind for reason in round_.verdict.reasons) & frozenset(ADVICE)
        skills = (" ".join(skill.split())[:40] for skill in candidate.skills) if kinds else ()
        found.append(Try(label, kinds, tuple(s for s in skills if not private or is_label(s, private))))
    return tuple(found)


class SharedNames:
    """Names of types and skills that questions of two sources have; parts of one document (`id#n`) and equal texts are one."""

    def __init__(self) -> None:
        self._shared: set[str] = set()
        self._seen: dict[str, tuple[set[str], set[str]]] = {}

    def add(self, source: Source, tried: Iterable[Try]) -> None:
        """Take up the questions of one item."""
        for name in {n for one in tried for n in (one.question_type, *one.skills)} - self._shared:
            documents, texts = self._seen.setdefault(name, (set(), set()))
            documents.add(document_of(source.id))
            texts.add(source.sha256)
            if min(len(documents), len(texts)) >= _MIN_SOURCES:
                self._shared.add(name)
                del self._seen[name]

    def __contains__(self, name: object) -> bool:
        return name in self._shared


def count(
    items: Iterable[tuple[str, Iterable[Try]]], shared: SharedNames | None = None, known: Collection[str] = ()
) -> Figures:
    """Return the figures of many items; their order does not matter.

    Args:
        items: By id: the questions that were tried.
        shared: Names that may be told; a question of another type is not counted. None where names are not checked.
        known: Types that the domain names; these are always counted.
    """
    listed = [(item, tuple(tried)) for item, tried in items]
    if shared is not None:
        listed = [(item, _told(tried, shared, known)) for item, tried in listed]
    tries: Counter[str] = Counter()
    failed: Counter[tuple[str, ReasonKind]] = Counter()
    evidence: dict[tuple[str, ReasonKind], set[str]] = {}
    skills: dict[tuple[str, ReasonKind], Counter[str]] = {}
    for item, tried in listed:
        for question_type, kinds, named in tried:
            for name in ("", question_type):
                tries[name] += 1
                for kind in kinds:
                    failed[name, kind] += 1
                    evidence.setdefault((name, kind), set()).add(item)
                    skills.setdefault((name, kind), Counter()).update(named)
    frequent = {key: sorted(found, key=lambda s, f=found: (-f[s], s)) for key, found in skills.items()}  # type: ignore[misc]
    return Figures(
        tries=tries,
        failed=failed,
        items={key: tuple(sorted(found)[:_MAX_ITEMS]) for key, found in evidence.items()},
        skills={key: tuple(found[:3]) for key, found in frequent.items()},
    )


def _told(tried: Sequence[Try], shared: SharedNames, known: Collection[str]) -> tuple[Try, ...]:
    """Return the tries under names that may be told."""
    return tuple(
        one._replace(skills=tuple(skill for skill in one.skills if skill in shared))
        for one in tried
        if one.question_type in known or one.question_type in shared
    )


def document_of(source_id: str) -> str:
    """Return the document that a source is, or is a part of."""
    return source_id.rpartition("#")[0] or source_id


def lessons_from(figures: Figures) -> tuple[Learning, ...]:
    """Return what the figures teach, the best supported first, at most eight."""
    lessons = [
        Learning(
            question_type=question_type,
            kind=kind,
            share=figures.share(question_type, kind),
            tries=figures.tries[question_type],
            items=figures.items[question_type, kind],
            skills=figures.skills[question_type, kind],
            confidence=_confidence(figures.tries[question_type]),
        )
        for (question_type, kind), failures in figures.failed.items()
        if question_type
        and figures.tries[question_type] >= MIN_TRIES
        and failures / figures.tries[question_type] >= MIN_SHARE
    ]
    lessons.sort(key=lambda lesson: (-lesson.tries * lesson.share, lesson.question_type, lesson.kind or ""))
    return tuple(lessons[:_MAX_LEARNINGS])


def _confidence(tries: int) -> Confidence:
    return "medium" if tries >= _SURE_TRIES else "low"


def study(items: Iterable[tuple[str, tuple[Round, ...]]]) -> tuple[Learning, ...]:
    """Return what the rounds of many items teach, the best supported first.

    Args:
        items: Item id with its rounds, accepted and refused.

    Returns:
        At most eight lessons; the same items in any order give the same lessons.
    """
    return lessons_from(count((item, tries_of(rounds)) for item, rounds in items))
