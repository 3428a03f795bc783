"""An embedder without a model: weighted words, character n-grams and numbers, hashed into a vector.

It finds copies and light edits (case, punctuation, word order, plural), not paraphrases. Each kind of feature has a
fixed share of the similarity, whatever the length of the text: a question that differs from another in its numbers
only is a new question, and loses the share of the numbers however much wording the two have in common.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from autodata_adapters.coverage.folding import STOP_WORDS, is_exact, stem, tokens
from autodata_core.errors import MissingExtraError

if TYPE_CHECKING:
    import numpy as np

__all__ = ["NEAR_DUPLICATE", "HashingEmbedder"]

NEAR_DUPLICATE = 0.90
"""Ours: similarity of this embedder from which two questions are near copies; see `tests/edges/test_coverage.py`."""


_SHARES = {"words": 0.50, "pairs": 0.05, "grams": 0.20, "numbers": 0.25}
"""Ours: how much of the similarity each kind of feature decides. A text without a kind shares its part out."""


class HashingEmbedder:
    """Gives each text a vector of length 1 and 512 dimensions; a text without any word or number gets zeros.

    Deterministic, offline, stateless; safe from many threads. Has the methods of LangChain's `Embeddings`.

    Raises:
        MissingExtraError: scikit-learn is not installed.
    """

    name = "hashing-v1"
    """Changes when any vector would."""
    dims = 512
    cheap = True
    """Vectors are made again rather than read back from an index that somebody may have changed."""

    def __init__(self) -> None:
        try:
            from sklearn.feature_extraction import FeatureHasher
        except ImportError as error:
            raise MissingExtraError("scikit-learn", "chroma", "The hashing embedder") from error
        # Not HashingVectorizer: it has no weights, so numbers could not count for more than the template around them.
        self._hasher = FeatureHasher(n_features=self.dims, input_type="pair", dtype="float32")

    def embed_documents(self, texts: Sequence[str]) -> list[list[float]]:
        """Return one vector for each text, in order."""
        return [[float(value) for value in row] for row in self.embed_matrix(texts)]

    def embed_query(self, text: str) -> list[float]:
        """Return the vector of one text; the same as `embed_documents` gives it."""
        return self.embed_documents([text])[0]

    def embed_matrix(self, texts: Sequence[str]) -> np.ndarray[Any, np.dtype[np.float32]]:
        """Return the vectors as the rows of a matrix."""
        import numpy as np

        if not texts:
            return np.zeros((0, self.dims), np.float32)
        matrix = self._hasher.transform(_weighted(tokens(text)) for text in texts).toarray()
        lengths = np.linalg.norm(matrix, axis=1, keepdims=True)
        made: np.ndarray[Any, np.dtype[np.float32]] = matrix / np.where(lengths == 0, 1, lengths)
        return made


def _weighted(folded: list[str]) -> list[tuple[str, float]]:
    """Return every feature of a text with its weight; the squares of the weights of a kind add up to its share."""
    words = _content(folded)
    kinds = {
        "words": Counter(words),
        "pairs": Counter(f"{one} {two}" for one, two in pairwise(words)),
        "grams": Counter(gram for word in words for gram in _grams(word)),
        "numbers": _numbers(folded),
    }
    weighted: list[tuple[str, float]] = []
    for kind, counts in kinds.items():
        if counts:
            unit = (_SHARES[kind] / sum(count * count for count in counts.values())) ** 0.5
            weighted += [(f"{kind} {feature}", unit * count) for feature, count in counts.items()]
    return weighted


def _content(folded: list[str]) -> list[str]:
    words = [stem(token) for token in folded if token not in STOP_WORDS and not is_exact(token)]
    return words or [token for token in folded if not is_exact(token)]


@lru_cache(maxsize=20_000)
def _grams(word: str) -> tuple[str, ...]:
    padded = f" {word} "
    return tuple(padded[at : at + size] for size in (3, 4, 5) for at in range(max(1, len(padded) - size + 1)))


def _numbers(folded: list[str]) -> Mapping[str, float]:
    """Return each number with the word right after it, and all of them as one feature, so that a changed one shows."""
    exact: Counter[str] = Counter()
    for token, after in pairwise([*folded, ""]):
        if is_exact(token):
            exact[token if not after or after in STOP_WORDS else f"{token} {stem(after)}"] += 1
    if not exact:
        return {}
    # As much weight as all the single numbers together.
    whole = sum(count * count for count in exact.values()) ** 0.5
    return {**exact, "all: " + "|".join(sorted(exact.elements())): whole}
