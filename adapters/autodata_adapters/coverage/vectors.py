"""The questions of a run in memory, and which of them is nearest to a new one: exact for every pair that is looked at."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from autodata_adapters.coverage.folding import text_hash
from autodata_adapters.coverage.nearness import OTHER_QUESTION, Shape, conflict, nearness, shape_of
from autodata_adapters.coverage.sketches import Sketches
from autodata_core.errors import RecipeError
from autodata_core.ports import CoverageAsk, CoverageReply

if TYPE_CHECKING:
    import numpy as np

    Vector = np.ndarray[Any, np.dtype[np.float32]]

__all__ = ["Entry", "VectorIndex", "to_unit"]

_BLOCK = 1024
"""Entries in one matrix, and how many are compared one by one before sketches choose."""
_SKETCHED = 64
"""Entries that sketches choose, to be compared by their vectors."""
_COMPARED = 16
"""Entries that are compared as pairs."""
_UNLIKE = 0.5
"""Ours: vectors less similar than this are not compared as pairs. Of 2,300 planted copies the least similar had .61."""


class Shingles(Protocol):
    """Makes vectors of the wording of texts."""

    def embed_matrix(self, texts: Sequence[str]) -> Any: ...


class Entry(NamedTuple):
    """A question with its vector."""

    ask: CoverageAsk
    vector: Vector
    """Of length 1, or zeros where the text has nothing to compare."""


class VectorIndex:
    """Entries in the order they came. Not safe from many threads: its owner holds a lock.

    Vectors say which entries are worth a look, and `nearness` what a pair is; up to a few thousand entries every vector is
    compared, beyond that those with the most similar sketches.

    Args:
        semantic: The vectors know meaning, so that their similarity counts beside the words; False for hashed words.
        shingles: Makes vectors of the wording, to find light edits that vectors of meaning do not put first; None where the
            vectors are of the wording themselves.
    """

    def __init__(self, *, semantic: bool = True, shingles: Shingles | None = None) -> None:
        self._semantic = semantic
        self._shingles = shingles
        self._asks: list[CoverageAsk] = []
        self._by_hash: dict[bytes, int] = {}
        self._by_content: dict[bytes, int] = {}
        self._blocks: list[Vector] = []
        self._sketches: Sketches | None = None
        self._wordings: Sketches | None = None

    def __len__(self) -> int:
        return len(self._asks)

    def nearest(self, ask: CoverageAsk, vector: Vector, *, before: int | None = None) -> CoverageReply:
        """Return the nearest among the first `before` entries, or among all.

        The same text after folding counts as 1, whatever the vectors say.
        """
        known = len(self._asks) if before is None else before
        same = self._by_hash.get(text_hash(ask.text))
        if same is not None and same < known:
            return CoverageReply(similarity=1.0, nearest=self._asks[same].id, text=self._asks[same].text)
        if not self._blocks or known == 0:
            return CoverageReply()
        self._check_length(vector)
        shape = shape_of(ask.text)
        best, best_similarity = -1, 0.0
        for place, (similarity, worded) in sorted(self._candidates(ask.text, shape, vector, known).items()):
            # Whatever its vector is like, what shares the wording is looked at.
            found = self._pair(shape, place, similarity) if worded or similarity >= _UNLIKE else similarity
            if found > best_similarity:
                best, best_similarity = place, found
        if best < 0:
            return CoverageReply()
        return CoverageReply(similarity=best_similarity, nearest=self._asks[best].id, text=self._asks[best].text)

    def add(self, entry: Entry) -> None:
        """Remember an entry; of two with the same folded text the first is the one that is found."""
        import numpy as np

        self._check_length(entry.vector)
        place = len(self._asks)
        if place % _BLOCK == 0:
            self._blocks.append(np.zeros((_BLOCK, len(entry.vector)), np.float32))
        self._blocks[-1][place % _BLOCK] = entry.vector
        self._by_hash.setdefault(text_hash(entry.ask.text), place)
        self._by_content.setdefault(_content_hash(shape_of(entry.ask.text)), place)
        self._asks.append(entry.ask)
        self._sketch(entry, place)

    def candidates(self, text: str, vector: Vector) -> frozenset[int]:
        """Return the places of the entries that a new text would be compared with, as pairs."""
        return frozenset(self._candidates(text, shape_of(text), vector, len(self._asks))) if self._asks else frozenset()

    def _candidates(self, text: str, shape: Shape, vector: Vector, known: int) -> dict[int, tuple[float, bool]]:
        """Return places with the similarity of their vectors, and whether their wording brought them here."""
        import numpy as np

        if self._sketches is None or known <= _BLOCK:
            places: list[int] = list(range(known))
            similarities = self._blocks[0][:known] @ vector
        else:
            places = self._sketches.nearest(vector, _SKETCHED, known)
            rows = np.empty((len(places), len(vector)), np.float32)
            for n, place in enumerate(places):
                rows[n] = self._vector(place)
            similarities = rows @ vector
        order = np.argsort(-similarities, kind="stable")[:_COMPARED]
        found = {places[n]: (round(float(similarities[n]), 6), False) for n in order}
        others = [self._by_content.get(_content_hash(shape), known)]
        if self._wordings is not None and self._shingles is not None:
            others += self._wordings.nearest(_first(self._shingles.embed_matrix([text])), _COMPARED, known)
        for place in others:
            if place < known:
                found[place] = (round(float(self._vector(place) @ vector), 6), True)
        return found

    def _pair(self, shape: Shape, place: int, similarity: float) -> float:
        """Return how near one pair is, in [0, 1]; six decimals hide what processors add up differently."""
        other = shape_of(self._asks[place].text)
        words = nearness(shape, other)
        if not self._semantic:
            return round(words, 6)
        meaning = min(max(similarity, 0.0), 1.0)
        if meaning > OTHER_QUESTION and conflict(shape, other):
            meaning = OTHER_QUESTION
        return round(max(meaning, words), 6)

    def _sketch(self, entry: Entry, place: int) -> None:
        """Keep sketches once there are more entries than are compared one by one."""
        if self._shingles is not None:
            self._wordings = self._wordings or Sketches()
            self._wordings.add(_first(self._shingles.embed_matrix([entry.ask.text])))
        if place + 1 < _BLOCK:
            return
        if self._sketches is None:
            self._sketches = Sketches()
            for earlier in range(place):
                self._sketches.add(self._vector(earlier))
        self._sketches.add(entry.vector)

    def _vector(self, place: int) -> Vector:
        row: Vector = self._blocks[place // _BLOCK][place % _BLOCK]
        return row

    def _check_length(self, vector: Vector) -> None:
        if self._blocks and len(vector) != self._blocks[0].shape[1]:
            raise RecipeError(
                f"The embedder gave a vector of {len(vector)} numbers after vectors of {self._blocks[0].shape[1]}. "
                "Use an embedder whose vectors all have one length."
            )


def _first(matrix: Any) -> Vector:
    row: Vector = matrix[0]
    return row


def _content_hash(shape: Shape) -> bytes:
    """Return what questions have in common that ask the same in another order or frame."""
    content = repr((sorted(shape.words.items()), shape.bare, shape.negations % 2))
    return hashlib.blake2b(content.encode("utf-8", "replace"), digest_size=16).digest()


def to_unit(vectors: Sequence[Sequence[float]]) -> list[Vector]:
    """Return the vectors with length 1; one with NaN or infinity in it, or of length 0, becomes zeros."""
    import numpy as np

    made: list[Vector] = []
    for values in vectors:
        vector = np.asarray(values, np.float64)
        with np.errstate(over="ignore", invalid="ignore"):
            length = float(np.linalg.norm(vector))
        usable = np.isfinite(length) and length > 0
        made.append((vector / length if usable else np.zeros(vector.shape)).astype(np.float32))
    return made
