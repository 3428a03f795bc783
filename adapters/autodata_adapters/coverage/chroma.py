"""The coverage map of a run with its copy in Chroma, embedded, in a folder of the run."""

from __future__ import annotations

from pathlib import Path

from autodata_adapters.coverage.collection import ChromaCollection
from autodata_adapters.coverage.embedders import Embedder
from autodata_adapters.coverage.indexed import IndexedCoverage

__all__ = ["ChromaCoverage"]


class ChromaCoverage(IndexedCoverage):
    """An `IndexedCoverage` whose copy is a Chroma collection.

    Args:
        path: Folder of the index; a projection that may be deleted between runs.
        embedder: Makes the vectors, see `create_embedder`.

    Raises:
        MissingExtraError: chromadb is not installed.
    """

    def __init__(self, path: Path, embedder: Embedder) -> None:
        super().__init__(ChromaCollection(path, embedder.name), embedder)
