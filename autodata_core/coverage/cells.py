"""Cells: topic × question type × difficulty. What is counted when we ask what a data set lacks; nothing is wanted here.

Difficulty is measured, never claimed: the band of a row follows from how the weak solver did.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Literal

from pydantic import Field, StrictStr

from autodata_core.acceptance import AcceptancePolicy
from autodata_core.records import Example, Record

__all__ = [
    "ANY",
    "BANDS",
    "OTHER",
    "Band",
    "Cell",
    "Topic",
    "TopicMap",
    "band_of",
    "cell_of",
    "count_cells",
    "have",
    "reachable_bands",
]

Band = Literal["hard", "medium", "easy", "any"]
BANDS: tuple[Band, ...] = ("hard", "medium", "easy")
"""Measured difficulty, the hardest first. `any` stands for all of them where difficulty is not steered."""

ANY = "any"
"""In place of a question type or band: whichever."""
OTHER = "other"
"""Topic of what fits no topic."""

_HARD = Fraction(1, 4)
_MEDIUM = Fraction(1, 2)
"""Ours: mean weak score up to which a row is hard, or of medium difficulty."""


class Cell(Record):
    """One place in the grid that a data set should fill."""

    topic: StrictStr = Field(min_length=1, max_length=200)
    question_type: StrictStr = Field(default=ANY, min_length=1, max_length=100)
    band: Band = "any"

    @property
    def order(self) -> tuple[str, str, int]:
        """Sort key: topic, question type, the hardest band first."""
        return (self.topic, self.question_type, (*BANDS, ANY).index(self.band))

    @property
    def pair(self) -> Cell:
        """The cell without difficulty, which a question that was never tried has none of."""
        return Cell(topic=self.topic, question_type=self.question_type)

    def holds(self, other: Cell) -> bool:
        """Return whether what lies in `other` counts for this cell."""
        return (
            self.topic == other.topic
            and self.question_type in (ANY, other.question_type)
            and self.band in ("any", other.band)
        )

    def __str__(self) -> str:
        parts = [self.topic, *(part for part in (self.question_type, self.band) if part != ANY)]
        return " · ".join(parts)


class Topic(Record):
    """A subject of the sources."""

    name: StrictStr = Field(min_length=1, max_length=200)
    terms: tuple[StrictStr, ...] = ()
    """Words that tell it from other topics, the most telling first."""


class TopicMap(Record):
    """Which source is about what. Made once for a run and kept with it, so that a resumed run has the same cells."""

    topics: tuple[Topic, ...]
    of: dict[StrictStr, StrictStr]
    """By source id: the name of its topic."""
    made_by: StrictStr = ""
    """What made it: the clustering with its version, or the user's file with its hash."""

    def topic_of(self, source: str) -> str:
        """Return the topic of a source, `other` when nobody said."""
        return self.of.get(source, OTHER)

    def sizes(self) -> Counter[str]:
        """Return how many sources each topic has; a topic without any has 0."""
        sizes = Counter({topic.name: 0 for topic in self.topics})
        sizes.update(self.of.values())
        return sizes

    def sources_of(self, topic: str) -> tuple[str, ...]:
        """Return the sources of a topic, sorted."""
        return tuple(sorted(source for source, name in self.of.items() if name == topic))


def band_of(weak: Sequence[float | Fraction]) -> Band:
    """Return the difficulty that weak scores show.

    Args:
        weak: Scores in [0, 1], one per attempt; `any` of none.
    """
    if not weak:
        return "any"
    # Scores are quotients of small integers; a float is turned back into the one it stands for.
    total = sum((Fraction(score).limit_denominator(100_000) for score in weak), Fraction(0))
    if total <= _HARD * len(weak):
        return "hard"
    return "medium" if total <= _MEDIUM * len(weak) else "easy"


def reachable_bands(
    policy: AcceptancePolicy, weak_attempts: int, strong_attempts: int, *, exact: bool
) -> tuple[Band, ...]:
    """Return the difficulties of rows that a policy can accept, the hardest first.

    Args:
        policy: Of the run.
        weak_attempts: Of the weak solver for each question.
        strong_attempts: Of the strong one.
        exact: Whether an answer is right or wrong; else all attempts of a solver are tried at each twentieth of the marks.
    """

    def scores(attempts: int) -> list[list[Fraction]]:
        if exact:
            return [[Fraction(1)] * n + [Fraction(0)] * (attempts - n) for n in range(attempts + 1)]
        return [[Fraction(n, 20)] * attempts for n in range(21)]

    strong = scores(strong_attempts)
    found = {band_of(weak) for weak in scores(weak_attempts) if any(not policy.decide(weak, other) for other in strong)}
    return tuple(band for band in BANDS if band in found)


def cell_of(row: Example, topics: TopicMap) -> Cell:
    """Return where an accepted row lies; its topic is that of its source."""
    return Cell(topic=topics.topic_of(row.source.id), question_type=row.question_type, band=band_of(row.scores.weak))


def count_cells(rows: Iterable[Example], topics: TopicMap) -> Counter[Cell]:
    """Return how many accepted rows each cell has."""
    return Counter(cell_of(row, topics) for row in rows)


def have(counts: Mapping[Cell, int], wanted: Cell) -> int:
    """Return how many rows count for a cell, which may stand for several."""
    if wanted.band != "any" and wanted.question_type != ANY:
        return counts.get(wanted, 0)
    return sum(count for cell, count in counts.items() if wanted.holds(cell))
