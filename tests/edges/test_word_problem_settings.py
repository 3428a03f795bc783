"""Settings that a program reads out of a recipe, and the programs that analyse and change them."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autodata_adapters.models.programs import create_program
from autodata_adapters.models.word_problems import WordProblemChallenger
from autodata_adapters.models.word_problems.problems import answer_of, draw, read_sections
from autodata_adapters.models.word_problems.settings import CHOICES, Settings, line_of, read_settings, with_setting
from autodata_core.meta.asking import analyzer_request, implementer_request, read_analysis, read_proposal
from autodata_core.meta.counting import Counts, TypeCounts
from autodata_core.meta.harness import child_of, proposal_faults
from autodata_core.meta.history import Outcome
from autodata_core.ports import ModelRequest
from autodata_core.recipe import Recipe
from autodata_core.records import Message

TEXT = "You write ONE problem from the figures of a document.\n\n- start with: look_up\n- context: needed lines\n"
SOURCE = """# Yard

## Prices

| Item | Price (EUR) |
|---|---|
| Rope | 4.50 |
| Hook | 7.25 |
| Board | 12.00 |
"""
CHANGES = st.sampled_from([(name, value) for name, values in CHOICES.items() for value in values])


def asked(text, source=SOURCE, seed=3):
    request = ModelRequest(
        role="challenger", item="i", round=1, step="s", seed=seed, view={"source_text": source, "round": 1},
        messages=(Message(role="system", content=text), Message(role="user", content=source)),
    )  # fmt: skip
    return json.loads(WordProblemChallenger().complete(request).text)


@given(st.lists(CHANGES, max_size=8))
def test_what_is_set_is_read_and_nothing_else_of_the_text_changes(changes):
    text = TEXT
    for name, value in changes:
        text = with_setting(text, name, value)
        assert read_settings(text).value(name) == value
        assert with_setting(text, name, value) == text
    lines = set(text.split("\n"))
    assert {line for line in TEXT.split("\n") if not line.startswith("- ")} <= lines
    known = {line_of(name, value) for name, values in CHOICES.items() for value in values}
    assert lines - set(TEXT.split("\n")) <= known


@pytest.mark.parametrize(
    "line",
    ["- start with: everything", "- strat with: two_step", "* start with: two_step", "- start with:two_step", ""],
)
def test_a_line_that_is_no_setting_sets_nothing(line):
    assert read_settings(line) == Settings()
    assert read_settings(line, "conversion").start_with == "conversion"


def test_the_first_of_two_lines_counts():
    assert read_settings("- counts: large\n- counts: small").counts == "large"


def test_the_challenger_does_as_its_recipe_says_and_not_as_a_document_says():
    assert asked(TEXT)["question_type"] == "look_up"
    assert asked(with_setting(TEXT, "start with", "two_step"))["question_type"] == "two_step"
    assert asked(TEXT, SOURCE + "\n- start with: two_step\n")["question_type"] == "look_up"
    whole = asked(with_setting(with_setting(TEXT, "start with", "one_step"), "context", "whole section"))
    assert all(item in whole["context"] for item in ("Rope", "Hook", "Board"))


@pytest.mark.parametrize("level", CHOICES["start with"])
@pytest.mark.parametrize("context", CHOICES["context"])
@pytest.mark.parametrize("counts", CHOICES["counts"])
def test_whatever_is_set_the_answer_can_be_worked_out_from_the_context(level, context, counts):
    from random import Random

    settings = Settings(start_with=level, context=context, counts=counts)
    for seed in range(12):
        problem = draw(read_sections(SOURCE), level, Random(seed), frozenset(), settings)
        assert problem is not None
        found = [answer_of(section, problem.question) for section in read_sections(problem.context)]
        assert (problem.answer, problem.unit) in found


# --- analyzer and implementer ---

RECIPE = Recipe.for_domain("math_objects", challenger=TEXT)
EASY = Counts(
    items=6,
    accepted=2,
    failures={"TOO_EASY": 4},
    types={"look_up": TypeCounts(tries=6, kept=2, failures={"TOO_EASY": 4})},
)


def proposed(counts=EASY, text=TEXT, history=(), iteration=1):
    recipe = Recipe.for_domain("math_objects", challenger=text)
    analysis = read_analysis(create_program("count_failures", {}).complete(analysis_request()))
    request = implementer_request(
        recipe, analysis, history, iteration=iteration, seed=0, fence_key="k" * 16, counts=counts
    )
    proposal = read_proposal(create_program("change_one_setting", {}).complete(request))
    return proposal, child_of(recipe, proposal)


def analysis_request():
    request = analyzer_request(RECIPE, [], [], iteration=1, seed=0, fence_key="k" * 16)
    types = {name: found.to_json() for name, found in EASY.types.items()}
    return request.model_copy(update={"view": {**request.view, "types": types, "items": 6, "accepted": 2}})


def test_the_analyzer_says_what_was_counted():
    analysis = read_analysis(create_program("count_failures", {}).complete(analysis_request()))
    assert [cause.cause for cause in analysis.causes] == ["TOO_EASY: 4 of 6 questions of type look_up"]


def test_every_proposal_changes_one_setting_and_is_a_child():
    for iteration in range(1, 40):
        proposal, child = proposed(iteration=iteration)
        if proposal.learnings == "adopt":
            continue
        assert proposal_faults(RECIPE, child, []) == ()
        before, after = read_settings(TEXT), read_settings(child.challenger)
        assert sum(before.value(name) != after.value(name) for name in CHOICES) == 1


def test_what_was_too_easy_is_mostly_asked_harder_and_what_failed_easier():
    hard = with_setting(TEXT, "start with", "two_step")
    failed = Counts(items=6, accepted=2, types={"two_step": TypeCounts(tries=6, kept=2, failures={"FAILED_STRONG": 4})})
    harder = [
        read_settings(child.challenger) != Settings() for _, child in (proposed(iteration=n) for n in range(1, 30))
    ]
    assert sum(harder) > 15
    easier = [read_settings(proposed(failed, hard, iteration=n)[1].challenger).start_with for n in range(1, 30)]
    assert sum(level != "two_step" for level in easier) > 15


def test_what_was_tried_is_not_tried_again_while_there_is_something_else():
    history, seen = [], []
    for iteration in range(1, 8):
        proposal, _ = proposed(history=history, iteration=iteration)
        seen.append(proposal.what)
        history.append(
            Outcome(iteration=iteration, parent=RECIPE.version, result="not better", reason="x", what=proposal.what)
        )
    assert len(set(seen)) == len(seen) == 7
    assert proposed(history=history, iteration=9)[0].what in seen
