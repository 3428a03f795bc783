"""A rewritten check wins nothing by letting through: what counts passes the baseline's check as well, on every road."""

import asyncio
import json

import pytest

from autodata_core.driver import Ports
from autodata_core.meta.evaluating import aevaluate, evaluate, evaluation_key
from autodata_core.meta.objective import Objective
from autodata_core.meta.search import SearchSettings
from autodata_core.meta.splits import split_sources
from autodata_core.recipe import Recipe, Rules
from autodata_core.records import fingerprint
from autodata_core.testing import ScriptedModel
from autodata_core.testing.optimizing import (
    GOOD,
    RULES,
    optimizing_models,
    optimizing_rules,
    optimizing_sources,
)
from autodata_langgraph.optimize_graph import OptimizeContext, create_optimize_graph

KEY = "0123456789abcdef"
KIND = "Grounding alone decides; leave everything else to others."


def strict_check(request):
    """Refuse most questions for what no known-wrong question shows, unless the text says not to."""
    chance = int(fingerprint([request.seed, request.item, request.round])[:8], 16) / 16**8
    tag = " ".join(request.view["context"].split()[1:4])
    wrong = [] if tag in request.view["source_text"] else ["grounded"]
    if not all(tag in line["criterion"] for line in request.view["rubric"] if "series" in line["criterion"]):
        wrong.append("answer_correct")
    if KIND not in request.messages[0].content and chance < 0.8:
        wrong.append("self_contained")
    names = ("grounded", "self_contained", "no_leak", "answer_correct")
    found = {name: name not in wrong for name in names}
    return {**found, "overall": not wrong, "feedback": "cannot be understood" if wrong else ""}


def models_with(**scripts):
    models = optimizing_models()
    return {**models, **{role: ScriptedModel(script, name=f"s/{role}") for role, script in scripts.items()}}


def good_rules():
    """Rules whose challenger writes good questions from the start, so that only the check is in the way."""
    content = optimizing_rules().recipe.to_json()
    content["challenger"] += "".join(f"\n- {RULES[name]}" for name in GOOD)
    return Rules(Recipe.from_json(content), optimizing_rules().protocol)


def kinder(rules):
    content = rules.recipe.to_json()
    return Recipe.from_json({**content, "check": f"{content['check']}\n- {KIND}", "parent": rules.recipe.version})


def test_a_kinder_check_joins_no_population():
    def propose(request):
        return {"what": "Simplify the review.", "check": f"{request.view['check']}\n- {KIND}"}

    settings = SearchSettings(iterations=1, concurrent_iterations=1, minibatch=3, test_repeats=1)
    context = OptimizeContext(
        models=models_with(check=strict_check, implementer=propose),
        splits=split_sources(optimizing_sources(60)),
        settings=settings,
        fence_key=KEY,
    )
    graph = create_optimize_graph(good_rules()).compile(checkpointer=False)
    state = asyncio.run(graph.ainvoke({}, {"recursion_limit": 1000}, context=context))
    outcome = context.log.outcomes()[0]
    assert outcome.controls.asked > 0
    assert not outcome.controls.worse  # no known-wrong question shows how kind it is
    assert outcome.result == "not better"
    assert state["report"]["finalist"]["chosen"] == good_rules().recipe.version


def test_only_what_the_baseline_s_check_passes_as_well_counts():
    rules = good_rules()
    models = models_with(check=strict_check)
    ports = Ports(models=models)
    measured = ports.measured(rules)
    child, before = Rules(kinder(rules), measured.protocol), rules.recipe
    objective = Objective()
    alone = held = refused = 0
    for source in optimizing_sources(30):
        free = evaluate(child, source, 0, ports, run="r", fence_key=KEY)
        tied = evaluate(child, source, 0, ports, run="r", fence_key=KEY, before=before)
        assert tied == asyncio.run(aevaluate(child, source, 0, ports, run="r", fence_key=KEY, before=before))
        alone += free.status == "accepted"
        held += tied.status == "accepted"
        anchored = [r for round_ in tied.history for r in round_.verdict.reasons if r.stage == "anchor"]
        refused += bool(anchored)
        if anchored:
            assert objective.score(tied) < objective.score(free)
            assert objective.parts(tied)["gap"] < objective.parts(free)["gap"]
    assert alone > 8
    assert refused > 5
    assert held < alone / 2


def test_the_question_of_a_refused_round_earns_nothing_either_where_the_baseline_s_check_refuses_it():
    rules = good_rules()

    def easy(request):  # weak answers are as good as strong ones in one mark only: a gap, and too easy for the policy
        return (
            f"A full account of every effect, attempt {request.attempt}." if request.attempt < 2 else "A vague remark"
        )

    ports = Ports(models=models_with(check=strict_check, weak=easy))
    measured = ports.measured(rules)
    child, objective = Rules(kinder(rules), measured.protocol), Objective()
    gained = 0
    for source in optimizing_sources(20):
        free = evaluate(child, source, 0, ports, run="r", fence_key=KEY)
        tied = evaluate(child, source, 0, ports, run="r", fence_key=KEY, before=rules.recipe)
        if free.status == "refused" and objective.parts(free)["gap"] > 0:
            gained += objective.parts(tied)["gap"] < objective.parts(free)["gap"]
    assert gained > 3


def test_an_unchanged_check_is_asked_once_and_keeps_the_key_of_its_evaluations():
    rules = good_rules()
    ports = Ports(models=models_with(check=strict_check))
    measured = ports.measured(rules)
    source = optimizing_sources(1)[0]
    evaluate(measured, source, 0, ports, run="r", fence_key=KEY, before=rules.recipe)
    steps = [(r.item, r.step) for r in ports.models["check"].requests]
    assert len(steps) == len(set(steps))
    same = [rules.protocol, source, 0, Objective()]
    assert evaluation_key(rules.recipe, *same, rules.recipe) == evaluation_key(rules.recipe, *same)
    assert evaluation_key(kinder(rules), *same, rules.recipe) != evaluation_key(kinder(rules), *same)


def test_an_anchor_without_an_answer_leaves_the_item_without_one():
    from autodata_core.ports import ModelReply

    rules = good_rules()
    models = models_with(check=strict_check)
    kind = models["check"]

    class Silent:
        identity = kind.identity

        def complete(self, request):
            if KIND not in request.messages[0].content:
                return ModelReply(text="", error="timeout")
            return kind.complete(request)

    ports = Ports(models={**models, "check": Silent()})
    child = Rules(kinder(rules), ports.measured(rules).protocol)
    states = [
        evaluate(child, source, 0, ports, run="r", fence_key=KEY, before=rules.recipe)
        for source in optimizing_sources(5)
    ]
    assert "infra" in {state.status for state in states}
    assert "accepted" not in {state.status for state in states}


def test_a_search_without_known_wrong_questions_is_refused():
    for few in (0, 1):
        with pytest.raises(ValueError, match="controls"):
            SearchSettings(controls=few)
    assert json.loads(json.dumps(SearchSettings(controls=2).to_json()))["controls"] == 2
