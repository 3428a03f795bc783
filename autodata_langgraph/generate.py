"""`generate` and `agenerate`: a data set from sources in one call, and the same as a tool for an agent."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from langchain_core.tools import BaseTool, StructuredTool

from autodata_core.bridges import as_models, installed_verifiers
from autodata_core.budget import Budget
from autodata_core.calls import JournaledModel, NoJournal
from autodata_core.coverage import CollapseMonitor, Steering
from autodata_core.driver import Ports
from autodata_core.errors import RecipeError, SourceError, shorten
from autodata_core.learnings import estimate_tokens
from autodata_core.ports import CoverageMap, MemoryStore, Model, NoCoverage, RecordStore, Verifier
from autodata_core.recipe import EvaluationProtocol, Recipe, Rules
from autodata_core.recipe_file import RecipeFile
from autodata_core.records import Example, Source, fingerprint
from autodata_langgraph.context import RecipeLike, read_recipe, rules_from
from autodata_langgraph.dataset_context import Behind, DatasetContext
from autodata_langgraph.dataset_graph import create_dataset_graph
from autodata_langgraph.runner import Event, Progress

__all__ = ["Dataset", "agenerate", "create_autodata_tool", "generate", "run_id"]


@dataclass(frozen=True)
class Dataset:
    """What a run gave."""

    examples: tuple[Example, ...]
    """Accepted rows in the order of their items."""
    counts: Mapping[str, int]
    """Items by status: `accepted`, `refused`, `skipped`, `infra`, `duplicate_row`."""
    recipe: Recipe
    """The recipe at the end, with what was learned."""
    stopped: str | None
    """Why it ended before the last source: `limit`, `budget`, `interrupted`, `collapse`, `saturated` (nothing left to
    ask that would not repeat); None when it did not."""
    note: str = ""


def run_id(rules: Rules, sources: Iterable[Source], examples_per_source: int = 1) -> str:
    """Return the id of a run: what is made from what, measured how. The same run repeated has the same id."""
    content = [rules.recipe.version, rules.protocol.hash, [[s.id, s.sha256] for s in sources], examples_per_source]
    return "run-" + fingerprint(content)[:16]


async def agenerate(
    recipe: RecipeLike,
    sources: Iterable[Any],
    *,
    models: Mapping[str, Any],
    protocol: EvaluationProtocol | None = None,
    examples_per_source: int = 1,
    limit: int | None = None,
    concurrency: int = 8,
    coverage: CoverageMap | None = None,
    verifiers: Mapping[str, Verifier] | None = None,
    store: RecordStore | None = None,
    fence_key: str = "",
    learn: bool = True,
    count_tokens: Callable[[str], int] = estimate_tokens,
    budget: Budget | None = None,
    progress: Progress | None = None,
    on_event: Callable[[Event], None] = lambda event: None,
    steering: Steering | None = None,
    monitor: CollapseMonitor | None = None,
    behind: Behind | None = None,
) -> Dataset:
    """Make a data set from sources.

    Args:
        recipe: A recipe, or the path of a recipe file.
        sources: Texts, `{"text": ..., "id": ...}` mappings or `Source`s; ids must differ.
        models: By role (`challenger`, `weak`, `strong`, `judge`): LangChain chat models, `dspy.LM`s or `Model`s.
        protocol: How is measured; by default what the recipe file says, or the domain's preset.
        examples_per_source: Rows wanted from each source.
        limit: Most rows.
        concurrency: Items in flight at once.
        coverage: Knows which questions exist; by default equal texts of this run only.
        verifiers: By check kind; by default those of the domain that are installed.
        store: Keeps items and rows; with a durable one the call can be repeated and goes on where it was.
        fence_key: Secret for the marks around untrusted text; give the same one when a stored run is continued.
        budget: Ceilings for money, calls and tokens; by default those of the recipe file. Money is what the models report
            (`price_in` and `price_out` of a recipe's model options).
        learn: Whether failures of one batch advise the next batch's challenger.
        count_tokens: Counts the tokens of a learning; by default four characters each.
        progress: Give one to follow the counts or to stop the run from outside.
        on_event: Called with plain JSON events; must not block.
        steering: Plans each batch from what is lacking (`autodata_adapters.coverage.create_steering`); by default
            each source gives the same number of items, in order.
        monitor: Watches the accepted questions for collapse, batch by batch.
        behind: Where a stored run goes on, from the events of the processes before.

    Raises:
        SourceError: Two sources have one id, or one is empty.
        ModelError: A model cannot be used at all.
    """
    for name, value in (("limit", limit), ("concurrency", concurrency), ("examples_per_source", examples_per_source)):
        if value is not None and (type(value) is not int or value < 1):
            raise RecipeError(f"{name} is a whole number from 1, got {shorten(value)}.")
    made = _sources(sources)
    recipe = read_recipe(recipe)
    ported = _within_budget(as_models(models), recipe, budget)
    rules = rules_from(recipe, protocol)
    verifiers = installed_verifiers() if verifiers is None else verifiers
    rules = Ports(models=ported, verifiers=verifiers).measured(rules)
    context = DatasetContext(
        models=ported,
        coverage=NoCoverage() if coverage is None else coverage,
        verifiers=verifiers,
        run=run_id(rules, made, examples_per_source),
        fence_key=fence_key or secrets.token_hex(16),
        sources=made,
        store=MemoryStore() if store is None else store,
        progress=Progress() if progress is None else progress,
        examples_per_source=examples_per_source,
        concurrency=concurrency,
        learn=learn,
        count_tokens=count_tokens,
        on_event=on_event,
        steering=steering,
        monitor=monitor,
        behind=behind,
    )
    context.progress.limit = limit if limit is not None else context.progress.limit
    graph = create_dataset_graph(rules).compile(checkpointer=False, name="autodata_dataset")
    config: Any = {"recursion_limit": 10 + 5 * (1 + len(made) * examples_per_source)}
    begin: Any = {} if behind is None else {"cursor": behind.planned, "recipe": behind.recipe.to_json()}
    state = await graph.ainvoke(begin, config, context=context)
    progress = context.progress
    return Dataset(
        examples=tuple(context.store.examples()),
        counts=dict(progress.counts),
        recipe=Recipe.from_json(state["recipe"]),
        stopped=progress.stopped,
        note=progress.note,
    )


def _within_budget(
    models: dict[str, Model], recipe: Recipe | RecipeFile | Rules, budget: Budget | None
) -> dict[str, Model]:
    """Return the models with the budget around them, where there is one."""
    prices: Mapping[Any, Mapping[str, Any]] = {}
    if isinstance(recipe, RecipeFile):
        table, prices = recipe.budget, {role: recipe.options(role) for role in recipe.roles()}
        if budget is None and (table.usd, table.calls, table.tokens) != (None, None, None):
            budget = Budget(usd=table.usd, calls=table.calls, tokens=table.tokens)
    if budget is None:
        return models
    made: dict[str, Model] = {}
    for role, model in models.items():
        options = prices.get(role, {})
        made[role] = JournaledModel(
            model, NoJournal(), budget, options.get("price_in", 0.0), options.get("price_out", 0.0)
        )
    return made


def generate(recipe: RecipeLike, sources: Iterable[Any], *, models: Mapping[str, Any], **options: Any) -> Dataset:
    """Make a data set from sources; see `agenerate`. Works with and without a running event loop."""

    def run() -> Dataset:
        return asyncio.run(agenerate(recipe, sources, models=models, **options))

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return run()
    with ThreadPoolExecutor(1) as pool:  # a notebook's loop is running: use a thread with a loop of its own
        return pool.submit(run).result()


def _sources(values: Iterable[Any]) -> tuple[Source, ...]:
    made = tuple(Source.from_input(value) for value in values)
    seen: set[str] = set()
    for source in made:
        if source.id in seen:
            raise SourceError(f"Two sources have the id {source.id!r}. Give each its own.")
        seen.add(source.id)
    return made


def create_autodata_tool(
    recipe: RecipeLike, *, models: Mapping[str, Any], name: str = "make_dataset", limit: int = 5, **options: Any
) -> BaseTool:
    """Return a LangChain tool that makes rows from one text, for an agent.

    Args:
        recipe: A recipe, or the path of a recipe file.
        models: By role, as for `generate`.
        name: The tool's name.
        limit: Most rows a single call may ask for.
        options: Passed on to `generate`.
    """

    def prepare(text: str, count: int) -> tuple[list[dict[str, str]], dict[str, Any]]:
        return [{"text": text}], {**options, "examples_per_source": max(1, min(count, limit))}

    def answer(made: Dataset) -> dict[str, Any]:
        rows = [example.to_json() for example in made.examples]
        return {"rows": rows, "counts": dict(made.counts), "stopped": made.stopped}

    def run(text: str, count: int = 1) -> dict[str, Any]:
        sources, chosen = prepare(text, count)
        return answer(generate(recipe, sources, models=models, **chosen))

    async def arun(text: str, count: int = 1) -> dict[str, Any]:
        sources, chosen = prepare(text, count)
        return answer(await agenerate(recipe, sources, models=models, **chosen))

    description = (
        "Write training examples grounded in a text. Each row is kept only if a weak model fails it and a strong one "
        f"does not. `text` is the document, `count` how many rows are wanted (at most {limit}). Returns the rows."
    )
    return StructuredTool.from_function(func=run, coroutine=arun, name=name, description=description)
