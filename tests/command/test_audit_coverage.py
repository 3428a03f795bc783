"""What an audit takes for a near copy: as a run does, by wording with the default embedder, by meaning with one that knows it."""

from __future__ import annotations

import math

import pytest

from autodata_adapters.coverage import HashingEmbedder
from autodata_cli.auditing import MemoryCoverage
from autodata_core.ports import CoverageAsk

pytest.importorskip("sklearn")

ASKED = "Why did the company's profit shrink in spring?"
REPHRASED = "What made earnings of the firm fall during March to May?"
LIGHT_EDIT = "why did the company's proffit shrink in spring"
TRAIN = "A train leaves {} at 12:15 and arrives in Zurich at 31:40. How long does the journey take?"
LIKE_IT = [
    ("What do 3 tickets for the tram to the harbour cost?", "What do 7 tickets for the tram to the harbour cost?"),
    (TRAIN.format("Turin"), TRAIN.format("Porto")),
]


class Meaning:
    """An embedder for which two sentences mean the same, though they share next to no word; it says nothing of spelling."""

    name = "meaning-v1"

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return [self._vector(text) for text in texts]

    def _vector(self, text: str) -> list[float]:
        if text in (ASKED, REPHRASED):
            return [1.0, 0.05 * (text == ASKED), 0.0]
        turn = sum(text.encode()) % 360
        return [0.0, math.cos(turn), math.sin(turn)]


def nearest(embedder: object, one: str, two: str) -> float:
    coverage = MemoryCoverage(embedder)  # type: ignore[arg-type]
    assert coverage.claim(CoverageAsk("k", "1", one)).nearest is None
    return coverage.claim(CoverageAsk("k", "2", two)).similarity


def test_a_rephrasing_is_found_by_an_embedder_of_meaning_only() -> None:
    assert nearest(Meaning(), ASKED, REPHRASED) > 0.99
    assert nearest(HashingEmbedder(), ASKED, REPHRASED) < 0.5


def test_a_light_edit_is_found_by_its_wording_whatever_the_vectors_mean() -> None:
    assert nearest(Meaning(), ASKED, LIGHT_EDIT) >= 0.9
    assert nearest(HashingEmbedder(), ASKED, LIGHT_EDIT) >= 0.9


@pytest.mark.parametrize(("one", "two"), LIKE_IT)
def test_what_differs_in_a_number_or_a_thing_is_no_copy_in_an_audit_either(one: str, two: str) -> None:
    assert nearest(HashingEmbedder(), one, two) < 0.9
