"""Draws rows for people to label, so that few labels say much of the whole data set."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from autodata_core.audit.rows import AuditRow, RowOpinions

__all__ = ["Drawn", "draw_sample"]


@dataclass(frozen=True)
class Drawn:
    """A row of the sample."""

    row: RowOpinions
    stratum: str
    inclusion: Fraction
    """How likely the row was to be drawn, in (0, 1]."""


def draw_sample(rows: Sequence[RowOpinions], n: int, seed: int = 0) -> tuple[Drawn, ...]:
    """Return a stratified sample, in an order that does not tell the strata.

    A stratum is the first gate that refuses a row, or `kept`. Places go by the square root of a stratum's size, between
    equal shares (which see rare faults) and proportional ones (which see the misses among kept rows); each has at least one.
    Where there are fewer places than strata, all refused rows are one stratum; a sample of one has a single stratum.

    Args:
        rows: The whole data set; the same rows and seed give the same sample.
        n: Rows wanted; all of them when there are no more.
        seed: Another one gives another sample.
    """
    n = min(n, len(rows))
    strata = _strata(rows, n)
    places = _places({name: len(found) for name, found in strata.items()}, n)
    drawn = []
    for name, found in strata.items():
        for row in sorted(found, key=lambda r: _lot(seed, r.row))[: places[name]]:
            drawn.append(Drawn(row, name, Fraction(places[name], len(found))))
    return tuple(sorted(drawn, key=lambda one: _lot(seed + 1, one.row.row)))


def _strata(rows: Sequence[RowOpinions], most: int) -> dict[str, list[RowOpinions]]:
    """Return the rows by the finest names of which there are at most `most`; `all` where that is none."""
    for name in (_first_refusal, _refused_or_kept):
        strata: dict[str, list[RowOpinions]] = {}
        for row in rows:
            strata.setdefault(name(row), []).append(row)
        if len(strata) <= most:
            return strata
    return {"all": list(rows)}


def _first_refusal(row: RowOpinions) -> str:
    return row.refusals[0].gate if row.refused else "kept"


def _refused_or_kept(row: RowOpinions) -> str:
    return "refused" if row.refused else "kept"


def _places(sizes: Mapping[str, int], n: int) -> dict[str, int]:
    """Return how many rows each stratum gives: at least one, at most all, together `n`."""
    if n <= 0:
        return dict.fromkeys(sizes, 0)
    given = dict.fromkeys(sizes, 1)
    while sum(given.values()) < n:
        # The next place goes where the share by square roots is least filled (Webster's divisors).
        open_ = [name for name in sizes if given[name] < sizes[name]]
        best = max(open_, key=lambda name: (math.sqrt(sizes[name]) / (2 * given[name] + 1), name))
        given[best] += 1
    return given


def _lot(seed: int, row: AuditRow) -> bytes:
    return hashlib.sha256(f"{seed}|{row.line}|{row.id}".encode("utf-8", "replace")).digest()
