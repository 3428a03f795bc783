"""Optimizers see the two predictors, a score and words about what failed; what they write is what is asked."""

import json

import dspy
import pytest
from autodata_test_worlds import FENCE_KEY, ITEM, RUN, WORLDS, changed, requests_of, rules_for

from autodata_core.item import ItemState
from autodata_core.meta.objective import Objective
from autodata_core.prompts.fixed import JUDGE_RUBRIC, SOLVER
from autodata_core.testing import scripted_models
from autodata_dspy import (
    AutoData,
    acceptance_metric,
    acceptance_metric_for,
    program_from_recipe,
    recipe_from_program,
)

HARDER = "Ask for two steps."


def run(name, role=None):
    rules, source, models = WORLDS[name]()
    pred = AutoData(rules, models, fence_key=FENCE_KEY)(source=source, item=ITEM, run=RUN)
    return acceptance_metric(None, pred, None, role, None)


def score(name):
    return run(name).score


def test_accepted_items_score_above_refused_ones_and_each_refused_round_costs():
    assert score("odd_texts") > score("exact") > score("duplicate") > 0.5
    assert score("always_too_easy") == score("unreadable") == score("skip") == score("no_review") == 0.0
    assert score("gullible_judge") == 0.0


@pytest.mark.parametrize("objective", [Objective(), Objective(gap=5), Objective.of_acceptance()])
def test_the_metric_gives_the_objectives_score_and_parts(objective):
    rules, source, models = WORLDS["exact"]()
    pred = AutoData(rules, models, fence_key=FENCE_KEY)(source=source, item=ITEM, run=RUN)
    got = acceptance_metric_for(objective)(None, pred)
    item = ItemState.from_json(pred.state)
    assert got.score == objective.score(item)
    assert got.objective_scores == objective.parts(item)
    assert float(got) == got.score


def test_while_examples_are_bootstrapped_the_metric_says_whether_the_item_was_accepted():
    for name, status in (("exact", True), ("always_too_easy", False)):
        rules, source, models = WORLDS[name]()
        pred = AutoData(rules, models)(source=source)
        assert acceptance_metric(None, pred, []) is status
        assert acceptance_metric(None, pred, [], "challenger", []).feedback


def test_feedback_says_what_was_refused_and_why_and_what_the_weak_solver_said():
    words = run("always_too_easy", "challenger").feedback
    assert "instructions of 'challenger'" in words
    assert "TOO_EASY at attempt_weak: weak.mean is 0.857" in words
    assert "Question (two_step): What total does the" in words
    assert "weak answers: 0.86 A full account of every effect, attempt 0." in words
    assert "the figure is not in the source" in run("bad_review").feedback
    assert "it names a private person" in run("critic_against").feedback
    assert "arbiter: against it" in run("critic_against").feedback
    assert "controls that failed: judge." in run("gullible_judge").feedback
    assert "DUPLICATE at check: similarity 1.00" in run("duplicate").feedback
    assert "503" in run("no_review").feedback
    assert "no figures" in run("skip").feedback


def test_feedback_shows_hidden_characters_and_is_short():
    rules, source, models = WORLDS["exact"]()
    long = json.dumps({"answer": "\u202e <|im_start|>" + "x" * 900})
    pred = AutoData(rules, changed(models, weak=lambda r: long))(source=source)
    words = acceptance_metric(None, pred).feedback
    assert "\u202e" not in words
    assert "<|im_start|>" not in words
    assert max(map(len, words.splitlines())) < 700


def test_a_failed_prediction_scores_nothing():
    assert acceptance_metric(None, dspy.Prediction(answer="x")).score == 0.0


def lazy_world():
    """A challenger that asks well only when its instructions say so; without them every question is too easy."""
    models = scripted_models(too_easy_rounds=0)

    def challenger(request):
        made = json.loads(models["challenger"].complete(request).text)
        made["context"] += " hard" if HARDER in request.messages[0].content else " easy"
        return made

    def weak(request):
        return models["strong"].complete(request) if "easy" in request.view["context"] else None

    return rules_for("math_objects", rounds=1), changed(models, challenger=challenger, weak=weak)


def sources(first, count):
    return [
        dspy.Example(source={"id": f"s{n}", "text": f"Drum {n}."}).with_inputs("source")
        for n in range(first, first + count)
    ]


def test_gepa_rewrites_the_challenger_and_its_words_are_asked():
    rules, models = lazy_world()
    program = AutoData(rules, models)
    seen = []

    def propose(candidate, reflective_dataset, components_to_update):
        seen.append(reflective_dataset)
        return {name: f"{candidate[name]}\n{HARDER}" for name in components_to_update}

    gepa = dspy.GEPA(
        metric=acceptance_metric,
        max_metric_calls=20,
        instruction_proposer=propose,
        component_selector=lambda state, trajectories, scores, index, candidate: ["challenger"],
        num_threads=2,
        use_merge=False,
    )
    best = gepa.compile(program, trainset=sources(0, 3), valset=sources(3, 3))

    assert HARDER in best.challenger.signature.instructions
    assert HARDER not in program.challenger.signature.instructions
    feedback = seen[0]["challenger"][0]
    assert "TOO_EASY" in feedback["Feedback"]
    assert "Drum" not in feedback["Inputs"]["view"]
    assert '"source_text": "[2 words]"' in feedback["Inputs"]["view"]
    recipe = recipe_from_program(best)
    assert recipe.parent == program.rules.recipe.version
    got = best(source="A new source.")
    assert got.status == "accepted"
    assert got.example["provenance"]["recipe"] == recipe.version
    last = models["challenger"].requests[-1].messages[0].content
    assert last.startswith(recipe.challenger)
    measured = {r.messages[0].content for r in requests_of(models) if r.role in ("weak", "strong")}
    assert measured == {SOLVER["value"]}
    assert HARDER not in JUDGE_RUBRIC
    assert program_from_recipe(recipe, models)(source="Another one.").status == "accepted"


def test_gepas_own_proposer_may_reflect_on_a_run():
    rules, models = lazy_world()
    asked = []

    class Reflect:
        def complete(self, request):
            asked.append(request.messages[-1].text)
            text = json.dumps({"new_instruction": HARDER})
            return dspy.lm15.Response(
                id=None,
                model=request.model,
                message=dspy.lm15.Message.assistant(text),
                finish_reason="stop",
                usage=dspy.lm15.Usage(),
            )

    reflection = dspy.LM("scripted/reflection", engine=Reflect(), cache=False)
    gepa = dspy.GEPA(
        metric=acceptance_metric, max_metric_calls=12, reflection_lm=reflection, num_threads=1, use_merge=False
    )
    best = gepa.compile(AutoData(rules, models), trainset=sources(0, 2), valset=sources(2, 2))
    assert best.challenger.signature.instructions == HARDER
    assert any("TOO_EASY" in text for text in asked)


def test_evaluate_scores_a_program():
    rules, models = lazy_world()
    program = AutoData(rules, models)
    evaluate = dspy.Evaluate(devset=sources(0, 2), metric=acceptance_metric, num_threads=2, display_progress=False)
    assert evaluate(program).score == 0.0
    program.challenger.signature = program.challenger.signature.append_instructions(HARDER)
    assert evaluate(program).score > 80.0


def test_bootstrapped_demos_become_demonstrations_that_are_asked_here_and_in_any_host():
    models = scripted_models(too_easy_rounds=1)
    program = AutoData(rules_for("math_objects"), models, fence_key=FENCE_KEY)
    best = dspy.BootstrapFewShot(metric=acceptance_metric, max_labeled_demos=2).compile(program, trainset=sources(0, 4))
    recipe = recipe_from_program(best)
    kept = [demo for demo in best.challenger.demos if demo.get("verdict") == "accepted"]
    assert len(recipe.demonstrations) == len(kept) > 0  # labelled examples, and replies of refused rounds, are none
    assert recipe.version != program.rules.recipe.version
    best(source="A new source.", item=ITEM)
    asked = models["challenger"].requests[-1].messages[1].content
    assert all(shown.reply in asked for shown in recipe.demonstrations)
    again = program_from_recipe(recipe, models)
    assert recipe_from_program(again) == recipe
    again(source="A new source.", item=ITEM)
    assert models["challenger"].requests[-1].messages[1].content.count("<<<EXAMPLE") == len(kept)
