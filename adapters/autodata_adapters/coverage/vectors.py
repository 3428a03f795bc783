"""The questions of a run in memory, and which of them is nearest to a new one: exact, by comparing with all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from autodata_adapters.coverage.folding import text_hash
from autodata_core.errors import RecipeError
from autodata_core.ports import CoverageAsk, CoverageReply

if TYPE_CHECKING:
    import numpy as np

    Vector = np.ndarray[Any, np.dtype[np.float32]]

__all__ = ["Entry", "VectorIndex", "to_unit"]

_FIRST_CAPACITY = 256


class Entry(NamedTuple):
    """A question with its vector."""

    ask: CoverageAsk
    vector: Vector
    """Of length 1, or zeros where the text has nothing to compare."""


class VectorIndex:
    """Entries in the order they came. Not safe from many threads: its owner holds a lock."""

    def __init__(self) -> None:
        self._asks: list[CoverageAsk] = []
        self._by_hash: dict[bytes, int] = {}
        self._matrix: Vector | None = None

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
        if self._matrix is None or known == 0:
            return CoverageReply()
        self._check_length(vector)
        similarities = self._matrix[:known] @ vector
        best = int(similarities.argmax())
        # Rounding can leave a little more than 1 or less than 0; six decimals hide what processors add up differently.
        similarity = round(min(max(float(similarities[best]), 0.0), 1.0), 6)
        if similarity == 0.0:
            return CoverageReply()
        return CoverageReply(similarity=similarity, nearest=self._asks[best].id, text=self._asks[best].text)

    def add(self, entry: Entry) -> None:
        """Remember an entry; of two with the same folded text the first is the one that is found."""
        import numpy as np

        if self._matrix is None:
            self._matrix = np.zeros((_FIRST_CAPACITY, len(entry.vector)), np.float32)
        self._check_length(entry.vector)
        if len(self._asks) == len(self._matrix):
            self._matrix = np.concatenate([self._matrix, np.zeros_like(self._matrix)])
        self._matrix[len(self._asks)] = entry.vector
        self._by_hash.setdefault(text_hash(entry.ask.text), len(self._asks))
        self._asks.append(entry.ask)

    def _check_length(self, vector: Vector) -> None:
        if self._matrix is not None and len(vector) != self._matrix.shape[1]:
            raise RecipeError(
                f"The embedder gave a vector of {len(vector)} numbers after vectors of {self._matrix.shape[1]}. "
                "Use an embedder whose vectors all have one length."
            )


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
