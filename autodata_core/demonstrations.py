"""A question that was accepted elsewhere, shown to the challenger as an example. Its source is not shown, nor any passage of it.

Demonstrations are part of a recipe; how they stand in a prompt is in `prompts`.
"""

from __future__ import annotations

import json
from typing import Any

from pydantic import Field, StrictStr

from autodata_core.passages import Passages, word_count
from autodata_core.records import Record

__all__ = ["Demonstration", "described_reply"]


class Demonstration(Record):
    """One reply of a challenger that led to a row, without its context and without words of its source."""

    reply: StrictStr = Field(min_length=1, max_length=8_000)


def described_reply(reply: str, source: str) -> str:
    """Return a challenger's reply as it may be shown beside other sources.

    Context and quote are replaced by their length, since they repeat the source; so is every passage of source or context
    elsewhere in it. A reply that is no JSON object is treated as one text.
    """
    try:
        made = json.loads(reply)
    except ValueError:
        made = None
    if not isinstance(made, dict):
        return Passages(source).without(reply)
    hidden = Passages(source, *(text for name in ("context", "quote") for text in _texts(made.get(name))))
    shown = {name: _described(value) if name in ("context", "quote") else value for name, value in made.items()}
    return json.dumps(hidden.without_in(shown), ensure_ascii=False)


def _described(value: Any) -> Any:
    return f"[{word_count(value)} words]" if isinstance(value, str) else None


def _texts(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else []
