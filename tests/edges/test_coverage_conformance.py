"""The kit for a user's embeddings and vector store: ours pass, broken ones are told what they lack."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
from langchain_core.embeddings import Embeddings
from langchain_core.vectorstores import InMemoryVectorStore

from autodata_adapters.coverage import HashingEmbedder, VectorStoreCoverage
from autodata_adapters.coverage.conformance import embeddings_checks, measure_embeddings, vector_store_checks
from autodata_adapters.coverage.embedders import NamedEmbedder
from autodata_core.errors import StoreError
from autodata_core.ports import CoverageAsk
from autodata_core.recipe import Recipe
from autodata_core.records import Source
from autodata_core.testing import scripted_models

pytest.importorskip("sklearn")


class Hashed(Embeddings):
    """A user's embeddings."""

    def __init__(self) -> None:
        self._inner = HashingEmbedder()

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return self._inner.embed_documents(texts)

    def embed_query(self, text: str) -> list[float]:
        return self._inner.embed_query(text)


@pytest.mark.parametrize("check", embeddings_checks(), ids=lambda check: check.__name__)
def test_embeddings_keep_the_contract(check: Any) -> None:
    check(HashingEmbedder())
    check(Hashed())


@pytest.mark.parametrize("check", vector_store_checks(), ids=lambda check: check.__name__)
def test_a_vector_store_keeps_the_contract(check: Any) -> None:
    store = InMemoryVectorStore(Hashed())
    check(lambda: store)


class Broken(Hashed):
    def __init__(self, how: str) -> None:
        super().__init__()
        self._how, self._calls = how, itertools.count()

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        vectors = super().embed_documents(texts)
        if self._how == "one too few":
            return vectors[:-1]
        if self._how == "lengths":
            return [vector[: 500 + n] for n, vector in enumerate(vectors)]
        if self._how == "random":
            return [[value + next(self._calls) % 3 for value in vector] for vector in vectors]
        if self._how == "all alike":
            return [[1.0] * 512 for _ in texts]
        return [[float("nan")] * 512 for _ in texts]


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("one too few", "5 vectors for 5 texts"),
        ("lengths", "vectors of one length"),
        ("random", "same vector for the same text"),
        ("all alike", "similarity of 1.000"),
        ("nan", "finite numbers"),
    ],
)
def test_a_broken_embedder_is_told_what_was_expected(how: str, message: str) -> None:
    found = []
    for check in embeddings_checks():
        try:
            check(Broken(how))
        except AssertionError as error:
            found.append(str(error))
    assert any(message in line for line in found), found


def test_an_embedder_can_be_measured_before_it_is_used() -> None:
    assert measure_embeddings(HashingEmbedder(), 0.9).recall >= 0.95


def ask(id: str, text: str) -> CoverageAsk:
    return CoverageAsk(f"{id}.claim", id, text, {"source": "s"})


def test_a_vector_store_in_the_place_of_chroma_keeps_the_questions() -> None:
    store, embedder = InMemoryVectorStore(Hashed()), NamedEmbedder("mine:1", Hashed())
    with VectorStoreCoverage(store, embedder) as coverage:
        coverage.claim(ask("a/r1", "What do 3 tickets cost in total?"))
        assert coverage.claim(ask("b/r1", "In total, what do three tickets cost?")).nearest == "a/r1"
        assert coverage.claim(ask("c/r1", "What do 4 tickets cost in total?")).similarity < 0.9
    assert {document.id for document in store.get_by_ids(["a/r1", "b/r1", "c/r1"])} == {"a/r1", "b/r1", "c/r1"}
    store.delete(["b/r1"])
    with VectorStoreCoverage(store, embedder) as again:
        again.preload(
            [ask("a/r1", "What do 3 tickets cost in total?"), ask("b/r1", "In total, what do three tickets cost?")]
        )
        assert again.claim(ask("d/r1", "what do 3 TICKETS cost in total")).nearest == "a/r1"
    assert len(store.get_by_ids(["b/r1", "d/r1"])) == 2


def test_the_documented_way_to_a_vector_store_of_ones_own_runs() -> None:
    page = (Path(__file__).parents[2] / "docs" / "coverage.md").read_text(encoding="utf-8")
    blocks = [part.split("```")[0] for part in page.split("```python\n")[1:]]
    (block,) = [block for block in blocks if "VectorStoreCoverage(" in block]
    space: dict[str, Any] = {
        "my_embeddings": Hashed(),
        "recipe": Recipe.for_domain("math_objects"),
        "sources": [Source.create("Tank A holds 3 litres and tank B holds 4.", id="tanks.md")],
        "models": scripted_models(),
    }
    exec(block, space)
    assert len(space["result"].examples) == 1
    kept = space["store"].store
    assert {entry["metadata"]["source"] for entry in kept.values()} == {"tanks.md"}


def test_vectors_of_two_embedders_are_not_mixed_in_a_store() -> None:
    store = InMemoryVectorStore(Hashed())
    with VectorStoreCoverage(store, NamedEmbedder("mine:1", Hashed())) as coverage:
        coverage.claim(ask("a/r1", "What do 3 tickets cost in total?"))
    other = VectorStoreCoverage(store, NamedEmbedder("mine:2", Hashed()))
    with pytest.raises(StoreError, match="of the embedder 'mine:1', this run uses 'mine:2'"):
        other.preload([ask("a/r1", "What do 3 tickets cost in total?")])
    other.close()


def test_a_store_that_fails_stops_no_decision() -> None:
    class Failing(InMemoryVectorStore):
        def add_texts(self, *arguments: Any, **named: Any) -> list[str]:
            raise RuntimeError("no disk")

    coverage = VectorStoreCoverage(Failing(Hashed()), NamedEmbedder("mine:1", Hashed()))
    coverage.claim(ask("a/r1", "What do 3 tickets cost in total?"))
    assert coverage.claim(ask("b/r1", "what do 3 tickets cost, in total")).nearest == "a/r1"
    with pytest.raises(StoreError, match="vector store Failing failed: RuntimeError: no disk"):
        coverage.close()
