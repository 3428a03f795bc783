"""Puts a run's steering together: topics of its sources, targets, and the vectors that say which source no question is near."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from autodata_adapters.coverage.geometry import similarity_matrix, vendi_score
from autodata_adapters.coverage.hashing import HashingEmbedder
from autodata_adapters.coverage.targeting import read_failures, read_targets
from autodata_adapters.coverage.topics import SourceTopics, load_taxonomy, taxonomy_topics, topics_of
from autodata_core.coverage import OTHER, Band, Cell, Steering, TopicMap, grid, key_terms, proportional, tabled, uniform
from autodata_core.records import Source

__all__ = ["Alike", "FarSources", "create_steering", "create_targets", "create_topics"]

_MOST_FAR = 32
"""Sources that are named; a batch explores fewer."""
_LOOKED_AT = 20_000
"""Characters of a source that questions are compared with here; a longer document is better cut (`chunk_tokens`)."""
_ALIKE = 500
_SPOKEN = 0.5
"""Ours: share of a failure's words that the sources must have between them, or they do not speak of it."""


@dataclass
class FarSources:
    """Names the sources that no question is near by wording, the farthest first. Each question is looked at once."""

    sources: Sequence[Source]
    _vectors: Any = field(default=None, init=False, repr=False)
    _nearest: Any = field(default=None, init=False, repr=False)
    _looked_at: int = field(default=0, init=False, repr=False)

    @cached_property
    def _embedder(self) -> HashingEmbedder:
        return HashingEmbedder()  # at its first use: importing what it needs takes a second

    def __call__(self, questions: Sequence[str]) -> tuple[str, ...]:
        """Return ids of sources; `questions` are those of the last call and more."""
        import numpy as np

        if self._vectors is None:
            self._vectors = self._embedder.embed_matrix([source.text[:_LOOKED_AT] for source in self.sources])
            self._nearest = np.zeros(len(self.sources), np.float32)
        new = questions[self._looked_at :]
        self._looked_at = len(questions)
        if len(new):
            near = (self._vectors @ self._embedder.embed_matrix(new).T).max(axis=1)
            self._nearest = np.maximum(self._nearest, near)
        order = np.argsort(self._nearest, kind="stable")[:_MOST_FAR]
        return tuple(self.sources[int(n)].id for n in order)


@dataclass
class Alike:
    """How alike the newest questions are by wording: similarities of each pair, and the Vendi score."""

    @cached_property
    def _embedder(self) -> HashingEmbedder:
        return HashingEmbedder()

    def __call__(self, questions: Sequence[str]) -> tuple[list[list[float]], float]:
        similar = similarity_matrix(self._embedder.embed_matrix(questions[-_ALIKE:]), _ALIKE)
        return similar.tolist(), vendi_score(similar)


def create_topics(sources: Sequence[Source], topics: int | Path | None = None, *, seed: int = 0) -> TopicMap:
    """Return what the sources are about: so many clusters, or the user's taxonomy.

    Raises:
        RecipeError: The taxonomy cannot be read.
    """
    if isinstance(topics, Path):
        return taxonomy_topics(load_taxonomy(topics), sources)
    return topics_of(sources, count=topics, seed=seed)


def create_targets(
    topics: TopicMap,
    sources: Sequence[Source],
    *,
    total: int,
    targets: str | Path = "proportional",
    failures: Path | None = None,
    types: Sequence[str] = (),
    bands: Sequence[Band] = (),
    seed: int = 0,
) -> dict[Cell, int]:
    """Return how many rows each cell should have.

    Args:
        topics: Of the sources.
        sources: The same sources, to find the topic of a failure from its text.
        total: Rows in all.
        targets: `proportional` to the sources, `uniform`, or a JSONL table, whose counts are rows.
        failures: JSONL of what the user's model fails at, whose counts are shares of `total`; goes before `targets`.
        types: Question types of the grid; those that a table or failures name come with them.
        bands: Difficulties of the grid; none leaves difficulty out.
        seed: Of the clustering that finds a failure's topic.

    Raises:
        RecipeError: A file cannot be read, or names what no source is about.
    """
    lines = None
    if failures is not None:
        finder: list[SourceTopics] = []
        spoken = {term for source in sources for term in key_terms(source.text)}

        def topic_of(text: str) -> str:
            asked = set(key_terms(text))
            if len(asked & spoken) < _SPOKEN * len(asked):  # the nearest of topics that are all far away is none
                return OTHER
            if topics.made_by.startswith("taxonomy"):
                return taxonomy_topics(topics.topics, [Source.create(text, id="failure")]).of["failure"]
            if not finder:
                finder.append(SourceTopics(len(topics.topics), seed))
                finder[0].learn(sorted(sources, key=lambda source: source.id))
            return finder[0].topic_of(text)

        lines = read_failures(failures, topic_of)
    elif isinstance(targets, Path):
        lines = read_targets(targets)
    if lines is not None:
        named = [line.question_type for line in lines if line.question_type != "any"]
        cells = grid(topics, dict.fromkeys([*types, *named]), bands)
        return tabled(cells, lines, total if failures is not None else None)
    cells = grid(topics, types, bands)
    return uniform(cells, total) if targets == "uniform" else proportional(cells, topics.sizes(), total)


def create_steering(
    sources: Sequence[Source],
    *,
    total: int,
    topics: int | Path | TopicMap | None = None,
    targets: str | Path | dict[Cell, int] = "proportional",
    failures: Path | None = None,
    types: Sequence[str] = (),
    bands: Sequence[Band] = (),
    exploration: float = 0.1,
    most_per_source: int | None = None,
    seed: int = 0,
) -> Steering:
    """Return the steering of one run, for `generate(..., steering=...)`.

    Args:
        sources: Of the run.
        total: Rows in all.
        topics: Clusters wanted, a taxonomy file, or topics made before; None chooses a number of clusters.
        targets: As for `create_targets`, or targets made before.
        failures: As for `create_targets`.
        types: Question types of the grid.
        bands: Difficulties of the grid.
        exploration: Share of each batch that goes where no question is near.
        most_per_source: Items that one source gives at most.
        seed: Of clusters and of the choice among sources used equally often.

    Raises:
        RecipeError: A file cannot be read, or names what no source is about.
        MissingExtraError: scikit-learn is not installed.
    """
    known = topics if isinstance(topics, TopicMap) else create_topics(sources, topics, seed=seed)
    wanted = (
        targets
        if isinstance(targets, dict)
        else create_targets(
            known, sources, total=total, targets=targets, failures=failures, types=types, bands=bands, seed=seed
        )
    )
    kinds = dict.fromkeys([*types, *(cell.question_type for cell in wanted if cell.question_type != "any")])
    return Steering(
        sources,
        known,
        {cell: count for cell, count in wanted.items() if count},
        types=tuple(kinds),
        exploration=exploration,
        seed=seed,
        most_per_source=most_per_source,
        far=FarSources(sources),
    )
