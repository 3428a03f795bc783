"""Signs of random projections of vectors, 256 bits each: finds the few entries worth comparing exactly. Decides nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    Vector = np.ndarray[Any, np.dtype[np.float32]]
    Bits = np.ndarray[Any, np.dtype[np.uint64]]
    Counts = np.ndarray[Any, np.dtype[np.uint8]]

__all__ = ["Sketches"]

_WORDS = 4
"""64-bit words in a sketch. Two vectors at a cosine of .9 agree in 220 bits of 256, unrelated ones in 128."""
_FIRST_CAPACITY = 4096
_AT_ONCE = 1 << 15
"""Sketches compared at once, so that what comes between stays in the processor's cache."""
_SAMPLE = 4096
_STEP = 4


class Sketches:
    """Sketches in the order they came. Nothing is trained, so that the same entries in any order give the same candidates.

    A look takes time in proportion to the entries, but reads 32 bytes of each: a third of a millisecond for 100,000.
    """

    def __init__(self) -> None:
        import numpy as np

        self._words: list[Bits] = [np.zeros(_FIRST_CAPACITY, np.uint64) for _ in range(_WORDS)]
        self._planes: Vector | None = None
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def add(self, vector: Vector) -> None:
        """Remember one more."""
        import numpy as np

        if self._size == len(self._words[0]):
            self._words = [np.concatenate([word, np.zeros_like(word)]) for word in self._words]
        for word, value in zip(self._words, self._sketch(vector), strict=True):
            word[self._size] = value
        self._size += 1

    def nearest(self, vector: Vector, count: int, known: int) -> list[int]:
        """Return the places of the `count` most alike among the first `known`, the earlier first among equals."""
        if known <= count:
            return list(range(known))
        return _least(self._distances(self._sketch(vector), known), count)

    def _distances(self, sketch: Bits, known: int) -> Counts:
        """Return in how many bits each sketch differs. All 256 would count as 0, which costs a look and decides nothing."""
        import numpy as np

        found: Counts = np.empty(known, np.uint8)
        for at in range(0, known, _AT_ONCE):
            end = min(known, at + _AT_ONCE)
            found[at:end] = sum(_ones(word[at:end] ^ value) for word, value in zip(self._words, sketch, strict=True))
        return found

    def _sketch(self, vector: Vector) -> Bits:
        import numpy as np

        if self._planes is None:
            planes = np.random.default_rng(20_261).standard_normal((64 * _WORDS, len(vector)))
            self._planes = planes.astype(np.float32)
        made: Bits = np.packbits(self._planes @ vector > 0).view(np.uint64)
        return made


def _least(distances: Counts, count: int) -> list[int]:
    """Return the places of the `count` smallest, the earlier first among equals."""
    import numpy as np

    # The smallest of a sample bounds what has to be sorted; at a thousand to one it leaves few.
    bound = int(distances[:: max(1, len(distances) // _SAMPLE)].min())
    while len(near := np.flatnonzero(distances <= bound)) < count:
        bound += _STEP
    found = distances[near]
    limit = int(np.searchsorted(np.cumsum(np.bincount(found)), count))
    nearer = near[found < limit]
    level = near[found == limit][: count - len(nearer)]
    return [int(place) for place in (*nearer, *level)]


def _ones(words: Bits) -> Any:
    """Return how many bits of each word are set."""
    import numpy as np

    if hasattr(np, "bitwise_count"):  # numpy 2
        return np.bitwise_count(words)
    table = np.array([value.bit_count() for value in range(1 << 16)], np.uint8)
    return table[words.view(np.uint16)].reshape(-1, 4).sum(axis=1, dtype=np.uint8)
