"""Recipe and protocol: versions follow content, and nothing is silently replaced by a default."""

from __future__ import annotations

import json
from typing import Any

import pytest

from autodata_core.acceptance import PRESETS, policy_from
from autodata_core.domains import DOMAINS, Domain, RubricShape, domain_named
from autodata_core.errors import AutodataError, RecipeError, RecordError
from autodata_core.learnings import Learning
from autodata_core.recipe import EvaluationProtocol, Recipe, Rules
from autodata_core.records import Criterion, ModelIdentity, ReasonKind

MATH, CS = DOMAINS["math_objects"], DOMAINS["cs_research"]
LESSON = Learning(question_type="sum", kind=ReasonKind.TOO_EASY, share=0.5, tries=4, items=("it-1",))


@pytest.mark.parametrize("domain", DOMAINS)
def test_the_same_content_has_the_same_version_and_the_name_does_not_matter(domain: str) -> None:
    one, two = Recipe.for_domain(domain, name="one"), Recipe.for_domain(domain, name="two")
    assert one.version == two.version == Recipe.from_json(json.loads(json.dumps(one.to_json()))).version
    assert len(one.version) == 64


def test_a_changed_text_domain_or_learning_is_another_version() -> None:
    plain = Recipe.for_domain("math_objects")
    others = [
        Recipe.for_domain("math_objects", challenger=plain.challenger + " "),
        Recipe.for_domain("math_objects", check=plain.check + "."),
        Recipe.for_domain("cs_research"),
        Recipe.for_domain(MATH.model_copy(update={"question_types": ("sum",)})),
        plain.learned((LESSON,)),
    ]
    assert len({plain.version, *(x.version for x in others)}) == 6


def test_learning_nothing_new_is_the_same_recipe_and_something_new_has_a_parent() -> None:
    plain = Recipe.for_domain("math_objects")
    assert plain.learned(()) is plain
    wiser = plain.learned((LESSON,))
    assert wiser.parent == plain.version
    assert wiser.learned((LESSON,)) is wiser
    assert wiser.learned(()).version == plain.version  # what asks the same is the same


def test_a_parent_does_not_change_the_version() -> None:
    plain = Recipe.for_domain("math_objects")
    child = Recipe.from_json({**plain.to_json(), "parent": "0" * 64})
    assert child.version == plain.version


@pytest.mark.parametrize(("name", "near"), [("math_object", "math_objects"), ("cs-research", "cs_research")])
def test_an_unknown_domain_is_answered_by_the_nearest(name: str, near: str) -> None:
    for make in (domain_named, Recipe.for_domain):
        with pytest.raises(RecipeError, match=f"Did you mean '{near}'"):
            make(name)


def test_a_domain_of_one_s_own_needs_texts() -> None:
    own = Domain.from_json({**MATH.to_json(), "name": "own"})
    with pytest.raises(RecipeError, match="no text for 'challenger'"):
        Recipe.for_domain(own)
    with pytest.raises(RecipeError, match="no text for 'check'"):
        Recipe.for_domain(own, challenger="Write.")
    assert Recipe.for_domain(own, challenger="Write.", check="Check.").challenger == "Write."


# --- the protocol -----------------------------------------------------------------------------------------------------


def test_a_protocol_follows_its_domain_and_preset() -> None:
    math, research = EvaluationProtocol.create(MATH), EvaluationProtocol.create(CS)
    assert (math.policy["name"], math.weak_attempts, math.strong_attempts) == ("exact_counts", 4, 4)
    assert (research.policy["name"], research.weak_attempts, research.strong_attempts) == ("deployed_c1", 3, 3)
    assert EvaluationProtocol.create(MATH, policy="majority", weak_attempts=5, strong_attempts=7).weak_attempts == 5


@pytest.mark.parametrize("name", PRESETS)
def test_a_stored_policy_is_the_policy(name: str) -> None:
    protocol = EvaluationProtocol.create(MATH, policy=name)
    again = EvaluationProtocol.from_json(json.loads(json.dumps(protocol.to_json())))
    assert again.hash == protocol.hash
    assert Rules(Recipe.for_domain(MATH), again).policy == PRESETS[name]


def test_a_table_policy_is_kept_exactly() -> None:
    table = {"weak_mean_max": 0.1, "gap_min": 0.3}
    rules = Rules(Recipe.for_domain(MATH), EvaluationProtocol.create(MATH, policy=table))
    assert rules.policy == policy_from(table)


@pytest.mark.parametrize(
    "change",
    [
        {"policy": "majority"},
        {"policy": {"weak_mean_max": 0.5, "gap_min": 0.2}},
        {"weak_attempts": 5},
        {"strong_attempts": 5},
        {"rounds": 9},
        {"again": 2},
        {"near_duplicate": 0.8},
        {"quality_check": False},
        {"final_check": False},
        {"seed": 1},
    ],
)
def test_everything_that_decides_changes_the_hash(change: dict[str, Any]) -> None:
    assert EvaluationProtocol.create(MATH, **change).hash != EvaluationProtocol.create(MATH).hash


def test_models_are_part_of_the_hash_in_any_order() -> None:
    protocol = EvaluationProtocol.create(MATH)
    before = protocol.hash
    weak, strong = ModelIdentity(name="a"), ModelIdentity(name="b")
    one = protocol.with_models({"weak": weak, "strong": strong})
    two = protocol.with_models({"strong": strong, "weak": weak})
    assert one.hash == two.hash != before
    assert one.with_models({"weak": strong, "strong": weak}).hash != one.hash
    assert protocol.hash == before
    assert {
        "solver.text",
        "solver.value",
        "judge.rubric",
        "judge.equivalence",
        "critic.logic",
        "debate.arbiter",
    } <= set(protocol.prompts)


@pytest.mark.parametrize(("weak", "strong"), [(2, 3), (3, 4), (4, 4)])
def test_a_majority_needs_odd_numbers(weak: int, strong: int) -> None:
    with pytest.raises(RecipeError, match="odd"):
        EvaluationProtocol.create(MATH, policy="majority", weak_attempts=weak, strong_attempts=strong)


@pytest.mark.parametrize(
    "bad",
    [
        {"policy": "nothing"},
        {"policy": ""},
        {"policy": {}},
        {"policy": {"weak_mean_max": 2, "gap_min": 0.2}},
        {"weak_attempts": 0},
        {"strong_attempts": 0},
        {"weak_attempts": -1},
        {"weak_attempts": 65},
        {"rounds": 0},
        {"rounds": 101},
        {"again": -1},
        {"near_duplicate": 0.0},
        {"near_duplicate": 1.5},
        {"seed": -1},
        {"no_such": 1},
    ],
)
def test_a_wrong_setting_is_an_error_and_never_a_default(bad: dict[str, Any]) -> None:
    with pytest.raises(AutodataError) as caught:
        EvaluationProtocol.create(MATH, **bad)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("missing", ["challenger", "weak", "strong", "judge", "check"])
def test_a_missing_role_is_named_before_anything_is_paid(missing: str) -> None:
    rules = Rules(Recipe.for_domain(CS), EvaluationProtocol.create(CS))
    roles = {"challenger", "weak", "strong", "judge", "check"} - {missing}
    with pytest.raises(RecipeError, match=missing):
        rules.check_roles(roles)
    rules.check_roles({*roles, missing})


# --- rubric shapes ----------------------------------------------------------------------------------------------------

SHAPE = RubricShape(positive=(4, 6), negative=(1, 2), total=(5, 7), max_weight=7)


def lines(*weights: int) -> list[Criterion]:
    return [Criterion(criterion=f"line {n}", weight=w) for n, w in enumerate(weights)]


@pytest.mark.parametrize(
    ("weights", "faults"),
    [
        ((1, 2, 3, 7, -7), 0),
        ((1,) * 5 + (-1, -1), 0),
        ((1,) * 6 + (-1,), 0),
        ((1, 1, 1, -1, -1), 1),  # one positive too few
        ((1,) * 7, 2),  # one too many, and no fault
        ((1,) * 6 + (-1, -1), 1),  # eight in all
        ((1, 1, 1, 1, -1, -1, -1), 1),
        ((1, 1, 1, 8, -1), 1),
        ((1, 1, 1, 7, -8), 1),
        ((1, 1, 1, 1, 0, -1), 1),
        ((), 3),
    ],
)
def test_a_rubric_s_form_is_checked_at_every_bound(weights: tuple[int, ...], faults: int) -> None:
    assert len(SHAPE.faults(lines(*weights))) == faults


def test_the_same_criterion_twice_is_a_fault() -> None:
    rubric = [*lines(1, 1, 1, 1, -1)[:-1], Criterion(criterion="LINE  0", weight=-1)]
    assert SHAPE.faults(rubric) == ("two criteria are the same",)


def test_a_shape_in_words_names_its_bounds() -> None:
    words = SHAPE.describe()
    assert all(part in words for part in ("5 to 7 criteria", "4 to 6", "1 to 2", "at most 7"))


def test_a_recipe_is_strict() -> None:
    for bad in ({"name": "a b"}, {"name": ""}, {"challenger": ""}, {"unknown": 1}):
        with pytest.raises(RecordError):
            Recipe.from_json({**Recipe.for_domain(MATH).to_json(), **bad})
