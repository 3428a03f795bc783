"""Kept questions of earlier runs, so that a new run does not pay for them again: in run folders, or on a Chroma server.

What a question is compared with is recorded in the run that asked it, so a library may grow while runs go on.
"""

from __future__ import annotations

import glob
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from autodata_adapters.coverage.collection import ChromaServerCollection
from autodata_adapters.coverage.contamination import read_texts
from autodata_adapters.coverage.embedders import Embedder, embed
from autodata_adapters.coverage.vectors import Entry, to_unit
from autodata_core.errors import RecipeError
from autodata_core.ports import LIBRARY, CoverageAsk
from autodata_core.records import Example

__all__ = ["CoverageLibrary", "open_library"]

_AT_ONCE = 1000


class _Shelf(Protocol):
    """One place with questions."""

    def entries(self, embedder: Embedder) -> list[Entry]: ...

    def publish(self, entries: Sequence[Entry]) -> None: ...


@dataclass(frozen=True)
class _Files:
    """Data sets of earlier runs, read anew by every run. They grow by being written, so nothing is published to them."""

    paths: tuple[Path, ...]

    def entries(self, embedder: Embedder) -> list[Entry]:
        found: list[Entry] = []
        for path in self.paths:
            texts = read_texts(path)
            asks = [
                CoverageAsk("library", f"{LIBRARY}{path.parent.name}/{where}", text) for where, text in texts.items()
            ]
            found += _embedded(asks, embedder)
        return found

    def publish(self, entries: Sequence[Entry]) -> None:
        return None


@dataclass(frozen=True)
class _Server:
    """A collection that many runs read and add to."""

    collection: ChromaServerCollection

    def entries(self, embedder: Embedder) -> list[Entry]:
        try:
            return self.collection.fetch()
        finally:
            self.collection.close()

    def publish(self, entries: Sequence[Entry]) -> None:
        try:
            self.collection.add(entries)
        finally:
            self.collection.close()


class CoverageLibrary:
    """Questions that earlier runs kept, from all places that a recipe names.

    Only kept ones: what was refused once, because it was too easy for one model, may be just right for another.
    """

    def __init__(self, shelves: Sequence[_Shelf], embedder: Embedder) -> None:
        self._shelves, self._embedder = tuple(shelves), embedder

    def entries(self, *, without_run: str = "") -> list[Entry]:
        """Return every question with its vector, for `ChromaCoverage(..., known=...)`.

        Args:
            without_run: Leaves out what this run published before it was resumed.

        Raises:
            RecipeError: A file cannot be read.
            StoreError: A server cannot be reached, or another embedder made its vectors.
        """
        found = [entry for shelf in self._shelves for entry in shelf.entries(self._embedder)]
        return [entry for entry in found if not without_run or entry.ask.meta.get("run") != without_run]

    def publish(self, run: str, rows: Sequence[Example]) -> int:
        """Add the kept rows of a run to every shared collection; twice is once. Return how many there are.

        Raises:
            StoreError: A server cannot be reached, or another embedder made its vectors.
        """
        if not any(isinstance(shelf, _Server) for shelf in self._shelves):
            return 0
        asks = [
            CoverageAsk(
                "library",
                f"{LIBRARY}{run}/{row.id}",
                row.question,
                {"run": run, "source": row.source.id, "question_type": row.question_type},
            )
            for row in rows
        ]
        entries = _embedded(asks, self._embedder)
        for shelf in self._shelves:
            shelf.publish(entries)
        return len(entries)


def open_library(
    specs: Sequence[str], base_dir: Path, embedder: Embedder, *, without: Path | None = None
) -> CoverageLibrary:
    """Return the library that a recipe names. Nothing is read yet.

    Args:
        specs: Each a run folder, a JSONL file, a pattern of either (`runs/*`), or a collection on a Chroma server that many
            runs share: `http://host:port/NAME`.
        base_dir: The recipe's folder, which paths are relative to.
        embedder: Of the run.
        without: The folder of the run itself, which a pattern may fit.

    Raises:
        RecipeError: A path fits nothing, or an address has another form.
        MissingExtraError: A server is named and chromadb is not installed.
    """
    shelves: list[_Shelf] = []
    for spec in specs:
        if "://" in spec:
            parts = urlsplit(spec)
            collection = ChromaServerCollection(
                f"{parts.scheme}://{parts.netloc}", parts.path.strip("/") or "library", embedder.name
            )
            shelves.append(_Server(collection))
        else:
            shelves.append(_Files(tuple(_data_sets(spec, base_dir, without))))
    return CoverageLibrary(shelves, embedder)


def _data_sets(spec: str, base_dir: Path, without: Path | None) -> Iterator[Path]:
    fitting = [Path(found) for found in sorted(glob.glob(str(base_dir / spec)))]
    files = [path / "dataset.jsonl" if path.is_dir() else path for path in fitting]
    own = None if without is None else (without / "dataset.jsonl").resolve()
    if not fitting and not glob.has_magic(spec):  # a pattern may fit nothing before the first run
        raise RecipeError(
            f"[coverage] library: there is no {spec!r} in {base_dir}. Name a run folder, a JSONL file, a pattern of either "
            "such as 'runs/*', or http://host:port/NAME."
        )
    return (path for path in files if path.is_file() and path.resolve() != own)


def _embedded(asks: Sequence[CoverageAsk], embedder: Embedder) -> list[Entry]:
    found: list[Entry] = []
    for at in range(0, len(asks), _AT_ONCE):
        part = asks[at : at + _AT_ONCE]
        vectors = to_unit(embed(embedder, [ask.text for ask in part]))
        found += [Entry(ask, vector) for ask, vector in zip(part, vectors, strict=True)]
    return found
