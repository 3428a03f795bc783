"""Cells, targets, gaps and the next batch: counted exactly, planned the same way every time."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autodata_core.coverage import (
    Cell,
    Saturation,
    TargetLine,
    Topic,
    TopicMap,
    band_of,
    gaps,
    grid,
    measure,
    plan,
    proportional,
    saturated_cells,
    saturation,
    tabled,
    uniform,
)
from autodata_core.coverage.targets import apportion
from autodata_core.errors import RecipeError

TOPICS = TopicMap(
    topics=(Topic(name="bread"), Topic(name="rail"), Topic(name="tides")),
    of={**{f"rail-{n}": "rail" for n in range(6)}, **{f"bread-{n}": "bread" for n in range(3)}, "tides-0": "tides"},
)
CELLS = grid(TOPICS, ["how", "why"])


@pytest.mark.parametrize(
    ("weak", "band"),
    [
        ([], "any"),
        ([0.0], "hard"),
        ([0.25], "hard"),
        ([0.2501], "medium"),
        ([1, 0, 0, 0], "hard"),
        ([1, 0], "medium"),
        ([0.5], "medium"),
        ([0.51], "easy"),
        ([1 / 3, 1 / 3, 1 / 3, 0.0], "hard"),  # exactly a quarter, though floats add up to more
        ([0.7, 0.3, 0.5], "medium"),
        ([1.0], "easy"),
    ],
)
def test_the_band_follows_from_weak_scores(weak: list[float], band: str) -> None:
    assert band_of(weak) == band


def test_a_cell_of_any_holds_every_type_and_band() -> None:
    hard = Cell(topic="rail", question_type="why", band="hard")
    assert Cell(topic="rail").holds(hard)
    assert Cell(topic="rail", question_type="why").holds(hard)
    assert not Cell(topic="rail", question_type="how").holds(hard)
    assert not Cell(topic="bread").holds(hard)
    assert str(hard) == "rail · why · hard"
    assert str(hard.pair) == "rail · why"


def test_a_grid_has_no_cell_that_no_source_carries() -> None:
    topics = TopicMap(topics=(*TOPICS.topics, Topic(name="empty")), of=TOPICS.of)
    assert {cell.topic for cell in grid(topics)} == {"bread", "rail", "tides"}
    assert len(grid(topics, ["how", "why"], ["hard", "easy"])) == 12


@given(st.lists(st.integers(0, 50), max_size=12), st.integers(0, 200))
def test_shares_add_up_and_are_off_by_less_than_one(weights: list[int], total: int) -> None:
    given_ = apportion(weights, total)
    if not sum(weights):
        assert given_ == [0] * len(weights)
        return
    assert sum(given_) == total
    assert all(abs(g - w * total / sum(weights)) < 1 for g, w in zip(given_, weights, strict=True))


def test_targets_are_alike_in_proportion_or_as_the_user_says() -> None:
    assert set(uniform(CELLS, 12).values()) == {2}
    shares = proportional(CELLS, TOPICS.sizes(), 20)
    assert {cell.topic: target for cell, target in shares.items() if cell.question_type == "how"} == {
        "bread": 3,
        "rail": 6,
        "tides": 1,
    }
    wanted = tabled(CELLS, [TargetLine(topic="rail", count=5), TargetLine(topic="tides", question_type="why", count=2)])
    assert wanted[Cell(topic="rail", question_type="how")] == 3
    assert wanted[Cell(topic="rail", question_type="why")] == 2
    assert wanted[Cell(topic="tides", question_type="why")] == 2
    assert wanted[Cell(topic="bread", question_type="how")] == 0


def test_failures_of_a_model_become_shares_of_the_rows() -> None:
    wanted = tabled(
        CELLS, [TargetLine(topic="rail", question_type="why", count=30), TargetLine(topic="bread", count=10)], 8
    )
    assert wanted[Cell(topic="rail", question_type="why")] == 6
    assert sum(wanted.values()) == 8


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (TargetLine(topic="rial"), "no source is about topic 'rial'. Did you mean 'rail'"),
        (TargetLine(topic="rail", question_type="wy"), "question_type 'wy'. Did you mean 'why'"),
    ],
)
def test_a_target_that_nothing_can_fill_is_named(line: TargetLine, message: str) -> None:
    with pytest.raises(RecipeError, match="no source is about") as caught:
        tabled(CELLS, [line])
    assert message in str(caught.value)


def test_gaps_come_emptiest_first_and_saturated_last() -> None:
    how, why, tides = (
        Cell(topic="rail", question_type="how"),
        Cell(topic="rail", question_type="why"),
        Cell(topic="tides"),
    )
    targets = {how: 4, why: 4, tides: 2, Cell(topic="bread"): 1}
    counts = {
        how: 2,
        Cell(topic="rail", question_type="why", band="hard"): 1,
        Cell(topic="bread", question_type="why", band="easy"): 3,
    }
    found = gaps(counts, targets)
    assert [(gap.cell, gap.have, gap.missing) for gap in found] == [(tides, 0, 2), (why, 1, 3), (how, 2, 2)]
    assert [gap.cell for gap in gaps(counts, targets, {tides})] == [why, how, tides]


def test_what_a_batch_closed_is_measured() -> None:
    targets = dict.fromkeys(CELLS, 2)
    before = gaps({}, targets)
    after = gaps({CELLS[0]: 2, CELLS[1]: 1}, targets)
    closing = measure(before, after)
    assert (closing.closed, closing.narrowed, len(closing.unchanged)) == ((CELLS[0],), (CELLS[1],), 4)
    assert (closing.filled_before, closing.filled_after) == (0.0, 0.25)
    assert str(closing).endswith("0% → 25% filled")
    assert measure(after, after).filled_before == measure(after, after).filled_after
    assert measure((), ()).filled_after == 1


def test_a_cell_is_saturated_when_repeats_rise() -> None:
    def line(*outcomes: bool) -> Saturation:
        return saturation([(CELLS[0], outcome) for outcome in outcomes])[0]

    assert not line(*[True] * 7).saturated  # too few tries to say
    assert line(*[True] * 4, *[False] * 4).saturated
    assert not line(*[True] * 3, *[False] * 5).saturated
    assert not line(*[True] * 9, *[False] * 4, *[True] * 4).saturated  # it was worse before
    assert line(*[False] * 20, *[True, False] * 4).recent == 0.5
    assert saturated_cells(saturation([(CELLS[0], True)] * 8 + [(CELLS[1], False)] * 8)) == {CELLS[0]}


def test_a_batch_goes_where_most_is_lacking_and_to_sources_that_were_used_least() -> None:
    targets = uniform(CELLS, 12)
    lacking = gaps({Cell(topic="rail", question_type="how", band="hard"): 2}, targets)
    batch = plan(lacking, TOPICS, size=10, exploration=0)
    assert Counter(one.cell for one in batch) == {
        cell: 2 for cell in CELLS if cell != Cell(topic="rail", question_type="how")
    }
    assert {one.cell for one in batch[:5]} == {gap.cell for gap in lacking}
    assert {one.cell.topic for one in batch[:3] if one.cell} == {"bread", "rail", "tides"}  # every topic has its turn
    assert all(one.cell is not None and TOPICS.topic_of(one.source) == one.cell.topic for one in batch)
    assert [one.slot for one in batch if one.source == "tides-0"] == [0, 1, 2, 3]


def test_a_share_of_a_batch_explores_far_places_first() -> None:
    lacking = gaps({}, uniform(CELLS, 60))
    batch = plan(lacking, TOPICS, size=10, exploration=0.3, far=["rail-5", "gone", "rail-5"])
    exploring = [one for one in batch if one.exploring]
    assert len(exploring) == 3
    assert exploring[0].source == "rail-5"
    assert all(one.cell is None for one in exploring)
    explored = [
        sum(one.exploring for one in plan(lacking, TOPICS, size=4, exploration=0.1, used={"rail-0": before}))
        for before in range(0, 40, 4)
    ]
    assert sum(explored) == 4  # the share holds over batches of any size
    assert not any(one.exploring for one in plan(lacking, TOPICS, size=10, exploration=0))


def test_exploring_goes_to_sources_that_were_never_used_before_it_comes_back_to_one() -> None:
    used: Counter[str] = Counter()
    for _ in range(len(TOPICS.of)):
        (one,) = plan((), TOPICS, size=1, exploration=1, used=used, far=["rail-5", "rail-0"])
        used[one.source] += 1
    assert set(used.values()) == {1}
    assert next(iter(used)) == "rail-5"


def test_exploring_leaves_topics_alone_in_which_everything_repeats() -> None:
    batch = plan((), TOPICS, size=20, exploration=1, far=["rail-5"], full={"rail", "tides"})
    assert {TOPICS.topic_of(one.source) for one in batch} == {"bread"}
    assert plan((), TOPICS, size=5, full={"rail", "tides", "bread"}) == ()


def test_rows_are_shared_out_over_topics_first_and_over_their_cells_then() -> None:
    cells = grid(TOPICS, [f"type-{n}" for n in range(14)])
    targets = proportional(cells, {"rail": 32, "bread": 6, "tides": 2}, 20)
    by_topic: Counter[str] = Counter()
    for cell, count in targets.items():
        by_topic[cell.topic] += count
    assert by_topic == {"rail": 16, "bread": 3, "tides": 1}
    wanted = [{cell.question_type for cell, n in targets.items() if n and cell.topic == t} for t in ("bread", "tides")]
    assert wanted[0].isdisjoint(wanted[1])  # a topic with few rows begins where the one before it ended


def test_nothing_is_planned_where_tries_repeat_what_exists() -> None:
    targets = uniform(CELLS, 12)
    full = {cell for cell in CELLS if cell.topic == "tides"}
    batch = plan(gaps({}, targets, full), TOPICS, size=8, exploration=0)
    assert {one.cell.topic for one in batch if one.cell} == {"bread", "rail"}


def test_sources_are_not_used_more_often_than_allowed() -> None:
    batch = plan(gaps({}, uniform(CELLS, 600)), TOPICS, size=100, most_per_source=2, used={"rail-0": 2, "bread-0": 1})
    assert len(batch) == 17
    assert len({(one.source, one.slot) for one in batch}) == 17
    assert all(one.slot < 2 for one in batch)
    assert not any(one.source == "rail-0" for one in batch)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 40), st.floats(0, 1), st.integers(0, 3), st.randoms(use_true_random=False))
def test_the_same_arguments_in_any_order_give_the_same_batch(
    size: int, exploration: float, seed: int, shuffle: random.Random
) -> None:
    lacking = gaps({CELLS[0]: 1}, uniform(CELLS, 24))
    used = {"rail-1": 2, "bread-2": 1}
    shuffled = list(TOPICS.of.items())
    shuffle.shuffle(shuffled)
    one = plan(lacking, TOPICS, size=size, exploration=exploration, seed=seed, used=used)
    other = TopicMap(topics=TOPICS.topics, of=dict(shuffled))
    assert plan(lacking, other, size=size, exploration=exploration, seed=seed, used=dict(reversed(used.items()))) == one
    assert len(one) == size
    assert len({(planned.source, planned.slot) for planned in one}) == size


def test_another_seed_chooses_other_sources() -> None:
    lacking = gaps({}, uniform(CELLS, 6))
    assert len({plan(lacking, TOPICS, size=4, seed=seed) for seed in range(8)}) > 1


def test_a_share_that_is_none_is_refused() -> None:
    with pytest.raises(RecipeError, match="exploration is a share"):
        plan((), TOPICS, size=1, exploration=1.5)
