"""The data set as a LangGraph state machine: plan → produce → study → revise → plan | finish.

A round plans one batch of items, produces it with a pool of item graphs, studies what failed, and gives what it learned to
the next batch's challenger. The state holds counters and the recipe; items and rows live in the store. What a failure teaches
is decided in the core.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from langchain_core.runnables import RunnableLambda
from langgraph.graph import END, START, StateGraph
from langgraph.runtime import get_runtime
from typing_extensions import TypedDict

from autodata_core.budget import BudgetSpentError
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
from autodata_core.records import Source
from autodata_langgraph.context import AutodataContext, RecipeLike, rules_from
from autodata_langgraph.runner import Assignment, Event, Pool, Progress

__all__ = ["BATCH", "DatasetContext", "assignments_for", "create_dataset_graph"]

BATCH = 16
"""Items between two looks at what was learned. Fixed, so that a resumed run studies the same batches."""


@dataclass
class DatasetContext(AutodataContext):
    """What a data-set run is given: the item graph's context, the sources and where results go."""

    sources: Sequence[Source] = ()
    store: RecordStore = field(default_factory=MemoryStore)
    progress: Progress = field(default_factory=Progress)
    examples_per_source: int = 1
    concurrency: int = 8
    learn: bool = True
    """Whether what failed goes into the next batch's recipe."""
    count_tokens: Callable[[str], int] = estimate_tokens
    """Counts the tokens of a learning; four characters each unless something better is given."""
    on_event: Callable[[Event], None] = lambda event: None
    _tried: dict[str, tuple[Try, ...]] = field(default_factory=dict, init=False, repr=False)
    """What was tried for finished items; each is read once, whatever the number of batches."""

    @cached_property
    def assignments(self) -> tuple[Assignment, ...]:
        """Every item of the run, in order."""
        return assignments_for(self.sources, self.examples_per_source)

    def studied(self, assignment: Assignment) -> StudiedItem | None:
        """Return a finished item with its rounds, None when it is not finished."""
        kept = self.store.finished(assignment.item)
        if kept is None:
            return None
        history = ItemState.from_json(kept).history
        return StudiedItem(item=assignment.item, source=assignment.source, rounds=history)

    def figures(self, assignments: Iterable[Assignment], rules: Rules) -> Figures:
        """Return what was counted over the finished ones of these items."""
        for assignment in assignments:
            if assignment.item not in self._tried and (found := self.studied(assignment)) is not None:
                known = rules.domain.question_types
                self._tried[found.item] = tries_of(found.rounds, private=[found.source.text], known=known)
        return count((a.item, self._tried[a.item]) for a in assignments if a.item in self._tried)


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
    last = min(cursor + BATCH, len(context.assignments))
    return {"batch": [cursor, last], "cursor": last, "recipe": state.get("recipe") or rules.recipe.to_json()}


def _route_plan(state: DatasetState) -> str:
    first, last = state["batch"]
    return "produce" if last > first and _context().progress.stopped is None else "finish"


def _pool(state: DatasetState, rules: Rules) -> tuple[Pool, tuple[Assignment, ...]]:
    context = _context()
    in_force = Rules(Recipe.from_json(state["recipe"]), rules.protocol)
    pool = Pool(in_force, context, context.store, context.progress, context.concurrency, context.on_event)
    first, last = state["batch"]
    return pool, context.assignments[first:last]


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
        self.batch = self.context.assignments[first:last]
        self.in_batch = self.context.figures(self.batch, self.rules)
        if self.recipe.study.mode == "model":
            items = [found for a in self.batch if (found := self.context.studied(a)) is not None]
            self.study = Study(
                batch=f"batch-{first:06d}-{last:06d}",
                items=items,
                figures=self.in_batch,
                text=self.recipe.study.text,
                fence_key=self.context.fence_key or secrets.token_hex(16),
                earlier=[a.source for a in reversed(self.context.assignments[:first])],
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
            so_far=self.context.figures(self.context.assignments[: self.state["cursor"]], self.rules),
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
    """Make the next recipe version from what was learned."""
    recipe = Recipe.from_json(state["recipe"])
    learned = Recipe.from_json({**recipe.to_json(), "learnings": state["learnings"], "retired": state["retired"]})
    revised = recipe.learned(learned.learnings, learned.retired)
    event = {"kind": "batch", "planned": state["cursor"], "recipe": revised.to_json(), "version": revised.version}
    _context().on_event(event)
    return {"recipe": revised.to_json()}


def _finish(state: DatasetState) -> dict[str, Any]:
    progress = _context().progress
    return {"counts": dict(progress.counts), "stopped": progress.stopped}
