"""Optimizers see the two predictors, a score and words about what failed; what they write is what is asked."""

import json

import dspy
import pytest
from autodata_test_worlds import FENCE_KEY, ITEM, RUN, WORLDS, changed, requests_of, rules_for

from autodata_core.prompts.fixed import JUDGE_RUBRIC, SOLVER
from autodata_core.testing import scripted_models
from autodata_dspy import AutoData, acceptance_metric, program_from_recipe, recipe_from_program

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


def test_the_score_is_the_mean_of_acceptance_and_average_gap():
    assert score("exact") == pytest.approx((1 + (0 + 1) / 2) / 2)
    assert score("rubric") == pytest.approx((1 + (0 + 15 / 21) / 2) / 2)


def test_feedback_says_what_was_refused_and_why_and_what_the_weak_solver_said():
    words = run("always_too_easy", "challenger").feedback
    assert "instructions of 'challenger'" in words
    assert "TOO_EASY at attempt_weak: weak.mean is 0.857" in words
    assert "Question: What total does the" in words
    assert "weak answers: A full account of every effect, attempt 0." in words
    assert "the figure is not in the source" in run("bad_review").feedback
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
    assert "Drum" in feedback["Inputs"]["view"]
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
    assert evaluate(program).score == 100.0


def test_demos_are_collected_and_not_sent():
    models = scripted_models(too_easy_rounds=0)
    program = AutoData(rules_for("math_objects"), models, fence_key=FENCE_KEY)
    plain = program(source="A new source.", item=ITEM)
    best = dspy.BootstrapFewShot(
        metric=lambda gold, pred, trace=None: acceptance_metric(gold, pred).score > 0.5, max_labeled_demos=0
    ).compile(program, trainset=sources(0, 2))
    assert best.challenger.demos
    assert best(source="A new source.", item=ITEM).state == plain.state
