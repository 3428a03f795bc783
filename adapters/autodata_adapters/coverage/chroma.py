"""The coverage map of a run with its copy in Chroma: in a folder of the run, or on a server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from autodata_adapters.coverage.collection import ChromaCollection, ChromaServerCollection
from autodata_adapters.coverage.embedders import Embedder
from autodata_adapters.coverage.indexed import IndexedCoverage
from autodata_adapters.coverage.vectors import Entry

__all__ = ["ChromaCoverage", "ChromaServerCoverage"]


class ChromaCoverage(IndexedCoverage):
    """An `IndexedCoverage` whose copy is a Chroma collection in a folder.

    Args:
        path: Folder of the index; a projection that may be deleted between runs.
        embedder: Makes the vectors, see `create_embedder`.
        known: Questions of earlier runs that no new one may repeat, see `open_library`.

    Raises:
        MissingExtraError: chromadb is not installed.
    """

    def __init__(self, path: Path, embedder: Embedder, known: Sequence[Entry] = ()) -> None:
        super().__init__(ChromaCollection(path, embedder.name), embedder, known)


class ChromaServerCoverage(IndexedCoverage):
    """An `IndexedCoverage` whose copy is a collection on a Chroma server.

    Args:
        url: `http://host:port` or `https://host`.
        name: Of the collection, one for each run: what is in it is made to be exactly the run.
        embedder: Makes the vectors, see `create_embedder`.
        known: As for `ChromaCoverage`.
        headers: Sent with every request.

    Raises:
        RecipeError: Address or name have another form.
        MissingExtraError: chromadb is not installed.
    """

    def __init__(
        self,
        url: str,
        name: str,
        embedder: Embedder,
        known: Sequence[Entry] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(ChromaServerCollection(url, name, embedder.name, headers), embedder, known)
