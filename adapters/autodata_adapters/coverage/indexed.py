"""The coverage map of a run: exact decisions in memory, and a copy in an index written behind their back."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Self

from autodata_adapters.coverage.collection import Collection
from autodata_adapters.coverage.embedders import Embedder, embed
from autodata_adapters.coverage.hashing import HashingEmbedder
from autodata_adapters.coverage.vectors import Entry, VectorIndex, to_unit
from autodata_core.errors import AutodataError, ModelUnreachableError, StoreError
from autodata_core.ports import CoverageAsk, CoverageReply

if TYPE_CHECKING:
    from autodata_adapters.coverage.vectors import Vector

__all__ = ["IndexedCoverage", "index_for"]

_WRITE_AT = 100
"""Entries that are gathered before they are written: one at a time costs an index ten times as much."""


def index_for(embedder: Embedder) -> VectorIndex:
    """Return an empty index for vectors of this embedder: whether they know meaning, or only wording as the default ones."""
    if getattr(embedder, "cheap", False):
        return VectorIndex(semantic=False)
    return VectorIndex(semantic=True, shingles=HashingEmbedder())


class IndexedCoverage:
    """Implements `CoverageMap`. Safe from many threads; one process owns the index.

    A claim looks for its nearest among every entry, of its own item too, so a near copy of a question that failed is seen.
    Finding the nearest and adding the new entry are one step. The index is written in batches by a thread of its own; if
    that fails it is made anew, and if that fails as well, `flush` and `close` say so. Decisions never wait for it.

    Args:
        collection: Where the copy is kept; a projection that may be deleted between runs.
        embedder: Makes the vectors, see `create_embedder`.
        known: Questions of earlier runs that no new one may repeat, see `open_library`. They are no entries of this map, and
            what they say is told to nobody.

    Raises:
        RecipeError: The vectors of `known` are not all of one length.
    """

    def __init__(self, collection: Collection, embedder: Embedder, known: Sequence[Entry] = ()) -> None:
        self._embedder = embedder
        self._collection = collection
        self._lock = threading.Lock()
        self._index: VectorIndex | None = None
        self._known = index_for(embedder)
        for entry in known:
            self._known.add(entry)
        self._entries: list[Entry] = []
        self._replies: dict[str, CoverageReply] = {}
        self._taken_up: dict[str, int] = {}
        self._written = 0
        self._wanted = threading.Condition(self._lock)
        self._flush_to = 0
        self._closed = False
        self._failure: StoreError | None = None
        self._thread: threading.Thread | None = None

    def __len__(self) -> int:
        return len(self._entries)

    def __bool__(self) -> bool:
        """Return that there is a map: one without entries is no missing one, as `coverage or …` would take it."""
        return True

    def preload(self, entries: Sequence[CoverageAsk]) -> None:
        """Know exactly these entries, and make the index on disk hold exactly these.

        Called before the first claim. Without it the first claim takes up what the index on disk holds.

        Raises:
            StoreError: The index can neither be read nor made anew.
        """
        with self._lock:
            unique = {ask.id: ask for ask in reversed(entries)}
            asks = [unique[id] for id in dict.fromkeys(ask.id for ask in entries)]
            stored = {} if getattr(self._embedder, "cheap", False) else self._stored_vectors(asks)
            missing = [ask for ask in asks if ask.id not in stored]
            made = dict(zip((ask.id for ask in missing), self._embed([ask.text for ask in missing]), strict=True))
            self._take_up([stored.get(ask.id) or Entry(ask, made[ask.id]) for ask in asks])
            self._collection.match(self._entries)
            self._written = len(self._entries)

    def claim(self, ask: CoverageAsk) -> CoverageReply:
        with self._lock:
            if self._index is None:
                self._take_up(self._collection.read())
                self._written = len(self._entries)
            known = self._replies.get(ask.id)
        if known is not None:
            return known
        # Outside the lock: an embedder may be a network away.
        vector = self._embed([ask.text])[0]
        with self._lock:
            return self._decide(Entry(ask, vector))

    def flush(self) -> None:
        """Wait until the index has every entry.

        Raises:
            StoreError: The index could neither be written nor made anew. Decisions and the run are not touched.
        """
        with self._wanted:
            self._flush_to = wanted = len(self._entries)
            self._start_writing()
            while self._failure is None and self._written < wanted:
                self._wanted.wait()
            if self._failure is not None:
                raise self._failure

    def close(self) -> None:
        """Write what is left and let go of the files. A second call does nothing.

        Raises:
            StoreError: As `flush`.
        """
        if self._closed:
            return
        try:
            self.flush()
        finally:
            with self._wanted:
                self._closed = True
                self._wanted.notify_all()
            if self._thread is not None:
                self._thread.join()
            self._collection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _decide(self, entry: Entry) -> CoverageReply:
        """Find and add under the lock, so that two workers cannot both be first."""
        known = self._replies.get(entry.ask.id)
        if known is not None or self._index is None:
            return known or CoverageReply()
        place = self._taken_up.get(entry.ask.id)
        reply = self._index.nearest(entry.ask, entry.vector, before=place)
        earlier = self._known.nearest(entry.ask, entry.vector)
        if earlier.similarity > reply.similarity:
            reply = CoverageReply(similarity=earlier.similarity, nearest=earlier.nearest)
        self._replies[entry.ask.id] = reply
        if place is not None:
            return reply
        self._index.add(entry)
        self._entries.append(entry)
        if len(self._entries) - self._written >= _WRITE_AT:
            self._start_writing()
        return reply

    def _take_up(self, entries: Sequence[Entry]) -> None:
        """Start over with these entries. What they were answered is found again when they are claimed again."""
        self._index = index_for(self._embedder)
        self._entries = []
        self._replies = {}
        self._taken_up = {}
        for entry in entries:
            self._taken_up[entry.ask.id] = len(self._entries)
            self._index.add(entry)
            self._entries.append(entry)

    def _stored_vectors(self, asks: Sequence[CoverageAsk]) -> dict[str, Entry]:
        """Return the entries whose vectors need not be paid for again: same id, same text."""
        wanted = {ask.id: ask for ask in asks}
        return {
            entry.ask.id: Entry(wanted[entry.ask.id], entry.vector)
            for entry in self._collection.read()
            if entry.ask.id in wanted and wanted[entry.ask.id].text == entry.ask.text
        }

    def _embed(self, texts: Sequence[str]) -> list[Vector]:
        if not texts:
            return []
        try:
            return to_unit(embed(self._embedder, texts))
        except AutodataError:
            raise
        except Exception as error:  # an embedder is foreign code; without vectors nothing can be decided
            raise ModelUnreachableError(
                f"The embedder {self._embedder.name!r} gave no vectors: {type(error).__name__}: {error}"
            ) from error

    def _start_writing(self) -> None:
        if self._thread is None and not self._closed:
            self._thread = threading.Thread(target=self._write, name="autodata-coverage-writer", daemon=True)
            self._thread.start()
        self._wanted.notify_all()

    def _write(self) -> None:
        while True:
            with self._wanted:
                while not self._has_work():
                    if self._closed:
                        return
                    self._wanted.wait()
                upto = len(self._entries)
                batch = self._entries[self._written : upto]
                failure = None
            try:
                self._collection.write(batch, self._everything)
            except StoreError as error:
                failure = error
            with self._wanted:
                self._failure = self._failure or failure
                self._written = upto
                self._wanted.notify_all()

    def _has_work(self) -> bool:
        waiting = len(self._entries) - self._written
        return self._failure is None and (self._written < self._flush_to or waiting >= _WRITE_AT)

    def _everything(self) -> list[Entry]:
        with self._lock:
            return list(self._entries)
