"""`program:count_failures` and `program:change_one_setting`: analyzer and implementer of a search, without a language model.

They show that an outer loop works on a machine without a key. The analyzer says what code counted; the implementer changes one
setting of `program:word_problems` in the direction in which the counts point. Neither knows which setting helps, and both are
measured like everybody else.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from random import Random
from typing import Any

from autodata_adapters.models.word_problems.settings import CHOICES, read_settings, with_setting
from autodata_core.ports import ModelReply, ModelRequest
from autodata_core.records import ModelIdentity, Usage

__all__ = ["FailureCounter", "SettingChanger"]

_EXPLORES = 0.2
"""Share of proposals that the counts did not ask for, so that a setting nobody suspects is tried too. Ours."""
_ADOPT = "Adopt what code counted in this batch."
_Change = tuple[str, str]
"""Name and value of a setting; `("learnings", "adopt")` for what code counted."""


class _Program:
    """A program behind the model port: free, and equal requests get equal replies."""

    name = ""

    @property
    def identity(self) -> ModelIdentity:
        return ModelIdentity(name=f"program:{self.name}", params={"version": 1, "max_tokens": 0})

    def complete(self, request: ModelRequest) -> ModelReply:
        text = json.dumps(self._reply(request))
        return ModelReply(text=text, finish_reason="stop", usage=Usage(calls=1), served=self.name)

    async def acomplete(self, request: ModelRequest) -> ModelReply:
        return self.complete(request)

    def _reply(self, request: ModelRequest) -> dict[str, Any]:
        raise NotImplementedError


class FailureCounter(_Program):
    """Gives each kind of failure of each type of question as a cause, the most frequent first."""

    name = "count_failures"

    def _reply(self, request: ModelRequest) -> dict[str, Any]:
        types: Mapping[str, Any] = request.view["types"]
        found = [
            (count, kind, name, figures)
            for name, figures in types.items()
            for kind, count in figures["failures"].items()
        ]
        found.sort(key=lambda cause: (-cause[0], cause[1], cause[2]))
        causes = [
            {"cause": f"{kind}: {count} of {figures['tries']} questions of type {name}", "evidence": _scores(figures)}
            for count, kind, name, figures in found[:8]
        ]
        nothing = {
            "cause": f"No question was refused; {request.view['accepted']} of {request.view['items']} items were kept."
        }
        return {"causes": causes or [nothing]}


def _scores(figures: Mapping[str, Any]) -> str:
    said = ((who, figures[f"{who}_mean"]) for who in ("weak", "strong"))
    return ", ".join(f"{who} solver {mean:.2f} on average" for who, mean in said if mean is not None)


class SettingChanger(_Program):
    """Changes one setting: what was too easy is asked harder, what failed on the strong solver easier."""

    name = "change_one_setting"

    def _reply(self, request: ModelRequest) -> dict[str, Any]:
        view, random = request.view, Random(request.seed)  # noqa: S311 - a choice that can be repeated, no secret
        kind, name = _main_failure(view["types"])
        text = view["challenger"]
        tried = {outcome["what"] for outcome in view["tried"]}
        every = [change for change in _changes(text) if _sentence(text, change) not in tried]
        # What was tried on another recipe may help on this one, but not before what was never tried.
        every = every or _changes(text)
        pointed = [change for change in every if _answers(change, text, kind, name)]
        # Drawn before the choice, so that the choice does not depend on whether there is anything to draw from.
        explores, point = random.random() < _EXPLORES, random.random()
        changes = every if explores or not pointed else pointed
        change = changes[int(point * len(changes))]
        made: dict[str, Any] = {"what": _sentence(text, change), "why": _reason(kind, name, pointed=change in pointed)}
        if change[0] == "learnings":
            return {**made, "learnings": "adopt"}
        lost = f"Questions of type {read_settings(text).start_with} become rare." if change[0] == "start with" else ""
        return {**made, "challenger": with_setting(text, *change), "could_regress": lost}


def _main_failure(types: Mapping[str, Any]) -> tuple[str, str]:
    """Return the kind and the question type that fail most often; empty where nothing failed."""
    counts = [(n, kind, name) for name, figures in types.items() for kind, n in figures["failures"].items()]
    return min(((-n, kind, name) for n, kind, name in counts), default=(0, "", ""))[1:]


def _changes(text: str) -> list[_Change]:
    """Return every single change that can be made to these instructions."""
    now = read_settings(text)
    made = [(name, value) for name, values in CHOICES.items() for value in values if value != now.value(name)]
    return [*made, ("learnings", "adopt")]


def _sentence(text: str, change: _Change) -> str:
    name, value = change
    if name == "learnings":
        return _ADOPT
    return f"Set '{name}' from '{read_settings(text).value(name)}' to '{value}'."


def _answers(change: _Change, text: str, kind: str, failed_type: str) -> bool:
    """Whether a change makes questions harder where they were too easy, or easier where the strong solver failed."""
    name, value = change
    if name == "learnings":
        return kind == "TOO_EASY"
    order: Sequence[str] = CHOICES[name]
    now = read_settings(text).value(name)
    # Values stand in the order of what they ask of a solver, as far as one can tell without asking one.
    at = order.index(failed_type) if name == "start with" and failed_type in order else order.index(now)
    step = order.index(value) - at
    return step > 0 if kind == "TOO_EASY" else step < 0 if kind == "FAILED_STRONG" else False


def _reason(kind: str, name: str, *, pointed: bool) -> str:
    if not kind:
        return "Nothing failed in the batch; this setting was not tried yet."
    said = f"Most refusals are {kind}, of type {name}."
    return said if pointed else f"{said} This change does not answer them; it was not tried yet."
