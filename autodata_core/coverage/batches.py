"""From finished items to the next batch: what a run with targets asks of each source. It remembers what it was shown.

Everything follows from the finished items in the order of the plan, so a resumed run plans the same batches.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from pydantic import StrictBool, StrictStr

from autodata_core.coverage.cells import ANY, Band, Cell, TopicMap, band_of
from autodata_core.coverage.guidance import Nearby, key_terms, steering_text
from autodata_core.coverage.lacking import Closing, Gap, gaps, measure
from autodata_core.coverage.planning import Planned, plan
from autodata_core.coverage.repeating import Repeats, Saturation, saturated_cells
from autodata_core.item import ItemState, item_id
from autodata_core.records import Aim, ReasonKind, Record, Source, fold_type
from autodata_core.scoring import attempt_score

__all__ = ["Batch", "Digest", "Steering", "Tried", "digest_of"]

_NEARBY = 24
"""Questions per topic that a challenger's text is made of, the newest."""


class Tried(Record):
    """One question that was tried, as far as coverage wants to know it."""

    question: StrictStr
    question_type: StrictStr
    duplicate: StrictBool = False
    band: Band | None = None
    """Measured difficulty of an accepted one; None of one that was refused."""


class Digest(Record):
    """A finished item in short: enough to plan by, so that a resumed run need not read its items again."""

    item: StrictStr
    source: StrictStr
    tried: tuple[Tried, ...] = ()

    @property
    def accepted(self) -> tuple[Tried, ...]:
        return tuple(one for one in self.tried if one.band is not None)


def digest_of(item: ItemState) -> Digest:
    """Return a finished item in short."""
    tried = []
    for round_ in item.history:
        if (candidate := round_.candidate) is None:
            continue
        weak = [attempt_score(a, candidate.rubric) for a in round_.weak if a.outcome == "scored"]
        tried.append(
            Tried(
                question=candidate.question,
                question_type=candidate.question_type,
                duplicate=any(reason.kind == ReasonKind.DUPLICATE for reason in round_.verdict.reasons),
                band=band_of(weak) if round_.verdict.accepted else None,
            )
        )
    return Digest(item=item.item, source=item.source_id, tried=tuple(tried))


@dataclass(frozen=True)
class Batch:
    """The next items, with what each challenger is told."""

    planned: tuple[Planned, ...]
    aims: tuple[Aim, ...]
    """`aims[i]` goes to the challenger of `planned[i]`."""
    gaps: tuple[Gap, ...]
    """As they were when the batch was planned."""
    closing: Closing | None
    """What the batch before closed; None for the first."""


@dataclass
class Steering:
    """Plans batches towards targets. One for a run, from its first batch to its last; not safe from many threads."""

    sources: Sequence[Source]
    topics: TopicMap
    targets: Mapping[Cell, int]
    types: tuple[str, ...] = ()
    """Question types that the grid names; a type spelled in another case or with other separators is the same."""
    exploration: float = 0.1
    seed: int = 0
    most_per_source: int | None = None
    far: Callable[[Sequence[str]], Sequence[str]] = lambda questions: ()
    """Names sources that no question is near, from all questions so far; an adapter has the vectors."""
    _counts: Counter[Cell] = field(default_factory=Counter, init=False, repr=False)
    _repeats: Repeats = field(default_factory=Repeats, init=False, repr=False)
    _near: dict[str, deque[Nearby]] = field(default_factory=dict, init=False, repr=False)
    _questions: list[str] = field(default_factory=list, init=False, repr=False)
    _seen: set[str] = field(default_factory=set, init=False, repr=False)
    _used: Counter[str] = field(default_factory=Counter, init=False, repr=False)
    _wanted: dict[str, Cell] = field(default_factory=dict, init=False, repr=False)
    _vain: Counter[Cell] = field(default_factory=Counter, init=False, repr=False)
    _terms: dict[str, frozenset[str]] = field(default_factory=dict, init=False, repr=False)
    _before: tuple[Gap, ...] | None = field(default=None, init=False, repr=False)

    @cached_property
    def _by_id(self) -> Mapping[str, Source]:
        return {source.id: source for source in self.sources}

    def _own_terms(self, source: str) -> frozenset[str]:
        if source not in self._terms:
            self._terms[source] = frozenset(key_terms(self._by_id[source].text))
        return self._terms[source]

    @cached_property
    def _spelled(self) -> Mapping[str, str]:
        return {fold_type(name): name for name in self.types}

    @property
    def fresh(self) -> bool:
        """Whether nothing was planned yet."""
        return not self._used

    @property
    def wanted(self) -> int:
        """Rows that the targets want in all."""
        return sum(self.targets.values())

    @property
    def filled(self) -> int:
        """Rows of these that are there."""
        return self.wanted - sum(gap.missing for gap in self.gaps)

    @property
    def counts(self) -> Mapping[Cell, int]:
        """Accepted rows per cell."""
        return self._counts

    @property
    def by_topic(self) -> Mapping[object, int]:
        """Accepted rows per topic that should have some."""
        found: Counter[object] = Counter({cell.topic: 0 for cell in self.targets})
        for cell, count in self._counts.items():
            found[cell.topic] += count
        return found

    @property
    def saturation(self) -> tuple[Saturation, ...]:
        return self._repeats.saturation()

    @property
    def gaps(self) -> tuple[Gap, ...]:
        """What is lacking now, ranked."""
        return gaps(self._counts, self.targets, saturated_cells(self.saturation), self._vain)

    def learn(self, item: Digest) -> None:
        """Take up a finished item, once. Call it in the order of the plan."""
        if item.item in self._seen or item.source not in self.topics.of:
            return
        self._seen.add(item.item)
        topic = self.topics.topic_of(item.source)
        wanted, came = self._wanted.pop(item.item, None), False
        for tried in item.tried:
            kind = self._spelled.get(fold_type(tried.question_type), tried.question_type)
            cell = Cell(topic=topic, question_type=kind)
            self._repeats.note(cell, tried.duplicate)
            near = Nearby(item.source, kind, key_terms(tried.question))
            self._near.setdefault(topic, deque(maxlen=_NEARBY)).append(near)
            self._questions.append(tried.question)
            if tried.band is not None:
                there = cell.model_copy(update={"band": tried.band})
                self._counts[there] += 1
                came = came or (wanted is not None and wanted.holds(there))
        if wanted is not None:
            self._vain[wanted] = 0 if came else self._vain[wanted] + 1

    def batch(self, size: int) -> Batch:
        """Return the next items and remember that they are planned."""
        lacking = self.gaps
        planned = plan(
            lacking,
            self.topics,
            size=size,
            exploration=self.exploration,
            seed=self.seed,
            used=self._used,
            far=self.far(self._questions),
            full=self._full_topics(),
            most_per_source=self.most_per_source,
        )
        closing = None if self._before is None else measure(self._before, lacking)
        self._remember(planned, lacking)
        return Batch(planned, tuple(self._aim(one) for one in planned), lacking, closing)

    def _full_topics(self) -> frozenset[str]:
        """Return the topics of which every question type that was tried repeats what exists."""
        open_: dict[str, bool] = {}
        for line in self.saturation:
            open_[line.cell.topic] = open_.get(line.cell.topic, False) or not line.saturated
        return frozenset(topic for topic, is_open in open_.items() if not is_open)

    def recall(self, planned: Sequence[Planned]) -> None:
        """Remember a batch that an earlier process planned, after learning what came before it."""
        self._remember(planned, self.gaps)

    def _remember(self, planned: Sequence[Planned], lacking: tuple[Gap, ...]) -> None:
        self._used.update(one.source for one in planned)
        self._before = lacking
        for one in planned:
            if one.cell is not None:
                self._wanted[item_id(self._by_id[one.source], one.slot)] = one.cell

    def _aim(self, planned: Planned) -> Aim:
        topic = self.topics.topic_of(planned.source)
        terms = next((known.terms for known in self.topics.topics if known.name == topic), ())
        nearby = tuple(self._near.get(topic, ()))
        own = self._own_terms(planned.source)
        text = steering_text(planned.cell, nearby, own=own, terms=terms, types=self.types)
        cell = planned.cell or Cell(topic=topic)
        kind = "" if cell.question_type == ANY else cell.question_type
        return Aim(topic=topic, question_type=kind, band=cell.band, text=text)
