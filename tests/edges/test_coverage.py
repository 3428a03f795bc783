"""Coverage: copies and light edits are found, new questions are not refused, and the index on disk never decides."""

from __future__ import annotations

import math
import shutil
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from autodata_adapters.coverage import NEAR_DUPLICATE, ChromaCoverage, HashingEmbedder, create_embedder
from autodata_adapters.coverage.collection import ChromaCollection
from autodata_adapters.coverage.folding import fold
from autodata_adapters.coverage.vectors import to_unit
from autodata_adapters.stores import RecordedCoverage, SqliteRunStore
from autodata_core.errors import ModelUnreachableError, RecipeError, StoreError
from autodata_core.ports import CoverageAsk, CoverageMap, CoverageReply

pytest.importorskip("chromadb")
pytest.importorskip("sklearn")

TICKETS = "What do 3 tickets cost in total?"
BREAD = "How long do 4 batches of rye bread take, in hours?"
TRAIN = "A train leaves Aachen at 8:15 and arrives in Berlin at 14:40. How long does the journey take?"
COURT = "Explain why the court dismissed the appeal of the tenant against the landlord."
PLANET = "Which planet is the largest in the solar system?"

SAME = [
    (TICKETS, "WHAT DO 3 TICKETS COST IN TOTAL"),
    (TICKETS, "In total, what do 3 tickets cost?"),
    (TICKETS, "What do three tickets cost – in total?!"),
    (TICKETS, "Please: what do **3 tickets** cost in total"),
    (BREAD, "In hours, how long do 4 batches of rye bread take?"),
    (BREAD, "how long  do 4 batches of rye-bread take - in hours"),
    (TRAIN, "How long does the journey take? A train leaves Aachen at 8:15 and arrives in Berlin at 14:40."),
    (COURT, "Explain why the court dismissed the tenant's appeal against the landlord"),
    (PLANET, "In the solar system, which planet is the largest?"),
    ("The café’s “Straße” costs 1,000 as much.", 'The cafe\u0301\'s "strasse" costs 1000 as much'),
    ("Ｗｈａｔ ｉｓ it?", "What is\u00a0\u200bit?"),
    ("数据生成循环评审是什么？", "数据生成循环评审是什么"),
]
DIFFERENT = [
    (TICKETS, "What do 7 tickets cost in total?"),
    (TICKETS, "What do seven tickets cost in total?"),
    (TICKETS, "What do 3 balloons cost in total?"),
    (BREAD, "How long do 4 batches of spelt bread take, in hours?"),
    (BREAD, "How long do 5 batches of rye bread take, in hours?"),
    (TRAIN, TRAIN.replace("8:15", "8:25")),
    (
        "Ben has 3 apples and 7 pears. What do the apples cost?",
        "Ben has 7 apples and 3 pears. What do the apples cost?",
    ),
    ("What is 3 + 4?", "What is 3 - 4?"),
    ("What is 3 * 4?", "What is 3 + 4?"),
    ("Convert 5 km to m.", "Convert 5 m to km."),
    ("A side is 3.5 cm. What is its square?", "A side is 3.6 cm. What is its square?"),
    (PLANET, "Which planet is the smallest in the solar system?"),
    (COURT, COURT.replace("dismissed", "allowed")),
    ("Is the statement true?", "Is the statement not true?"),
]


def ask(id: str, text: str) -> CoverageAsk:
    return CoverageAsk(key=f"{id}.claim", id=id, text=text, meta={"cell": "a"})


@pytest.fixture
def coverage(tmp_path: Path) -> Iterator[ChromaCoverage]:
    with ChromaCoverage(tmp_path / "coverage", HashingEmbedder()) as opened:
        yield opened


def similarity(one: str, two: str) -> float:
    first, second = HashingEmbedder().embed_matrix([one, two])
    return float(first @ second)


@pytest.mark.parametrize(("one", "two"), SAME)
def test_a_light_edit_is_a_near_duplicate(coverage: ChromaCoverage, one: str, two: str) -> None:
    coverage.claim(ask("a/r1", one))
    reply = coverage.claim(ask("b/r1", two))
    assert reply.similarity >= NEAR_DUPLICATE
    assert (reply.nearest, reply.text) == ("a/r1", one)


@pytest.mark.parametrize(("one", "two"), DIFFERENT)
def test_another_question_in_the_same_words_is_not(coverage: ChromaCoverage, one: str, two: str) -> None:
    coverage.claim(ask("a/r1", one))
    assert coverage.claim(ask("b/r1", two)).similarity < NEAR_DUPLICATE


def test_a_changed_number_shows_in_a_long_text() -> None:
    story = " ".join(
        f"The {name} sells {n} kinds of bread every morning." for n, name in enumerate(["baker", "miller"] * 20)
    )
    assert similarity(f"{story} How many are 12 loaves?", f"{story} How many are 13 loaves?") < NEAR_DUPLICATE
    assert similarity(f"{story} How many are 12 loaves?", f"How many are 12 loaves? {story}") > NEAR_DUPLICATE


def test_vectors_have_length_one_and_a_text_without_words_has_none() -> None:
    embedder = HashingEmbedder()
    vectors = embedder.embed_documents(["word", "3", "…!", "", "\ud800 \0"])
    lengths = [math.hypot(*vector) for vector in vectors]
    assert lengths[:2] == pytest.approx([1, 1])
    assert lengths[2:] == [0, 0, 0]
    assert len(vectors[0]) == embedder.dims
    assert embedder.embed_query("word") == vectors[0]


def test_vectors_that_cannot_be_compared_become_zeros() -> None:
    vectors = to_unit([[3.0, 4.0], [math.nan, 1.0], [math.inf, 1.0], [0.0, 0.0], [1e300, 1e300]])
    assert [vector.tolist() for vector in vectors[1:4]] == [[0, 0]] * 3
    assert vectors[0].tolist() == pytest.approx([0.6, 0.8])


def test_punctuation_goes_and_operators_stay() -> None:
    assert fold("Well-known: **3.5** × 1,000 – x^2 (a/b)?") == "well known 3.5 × 1000 x ^ 2 a b"
    assert fold("5-3") != fold("5/3") != fold("53")
    assert fold("?!") == "?!"


def test_the_same_claim_gets_the_same_answer(coverage: ChromaCoverage) -> None:
    map: CoverageMap = coverage
    first = map.claim(ask("a/r1", TICKETS))
    map.claim(ask("b/r1", TICKETS.upper()))
    assert map.claim(ask("a/r1", TICKETS)) == first == CoverageReply()
    assert len(coverage) == 2


def test_an_earlier_round_of_the_same_item_counts_as_a_neighbour(coverage: ChromaCoverage) -> None:
    coverage.claim(ask("a/r1", TICKETS))
    assert coverage.claim(ask("a/r2", TICKETS)).nearest == "a/r1"


def test_of_eight_threads_with_one_text_exactly_one_is_first(coverage: ChromaCoverage) -> None:
    barrier = threading.Barrier(8)

    def claim(n: int) -> CoverageReply:
        barrier.wait()
        return coverage.claim(ask(f"i-{n}/r1", TICKETS))

    with ThreadPoolExecutor(8) as pool:
        replies = list(pool.map(claim, range(8)))
    assert sorted(reply.similarity for reply in replies) == [0.0] + [1.0] * 7
    assert len({reply.nearest for reply in replies} - {None}) == 1


def stored(folder: Path) -> list[str]:
    collection = ChromaCollection(folder, HashingEmbedder.name)
    found = [entry.ask.id for entry in collection.read()]
    collection.close()
    return found


def test_entries_reach_chroma_in_batches_and_on_closing(tmp_path: Path) -> None:
    with ChromaCoverage(tmp_path / "coverage", HashingEmbedder()) as coverage:
        for n in range(250):
            coverage.claim(ask(f"i-{n}/r1", f"What do {n} tickets cost?"))
        coverage.flush()
        coverage.claim(ask("odd/r1", "half \ud800 a pair"))
    assert stored(tmp_path / "coverage") == [f"i-{n}/r1" for n in range(250)] + ["odd/r1"]


def remove(folder: Path) -> None:
    shutil.rmtree(folder)


def scribble(folder: Path) -> None:
    for file in folder.rglob("*"):
        if file.is_file():
            file.write_bytes(b"scribble " * 500)


def replace_by_file(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.write_text("no folder")


def get_ahead(folder: Path) -> None:
    with ChromaCoverage(folder, HashingEmbedder()) as ahead:
        ahead.claim(ask("ahead/r1", "An entry of a claim that was never recorded"))


def fall_behind(folder: Path) -> None:
    with ChromaCoverage(folder, HashingEmbedder()) as behind:
        behind.preload([ask("i-0/r1", "What do 0 tickets cost?")])


@pytest.mark.parametrize("damage", [remove, scribble, replace_by_file, get_ahead, fall_behind])
def test_a_damaged_index_is_made_anew_and_decisions_stay(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    folder = tmp_path / "coverage"
    asks = [ask(f"i-{n}/r1", f"What do {n} tickets cost?") for n in range(120)]
    with SqliteRunStore(tmp_path / "run.db") as store, ChromaCoverage(folder, HashingEmbedder()) as coverage:
        recorded = RecordedCoverage(coverage, store)
        replies = [recorded.claim(one) for one in asks]
    damage(folder)
    with SqliteRunStore(tmp_path / "run.db") as store, ChromaCoverage(folder, HashingEmbedder()) as coverage:
        recorded = RecordedCoverage(coverage, store)
        assert [recorded.claim(one) for one in asks] == replies
        assert recorded.claim(ask("new/r1", "what do 7 tickets cost")).nearest == "i-7/r1"
    assert sorted(stored(folder)) == sorted([one.id for one in asks] + ["new/r1"])


def test_an_index_that_cannot_be_written_is_said_at_the_end_and_stops_no_decision(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    coverage = ChromaCoverage(tmp_path / "file" / "coverage", HashingEmbedder())
    for n in range(150):
        coverage.claim(ask(f"i-{n}/r1", f"What do {n} tickets cost?"))
    assert coverage.claim(ask("x/r1", "what do 3 tickets cost")).nearest == "i-3/r1"
    with pytest.raises(StoreError, match="Nothing of the run is lost"):
        coverage.close()
    coverage.close()


def test_an_index_alone_remembers_between_openings(tmp_path: Path) -> None:
    for text in (TICKETS, TRAIN):
        with ChromaCoverage(tmp_path / "coverage", HashingEmbedder()) as coverage:
            coverage.claim(ask(f"{text[:3]}/r1", text))
    with ChromaCoverage(tmp_path / "coverage", HashingEmbedder()) as coverage:
        assert coverage.claim(ask("x/r1", TRAIN.upper())).nearest == "A t/r1"
        assert coverage.claim(ask("Wha/r1", TICKETS)) == CoverageReply()


class CountingEmbedder:
    name = "counting"

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.inner = HashingEmbedder()

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        self.texts += texts
        return self.inner.embed_documents(texts)


def test_vectors_that_were_paid_for_are_not_made_again(tmp_path: Path) -> None:
    asks = [ask(f"i-{n}/r1", f"What do {n} tickets cost?") for n in range(5)]
    with ChromaCoverage(tmp_path / "coverage", CountingEmbedder()) as coverage:
        for one in asks[:4]:
            coverage.claim(one)
    embedder = CountingEmbedder()
    with ChromaCoverage(tmp_path / "coverage", embedder) as coverage:
        coverage.preload([*asks[:3], ask("i-3/r1", "Another text"), asks[4]])
    assert embedder.texts == ["Another text", asks[4].text]


class WrongEmbedder:
    name = "wrong"

    def __init__(self, *answers: object) -> None:
        self.answers = iter(answers)

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        answer = next(self.answers)
        if isinstance(answer, Exception):
            raise answer
        return answer  # type: ignore[return-value]


def test_an_embedder_that_fails_is_named(tmp_path: Path) -> None:
    embedder = WrongEmbedder(RuntimeError("no quota"), [], [[1.0, 0.0]], [[1.0, 0.0, 0.0]], [[math.nan, 1.0]])
    with ChromaCoverage(tmp_path / "coverage", embedder) as coverage:
        with pytest.raises(ModelUnreachableError, match="'wrong' gave no vectors: RuntimeError: no quota"):
            coverage.claim(ask("a/r1", "one"))
        with pytest.raises(RecipeError, match="0 vectors for 1 texts"):
            coverage.claim(ask("a/r1", "one"))
        coverage.claim(ask("a/r1", "one"))
        with pytest.raises(RecipeError, match="vector of 3 numbers after vectors of 2"):
            coverage.claim(ask("b/r1", "two"))
        assert coverage.claim(ask("c/r1", "three")).similarity == 0


def test_an_embedder_is_made_from_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "my_vectors.py").write_text(
        "class Mine:\n    def embed_documents(self, texts):\n        return [[1.0] for _ in texts]\nNOTHING = 5\n"
    )
    assert create_embedder("hashing", tmp_path).name == "hashing-v1"
    mine = create_embedder("my_vectors:Mine", tmp_path)
    assert (mine.name, mine.embed_documents(["a", "b"])) == ("my_vectors:Mine", [[1.0], [1.0]])
    for spec, message in {
        "hashin": "Unknown embedder 'hashin'",
        "my_vectors:NOTHING": "has no embed_documents",
        "my_vectors:Other": "has no 'Other'",
        "no.such.module:Other": "cannot be imported",
        "nobody:model": "cannot be made",
    }.items():
        with pytest.raises(RecipeError, match=message):
            create_embedder(spec, tmp_path)
