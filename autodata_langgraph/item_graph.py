"""One item as a visible LangGraph state machine: every phase of `autodata_core.loop` is a node.

A node only answers the core's asks until the phase changes. Its state is plain JSON, so it resumes from the parent's
checkpoint alone; asked twice, the core asks the same.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

from langchain_core.runnables import RunnableConfig, RunnableLambda
from langgraph.graph import END, START, StateGraph
from typing_extensions import TypedDict

from autodata_core.driver import aanswer_all, answer_all
from autodata_core.item import PHASES, ItemState, Phase, item_id, start
from autodata_core.loop import advance
from autodata_core.recipe import EvaluationProtocol, Rules
from autodata_core.records import Aim, Source
from autodata_core.rows import example_from
from autodata_langgraph.context import AutodataContext, RecipeLike, context_of_run, rules_from

__all__ = ["ItemInput", "ItemOutput", "create_autodata_graph"]

_NEXT: Mapping[Phase, tuple[str, ...]] = {
    "propose": ("check", "refine", END),
    "check": ("attempt_weak", "refine", END),
    "attempt_weak": ("attempt_strong", "refine", END),
    "attempt_strong": ("decide", "refine", END),
    "decide": ("accept", "refine", END),
    "refine": ("propose", "give_up"),
    "accept": (END,),
    "give_up": (END,),
}
"""Where each node can lead. END from inside the loop means skipped, or a model that gave no answer."""


class ItemInput(TypedDict, total=False):
    """What the graph is invoked with."""

    source: dict[str, Any]
    """`{"text": ...}`, best with `id` and `licence`; see `Source.from_input`."""
    item_id: str
    """Id of the item; left out, it is made from the source."""
    aim: dict[str, Any] | None
    """What the item is wanted for (`Aim`), where a data set steers; left out, the source decides."""


class ItemOutput(TypedDict, total=False):
    """What the graph returns."""

    status: str
    """`accepted`, `refused`, `skipped`, `infra`, or `quarantined` when the judge failed its controls."""
    example: dict[str, Any] | None
    """The row, None unless accepted."""
    verdict: dict[str, Any] | None
    """Verdict of the last round."""
    rounds: int
    note: str
    item: dict[str, Any]
    """The whole `ItemState`, with every refused round."""


class _State(ItemInput, ItemOutput, total=False):
    """Keys of the graph; `item` grows while the item runs."""


def create_autodata_graph(
    recipe: RecipeLike, protocol: EvaluationProtocol | None = None, *, context: AutodataContext | None = None
) -> StateGraph[Any, Any, Any, Any]:
    """Return the item graph, not compiled: add it to a graph of your own or compile and invoke it.

    Args:
        recipe: A recipe, or the path of a recipe file.
        protocol: How is measured; by default what the recipe file says, or the domain's preset.
        context: Used where the parent graph has a context of another kind.

    Returns:
        A `StateGraph` that takes `{"source": {...}}` and gives `ItemOutput`, sync and async.
    """
    rules = rules_from(recipe, protocol)
    graph = StateGraph(_State, context_schema=AutodataContext, input_schema=ItemInput, output_schema=ItemOutput)
    for phase in PHASES:
        graph.add_node(phase, _node(phase, rules, context))
        graph.add_conditional_edges(phase, _route, list(_NEXT[phase]))
    graph.add_edge(START, "propose")
    return graph


def _node(phase: Phase, rules: Rules, default: AutodataContext | None) -> RunnableLambda[Any, Any]:
    """Return a node that runs one phase, for `invoke` and `ainvoke` alike."""

    def run(state: _State, config: RunnableConfig) -> dict[str, Any]:
        context = context_of_run(default)
        source, item, measured = _begin(state, rules, context)
        step = advance(measured, source, item)
        while step.asks:
            step = advance(measured, source, step.state, answer_all(context.ports, step.asks))
        return _end(measured, source, step.state)

    async def arun(state: _State, config: RunnableConfig) -> dict[str, Any]:
        context = context_of_run(default)
        source, item, measured = _begin(state, rules, context)
        step = advance(measured, source, item)
        while step.asks:
            step = advance(measured, source, step.state, await aanswer_all(context.ports, step.asks))
        return _end(measured, source, step.state)

    return RunnableLambda(run, arun, name=phase)


def _begin(state: _State, rules: Rules, context: AutodataContext) -> tuple[Source, ItemState, Rules]:
    """Return source, item and the rules with the models that are really asked."""
    source = Source.from_input(state.get("source"))
    rules = context.ports.measured(rules)
    if "item" in state:
        item = ItemState.from_json(state["item"])
        # In a checkpointed thread the state of an earlier source is still there when the next one comes.
        if not item.done and item.source_sha256 == source.sha256:
            return source, item, rules
    item = start(
        source,
        item=state.get("item_id") or item_id(source),
        run=context.run,
        fence_key=context.fence_key or secrets.token_hex(16),
        aim=Aim.from_json(state["aim"]) if state.get("aim") else None,
    )
    return source, item, rules


def _end(rules: Rules, source: Source, item: ItemState) -> dict[str, Any]:
    update: dict[str, Any] = {"item": item.to_json(), "status": item.status}
    if item.done:
        last = item.history[-1].verdict.to_json() if item.history else None
        example = example_from(rules, source, item).to_json() if item.status == "accepted" else None
        update |= {"example": example, "verdict": last, "rounds": len(item.history), "note": item.note}
        update |= {"aim": None, "item_id": ""}  # they were this item's; in a checkpointed thread another one comes
    return update


def _route(state: _State) -> str:
    return END if state["status"] != "open" else str(state["item"]["phase"])
