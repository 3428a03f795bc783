"""The LangGraph shell makes the same records and asks the same as the bare driver, in every scripted world."""

import asyncio
import importlib.util
import sys
from pathlib import Path

import pytest

from autodata_core.recipe import Rules
from autodata_core.rows import example_from
from autodata_langgraph import AutodataContext, create_autodata_graph


def _worlds():
    name = "autodata_test_worlds"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, Path(__file__).parents[1] / "worlds.py")
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    return sys.modules[name]


w = _worlds()


def _run(name, runner):
    rules, source, models = w.WORLDS[name]()
    graph = create_autodata_graph(rules).compile()
    context = AutodataContext(models=models, run=w.RUN, fence_key=w.FENCE_KEY)
    found = runner(graph, {"source": source.to_json(), "item_id": w.ITEM}, context)
    return found, w.requests_of(models)


def _sync(graph, value, context):
    return graph.invoke(value, context=context)


def _async(graph, value, context):
    return asyncio.run(graph.ainvoke(value, context=context))


@pytest.mark.parametrize("runner", [_sync, _async])
@pytest.mark.parametrize("name", sorted(w.WORLDS))
def test_the_graph_makes_the_same_records_and_requests_as_the_bare_driver(name, runner):
    rules, source, models = w.WORLDS[name]()
    bare = w.drive_bare(rules, source, models)
    found, requests = _run(name, runner)
    assert found["status"] == bare.status == w.EXPECTED[name]
    assert found["item"] == bare.to_json()
    assert requests == w.requests_of(models)
    if bare.status == "accepted":
        measured = Rules(rules.recipe, rules.protocol.with_models({r: m.identity for r, m in models.items()}))
        assert found["example"] == example_from(measured, source, bare).to_json()
    else:
        assert found["example"] is None
