"""Targets from files: a table of what the user wants, or failures of the user's model. Sharing them out is the core's."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from autodata_adapters.coverage.contamination import read_texts
from autodata_core.coverage import ANY, OTHER, TargetLine
from autodata_core.errors import RecipeError, RecordError

__all__ = ["read_failures", "read_targets"]


def read_targets(path: Path) -> tuple[TargetLine, ...]:
    """Return the lines of a JSONL table: `{"topic": ..., "question_type": ..., "band": ..., "count": ...}`.

    Raises:
        RecipeError: The file cannot be read or a line has another form.
    """
    return tuple(_line(value, path, number) for number, value in _objects(path))


def read_failures(path: Path, topic_of: Callable[[str], str]) -> tuple[TargetLine, ...]:
    """Return what a model fails at: each line a failed question, with `count` where it failed more often.

    A line with a `topic` is taken at its word; of another the topic is found from its text, and it is left out where no source
    speaks of it.

    Args:
        path: The file.
        topic_of: Names the topic of a text, `other` where no source speaks of it.

    Raises:
        RecipeError: The file cannot be read, or a line has neither topic nor text.
    """
    objects = _objects(path)
    texts = {} if all(isinstance(v, dict) and "topic" in v for _, v in objects) else read_texts(path)
    made: list[TargetLine] = []
    for number, value in objects:
        known: dict[str, Any] = value if isinstance(value, dict) else {}
        line = {key: known[key] for key in ("topic", "question_type", "band", "count") if key in known}
        if "topic" not in line:
            line["topic"] = topic_of(texts[f"{path.name}:{number}"])
            if line["topic"] == OTHER:
                continue
        made.append(_line(line, path, number))
    if not made:
        raise RecipeError(
            f"{path}: no source speaks of any of these {len(objects)} failures, so no row can answer them."
        )
    return tuple(made)


def _objects(path: Path) -> list[tuple[int, Any]]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        found = [(number, json.loads(line)) for number, line in enumerate(lines, start=1) if line.strip()]
    except (OSError, ValueError) as error:
        raise RecipeError(f"{path} is not a JSONL file that can be read: {error}") from error
    if not found:
        raise RecipeError(f"{path} is empty, so nothing would be wanted. Write one JSON object a line.")
    return found


def _line(value: Any, path: Path, number: int) -> TargetLine:
    try:
        return TargetLine.from_json(value)
    except RecordError as error:
        raise RecipeError(
            f"{path}:{number}: {error} Expected topic, question_type, band and count; {ANY!r} for all."
        ) from error
