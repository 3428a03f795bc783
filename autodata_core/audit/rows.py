"""Rows of a data set, and what gates say of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from autodata_core.records import Candidate, Source, Usage

__all__ = ["CONTROL", "DUPLICATE", "QUALITY", "RECORD", "SOURCE", "UNREAD", "AuditRow", "GateOpinion", "RowOpinions"]

RECORD, SOURCE, CONTROL, DUPLICATE, QUALITY = "record", "source", "control", "duplicate", "quality"
"""Gates beside those in `gates.GATES`: the line can be read, its source may be read, its check can decide, its question is
new, and the quality check agrees."""

UNREAD = "the line cannot be read"
"""Why every other gate says nothing of a row that `record` refuses."""


@dataclass(frozen=True)
class AuditRow:
    """One line of a data set, read or not."""

    line: int
    """From 1."""
    id: str
    candidate: Candidate | None
    """None when the line cannot be read as a row; `fault` says why."""
    source: Source | None = None
    fault: str = ""
    no_source: str = "no source was given"
    """Why there is no source, where there is none."""
    domain: str = ""
    """As the row names it."""


@dataclass(frozen=True)
class GateOpinion:
    """What one gate says of one row."""

    gate: str
    passed: bool | None
    """None when it could not tell; `detail` says why."""
    detail: str = ""
    usage: Usage = field(default_factory=Usage)


@dataclass(frozen=True)
class RowOpinions:
    """Everything that was said of a row. It is refused when any gate refuses it."""

    row: AuditRow
    opinions: tuple[GateOpinion, ...]
    flags: tuple[str, ...] = ()
    """What is odd about it and refuses nothing, such as `instructions`: the loop keeps it on the row."""

    @property
    def refused(self) -> bool:
        return any(opinion.passed is False for opinion in self.opinions)

    @property
    def refusals(self) -> tuple[GateOpinion, ...]:
        return tuple(opinion for opinion in self.opinions if opinion.passed is False)

    def plus(self, opinions: Iterable[GateOpinion]) -> RowOpinions:
        return RowOpinions(self.row, (*self.opinions, *opinions), self.flags)

    def of(self, gate: str) -> GateOpinion | None:
        return next((opinion for opinion in self.opinions if opinion.gate == gate), None)
