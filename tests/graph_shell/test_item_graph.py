"""The item graph as LangGraph users meet it: visible nodes, sub-graph, checkpointed resume, clear errors."""

import json

import pytest
from langchain_core.runnables import RunnableLambda
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, StateGraph
from typing_extensions import TypedDict

from autodata_core import Recipe
from autodata_core.errors import ModelAuthError, RecipeError, SourceError
from autodata_core.testing import ScriptedModel, scripted_models
from autodata_langgraph import AutodataContext, create_autodata_graph

RECIPE = Recipe.for_domain("math_objects")
SOURCE = {"source": {"text": "Drum 13 gives 1000.5 litres.", "id": "a.md"}}


def test_every_phase_is_a_node_and_the_branches_are_visible():
    drawn = create_autodata_graph(RECIPE).compile().get_graph()
    edges = {(e.source, e.target) for e in drawn.edges}
    for edge in [
        ("__start__", "propose"),
        ("propose", "check"),
        ("check", "attempt_weak"),
        ("attempt_weak", "attempt_strong"),
        ("attempt_strong", "decide"),
        ("decide", "accept"),
        ("decide", "refine"),
        ("refine", "propose"),
        ("refine", "give_up"),
        ("accept", "__end__"),
    ]:
        assert edge in edges


def test_it_drops_into_a_graph_with_another_context_when_built_with_its_own():
    class Parent(TypedDict, total=False):
        source: dict
        example: dict
        other: int

    class Context(TypedDict):
        user: str

    inner = create_autodata_graph(RECIPE, context=AutodataContext(models=scripted_models())).compile()
    parent = StateGraph(Parent, context_schema=Context)
    parent.add_node("make", inner)
    parent.add_edge(START, "make")
    parent.add_edge("make", END)
    found = parent.compile().invoke({**SOURCE, "other": 3}, context={"user": "ada"})
    assert found["other"] == 3
    assert found["example"]["question"]


def test_without_models_the_error_says_how_to_give_them():
    with pytest.raises(RecipeError, match="context=AutodataContext"):
        create_autodata_graph(RECIPE).compile().invoke(SOURCE)


def test_it_works_inside_a_chain_where_the_host_allows_25_steps():
    graph = create_autodata_graph(RECIPE).compile()
    models = scripted_models(too_easy_rounds=1)
    chain = RunnableLambda(lambda x: x) | RunnableLambda(
        lambda x: graph.invoke(x, context=AutodataContext(models=models))
    )
    assert chain.invoke(SOURCE)["status"] == "accepted"


def test_an_empty_source_is_refused_before_any_call():
    models = scripted_models()
    with pytest.raises(SourceError, match="empty"):
        create_autodata_graph(RECIPE).compile().invoke(
            {"source": {"text": "  "}}, context=AutodataContext(models=models)
        )
    assert not any(m.requests for m in models.values())


def test_its_state_is_plain_json_of_bounded_integers():
    saver = InMemorySaver()
    graph = create_autodata_graph(RECIPE).compile(checkpointer=saver)
    config = {"configurable": {"thread_id": "1"}}
    graph.invoke(SOURCE, config, context=AutodataContext(models=scripted_models()))
    state = graph.get_state(config).values
    assert json.loads(json.dumps(state)) == state


@pytest.mark.parametrize("broken", ["challenger", "check", "weak", "strong"])
def test_after_a_dead_model_a_checkpointed_app_resumes_at_the_interrupted_node(broken):
    models = dict(scripted_models())
    alive = models[broken]
    models[broken] = ScriptedModel(lambda request: ModelAuthError("the key was refused"), name=alive.identity.name)
    graph = create_autodata_graph(RECIPE).compile(checkpointer=InMemorySaver())
    config = {"configurable": {"thread_id": "1"}}
    with pytest.raises(ModelAuthError, match="key was refused"):
        graph.invoke(SOURCE, config, context=AutodataContext(models=models, fence_key="k" * 16))
    models[broken] = alive
    found = graph.invoke(None, config, context=AutodataContext(models=models, fence_key="k" * 16))
    assert found["status"] == "accepted"
    asked = [r.step for role, model in models.items() if role != broken for r in model.requests]
    assert len(asked) == len(set(asked)), "a finished node was asked again"
