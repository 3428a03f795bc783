"""The outer loop as a LangGraph state machine: a recipe is run, its failures are read, it is rewritten, and measured.

`select → run_minibatch → analyze → implement → evaluate → decide → gate → record → select | finish_on_test`

Each pass is a wave of a few iterations at the same time. What a node does is in `optimize_steps`, what is decided in
`autodata_core.meta`; the log makes the search resumable, so the graph needs a checkpointer only where a person is asked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any

from langchain_core.runnables import RunnableLambda
from langgraph.graph import END, START, StateGraph
from langgraph.runtime import get_runtime

from autodata_core.budget import BudgetSpentError
from autodata_core.meta.search import FinalReport
from autodata_core.recipe import EvaluationProtocol, Rules
from autodata_langgraph import optimize_steps
from autodata_langgraph.context import RecipeLike, rules_from
from autodata_langgraph.optimize_context import OptimizeContext, OptimizeState, Turn

__all__ = ["OptimizeContext", "OptimizeState", "create_optimize_graph", "report_of"]


def create_optimize_graph(
    recipe: RecipeLike, protocol: EvaluationProtocol | None = None
) -> StateGraph[Any, Any, Any, Any]:
    """Return the outer loop, not compiled. Invoke it with `{}` and an `OptimizeContext`.

    With `ask=True` compile it with a checkpointer; at every `interrupt` answer with a `GateAnswer` as JSON.
    """
    rules = rules_from(recipe, protocol)
    graph = StateGraph(OptimizeState, context_schema=OptimizeContext)
    steps: dict[str, Callable[[Turn], Awaitable[dict[str, Any]]]] = {
        "select": optimize_steps.select,
        "run_minibatch": optimize_steps.run_minibatch,
        "analyze": optimize_steps.analyze,
        "implement": optimize_steps.implement,
        "evaluate": optimize_steps.evaluate,
        "decide": optimize_steps.decide,
        "gate": optimize_steps.gate,
        "record": optimize_steps.record,
        "finish_on_test": optimize_steps.finish_on_test,
    }
    for name, step in steps.items():
        graph.add_node(name, _node(name, step, rules))
    graph.add_edge(START, "select")
    graph.add_conditional_edges("select", _after_select, ["run_minibatch", "finish_on_test"])
    graph.add_conditional_edges("run_minibatch", _unless_stopped("analyze"), ["analyze", END])
    graph.add_conditional_edges("analyze", _unless_stopped("implement"), ["implement", END])
    graph.add_conditional_edges("implement", _unless_stopped("evaluate"), ["evaluate", END])
    graph.add_conditional_edges("evaluate", _unless_stopped("decide"), ["decide", END])
    graph.add_conditional_edges("decide", _after_decide, ["evaluate", "gate", "record"])
    graph.add_conditional_edges("gate", _after_decide, ["evaluate", "gate", "record"])
    graph.add_edge("record", "select")
    graph.add_edge("finish_on_test", END)
    return graph


def report_of(state: OptimizeState) -> FinalReport | None:
    """Return what the test showed, None when it was not read."""
    found = state.get("report")
    return None if found is None else FinalReport.from_json(found)


def _node(name: str, step: Callable[[Turn], Awaitable[dict[str, Any]]], rules: Rules) -> RunnableLambda[Any, Any]:
    async def arun(state: OptimizeState) -> dict[str, Any]:
        context = get_runtime(OptimizeContext).context
        measured = context.ports.measured(rules)
        try:
            return await step(Turn(state, measured, context))
        except BudgetSpentError as error:
            return {"stopped": "budget", "note": f"{error} The test sources were not read."}

    def run(state: OptimizeState) -> dict[str, Any]:
        # In a thread, because the caller's own loop may be running.
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(copy_context().run, lambda: asyncio.run(_as_coroutine(arun(state)))).result()

    return RunnableLambda(run, arun, name=name)


async def _as_coroutine(value: Awaitable[dict[str, Any]]) -> dict[str, Any]:
    return await value


def _unless_stopped(following: str) -> Callable[[OptimizeState], str]:
    return lambda state: END if state.get("stopped") == "budget" and state.get("note") else following


def _after_select(state: OptimizeState) -> str:
    return "run_minibatch" if state["jobs"] else "finish_on_test"


def _after_decide(state: OptimizeState) -> str:
    if any(job["stage"] == "measure" for job in state["jobs"]):
        return "evaluate"
    return "gate" if any(job["stage"] == "gate" for job in state["jobs"]) else "record"
