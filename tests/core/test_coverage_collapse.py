"""Diversity, drift and mixing: known values for known texts, and alarms exactly at their limits."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autodata_core.coverage import Figures, Limit, check_collapse, figures, mix, vendi
from autodata_core.coverage.collapse import (
    cell_entropy,
    compression_ratio,
    distinct,
    drift,
    length_ratio,
    self_similarity,
)
from autodata_core.errors import RecipeError

WORDS = [f"{a}{b}{c}" for a in "bdfgklmnprst" for b in "aeiou" for c in "lmnrst"]
DRAW = random.Random(5)
VARIED = [" ".join(DRAW.sample(WORDS, 12)) + "?" for _ in range(400)]
COLLAPSED = [f"What is the total of item {n % 4} in the list?" for n in range(300)]


def test_figures_of_known_texts() -> None:
    assert distinct(["a b a b"], 1) == 0.5
    assert distinct(["a b a b"], 2) == round(2 / 3, 6)
    assert distinct([], 2) == 1
    assert self_similarity([[1, 0.5], [0.5, 1]]) == 0.5
    assert self_similarity([[1]]) == 0
    assert cell_entropy({"a": 5, "b": 5}) == 1
    assert cell_entropy({"a": 5, "b": 0}) == 0
    assert cell_entropy({}) == 0
    assert length_ratio(["one two"], ["one two three four"]) == 0.5
    assert drift(["a b"], ["a b"]) == 0
    assert drift(["a b"], ["c d"]) == 1
    assert compression_ratio([]) == 1


def test_the_vendi_score_counts_different_texts() -> None:
    assert vendi([0.25] * 4) == pytest.approx(4)
    assert vendi([1.0, 0, 0, -1e-15]) == pytest.approx(1)
    assert vendi([]) == 0
    assert 1 < vendi([0.7, 0.3]) < 2


def test_figures_do_not_fall_because_there_is_more_text() -> None:
    assert distinct(VARIED, 2) == pytest.approx(distinct(VARIED * 5, 2), abs=0.05)
    few, many = (
        compression_ratio(VARIED),
        compression_ratio([*VARIED, *[" ".join(DRAW.sample(WORDS, 12)) for _ in range(900)]]),
    )
    assert many == pytest.approx(few, rel=0.1)


def test_a_collapsed_data_set_is_stopped_and_a_varied_one_is_not() -> None:
    baseline = figures(VARIED)
    alarms = check_collapse(figures(COLLAPSED, baseline=VARIED), baseline)
    assert {alarm.figure for alarm in alarms if alarm.level == "stop"} >= {"distinct_2", "distinct_3", "compression"}
    assert [alarm.level for alarm in alarms] == sorted(
        (alarm.level for alarm in alarms), key=lambda level: level != "stop"
    )
    other = [" ".join(DRAW.sample(WORDS, 12)) + "?" for _ in range(300)]
    assert check_collapse(figures(other, baseline=VARIED), baseline) == ()


def test_too_few_texts_say_nothing() -> None:
    found = figures(COLLAPSED[:19], cells={"a": 19, "b": 0})
    assert found == Figures(texts=19, cell_entropy=0.0)
    assert [alarm.figure for alarm in check_collapse(found)] == ["cell_entropy"]


@pytest.mark.parametrize(("value", "level"), [(0.81, ""), (0.8, ""), (0.79, "warn"), (0.5, "warn"), (0.49, "stop")])
def test_a_limit_is_crossed_beyond_it(value: float, level: str) -> None:
    limit = Limit(figure="vendi", side="below", warn=0.8, stop=0.5)
    assert limit.level(value) == level
    assert Limit(figure="vendi", side="above", warn=-0.8, stop=-0.5).level(-0.8) == ""
    found = check_collapse(Figures(texts=30, vendi=value), None, [limit])
    assert [alarm.level for alarm in found] == ([level] if level else [])


def test_a_relative_limit_needs_something_to_compare_with() -> None:
    limit = Limit(figure="distinct_2", side="below", warn=0.5, stop=0.25, relative=True)
    low = Figures(texts=30, distinct_2=0.1)
    assert check_collapse(low, None, [limit]) == ()
    assert [a.level for a in check_collapse(low, Figures(texts=30, distinct_2=0.3), [limit])] == ["warn"]
    assert str(check_collapse(low, Figures(texts=30, distinct_2=0.8), [limit])[0]) == "stop: distinct_2 0.100 < 0.200"


@settings(max_examples=40, deadline=None)
@given(st.lists(st.text(max_size=60), max_size=40), st.lists(st.text(max_size=60), max_size=10))
def test_figures_stay_in_their_range(texts: list[str], baseline: list[str]) -> None:
    found = figures(texts, baseline=baseline, cells={n: len(t) for n, t in enumerate(texts)})
    for name in ("distinct_1", "distinct_2", "distinct_3", "cell_entropy", "vocabulary_drift"):
        value = getattr(found, name)
        assert value is None or 0 <= value <= 1
    assert found.compression is None or found.compression > 0


ROWS = [{"id": f"made-{n}", "topic": "rail" if n % 3 else "bread"} for n in range(30)]
HUMAN = [{"id": f"human-{n}", "topic": ("rail", "bread", "tides")[n % 3]} for n in range(30)]


def test_human_rows_have_their_share_in_every_stratum() -> None:
    mixed = mix(ROWS, HUMAN, 0.2, strata=lambda row: row["topic"], seed=3)
    assert {line.name: (line.made, line.human, line.short) for line in mixed.strata} == {
        "rail": (20, 5, 0),
        "bread": (10, 3, 0),
    }
    assert all(abs(line.share - 0.2) < 0.05 for line in mixed.strata)
    assert [row for row in ROWS if row not in mixed.rows] == []
    assert not any(row["topic"] == "tides" for row in mixed.rows)
    again = mix(list(reversed(ROWS)), list(reversed(HUMAN)), 0.2, strata=lambda row: row["topic"], seed=3)
    assert again.rows == mixed.rows
    assert mix(ROWS, HUMAN, 0.2, strata=lambda row: row["topic"], seed=4).rows != mixed.rows


def test_too_few_human_rows_are_said() -> None:
    mixed = mix(ROWS, HUMAN[:1], 0.5, seed=1)
    assert (mixed.strata[0].human, mixed.short) == (1, 29)
    assert mix(ROWS, HUMAN, 0).rows == mix(ROWS, [], 0.4).rows
    with pytest.raises(RecipeError, match="below 1"):
        mix(ROWS, HUMAN, 1)


@given(st.integers(1, 60), st.integers(0, 90))
def test_the_share_is_met_to_the_nearest_row(made: int, percent: int) -> None:
    rows = [{"m": n} for n in range(made)]
    mixed = mix(rows, [{"h": n} for n in range(800)], percent / 100)
    exact = made * percent / (100 - percent)
    assert math.isclose(mixed.strata[0].human, exact, abs_tol=0.5 + 1e-9)
