"""Selection and comparison: the distribution is the one that is claimed, and a child that changes nothing seldom wins."""

import itertools
import math
import random
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autodata_core.errors import RecipeError
from autodata_core.meta.comparing import ALPHAS, compare, gain_interval, sign_flip_p
from autodata_core.meta.population import boltzmann, draw, seeded


def test_selection_follows_the_boltzmann_distribution():
    scores = [0.10, 0.15, 0.22, 0.30, 0.05]
    chances = boltzmann(scores, 0.1)
    assert chances[3] / chances[0] == pytest.approx(math.exp(2))
    draws = 20_000
    counts = [0] * len(scores)
    for n in range(draws):
        counts[draw(chances, seeded("select", 7, n))] += 1
    chi2 = sum((count - draws * p) ** 2 / (draws * p) for count, p in zip(counts, chances, strict=True))
    assert chi2 < 18.47  # 99.9 % point of the chi-square distribution with four degrees of freedom


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=20), st.floats(1e-9, 1e3))
def test_no_score_and_no_temperature_overflows(scores, temperature):
    chances = boltzmann(scores, temperature)
    assert math.fsum(chances) == pytest.approx(1)
    assert all(0 <= p <= 1 for p in chances)
    assert chances[max(range(len(scores)), key=scores.__getitem__)] == max(chances)
    assert 0 <= draw(chances, seeded(1)) < len(scores)


@pytest.mark.parametrize(("scores", "temperature"), [([0.1], 0.0), ([0.1], -1.0), ([math.nan], 0.1), ([math.inf], 0.1)])
def test_what_is_no_distribution_is_refused(scores, temperature):
    with pytest.raises(RecipeError):
        boltzmann(scores, temperature)


@given(st.lists(st.integers(-6, 6).map(lambda n: Fraction(n, 6)), max_size=9))
def test_the_exact_p_value_is_the_share_of_all_signs(differences):
    reached = [
        sum(sign * d for sign, d in zip(signs, differences, strict=True)) >= sum(differences)
        for signs in itertools.product((1, -1), repeat=len(differences))
    ]
    assert sign_flip_p(differences) == pytest.approx(sum(reached) / len(reached))
    assert sign_flip_p([float(d) for d in differences]) == sign_flip_p(differences)


def test_thirds_of_rows_keep_their_ties():
    thirds = [Fraction(n, 3) for n in (0, 1, 0, 1, 1, 3, -2, 2, 1, 1, 1, 0)]
    assert sign_flip_p(thirds) == 0.046875  # in steps of a two-hundredth it were 0.018


def test_the_exact_test_takes_hundreds_of_sources():
    chance = random.Random(1)
    assert 0 < sign_flip_p([chance.uniform(-1, 1) for _ in range(400)]) <= 1


def test_a_few_tokens_saved_on_every_source_are_no_improvement():
    assert sign_flip_p([0.002] * 30) == 1.0


def compared(seed: int, share: float, sources: int, *, child: float | None = None):
    """Compare a parent with a child of another (or the same) acceptance, look by look."""
    chance = random.Random(seed)
    scores: list[dict[str, list[float]]] = [{}, {}]
    for look in range(1, len(ALPHAS) + 1):
        for n in range(sources):
            for which, accepts in ((0, share), (1, share if child is None else child)):
                row = chance.random() < accepts
                scores[which].setdefault(str(n), []).append(
                    0.7 + 0.3 * chance.random() if row else 0.1 * chance.random()
                )
        found = compare(scores[0], scores[1], look=look)
        if found.decision != "look again":
            return found
    raise AssertionError("the last look decides")


@pytest.mark.parametrize("share", [0.05, 0.12, 0.5])
@pytest.mark.parametrize("sources", [8, 16])
def test_a_child_that_changes_nothing_wins_less_than_one_time_in_twenty(share, sources):
    # More trials than the two hundred that the promise names: with those alone a bound is passed or broken by luck.
    first = int(1000 * share) * 1_000_000 + sources * 10_000
    wins = sum(compared(first + n, share, sources).decision == "better" for n in range(400))
    assert wins < 0.05 * 400
    assert sum(ALPHAS) < 0.05


def test_a_real_improvement_is_found():
    assert sum(compared(seed, 0.1, 16, child=0.7).decision == "better" for seed in range(50)) >= 48


def test_equal_recipes_are_never_better():
    scores = {str(n): [0.5] for n in range(20)}
    assert compare(scores, scores, look=1).decision == "not better"


def test_a_source_that_only_one_of_them_has_is_left_out():
    found = compare({"a": [0.1], "b": [0.2]}, {"a": [0.3], "c": [0.9]}, look=1)
    assert (found.sources, found.gain.gain) == (1, pytest.approx(0.2))
    assert compare({}, {}, look=1).decision == "not better"


@pytest.mark.parametrize("sources", [8, 12, 25, 60])
@pytest.mark.parametrize(("before", "after"), [(0.1, 0.1), (0.1, 0.3), (0.1, 0.9), (0.5, 0.5)])
def test_the_interval_holds_what_is_true_about_as_often_as_it_says(sources, before, after):
    chance, held, tries = random.Random(sources), 0, 300
    for _ in range(tries):
        differences = [
            (sum(chance.random() < after for _ in range(3)) - sum(chance.random() < before for _ in range(3))) / 3
            for _ in range(sources)
        ]
        found = gain_interval(differences, shares=True)
        held += found.low <= after - before <= found.high
        assert -1 <= found.low <= found.gain <= found.high <= 1
    assert held / tries > 0.92


def test_the_interval_does_not_close_where_every_source_says_the_same():
    certain = gain_interval([1.0] * 10, shares=True)
    assert certain.high == 1.0
    assert certain.low < 0.9
    nothing = gain_interval([0.0] * 10)
    assert nothing.low < 0 < nothing.high
    assert not nothing.excludes_zero
    assert (gain_interval([]).low, gain_interval([]).high) == (-1.0, 1.0)
