"""A coverage map whose decisions are recorded in the run, so that a resumed run decides as the first one did."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol

from autodata_adapters.stores.sqlite import SqliteRunStore
from autodata_core.crashpoints import crashpoint
from autodata_core.ports import CoverageAsk, CoverageMap, CoverageReply

__all__ = ["PreloadingCoverage", "RecordedCoverage"]


class PreloadingCoverage(Protocol):
    """What a coverage map may offer to take up many known entries at once."""

    def preload(self, entries: Sequence[CoverageAsk]) -> None:
        """Know exactly these entries, in this order. Called once, before the first claim."""
        ...


class RecordedCoverage:
    """Wraps a map: a recorded decision is given again, never made again; a new one is recorded without waiting.

    The claim stands in the writer's queue before anything the item writes later, so a finished item's claims are on
    disk. The map takes up what is recorded in a thread of its own, which takes seconds for ten thousand entries; items
    begin meanwhile, and their first claim waits. Safe from many threads when the wrapped map is.
    """

    def __init__(self, map: CoverageMap, store: SqliteRunStore) -> None:
        self._map = map
        self._store = store
        recorded = store.claims()
        self._replies = {ask.id: reply for ask, reply in recorded}
        self._facts: dict[str, CoverageAsk] = {}
        for ask, _ in recorded:
            self._same_fact(ask)
        entries = [ask for ask, _ in recorded]
        pool = ThreadPoolExecutor(1, "autodata-coverage")
        self._ready: Future[None] = pool.submit(_take_up, map, entries)
        pool.shutdown(wait=False)

    def wait(self) -> None:
        """Wait until the map knows what is recorded.

        Raises:
            StoreError: It could not take it up.
        """
        self._ready.result()

    def claim(self, ask: CoverageAsk) -> CoverageReply:
        known = self._replies.get(ask.id)
        if known is not None:
            return known
        self.wait()
        reply = self._same_fact(ask) or self._map.claim(ask)
        # Two threads with one id get one answer from the map; the second record is ignored by the store.
        self._replies[ask.id] = reply
        crashpoint("claim.decided")
        self._store.claim(ask, reply)
        return reply

    def _same_fact(self, ask: CoverageAsk) -> CoverageReply | None:
        """Return the entry that asks for the same value of the same context in other words, None when this is the first."""
        fact = ask.meta.get("fact")
        first = self._facts.setdefault(fact, ask) if fact else ask  # one step, so that two workers cannot both be first
        return None if first.id == ask.id else CoverageReply(similarity=1.0, nearest=first.id, text=first.text)


def _take_up(map: CoverageMap, entries: Sequence[CoverageAsk]) -> None:
    preload = getattr(map, "preload", None)
    if preload is not None:
        preload(entries)
        return
    for ask in entries:
        map.claim(ask)
