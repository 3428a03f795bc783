"""Questions as a Chroma collection, in a folder or on a server: a copy that can always be made again. Decides nothing.

Chroma gets our vectors and never embeds by itself (it would download a model); embedded, it never talks to a network.
"""

from __future__ import annotations

import contextlib
import queue
import re
import shutil
import threading
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

from autodata_adapters.coverage.sealing import is_sealed, seal
from autodata_adapters.coverage.vectors import Entry, to_unit
from autodata_core.errors import MissingExtraError, RecipeError, StoreError, shorten
from autodata_core.ports import CoverageAsk

if TYPE_CHECKING:
    import numpy as np

__all__ = ["ChromaCollection", "ChromaEntries", "ChromaServerCollection", "Collection"]

_broken: Counter[str] = Counter()
"""How often each folder was found broken in this process."""

_SYNC_AT = 10_000
"""Entries between two writes of Chroma's graph file. Until then its log has them, so nothing is lost by waiting."""

_servers: dict[tuple[Any, ...], Any] = {}
_servers_lock = threading.Lock()

_TIMEOUT_S = 60.0
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


class ChromaEntries(ABC):
    """Entries in Chroma, wherever that is: one collection for each length of vectors. Used by one thread at a time.

    Args:
        name: Begins the names of the collections, so that others in the same place are left alone.
        embedder_name: Part of the names as well, so that vectors of two embedders never mix.

    Raises:
        MissingExtraError: chromadb is not installed.
    """

    def __init__(self, name: str, embedder_name: str) -> None:
        try:
            import chromadb
        except ImportError as error:
            raise MissingExtraError("chromadb", "chroma", "The coverage index") from error
        self._chromadb = chromadb
        self._name = name
        self._embedder_name = embedder_name
        self._client: Any = None
        self._collections: dict[int, Any] = {}

    def read(self) -> list[Entry]:
        """Return what is there, oldest first; nothing when it cannot be read."""
        try:
            with _chroma_errors():
                return self._read()
        except _ChromaError:
            return []

    def fetch(self) -> list[Entry]:
        """Return what is there, oldest first.

        Raises:
            StoreError: It cannot be read, or was made by another embedder.
        """
        try:
            with _chroma_errors():
                self._refuse_foreign()
                return self._read()
        except _ChromaError as error:
            raise self._failure(error) from error

    def write(self, entries: Sequence[Entry], everything: Callable[[], Sequence[Entry]]) -> None:
        """Add entries. When that fails the copy is made anew, from everything.

        Raises:
            StoreError: It cannot be made anew either.
        """
        try:
            with _chroma_errors():
                self._upsert(entries)
        except _ChromaError:
            self.rebuild(everything())

    def add(self, entries: Sequence[Entry]) -> None:
        """Add entries beside those of others; nothing is ever thrown away.

        Raises:
            StoreError: They cannot be written, or what is there was made by another embedder.
        """
        try:
            with _chroma_errors():
                self._refuse_foreign()
                self._upsert(entries)
        except _ChromaError as error:
            raise self._failure(error) from error

    def match(self, entries: Sequence[Entry]) -> None:
        """Make the copy hold exactly these entries, with as little writing as it takes.

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
        """Throw the copy away and write everything again.

        Raises:
            StoreError: That fails, too.
        """
        try:
            with _chroma_errors():
                self._clear()
                self._upsert(entries)
        except _ChromaError as error:
            raise self._failure(error) from error

    def close(self) -> None:
        """Let go of files and connections. The next use opens them again."""
        client, self._client = self._client, None
        self._collections.clear()
        if client is not None:
            with contextlib.suppress(_ChromaError), _chroma_errors():
                client.close()

    @abstractmethod
    def _open(self) -> Any:
        """Return the client, opened when it is not."""

    @abstractmethod
    def _clear(self) -> None:
        """Throw everything of this copy away."""

    @abstractmethod
    def _failure(self, error: _ChromaError) -> StoreError:
        """Return the error that says where, and what to do."""

    def _is_there(self) -> bool:
        return True

    def _ask(self, call: Callable[[], Any]) -> Any:
        """Return what one call of Chroma returns."""
        return call()

    def _collection(self, dims: int) -> Any:
        if dims not in self._collections:
            name = _collection_name(self._name, self._embedder_name, dims)
            configuration = {"hnsw": {"space": "cosine", "sync_threshold": _SYNC_AT}}
            self._collections[dims] = self._ask(
                lambda: self._open().get_or_create_collection(
                    name, embedding_function=None, configuration=configuration
                )
            )
        return self._collections[dims]

    def _own(self) -> list[Any]:
        """Return the collections of this copy: one for each length of vectors."""
        prefix = _collection_name(self._name, self._embedder_name, 0).removesuffix("0")
        return [
            self._ask(partial(self._open().get_collection, name, embedding_function=None))
            for name in self._names()
            if name.startswith(prefix) and name.removeprefix(prefix).isdecimal()
        ]

    def _names(self) -> list[str]:
        return [listed.name for listed in self._ask(lambda: self._open().list_collections())]

    def _refuse_foreign(self) -> None:
        """Refuse a place whose entries another embedder made: its vectors cannot be compared."""
        own = _collection_name(self._name, self._embedder_name, 0).removesuffix(".0")
        for name in self._names():
            begin, _, dims = name.rpartition(".")
            if begin.startswith(f"{self._name}.") and dims.isdecimal() and begin != own:
                raise StoreError(
                    f"{self._place()} holds questions with vectors of the embedder {begin.removeprefix(self._name + '.')!r}, "
                    f"and this run uses {self._embedder_name!r}. They cannot be compared: use that embedder, or another name."
                )

    @abstractmethod
    def _place(self) -> str:
        """Return where it is, for people."""

    def _read(self) -> list[Entry]:
        if not self._is_there():
            return []
        found: list[tuple[int, Entry]] = []
        for collection in self._own():
            parts = ["embeddings", "documents", "metadatas"]
            for offset in range(0, self._ask(collection.count), _BATCH):
                found += _entries(self._ask(partial(collection.get, limit=_BATCH, offset=offset, include=parts)))
        return [entry for _, entry in sorted(found, key=lambda pair: pair[0])]

    def _upsert(self, entries: Sequence[Entry]) -> None:
        for start in range(0, len(entries), _BATCH):
            part = entries[start : start + _BATCH]
            write = partial(
                self._collection(len(part[0].vector)).upsert,
                ids=[_valid_unicode(entry.ask.id) for entry in part],
                embeddings=[entry.vector for entry in part],
                documents=[_valid_unicode(entry.ask.text) for entry in part],
                metadatas=[_metadata(entry.ask) for entry in part],
            )
            self._ask(write)

    def _delete(self, ids: Sequence[str]) -> None:
        for opened in self._own():
            for start in range(0, len(ids), _BATCH):
                self._ask(partial(opened.delete, ids=list(ids[start : start + _BATCH])))


class ChromaCollection(ChromaEntries):
    """Entries in a folder, by Chroma in this process. One process owns the folder.

    Args:
        folder: Where Chroma keeps its files. Everything in it may be deleted and made again.
        embedder_name: Part of the collection's name.

    Raises:
        MissingExtraError: chromadb is not installed.
    """

    def __init__(self, folder: Path, embedder_name: str) -> None:
        super().__init__("coverage", embedder_name)
        self._folder = folder

    def _is_there(self) -> bool:
        return self._folder.is_dir()

    def _open(self) -> Any:
        if self._client is None:
            if self._folder.exists() and not is_sealed(self._folder):
                self._clear()
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            settings = self._chromadb.Settings(anonymized_telemetry=False)
            self._client = self._chromadb.PersistentClient(self._spelled(), settings=settings)
        return self._client

    def close(self) -> None:
        was_open = self._client is not None
        super().close()
        if was_open:
            seal(self._folder)

    def _spelled(self) -> str:
        # Chroma keeps what it once opened, broken or not, by the path as it was spelled, as long as the process
        # lives. Another spelling of the same folder starts afresh.
        folder = str(self._folder)
        return folder + "/." * _broken[folder]

    def _clear(self) -> None:
        self.close()
        _broken[str(self._folder)] += 1
        if self._folder.is_symlink() or self._folder.is_file():
            self._folder.unlink()
        elif self._folder.exists():
            shutil.rmtree(self._folder)

    def _place(self) -> str:
        return f"The coverage index {self._folder}"

    def _failure(self, error: _ChromaError) -> StoreError:
        return StoreError(
            f"{self._place()} cannot be used: {error}. Nothing of the run is lost: make room "
            "or delete that folder, then run the same command again and it is made anew."
        )


class ChromaServerCollection(ChromaEntries):
    """Entries on a Chroma server that others use as well; collections of other names are left alone.

    Args:
        url: `http://host:port` or `https://host`; no user and password in it.
        name: Of the collection: letters, digits, dashes.
        embedder_name: Part of the collection's name.
        headers: Sent with every request, such as what a proxy in front of the server asks for.
        timeout_s: Most time for one request; Chroma's own client would wait for ever.

    Raises:
        RecipeError: The address or the name has another form.
        MissingExtraError: chromadb is not installed.
    """

    def __init__(
        self,
        url: str,
        name: str,
        embedder_name: str,
        headers: Mapping[str, str] | None = None,
        timeout_s: float = _TIMEOUT_S,
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.path.strip("/"):
            raise RecipeError(f"A Chroma server is http://HOST:PORT or https://HOST, got {shorten(url, 80)}.")
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}", name):
            raise RecipeError(
                f"The name of a Chroma collection is letters, digits and dashes, got {shorten(name, 60)}."
            )
        super().__init__(name, embedder_name)
        self._host, self._ssl = parts.hostname, parts.scheme == "https"
        self._port = parts.port or (443 if self._ssl else 8000)
        self._headers = dict(headers or {})
        self._timeout_s = timeout_s

    def close(self) -> None:
        """Let go of the server. Its connections stay open for whoever asks it next in this process."""
        self._client = None
        self._collections.clear()

    def _open(self) -> Any:
        if self._client is None:
            # Chroma's client never closes its connections, so there is one for each address in a process.
            address = (self._host, self._port, self._ssl, tuple(sorted(self._headers.items())))
            with _servers_lock:
                if address not in _servers:
                    _servers[address] = self._in_time(self._connect)
                self._client = _servers[address]
        return self._client

    def _connect(self) -> Any:
        settings = self._chromadb.Settings(anonymized_telemetry=False)
        return self._chromadb.HttpClient(
            self._host, self._port, ssl=self._ssl, headers=dict(self._headers), settings=settings
        )

    def _ask(self, call: Callable[[], Any]) -> Any:
        self._open()
        return self._in_time(call)

    def _in_time(self, call: Callable[[], Any]) -> Any:
        """Return what a call returns, or give it up; the thread of one that hangs ends with the process."""
        answer: queue.SimpleQueue[tuple[Any, BaseException | None]] = queue.SimpleQueue()

        def run() -> None:
            try:
                answer.put((call(), None))
            except BaseException as error:  # noqa: BLE001 - raised again by whoever waits
                answer.put((None, error))

        threading.Thread(target=run, name="autodata-chroma-request", daemon=True).start()
        try:
            value, error = answer.get(timeout=self._timeout_s)
        except queue.Empty:
            raise _ChromaError(f"no answer in {self._timeout_s:g} s") from None
        if error is not None:
            raise error
        return value

    def _clear(self) -> None:
        names = [collection.name for collection in self._own()]
        self._collections.clear()
        for name in names:
            self._ask(partial(self._open().delete_collection, name))

    def _place(self) -> str:
        return f"The collection {self._name!r} on the Chroma server {self._host}:{self._port}"

    def _failure(self, error: _ChromaError) -> StoreError:
        self.close()  # what was open may be what is broken
        return StoreError(
            f"{self._place()} cannot be used: {error}. Nothing of the run is lost: see that the server runs, then run the "
            "same command again."
        )


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


def _collection_name(name: str, embedder: str, dims: int) -> str:
    """Return a name that Chroma takes (letters, digits, dots, dashes) and that tells embedders apart."""
    clean = re.sub(r"[^a-zA-Z0-9]+", "-", embedder).strip("-")[:200] or "embedder"
    return f"{name}.{clean}.{dims}"


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
