"""What an embedder and a vector store of the user's must do to take the place of ours, as checks that anybody can run.

    @pytest.mark.parametrize("check", embeddings_checks(), ids=lambda check: check.__name__)
    def test_my_embeddings_fit(check):
        check(MyEmbeddings())

A check raises `AssertionError` with what was expected and what came. No test framework is needed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from autodata_adapters.coverage.planted import Caught, caught, distinct_pairs, planted_pairs
from autodata_adapters.coverage.vectors import Entry, VectorIndex, to_unit
from autodata_core.ports import CoverageAsk

__all__ = ["embeddings_checks", "measure_embeddings", "vector_store_checks"]

Check = Callable[[Any], None]
"""Takes the embeddings, or a function that opens one and the same vector store, empty at first."""

_TEXTS = ("What do 3 tickets cost in total?", "Why was the appeal dismissed?", "数据是什么？", "x" * 5_000, "a")
_HOSTILE = ("", " ", "\x00", "👩‍👩‍👧", "'; DROP TABLE item; --", "\u202e" * 50)


def embeddings_checks() -> tuple[Check, ...]:
    """Return the checks for a LangChain `Embeddings`, or anything else with `embed_documents`."""
    return (
        each_text_gets_one_vector_of_one_length,
        vectors_are_finite_numbers,
        the_same_text_gets_the_same_vector,
        a_text_gets_its_vector_whatever_stands_beside_it,
        different_texts_get_different_vectors,
        hostile_texts_get_vectors,
        many_threads_may_ask_at_once,
    )


def vector_store_checks() -> tuple[Check, ...]:
    """Return the checks for a LangChain `VectorStore`."""
    return (
        what_was_added_comes_back_by_id,
        adding_twice_keeps_one,
        an_unknown_id_gives_nothing,
        hostile_questions_are_kept,
        the_same_text_is_found_first,
    )


def measure_embeddings(embeddings: Any, near: float) -> Caught:
    """Return what the near-duplicate decision makes of planted pairs with these vectors, to choose `near_duplicate` by.

    Asks for about 3,000 vectors.
    """
    pairs = (*planted_pairs(), *distinct_pairs())
    texts = list(dict.fromkeys(text for pair in pairs for text in (pair.one, pair.two)))
    vectors = dict(zip(texts, to_unit(embeddings.embed_documents(texts)), strict=True))
    semantic = not getattr(embeddings, "cheap", False)

    def same(one: str, two: str) -> bool:
        index = VectorIndex(semantic=semantic)
        index.add(Entry(CoverageAsk("one", "one", one), vectors[one]))
        return index.nearest(CoverageAsk("two", "two", two), vectors[two]).similarity >= near

    return caught(same, pairs)


def each_text_gets_one_vector_of_one_length(embeddings: Any) -> None:
    vectors = embeddings.embed_documents(list(_TEXTS))
    _true(
        len(vectors) == len(_TEXTS), f"{len(_TEXTS)} vectors for {len(_TEXTS)} texts were expected, got {len(vectors)}"
    )
    lengths = {len(vector) for vector in vectors}
    _true(len(lengths) == 1 and 0 not in lengths, f"vectors of one length were expected, got lengths {sorted(lengths)}")
    _true(embeddings.embed_documents([]) == [], "no vectors for no texts were expected")


def vectors_are_finite_numbers(embeddings: Any) -> None:
    for vector in _embedded(embeddings, list(_TEXTS)):
        _true(all(math.isfinite(float(value)) for value in vector), "finite numbers were expected")
        _true(any(float(value) for value in vector), "a vector that is not all zeros was expected")


def the_same_text_gets_the_same_vector(embeddings: Any) -> None:
    first, second = _embedded(embeddings, [_TEXTS[0]]), _embedded(embeddings, [_TEXTS[0]])
    _true(
        _alike(first[0], second[0]),
        "the same vector for the same text was expected, or a resumed run decides otherwise",
    )


def a_text_gets_its_vector_whatever_stands_beside_it(embeddings: Any) -> None:
    together = _embedded(embeddings, list(_TEXTS[:3]))
    for text, vector in zip(_TEXTS[:3], together, strict=True):
        _true(_alike(_embedded(embeddings, [text])[0], vector), f"{text!r} got another vector in a batch than alone")


def different_texts_get_different_vectors(embeddings: Any) -> None:
    one, two, three = to_unit(_embedded(embeddings, list(_TEXTS[:3])))
    for a, b in ((one, two), (one, three), (two, three)):
        _true(float(a @ b) < 0.98, f"texts about different things have a similarity of {float(a @ b):.3f}")


def hostile_texts_get_vectors(embeddings: Any) -> None:
    vectors = _embedded(embeddings, list(_HOSTILE))
    _true(len(vectors) == len(_HOSTILE), "one vector for each text was expected, empty and odd texts as well")


def many_threads_may_ask_at_once(embeddings: Any) -> None:
    alone = _embedded(embeddings, list(_TEXTS))
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda text: _embedded(embeddings, [text])[0], _TEXTS * 4))
    for vector, wanted in zip(found, alone * 4, strict=True):
        _true(_alike(vector, wanted), "threads that ask at once got one another's vectors")


def what_was_added_comes_back_by_id(open_store: Callable[[], Any]) -> None:
    store = open_store()
    store.add_texts(list(_TEXTS[:2]), metadatas=[{"n": "0"}, {"n": "1"}], ids=["a/r1", "b/r1"])
    found = {document.id: document for document in store.get_by_ids(["b/r1", "a/r1"])}
    _true(set(found) == {"a/r1", "b/r1"}, f"two documents by their ids were expected, got {sorted(found)}")
    _true(found["a/r1"].page_content == _TEXTS[0], "the text as it was added was expected")
    _true(found["b/r1"].metadata.get("n") == "1", "the metadata as they were added were expected")


def adding_twice_keeps_one(open_store: Callable[[], Any]) -> None:
    store = open_store()
    for text in _TEXTS[:2]:
        store.add_texts([text], metadatas=[{"n": "0"}], ids=["twice/r1"])
    found = store.get_by_ids(["twice/r1"])
    _true([document.page_content for document in found] == [_TEXTS[1]], "one document with the newer text was expected")


def an_unknown_id_gives_nothing(open_store: Callable[[], Any]) -> None:
    _true(list(open_store().get_by_ids(["nobody/r9"])) == [], "nothing was expected for an id that was never added")


def hostile_questions_are_kept(open_store: Callable[[], Any]) -> None:
    store = open_store()
    kept = [text for text in _HOSTILE if text.strip("\x00 ")]
    ids = [f"hostile/r{n}" for n in range(len(kept))]
    store.add_texts(kept, metadatas=[{"n": str(n)} for n in range(len(kept))], ids=ids)
    found = {document.id: document.page_content for document in store.get_by_ids(ids)}
    _true([found.get(id) for id in ids] == kept, "odd texts as they were added were expected")


def the_same_text_is_found_first(open_store: Callable[[], Any]) -> None:
    store = open_store()
    store.add_texts(list(_TEXTS[:3]), metadatas=[{"n": str(n)} for n in range(3)], ids=["0/r1", "1/r1", "2/r1"])
    for text in _TEXTS[:3]:
        found = store.similarity_search(text, k=1)
        _true(bool(found) and found[0].page_content == text, f"{text!r} itself was expected as the nearest")


def _embedded(embeddings: Any, texts: list[str]) -> list[Sequence[float]]:
    vectors: list[Sequence[float]] = embeddings.embed_documents(texts)
    _true(len(vectors) == len(texts), f"{len(texts)} vectors for {len(texts)} texts were expected, got {len(vectors)}")
    lengths = {len(vector) for vector in vectors}
    _true(len(lengths) == 1 and 0 not in lengths, f"vectors of one length were expected, got lengths {sorted(lengths)}")
    return vectors


def _alike(one: Sequence[float], two: Sequence[float]) -> bool:
    if len(one) != len(two):
        return False
    a, b = to_unit([one, two])
    return bool(float(a @ b) > 0.9999 or not (a.any() or b.any()))


def _true(holds: bool, message: str) -> None:
    if not holds:
        raise AssertionError(message)
