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
