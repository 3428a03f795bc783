"""The lines of `refused.jsonl`: every refused round with its reasons and scores, made once when an item is finished."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from autodata_core.errors import RecordError
from autodata_core.records import Round
from autodata_core.scoring import attempt_score

__all__ = ["refused_rounds", "refused_text"]

Line = dict[str, Any]


def refused_rounds(state: Mapping[str, Any]) -> Iterator[Line]:
    """Yield one line for each refused round of a finished item, without item and source."""
    for played in _rounds(state):
        if not played.verdict.accepted:
            yield _line(played, [reason.to_json() for reason in played.verdict.reasons])


def refused_text(
    item: str, source: str, refused: Sequence[Line], state: Mapping[str, Any], duplicate_of: str | None
) -> str:
    """Return an item's lines as text, with one for an accepted row that another item had first; no line end at the end."""
    lines = list(refused)
    if duplicate_of is not None:
        detail = f"The row {duplicate_of} was accepted from another item already."
        reason = {"kind": "DUPLICATE", "stage": "finish", "detail": detail}
        last = _rounds(state)[-1:]
        lines.append(_line(last[0], [reason]) if last and last[0].verdict.accepted else {"reasons": [reason]})
    return "\n".join(json.dumps({"item": item, "source": source, **line}, ensure_ascii=True) for line in lines)


def _rounds(state: Mapping[str, Any]) -> list[Round]:
    return [Round.from_json(value) for value in state.get("history", [])]


def _line(played: Round, reasons: list[dict[str, Any]]) -> Line:
    candidate = played.candidate
    return {
        "round": played.number,
        "question_type": candidate.question_type if candidate else None,
        "question": candidate.question if candidate else None,
        "reasons": reasons,
        "scores": {"weak": _scores(played, "weak"), "strong": _scores(played, "strong")},
    }


def _scores(played: Round, side: str) -> list[float | None]:
    """Return the scores in attempt order; None for an attempt that has none, which is not a zero."""
    if played.candidate is None:
        return []
    found: list[float | None] = []
    for attempt in played.weak if side == "weak" else played.strong:
        try:
            found.append(float(attempt_score(attempt, played.candidate.rubric)))
        except RecordError:
            found.append(None)
    return found
