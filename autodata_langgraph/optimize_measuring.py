"""What a search pays for: items of parents and children, known-wrong questions, and replies of analyzer and implementer.

Everything is looked up in the log first. What the figures mean is decided in `autodata_core.meta`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from autodata_core.errors import ModelUnreachableError
from autodata_core.item import ItemState
from autodata_core.meta.asking import asked_again
from autodata_core.meta.controls import WrongQuestion, control_request, let_through, wrong_questions
from autodata_core.meta.evaluating import Evaluation, Part, aevaluate, evaluation_from, evaluation_key
from autodata_core.meta.history import ControlFigures
from autodata_core.meta.search import minibatch, slot_of
from autodata_core.parsing import ReplyFault
from autodata_core.ports import ModelReply, ModelRequest
from autodata_core.recipe import Recipe
from autodata_core.records import Source
from autodata_langgraph.optimize_context import Job, Turn

__all__ = ["Task", "control_figures", "measure", "reply_of", "trajectories"]

_MISSING_SHARE = 0.2
"""So many evaluations of one step without an answer are an outage. Ours."""


@dataclass(frozen=True)
class Task:
    """One evaluation to make."""

    recipe: Recipe
    source: Source
    slot: int
    part: Part


async def reply_of(turn: Turn, request: ModelRequest, read: Callable[[ModelReply], Any]) -> Any:
    """Return what was read, or why it cannot be read, after one re-ask.

    Raises:
        ModelUnreachableError: No answer came.
    """
    fault = ""
    for again in (False, True):
        reply = await turn.context.ports.model(request).acomplete(request)
        if reply.error:
            raise ModelUnreachableError(
                f"The {request.role} gave no answer ({reply.error}). What is finished is kept; run the same again."
            )
        try:
            return read(reply)
        except ReplyFault as found:
            fault = str(found)
            if not again:
                request = asked_again(request, reply, fault)
    return fault


async def measure(turn: Turn, tasks: Sequence[Task]) -> list[Evaluation | None]:
    """Return the evaluations, from the log where they are in it; None where no model answered twice."""
    context, objective = turn.context, turn.context.settings.objective
    baseline, protocol = turn.rules.recipe, turn.rules.protocol
    keys = [evaluation_key(t.recipe, protocol, t.source, t.slot, objective, baseline) for t in tasks]
    missing = {key: task for key, task in zip(keys, tasks, strict=True) if context.log.evaluation(key) is None}
    await drive(turn, list(missing.values()))
    return [context.log.evaluation(key) for key in keys]


async def drive(turn: Turn, tasks: Sequence[Task]) -> list[ItemState | None]:
    """Run the items of these tasks and keep their figures; one without answers is tried once more.

    Raises:
        ModelUnreachableError: Too many gave no answer.
    """
    states = await _drive_once(turn, tasks)
    unanswered = [n for n, state in enumerate(states) if state is None]
    if unanswered:
        for n, state in zip(unanswered, await _drive_once(turn, [tasks[n] for n in unanswered]), strict=True):
            states[n] = state
    lost = sum(state is None for state in states)
    if lost > _MISSING_SHARE * len(tasks):
        raise ModelUnreachableError(
            f"{lost} of {len(tasks)} evaluations got no answer. What is finished is kept; check the models and run the "
            "same again."
        )
    return states


async def _drive_once(turn: Turn, tasks: Sequence[Task]) -> list[ItemState | None]:
    context, room = turn.context, asyncio.Semaphore(turn.context.settings.concurrency)
    objective, baseline = context.settings.objective, turn.rules.recipe

    async def one(task: Task) -> ItemState | None:
        rules = turn.under(task.recipe)
        async with room:
            state = await aevaluate(
                rules,
                task.source,
                task.slot,
                context.ports,
                run=context.run,
                fence_key=context.fence_key,
                before=baseline,
            )
        if state.status == "infra":  # no answer is never difficulty
            return None
        found = evaluation_from(rules, task.source, task.slot, task.part, state, objective, baseline)
        await asyncio.to_thread(context.log.keep_evaluation, found)
        context.on_event({"kind": "evaluation", "part": task.part, "accepted": found.accepted})
        return state

    made = [asyncio.ensure_future(one(task)) for task in tasks]
    try:
        return list(await asyncio.gather(*made))
    except BaseException:
        for task in made:
            task.cancel()
        await asyncio.gather(*made, return_exceptions=True)
        raise


async def control_figures(turn: Turn, parent: Recipe, child: Recipe) -> ControlFigures:
    """Return how many known-wrong questions both checks let through."""
    context, settings = turn.context, turn.context.settings
    if not turn.rules.protocol.quality_check:
        return ControlFigures()
    if context.wrong is None:
        train = context.parts.train[: settings.controls]
        states = await drive(turn, [Task(turn.rules.recipe, source, 0, "train") for source in train])
        context.wrong = wrong_questions([s for s in states if s is not None], {s.id: s for s in train})
    wrong = context.wrong
    through = [await _let_through(turn, recipe, wrong) for recipe in (parent, child)]
    return ControlFigures(asked=len(wrong), parent=through[0], child=through[1])


async def _let_through(turn: Turn, recipe: Recipe, wrong: Sequence[WrongQuestion]) -> int:
    context, key = turn.context, recipe.version
    if key not in context.let_through:
        requests = [
            control_request(recipe, one, seed=context.settings.seed, fence_key=context.fence_key) for one in wrong
        ]
        room = asyncio.Semaphore(context.settings.concurrency)

        async def ask(request: ModelRequest) -> bool | None:
            async with room:
                return let_through(await context.ports.model(request).acomplete(request))

        found = await asyncio.gather(*(ask(request) for request in requests))
        if any(one is None for one in found):
            raise ModelUnreachableError("The quality check gave no answer to a control. Run the same again.")
        context.let_through[key] = sum(bool(one) for one in found)
    return context.let_through[key]


async def trajectories(turn: Turn, job: Job) -> tuple[ItemState, ...]:
    """Return the finished items of a minibatch; after a restart they are made again from recorded calls."""
    context, n = turn.context, int(job["iteration"])
    if n not in context.trajectories:
        batch = minibatch(context.parts.train, context.settings, n)
        slot = slot_of(context.settings, n, 1)
        tasks = [Task(turn.recipe(job["parent"]), source, slot, "train") for source in batch]
        context.trajectories[n] = tuple(state for state in await drive(turn, tasks) if state is not None)
    return context.trajectories[n]
