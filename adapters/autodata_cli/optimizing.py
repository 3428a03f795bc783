"""`autodata optimize`: searches a better recipe, measures it once on sources that no decision saw, and keeps every version.

The same command goes on after a stop: calls are replayed from the journal, evaluations and iterations are in the log.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command
from pydantic import ValidationError

from autodata_adapters.models import create_model
from autodata_adapters.models.prices import price_of
from autodata_adapters.optimizers import StoredLog
from autodata_adapters.stores import RunLock, SqliteRunStore, open_run
from autodata_adapters.stores.recipes import RecipeRegistry, was_read
from autodata_cli.recipes import folder_of
from autodata_cli.workspace import Prices, Workspace
from autodata_core.budget import Budget
from autodata_core.calls import JournaledModel
from autodata_core.errors import AutodataError, BudgetError, StoreError
from autodata_core.meta.gate import GateAnswer
from autodata_core.meta.harness import read_texts
from autodata_core.meta.notes import ReleaseNotes
from autodata_core.meta.search import FinalReport, SearchSettings
from autodata_core.meta.splits import Splits, split_sources
from autodata_core.ports import Model
from autodata_core.prompts import visible
from autodata_core.recipe import Recipe
from autodata_core.records import Role, fingerprint
from autodata_core.roles import player
from autodata_langgraph.checkpointing import strict
from autodata_langgraph.optimize_graph import OptimizeContext, create_optimize_graph

__all__ = ["Optimize", "OptimizeResult", "optimize_recipe", "result_text"]

Ask = Callable[[dict[str, Any]], dict[str, Any]]
"""Shows a person the question and returns their answer as JSON, to be checked by `GateAnswer`."""

_RECURSION_LIMIT = 1_000_000


@dataclass
class Optimize:
    """One `autodata optimize`."""

    workspace: Workspace
    out: Path
    settings: SearchSettings = field(default_factory=SearchSettings)
    budget_usd: float | None = None
    ask: Ask | None = None
    on_event: Callable[[dict[str, Any]], None] = lambda event: None
    budget: Budget = field(default_factory=Budget)
    signal: int | None = None


@dataclass(frozen=True)
class OptimizeResult:
    """How a search ended."""

    folder: Path
    report: FinalReport | None
    """None when the test was not read."""
    stopped: str | None
    note: str
    outcomes: Counter[str]
    """Iterations by result."""
    evaluations: Counter[str]
    """By part."""
    cost_usd: float
    calls: int
    in_force: str = ""
    """Version; a person may have gone back since the test."""
    exit_code: int = 0


def optimize_recipe(job: Optimize) -> OptimizeResult:
    """Search until the iterations, the target or the budget are used up, then measure on test.

    Raises:
        AutodataError: Of the kind that belongs to what is broken; whatever was finished is kept.
    """
    workspace = job.workspace
    models, prices = _players(workspace)
    usd = job.budget_usd if job.budget_usd is not None else workspace.file.budget.usd
    workspace.check_prices(usd)
    for role, price in prices.items():
        if usd is not None and (price.price_in is None or price.price_out is None):
            raise BudgetError(
                f"A budget in US dollars needs the price of every model, and {role!r} has none. Give "
                f"[models.options.{role}] price_in and price_out in US dollars per million tokens (0 if it is free)."
            )
    os.umask(0o077)
    folder = open_run(job.out)
    with RunLock(folder.path), SqliteRunStore(folder.database, free_space=folder.release_reserve) as store:
        _bind(job, store)
        log = StoredLog(store)
        splits = split_sources(
            workspace.sources.sources, job.settings.shares, seed=job.settings.seed, opened_for=log.finalist()
        )
        table = workspace.file.budget
        job.budget.usd, job.budget.calls, job.budget.tokens = usd, table.calls, table.tokens
        job.budget.spent = store.spent()
        registry = RecipeRegistry(folder.path)
        split_note = _note_split(workspace, splits, registry)
        context = OptimizeContext(
            models={
                role: JournaledModel(
                    model, store, job.budget, prices[role].price_in or 0.0, prices[role].price_out or 0.0
                )
                for role, model in models.items()
            },
            verifiers=workspace.verifiers,
            run=store.get_meta("run_id") or "optimize",
            fence_key=store.get_meta("fence_key") or "",
            splits=splits,
            settings=job.settings,
            log=log,
            budget=job.budget,
            split_note=split_note,
            ask=job.ask is not None,
            on_version=_keeper(registry),
            on_event=job.on_event,
        )
        state: dict[str, Any] = {}
        try:
            state = asyncio.run(_search(job, context, models))
        except asyncio.CancelledError:
            if job.signal is None:
                raise
            state = {"stopped": "interrupted", "note": "The same command goes on."}
        found = state.get("report")
        report = None if found is None else FinalReport.from_json(found)
        if report is not None:
            _put_in_force(registry, report)
        result = OptimizeResult(
            folder=folder.path,
            report=report,
            stopped=state.get("stopped"),
            note=state.get("note") or "",
            outcomes=Counter(outcome.result for outcome in log.outcomes()),
            evaluations=Counter(evaluation.part for evaluation in log.evaluations()),
            cost_usd=job.budget.spent.cost_usd,
            calls=job.budget.spent.calls,
            in_force=registry.head() if registry.moves() else "",
            exit_code=0 if job.signal is None else 128 + job.signal,
        )
        _write_report(result)
    return result


def _note_split(workspace: Workspace, splits: Splits, registry: RecipeRegistry) -> str:
    """Keep which sources this search reads; return what is to be said of test sources that an earlier one has read."""
    mine = (*splits.train, *splits.validation)
    origin = folder_of(workspace.file.recipe, workspace.base_dir)
    if origin is None:
        registry.keep_read(mine)
        return ""
    before = RecipeRegistry(origin).read()
    registry.keep_read(mine, before or ())
    if before is None:
        return (
            "It began with a version of another search, which kept no list: how many of these test sources that one read is not "
            "known."
        )
    known = {source.id for source in mine}
    test = [source for source in workspace.sources.sources if source.id not in known]
    seen = sum(was_read(source, before) for source in test)
    said = f"It began with a version of another search, in which {seen} of its {len(test)} test sources were read or decided by"
    return f"{said}: the texts it began with were found with their help." if seen else f"{said}."


def _bind(job: Optimize, store: SqliteRunStore) -> None:
    """Tie the folder to recipe, protocol, sources and settings; what may grow is not part of it."""
    rules, sources = job.workspace.rules, job.workspace.sources.sources
    parts = {"optimize": fingerprint(job.settings.bound().to_json())}
    parts |= {f"model {role}": fingerprint(m.to_json()) for role, m in rules.protocol.models.items()}
    source_hash = fingerprint([[s.id, s.sha256] for s in sources])
    try:
        store.bind(rules.recipe.version, rules.protocol.hash, source_hash, json.dumps(rules.recipe.to_json()), parts)
    except StoreError as error:
        # The store speaks of data-set runs, which can be forked; a search is bound to what it began with.
        said = str(error).partition(" Undo the change")[0]
        raise StoreError(
            f"{said} Undo the change to go on with it, or choose another folder for a new search."
        ) from error
    if store.get_meta("fence_key") is None:
        run = "opt-" + fingerprint([rules.recipe.version, rules.protocol.hash, source_hash])[:16]
        store.set_meta("run_id", run).result()
        store.set_meta("fence_key", os.urandom(16).hex()).result()


def _keeper(registry: RecipeRegistry) -> Callable[[Recipe, ReleaseNotes], None]:
    def keep(recipe: Recipe, notes: ReleaseNotes) -> None:
        registry.keep(recipe, notes)

    return keep


def _put_in_force(registry: RecipeRegistry, report: FinalReport) -> None:
    """Put the finalist in force when the test shows a gain; otherwise the baseline stays, and the notes say why."""
    if not registry.moves():
        registry.put_in_force(report.finalist.baseline, "the baseline")
    better = report.significant and report.acceptance.gain > 0
    already = any(move.version == report.finalist.chosen for move in registry.moves())
    if better and not already:  # a person may have gone back since
        registry.put_in_force(report.finalist.chosen, report.sentence())


async def _search(job: Optimize, context: OptimizeContext, models: dict[Role, Model]) -> dict[str, Any]:
    saver = strict(InMemorySaver()) if job.ask is not None else None
    graph = create_optimize_graph(job.workspace.rules).compile(checkpointer=saver or False, name="autodata_optimize")
    config: Any = {"recursion_limit": _RECURSION_LIMIT, "configurable": {"thread_id": "optimize"}}
    task = asyncio.current_task()
    loop = asyncio.get_running_loop()

    def seen(number: int) -> None:
        if job.signal is not None:
            os._exit(128 + number)
        job.signal = number
        if task is not None:
            task.cancel()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, seen, number)
    given: Any = {}
    try:
        while True:
            state: dict[str, Any] = await graph.ainvoke(given, config, context=context)
            waiting = state.get("__interrupt__")
            if not waiting or job.ask is None:
                return state
            answer = await asyncio.to_thread(_answer, job.ask, waiting[0].value)
            given = Command(resume={waiting[0].id: answer})
    finally:
        for model in {id(m): m for m in models.values()}.values():
            if (close := getattr(model, "aclose", None)) is not None:
                await close()


def _answer(ask: Ask, question: dict[str, Any]) -> dict[str, Any]:
    """Ask until the answer has the right form."""
    while True:
        found = ask(question)
        try:
            return GateAnswer.model_validate(found).model_dump()
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            question = {**question, "fault": f"{where}: {first['msg']}" if where else first["msg"]}


def _players(workspace: Workspace) -> tuple[dict[Role, Model], dict[Role, Prices]]:
    """Return the models of a run, with analyzer and implementer."""
    models, prices = dict(workspace.models), dict(workspace.prices)
    file = workspace.file
    built: dict[str, Model] = {}
    given = file.models.given()
    for role in ("analyzer", "implementer"):
        other = player(role, given)
        if other is None:
            continue
        if other in models and role not in file.models.options:
            models[role], prices[role] = models[other], prices[other]
            continue
        spec = given[other]
        options = dict(file.models.options.get(role) or file.models.options.get(other, {}))
        key = f"{spec}|{sorted(options.items(), key=str)}"
        built.setdefault(key, create_model(spec, role=role, options=options, base_dir=workspace.base_dir))
        models[role], prices[role] = built[key], _prices(spec, options)
    return models, prices


def _prices(spec: str, options: dict[str, Any]) -> Prices:
    free = 0.0 if spec.startswith(("local:", "program:")) else None
    price_in, price_out = options.get("price_in", free), options.get("price_out", free)
    if price_in is None and price_out is None and (listed := price_of(spec, base_url=options.get("base_url"))):
        return Prices(listed.price_in, listed.price_out, as_of=listed.as_of)
    return Prices(price_in, price_out)


def _write_report(result: OptimizeResult) -> None:
    content = {
        "report": None
        if result.report is None
        else {**result.report.to_json(), "significant": result.report.significant},
        "stopped": result.stopped,
        "note": result.note,
        "outcomes": dict(sorted(result.outcomes.items())),
        "evaluations": dict(sorted(result.evaluations.items())),
        "cost_usd": round(result.cost_usd, 6),
        "calls": result.calls,
    }
    half = result.folder / f".optimize.json.{os.getpid()}"
    half.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    half.replace(result.folder / "optimize.json")


def result_text(result: OptimizeResult) -> str:
    """Return the end of a search as plain lines."""
    done = sum(result.outcomes.values())
    how = ", ".join(f"{n} {name}" for name, n in sorted(result.outcomes.items()))
    parts = ", ".join(f"{n} {name}" for name, n in sorted(result.evaluations.items()))
    lines = [
        _line("iterations", f"{done}{f' ({how})' if how else ''}"),
        _line("evaluations", f"{sum(result.evaluations.values())}{f' ({parts})' if parts else ''}"),
        _line("cost", f"${result.cost_usd:.4f}, {result.calls:,} calls"),
    ]
    report = result.report
    if report is None:
        lines.append(_line("test", "not read"))
    else:
        lines.append(_line("test", report.sentence()))
        chosen = report.finalist.chosen
        if chosen != report.finalist.baseline:
            lines.append(_line("objective", _interval(report)))
            force = "in force" if result.in_force == chosen else f"kept; in force is {result.in_force[:12]}"
            lines.append(_line("version", f"{chosen[:12]} {force}"))
            lines.append(_line("notes", str(result.folder / "recipes" / f"{chosen}.md")))
    if result.stopped:
        lines.append(_line("stopped", f"{result.stopped}{f': {result.note}' if result.note else ''}"))
    return "\n".join(lines)


def _interval(report: FinalReport) -> str:
    score = report.score
    return f"gain {score.gain:+.3f} on test, 95 % interval {score.low:+.3f} to {score.high:+.3f}"


def _line(name: str, value: str) -> str:
    return f"{name:<14}{value}"


def ask_on_terminal(read: Callable[[str], str], say: Callable[[str], None]) -> Ask:
    """Return a gate that shows diff and evidence, and reads one line: `approve`, `reject WHY`, `edit FILE.json`.

    Args:
        read: Reads a line for a prompt; raises `EOFError` when nobody answers.
        say: Shows text.
    """

    def ask(question: dict[str, Any]) -> dict[str, Any]:
        say(visible(f"That cannot be used: {question['fault']}" if "fault" in question else _question_text(question)))
        while True:
            try:
                line = read("approve, reject WHY, or edit FILE.json").strip()
            except EOFError as error:
                raise AutodataError(
                    "A person has to decide, and nobody answers. What is paid for is kept; run the same command again."
                ) from error
            found = _read_answer(line)
            if not isinstance(found, str):
                return found
            say(visible(f"That cannot be used: {found}"))

    return ask


def _read_answer(line: str) -> dict[str, Any] | str:
    """Return the answer that a line gives, or why it is none."""
    word, _, rest = line.partition(" ")
    rest = rest.strip()
    if word == "approve":
        # Whoever adds a condition has not approved.
        return "approve takes nothing after it; to ask for something else, edit or reject" if rest else {"action": word}
    if word == "reject":
        return {"action": word, "why": rest} if rest else "reject needs its reason after it"
    if word != "edit":
        return f"{word[:40]!r} is none of approve, reject, edit"
    if not rest:
        return "edit needs the name of a JSON file after it"
    try:
        texts = read_texts(json.loads(Path(rest).expanduser().read_text("utf-8")))
    except (OSError, ValueError) as error:
        return f"the file cannot be read: {error}"
    return texts if isinstance(texts, str) else {"action": word, "texts": texts.model_dump()}


def _question_text(question: dict[str, Any]) -> str:
    measured, controls, claimed = question["measured"], question["controls"], question["claimed"]
    lines = [
        f"\niteration {question['iteration']}: {question['parent'][:12]} -> {question['child'][:12]}",
        question["diff"],
    ]
    if measured:
        gain = measured["gain"]
        lines.append(
            f"validation: {measured['parent']:.3f} -> {measured['child']:.3f} on {measured['sources']} sources, gain "
            f"{gain['gain']:+.3f} ({gain['low']:+.3f} to {gain['high']:+.3f}), p = {measured['p']:.2g}, look {measured['look']}"
        )
    if controls and controls["asked"]:
        lines.append(
            f"known-wrong let through: {controls['child']} of {controls['asked']}, before {controls['parent']}"
        )
    lines += _counted_lines(question["counted"])
    lines += [f"claimed {name}: {claimed[name]}" for name in ("what", "why", "could_regress") if claimed[name]]
    lines += [f"claimed cause: {cause}" for cause in claimed["causes"]]
    return "\n".join(lines)


def _counted_lines(counted: dict[str, Any]) -> list[str]:
    """Return what code counted over the parent's questions, with a refused one."""
    refused = ", ".join(f"{kind} {n}" for kind, n in counted["failures"].items()) or "none"
    lines = [
        f"counted on the parent: {counted['accepted']} of {counted['items']} train items accepted, refusals: {refused}"
    ]
    for one in counted["shown"][:1]:
        said = " ".join(f"{one['question']} ({one['question_type']})".split())
        lines.append(f"refused, for example: {one['source']}: {said} {one['kind']}, {' '.join(one['detail'].split())}")
    return lines
