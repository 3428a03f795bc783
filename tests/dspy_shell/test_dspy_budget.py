"""A budget bounds what an optimizer spends, and keeps enough back to measure what it found."""

import json

import dspy
import pytest
from autodata_test_worlds import changed, requests_of, rules_for

from autodata_core.budget import Budget
from autodata_core.testing import ScriptedModel, scripted_models
from autodata_dspy import optimize_recipe

SOURCES = [{"id": f"s{n}.md", "text": f"Drum {n} of the gauge was full on that day."} for n in range(40)]
HARDER = "Ask for two steps."


def make_world():
    script, inner = scripted_models(too_easy_rounds=0), scripted_models(too_easy_rounds=0)

    def challenger(request):
        made = json.loads(inner["challenger"].complete(request).text)
        return {**made, "context": made["context"] + " ?" * (HARDER in request.messages[0].content)}

    def weak(request):
        return None if request.view["context"].endswith("?") else inner["strong"].complete(request)

    return rules_for("math_objects", rounds=1), changed(script, challenger=challenger, weak=weak)


def spends_all(student, *, trainset, metric, lm, **_):
    """Runs items until no answer comes, and asks its own model as often."""
    program = student.deepcopy()
    predictor = program.challenger
    predictor.signature = predictor.signature.append_instructions(HARDER)
    for n in range(60):
        metric(None, program(**trainset[n % len(trainset)].inputs(), item=f"it-{n}"))
    return program


def gives_up(student, *, lm, **_):
    spends_all(student, lm=lm, **_)
    lm("Better words, please.")


def optimize(compile_, budget, **how):
    rules, models = make_world()
    found = optimize_recipe(
        rules.recipe,
        SOURCES,
        models=models,
        optimizer=compile_,
        protocol=rules.protocol,
        budget=budget,
        threads=2,
        **how,
    )
    calls = len(requests_of(models))
    return found, calls


def test_what_an_optimizer_found_is_measured_after_its_part_is_spent():
    budget = Budget(calls=500)
    found, calls = optimize(spends_all, budget, max_items=20)
    assert calls == budget.spent.calls <= 500
    assert found.stopped
    assert found.significant
    assert found.test.infra == found.baseline.infra == 0
    assert HARDER in found.best.challenger
    assert "Stopped: " in found.describe()


def test_an_optimizer_that_cannot_go_on_without_answers_leaves_the_recipe_as_it_was():
    found, _ = optimize(gives_up, Budget(calls=500), max_items=20)
    assert found.best == found.before == found.recipe
    assert "budget" in found.note


def test_the_words_of_an_lm_of_ones_own_are_counted_as_well():
    writer = ScriptedModel(lambda request: "words", name="scripted/writer")

    def asks(student, *, lm, **_):
        lm("Better words, please.")
        return student

    from autodata_adapters.models.dspy import lm_from_model

    budget = Budget(calls=500)
    found, calls = optimize(asks, budget, reflection=lm_from_model(writer))
    assert budget.spent.calls == calls + 1
    assert not found.stopped


def test_a_test_that_cannot_be_paid_claims_nothing():
    found, calls = optimize(spends_all, Budget(calls=60), max_items=4)
    assert calls <= 60
    assert not found.significant
    assert found.best == found.before
    assert "no answer" in found.note


def test_without_a_budget_errors_of_an_optimizer_are_its_own():
    def breaks(student, **_):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        optimize(breaks, None)
    assert dspy.settings.lm is None
