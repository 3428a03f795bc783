"""From finished items to the next batch: what a run with targets asks of each source. It remembers what it was shown.

Everything follows from the finished items in the order of the plan, so a resumed run plans the same batches.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from autodata_core.coverage.cells import Cell, TopicMap, band_of
from autodata_core.coverage.guidance import Nearby, key_terms, shared_terms, steering_text
from autodata_core.coverage.lacking import Closing, Gap, gaps, measure
from autodata_core.coverage.planning import Planned, plan
from autodata_core.coverage.repeating import Saturation, saturated_cells, saturation
from autodata_core.item import ItemState
from autodata_core.records import ReasonKind, Round, Source
from autodata_core.scoring import attempt_score

__all__ = ["Batch", "Steering"]

_NEARBY = 24
"""Questions per topic that a challenger's text is made of, the newest."""
_OTHERS = 32
"""Sources whose words a challenger's text is compared with before it is used."""


@dataclass(frozen=True)
class Batch:
    """The next items, with what each challenger is told."""

    planned: tuple[Planned, ...]
    texts: tuple[str, ...]
    """`texts[i]` goes to the challenger of `planned[i]`; empty when there is nothing to say."""
    gaps: tuple[Gap, ...]
    """As they were when the batch was planned."""
    closing: Closing | None
    """What the batch before closed; None for the first."""


@dataclass
class Steering:
    """Plans batches towards targets. One for a run; not safe from many threads."""

    sources: Sequence[Source]
    topics: TopicMap
    targets: Mapping[Cell, int]
    types: tuple[str, ...] = ()
    """Question types of the domain."""
    exploration: float = 0.1
    seed: int = 0
    most_per_source: int | None = None
    far: Callable[[Sequence[str]], Sequence[str]] = lambda questions: ()
    """Names sources that no question is near, from all questions so far; an adapter has the vectors."""
    _counts: Counter[Cell] = field(default_factory=Counter, init=False, repr=False)
    _tries: list[tuple[Cell, bool]] = field(default_factory=list, init=False, repr=False)
    _near: dict[str, deque[Nearby]] = field(default_factory=dict, init=False, repr=False)
    _questions: list[str] = field(default_factory=list, init=False, repr=False)
    _seen: set[str] = field(default_factory=set, init=False, repr=False)
    _used: Counter[str] = field(default_factory=Counter, init=False, repr=False)
    _before: tuple[Gap, ...] | None = field(default=None, init=False, repr=False)

    @cached_property
    def _texts(self) -> Mapping[str, str]:
        return {source.id: source.text for source in self.sources}

    @cached_property
    def _shared(self) -> frozenset[str]:
        return shared_terms(self._texts)

    @property
    def counts(self) -> Mapping[Cell, int]:
        """Accepted rows per cell."""
        return self._counts

    @property
    def saturation(self) -> tuple[Saturation, ...]:
        return saturation(self._tries)

    @property
    def gaps(self) -> tuple[Gap, ...]:
        """What is lacking now, ranked."""
        return gaps(self._counts, self.targets, saturated_cells(self.saturation))

    def learn(self, item: ItemState) -> None:
        """Take up a finished item, once. Call it in the order of the plan."""
        if item.item in self._seen or item.source_id not in self.topics.of:
            return
        self._seen.add(item.item)
        for round_ in item.history:
            self._learn_round(item.source_id, round_)

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
            most_per_source=self.most_per_source,
        )
        self._used.update(one.source for one in planned)
        closing = None if self._before is None else measure(self._before, lacking)
        self._before = lacking
        return Batch(planned, tuple(self._text(one) for one in planned), lacking, closing)

    def _learn_round(self, source: str, round_: Round) -> None:
        candidate = round_.candidate
        if candidate is None:
            return
        topic = self.topics.topic_of(source)
        cell = Cell(topic=topic, question_type=candidate.question_type)
        self._tries.append((cell, any(reason.kind == ReasonKind.DUPLICATE for reason in round_.verdict.reasons)))
        near = Nearby(source, candidate.question_type, key_terms(candidate.question))
        self._near.setdefault(topic, deque(maxlen=_NEARBY)).append(near)
        self._questions.append(candidate.question)
        if round_.verdict.accepted:
            weak = [attempt_score(a, candidate.rubric) for a in round_.weak if a.outcome == "scored"]
            self._counts[cell.model_copy(update={"band": band_of(weak)})] += 1

    def _text(self, planned: Planned) -> str:
        topic = self.topics.topic_of(planned.source)
        nearby = tuple(self._near.get(topic, ()))
        # What is named comes from these sources; the challenger's own may be quoted to it.
        others = dict.fromkeys(one.source for one in nearby if one.source != planned.source)
        terms = next((known.terms for known in self.topics.topics if known.name == topic), ())
        return steering_text(
            planned.cell,
            nearby,
            terms=terms,
            shared=self._shared,
            types=self.types,
            others=[self._texts[source] for source in list(others)[-_OTHERS:]],
        )
