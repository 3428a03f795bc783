"""The roles as model ports: challenger and check ask through their DSPy predictor, solvers and judge ask their model.

So an optimizer sees the two texts a recipe may change, and nothing of what measures.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import dspy

from autodata_core.demonstrations import described_reply
from autodata_core.errors import RecordError
from autodata_core.passages import Passages, word_count
from autodata_core.ports import Model, ModelReply, ModelRequest
from autodata_core.records import ModelIdentity, Role
from autodata_dspy.engine import Call, RecipeAdapter, asking, role_lm, usage_entry

__all__ = ["EDITABLE", "Challenge", "Review", "Team"]


class Challenge(dspy.Signature):
    """Instructions of the challenger; each program puts its recipe's text here."""

    view: str = dspy.InputField(
        desc="what the challenger sees, without the source: refused questions, learnings (JSON)"
    )
    reply: str = dspy.OutputField(desc="one candidate (JSON)")


class Review(dspy.Signature):
    """What the quality check looks for; each program puts its recipe's text here."""

    view: str = dspy.InputField(
        desc="what the quality check sees, without the source and its words: the candidate (JSON)"
    )
    reply: str = dspy.OutputField(desc="the verdict on the candidate (JSON)")


EDITABLE: Mapping[Role, Any] = {"challenger": Challenge, "check": Review}
"""By role: the signature of its predictor. A recipe has a text of the same name."""

_ADAPTER = RecipeAdapter()


class Team:
    """The models of a program by role. Copies of the program share it: limits, counts and clients stay in one place."""

    def __init__(self, models: Mapping[str, Model]) -> None:
        self.models = dict(models)
        self._lms: dict[str, Any] = {role: role_lm(self.models[role], role) for role in EDITABLE if role in self.models}

    def __deepcopy__(self, memo: object) -> Team:
        return self

    def identities(self) -> dict[str, ModelIdentity]:
        """Return which model plays each role."""
        return {role: model.identity for role, model in self.models.items()}

    def ports(self, predictors: Mapping[str, Any]) -> dict[str, Model]:
        """Return a port for every role; those of `predictors` ask through their predictor."""
        return {
            role: _Predicted(model, predictors[role], self._lms[role]) if role in predictors else _Counted(model)
            for role, model in self.models.items()
        }


@dataclass(frozen=True)
class _Predicted:
    """A model that is asked through a predictor."""

    model: Model
    predictor: Any
    lm: Any
    said: list[tuple[int, Any]] = field(default_factory=list)
    """Round and prediction of every reply, for whoever marks those that led to a row."""

    @property
    def identity(self) -> ModelIdentity:
        return self.model.identity

    def complete(self, request: ModelRequest) -> ModelReply:
        call = self._call(request)
        try:
            with asking(call), self._context():
                self.said.append((request.round, self.predictor(view=_view(request), lm=self.lm)))
        except Exception:
            if call.failure is None:
                raise
        return _heard(call)

    async def acomplete(self, request: ModelRequest) -> ModelReply:
        call = self._call(request)
        try:
            with asking(call), self._context():
                said = await self.predictor.acall(view=_view(request), lm=self.lm)
            self.said.append((request.round, said))
        except Exception:
            if call.failure is None:
                raise
        return _heard(call)

    def _context(self) -> Any:
        # A stream needs whole replies in parts; ours come whole, and the strict parser wants all of one.
        return dspy.context(lm=self.lm, adapter=_ADAPTER, send_stream=None)

    def _call(self, request: ModelRequest) -> Call:
        return Call(self.model, request, self.predictor.signature.instructions, shown=_shown(request))


_OF_THE_SOURCE = ("source_text", "context")
"""Fields of a view that repeat the source; traces say how long they are."""


def _view(request: ModelRequest) -> str:
    """Return the role's view as traces show it: without source and context, and without a passage of them.

    An optimizer's model reads traces and writes what is asked of other sources. And it refuses lone surrogates.
    """
    hidden = Passages(*(text for name in _OF_THE_SOURCE if isinstance(text := request.view.get(name), str)))
    shown = {
        name: f"[{word_count(value)} words]" if name in _OF_THE_SOURCE else hidden.without_in(value)
        for name, value in request.view.items()
    }
    return _unicode(json.dumps(shown, ensure_ascii=False))


def _shown(request: ModelRequest) -> Callable[[str], str]:
    source = str(request.view.get("source_text", ""))
    if request.role == "challenger":
        return lambda reply: _unicode(described_reply(reply, source))
    hidden = Passages(source, str(request.view.get("context", "")))
    return lambda reply: _unicode(hidden.without(reply))


def _unicode(text: str) -> str:
    return text.encode("utf-8", "replace").decode("utf-8")


def _heard(call: Call) -> ModelReply:
    """Return the whole reply of the port, or raise what the port raised, as if DSPy were not between."""
    if call.failure is not None:
        raise call.failure
    if call.reply is None:
        raise RecordError(
            f"The predictor of {call.request.role!r} answered without asking its model, so there is no record."
        )
    return call.reply


@dataclass(frozen=True)
class _Counted:
    """A model that is asked directly, and counted by `dspy.track_usage()` all the same."""

    model: Model

    @property
    def identity(self) -> ModelIdentity:
        return self.model.identity

    def complete(self, request: ModelRequest) -> ModelReply:
        with dspy.context(usage_tracker=None):  # a port that is a dspy.LM would count itself a second time
            reply = self.model.complete(request)
        return self._count(reply)

    async def acomplete(self, request: ModelRequest) -> ModelReply:
        with dspy.context(usage_tracker=None):
            reply = await self.model.acomplete(request)
        return self._count(reply)

    def _count(self, reply: ModelReply) -> ModelReply:
        tracker = dspy.settings.usage_tracker
        if tracker is not None:
            tracker.add_usage(self.identity.name, usage_entry(reply.usage))
        return reply
