"""The data set as a LangGraph state machine: plan → produce → study → revise → plan | finish.

A round plans one batch of items, produces it with a pool of item graphs, studies what failed, and gives what it learned to
the next batch's challenger. The state holds counters and the recipe; items and rows live in the store. What a failure teaches
and what a batch should be about are decided in the core.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from langchain_core.runnables import RunnableLambda
from langgraph.graph import END, START, StateGraph
from langgraph.runtime import get_runtime
from typing_extensions import TypedDict

from autodata_core.budget import BudgetSpentError
from autodata_core.coverage import CollapseMonitor, Digest, Planned, Steering, digest_of
from autodata_core.item import ItemState, item_id
from autodata_core.learnings import (
    Figures,
    Kept,
    StudiedItem,
    Study,
    StudyStep,
    Try,
    count,
    estimate_tokens,
    keep,
    study_with_model,
    tries_of,
)
from autodata_core.ports import MemoryStore, ModelReply, ModelRequest, RecordStore
from autodata_core.recipe import EvaluationProtocol, Recipe, Rules
from autodata_core.records import Aim, ReasonKind, Source
from autodata_langgraph.context import AutodataContext, RecipeLike, rules_from
from autodata_langgraph.runner import Assignment, Event, Pool, Progress

__all__ = ["BATCH", "Behind", "DatasetContext", "assignments_for", "create_dataset_graph"]

BATCH = 16
"""Items between two looks at what was learned. Fixed, so that a resumed run studies the same batches."""


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
    _states: dict[str, ItemState] = field(default_factory=dict, init=False, repr=False)
    """Finished items of the batch in hand."""
    _alarms: set[tuple[str, str]] = field(default_factory=set, init=False, repr=False)

    def __post_init__(self) -> None:
        self._by_id = {source.id: source for source in self.sources}
        self.wanted = len(self.sources) * self.examples_per_source
        if self.steering is None:
            self._planned += assignments_for(self.sources, self.examples_per_source)
        if self.behind is not None:
            self._recall(self.behind)

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
            items = zip(batch.planned, batch.aims, strict=True)
            event = {
                "kind": "plan",
                "first": first,
                "items": [{"planned": one.to_json(), "aim": aim.to_json()} for one, aim in items],
                "open": len(batch.gaps),
                "gaps": [gap.to_json() for gap in batch.gaps[:BATCH]],
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
        return count((a.item, self._tried[a.item]) for a in listed if a.item in self._tried)

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

    def _take(self, event: Mapping[str, Any]) -> None:
        for line in event["items"]:
            one = Planned.from_json(line["planned"])
            source = self._by_id[one.source]
            aim = Aim.from_json(line["aim"])
            self._planned.append(Assignment(item_id(source, one.slot), source, len(self._planned), aim))


def _planned(event: Mapping[str, Any]) -> list[Planned]:
    return [Planned.from_json(line["planned"]) for line in event["items"]]


def _try_json(one: Try) -> list[Any]:
    return [one.question_type, sorted(kind.value for kind in one.kinds), list(one.skills)]


def _try_from_json(value: Sequence[Any]) -> Try:
    question_type, kinds, skills = value
    return Try(question_type, frozenset(ReasonKind(kind) for kind in kinds), tuple(skills))


class DatasetState(TypedDict, total=False):
    """Plain JSON and small: where the run stands and the recipe in force."""

    cursor: int
    """Items planned so far."""
    batch: list[int]
    """First and last (exclusive) position of the batch in hand."""
    recipe: dict[str, Any]
    learnings: list[dict[str, Any]]
    retired: list[dict[str, Any]]
    """What the last study kept and what it retired, for `revise`."""
    counts: dict[str, int]
    stopped: str | None


def assignments_for(sources: Sequence[Source], examples_per_source: int) -> tuple[Assignment, ...]:
    """Return every item of a run in order: one from each source before the second from any."""
    pairs = [(slot, source) for slot in range(examples_per_source) for source in sources]
    return tuple(Assignment(item_id(source, slot), source, n) for n, (slot, source) in enumerate(pairs))


def create_dataset_graph(
    recipe: RecipeLike, protocol: EvaluationProtocol | None = None
) -> StateGraph[Any, Any, Any, Any]:
    """Return the data-set graph, not compiled. Invoke it with `{}` and a `DatasetContext`.

    It works in one process from start to finish; the store makes it resumable, so it needs no checkpointer.
    """
    rules = rules_from(recipe, protocol)
    graph = StateGraph(DatasetState, context_schema=DatasetContext)
    graph.add_node("plan", lambda state: _plan(state, rules))
    graph.add_node("produce", RunnableLambda(_produce(rules), _aproduce(rules), name="produce"))
    graph.add_node("study", RunnableLambda(_study(rules), _astudy(rules), name="study"))
    graph.add_node("revise", _revise)
    graph.add_node("finish", _finish)
    graph.add_edge(START, "plan")
    graph.add_conditional_edges("plan", _route_plan, ["produce", "finish"])
    graph.add_conditional_edges("produce", _route_produce, ["study", "finish"])
    graph.add_conditional_edges("study", _route_study, ["revise", "finish"])
    graph.add_edge("revise", "plan")
    graph.add_edge("finish", END)
    return graph


def _context() -> DatasetContext:
    return get_runtime(DatasetContext).context


def _plan(state: DatasetState, rules: Rules) -> dict[str, Any]:
    """Choose the next batch."""
    context, cursor = _context(), state.get("cursor", 0)
    # A run that is to stop plans nothing more: what is planned is kept for good.
    last = context.plan(cursor) if context.progress.stopped is None and cursor < context.wanted else cursor
    return {"batch": [cursor, last], "cursor": last, "recipe": state.get("recipe") or rules.recipe.to_json()}


def _route_plan(state: DatasetState) -> str:
    first, last = state["batch"]
    return "produce" if last > first and _context().progress.stopped is None else "finish"


def _pool(state: DatasetState, rules: Rules) -> tuple[Pool, Sequence[Assignment]]:
    context = _context()
    in_force = Rules(Recipe.from_json(state["recipe"]), rules.protocol)
    pool = Pool(in_force, context, context.store, context.progress, context.concurrency, context.on_event)
    return pool, context.assignments(*state["batch"])


def _produce(rules: Rules) -> Callable[[DatasetState], dict[str, Any]]:
    def produce(state: DatasetState) -> dict[str, Any]:
        pool, batch = _pool(state, rules)
        pool.run(batch)
        return {"counts": dict(pool.progress.counts), "stopped": pool.progress.stopped}

    return produce


def _aproduce(rules: Rules) -> Callable[[DatasetState], Any]:
    async def aproduce(state: DatasetState) -> dict[str, Any]:
        pool, batch = _pool(state, rules)
        await pool.arun(batch)
        return {"counts": dict(pool.progress.counts), "stopped": pool.progress.stopped}

    return aproduce


def _route_produce(state: DatasetState) -> str:
    return "finish" if state.get("stopped") else "study"


def _route_study(state: DatasetState) -> str:
    return "finish" if state.get("stopped") else "revise"


@dataclass
class _BatchStudy:
    """The study of the batch in hand, with or without a model."""

    state: DatasetState
    rules: Rules
    context: DatasetContext
    step: StudyStep = field(default_factory=StudyStep)
    study: Study | None = None

    def __post_init__(self) -> None:
        self.recipe = Recipe.from_json(self.state["recipe"])
        first, last = self.state["batch"]
        self.batch = self.context.assignments(first, last)
        self.in_batch = self.context.figures(self.batch, self.rules)
        if self.recipe.study.mode == "model":
            items = [found for a in self.batch if (found := self.context.studied(a)) is not None]
            self.study = Study(
                batch=f"batch-{first:06d}-{last:06d}",
                items=items,
                figures=self.in_batch,
                text=self.recipe.study.text,
                fence_key=self.context.fence_key or secrets.token_hex(16),
                earlier=[a.source for a in reversed(self.context.assignments(0, first))],
                seed=self.rules.protocol.seed,
                known_types=self.rules.domain.question_types,
                again=self.rules.protocol.again,
            )
            self.step = study_with_model(self.study)

    @property
    def request(self) -> ModelRequest | None:
        """What to ask the study role next, None when nothing is left to ask."""
        return self.step.ask.request if self.step.ask is not None else None

    def hear(self, reply: ModelReply) -> None:
        if self.study is not None:
            self.step = study_with_model(self.study, self.step, reply)

    def kept(self) -> dict[str, Any]:
        """Return what the batch changes, and say so."""
        number = -(-self.state["cursor"] // BATCH)
        held = Kept(self.recipe.learnings, self.recipe.retired)
        kept = keep(
            held,
            self.step.learnings,
            batch=number,
            so_far=self.context.figures(self.context.assignments(0, self.state["cursor"]), self.rules),
            in_batch=self.in_batch,
            settings=self.recipe.study,
            count_tokens=self.context.count_tokens,
        )
        event = {
            "kind": "study",
            "planned": self.state["cursor"],
            "batch": number,
            "noted": [lesson.to_json() for lesson in self.step.learnings],
            "refused": [refused.to_json() for refused in self.step.refused],
            "retired": [gone.to_json() for gone in kept.retired if gone.batch == number],
            "note": self.step.note,
            "usage": self.step.usage.to_json(),
        }
        self.context.on_event(event)
        return {
            "learnings": [lesson.to_json() for lesson in kept.learnings],
            "retired": [gone.to_json() for gone in kept.retired],
        }


def _stopped(context: DatasetContext, why: BudgetSpentError) -> dict[str, Any]:
    context.progress.stop("budget", str(why))
    return {"stopped": context.progress.stopped}


def _unchanged(state: DatasetState) -> dict[str, Any]:
    return {name: state["recipe"].get(name, []) for name in ("learnings", "retired")}


def _study(rules: Rules) -> Callable[[DatasetState], dict[str, Any]]:
    def study(state: DatasetState) -> dict[str, Any]:
        context = _context()
        if not context.learn:
            return _unchanged(state)
        batch = _BatchStudy(state, rules, context)
        try:
            while (request := batch.request) is not None:
                batch.hear(context.ports.model(request).complete(request))
        except BudgetSpentError as error:  # not studied: a later run does it, and goes on from there
            return _stopped(context, error)
        return batch.kept()

    return study


def _astudy(rules: Rules) -> Callable[[DatasetState], Any]:
    async def astudy(state: DatasetState) -> dict[str, Any]:
        context = _context()
        if not context.learn:
            return _unchanged(state)
        batch = _BatchStudy(state, rules, context)
        try:
            while (request := batch.request) is not None:
                batch.hear(await context.ports.model(request).acomplete(request))
        except BudgetSpentError as error:
            return _stopped(context, error)
        return batch.kept()

    return astudy


def _revise(state: DatasetState) -> dict[str, Any]:
    """Make the next recipe version from what was learned, and take up what the batch covers."""
    context = _context()
    ended = context.end_batch(context.assignments(*state["batch"]))
    recipe = Recipe.from_json(state["recipe"])
    learned = Recipe.from_json({**recipe.to_json(), "learnings": state["learnings"], "retired": state["retired"]})
    revised = recipe.learned(learned.learnings, learned.retired)
    event = {"kind": "batch", "planned": state["cursor"], "recipe": revised.to_json(), "version": revised.version}
    context.on_event({**event, **ended})
    return {"recipe": revised.to_json()}


def _finish(state: DatasetState) -> dict[str, Any]:
    progress = _context().progress
    return {"counts": dict(progress.counts), "stopped": progress.stopped}
