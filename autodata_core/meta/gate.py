"""What a person is shown before a child joins, and what they may answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from autodata_core.meta.comparing import Comparison
from autodata_core.meta.harness import Texts
from autodata_core.meta.history import ControlFigures
from autodata_core.meta.notes import recipe_diff
from autodata_core.recipe import Recipe

__all__ = ["GateAnswer", "gate_question"]


class GateAnswer(BaseModel):
    """A person's answer: approve, edit with texts, or reject with a reason."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    action: Literal["approve", "edit", "reject"]
    texts: Texts | None = None
    """With `edit`: texts in place of the child's. The edited recipe is measured like any other before it joins."""
    why: str = Field(default="", max_length=2_000)
    """With `reject`: the reason, which later analyzers read."""

    @model_validator(mode="after")
    def _whole(self) -> GateAnswer:
        if (self.action == "edit") != (self.texts is not None and self.texts != Texts()):
            raise ValueError("texts are given with edit, and only with it")
        if self.action == "reject" and not self.why.strip():
            raise ValueError("a rejection needs its reason under why")
        return self


def gate_question(
    iteration: int,
    parent: Recipe,
    child: Recipe,
    comparison: Comparison | None,
    controls: ControlFigures | None,
    *,
    what: str = "",
    why: str = "",
    could_regress: str = "",
    causes: tuple[str, ...] = (),
    items: int = 0,
    accepted: int = 0,
    failures: Mapping[str, int] | None = None,
    shown: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """Return what a person is shown: plain JSON with the diff and the evidence."""
    return {
        "kind": "recipe_change",
        "iteration": iteration,
        "parent": parent.version,
        "child": child.version,
        "diff": recipe_diff(parent, child),
        "counted": {
            "items": items,
            "accepted": accepted,
            "failures": dict(failures or {}),
            "shown": [*map(dict, shown)],
        },
        "measured": None if comparison is None else comparison.to_json(),
        "controls": None if controls is None else controls.to_json(),
        "claimed": {"what": what, "why": why, "could_regress": could_regress, "causes": list(causes)},
        "answers": {
            "approve": {"action": "approve"},
            "edit": {"action": "edit", "texts": {"challenger": "the whole new text, or null"}},
            "reject": {"action": "reject", "why": "the reason"},
        },
    }
