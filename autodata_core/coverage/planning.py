"""The next batch: which source is asked for which cell. Deterministic; no model is asked and nothing is remembered.

Most of a batch goes where most is lacking. A share of it explores: passages that no question is near, then sources that
were never used, so that the grid itself is not taken for the world.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Mapping, Sequence
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
        self._queues: dict[str | None, list[tuple[int, str, str]]] = {None: [self._key(s) for s in topics.of]}
        for source, topic in topics.of.items():
            self._queues.setdefault(topic, []).append(self._key(source))
        for queue in self._queues.values():
            heapq.heapify(queue)

    def take(self, topic: str | None) -> tuple[str, int] | None:
        """Return the least used source of a topic (of any for None) with its slot, None when all are used up."""
        queue = self._queues.get(topic, [])
        while queue:
            count, _, source = heapq.heappop(queue)
            if count != self.used[source]:  # used by way of another queue
                heapq.heappush(queue, self._key(source))
            elif (slot := self.use(source)) is not None:
                heapq.heappush(queue, self._key(source))
                return source, slot
        return None

    def use(self, source: str) -> int | None:
        """Return the next slot of a source, None when it has none left."""
        slot = self.used[source]
        if self._most is not None and slot >= self._most:
            return None
        self.used[source] += 1
        return slot

    def _key(self, source: str) -> tuple[int, str, str]:
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
    most_per_source: int | None = None,
) -> tuple[Planned, ...]:
    """Return the next batch.

    Args:
        gaps: as `gaps` ranks them; saturated ones get nothing.
        topics: Which sources can carry which cell.
        size: Items wanted; fewer when the sources are used up.
        exploration: Share of the batch in [0, 1] that goes to unused passages; at least one item when it is above 0.
        seed: Chooses among sources that are used equally often.
        used: Items planned so far, by source.
        far: Sources whose passages no question is near, the farthest first.
        most_per_source: Items one source gives at most.

    Returns:
        The same for the same arguments, whatever the order of `topics.of` and `used`; each (source, slot) once.

    Raises:
        RecipeError: `exploration` is no share, or `size` is negative.
    """
    if not 0 <= exploration <= 1 or size < 0:
        raise RecipeError(f"exploration is a share in [0, 1] and size is 0 or more; got {exploration!r} and {size!r}.")
    sources = _Sources(topics, used or {}, seed, most_per_source)
    share = Fraction(str(exploration)) * size
    explore = min(size, max(1, int(share))) if share else 0
    made = _towards(gaps, sources, size - explore)
    made += _exploring(sources, far, size - len(made))
    return tuple(made)


def _towards(gaps: Sequence[Gap], sources: _Sources, size: int) -> list[Planned]:
    """Fill the emptiest cell, count it as one fuller, and look again."""
    open_ = [(gap.standing, -gap.missing, n, gap.have) for n, gap in enumerate(gaps) if not gap.saturated]
    heapq.heapify(open_)
    made: list[Planned] = []
    while open_ and len(made) < size:
        standing, _, n, there = heapq.heappop(open_)
        gap = gaps[n]
        taken = sources.take(gap.cell.topic)
        if taken is None:  # nobody is left who could carry it
            continue
        made.append(Planned(source=taken[0], slot=taken[1], cell=gap.cell))
        if there + 1 < gap.target:
            heapq.heappush(open_, (standing + Fraction(1, gap.target), there + 1 - gap.target, n, there + 1))
    return made


def _exploring(sources: _Sources, far: Sequence[str], size: int) -> list[Planned]:
    made: list[Planned] = []
    for source in dict.fromkeys(far):
        if len(made) < size and source in sources.used and (slot := sources.use(source)) is not None:
            made.append(Planned(source=source, slot=slot, exploring=True))
    while len(made) < size and (taken := sources.take(None)) is not None:
        made.append(Planned(source=taken[0], slot=taken[1], exploring=True))
    return made
