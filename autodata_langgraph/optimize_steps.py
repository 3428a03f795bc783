"""The nodes of the outer loop: what happens in each. Edges are in `optimize_graph`, what is paid in `optimize_measuring`.

A node takes a `Turn` and returns what it changes of the state. What is better, worse or no child is decided in the core.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import Any

from langgraph.types import interrupt

from autodata_core.errors import RecipeError
from autodata_core.item import ItemState
from autodata_core.learnings import Learning, SharedNames, count, lessons_from, tries_of
from autodata_core.meta.asking import Analysis, analyzer_request, implementer_request, read_analysis, read_proposal
from autodata_core.meta.comparing import Comparison
from autodata_core.meta.counting import Failure, counts_of, failures_of, shown_failures
from autodata_core.meta.evaluating import Evaluation
from autodata_core.meta.gate import GateAnswer, gate_question
from autodata_core.meta.harness import Proposal, Texts, child_of, proposal_faults
from autodata_core.meta.history import ControlFigures, Outcome, Result, tried
from autodata_core.meta.notes import Step
from autodata_core.meta.search import compare_at, final_report, final_slots, slot_of, wave_of
from autodata_core.meta.splits import Finalist
from autodata_core.recipe import Recipe
from autodata_langgraph.optimize_context import Job, Turn
from autodata_langgraph.optimize_measuring import Task, control_figures, measure, reply_of, trajectories

__all__ = ["analyze", "decide", "evaluate", "finish_on_test", "gate", "implement", "record", "run_minibatch", "select"]

_TEST_MARGIN = 1.25
"""How much more than its share so far an evaluation of the test may cost. Ours."""


async def select(turn: Turn) -> dict[str, Any]:
    """Draw a parent for each iteration of the next wave, or end."""
    context, settings, log = turn.context, turn.context.settings, turn.context.log
    finished = {outcome.iteration for outcome in log.outcomes()}
    if not finished:
        _check_limit(turn)
        context.on_version(turn.rules.recipe, turn.notes(turn.rules.recipe))
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
    wave = [n for n in open_ if n < first + settings.concurrent_iterations]
    population = turn.population(first)
    jobs = []
    for n in wave:
        parent = population.select(temperature=settings.temperature, seed=settings.seed, iteration=n)
        jobs.append({"iteration": n, "parent": parent.version, "stage": "read", "look": 0})
    context.on_event({"kind": "wave", "iterations": wave, "population": len(population)})
    return {"jobs": jobs, "iteration": len(finished), "stopped": None}


def _check_limit(turn: Turn) -> None:
    """Refuse a limit under which nothing could be tried and measured.

    Raises:
        RecipeError: It is too small.
    """
    settings, parts = turn.context.settings, turn.context.parts
    test = settings.evaluations_of_test(len(parts.test))
    wave = settings.evaluations_of_wave(len(parts.validation)) + settings.controls if settings.iterations else 0
    if settings.max_evaluations is not None and settings.max_evaluations < test + wave:
        raise RecipeError(
            f"max_evaluations = {settings.max_evaluations} is too small: the test takes {test} evaluations and the first "
            f"wave of changes up to {wave}. Give at least {test + wave}, fewer test_repeats, or concurrent_iterations = 1."
        )


def _reason_to_stop(turn: Turn, iteration: int) -> str | None:
    """Return why no further iteration starts: enough is reached, or what is left is needed for the test."""
    context, settings, log = turn.context, turn.context.settings, turn.context.log
    done = log.evaluations()
    if settings.target is not None:
        best = turn.population(wave_of(settings, iteration)).best().version
        mine = [e.accepted for e in done if e.recipe == best and e.part == "validation"]
        if mine and sum(mine) / len(mine) >= settings.target:
            return "target"
    ahead = settings.evaluations_of_wave(len(context.parts.validation))
    if not any(e.part == "train" and e.slot == 0 for e in done):
        ahead += settings.controls
    test = settings.evaluations_of_test(len(context.parts.test))
    if settings.max_evaluations is not None and len(done) + ahead + test > settings.max_evaluations:
        return "evaluations"
    budget = context.budget
    if budget is not None and done:
        for limit, spent in ((budget.usd, budget.spent.cost_usd), (budget.calls, float(budget.spent.calls))):
            if limit is not None and spent + _TEST_MARGIN * spent / len(done) * (ahead + test) > limit:
                return "budget"
    return None


async def run_minibatch(turn: Turn) -> dict[str, Any]:
    """Let each parent work on a few train sources."""
    jobs = turn.jobs
    for job, states in zip(jobs, await asyncio.gather(*(trajectories(turn, job) for job in jobs)), strict=True):
        job["items"], job["failures"] = len(states), failures_of(states)
        job["shown"] = [failure.to_json() for failure in shown_failures(states)]
        job["accepted"] = sum(1 for state in states if state.status == "accepted")
    return {"jobs": jobs}


async def analyze(turn: Turn) -> dict[str, Any]:
    """Ask why the questions failed."""
    jobs, context = turn.jobs, turn.context

    async def one(job: Job) -> None:
        request = analyzer_request(
            turn.recipe(job["parent"]),
            await trajectories(turn, job),
            turn.history(job["iteration"]),
            iteration=job["iteration"],
            seed=context.settings.seed,
            fence_key=context.fence_key,
        )
        found = await reply_of(turn, request, read_analysis)
        if isinstance(found, str):
            _end(job, "invalid", f"the analysis cannot be read: {found}")
        else:
            job["analysis"] = found.model_dump()

    await asyncio.gather(*(one(job) for job in jobs))
    return {"jobs": jobs}


async def implement(turn: Turn) -> dict[str, Any]:
    """Ask for one change, and refuse what is no child."""
    jobs, context = turn.jobs, turn.context

    async def one(job: Job) -> None:
        parent, history = turn.recipe(job["parent"]), turn.history(job["iteration"])
        states = await trajectories(turn, job)
        request = implementer_request(
            parent,
            Analysis.model_validate(job["analysis"]),
            history,
            iteration=job["iteration"],
            seed=context.settings.seed,
            fence_key=context.fence_key,
            counts=counts_of(states),
        )
        found = await reply_of(turn, request, read_proposal)
        if isinstance(found, str):
            _end(job, "invalid", f"the proposal cannot be read: {found}")
            return
        job["proposal"] = found.model_dump()
        _propose(turn, job, child_of(parent, found, _learned(turn, states)), tried(history))

    await asyncio.gather(*(one(job) for job in jobs if job["stage"] != "done"))
    context.trajectories.clear()
    return {"jobs": jobs}


def _learned(turn: Turn, states: Sequence[ItemState]) -> tuple[Learning, ...]:
    """Return what code counts in a minibatch. It goes to other sources, so no name of a type or skill is taken from its own."""
    known = turn.rules.recipe.domain.question_types
    sources = {source.id: source for source in turn.context.parts.train}
    shared, tries = SharedNames(), {}
    for state in states:
        source = sources[state.source_id]
        tries[state.item] = tries_of(state.history, private=[source.text], known=known)
        shared.add(source, tries[state.item])
    return lessons_from(count(tries.items(), shared, known))


def _propose(turn: Turn, job: Job, child: Recipe, before: Sequence[str]) -> None:
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


async def evaluate(turn: Turn) -> dict[str, Any]:
    """Put the controls to each new child, then take one more look at parent and child on validation."""
    jobs, settings = turn.jobs, turn.context.settings
    for job in jobs:
        if job["stage"] == "measure" and job["look"] == 0:
            controls = await control_figures(turn, turn.recipe(job["parent"]), Recipe.from_json(job["recipe"]))
            job["controls"] = controls.to_json()
            if controls.worse:
                why = f"its check lets {controls.child} of {controls.asked} known-wrong questions through"
                _end(job, "vetoed", f"{why}, its parent's {controls.parent}")
    before: list[Task] = []
    after: list[Task] = []
    for job in jobs:
        if job["stage"] == "measure":
            job["look"] += 1
            slot = slot_of(settings, job["iteration"], job["look"])
            for recipe, tasks in ((turn.recipe(job["parent"]), before), (Recipe.from_json(job["recipe"]), after)):
                tasks += [Task(recipe, source, slot, "validation") for source in turn.context.parts.validation]
    # One after the other: where both write the same question, the second one's answers are paid for already.
    await measure(turn, before)
    await measure(turn, after)
    return {"jobs": jobs}


async def decide(turn: Turn) -> dict[str, Any]:
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


async def gate(turn: Turn) -> dict[str, Any]:
    """Ask a person about the first child that waits. Nothing is paid before the interrupt: the node runs again on resume."""
    jobs = turn.jobs
    job = next(job for job in jobs if job["stage"] == "gate")
    parent, child = turn.recipe(job["parent"]), Recipe.from_json(job["recipe"])
    claimed = _claims(turn, job)
    question = gate_question(
        job["iteration"], parent, child, _comparison(job), _control_figures(job),
        what=claimed["what"], why=claimed["why"], could_regress=claimed["could_regress"], causes=claimed["causes"],
        items=job.get("items", 0), accepted=job.get("accepted", 0), failures=job.get("failures", {}),
        shown=job.get("shown", ()),
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


async def record(turn: Turn) -> dict[str, Any]:
    """Write what became of each iteration: the version with its notes first, so that no joined version lacks them."""
    context = turn.context
    joined = {o.child for o in context.log.outcomes() if o.result == "joined"}
    for job in turn.jobs:
        if job["result"] == "joined" and job["child"] in joined:
            _end(job, "invalid", "the same recipe joined in the same wave")
        outcome = _outcome(turn, job)
        if outcome.recipe is not None:
            joined.add(outcome.child)
            recipe = Recipe.from_json(outcome.recipe)
            notes = turn.notes(recipe, turn.recipe(outcome.parent), outcome)
            await asyncio.to_thread(context.on_version, recipe, notes)
        await asyncio.to_thread(context.log.keep_outcome, outcome)
        context.on_event({"kind": "iteration", **outcome.to_json()})
    return {"jobs": []}


async def finish_on_test(turn: Turn) -> dict[str, Any]:
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
        tasks = [Task(one, source, slot, "test") for slot in final_slots(settings) for source in sources]
        done += [e for e in await measure(turn, tasks) if e is not None]
    by = {version: [e for e in done if e.recipe == version] for version in recipes}
    report = final_report(finalist, len(sources), settings.test_repeats, by[finalist.baseline], by[finalist.chosen])
    outcome = next((o for o in log.outcomes() if o.child == chosen.version and o.result == "joined"), None)
    parent = None if outcome is None else turn.recipe(outcome.parent)
    notes = turn.notes(
        chosen,
        parent,
        outcome,
        final=report,
        tried=Counter[str](o.result for o in log.outcomes()),
        baseline=turn.rules.recipe,
        steps=_steps(population.lineage(chosen.version), log.outcomes()),
    )
    await asyncio.to_thread(context.on_version, chosen, notes)
    context.on_event({"kind": "report", **report.to_json()})
    return {"report": report.to_json(), "best": chosen.to_json(), "jobs": []}


def _steps(lineage: Sequence[str], outcomes: Sequence[Outcome]) -> list[Step]:
    """Return the changes from the baseline to a version, the oldest first."""
    joined = {o.child: o for o in outcomes if o.result == "joined"}
    made = [joined[version] for version in reversed(lineage) if version in joined]
    return [Step(version=o.child or "", iteration=o.iteration, change=o.what) for o in made]


# --- jobs -------------------------------------------------------------------------------------------------------------


def _end(job: Job, result: Result, reason: str) -> None:
    job["stage"], job["result"], job["reason"] = "done", result, reason


def _comparison(job: Job) -> Comparison | None:
    return Comparison.from_json(job["comparison"]) if job.get("comparison") else None


def _control_figures(job: Job) -> ControlFigures | None:
    return ControlFigures.from_json(job["controls"]) if job.get("controls") else None


def _claims(turn: Turn, job: Job) -> dict[str, Any]:
    """Return what the models said of the change, without passages of sources: it goes to later prompts and into the notes."""
    plain = turn.context.passages.without
    proposal = Proposal.model_validate(job["proposal"]) if job.get("proposal") else None
    causes = tuple(plain(cause["cause"]) for cause in (job.get("analysis") or {}).get("causes", ()))
    return {
        "what": plain(proposal.what) if proposal else "",
        "why": plain(proposal.why) if proposal else "",
        "could_regress": plain(proposal.could_regress) if proposal else "",
        "causes": causes,
    }


def _outcome(turn: Turn, job: Job) -> Outcome:
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
        shown=tuple(Failure.from_json(failure) for failure in job.get("shown", ())),
        comparison=_comparison(job),
        controls=_control_figures(job),
        by=job.get("by", ""),
        said=job.get("said", ""),
        **_claims(turn, job),
    )
