"""The data set as a LangGraph state machine: plan → produce → study → revise → plan | finish.

A round plans one batch of items, produces it with a pool of item graphs, studies what failed, and gives what it learned to
the next batch's challenger. The state holds counters and the recipe; items and rows live in the store. What a failure teaches
and what a batch should be about are decided in the core.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from langchain_core.runnables import RunnableLambda
from langgraph.graph import END, START, StateGraph
from langgraph.runtime import get_runtime
from typing_extensions import TypedDict

from autodata_core.budget import BudgetSpentError
from autodata_core.learnings import Kept, Study, StudyStep, keep, study_with_model
from autodata_core.ports import ModelReply, ModelRequest
from autodata_core.recipe import EvaluationProtocol, Recipe, Rules
from autodata_langgraph.context import RecipeLike, rules_from
from autodata_langgraph.dataset_context import BATCH, DatasetContext
from autodata_langgraph.runner import Assignment, Pool

__all__ = ["create_dataset_graph"]


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
