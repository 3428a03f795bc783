"""Whether a data set falls in on itself: figures of diversity and drift, with the limits at which to warn and to stop.

Figures that depend on how much text there is are taken over samples of one size, else every data set would seem to
collapse as it grows. Vectors are not made here: similarities come in as numbers.
"""

from __future__ import annotations

import math
import re
import unicodedata
import zlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from pydantic import Field, StrictFloat, StrictInt, StrictStr

from autodata_core.records import Record

__all__ = [
    "DEFAULT_LIMITS",
    "LEAST_TEXTS",
    "Alarm",
    "Figures",
    "Limit",
    "cell_entropy",
    "check_collapse",
    "compression_ratio",
    "distinct",
    "drift",
    "figures",
    "length_ratio",
    "self_similarity",
    "vendi",
]

_WORDS = 4_000
"""Ours: words that a figure is taken over; the newest, since collapse shows there first."""
_BYTES = 12_000
"""Below the window of zlib (32 KiB), and about as much as the words of 150 questions."""


class Figures(Record):
    """How varied texts are. None where there is too little to say."""

    texts: StrictInt = Field(ge=0)
    distinct_1: StrictFloat | None = None
    """Share of different words, in [0, 1]."""
    distinct_2: StrictFloat | None = None
    """Share of different pairs of words."""
    distinct_3: StrictFloat | None = None
    compression: StrictFloat | None = None
    """Size over compressed size; more is more repetition."""
    self_similarity: StrictFloat | None = None
    """Mean similarity of two texts, in [0, 1]."""
    vendi: StrictFloat | None = None
    """Effective share of different texts, in (0, 1]: the Vendi score over the number of texts."""
    cell_entropy: StrictFloat | None = None
    """How evenly cells are filled, in [0, 1]."""
    length_ratio: StrictFloat | None = None
    """Middle length over the middle length of what it is compared with."""
    vocabulary_drift: StrictFloat | None = None
    """Jensen–Shannon divergence of word frequencies from what it is compared with, in [0, 1]."""


class Limit(Record):
    """From where a figure is a warning, and from where a reason to stop."""

    figure: StrictStr
    side: Literal["below", "above"]
    warn: StrictFloat
    stop: StrictFloat
    relative: bool = False
    """The limits are multiples of the same figure of what it is compared with."""

    def level(self, value: float) -> Literal["", "warn", "stop"]:
        """Return what a value means; exactly at a limit nothing is wrong yet."""
        beyond = value < self.stop if self.side == "below" else value > self.stop
        near = value < self.warn if self.side == "below" else value > self.warn
        return "stop" if beyond else "warn" if near else ""


class Alarm(Record):
    """A figure beyond its limit."""

    level: Literal["warn", "stop"]
    figure: StrictStr
    value: StrictFloat
    limit: StrictFloat

    def __str__(self) -> str:
        sign = "<" if self.value < self.limit else ">"
        return f"{self.level}: {self.figure} {self.value:.3f} {sign} {self.limit:.3f}"


DEFAULT_LIMITS = (
    Limit(figure="distinct_2", side="below", warn=0.75, stop=0.5, relative=True),
    Limit(figure="distinct_3", side="below", warn=0.8, stop=0.55, relative=True),
    Limit(figure="compression", side="above", warn=1.5, stop=2.2, relative=True),
    Limit(figure="self_similarity", side="above", warn=0.45, stop=0.65),
    Limit(figure="vendi", side="below", warn=0.2, stop=0.08),
    Limit(figure="cell_entropy", side="below", warn=0.6, stop=0.35),
    Limit(figure="length_ratio", side="below", warn=0.5, stop=0.25),
    Limit(figure="length_ratio", side="above", warn=2.0, stop=4.0),
    Limit(figure="vocabulary_drift", side="above", warn=0.75, stop=0.9),
)
"""Ours, for questions compared with human ones; give your own where your data differ. See docs/coverage.md."""

LEAST_TEXTS = 20
"""Fewer texts say nothing about variety."""


def figures(
    texts: Sequence[str],
    *,
    baseline: Sequence[str] = (),
    cells: Mapping[object, int] | None = None,
    similarities: Sequence[Sequence[float]] | None = None,
    vendi_score: float | None = None,
) -> Figures:
    """Return the figures of texts, oldest first.

    Args:
        texts: Questions.
        baseline: What they are compared with: human questions, or the sources.
        cells: Rows per cell, with 0 for cells that should have some.
        similarities: Of every pair of (a sample of) the texts, in [0, 1].
        vendi_score: Of the same sample, see `vendi`; an adapter has the eigenvalues.
    """
    count = None if similarities is None else len(similarities)
    if len(texts) < LEAST_TEXTS:
        return Figures(texts=len(texts), cell_entropy=None if cells is None else cell_entropy(cells))
    against = bool(baseline)
    return Figures(
        texts=len(texts),
        distinct_1=distinct(texts, 1),
        distinct_2=distinct(texts, 2),
        distinct_3=distinct(texts, 3),
        compression=compression_ratio(texts),
        self_similarity=None if similarities is None else self_similarity(similarities),
        vendi=round(vendi_score / count, 6) if vendi_score is not None and count else None,
        cell_entropy=None if cells is None else cell_entropy(cells),
        length_ratio=length_ratio(texts, baseline) if against else None,
        vocabulary_drift=drift(texts, baseline) if against else None,
    )


def check_collapse(
    found: Figures, baseline: Figures | None = None, limits: Iterable[Limit] = DEFAULT_LIMITS
) -> tuple[Alarm, ...]:
    """Return the figures beyond their limits, reasons to stop first. A figure that could not be taken raises nothing."""
    alarms: list[Alarm] = []
    for limit in limits:
        value = getattr(found, limit.figure)
        base: float | None = getattr(baseline, limit.figure) if baseline is not None else None
        scale = base if limit.relative else 1.0
        if value is None or not scale:
            continue
        level = limit.level(value / scale)
        if level:
            bound = (limit.stop if level == "stop" else limit.warn) * scale
            alarms.append(Alarm(level=level, figure=limit.figure, value=float(value), limit=round(bound, 6)))
    return tuple(sorted(alarms, key=lambda alarm: alarm.level != "stop"))


def distinct(texts: Sequence[str], n: int, words: int = _WORDS) -> float:
    """Return the share of different runs of `n` words within texts, over the newest `words` words; 1 of nothing."""
    seen: set[tuple[str, ...]] = set()
    total = taken = 0
    for text in reversed(texts):
        found = _words(text)[: words - taken]
        taken += len(found)
        runs = [tuple(found[at : at + n]) for at in range(len(found) - n + 1)]
        seen.update(runs)
        total += len(runs)
        if taken >= words:
            break
    return round(len(seen) / total, 6) if total else 1.0


def compression_ratio(texts: Sequence[str], size: int = _BYTES) -> float:
    """Return size over compressed size of the newest texts; about 2 for varied prose, more for repetition."""
    taken: list[bytes] = []
    left = size
    for text in reversed(texts):
        part = text.encode("utf-8", "replace")[: max(0, left)]
        taken.append(part)
        left -= len(part) + 1
        if left <= 0:
            break
    whole = b"\n".join(taken)
    return round(len(whole) / len(zlib.compress(whole, 9)), 6) if whole else 1.0


def self_similarity(similarities: Sequence[Sequence[float]]) -> float:
    """Return the mean similarity of two different texts; 0 of fewer than two."""
    count = len(similarities)
    if count < 2:
        return 0.0
    total = math.fsum(math.fsum(row) for row in similarities) - math.fsum(similarities[n][n] for n in range(count))
    return round(min(max(total / (count * (count - 1)), 0.0), 1.0), 6)


def vendi(eigenvalues: Iterable[float]) -> float:
    """Return the Vendi score: e to the entropy of the eigenvalues of a similarity matrix over its size.

    Args:
        eigenvalues: Of the matrix divided by its size, so that they add up to 1; tiny negative ones are rounding.

    Source:
        Friedman and Dieng, The Vendi Score (arXiv 2210.02410).
    """
    kept = [value for value in eigenvalues if value > 1e-12]
    whole = math.fsum(kept)
    return math.exp(-math.fsum(value / whole * math.log(value / whole) for value in kept)) if kept else 0.0


def cell_entropy(cells: Mapping[object, int]) -> float:
    """Return how evenly cells are filled: entropy over its greatest value, in [0, 1]; 1 for a single cell, 0 of no rows."""
    whole = sum(cells.values())
    if whole == 0:
        return 0.0
    if len(cells) < 2:
        return 1.0
    shares = [count / whole for count in cells.values() if count]
    return round(max(0.0, -math.fsum(share * math.log(share) for share in shares)) / math.log(len(cells)), 6)


def length_ratio(texts: Sequence[str], baseline: Sequence[str]) -> float:
    """Return the middle length in words over that of the baseline."""
    return round(_middle(texts) / max(1, _middle(baseline)), 6)


def drift(texts: Sequence[str], baseline: Sequence[str]) -> float:
    """Return how far word frequencies moved: the Jensen–Shannon divergence in bits, in [0, 1]; 0 is the same use of words."""
    one, other = _frequencies(texts), _frequencies(baseline)
    total = 0.0
    for word in one.keys() | other.keys():
        p, q = one.get(word, 0.0), other.get(word, 0.0)
        mean = (p + q) / 2
        total += (p / 2 * math.log2(p / mean) if p else 0.0) + (q / 2 * math.log2(q / mean) if q else 0.0)
    return round(min(max(total, 0.0), 1.0), 6)


def _frequencies(texts: Sequence[str]) -> dict[str, float]:
    counts: Counter[str] = Counter()
    for text in reversed(texts):
        counts.update(_words(text))
        if counts.total() >= _WORDS:
            break
    whole = counts.total()
    return {word: count / whole for word, count in sorted(counts.items())} if whole else {}


def _middle(texts: Sequence[str]) -> int:
    lengths = sorted(len(_words(text)) for text in texts)
    return lengths[len(lengths) // 2] if lengths else 0


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", unicodedata.normalize("NFKC", text).casefold())
