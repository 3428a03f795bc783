"""What a recipe may tell `program:word_problems`: settings that stand as lines in the challenger's instructions.

A program reads no prose. What it reads of a recipe is these lines and nothing else, so that a search can rewrite them, a diff
shows them, and the registry keeps them like any other text. A line with an unknown name or value is no setting.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from autodata_adapters.models.word_problems.forms import LEVELS

__all__ = ["CHOICES", "Settings", "line_of", "read_settings", "with_setting"]

CHOICES: Mapping[str, tuple[str, ...]] = {
    "start with": LEVELS,
    "context": ("needed lines", "whole section"),
    "counts": ("small", "large"),
    "figures": ("plain lines first", "any"),
}
"""By name: its values, the first of them in force where nothing is said.

`start with`: question type of an item's first question. `context`: what of the section a solver reads. `counts`: the factors in
a question, 3 to 15 or 16 to 99. `figures`: where look-ups are taken from."""

_LINE = re.compile(r"^- (?P<name>[a-z ]{1,20}): (?P<value>[a-z_ ]{1,30})$", re.MULTILINE)


@dataclass(frozen=True)
class Settings:
    """How questions are built."""

    start_with: str = LEVELS[0]
    context: str = "needed lines"
    counts: str = "small"
    figures: str = "plain lines first"

    def value(self, name: str) -> str:
        """Return the value of a setting by its name in `CHOICES`."""
        found: str = getattr(self, name.replace(" ", "_"))
        return found


def read_settings(text: str, start_with: str = LEVELS[0]) -> Settings:
    """Return the settings in a recipe's instructions; of a name that stands twice the first counts.

    Args:
        text: The instructions.
        start_with: In force where the text names none.
    """
    found: dict[str, str] = {"start_with": start_with}
    said: set[str] = set()
    for match in _LINE.finditer(text):
        name, value = match["name"], match["value"].strip()
        if name not in said and value in CHOICES.get(name, ()):
            said.add(name)
            found[name.replace(" ", "_")] = value
    return Settings(**found)


def line_of(name: str, value: str) -> str:
    """Return a setting as it stands in a text."""
    return f"- {name}: {value}"


def with_setting(text: str, name: str, value: str) -> str:
    """Return the instructions with a setting changed, or added at the end; nothing else of them differs."""
    kept, done = [], False
    for line in text.split("\n"):
        match = _LINE.fullmatch(line)
        ours = match is not None and match["name"] == name and match["value"].strip() in CHOICES[name]
        if ours and not done:
            kept.append(line_of(name, value))
        elif not ours:
            kept.append(line)
        done = done or ours
    return "\n".join(kept if done else [*kept, line_of(name, value)])
