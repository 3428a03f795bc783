"""Carries one model request of the core through DSPy's LM layer unchanged: adapter and engine.

DSPy sees each call (traces, usage, history, callbacks); what is asked and what came back stay the core's own records. Which
predictor asks is in `roles`.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import dspy
from dspy import lm15

from autodata_core.errors import ModelError, RecordError
from autodata_core.ports import Model, ModelReply, ModelRequest
from autodata_core.records import Message, Role, Usage, fingerprint

__all__ = ["Call", "RecipeAdapter", "asking", "role_lm", "usage_entry", "words_lm"]


@dataclass
class Call:
    """One request on its way through DSPy, with what came of it."""

    model: Model
    request: ModelRequest
    instructions: str
    """What the predictor's signature says; the messages were rendered with it."""
    shown: Callable[[str], str] = str
    """The reply as traces show it to an optimizer: without a passage of the source."""
    reply: ModelReply | None = None
    failure: Exception | None = None
    """What the model raised. DSPy wraps it on its way out; the core's own error is kept here."""


_CALL: ContextVar[Call] = ContextVar("autodata_dspy_call")


@contextmanager
def asking(call: Call) -> Iterator[None]:
    """Make `call` the one that adapter and engine are busy with, in this thread or task."""
    token = _CALL.set(call)
    try:
        yield
    finally:
        _CALL.reset(token)


class RecipeAdapter(dspy.Adapter):
    """Sends the messages that the core rendered and returns the reply as it came: the core's strict parser decides.

    One call per predict, no repair, no second adapter. A predictor's demos reach the model as the recipe's demonstrations, in
    the messages that the core rendered; its generation options are not sent, as how a model samples is part of the protocol.
    """

    def __call__(
        self, lm: Any, lm_kwargs: dict[str, Any], signature: Any, demos: Any, inputs: Any
    ) -> list[dict[str, Any]]:
        response = lm(_request(lm.model, self.format(signature, demos, inputs)))
        return [self.parse(signature, response.text or "")]

    async def acall(
        self, lm: Any, lm_kwargs: dict[str, Any], signature: Any, demos: Any, inputs: Any
    ) -> list[dict[str, Any]]:
        response = await lm.acall(_request(lm.model, self.format(signature, demos, inputs)))
        return [self.parse(signature, response.text or "")]

    def format(self, signature: Any, demos: Any, inputs: Any) -> list[dict[str, Any]]:
        """Return the messages of the present call.

        Raises:
            RecordError: No item asks, or the messages were rendered with other instructions than the signature's.
        """
        call = _CALL.get(None)
        if call is None:
            raise RecordError("A predictor of AutoData answers only inside its program. Call the program instead.")
        if signature.instructions != call.instructions:
            raise RecordError(
                f"The instructions of {call.request.role!r} changed while item {call.request.item!r} was running. "
                "Change them between calls of the program."
            )
        return [message.to_json() for message in call.request.messages]

    def parse(self, signature: Any, completion: str) -> dict[str, Any]:
        """Return the reply as traces show it; the core gets it as it came, from the call."""
        return {"reply": _CALL.get().shown(completion)}


def _request(model: str, messages: list[dict[str, Any]]) -> Any:
    system = "\n\n".join(m["content"] for m in messages if m["role"] == "system")
    turns = {"user": lm15.Message.user, "assistant": lm15.Message.assistant}
    said = tuple(turns[m["role"]](m["content"]) for m in messages if m["role"] != "system")
    return lm15.Request(model=model, system=system or None, messages=said)


class _Engine:
    """Answers DSPy's request by asking the model port with the core's request."""

    def __deepcopy__(self, memo: object) -> _Engine:
        return self

    def complete(self, request: Any) -> Any:
        call = _CALL.get()
        try:
            with _uncounted():
                call.reply = call.model.complete(call.request)
        except Exception as error:
            call.failure = error
            raise
        return _response(request.model, call.reply)


class _AsyncEngine:
    """The same, awaited."""

    def __deepcopy__(self, memo: object) -> _AsyncEngine:
        return self

    async def complete(self, request: Any) -> Any:
        call = _CALL.get()
        try:
            with _uncounted():
                call.reply = await call.model.acomplete(call.request)
        except Exception as error:
            call.failure = error
            raise
        return _response(request.model, call.reply)


def _uncounted() -> Any:
    """Return a context in which a port that is itself a `dspy.LM` is not counted and noted a second time."""
    return dspy.context(usage_tracker=None, disable_history=True)


def _response(model: str, reply: ModelReply) -> Any:
    finish = reply.finish_reason if reply.finish_reason != "unknown" else "stop"
    counted = usage_entry(reply.usage)
    return lm15.Response(
        id=None,
        model=reply.served or model,
        message=lm15.Message.assistant(reply.text) if reply.text else lm15.Message.assistant([lm15.TextPart("")]),
        finish_reason="error" if reply.error else finish,
        usage=lm15.Usage(
            input_tokens=counted["prompt_tokens"],
            output_tokens=counted["completion_tokens"],
            total_tokens=counted["total_tokens"],
        ),
    )


def usage_entry(usage: Usage) -> dict[str, int]:
    """Return the tokens of a call under the names that `dspy.track_usage()` sums up."""
    total = usage.input_tokens + usage.output_tokens
    return {"prompt_tokens": usage.input_tokens, "completion_tokens": usage.output_tokens, "total_tokens": total}


def role_lm(model: Model, role: Role) -> Any:
    """Return the `dspy.LM` through which a role's predictor reaches its model.

    Uncached (DSPy's key ignores which engine answers), without retries (the port has them), named after the model.
    """
    name = model.identity.name.strip("/") or f"autodata/{role}"
    return dspy.LM(name, engine=_Engine(), async_engine=_AsyncEngine(), cache=False, num_retries=0)


class _WordsEngine:
    """Asks a model for what an optimizer asks of its own: new instructions, advice, descriptions."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._asked: Counter[str] = Counter()
        self._lock = threading.Lock()

    def __deepcopy__(self, memo: object) -> _WordsEngine:
        return self

    def complete(self, request: Any) -> Any:
        return self._answer(request, self._model.complete(self._request(request)))

    def _request(self, request: Any) -> ModelRequest:
        system = request.system
        if system is not None and not isinstance(system, str):
            system = "".join(part.text for part in system)
        messages = [Message(role="system", content=system)] if system else []
        messages += [
            Message(role="assistant" if m.role == "assistant" else "user", content=m.text or "")
            for m in request.messages
        ]
        key = fingerprint([message.to_json() for message in messages])
        with self._lock:
            # The same question comes again where another answer is wanted.
            again = self._asked[key]
            self._asked[key] += 1
        seed = int(fingerprint([key, again])[:8], 16) % 2**31
        return ModelRequest(
            role="implementer",
            item=f"words-{key[:12]}",
            round=1,
            attempt=again,
            step="words",
            messages=tuple(messages),
            seed=seed,
        )

    def _answer(self, request: Any, reply: ModelReply) -> Any:
        if reply.error:
            raise ModelError(f"The model that writes instructions gave no answer: {reply.error}")
        return _response(request.model, reply)


def words_lm(model: Model) -> Any:
    """Return the `dspy.LM` through which an optimizer asks a model for new words."""
    name = model.identity.name.strip("/") or "autodata/implementer"
    return dspy.LM(name, engine=_WordsEngine(model), cache=False, num_retries=0)
