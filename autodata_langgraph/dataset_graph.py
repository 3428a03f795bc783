"""The data set as a LangGraph state machine: plan → produce → study → revise → plan | finish.

A round plans one batch of items, produces it with a pool of item graphs, studies what failed, and gives what it learned to
the next batch's challenger. The state holds counters and the recipe; items and rows live in the store.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from langchain_core.runnables import RunnableLambda
from langgraph.graph import END, START, StateGraph
from langgraph.runtime import get_runtime
from typing_extensions import TypedDict

from autodata_core.item import ItemState, item_id
from autodata_core.learnings import study
from autodata_core.ports import MemoryStore, RecordStore
from autodata_core.recipe import EvaluationProtocol, Recipe, Rules
from autodata_core.records import Round, Source
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
    on_event: Callable[[Event], None] = lambda event: None
    _studied: dict[str, tuple[Round, ...]] = field(default_factory=dict, init=False, repr=False)
    """Rounds of finished items that a study has read; each is read once, whatever the number of batches."""

    @cached_property
    def assignments(self) -> tuple[Assignment, ...]:
        """Every item of the run, in order."""
        return assignments_for(self.sources, self.examples_per_source)

    def rounds(self, item: str) -> tuple[Round, ...] | None:
        """Return the rounds of a finished item, None when it is not finished."""
        if item not in self._studied:
            kept = self.store.finished(item)
            if kept is None:
                return None
            self._studied[item] = ItemState.from_json(kept).history
        return self._studied[item]


class DatasetState(TypedDict, total=False):
    """Plain JSON and small: where the run stands and the recipe in force."""

    cursor: int
    """Items planned so far."""
    batch: list[int]
    """First and last (exclusive) position of the batch in hand."""
    recipe: dict[str, Any]
    learnings: list[dict[str, Any]]
    """What the last study found, for `revise`."""
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
    graph.add_node("study", _study)
    graph.add_node("revise", _revise)
    graph.add_node("finish", _finish)
    graph.add_edge(START, "plan")
    graph.add_conditional_edges("plan", _route_plan, ["produce", "finish"])
    graph.add_conditional_edges("produce", _route_produce, ["study", "finish"])
    graph.add_edge("study", "revise")
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


def _study(state: DatasetState) -> dict[str, Any]:
    """Read every finished round so far, in the order of the plan."""
    context = _context()
    if not context.learn:
        return {"learnings": []}
    found = ((a.item, context.rounds(a.item)) for a in context.assignments[: state["cursor"]])
    items = ((item, rounds) for item, rounds in found if rounds is not None)
    return {"learnings": [lesson.to_json() for lesson in study(items)]}


def _revise(state: DatasetState) -> dict[str, Any]:
    """Make the next recipe version from what was learned."""
    recipe = Recipe.from_json(state["recipe"])
    learned = Recipe.from_json({**recipe.to_json(), "learnings": state["learnings"]}).learnings
    revised = recipe.learned(learned)
    event = {"kind": "batch", "planned": state["cursor"], "recipe": revised.to_json(), "version": revised.version}
    _context().on_event(event)
    return {"recipe": revised.to_json()}


def _finish(state: DatasetState) -> dict[str, Any]:
    progress = _context().progress
    return {"counts": dict(progress.counts), "stopped": progress.stopped}
