"""The outer loop as a LangGraph state machine: a recipe is run, its failures are read, it is rewritten, and measured.

`select → run_minibatch → analyze → implement → evaluate → decide → gate → record → select | finish_on_test`

Each pass is a wave of a few iterations at the same time. What is decided is in `autodata_core.meta`; the log makes the search
resumable, so the graph needs a checkpointer only where a person is asked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass, field
from typing import Any

from langchain_core.runnables import RunnableLambda
from langgraph.graph import END, START, StateGraph
from langgraph.runtime import get_runtime
from langgraph.types import interrupt
from typing_extensions import TypedDict

from autodata_core.budget import Budget, BudgetSpentError
from autodata_core.errors import ModelUnreachableError, RecipeError
from autodata_core.item import ItemState
from autodata_core.learnings import study
from autodata_core.meta.asking import (
    Analysis,
    analyzer_request,
    asked_again,
    failures_of,
    implementer_request,
    read_analysis,
    read_proposal,
)
from autodata_core.meta.comparing import Comparison
from autodata_core.meta.controls import WrongQuestion, control_request, let_through, wrong_questions
from autodata_core.meta.evaluating import Evaluation, Part, aevaluate, evaluation_from, evaluation_key
from autodata_core.meta.gate import GateAnswer, gate_question
from autodata_core.meta.harness import Proposal, Texts, child_of, proposal_faults
from autodata_core.meta.history import ControlFigures, MemoryLog, Outcome, Result, SearchLog, tried
from autodata_core.meta.notes import ReleaseNotes, notes_for
from autodata_core.meta.population import Population
from autodata_core.meta.search import (
    FinalReport,
    SearchSettings,
    compare_at,
    final_report,
    final_slots,
    minibatch,
    population_before,
    slot_of,
    wave_of,
)
from autodata_core.meta.splits import Finalist, Splits
from autodata_core.parsing import ReplyFault
from autodata_core.ports import ModelReply, ModelRequest
from autodata_core.recipe import EvaluationProtocol, Recipe, Rules
from autodata_core.records import Source
from autodata_langgraph.context import AutodataContext, RecipeLike, rules_from

__all__ = ["OptimizeContext", "OptimizeState", "create_optimize_graph"]

_MISSING_SHARE = 0.2
"""So many evaluations of one step without an answer are an outage. Ours."""
_TEST_MARGIN = 1.25
"""How much more than its share so far an evaluation of the test may cost. Ours."""

Event = dict[str, Any]


@dataclass
class OptimizeContext(AutodataContext):
    """What a search is given. `models` needs the roles `analyzer` and `implementer` too, or their stand-ins."""

    splits: Splits | None = None
    settings: SearchSettings = field(default_factory=SearchSettings)
    log: SearchLog = field(default_factory=MemoryLog)
    budget: Budget | None = None
    """The one that the models keep within, so that enough is left for the test."""
    concurrency: int = 8
    """Evaluations in flight at once."""
    ask: bool = False
    """Whether a person decides on every child that is better. Needs a checkpointer."""
    on_version: Callable[[Recipe, ReleaseNotes], None] = lambda recipe, notes: None
    """Called before a version is in the log, and again with its final figures; may be called twice with the same."""
    on_event: Callable[[Event], None] = lambda event: None
    _trajectories: dict[int, tuple[ItemState, ...]] = field(default_factory=dict, init=False, repr=False)
    _wrong: tuple[WrongQuestion, ...] | None = field(default=None, init=False, repr=False)
    _let_through: dict[str, int] = field(default_factory=dict, init=False, repr=False)
    _controls_lock: asyncio.Lock | None = field(default=None, init=False, repr=False)

    @property
    def parts(self) -> Splits:
        """The sources.

        Raises:
            RecipeError: None were given.
        """
        if self.splits is None:
            raise RecipeError("A search needs sources: OptimizeContext(splits=split_sources(sources), ...).")
        return self.splits


class OptimizeState(TypedDict, total=False):
    """Plain JSON: the wave in hand and how the search ended."""

    jobs: list[dict[str, Any]]
    iteration: int
    """Iterations finished."""
    stopped: str | None
    """Why it ended before the last iteration: `target`, `evaluations`, `budget`; None when it did not."""
    note: str
    report: dict[str, Any] | None
    """`FinalReport`, None when the test was not read."""
    best: dict[str, Any]
    """The recipe the search ended with."""


def create_optimize_graph(
    recipe: RecipeLike, protocol: EvaluationProtocol | None = None
) -> StateGraph[Any, Any, Any, Any]:
    """Return the outer loop, not compiled. Invoke it with `{}` and an `OptimizeContext`.

    With `ask=True` compile it with a checkpointer; at every `interrupt` answer with a `GateAnswer` as JSON.
    """
    rules = rules_from(recipe, protocol)
    graph = StateGraph(OptimizeState, context_schema=OptimizeContext)
    steps: dict[str, Callable[[_Turn], Awaitable[dict[str, Any]]]] = {
        "select": _select,
        "run_minibatch": _run_minibatch,
        "analyze": _analyze,
        "implement": _implement,
        "evaluate": _evaluate,
        "decide": _decide,
        "gate": _gate,
        "record": _record,
        "finish_on_test": _finish_on_test,
    }
    for name, step in steps.items():
        graph.add_node(name, _node(name, step, rules))
    graph.add_edge(START, "select")
    graph.add_conditional_edges("select", _after_select, ["run_minibatch", "finish_on_test"])
    graph.add_conditional_edges("run_minibatch", _unless_stopped("analyze"), ["analyze", END])
    graph.add_conditional_edges("analyze", _unless_stopped("implement"), ["implement", END])
    graph.add_conditional_edges("implement", _unless_stopped("evaluate"), ["evaluate", END])
    graph.add_conditional_edges("evaluate", _unless_stopped("decide"), ["decide", END])
    graph.add_conditional_edges("decide", _after_decide, ["evaluate", "gate", "record"])
    graph.add_conditional_edges("gate", _after_decide, ["evaluate", "gate", "record"])
    graph.add_edge("record", "select")
    graph.add_edge("finish_on_test", END)
    return graph


@dataclass(frozen=True)
class _Turn:
    """What one node works with."""

    state: OptimizeState
    rules: Rules
    context: OptimizeContext

    @property
    def jobs(self) -> list[dict[str, Any]]:
        return [dict(job) for job in self.state.get("jobs", [])]

    def recipe(self, version: str) -> Recipe:
        """Return a member of the population."""
        if version == self.rules.recipe.version:
            return self.rules.recipe
        found = next(o.recipe for o in self.context.log.outcomes() if o.child == version and o.recipe is not None)
        return Recipe.from_json(found)

    def population(self, iteration: int) -> Population:
        log = self.context.log
        return population_before(self.rules.recipe, log.outcomes(), log.evaluations(), self.context.settings, iteration)

    def history(self, iteration: int) -> list[Outcome]:
        """Return what was known when the wave of an iteration began."""
        first = wave_of(self.context.settings, iteration)
        return [outcome for outcome in self.context.log.outcomes() if outcome.iteration < first]

    def under(self, recipe: Recipe) -> Rules:
        return Rules(recipe, self.rules.protocol)


def _node(name: str, step: Callable[[_Turn], Awaitable[dict[str, Any]]], rules: Rules) -> RunnableLambda[Any, Any]:
    async def arun(state: OptimizeState) -> dict[str, Any]:
        context = get_runtime(OptimizeContext).context
        measured = context.ports.measured(rules)
        try:
            return await step(_Turn(state, measured, context))
        except BudgetSpentError as error:
            return {"stopped": "budget", "note": f"{error} The test sources were not read."}

    def run(state: OptimizeState) -> dict[str, Any]:
        # In a thread, because the caller's own loop may be running.
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(copy_context().run, lambda: asyncio.run(_as_coroutine(arun(state)))).result()

    return RunnableLambda(run, arun, name=name)


async def _as_coroutine(value: Awaitable[dict[str, Any]]) -> dict[str, Any]:
    return await value


def _unless_stopped(following: str) -> Callable[[OptimizeState], str]:
    return lambda state: END if state.get("stopped") == "budget" and state.get("note") else following


def _after_select(state: OptimizeState) -> str:
    return "run_minibatch" if state["jobs"] else "finish_on_test"


def _after_decide(state: OptimizeState) -> str:
    if any(job["stage"] == "measure" for job in state["jobs"]):
        return "evaluate"
    return "gate" if any(job["stage"] == "gate" for job in state["jobs"]) else "record"


# --- the nodes --------------------------------------------------------------------------------------------------------


async def _select(turn: _Turn) -> dict[str, Any]:
    """Draw a parent for each iteration of the next wave, or end."""
    context, settings, log = turn.context, turn.context.settings, turn.context.log
    finished = {outcome.iteration for outcome in log.outcomes()}
    if not finished:
        context.on_version(
            turn.rules.recipe, notes_for(turn.rules.recipe, None, None, protocol=turn.rules.protocol.hash)
        )
    ended = log.finalist()
    if ended is not None:
        if settings.iterations > ended.asked:
            context.parts.test.open(ended.model_copy(update={"asked": settings.iterations}))  # says why not
        return {"jobs": [], "iteration": len(finished), "stopped": turn.state.get("stopped")}
    open_ = [n for n in range(1, settings.iterations + 1) if n not in finished]
    stopped = _reason_to_stop(turn, open_[0]) if open_ else None
    if not open_ or stopped:
        return {"jobs": [], "iteration": len(finished), "stopped": stopped}
    first = wave_of(settings, open_[0])
    wave = [n for n in open_ if n < first + settings.concurrent]
    population = turn.population(first)
    jobs = []
    for n in wave:
        parent = population.select(temperature=settings.temperature, seed=settings.seed, iteration=n)
        jobs.append({"iteration": n, "parent": parent.version, "stage": "read", "look": 0})
    context.on_event({"kind": "wave", "iterations": wave, "population": len(population)})
    return {"jobs": jobs, "iteration": len(finished), "stopped": None}


def _reason_to_stop(turn: _Turn, iteration: int) -> str | None:
    """Return why no further iteration starts: enough is reached, or what is left is needed for the test."""
    context, settings, log = turn.context, turn.context.settings, turn.context.log
    done = log.evaluations()
    if settings.target is not None:
        best = turn.population(wave_of(settings, iteration)).best().version
        mine = [e.accepted for e in done if e.recipe == best and e.part == "validation"]
        if mine and sum(mine) / len(mine) >= settings.target:
            return "target"
    ahead = settings.concurrent * settings.evaluations_of_iteration(len(context.parts.validation))
    test = settings.evaluations_of_test(len(context.parts.test))
    if settings.max_evaluations is not None and len(done) + ahead + test > settings.max_evaluations:
        return "evaluations"
    budget = context.budget
    if budget is not None and done:
        for limit, spent in ((budget.usd, budget.spent.cost_usd), (budget.calls, float(budget.spent.calls))):
            if limit is not None and spent + _TEST_MARGIN * spent / len(done) * (ahead + test) > limit:
                return "budget"
    return None


async def _run_minibatch(turn: _Turn) -> dict[str, Any]:
    """Let each parent work on a few train sources."""
    jobs = turn.jobs
    for job, states in zip(jobs, await asyncio.gather(*(_trajectories(turn, job) for job in jobs)), strict=True):
        job["items"], job["failures"] = len(states), failures_of(states)
        job["accepted"] = sum(1 for state in states if state.status == "accepted")
    return {"jobs": jobs}


async def _trajectories(turn: _Turn, job: dict[str, Any]) -> tuple[ItemState, ...]:
    """Return the finished items of a minibatch; after a restart they are made again from recorded calls."""
    context, n = turn.context, int(job["iteration"])
    if n not in context._trajectories:
        batch = minibatch(context.parts.train, context.settings, n)
        slot = slot_of(context.settings, n, 1)
        tasks = [_Task(turn.recipe(job["parent"]), source, slot, "train") for source in batch]
        context._trajectories[n] = tuple(state for state in await _drive(turn, tasks) if state is not None)
    return context._trajectories[n]


async def _analyze(turn: _Turn) -> dict[str, Any]:
    """Ask why the questions failed."""
    jobs, context = turn.jobs, turn.context

    async def one(job: dict[str, Any]) -> None:
        request = analyzer_request(
            turn.recipe(job["parent"]),
            await _trajectories(turn, job),
            turn.history(job["iteration"]),
            iteration=job["iteration"],
            seed=context.settings.seed,
            fence_key=context.fence_key,
        )
        found = await _reply(turn, request, read_analysis)
        if isinstance(found, str):
            _end(job, "invalid", f"the analysis cannot be read: {found}")
        else:
            job["analysis"] = found.model_dump()

    await asyncio.gather(*(one(job) for job in jobs))
    return {"jobs": jobs}


async def _implement(turn: _Turn) -> dict[str, Any]:
    """Ask for one change, and refuse what is no child."""
    jobs, context = turn.jobs, turn.context

    async def one(job: dict[str, Any]) -> None:
        parent, history = turn.recipe(job["parent"]), turn.history(job["iteration"])
        request = implementer_request(
            parent,
            Analysis.model_validate(job["analysis"]),
            history,
            iteration=job["iteration"],
            seed=context.settings.seed,
            fence_key=context.fence_key,
        )
        found = await _reply(turn, request, read_proposal)
        if isinstance(found, str):
            _end(job, "invalid", f"the proposal cannot be read: {found}")
            return
        job["proposal"] = found.model_dump()
        studied = study((state.item, state.history) for state in await _trajectories(turn, job))
        _propose(turn, job, child_of(parent, found, studied), tried(history))

    await asyncio.gather(*(one(job) for job in jobs if job["stage"] != "done"))
    context._trajectories.clear()
    return {"jobs": jobs}


def _propose(turn: _Turn, job: dict[str, Any], child: Recipe, before: Sequence[str]) -> None:
    parent, parts, settings = turn.recipe(job["parent"]), turn.context.parts, turn.context.settings
    job["child"], job["recipe"] = child.version, child.to_json()
    faults = proposal_faults(
        parent,
        child,
        [*parts.train, *parts.validation],
        bounds=settings.bounds,
        others=[turn.rules.recipe.version, *before],
    )
    if faults:
        _end(job, "invalid", "; ".join(faults))
    else:
        job["stage"], job["look"] = "measure", 0


async def _evaluate(turn: _Turn) -> dict[str, Any]:
    """Put the controls to each new child, then take one more look at parent and child on validation."""
    jobs, settings = turn.jobs, turn.context.settings
    for job in jobs:
        if job["stage"] == "measure" and job["look"] == 0:
            controls = await _controls(turn, turn.recipe(job["parent"]), Recipe.from_json(job["recipe"]))
            job["controls"] = controls.to_json()
            if controls.worse:
                why = f"its check lets {controls.child} of {controls.asked} known-wrong questions through"
                _end(job, "vetoed", f"{why}, its parent's {controls.parent}")
    before: list[_Task] = []
    after: list[_Task] = []
    for job in jobs:
        if job["stage"] == "measure":
            job["look"] += 1
            slot = slot_of(settings, job["iteration"], job["look"])
            for recipe, tasks in ((turn.recipe(job["parent"]), before), (Recipe.from_json(job["recipe"]), after)):
                tasks += [_Task(recipe, source, slot, "validation") for source in turn.context.parts.validation]
    # One after the other: where both write the same question, the second one's answers are paid for already.
    await _measure(turn, before)
    await _measure(turn, after)
    return {"jobs": jobs}


async def _decide(turn: _Turn) -> dict[str, Any]:
    """Compare each child with its parent."""
    jobs, context = turn.jobs, turn.context
    for job in jobs:
        if job["stage"] != "measure":
            continue
        done = [e for e in context.log.evaluations() if e.part == "validation"]
        pair = [[e for e in done if e.recipe == job[who]] for who in ("parent", "child")]
        found = compare_at(context.settings, job["iteration"], job["look"], *pair)
        job["comparison"] = found.to_json()
        if found.decision == "not better":
            _end(job, "not better", f"gain {found.gain.gain:+.3f}, p = {found.p:.2g} at look {found.look}")
        elif found.decision == "better":
            job["stage"] = "gate" if context.ask and not job.get("edited") else "done"
            job["result"], job["reason"] = (
                "joined",
                f"gain {found.gain.gain:+.3f}, p = {found.p:.2g} at look {found.look}",
            )
    return {"jobs": jobs}


async def _gate(turn: _Turn) -> dict[str, Any]:
    """Ask a person about the first child that waits. Nothing is paid before the interrupt: the node runs again on resume."""
    jobs = turn.jobs
    job = next(job for job in jobs if job["stage"] == "gate")
    parent, child = turn.recipe(job["parent"]), Recipe.from_json(job["recipe"])
    claimed = _claims(job)
    question = gate_question(
        job["iteration"], parent, child, _comparison(job), _control_figures(job),
        what=claimed["what"], why=claimed["why"], could_regress=claimed["could_regress"], causes=claimed["causes"],
    )  # fmt: skip
    answer = GateAnswer.model_validate(interrupt(question, response_schema=GateAnswer))
    job["by"], job["said"] = "person", answer.why
    if answer.action == "reject":
        _end(job, "declined", f"a person declined it: {answer.why}")
    elif answer.action == "approve":
        job["stage"] = "done"
    else:
        # What a person wrote is measured like what a model wrote; the person need not be asked again.
        job["edited"], job["comparison"] = True, None
        texts = answer.texts or Texts()
        edited = child_of(child, texts)
        edited = Recipe.from_json({**edited.to_json(), "parent": parent.version})
        if edited.version == child.version:
            _end(job, "invalid", "a person edited it into what it was")
        else:
            _propose(turn, job, edited, [])
    return {"jobs": jobs}


async def _record(turn: _Turn) -> dict[str, Any]:
    """Write what became of each iteration: the version with its notes first, so that no joined version lacks them."""
    context = turn.context
    joined = {o.child for o in context.log.outcomes() if o.result == "joined"}
    for job in turn.jobs:
        if job["result"] == "joined" and job["child"] in joined:
            _end(job, "invalid", "the same recipe joined in the same wave")
        outcome = _outcome(job)
        if outcome.recipe is not None:
            joined.add(outcome.child)
            recipe = Recipe.from_json(outcome.recipe)
            notes = notes_for(recipe, turn.recipe(outcome.parent), outcome, protocol=turn.rules.protocol.hash)
            await asyncio.to_thread(context.on_version, recipe, notes)
        await asyncio.to_thread(context.log.keep_outcome, outcome)
        context.on_event({"kind": "iteration", **outcome.to_json()})
    return {"jobs": []}


async def _finish_on_test(turn: _Turn) -> dict[str, Any]:
    """End the search, and only then open the test sources: baseline and finalist, the same seeds, once."""
    context, settings, log = turn.context, turn.context.settings, turn.context.log
    population = turn.population(10**9)
    finalist = log.finalist() or Finalist(
        baseline=turn.rules.recipe.version,
        chosen=population.best().version,
        iterations=len(log.outcomes()),
        asked=settings.iterations,
    )
    sources = context.parts.test.open(finalist)
    await asyncio.to_thread(log.keep_finalist, finalist)
    chosen = population[finalist.chosen].recipe
    recipes = {recipe.version: recipe for recipe in (turn.rules.recipe, chosen)}
    done: list[Evaluation] = []
    for one in recipes.values():
        tasks = [_Task(one, source, slot, "test") for slot in final_slots(settings) for source in sources]
        done += [e for e in await _measure(turn, tasks) if e is not None]
    by = {version: [e for e in done if e.recipe == version] for version in recipes}
    report = final_report(finalist, len(sources), settings.test_repeats, by[finalist.baseline], by[finalist.chosen])
    outcome = next((o for o in log.outcomes() if o.child == chosen.version and o.result == "joined"), None)
    parent = None if outcome is None else turn.recipe(outcome.parent)
    notes = notes_for(chosen, parent, outcome, protocol=turn.rules.protocol.hash, final=report)
    await asyncio.to_thread(context.on_version, chosen, notes)
    context.on_event({"kind": "report", **report.to_json()})
    return {"report": report.to_json(), "best": chosen.to_json(), "jobs": []}


# --- jobs -------------------------------------------------------------------------------------------------------------


def _end(job: dict[str, Any], result: Result, reason: str) -> None:
    job["stage"], job["result"], job["reason"] = "done", result, reason


def _comparison(job: dict[str, Any]) -> Comparison | None:
    return Comparison.from_json(job["comparison"]) if job.get("comparison") else None


def _control_figures(job: dict[str, Any]) -> ControlFigures | None:
    return ControlFigures.from_json(job["controls"]) if job.get("controls") else None


def _claims(job: dict[str, Any]) -> dict[str, Any]:
    """Return what the models said of the change."""
    proposal = Proposal.model_validate(job["proposal"]) if job.get("proposal") else None
    causes = tuple(cause["cause"] for cause in (job.get("analysis") or {}).get("causes", ()))
    return {
        "what": proposal.what if proposal else "",
        "why": proposal.why if proposal else "",
        "could_regress": proposal.could_regress if proposal else "",
        "causes": causes,
    }


def _outcome(job: dict[str, Any]) -> Outcome:
    joined = job["result"] == "joined"
    return Outcome(
        iteration=job["iteration"],
        parent=job["parent"],
        result=job["result"],
        reason=job["reason"],
        child=job.get("child"),
        recipe=job["recipe"] if joined else None,
        items=job.get("items", 0),
        accepted=job.get("accepted", 0),
        failures=job.get("failures", {}),
        comparison=_comparison(job),
        controls=_control_figures(job),
        by=job.get("by", ""),
        said=job.get("said", ""),
        **_claims(job),
    )


# --- what is paid -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Task:
    """One evaluation to make."""

    recipe: Recipe
    source: Source
    slot: int
    part: Part


async def _reply(turn: _Turn, request: ModelRequest, read: Callable[[ModelReply], Any]) -> Any:
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


async def _measure(turn: _Turn, tasks: Sequence[_Task]) -> list[Evaluation | None]:
    """Return the evaluations, from the log where they are in it; None where no model answered twice."""
    context, objective = turn.context, turn.context.settings.objective
    keys = [evaluation_key(t.recipe, turn.rules.protocol, t.source, t.slot, objective) for t in tasks]
    missing = {key: task for key, task in zip(keys, tasks, strict=True) if context.log.evaluation(key) is None}
    await _drive(turn, list(missing.values()))
    return [context.log.evaluation(key) for key in keys]


async def _drive(turn: _Turn, tasks: Sequence[_Task]) -> list[ItemState | None]:
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


async def _drive_once(turn: _Turn, tasks: Sequence[_Task]) -> list[ItemState | None]:
    context, room = turn.context, asyncio.Semaphore(turn.context.concurrency)

    async def one(task: _Task) -> ItemState | None:
        rules = turn.under(task.recipe)
        async with room:
            state = await aevaluate(
                rules, task.source, task.slot, context.ports, run=context.run, fence_key=context.fence_key
            )
        if state.status == "infra":  # no answer is never difficulty
            return None
        found = evaluation_from(rules, task.source, task.slot, task.part, state, context.settings.objective)
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


async def _controls(turn: _Turn, parent: Recipe, child: Recipe) -> ControlFigures:
    """Return how many known-wrong questions both checks let through."""
    context, settings = turn.context, turn.context.settings
    if not settings.controls or not turn.rules.protocol.quality_check:
        return ControlFigures()
    if context._wrong is None:
        train = context.parts.train[: settings.controls]
        states = await _drive(turn, [_Task(turn.rules.recipe, source, 0, "train") for source in train])
        context._wrong = wrong_questions([s for s in states if s is not None], {s.id: s for s in train})
    wrong = context._wrong
    through = [await _let_through(turn, recipe, wrong) for recipe in (parent, child)]
    return ControlFigures(asked=len(wrong), parent=through[0], child=through[1])


async def _let_through(turn: _Turn, recipe: Recipe, wrong: Sequence[WrongQuestion]) -> int:
    context, key = turn.context, f"{recipe.version}"
    if key not in context._let_through:
        requests = [
            control_request(recipe, one, seed=context.settings.seed, fence_key=context.fence_key) for one in wrong
        ]
        room = asyncio.Semaphore(context.concurrency)

        async def ask(request: ModelRequest) -> bool | None:
            async with room:
                return let_through(await context.ports.model(request).acomplete(request))

        found = await asyncio.gather(*(ask(request) for request in requests))
        if any(one is None for one in found):
            raise ModelUnreachableError("The quality check gave no answer to a control. Run the same again.")
        context._let_through[key] = sum(bool(one) for one in found)
    return context._let_through[key]


def report_of(state: OptimizeState) -> FinalReport | None:
    """Return what the test showed, None when it was not read."""
    found = state.get("report")
    return None if found is None else FinalReport.from_json(found)
