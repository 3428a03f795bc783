"""Marks × rubric → score: exact, clipped, and never a float."""

from __future__ import annotations

import ast
import inspect
from fractions import Fraction

import pytest

from autodata_core import scoring
from autodata_core.errors import RecordError
from autodata_core.records import Attempt, Criterion
from autodata_core.scoring import attempt_score, mean, score


def rubric(*weights: int) -> list[Criterion]:
    return [Criterion(criterion=f"criterion {n}", weight=weight) for n, weight in enumerate(weights)]


@pytest.mark.parametrize(
    ("weights", "marks", "wanted"),
    [
        ((3,), (True,), Fraction(1)),
        ((3,), (False,), Fraction(0)),
        ((1, 2), (True, False), Fraction(1, 3)),
        ((1, 2), (False, True), Fraction(2, 3)),
        ((7, 7, 7), (True, True, False), Fraction(2, 3)),
        ((10, 10, -5), (True, False, True), Fraction(1, 4)),
        ((10, 10, -5), (True, True, True), Fraction(3, 4)),
        ((10, -10), (True, True), Fraction(0)),
        ((10, -10), (False, True), Fraction(0)),  # clipped below
        ((10, -10), (True, False), Fraction(1)),
        ((1, -10), (True, True), Fraction(0)),
        ((100, -1), (True, True), Fraction(99, 100)),
        ((3, 3, 4), (True, True, False), Fraction(3, 5)),
        ((3, 3, 4), (False, False, True), Fraction(2, 5)),
    ],
)
def test_a_score_is_the_earned_share_of_the_positive_weight(
    weights: tuple[int, ...], marks: tuple[bool, ...], wanted: Fraction
) -> None:
    found = score(rubric(*weights), marks)
    assert found == wanted
    assert type(found) is Fraction


def test_three_thirds_make_exactly_one() -> None:
    lines = rubric(1, 1, 1)
    parts = [score(lines, marks) for marks in ((True, False, False), (False, True, False), (False, False, True))]
    assert sum(parts) == 1
    assert mean(parts) == Fraction(1, 3)


@pytest.mark.parametrize("marks", [(), (True,), (True, True, True)])
def test_another_number_of_marks_than_criteria_is_an_error(marks: tuple[bool, ...]) -> None:
    with pytest.raises(RecordError, match="2 criteria"):
        score(rubric(1, 1), marks)


@pytest.mark.parametrize("weights", [(), (-1,), (-1, -2), (0,)])
def test_a_rubric_without_positive_weight_has_no_score(weights: tuple[int, ...]) -> None:
    with pytest.raises(RecordError, match="positive weight"):
        score(rubric(*weights), (True,) * len(weights))


@pytest.mark.parametrize("outcome", ["pending", "invalid", "infra"])
def test_an_attempt_that_was_not_scored_is_not_a_zero(outcome: str) -> None:
    attempt = Attempt.from_json({"index": 0, "outcome": outcome, "answer": "x", "marks": None})
    with pytest.raises(RecordError, match="no score"):
        attempt_score(attempt, rubric(1))


def test_scored_without_marks_is_an_error() -> None:
    with pytest.raises(RecordError):
        attempt_score(Attempt(index=0, outcome="scored", answer="x"), None)


def test_a_verified_attempt_scores_zero_or_one() -> None:
    def verified(*marks: bool) -> Attempt:
        return Attempt(index=0, outcome="scored", answer="x", marks=marks)

    assert attempt_score(verified(True), None) == 1
    assert attempt_score(verified(False), None) == 0
    for marks in ((), (True, True)):
        with pytest.raises(RecordError, match="one mark"):
            attempt_score(verified(*marks), None)


def test_the_mean_of_nothing_is_an_error() -> None:
    with pytest.raises(RecordError):
        mean([])


def test_no_float_occurs_in_the_arithmetic() -> None:
    tree = ast.parse(inspect.getsource(scoring))
    floats = [node for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, float)]
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Name) and node.id == "float"]
    divisions = [node for node in ast.walk(tree) if isinstance(node, ast.Div)]
    assert not floats
    assert not calls
    assert len(divisions) == 1  # of a Fraction, in `mean`
    assert type(mean([Fraction(1), Fraction(0), Fraction(0)])) is Fraction
