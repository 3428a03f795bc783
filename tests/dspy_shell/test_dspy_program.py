"""The program as DSPy knows modules: predictors, errors, usage, copies, saved state, settings."""

import asyncio
import json
import os
import subprocess
import sys
from copy import deepcopy

import dspy
import pytest
from autodata_test_worlds import FENCE_KEY, ITEM, RUN, SOURCE, WORLDS, changed, requests_of

from autodata_core.errors import ModelAuthError, RecipeError, RecordError
from autodata_core.ports import ModelReply, NoCoverage
from autodata_core.testing import ScriptedModel
from autodata_dspy import AutoData

RECIPE = """
name = "units"
domain = "math_objects"
[sources]
files = ["corpus/*.md"]
[models]
challenger = "openai:a"
weak = "openai:b"
strong = "openai:c"
judge = "openai:d"
[attempts]
weak = 2
"""


def make(name="exact"):
    rules, _, models = WORLDS[name]()
    return AutoData(rules, models, fence_key=FENCE_KEY), models


def test_predictors_are_exactly_challenger_and_check():
    program, _ = make()
    assert [name for name, _ in program.named_predictors()] == ["challenger", "check"]
    assert program.challenger.signature.instructions == program.rules.recipe.challenger
    assert not program.challenger.signature.equals(program.check.signature)


def test_a_recipe_may_be_a_file_and_brings_its_protocol(tmp_path):
    file = tmp_path / "units.toml"
    file.write_text(RECIPE, encoding="utf-8")
    assert AutoData(file).rules.protocol.weak_attempts == 2
    with pytest.raises(RecipeError, match="cannot be read"):
        AutoData(str(tmp_path / "none.toml"))


def test_without_models_the_lm_of_the_settings_plays_every_role():
    rules, source, models = WORLDS["exact"]()
    everybody = ScriptedModel(lambda request: models[request.role].complete(request), name="one")
    program = AutoData(rules)
    with dspy.context(lm=everybody):
        got = program(source=source)
        assert asyncio.run(program.acall(source=source)).status == got.status == "accepted"
    assert {m["name"] for m in got.example["provenance"]["models"].values()} == {"one"}
    with dspy.context(lm=None), pytest.raises(RecipeError, match="models="):
        program(source=source)


@pytest.mark.parametrize("role", ["challenger", "check", "weak", "strong"])
def test_a_dead_model_raises_the_cores_own_error(role):
    rules, source, models = WORLDS["exact"]()
    cause = ValueError("401")
    error = ModelAuthError("the key is wrong")
    error.__cause__ = cause
    program = AutoData(rules, changed(models, **{role: lambda request: error}))
    for call in (lambda: program(source=source), lambda: asyncio.run(program.acall(source=source))):
        with pytest.raises(ModelAuthError) as raised:
            call()
        assert raised.value is error
        assert raised.value.__cause__ is cause


def test_one_predict_is_one_call_and_a_retry_is_the_ports_business():
    program, models = make("no_review")
    assert program(source=SOURCE, item=ITEM, run=RUN).status == "infra"
    assert len(models["check"].requests) == 1


def test_usage_of_every_call_is_tracked_once_by_model():
    program, models = make("format_fault")
    with dspy.track_usage() as tracker:
        got = program(source=SOURCE, item=ITEM, run=RUN)
    tracked = {
        name: (entry["prompt_tokens"], entry["completion_tokens"]) for name, entry in tracker.get_total_tokens().items()
    }
    spent = {f"scripted/{role}": (u["input_tokens"], u["output_tokens"]) for role, u in got.state["usage"].items()}
    assert tracked == spent
    assert {name: len(entries) for name, entries in tracker.usage_data.items()} == {
        f"scripted/{role}": len(model.requests) for role, model in models.items()
    }


def test_a_port_that_is_a_dspy_lm_is_not_counted_twice():
    rules, source, models = WORLDS["exact"]()

    class Counting:
        def __init__(self, model):
            self.model, self.identity = model, model.identity

        def complete(self, request):
            tracker = dspy.settings.usage_tracker
            if tracker is not None:
                tracker.add_usage("its own count", {"prompt_tokens": 1})
            return self.model.complete(request)

        async def acomplete(self, request):
            return self.complete(request)

    program = AutoData(rules, {role: Counting(model) for role, model in models.items()})
    with dspy.track_usage() as tracker:
        program(source=source)
        asyncio.run(program.acall(source=source))
    assert "its own count" not in tracker.usage_data


def test_the_prediction_knows_its_usage_when_settings_track_it():
    program, _ = make()
    with dspy.context(track_usage=True):
        assert set(program(source=SOURCE).get_lm_usage()) == {
            f"scripted/{r}" for r in ("challenger", "check", "weak", "strong")
        }


def test_copies_share_models_and_coverage_and_not_instructions():
    program, models = make()
    for copy in (program.deepcopy(), deepcopy(program)):
        before = len(requests_of(models))
        copy.challenger.signature = copy.challenger.signature.with_instructions("Ask something else.")
        assert copy(source=SOURCE).status == "accepted"
        assert len(requests_of(models)) > before
        assert program.challenger.signature.instructions == program.rules.recipe.challenger


def test_saved_state_is_json_without_a_model_and_loads_without_flags(tmp_path):
    program, _ = make()
    program.challenger.signature = program.challenger.signature.with_instructions("Ask about the drums.")
    program(source=SOURCE)
    file = tmp_path / "program.json"
    program.save(str(file))
    saved = json.loads(file.read_text())
    assert {saved[role]["lm"] for role in ("challenger", "check")} == {None}
    assert FENCE_KEY not in file.read_text()
    again, models = make()
    again.load(str(file))
    again(source=SOURCE, item=ITEM, run=RUN)
    assert models["challenger"].requests[0].messages[0].content.startswith("Ask about the drums.\n")


def test_set_lm_does_not_take_the_place_of_a_model():
    program, models = make()
    program.set_lm(dspy.LM("nobody/else"))
    assert program(source=SOURCE).status == "accepted"
    assert models["challenger"].requests


def test_streaming_around_the_program_changes_nothing():
    program, _ = make()

    async def last():
        return [part async for part in dspy.streamify(program)(source=SOURCE)][-1]

    assert asyncio.run(last()).status == "accepted"


def test_each_call_knows_only_its_own_questions_unless_coverage_is_given():
    program, _ = make()
    assert [program(source=SOURCE).status for _ in range(2)] == ["accepted", "accepted"]
    rules, _, models = WORLDS["exact"]()
    same = ScriptedModel(lambda r: models["challenger"].complete(r.model_copy(update={"item": ITEM})))
    sharing = AutoData(rules, {**models, "challenger": same}, coverage=NoCoverage())
    assert sharing(source=SOURCE, item=ITEM).status == "accepted"
    second = sharing(source=SOURCE, item="it-002")
    assert [reason["kind"] for reason in second.state["history"][0]["verdict"]["reasons"]] == ["DUPLICATE"]


def test_a_predictor_outside_its_program_says_so():
    from autodata_dspy.engine import RecipeAdapter

    program, _ = make()
    with (
        dspy.context(lm=dspy.LM("nobody/home"), adapter=RecipeAdapter()),
        pytest.raises(RecordError, match="only inside"),
    ):
        program.challenger(view="{}")


def test_instructions_that_change_under_an_item_are_refused_before_they_are_asked():
    program, models = make()
    ask = program.check.forward
    program.check.forward = lambda **inputs: ask(
        **inputs, signature=program.check.signature.with_instructions("Say yes.")
    )
    with pytest.raises(RecordError, match="changed while"):
        program(source=SOURCE)
    assert models["check"].requests == []


def test_parallel_items_in_one_loop_do_not_mix():
    program, models = make()

    async def run():
        return await asyncio.gather(*(program.acall(source=SOURCE, item=f"it-{n:03d}") for n in range(20)))

    got = asyncio.run(run())
    assert [g.state["item"] for g in got] == [f"it-{n:03d}" for n in range(20)]
    assert {g.status for g in got} == {"accepted"}
    for g in got:
        asked = [r for r in models["challenger"].requests if r.item == g.state["item"]]
        assert len(asked) == g.rounds == 2


CHECKS = """
import os, sys
sys.modules["litellm"] = None
import dspy
def refuse(*args, **kwargs):
    raise AssertionError("dspy.configure was called")
dspy.configure = dspy.settings.configure = refuse
from autodata_core.testing import scripted_models
from autodata_core import Recipe
import autodata_dspy
program = autodata_dspy.AutoData(Recipe.for_domain("math_objects"), scripted_models())
assert program(source="Drum 13 gives 1000.5 litres.").status == "accepted"
assert not os.path.exists(os.environ["DSPY_CACHEDIR"]), os.listdir(os.environ["DSPY_CACHEDIR"])
assert not {"langgraph", "langchain_core", "chromadb", "pint", "mpmath"} & set(sys.modules)
"""


def test_nothing_is_configured_or_cached_and_no_other_host_is_loaded(tmp_path):
    environment = {**os.environ, "DSPY_CACHEDIR": str(tmp_path / "cache"), "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-W", "error", "-c", CHECKS], check=True, env=environment, cwd=tmp_path)


@pytest.mark.parametrize("block", ['sys.modules["dspy"] = None', 'sys.modules["dspy"] = type(sys)("dspy")'])
def test_without_dspy_the_import_names_the_extra(block, tmp_path):
    code = f"import sys; {block}\nimport autodata_dspy"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, env=environment, cwd=tmp_path, check=False)
    assert b"pip install 'autodata-agents[dspy]'" in done.stderr.strip().splitlines()[-1]


def test_the_door_has_seven_names_and_nothing_else():
    import autodata_dspy

    assert autodata_dspy.__all__ == [
        "AutoData",
        "OptimizedRecipe",
        "acceptance_metric",
        "acceptance_metric_for",
        "optimize_recipe",
        "program_from_recipe",
        "recipe_from_program",
    ]


def test_a_reply_that_never_reached_the_model_is_no_record():
    program, _ = make()
    program.challenger.forward = lambda **inputs: dspy.Prediction(reply="{}")
    with pytest.raises(RecordError, match="without asking"):
        program(source=SOURCE)


def test_an_infra_reply_keeps_its_error_for_the_item():
    rules, source, models = WORLDS["exact"]()
    gone = ModelReply(error="deadline of 60 s passed")
    got = AutoData(rules, changed(models, challenger=lambda r: gone))(source=source)
    assert (got.status, got.example, got.rounds) == ("infra", None, 0)
    assert "deadline of 60 s passed" in got.state["note"]
