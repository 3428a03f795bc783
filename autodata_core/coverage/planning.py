"""The next batch: which source is asked for which cell. Deterministic; no model is asked and nothing is remembered.

Most of a batch goes where most is lacking. A share of it explores: passages that no question is near, then sources that
were never used, so that the grid itself is not taken for the world.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Container, Mapping, Sequence
from fractions import Fraction

from pydantic import Field, StrictBool, StrictInt, StrictStr

from autodata_core.coverage.cells import Cell, TopicMap
from autodata_core.coverage.lacking import Gap
from autodata_core.errors import RecipeError
from autodata_core.records import Record, fingerprint

__all__ = ["Planned", "plan"]


class Planned(Record):
    """One item to make."""

    source: StrictStr
    slot: StrictInt = Field(ge=0)
    """Which item of this source, from 0; `item_id(source, slot)` names it."""
    cell: Cell | None = None
    """What it should be about; None leaves that to the source."""
    exploring: StrictBool = False


class _Sources:
    """How often each source was used, and which comes next."""

    def __init__(self, topics: TopicMap, used: Mapping[str, int], seed: int, most: int | None) -> None:
        self._seed, self._most = seed, most
        self.used: Counter[str] = Counter({source: used.get(source, 0) for source in topics.of})
        self._queues: dict[str | None, list[tuple[int, str, str]]] = {None: [self.key(s) for s in topics.of]}
        for source, topic in topics.of.items():
            self._queues.setdefault(topic, []).append(self.key(source))
        for queue in self._queues.values():
            heapq.heapify(queue)

    def take(self, topic: str | None) -> tuple[str, int] | None:
        """Return the least used source of a topic (of any for None) with its slot, None when all are used up."""
        queue = self._queues.get(topic, [])
        while queue:
            count, _, source = heapq.heappop(queue)
            if count != self.used[source]:  # used by way of another queue
                heapq.heappush(queue, self.key(source))
            elif (slot := self.use(source)) is not None:
                heapq.heappush(queue, self.key(source))
                return source, slot
        return None

    def left(self, source: str) -> bool:
        """Return whether a source may be used again."""
        return self._most is None or self.used[source] < self._most

    def use(self, source: str) -> int | None:
        """Return the next slot of a source, None when it has none left."""
        slot = self.used[source]
        if self._most is not None and slot >= self._most:
            return None
        self.used[source] += 1
        return slot

    def key(self, source: str) -> tuple[int, str, str]:
        # Among sources used equally often the seed decides, not their names.
        return (self.used[source], fingerprint([self._seed, source, self.used[source]]), source)


def plan(
    gaps: Sequence[Gap],
    topics: TopicMap,
    *,
    size: int,
    exploration: float = 0.1,
    seed: int = 0,
    used: Mapping[str, int] | None = None,
    far: Sequence[str] = (),
    full: Container[str] = frozenset(),
    most_per_source: int | None = None,
) -> tuple[Planned, ...]:
    """Return the next batch.

    Args:
        gaps: as `gaps` ranks them; saturated ones get nothing.
        topics: Which sources can carry which cell.
        size: Items wanted; fewer when the sources are used up.
        exploration: Share in [0, 1] of the items of the run that goes to passages that no question is near.
        seed: Chooses among sources that are used equally often.
        used: Items planned so far, by source.
        far: Sources whose passages no question is near, the farthest first.
        full: Topics in which more tries would only repeat what exists; they get nothing.
        most_per_source: Items one source gives at most.

    Returns:
        The same for the same arguments, whatever the order of `topics.of` and `used`; each (source, slot) once.

    Raises:
        RecipeError: `exploration` is no share, or `size` is negative.
    """
    if not 0 <= exploration <= 1 or size < 0:
        raise RecipeError(f"exploration is a share in [0, 1] and size is 0 or more; got {exploration!r} and {size!r}.")
    sources = _Sources(topics, used or {}, seed, most_per_source)
    share, before = Fraction(str(exploration)), sum(sources.used.values())
    explore = int(share * (before + size)) - int(share * before)  # so that the share holds whatever the size of batches
    made = _towards(gaps, sources, size - explore)
    made += _exploring(topics, sources, far, full, size - len(made))
    return tuple(made)


def _towards(gaps: Sequence[Gap], sources: _Sources, size: int) -> list[Planned]:
    """Fill the emptiest cell, count it as one fuller, and look again."""
    turns: Counter[tuple[Fraction, int, str]] = Counter()
    open_: list[tuple[Fraction, int, int, int, int]] = []
    for n, gap in enumerate(gaps):
        if not gap.saturated:
            alike = (gap.standing, gap.missing, gap.cell.topic)
            # Among gaps that are alike every topic has its turn, so that a batch is not all about one.
            open_.append((gap.standing, -gap.missing, turns[alike], n, gap.have))
            turns[alike] += 1
    heapq.heapify(open_)
    made: list[Planned] = []
    while open_ and len(made) < size:
        standing, _, turn, n, there = heapq.heappop(open_)
        gap = gaps[n]
        taken = sources.take(gap.cell.topic)
        if taken is None:  # nobody is left who could carry it
            continue
        made.append(Planned(source=taken[0], slot=taken[1], cell=gap.cell))
        if there + 1 < gap.target:
            heapq.heappush(open_, (standing + Fraction(1, gap.target), there + 1 - gap.target, turn, n, there + 1))
    return made


def _exploring(
    topics: TopicMap, sources: _Sources, far: Sequence[str], full: Container[str], size: int
) -> list[Planned]:
    """Take the sources that were used least, among equals those that no question is near, then by the seed."""
    rank = {source: n for n, source in reversed(list(enumerate(far)))}
    made: list[Planned] = []
    while len(made) < size:
        open_ = [source for source in sources.used if topics.topic_of(source) not in full and sources.left(source)]
        if not open_:
            break
        ordered = sorted(
            open_, key=lambda source: (sources.used[source], rank.get(source, len(rank)), sources.key(source))
        )
        for source in ordered[: size - len(made)]:
            slot = sources.use(source)
            if slot is not None:
                made.append(Planned(source=source, slot=slot, exploring=True))
    return made
