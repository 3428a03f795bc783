"""The questions of a run as a Chroma collection on disk: a copy that can always be made again. Decides nothing.

Chroma is embedded, gets our vectors, never embeds by itself (it would download a model) and never talks to a network.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from autodata_adapters.coverage.vectors import Entry, to_unit
from autodata_core.errors import MissingExtraError, StoreError
from autodata_core.ports import CoverageAsk

if TYPE_CHECKING:
    import numpy as np

__all__ = ["ChromaCollection", "Collection"]

_broken: Counter[str] = Counter()
"""How often each folder was found broken in this process."""

_SYNC_AT = 10_000
"""Entries between two writes of Chroma's graph file. Until then its log has them, so nothing is lost by waiting."""

_BATCH = 1000
"""Entries in one write or read; below what Chroma takes at most (5,461)."""


class Collection(Protocol):
    """Keeps a copy of entries. Used by one thread at a time."""

    def read(self) -> list[Entry]:
        """Return what is there, oldest first; nothing when it cannot be read."""
        ...

    def write(self, entries: Sequence[Entry], everything: Callable[[], Sequence[Entry]]) -> None:
        """Add entries; `everything` gives all of them where the copy has to be made anew.

        Raises:
            StoreError: It cannot be written.
        """
        ...

    def match(self, entries: Sequence[Entry]) -> None:
        """Make the copy hold these entries, with as little writing as it takes.

        Raises:
            StoreError: It cannot be written.
        """
        ...

    def close(self) -> None:
        """Let go of files and connections. The next use opens them again."""
        ...


class ChromaCollection:
    """One collection in one folder. Used by one thread at a time; one process owns the folder.

    Args:
        folder: Where Chroma keeps its files. Everything in it may be deleted and made again.
        embedder_name: Part of the collection's name, so that vectors of two embedders never mix.

    Raises:
        MissingExtraError: chromadb is not installed.
    """

    def __init__(self, folder: Path, embedder_name: str) -> None:
        try:
            import chromadb
        except ImportError as error:
            raise MissingExtraError("chromadb", "chroma", "The coverage index") from error
        self._chromadb = chromadb
        self._folder = folder
        self._embedder_name = embedder_name
        self._client: Any = None
        self._collections: dict[int, Any] = {}

    def read(self) -> list[Entry]:
        """Return what is in the folder, oldest first; nothing when it cannot be read."""
        try:
            with _chroma_errors():
                return self._read()
        except _ChromaError:
            return []

    def write(self, entries: Sequence[Entry], everything: Callable[[], Sequence[Entry]]) -> None:
        """Add entries. When that fails the folder is made anew, from everything.

        Raises:
            StoreError: It cannot be made anew either.
        """
        try:
            with _chroma_errors():
                self._upsert(entries)
        except _ChromaError:
            self.rebuild(everything())

    def match(self, entries: Sequence[Entry]) -> None:
        """Make the collection hold exactly these entries, with as little writing as it takes.

        Raises:
            StoreError: It cannot be made anew either.
        """
        try:
            with _chroma_errors():
                stored = {entry.ask.id: entry for entry in self._read()}
                wanted = {entry.ask.id: entry for entry in entries}
                if extra := [id for id in stored if id not in wanted]:
                    self._delete(extra)
                self._upsert([entry for entry in entries if not _equal(entry, stored.get(entry.ask.id))])
        except _ChromaError:
            self.rebuild(entries)

    def rebuild(self, entries: Sequence[Entry]) -> None:
        """Throw the folder away and write everything again.

        Raises:
            StoreError: That fails, too.
        """
        try:
            with _chroma_errors():
                self.close()
                _broken[str(self._folder)] += 1
                if self._folder.is_symlink() or self._folder.is_file():
                    self._folder.unlink()
                elif self._folder.exists():
                    shutil.rmtree(self._folder)
                self._upsert(entries)
        except _ChromaError as error:
            raise StoreError(
                f"The coverage index {self._folder} cannot be written: {error}. Nothing of the run is lost: make room "
                "or delete that folder, then run the same command again and it is made anew."
            ) from error

    def close(self) -> None:
        """Let go of the files. The next use opens them again."""
        client, self._client = self._client, None
        self._collections.clear()
        if client is not None:
            with contextlib.suppress(_ChromaError), _chroma_errors():
                client.close()

    def _open(self) -> Any:
        if self._client is None:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            settings = self._chromadb.Settings(anonymized_telemetry=False)
            self._client = self._chromadb.PersistentClient(self._spelled(), settings=settings)
        return self._client

    def _spelled(self) -> str:
        # Chroma keeps what it once opened, broken or not, by the path as it was spelled, as long as the process
        # lives. Another spelling of the same folder starts afresh.
        folder = str(self._folder)
        return folder + "/." * _broken[folder]

    def _collection(self, dims: int) -> Any:
        if dims not in self._collections:
            self._collections[dims] = self._open().get_or_create_collection(
                _collection_name(self._embedder_name, dims),
                embedding_function=None,
                configuration={"hnsw": {"space": "cosine", "sync_threshold": _SYNC_AT}},
            )
        return self._collections[dims]

    def _read(self) -> list[Entry]:
        if not self._folder.is_dir():
            return []
        prefix = _collection_name(self._embedder_name, 0).removesuffix("0")
        found: list[tuple[int, Entry]] = []
        for listed in self._open().list_collections():
            if listed.name.startswith(prefix) and listed.name.removeprefix(prefix).isdecimal():
                collection = self._open().get_collection(listed.name, embedding_function=None)
                for offset in range(0, collection.count(), _BATCH):
                    page = collection.get(limit=_BATCH, offset=offset, include=["embeddings", "documents", "metadatas"])
                    found += _entries(page)
        return [entry for _, entry in sorted(found, key=lambda pair: pair[0])]

    def _upsert(self, entries: Sequence[Entry]) -> None:
        for start in range(0, len(entries), _BATCH):
            part = entries[start : start + _BATCH]
            self._collection(len(part[0].vector)).upsert(
                ids=[_valid_unicode(entry.ask.id) for entry in part],
                embeddings=[entry.vector for entry in part],
                documents=[_valid_unicode(entry.ask.text) for entry in part],
                metadatas=[_metadata(entry.ask) for entry in part],
            )

    def _delete(self, ids: Sequence[str]) -> None:
        for collection in list(self._open().list_collections()):
            opened = self._open().get_collection(collection.name, embedding_function=None)
            for start in range(0, len(ids), _BATCH):
                opened.delete(ids=list(ids[start : start + _BATCH]))


class _ChromaError(Exception):
    """Something in Chroma or its files failed."""


@contextmanager
def _chroma_errors() -> Iterator[None]:
    try:
        yield
    except (_ChromaError, StoreError):
        raise
    except Exception as error:  # its files are somebody else's format: damage shows as anything
        raise _ChromaError(f"{type(error).__name__}: {str(error)[:200]}") from error
    except BaseException as error:
        # A panic in Chroma's compiled part derives from BaseException, so that `except Exception` misses it.
        if type(error).__name__ != "PanicException":
            raise
        raise _ChromaError(f"Chroma panicked: {str(error)[:200]}") from error


def _collection_name(embedder: str, dims: int) -> str:
    """Return a name that Chroma takes (letters, digits, dots, dashes) and that tells embedders apart."""
    clean = re.sub(r"[^a-zA-Z0-9]+", "-", embedder).strip("-")[:200] or "embedder"
    return f"coverage.{clean}.{dims}"


def _metadata(ask: CoverageAsk) -> dict[str, str | int]:
    meta: dict[str, str | int] = {_valid_unicode(key): _valid_unicode(str(value)) for key, value in ask.meta.items()}
    # Chroma takes no empty metadata and keeps no order of its own.
    return {**meta, "autodata_key": ask.key, "autodata_noted_ns": time.time_ns()}


def _entries(page: Any) -> list[tuple[int, Entry]]:
    vectors = to_unit(page["embeddings"])
    made: list[tuple[int, Entry]] = []
    for id, text, meta, vector in zip(page["ids"], page["documents"], page["metadatas"], vectors, strict=True):
        facts = dict(meta or {})
        noted = facts.pop("autodata_noted_ns", 0)
        key = str(facts.pop("autodata_key", ""))
        plain = {name: str(value) for name, value in facts.items()}
        made.append((int(noted), Entry(CoverageAsk(key=key, id=id, text=text or "", meta=plain), vector)))
    return made


def _equal(wanted: Entry, stored: Entry | None) -> bool:
    if stored is None or stored.ask.text != _valid_unicode(wanted.ask.text):
        return False
    if len(stored.vector) != len(wanted.vector):
        return False
    distance: np.floating[Any] = abs(stored.vector - wanted.vector).max()
    return bool(distance < 1e-4)


def _valid_unicode(text: str) -> str:
    return text.encode("utf-8", "replace").decode("utf-8")
