"""Figures from vectors: what no question is near, which few sources stand for all, a plane to look at, the Vendi score."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from autodata_core.coverage import Region, vendi

if TYPE_CHECKING:
    import numpy as np

    Matrix = np.ndarray[Any, np.dtype[np.float32]]

__all__ = ["far_regions", "on_plane", "representatives", "similarity_matrix", "vendi_score"]

_ROWS_AT_ONCE = 2048
"""Rows of a product that are in memory at once."""
_PASSAGE_CHARS = 80


def far_regions(
    sources: Matrix,
    questions: Matrix,
    names: Sequence[str],
    texts: Sequence[str] = (),
    *,
    count: int = 5,
    beside: int = 2,
) -> tuple[Region, ...]:
    """Return the places in the sources farthest from every question, each also far from those returned before it.

    Args:
        sources: One row of length 1 for each source.
        questions: One row of length 1 for each question; there may be none.
        names: Of the sources.
        texts: Of the sources, to show how they begin.
        count: Places at most; none where a question says the same.
        beside: Neighbours named with each place.

    Returns:
        The farthest first; of equals the one that comes first in `names`.
    """
    import numpy as np

    nearest = _nearest(sources, questions)
    covered = nearest.copy()
    found: list[Region] = []
    for _ in range(min(count, len(sources))):
        place = int(np.argmin(covered))
        if covered[place] >= 1 - 1e-6:
            break
        to_place = sources @ sources[place]
        near = [int(n) for n in np.argsort(-to_place, kind="stable") if n != place and to_place[n] > 0][:beside]
        found.append(
            Region(
                source=names[place],
                similarity=round(float(min(max(nearest[place], 0.0), 1.0)), 6),
                neighbours=tuple(names[n] for n in near),
                passage=_passage(texts[place]) if texts else "",
            )
        )
        covered = np.maximum(covered, to_place)
        covered[place] = 1.0
    return tuple(found)


def representatives(sources: Matrix, count: int) -> tuple[int, ...]:
    """Return the few sources that lie nearest to all: greedy facility location, which is within 63 % of the best choice."""
    import numpy as np

    best = np.zeros(len(sources), np.float32)
    chosen: list[int] = []
    for _ in range(min(count, len(sources))):
        gains = np.concatenate(
            [
                np.maximum(sources[at : at + _ROWS_AT_ONCE] @ sources.T - best, 0).sum(axis=1)
                for at in range(0, len(sources), _ROWS_AT_ONCE)
            ]
        )
        gains[chosen] = -1
        place = int(np.argmax(gains))
        chosen.append(place)
        best = np.maximum(best, sources @ sources[place])
    return tuple(chosen)


def on_plane(*groups: Matrix) -> tuple[tuple[tuple[float, float], ...], ...]:
    """Return x and y in [0, 1] for each row of each group, by the two directions in which they differ most together."""
    import numpy as np

    sizes = [len(group) for group in groups]
    filled = [group for group in groups if len(group)]
    if not filled:
        return tuple(() for _ in groups)
    whole = np.concatenate(filled).astype(np.float64)
    centred = whole - whole.mean(axis=0)
    _, directions = np.linalg.eigh(centred.T @ centred)
    axes = directions[:, ::-1][:, :2]
    # The sign of a direction is arbitrary; the largest part is made positive.
    axes = axes * np.sign(axes[np.abs(axes).argmax(axis=0), range(axes.shape[1])])
    flat = np.zeros((len(whole), 2))
    flat[:, : axes.shape[1]] = centred @ axes
    low, spread = flat.min(axis=0), np.ptp(flat, axis=0)
    scaled = np.where(spread > 1e-9, (flat - low) / np.where(spread > 1e-9, spread, 1), 0.5)
    points = [(round(float(x), 4), round(float(y), 4)) for x, y in scaled]
    ends = np.cumsum(sizes)
    return tuple(tuple(points[end - size : end]) for end, size in zip(ends, sizes, strict=True))


def similarity_matrix(vectors: Matrix, most: int = 500) -> Matrix:
    """Return the similarities of pairs of (the newest `most`) rows of length 1, in [0, 1]."""
    import numpy as np

    sample = vectors[-most:]
    made: Matrix = np.clip(sample @ sample.T, 0, 1)
    return made


def vendi_score(similarities: Matrix) -> float:
    """Return the effective number of different texts, from 1 to as many as there are; 0 of none."""
    import numpy as np

    count = len(similarities)
    return vendi(np.linalg.eigvalsh(similarities.astype(np.float64) / count).tolist()) if count else 0.0


def _nearest(sources: Matrix, questions: Matrix) -> Matrix:
    import numpy as np

    nearest: Matrix = np.zeros(len(sources), np.float32)
    for at in range(0, len(questions), _ROWS_AT_ONCE):
        nearest = np.maximum(nearest, (sources @ questions[at : at + _ROWS_AT_ONCE].T).max(axis=1))
    return nearest


def _passage(text: str) -> str:
    line = " ".join("".join(c if c.isprintable() else " " for c in text[: 4 * _PASSAGE_CHARS]).split())
    return line if len(line) <= _PASSAGE_CHARS else line[: _PASSAGE_CHARS - 1] + "…"
