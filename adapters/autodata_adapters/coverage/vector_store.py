"""A user's LangChain `VectorStore` in the place of Chroma. It keeps the copy; what is a near duplicate is decided in memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from autodata_adapters.coverage.embedders import Embedder
from autodata_adapters.coverage.indexed import IndexedCoverage
from autodata_adapters.coverage.vectors import Entry
from autodata_core.errors import StoreError

if TYPE_CHECKING:
    from langchain_core.vectorstores import VectorStore

__all__ = ["VectorStoreCollection", "VectorStoreCoverage"]

_BATCH = 200
_EMBEDDER = "autodata_embedder"
"""Metadata that names the embedder of an entry, so that vectors of two are never taken for one another."""


class VectorStoreCollection:
    """Writes entries to a vector store, which embeds them itself.

    Scores of vector stores are not comparable with one another, so none is read back.
    """

    def __init__(self, store: VectorStore, embedder_name: str) -> None:
        self._store: Any = store
        self._embedder_name = embedder_name

    def read(self) -> list[Entry]:
        """Return nothing: a store gives no vectors back. Entries of earlier runs come with `preload`."""
        return []

    def write(self, entries: Sequence[Entry], everything: Callable[[], Sequence[Entry]]) -> None:
        """Add entries.

        Raises:
            StoreError: The store refuses them.
        """
        for start in range(0, len(entries), _BATCH):
            part = entries[start : start + _BATCH]
            self._call(
                self._store.add_texts,
                [_valid_unicode(entry.ask.text) for entry in part],
                metadatas=[{**dict(entry.ask.meta), _EMBEDDER: self._embedder_name} for entry in part],
                ids=[entry.ask.id for entry in part],
            )

    def match(self, entries: Sequence[Entry]) -> None:
        """Add the entries that the store lacks or has with another text. What else is in it stays: it is the user's.

        Raises:
            StoreError: The store refuses, or holds entries of another embedder under these ids.
        """
        missing: list[Entry] = []
        for start in range(0, len(entries), _BATCH):
            part = entries[start : start + _BATCH]
            found = {document.id: document for document in self._call(self._store.get_by_ids, [e.ask.id for e in part])}
            for document in found.values():
                self._check_embedder(document.metadata.get(_EMBEDDER, self._embedder_name))
            missing += [
                entry
                for entry in part
                if entry.ask.id not in found or found[entry.ask.id].page_content != _valid_unicode(entry.ask.text)
            ]
        self.write(missing, lambda: entries)

    def close(self) -> None:
        """Do nothing: the store belongs to the user."""

    def _check_embedder(self, name: str) -> None:
        if name != self._embedder_name:
            raise StoreError(
                f"The vector store holds questions of the embedder {name!r}, this run uses {self._embedder_name!r}; their "
                "vectors cannot be compared. Use another collection of the store."
            )

    def _call(self, method: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        try:
            return method(*arguments, **named)
        except Exception as error:  # a user's store may raise anything
            raise StoreError(
                f"The vector store {type(self._store).__name__} failed: {type(error).__name__}: {str(error)[:200]}. "
                "Nothing of the run is lost; run the same command again."
            ) from error


class VectorStoreCoverage(IndexedCoverage):
    """An `IndexedCoverage` whose copy is in a vector store.

    Args:
        store: Takes ids and metadata, and gives documents back by id; see `conformance.vector_store_checks`.
        embedder: Makes the vectors that decide; give the store's own `embeddings` to have both alike.
        known: Questions of earlier runs that no new one may repeat, see `open_library`.
    """

    def __init__(self, store: VectorStore, embedder: Embedder, known: Sequence[Entry] = ()) -> None:
        super().__init__(VectorStoreCollection(store, embedder.name), embedder, known)


def _valid_unicode(text: str) -> str:
    return text.encode("utf-8", "replace").decode("utf-8")
