"""Agreement with known labels: intervals, kappa and the bar, against values worked out by hand."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autodata_core.agreement import (
    BAR,
    Z_95,
    Confusion,
    Interval,
    fewest_for,
    standing,
    weighted_share,
    wilson,
)

counts = st.integers(0, 5_000)
confusions = st.builds(Confusion, counts, counts, counts, counts)


@pytest.mark.parametrize(
    ("hits", "n", "low", "high"),
    [
        # Worked out by hand from (p + z²/2n ± z·sqrt(p(1-p)/n + z²/4n²)) / (1 + z²/n), z² = 3.841459.
        (5, 10, 0.236593, 0.763407),
        (0, 10, 0.0, 0.277533),
        (10, 10, 0.722467, 1.0),
        (1, 1, 0.206549, 1.0),
        (0, 1, 0.0, 0.793451),
        (81, 263, 0.255289, 0.366210),  # the example of Newcombe (1998), 0.2553 to 0.3662
        (95, 100, 0.888250, 0.978456),
        (950, 1000, 0.934686, 0.961870),
    ],
)
def test_the_interval_of_wilson(hits, n, low, high):
    found = wilson(hits, n)
    assert found.low == pytest.approx(low, abs=1e-6)
    assert found.high == pytest.approx(high, abs=1e-6)


def test_the_edges_are_exact():
    for n in (1, 2, 3, 7, 49, 73, 1_000, 10**9):
        assert wilson(0, n).low == 0.0
        assert wilson(n, n).high == 1.0
        assert wilson(n, n).low == pytest.approx(n / (n + Z_95**2))
    assert wilson(0, 0) == Interval(0.0, 1.0)


@pytest.mark.parametrize(("hits", "n"), [(-1, 3), (4, 3), (0, -1), (1, math.inf), (math.nan, 3)])
def test_impossible_counts_are_refused(hits, n):
    with pytest.raises(ValueError, match="between 0 and n"):
        wilson(hits, n)


@given(st.integers(1, 10_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_an_interval_holds_its_share_and_mirrors(pair):
    hits, n = pair
    found, mirrored = wilson(hits, n), wilson(n - hits, n)
    assert 0 <= found.low <= hits / n <= found.high <= 1
    assert found.low == pytest.approx(1 - mirrored.high, abs=1e-12)
    assert wilson(10 * hits, 10 * n).low >= found.low - 1e-12  # more rows with the same share say more


@pytest.mark.parametrize(
    ("counts", "kappa"),
    [
        ((20, 5, 10, 15), 0.4),  # the example that is in every textbook: po = .7, pe = .5
        ((45, 15, 25, 15), (0.60 - 0.54) / (1 - 0.54)),
        ((10, 0, 0, 10), 1.0),
        ((0, 10, 10, 0), -1.0),
        ((25, 25, 25, 25), 0.0),
        ((0, 0, 5, 95), 0.0),  # never refuses: no better than chance, whatever its agreement
    ],
)
def test_kappa_against_values_worked_out_by_hand(counts, kappa):
    assert Confusion(*counts).kappa == pytest.approx(kappa)


@pytest.mark.parametrize("counts", [(0, 0, 0, 0), (7, 0, 0, 0), (0, 0, 0, 7)])
def test_kappa_is_undefined_where_both_sides_say_one_thing_of_all(counts):
    assert Confusion(*counts).kappa is None


def test_the_figures_of_one_confusion():
    found = Confusion(tp=8, fp=2, fn=4, tn=86)
    assert found.n == 100
    assert found.agreement == 0.94
    assert found.precision == 0.8
    assert found.recall == pytest.approx(2 / 3)
    assert found.precision_bounds == wilson(8, 10)
    assert found.recall_bounds == wilson(8, 12)
    nothing = Confusion()
    assert (nothing.agreement, nothing.precision, nothing.recall) == (None, None, None)
    assert nothing.standing() == "not shown"


@given(st.lists(st.tuples(st.booleans(), st.booleans()), max_size=60))
def test_counting_pairs_keeps_every_row(pairs):
    found = Confusion.of(pairs)
    assert found.n == len(pairs)
    assert found.tp + found.fn == sum(faulty for faulty, _ in pairs)
    assert found.tp + found.fp == sum(refused for _, refused in pairs)
    half = len(pairs) // 2
    assert Confusion.of(pairs[:half]).plus(Confusion.of(pairs[half:])) == found


@given(confusions)
def test_invariants_of_a_confusion(found):
    if found.n:
        assert found.agreement_bounds.low <= found.agreement <= found.agreement_bounds.high
    if found.kappa is not None:
        assert -1 <= found.kappa <= 1
        assert found.kappa <= found.agreement + 1e-12
        swapped = Confusion(found.tn, found.fn, found.fp, found.tp)  # the other class as the positive one
        assert swapped.kappa == pytest.approx(found.kappa)
    assert (found.standing() == "met") == (found.n > 0 and found.agreement_bounds.low >= BAR)
    if found.too_few():
        assert found.standing() != "met"


@given(confusions, st.floats(0, 0.999), st.floats(0, 0.999))
def test_a_higher_bar_is_never_met_more_easily(found, one, other):
    order = ["not met", "not shown", "met"]
    low, high = sorted((one, other))
    assert order.index(found.standing(high)) <= order.index(found.standing(low))


@pytest.mark.parametrize(
    ("counts", "wanted"),
    [
        ((0, 0, 0, 72), "not shown"),  # no error, and yet too few
        ((0, 0, 0, 73), "met"),
        ((10, 1, 0, 99), "met"),  # 109 of 110: bound 0.9503
        ((10, 1, 0, 98), "not shown"),  # 108 of 109: bound 0.9498
        ((10, 5, 0, 85), "not shown"),  # exactly 0.95
        ((10, 6, 0, 84), "not met"),
    ],
)
def test_the_bar_at_below_and_above(counts, wanted):
    assert Confusion(*counts).standing() == wanted


def test_the_fewest_labels_that_can_show_a_bar():
    assert fewest_for(0.95) == 73
    assert fewest_for(0.5) == 4
    for bar in (0.0, 0.5, 0.8, 0.9, 0.95, 0.99, 0.999):
        n = fewest_for(bar)
        assert wilson(n, n).low >= bar
        assert n == 1 or wilson(n - 1, n - 1).low < bar
    assert Confusion(tn=72).too_few()
    assert not Confusion(tn=73).too_few()


def test_a_bar_of_its_own():
    assert standing(0.9, Interval(0.85, 0.94), bar=0.85) == "met"
    assert standing(0.9, Interval(0.8499, 0.94), bar=0.85) == "not shown"
    assert standing(0.8499, Interval(0.8, 0.9), bar=0.85) == "not met"


def test_a_weighted_share_counts_rare_rows_for_those_they_stand_for():
    # 10 of 1000 kept rows and all 10 refused ones were labelled; one kept row is wrong.
    found = weighted_share([(n > 0, 0.01) for n in range(10)] + [(True, 1.0)] * 10)
    assert found is not None
    assert found.share == pytest.approx((900 + 10) / 1010)
    assert found.n == 20
    assert found.n_effective == pytest.approx(1010**2 / (10 * 100**2 + 10))
    assert found.bounds.low < found.share < found.bounds.high


@given(st.lists(st.tuples(st.booleans(), st.sampled_from([0.5])), min_size=1, max_size=50))
def test_equal_weights_give_the_plain_share(pairs):
    found = weighted_share(pairs)
    assert found is not None
    hits = sum(hit for hit, _ in pairs)
    assert found.share == pytest.approx(hits / len(pairs))
    assert found.bounds.low == pytest.approx(wilson(hits, len(pairs)).low, abs=1e-9)


@given(st.lists(st.tuples(st.booleans(), st.floats(0.001, 1)), min_size=1, max_size=50))
def test_a_weighted_share_stays_a_share(pairs):
    found = weighted_share(pairs)
    assert found is not None
    assert 0 <= found.bounds.low <= found.share + 1e-12
    assert found.share <= found.bounds.high + 1e-12 <= 1 + 1e-12
    assert 0 < found.n_effective <= len(pairs)


def test_a_weighted_share_of_nothing_or_of_impossible_rows():
    assert weighted_share([]) is None
    for inclusion in (0.0, -1.0, 1.5, math.nan):
        with pytest.raises(ValueError, match="probability"):
            weighted_share([(True, inclusion)])
