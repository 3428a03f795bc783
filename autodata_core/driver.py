"""Answers asks through the ports, and drives one item with no host at all.

Both shells answer through here, so none of them has a rule of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass, field

from autodata_core.errors import RecordError
from autodata_core.item import ItemState
from autodata_core.loop import advance
from autodata_core.ports import (
    Answer,
    Ask,
    ControlAsk,
    ControlReply,
    CoverageAsk,
    CoverageMap,
    Model,
    ModelAsk,
    ModelRequest,
    NoCoverage,
    Verifier,
    VerifierReply,
    VerifyAsk,
)
from autodata_core.recipe import Rules
from autodata_core.records import Source
from autodata_core.verify import EXACT_VERIFIERS, control

__all__ = ["Ports", "aanswer_all", "adrive", "answer_all", "drive"]


@dataclass(frozen=True)
class Ports:
    """Everything outside that one item needs."""

    models: Mapping[str, Model]
    """By role."""
    coverage: CoverageMap = field(default_factory=NoCoverage)
    verifiers: Mapping[str, Verifier] = field(default_factory=lambda: EXACT_VERIFIERS)

    def model(self, request: ModelRequest) -> Model:
        """Return the model of the request's role.

        Raises:
            RecordError: Nobody plays that role.
        """
        model = self.models.get(request.role)
        if model is None:
            raise RecordError(f"No model plays the role {request.role!r}. Give one: models={{{request.role!r}: ...}}.")
        return model

    def measured(self, rules: Rules) -> Rules:
        """Return the rules with the models and verifiers that are really asked, unless they name them already.

        Raises:
            RecipeError: A role is missing.
        """
        if rules.protocol.models:
            return rules
        models = {role: model.identity for role, model in self.models.items()}
        rules.check_roles(models)
        kinds = ((kind, self.verifiers.get(kind)) for kind in rules.domain.check_kinds)
        verifiers = {kind: verifier for kind, verifier in kinds if verifier is not None}
        return Rules(rules.recipe, rules.protocol.with_models(models).with_verifiers(verifiers))

    def at_once(self, ask: CoverageAsk | VerifyAsk | ControlAsk) -> Answer:
        """Answer what is no model call."""
        if isinstance(ask, CoverageAsk):
            return self.coverage.claim(ask)
        verifier = self.verifiers.get(ask.check.kind)
        if isinstance(ask, ControlAsk):
            if verifier is None:
                return ControlReply(fault="error", evidence=f"no verifier for {ask.check.kind!r} is installed")
            return control(verifier, ask.check, ask.reference, ask.source)
        if verifier is None:
            return VerifierReply(outcome="error", evidence=f"no verifier for {ask.check.kind!r} is installed")
        return verifier.verify(ask.check, ask.answer, ask.source)

    def waits(self, ask: Ask) -> bool:
        """Return whether answering takes long enough to be worth a thread: the exact verifiers take microseconds."""
        return not isinstance(ask, ModelAsk | CoverageAsk) and ask.check.kind not in EXACT_VERIFIERS


def answer_all(ports: Ports, asks: tuple[Ask, ...]) -> dict[str, Answer]:
    """Return `answers[ask.key]` for every ask; models are asked at the same time, each in a thread."""
    answers: dict[str, Answer] = {a.key: ports.at_once(a) for a in asks if not isinstance(a, ModelAsk)}
    calls = [a for a in asks if isinstance(a, ModelAsk)]
    if len(calls) == 1:
        answers[calls[0].key] = ports.model(calls[0].request).complete(calls[0].request)
    elif calls:
        with ThreadPoolExecutor(len(calls), thread_name_prefix="autodata-ask") as pool:
            # The caller's context (tracing, dspy settings) goes along into each thread.
            futures = {
                call.key: pool.submit(copy_context().run, ports.model(call.request).complete, call.request)
                for call in calls
            }
            answers |= {key: future.result() for key, future in futures.items()}
    return answers


async def aanswer_all(ports: Ports, asks: tuple[Ask, ...]) -> dict[str, Answer]:
    """Return `answers[ask.key]` for every ask; models are asked at the same time."""
    answers: dict[str, Answer] = {
        a.key: ports.at_once(a) for a in asks if not isinstance(a, ModelAsk) and not ports.waits(a)
    }
    slow = [a for a in asks if not isinstance(a, ModelAsk) and ports.waits(a)]
    found = await asyncio.gather(*(asyncio.to_thread(ports.at_once, a) for a in slow))
    answers |= {a.key: answer for a, answer in zip(slow, found, strict=True)}
    calls = [a for a in asks if isinstance(a, ModelAsk)]
    if len(calls) == 1:
        answers[calls[0].key] = await ports.model(calls[0].request).acomplete(calls[0].request)
    elif calls:
        tasks = [asyncio.ensure_future(ports.model(c.request).acomplete(c.request)) for c in calls]
        try:
            replies = await asyncio.gather(*tasks)
        except BaseException:
            # A dead model ends the item; calls beside it must not go on unheard (and a TaskGroup would wrap the error).
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            raise
        answers |= {call.key: reply for call, reply in zip(calls, replies, strict=True)}
    return answers


def drive(rules: Rules, source: Source, state: ItemState, ports: Ports) -> ItemState:
    """Return the finished item."""
    while not state.done:
        step = advance(rules, source, state)
        while step.asks:
            step = advance(rules, source, step.state, answer_all(ports, step.asks))
        state = step.state
    return state


async def adrive(rules: Rules, source: Source, state: ItemState, ports: Ports) -> ItemState:
    """Return the finished item."""
    while not state.done:
        step = advance(rules, source, state)
        while step.asks:
            step = advance(rules, source, step.state, await aanswer_all(ports, step.asks))
        state = step.state
    return state
