"""Recipe and program are two forms of one thing."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from autodata_core.errors import RecordError
from autodata_core.recipe import Recipe
from autodata_dspy import AutoData, program_from_recipe, recipe_from_program

TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=200)
REPLIES = st.lists(TEXT, max_size=4, unique=True)
PARENT = st.none() | st.just("0" * 64)


def instructions(program):
    return {name: predictor.signature.instructions for name, predictor in program.named_predictors()}


@given(TEXT, TEXT, PARENT, REPLIES)
@example("\n    indented\n  less\n\n", " \t", None, [])
@example("ends with a line\n", "{view} {reply}", None, ["{}"])
def test_an_unchanged_program_gives_its_recipe_back(challenger, check, parent, replies):
    shown = [{"reply": reply} for reply in replies]
    recipe = Recipe.for_domain("math_objects", challenger=challenger, check=check, parent=parent, demonstrations=shown)
    assert recipe_from_program(program_from_recipe(recipe)) == recipe


@given(TEXT, TEXT)
@example("\n    indented\n  less\n\n", " \n x")
def test_a_changed_program_comes_back_with_the_same_version_and_instructions(challenger, check):
    program = AutoData(Recipe.for_domain("cs_research"))
    program.challenger.signature = program.challenger.signature.with_instructions(challenger)
    program.check.signature = program.check.signature.with_instructions(check)
    recipe = recipe_from_program(program)
    again = program_from_recipe(recipe)
    assert instructions(again) == instructions(program)
    assert recipe_from_program(again).version == recipe.version
    assert Recipe.from_json(recipe.to_json()) == recipe


def test_a_change_is_a_new_version_whose_parent_is_the_old_one():
    recipe = Recipe.for_domain("math_objects", name="units")
    program = program_from_recipe(recipe)
    program.check.signature = program.check.signature.with_instructions("Be strict.")
    new = recipe_from_program(program)
    assert (new.check, new.challenger, new.name) == ("Be strict.", recipe.challenger, "units")
    assert new.parent == recipe.version != new.version
    assert recipe_from_program(program.deepcopy()) == new
    program.check.signature = program.check.signature.with_instructions(recipe.check)
    assert recipe_from_program(program) == recipe


def test_empty_instructions_are_refused():
    program = program_from_recipe(Recipe.for_domain("math_objects"))
    program.challenger.signature.instructions = ""
    with pytest.raises(RecordError, match="challenger"):
        recipe_from_program(program)
