"""What lasts from run to run: lessons with the runs that bear them out. Which file it is in is the adapter's business."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

from pydantic import Field, StrictFloat, StrictInt, StrictStr

from autodata_core.learnings.admitting import faults_of
from autodata_core.learnings.borrowing import Owned
from autodata_core.learnings.counting import is_label
from autodata_core.learnings.keeping import Kept
from autodata_core.learnings.record import ADVICE, CONFIDENCES, Confidence, Learning
from autodata_core.records import Record, fingerprint

__all__ = ["Evidence", "Library", "LibraryEntry"]

_MOST_ENTRIES = 200
_MOST_RUNS = 8
"""Runs that an entry names, the latest; older ones are dropped with their counts."""
_MOST_STARTED = 8
"""Lessons that a run starts with, the surest first. Our number."""


class Evidence(Record):
    """What one run says of a lesson."""

    run: StrictStr
    recipe: StrictStr
    """Version of the recipe that held it at the end."""
    share: StrictFloat
    tries: StrictInt
    support: StrictInt
    """Batches of that run that showed it."""
    confidence: Confidence
    items: tuple[StrictStr, ...]
    first: StrictStr
    """When the run first gave it to the library, UTC, ISO 8601."""
    last: StrictStr
    """When it last did."""
    faded: StrictStr = ""
    """What the run measured against it; empty when it bears the lesson out."""


class LibraryEntry(Record):
    """One lesson with its evidence."""

    id: StrictStr
    """Hash of what it says: domain, type, failure, advice."""
    domain: StrictStr
    learning: Learning
    """As the latest run had it, with no run's own numbering."""
    evidence: tuple[Evidence, ...] = Field(min_length=1)
    """By run, oldest first."""

    @property
    def told(self) -> bool:
        """Return whether it is told to new runs: the latest run bears it out."""
        return not self.evidence[-1].faded


class Library(Record):
    """Lessons of many runs and domains."""

    format: Literal["autodata-learnings"] = "autodata-learnings"
    version: Literal[1] = 1
    entries: tuple[LibraryEntry, ...] = Field(default=(), max_length=_MOST_ENTRIES)

    def starting(
        self, domain: str, private: Iterable[str], *, question_types: Sequence[str] = ()
    ) -> tuple[tuple[Learning, ...], tuple[tuple[str, str], ...]]:
        """Return the lessons that a run of this domain starts with, and the entries that may not be told, with the reason.

        What a library holds is checked like what a model wrote just now: it is a file, and these sources are others.

        Args:
            domain: Name of the domain.
            private: Texts of the run's sources.
            question_types: Types that the domain allows; empty for any.
        """
        fitting = [
            entry
            for entry in self.entries
            if entry.domain == domain
            and entry.told
            and (
                not question_types or not entry.learning.question_type or entry.learning.question_type in question_types
            )
        ]
        # A lesson of an earlier run over the same documents may have been kept by weaker rules than today's.
        owned = [Owned(text, fingerprint(text)) for text in private]
        faults = _faults(fitting, owned, question_types)
        refused = tuple((entry.id, fault) for entry, fault in zip(fitting, faults, strict=True) if fault is not None)
        told = [_carried(entry) for entry, fault in zip(fitting, faults, strict=True) if fault is None]
        told.sort(key=lambda x: (-CONFIDENCES.index(x.confidence), -x.tries * x.share, x.text))
        return tuple(told[:_MOST_STARTED]), refused

    def with_run(self, kept: Kept, *, domain: str, run: str, recipe: str, at: str) -> Library:
        """Return the library with what a run learned. The same run again replaces what it said before.

        Args:
            kept: At the end of the run.
            domain: Name of its domain.
            run: Id of the run.
            recipe: Version of its last recipe.
            at: Now, UTC, ISO 8601.
        """
        entries = {entry.id: entry for entry in self.entries}
        said = [(lesson, "") for lesson in kept.learnings if lesson.last > 0]
        said += [(gone.learning, gone.detail) for gone in kept.retired if gone.why == "faded"]
        for lesson, faded in said:
            id = _id(domain, lesson)
            old = entries.pop(id, None)
            if old is None and faded:
                continue
            before = old.evidence if old else ()
            first = next((e.first for e in before if e.run == run), at)
            evidence = Evidence(
                run=run,
                recipe=recipe,
                share=lesson.share,
                tries=lesson.tries,
                support=lesson.support,
                confidence=lesson.confidence,
                items=lesson.items,
                first=first,
                last=at,
                faded=faded,
            )
            others = [e for e in before if e.run != run]
            # The latest goes last, so that a library too full forgets what nobody has borne out for longest.
            entries[id] = LibraryEntry(
                id=id,
                domain=domain,
                learning=_without_run(lesson),
                evidence=tuple([*others, evidence][-_MOST_RUNS:]),
            )
        return self.model_copy(update={"entries": tuple(list(entries.values())[-_MOST_ENTRIES:])})


def _id(domain: str, lesson: Learning) -> str:
    return "ln-" + fingerprint([domain, lesson.question_type, lesson.kind or "", lesson.advice])[:20]


def _without_run(lesson: Learning) -> Learning:
    """Return a lesson without what is only its run's: batch numbers, skills, and the runs before, which the evidence names."""
    return lesson.model_copy(update={"first": 0, "last": 0, "runs": (), "skills": ()})


def _carried(entry: LibraryEntry) -> Learning:
    """Return the lesson with the figures of all its runs together."""
    shown = [e for e in entry.evidence if not e.faded]
    tries = sum(e.tries for e in shown)
    failed = sum(round(e.tries * e.share) for e in shown)
    share = round(failed / tries, 4) if tries else 0.0
    runs = tuple(e.run for e in entry.evidence)
    return entry.learning.model_copy(update={"share": share, "tries": tries, "runs": runs, "support": len(runs)})


def _faults(entries: Sequence[LibraryEntry], private: Sequence[Owned], known: Sequence[str]) -> list[str | None]:
    """Return for each entry why it may not be told."""
    advice = faults_of([entry.learning.advice or "counted by rule" for entry in entries], private) if entries else ()
    return [
        _own_fault(entry) or fault or _label_fault(entry.learning, private, known)
        for entry, fault in zip(entries, advice, strict=True)
    ]


def _own_fault(entry: LibraryEntry) -> str | None:
    lesson = entry.learning
    if entry.id != _id(entry.domain, lesson):
        return "its id is not the hash of what it says"
    if not lesson.advice and (lesson.kind not in ADVICE or not lesson.question_type):
        return "it says nothing"
    return None


def _label_fault(lesson: Learning, private: Sequence[Owned], known: Sequence[str]) -> str | None:
    name = lesson.question_type
    if not name or name in known or is_label(name, private):
        return None
    return "the name of its question type may not be told"
