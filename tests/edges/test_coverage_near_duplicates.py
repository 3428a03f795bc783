"""The near-duplicate decision on planted pairs, with a bounded candidate set, and in the hands of embedders of other kinds."""

from __future__ import annotations

from collections import Counter

import pytest

from autodata_adapters.coverage import NEAR_DUPLICATE, HashingEmbedder
from autodata_adapters.coverage.nearness import conflict, nearness, shape_of
from autodata_adapters.coverage.planted import caught, distinct_pairs, planted_pairs
from autodata_adapters.coverage.sketches import Sketches
from autodata_adapters.coverage.vectors import Entry, VectorIndex
from autodata_core.ports import CoverageAsk

pytest.importorskip("sklearn")

PLANTED, DISTINCT = planted_pairs(), distinct_pairs()
EMBEDDER = HashingEmbedder()


def entry(id: str, text: str) -> Entry:
    return Entry(CoverageAsk(id, id, text), EMBEDDER.embed_matrix([text])[0])


def pair_index(one: str, *, semantic: bool = False) -> VectorIndex:
    index = VectorIndex(semantic=semantic)
    index.add(entry("one", one))
    return index


def same(one: str, two: str) -> bool:
    two_ = entry("two", two)
    return pair_index(one).nearest(two_.ask, two_.vector).similarity >= NEAR_DUPLICATE


def test_there_are_enough_pairs_of_every_kind() -> None:
    assert len(PLANTED) >= 300
    assert len(DISTINCT) >= 1_000
    assert all(pair.one != pair.two for pair in (*PLANTED, *DISTINCT))
    assert min(Counter(pair.kind for pair in PLANTED).values()) >= 60
    assert set(Counter(pair.kind for pair in DISTINCT)) >= {"other number", "other thing", "opposite"}
    assert planted_pairs() == PLANTED
    assert planted_pairs(1) != PLANTED


@pytest.mark.parametrize("seed", [0, 1])
def test_planted_copies_are_caught_and_different_questions_are_not(seed: int) -> None:
    found = caught(same, (*planted_pairs(seed), *distinct_pairs(seed)))
    assert found.recall >= 0.95, Counter(pair.kind for pair in found.missed)
    assert found.false_refusals <= 0.01, found.missed[:5]


def test_copies_are_found_among_all_the_others_by_a_bounded_set_of_candidates() -> None:
    index = VectorIndex(semantic=False)
    texts = list(dict.fromkeys([pair.one for pair in PLANTED] + [t for pair in DISTINCT for t in (pair.one, pair.two)]))
    fillers = [f"{text} Part {n} of drum {n * 7}." for n in range(4) for text in texts[:1000]]
    for n, (text, vector) in enumerate(zip([*fillers, *texts], EMBEDDER.embed_matrix([*fillers, *texts]), strict=True)):
        index.add(Entry(CoverageAsk(str(n), str(n), text), vector))
    assert len(index) > 4096  # beyond that, sketches choose
    moved = [pair for pair in PLANTED if pair.kind in ("order", "template", "slip", "polite")]
    vectors = EMBEDDER.embed_matrix([pair.two for pair in moved])
    found = [index.nearest(CoverageAsk("q", "q", p.two), v) for p, v in zip(moved, vectors, strict=True)]
    assert sum(reply.similarity >= NEAR_DUPLICATE for reply in found) >= 0.95 * len(moved)
    assert max(len(index.candidates(p.two, v)) for p, v in zip(moved[:50], vectors, strict=False)) <= 20


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("What do 3 tickets cost?", "What do 4 tickets cost?"),
        ("Ben has 3 apples and 7 pears. Whose are more?", "Ben has 7 apples and 3 pears. Whose are more?"),
        ("Is the clause valid?", "Is the clause not valid?"),
        ("What is 15 % of 80?", "What is 80 % of 15?"),
        ("How do vaccines train the body to fight a virus?", "How does a virus train the body to fight vaccines?"),
        ("Why was the bridge closed?", "When was the bridge closed?"),
        ("What did the keeper sell on Monday?", "When did the keeper sell on Monday?"),
        ("What is the sum of the readings?", "What is the difference of the readings?"),
        ("Is the clause valid?", "Isn't the clause valid?"),
        ("Which peak is the highest?", "Which peak is the lowest?"),
        ("How far is it from Rome to Pisa?", "How far is it from Pisa to Rome?"),
        ("Is copper heavier than zinc?", "Is zinc heavier than copper?"),
        ("Convert 5 km to miles", "Convert 5 miles to km"),
    ],
)
def test_vectors_of_meaning_do_not_overrule_a_number_a_negation_or_a_part(one: str, two: str) -> None:
    assert conflict(shape_of(one), shape_of(two))
    # An embedder that takes everything for the same.
    index = VectorIndex(semantic=True)
    index.add(Entry(CoverageAsk("one", "one", one), EMBEDDER.embed_matrix(["same"])[0]))
    reply = index.nearest(CoverageAsk("two", "two", two), EMBEDDER.embed_matrix(["same"])[0])
    assert reply.similarity < NEAR_DUPLICATE


def test_vectors_of_meaning_find_what_words_cannot() -> None:
    index = VectorIndex(semantic=True)
    vector = EMBEDDER.embed_matrix(["same"])[0]
    index.add(Entry(CoverageAsk("one", "one", "Why was the appeal dismissed?"), vector))
    ask = CoverageAsk("two", "two", "On what grounds did the judges turn the claimant down?")
    assert index.nearest(ask, vector).similarity == 1
    words_only = pair_index("Why was the appeal dismissed?")
    assert words_only.nearest(ask, vector).similarity < NEAR_DUPLICATE


def test_light_edits_are_found_by_their_wording_when_vectors_of_meaning_are_elsewhere() -> None:
    import numpy as np

    def vector(n: int) -> object:
        return np.eye(64, dtype=np.float32)[n % 64]

    index = VectorIndex(semantic=True, shingles=EMBEDDER)
    for n in range(200):
        text = (
            "Why did the regional court dismiss the tenant's appeal in the Weiss case?"
            if n == 7
            else f"Filler {n} is which?"
        )
        index.add(Entry(CoverageAsk(str(n), str(n), text), vector(n)))  # type: ignore[arg-type]
    ask = CoverageAsk("q", "q", "In the Weiss case, why did the regional court dismiss the tenants' apeal?")
    assert index.nearest(ask, vector(9)).nearest == "7"  # type: ignore[arg-type]


@pytest.mark.parametrize("pair", [*PLANTED[::29], *DISTINCT[::83]], ids=lambda pair: pair.kind)
def test_nearness_is_symmetric_and_in_its_range(pair: object) -> None:
    one, two = shape_of(pair.one), shape_of(pair.two)  # type: ignore[attr-defined]
    assert nearness(one, two) == nearness(two, one)
    assert 0 <= nearness(one, two) <= 1
    assert nearness(one, one) == 1


@pytest.mark.parametrize(("entries", "count"), [(1, 1), (40, 64), (500, 16), (9_000, 64), (70_000, 3)])
def test_sketches_choose_those_that_differ_in_the_fewest_bits_the_earlier_first(entries: int, count: int) -> None:
    np = pytest.importorskip("numpy")
    draw = np.random.default_rng(entries)
    centres = draw.standard_normal((7, 32)).astype(np.float32)  # many alike, so that many differ in as many bits
    vectors = centres[draw.integers(0, 7, entries)] + 0.2 * draw.integers(0, 3, (entries, 32)).astype(np.float32)
    sketches = Sketches()
    for vector in vectors:
        sketches.add(vector)
    planes = np.random.default_rng(20_261).standard_normal((256, 32)).astype(np.float32)
    bits = vectors @ planes.T > 0
    for known in {entries, max(1, entries // 2)}:
        asked = centres[0] + 0.1
        differ = (bits[:known] != (planes @ asked > 0)).sum(axis=1)
        expected = sorted(range(known), key=lambda place: (differ[place], place))[:count]
        assert sorted(sketches.nearest(asked, count, known)) == sorted(expected)
