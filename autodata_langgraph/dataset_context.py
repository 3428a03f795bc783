"""What a data-set run is given and remembers: sources, store, the plan of its items, what finished batches taught.

Everything that a later process needs to go on stands in the `plan` and `batch` events, so that it reads no item twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from autodata_core.coverage import CollapseMonitor, Digest, Planned, Steering, digest_of
from autodata_core.errors import RecipeError, shorten
from autodata_core.item import ItemState, item_id
from autodata_core.learnings import Figures, SharedNames, StudiedItem, Try, count, estimate_tokens, tries_of
from autodata_core.ports import MemoryStore, RecordStore
from autodata_core.recipe import Recipe, Rules
from autodata_core.records import Aim, ReasonKind, Source
from autodata_langgraph.context import AutodataContext
from autodata_langgraph.runner import Assignment, Event, Progress

__all__ = ["BATCH", "Behind", "DatasetContext", "assignments_for"]

BATCH = 16
"""Items between two looks at what was learned. Fixed, so that a resumed run studies the same batches."""
_MOST_GAPS = 200
"""Gaps that a `plan` event shows; `open` counts all."""


@dataclass(frozen=True)
class Behind:
    """Where a stored run goes on, from the events that an earlier process was given. All items behind it are finished."""

    planned: int
    """Items that lie behind, in whole batches; they are neither read nor counted again."""
    recipe: Recipe
    """In force after them."""
    batches: Mapping[int, Mapping[str, Any]] = field(default_factory=dict)
    """`batch` events, by `planned`."""
    plans: Mapping[int, Mapping[str, Any]] = field(default_factory=dict)
    """`plan` events by `first`, also of batches that are not finished: what was planned stays planned."""


@dataclass
class DatasetContext(AutodataContext):
    """What a data-set run is given: the item graph's context, the sources and where results go."""

    sources: Sequence[Source] = ()
    store: RecordStore = field(default_factory=MemoryStore)
    progress: Progress = field(default_factory=Progress)
    examples_per_source: int = 1
    steering: Steering | None = None
    """Plans each batch from what is lacking; None makes the same number of items from each source, in order."""
    monitor: CollapseMonitor | None = None
    behind: Behind | None = None
    concurrency: int = 8
    learn: bool = True
    """Whether what failed goes into the next batch's recipe."""
    count_tokens: Callable[[str], int] = estimate_tokens
    """Counts the tokens of a learning; four characters each unless something better is given."""
    on_event: Callable[[Event], None] = lambda event: None
    _planned: list[Assignment] = field(default_factory=list, init=False, repr=False)
    _tried: dict[str, tuple[Try, ...]] = field(default_factory=dict, init=False, repr=False)
    """What was tried for finished items; each is read once, whatever the number of batches."""
    _names: SharedNames = field(default_factory=SharedNames, init=False, repr=False)
    """Of types and skills, which may be told to others."""
    _states: dict[str, ItemState] = field(default_factory=dict, init=False, repr=False)
    """Finished items of the batch in hand."""
    _alarms: set[tuple[str, str]] = field(default_factory=set, init=False, repr=False)

    def __post_init__(self) -> None:
        self._by_id = {source.id: source for source in self.sources}
        self.wanted = len(self.sources) * self.examples_per_source
        self._check_steering()
        if self.steering is None:
            self._planned += assignments_for(self.sources, self.examples_per_source)
        if self.behind is not None:
            self._recall(self.behind)

    def _check_steering(self) -> None:
        """Refuse a steering that was made for something else.

        Raises:
            RecipeError: It has other sources, or has planned a run already.
        """
        if self.steering is None:
            return
        if not self.steering.fresh:
            raise RecipeError("This steering has planned a run already. Make one for each run (create_steering).")
        strange = {source.id for source in self.steering.sources} ^ set(self._by_id)
        if strange:
            raise RecipeError(
                f"The steering was made for other sources than the run has: {shorten(sorted(strange)[0])} is in one of the "
                "two only. Make it from the sources of this run."
            )

    def assignments(self, first: int, last: int) -> Sequence[Assignment]:
        """Return planned items by position, `last` exclusive."""
        return self._planned[first:last]

    def plan(self, first: int) -> int:
        """Plan the batch that begins at a position, unless it was planned before; return where it ends."""
        if self.steering is None:
            return min(first + BATCH, len(self._planned))
        recorded = self.behind.plans.get(first) if self.behind is not None else None
        if recorded is not None:
            event = {**recorded, "kind": "plan", "recorded": True}
            self.steering.recall(_planned(recorded))
        else:
            batch = self.steering.batch(min(BATCH, self.wanted - first))
            if not batch.planned:
                self.progress.stop("saturated", "every source is used up, or what is asked repeats what exists")
                return first
            items = zip(batch.planned, batch.aims, strict=True)
            event = {
                "kind": "plan",
                "first": first,
                "items": [{"planned": one.to_json(), "aim": aim.to_json()} for one, aim in items],
                "open": len(batch.gaps),
                "gaps": [gap.to_json() for gap in batch.gaps[:_MOST_GAPS]],
                "wanted": self.steering.wanted,
                "filled": self.steering.filled,
                "closing": batch.closing and {**batch.closing.to_json(), "text": str(batch.closing)},
                "recorded": False,
            }
        self._take(event)
        self.on_event({**event, "assignments": [(a.item, a.position, a.source.id) for a in self._planned[first:]]})
        return len(self._planned)

    def state_of(self, assignment: Assignment) -> ItemState | None:
        """Return an item of the batch in hand, None when it is not finished."""
        if assignment.item not in self._states:
            kept = self.store.finished(assignment.item)
            if kept is None:
                return None
            self._states[assignment.item] = ItemState.from_json(kept)
        return self._states[assignment.item]

    def studied(self, assignment: Assignment) -> StudiedItem | None:
        """Return a finished item with its rounds, None when it is not finished."""
        state = self.state_of(assignment)
        if state is None:
            return None
        return StudiedItem(item=assignment.item, source=assignment.source, rounds=state.history)

    def figures(self, assignments: Iterable[Assignment], rules: Rules) -> Figures:
        """Return what was counted over the finished ones of these items."""
        listed = list(assignments)
        for assignment in listed:
            if assignment.item not in self._tried and (found := self.studied(assignment)) is not None:
                known = rules.domain.question_types
                self._tried[found.item] = tries_of(found.rounds, private=[found.source.text], known=known)
                self._names.add(found.source, self._tried[found.item])
        done = ((a.item, self._tried[a.item]) for a in listed if a.item in self._tried)
        return count(done, self._names, rules.domain.question_types)

    def end_batch(self, batch: Sequence[Assignment]) -> dict[str, Any]:
        """Take up what a batch gave, and return it for the event that lets a later process go on from here."""
        digests: list[Digest] = []
        if self.steering is not None or self.monitor is not None:
            digests = [digest_of(state) for a in batch if (state := self.state_of(a)) is not None]
        self._learn(digests)
        alarms = self._look_for_collapse()
        tries = {a.item: [_try_json(one) for one in self._tried[a.item]] for a in batch if a.item in self._tried}
        self._states.clear()
        return {"digests": [digest.to_json() for digest in digests], "tries": tries, "alarms": alarms}

    def _look_for_collapse(self) -> list[dict[str, Any]]:
        if self.monitor is None:
            return []
        found = self.monitor.alarms(self.monitor.figures(self.steering.by_topic if self.steering is not None else None))
        for alarm in found:
            if (alarm.figure, alarm.level) not in self._alarms:
                self._alarms.add((alarm.figure, alarm.level))
                self.on_event({"kind": "alarm", "text": str(alarm), **alarm.to_json()})
        last = next((alarm for alarm in found if alarm.level == "stop"), None)
        if last is not None and self.monitor.stops:
            self.progress.stop("collapse", f"the questions become alike ({last}); see `autodata coverage`")
        return [alarm.to_json() for alarm in found]

    def _learn(self, digests: Iterable[Digest]) -> None:
        for digest in digests:
            if self.steering is not None:
                self.steering.learn(digest)
            if self.monitor is not None:
                self.monitor.learn(digest)

    def _recall(self, behind: Behind) -> None:
        """Take up everything that lies behind from its events, without reading an item."""
        if self.steering is not None:
            starts = [first for first in sorted(behind.plans) if first < behind.planned]
        else:
            starts = list(range(0, behind.planned, BATCH))
        for first in starts:
            if self.steering is not None:
                self._take(behind.plans[first])
                self.steering.recall(_planned(behind.plans[first]))
            after = len(self._planned) if self.steering is not None else min(first + BATCH, behind.planned)
            ended = behind.batches.get(after, {})
            self._learn(Digest.from_json(digest) for digest in ended.get("digests", ()))
            for item, tries in ended.get("tries", {}).items():
                self._tried[item] = tuple(_try_from_json(one) for one in tries)
        for assignment in self._planned:
            self._names.add(assignment.source, self._tried.get(assignment.item, ()))

    def _take(self, event: Mapping[str, Any]) -> None:
        for line in event["items"]:
            one = Planned.from_json(line["planned"])
            source = self._by_id[one.source]
            aim = Aim.from_json(line["aim"])
            self._planned.append(Assignment(item_id(source, one.slot), source, len(self._planned), aim))


def assignments_for(sources: Sequence[Source], examples_per_source: int) -> tuple[Assignment, ...]:
    """Return every item of a run in order: one from each source before the second from any."""
    pairs = [(slot, source) for slot in range(examples_per_source) for source in sources]
    return tuple(Assignment(item_id(source, slot), source, n) for n, (slot, source) in enumerate(pairs))


def _planned(event: Mapping[str, Any]) -> list[Planned]:
    return [Planned.from_json(line["planned"]) for line in event["items"]]


def _try_json(one: Try) -> list[Any]:
    return [one.question_type, sorted(kind.value for kind in one.kinds), list(one.skills)]


def _try_from_json(value: Sequence[Any]) -> Try:
    question_type, kinds, skills = value
    return Try(question_type, frozenset(ReasonKind(kind) for kind in kinds), tuple(skills))
