"""A coverage map whose decisions are recorded in the run, so that a resumed run decides as the first one did."""

from __future__ import annotations

from collections.abc import Sequence
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
    disk. Safe from many threads when the wrapped map is.
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
        preload = getattr(map, "preload", None)
        if preload is not None:
            preload(entries)
        else:
            for ask in entries:
                map.claim(ask)

    def claim(self, ask: CoverageAsk) -> CoverageReply:
        known = self._replies.get(ask.id)
        if known is not None:
            return known
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
