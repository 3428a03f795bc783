"""What a better recipe is: every part stays in [0, 1], and nothing but a sound row is ever worth more than its gap."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from autodata_core.errors import RecipeError, RecordError
from autodata_core.item import ItemState
from autodata_core.meta.objective import PARTS, Objective, gap_quality
from autodata_core.records import Attempt, Candidate, Check, Reason, ReasonKind, Round, Usage, Verdict

CANDIDATE = Candidate(
    question_type="t",
    skills=("s",),
    context="",
    question="How many?",
    reference_answer="7",
    check=Check(kind="number", spec={"value": "7"}),
)


def attempts(marks):
    return tuple(Attempt(index=n, outcome="scored", answer="a", marks=(mark,)) for n, mark in enumerate(marks))


def a_round(number, weak, strong, *kinds):
    reasons = tuple(Reason(kind=kind, stage="check", detail="d") for kind in kinds)
    return Round(
        number=number,
        candidate=CANDIDATE,
        weak=attempts(weak),
        strong=attempts(strong),
        verdict=Verdict(policy="p", reasons=reasons),
    )


def item(status, rounds, tokens=0, usd=0.0):
    usage = {"weak": Usage(calls=1, input_tokens=tokens, cost_usd=usd)}
    return ItemState(
        item="it-1",
        run="r",
        source_id="s",
        source_sha256="0" * 64,
        fence_key="0123456789abcdef",
        status=status,
        history=tuple(rounds),
        usage=usage,
    )


MARKS = st.lists(st.booleans(), max_size=5)
KINDS = st.lists(st.sampled_from(ReasonKind), min_size=1, max_size=3)
REFUSED = st.builds(lambda weak, strong, kinds: a_round(1, weak, strong, *kinds), MARKS, MARKS, KINDS)
ROW = st.builds(lambda weak, strong: a_round(9, weak, strong), MARKS, MARKS)
SPENT = st.integers(0, 10**9)


@st.composite
def items(draw, status=None):
    status = status or draw(st.sampled_from(["accepted", "refused", "skipped", "infra", "quarantined"]))
    rounds = draw(st.lists(REFUSED, min_size=int(status == "refused"), max_size=4))
    return item(status, [*rounds, draw(ROW)] if status in ("accepted", "quarantined") else rounds, draw(SPENT))


@given(items(), *[st.floats(0, 10)] * 3, st.floats(0.001, 10))
def test_score_and_parts_stay_in_0_to_1_whatever_the_weights(state, acceptance, gap, coverage, cost):
    objective = Objective(acceptance=acceptance, gap=gap, coverage=coverage, cost=cost)
    parts = objective.parts(state)
    assert tuple(parts) == PARTS
    assert all(0 <= value <= 1 for value in parts.values())
    assert 0 <= objective.score(state) <= 1
    assert sum(objective.weights.values()) == pytest.approx(1)


@given(items("accepted"), items("refused"))
def test_with_the_defaults_every_row_is_worth_more_than_every_refused_item(row, refused):
    assert Objective().score(row) > Objective().score(refused)


@given(items(), st.sampled_from(["infra", "skipped", "quarantined"]))
def test_failing_models_declined_sources_and_distrusted_judges_are_worth_nothing(state, status):
    assert Objective().score(state.model_copy(update={"status": status})) == 0


@given(items("refused"))
def test_a_refused_item_is_worth_at_most_its_gap(state):
    parts = Objective().parts(state)
    assert parts["acceptance"] == parts["coverage"] == parts["cost"] == 0


@given(items("accepted"), SPENT)
def test_spending_more_never_raises_a_score(state, more):
    usage = {**state.usage, "judge": Usage(calls=1, output_tokens=more)}
    assert Objective().score(state.model_copy(update={"usage": usage})) <= Objective().score(state)


@given(items("accepted"))
def test_one_more_copy_never_raises_a_score(state):
    copied = state.model_copy(update={"history": (a_round(1, [], [], ReasonKind.DUPLICATE), *state.history)})
    assert Objective().parts(copied)["coverage"] <= Objective().parts(state)["coverage"]
    assert Objective().score(copied) <= Objective().score(state)


@given(MARKS, MARKS, st.randoms())
def test_the_order_of_attempts_does_not_matter(weak, strong, chance):
    shuffled = chance.sample(weak, len(weak))
    assert gap_quality(a_round(1, shuffled, strong)) == pytest.approx(gap_quality(a_round(1, weak, strong)))


@pytest.mark.parametrize(
    ("weak", "strong", "expected"),
    [
        ([0, 0, 0, 0], [1, 1, 1, 1], 0.5),  # a gap, and nothing between the weak answers to learn from
        ([1, 1, 1, 1], [1, 1, 1, 1], 0.0),
        ([0, 0, 0, 0], [0, 0, 0, 0], 0.0),
        ([1, 0, 1, 0], [1, 1, 1, 1], 0.5),  # the widest spread, half the gap
        ([1, 0, 0, 0], [1, 1, 1, 1], 0.75 * (1 + 2 * (0.25 * 0.75) ** 0.5) / 2),
        ([1, 1], [0, 0], 0.0),
        ([], [1], 0.0),
    ],
)
def test_gap_quality_wants_a_gap_and_weak_answers_that_differ(weak, strong, expected):
    assert gap_quality(a_round(1, map(bool, weak), map(bool, strong))) == pytest.approx(expected)


@pytest.mark.parametrize("kind", sorted(set(ReasonKind) - {ReasonKind.TOO_EASY, ReasonKind.FAILED_STRONG}))
def test_the_gap_of_a_question_refused_for_more_than_its_scores_counts_nothing(kind):
    assert gap_quality(a_round(1, [False], [True], kind)) == 0
    assert gap_quality(a_round(1, [False], [True], ReasonKind.FAILED_STRONG, kind)) == 0
    assert gap_quality(a_round(1, [False], [True], ReasonKind.FAILED_STRONG)) == 0.5


def test_an_unscored_attempt_is_no_zero():
    damaged = a_round(1, [False], [True]).model_copy(update={"weak": (Attempt(index=0, outcome="infra"),)})
    assert gap_quality(damaged) == 0


def test_cost_is_half_at_the_reference_in_tokens_or_dollars():
    rows = [a_round(1, [False], [True])]
    assert Objective(cost_reference=500).parts(item("accepted", rows, tokens=500))["cost"] == 0.5
    assert Objective(cost_reference=0.2, cost_unit="usd").parts(item("accepted", rows, usd=0.2))["cost"] == 0.5
    assert Objective().parts(item("accepted", rows))["cost"] == 1


def test_coverage_falls_with_every_copy_on_the_way():
    rounds = [a_round(1, [], [], ReasonKind.DUPLICATE), a_round(2, [False], [True])]
    assert Objective().parts(item("accepted", rounds))["coverage"] == 0.5


def test_acceptance_alone_is_refused_unless_it_is_said():
    with pytest.raises(ValidationError, match="easiest question"):
        Objective(acceptance=1, gap=0, coverage=0, cost=0)
    with pytest.raises(RecordError, match="acceptance_only"):
        Objective.from_json({"acceptance": 1, "gap": 0, "coverage": 0, "cost": 0})
    with pytest.raises(ValidationError, match="needs gap=0"):
        Objective(acceptance_only=True)
    with pytest.raises(ValidationError, match="no part"):
        Objective(acceptance=0, gap=0, coverage=0, cost=0)
    alone = Objective.of_acceptance()
    assert alone.score(item("accepted", [a_round(1, [True], [False])])) == 1
    assert Objective.from_json(alone.to_json()) == alone


def test_an_unfinished_item_has_no_score():
    with pytest.raises(RecipeError, match="not finished"):
        Objective().score(item("open", []))
