"""The LangGraph shell makes the same records and asks the same as the bare driver, in every scripted world."""

import asyncio

import autodata_test_worlds as w
import pytest

from autodata_langgraph import AutodataContext, create_autodata_graph


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
        assert found["example"] == w.row_of(rules, models, bare)
    else:
        assert found["example"] is None


@pytest.mark.parametrize("runner", [_sync, _async])
def test_what_an_item_is_wanted_for_is_told_and_recorded_as_the_bare_driver_does(runner):
    rules, source, models = w.WORLDS["exact"]()
    bare = w.drive_bare(rules, source, models, w.AIM)
    again = w.WORLDS["exact"]()[2]
    graph = create_autodata_graph(rules).compile()
    given = {"source": source.to_json(), "item_id": w.ITEM, "aim": w.AIM.to_json()}
    found = runner(graph, given, AutodataContext(models=again, run=w.RUN, fence_key=w.FENCE_KEY))
    assert found["item"] == bare.to_json()
    assert w.requests_of(again) == w.requests_of(models)
    assert any(w.AIM.text in message.content for r in w.requests_of(again) for message in r.messages)
