"""Rows that people wrote, in the form of ours, so that one file holds both. How many are taken is the core's to say."""

from __future__ import annotations

import hashlib
from collections.abc import Container, Mapping
from pathlib import Path
from typing import Any

from autodata_adapters.sources.mapped import SourceIndex, read_objects, read_rows
from autodata_core.errors import RecordError
from autodata_core.records import Example, canonical_json

__all__ = ["ORIGIN", "human_rows", "made_lines", "made_row"]

ORIGIN = "origin"
"""Key that says who made an exported row: `made` or `human`."""


def made_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row of a run that says so."""
    return {**row, ORIGIN: "made"}


def human_rows(
    path: Path, mapping: Mapping[str, str] | None = None, *, made_ids: Container[str] = frozenset()
) -> list[dict[str, Any]]:
    """Return the rows of a file of people, with every key of a row of ours; what nobody measured is None.

    Lines that say themselves that they are made (`made_lines`) are left out.

    Args:
        path: JSON lines in any form that `autodata audit` reads: question and answer, instruction, messages, …
        mapping: Field of ours to the dotted path of theirs, where the form is another.
        made_ids: Ids of rows that a run made.

    Raises:
        SourceError: The file cannot be read, or has no line.
        RecordError: A line is no row; the message names it.
    """
    rows: list[dict[str, Any]] = []
    made = made_lines(path, made_ids)
    for read in read_rows(path, mapping=mapping or {}, sources=SourceIndex()).rows:
        if read.line in made:
            continue
        if read.candidate is None:
            raise RecordError(f"{path} line {read.line}: {read.fault}.")
        candidate = read.candidate.to_json()
        digest = hashlib.sha256(canonical_json([path.name, read.line, candidate]).encode("ascii")).hexdigest()
        given: dict[str, Any] = {
            **candidate,
            "id": f"human-{digest[:20]}",
            "domain": read.domain or None,
            "source": {"id": f"{path.name}:{read.line}", "sha256": None, "licence": None, "span": None},
            ORIGIN: "human",
        }
        rows.append({**{name: given.get(name) for name in Example.model_fields}, ORIGIN: given[ORIGIN]})
    return rows


def made_lines(path: Path, made_ids: Container[str] = frozenset()) -> frozenset[int]:
    """Return the lines of a file that a run made: they say so by `origin`, carry its verdict and provenance, or its id.

    Raises:
        SourceError: The file cannot be read.
    """
    found = read_objects(path, "The data set")
    return frozenset(line for line, row, _ in found if row is not None and (_id(row) in made_ids or _is_made(row)))


def _is_made(row: Mapping[str, Any]) -> bool:
    if isinstance(row.get(ORIGIN), str):
        return bool(row[ORIGIN].strip().casefold() == "made")
    return isinstance(row.get("provenance"), dict) and isinstance(row.get("verdict"), dict)


def _id(row: Mapping[str, Any]) -> str:
    found = row.get("id")
    return found if isinstance(found, str) else ""
