"""What a loader hands over: the usable sources and those that were left out, each with its reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from autodata_core.errors import SourceError, shorten
from autodata_core.records import Source, fingerprint

__all__ = ["LoadedSources", "Shelf", "SkippedSource", "fit_id"]

_LONGEST_ID = 200


@dataclass(frozen=True)
class SkippedSource:
    """A document that nothing is asked about. It costs no call and is reported."""

    id: str
    reason: str
    """One sentence for people."""


@dataclass(frozen=True)
class LoadedSources:
    """Everything that was found."""

    sources: tuple[Source, ...]
    """At least one, ids unique; files in the order of their paths, lines in file order."""
    skipped: tuple[SkippedSource, ...] = ()


@dataclass
class Shelf:
    """Collects sources while files are read, and keeps ids unique.

    The same id with the same text is kept once; with another text it is an error, for a row could no longer say
    what it rests on.
    """

    _sources: dict[str, Source] = field(default_factory=dict)
    _places: dict[str, str] = field(default_factory=dict)
    _skipped: dict[str, SkippedSource] = field(default_factory=dict)

    def add(
        self, text: str, *, id: str, licence: str | None, meta: Mapping[str, Any], place: str, sha256: object = None
    ) -> None:
        """Keep one document. `place` is where it stands, for messages; an empty text is skipped.

        Raises:
            SourceError: The id is taken by another text, or id, licence or meta are not of their form.
        """
        if not text.strip():
            self.skip(id or place, "It is empty.")
            return
        try:
            source = Source.create(text, id=id, licence=licence, meta=dict(meta))
            fingerprint(source.meta)
        except (ValidationError, ValueError, TypeError) as error:
            raise SourceError(f"{place}: the document cannot be used: {_first_line(error)}") from error
        if sha256 not in (None, source.sha256):
            raise SourceError(f"{place}: the sha256 does not fit the text. Write the hash again, or leave it out.")
        known = self._sources.setdefault(source.id, source)
        first = self._places.setdefault(source.id, place)
        if known.sha256 != source.sha256:
            raise SourceError(
                f"{place}: the id {shorten(source.id)} is taken by another text, at {first}. Ids are unique."
            )

    def skip(self, id: str, reason: str) -> None:
        """Leave a document out, once per id."""
        self._skipped.setdefault(id, SkippedSource(id, reason))

    def close(self, where: str) -> LoadedSources:
        """Return what was collected.

        Raises:
            SourceError: Nothing usable is left.
        """
        skipped = tuple(self._skipped.values())
        if not self._sources:
            reasons = "; ".join(f"{s.id}: {s.reason}" for s in skipped[:3])
            more = f" (and {len(skipped) - 3} more)" if len(skipped) > 3 else ""
            found = f"{reasons}{more}" if skipped else "Nothing was found."
            raise SourceError(f"There is no usable text in {where}. {found} Add a document with text.")
        return LoadedSources(tuple(self._sources.values()), skipped)


def fit_id(name: str) -> str:
    """Return `name` as an id: valid Unicode and at most as long as an id may be, the end of a long name kept."""
    clean = name.encode("utf-8", "replace").decode("utf-8")
    if len(clean) <= _LONGEST_ID:
        return clean
    mark = fingerprint(clean)[:12]
    return f"{mark}-{clean[-(_LONGEST_ID - len(mark) - 1) :]}"


def _first_line(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}, got {shorten(first['input'])}."
    return str(error).splitlines()[0] if str(error) else type(error).__name__
