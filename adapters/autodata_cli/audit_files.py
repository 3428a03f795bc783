"""Files of an audit: its card, what each gate said of each row, and the sample for people to label."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from autodata_cli.cards import Card, card_markdown
from autodata_core.audit import Drawn, RowOpinions
from autodata_core.errors import StoreError

__all__ = ["SHOWN", "write_findings"]

SHOWN = ("question", "context", "answer", "rubric", "check", "source")
"""What a person who labels is shown. Not what the filter said, which would be taken for a hint."""

_LINE_ENDS = str.maketrans({"\x85": "\\u0085", "\u2028": "\\u2028", "\u2029": "\\u2029"})
_CARD, _OPINIONS, _TO_LABEL = "CARD.md", "opinions.jsonl", "to_label.jsonl"


def write_findings(
    out: Path, card: Card, rows: Sequence[RowOpinions], sample: Sequence[Drawn] | None
) -> tuple[Path, ...]:
    """Write card, opinions and, where one was drawn, the sample, and return the files.

    Raises:
        StoreError: The folder cannot be written, or holds a sample that somebody may have labelled.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        written = [
            _replace(out / _CARD, card_markdown(card)),
            _replace(out / _OPINIONS, _lines(_opinions(row) for row in rows)),
        ]
        if sample is not None:
            written.append(_write_sample(out / _TO_LABEL, _lines(_to_label(one) for one in sample)))
    except OSError as error:
        raise StoreError(f"{str(out)!r} cannot be written: {error.strerror}. Give another --out.") from error
    return tuple(written)


def _write_sample(path: Path, text: str) -> Path:
    """Write a sample, and never over labels that somebody made."""
    if path.exists() and path.read_text("utf-8") != text:
        raise StoreError(f"{str(path)!r} exists and may hold labels. Move it away, or give another --out.")
    return _replace(path, text)


def _replace(path: Path, text: str) -> Path:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(text, "utf-8", newline="\n")
    temporary.replace(path)
    return path


def _lines(rows: Iterable[Mapping[str, Any]]) -> str:
    """Return one JSON object a line, readable for people; characters that some readers take for line ends are escaped."""
    return "".join(f"{json.dumps(row, ensure_ascii=False, allow_nan=False).translate(_LINE_ENDS)}\n" for row in rows)


def _opinions(row: RowOpinions) -> dict[str, Any]:
    said = [{"gate": o.gate, "passed": o.passed, "detail": o.detail} for o in row.opinions]
    head = {"line": row.row.line, "id": row.row.id, "refused": row.refused, "flags": list(row.flags)}
    return {**head, "opinions": said}


def _to_label(one: Drawn) -> dict[str, Any]:
    row, candidate = one.row.row, one.row.row.candidate
    shown: dict[str, Any] = {"question": None, "context": None, "answer": None}
    if candidate is not None:
        shown = {
            "question": candidate.question,
            "context": candidate.context,
            "answer": candidate.reference_answer,
            "rubric": [c.to_json() for c in candidate.rubric] if candidate.rubric else None,
            "check": candidate.check.to_json() if candidate.check else None,
        }
    source = row.source.text if row.source else None
    head = {"id": row.id, "line": row.line, "inclusion": str(one.inclusion)}
    note = row.fault if candidate is None else ""
    return {**head, **shown, "source": source, "label": None, "faults": None, "note": note}
