"""gepa's engine over the same problem: it rewrites a recipe's texts and never sees a test source."""

import json

import pytest

from autodata_core.meta.splits import split_sources
from autodata_core.testing import ScriptedModel
from autodata_core.testing.optimizing import RULES, optimizing_models, optimizing_rules, optimizing_sources

pytest.importorskip("gepa")


@pytest.mark.filterwarnings("default")  # gepa's own
def test_gepa_finds_a_better_text_without_the_test_sources():
    from autodata_adapters.optimizers.gepa_engine import optimize_with_gepa

    base = optimizing_rules().recipe

    def reflect(request):
        told = request.messages[0].content
        if base.challenger[:60] in told:
            return f"```\n{base.challenger}\n- {RULES['specific']}\n- {RULES['clean']}\n```"
        return f"```\n{base.check}\n```"

    models = {**optimizing_models(), "implementer": ScriptedModel(reflect, name="reflect")}
    splits = split_sources(optimizing_sources(30))
    found = optimize_with_gepa(optimizing_rules(), splits, models, max_evaluations=70)
    assert RULES["specific"] in found.challenger
    assert found.domain == base.domain
    read = {r.view["source_text"] for r in models["challenger"].requests}
    assert read <= {s.text for s in (*splits.train, *splits.validation)}
    assert splits.test.opened_for is None
    assert json.dumps(found.to_json())


def searched_with(reflect, **roles):
    from autodata_adapters.optimizers.gepa_engine import optimize_with_gepa

    models = {**optimizing_models(), "implementer": ScriptedModel(reflect, name="reflect")}
    models |= {role: ScriptedModel(script, name=f"s/{role}") for role, script in roles.items()}
    return optimize_with_gepa(optimizing_rules(), split_sources(optimizing_sources(30)), models, max_evaluations=60)


@pytest.mark.filterwarnings("default")  # gepa's own
def test_gepa_gains_nothing_by_a_kinder_check():
    base = optimizing_rules().recipe
    kind = "Grounding alone decides; leave everything else to others."

    def check(request):
        strict = kind not in request.messages[0].content
        found = dict.fromkeys(("grounded", "self_contained", "no_leak", "answer_correct"), True)
        found["self_contained"] = not strict
        return {**found, "overall": not strict, "feedback": "cannot be understood" if strict else ""}

    def reflect(request):
        told = request.messages[0].content
        return f"```\n{base.check}\n- {kind}\n```" if base.check[:60] in told else f"```\n{base.challenger}\n```"

    assert searched_with(reflect, check=check).check == base.check


@pytest.mark.filterwarnings("default")  # gepa's own
def test_a_check_that_lets_wrong_questions_through_scores_nothing_in_gepa():
    from autodata_adapters.optimizers.gepa_engine import RecipeAdapter
    from autodata_core.driver import Ports

    rules, sources = optimizing_rules(), optimizing_sources(8)
    ports = Ports(models=optimizing_models())
    adapter = RecipeAdapter(ports.measured(rules), ports, sources, controls=sources[:4])
    texts = {"challenger": rules.recipe.challenger, "check": f"{rules.recipe.check}\n- {RULES['soften']}"}
    found = adapter.evaluate(list(sources[:3]), texts, capture_traces=True)
    assert found.scores == [0.0] * 3
    assert "known-wrong" in found.trajectories[0]["faults"]
    assert adapter.recipe(texts) == rules.recipe


@pytest.mark.filterwarnings("default")  # gepa's own
def test_a_giant_reflection_scores_nothing_and_ends_nothing():
    base = optimizing_rules().recipe
    found = searched_with(lambda request: "```\n" + "x " * 100_000 + "\n```")
    assert (found.challenger, found.check) == (base.challenger, base.check)
