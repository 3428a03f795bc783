"""A coverage map that also refuses what stands in files: evaluation sets and training data that exist."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from autodata_adapters.coverage.contamination import KnownTexts
from autodata_core.ports import KNOWN, CoverageAsk, CoverageMap, CoverageReply

__all__ = ["WithoutKnown"]


@dataclass
class WithoutKnown:
    """Asks `known` first, then the map. What stands in a file is no entry of the map, and its text is told to nobody."""

    map: CoverageMap
    known: KnownTexts

    def preload(self, entries: Sequence[CoverageAsk]) -> None:
        """Take up questions of an earlier process."""
        preload = getattr(self.map, "preload", None)
        if preload is not None:
            preload(entries)
        else:
            for entry in entries:
                self.map.claim(entry)

    def claim(self, ask: CoverageAsk) -> CoverageReply:
        hit = self.known.find(*(text for text in (ask.text, ask.context) if text.strip()))
        if hit is not None:
            return CoverageReply(similarity=1.0, nearest=f"{KNOWN}{hit.where}")
        return self.map.claim(ask)
