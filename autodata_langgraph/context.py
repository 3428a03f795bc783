"""What a graph run is given besides its state: models, coverage, verifiers. Live objects, never checkpointed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from langgraph.runtime import get_runtime

from autodata_core.bridges import as_models, installed_verifiers
from autodata_core.driver import Ports
from autodata_core.errors import RecipeError, shorten
from autodata_core.ports import CoverageMap, NoCoverage, Verifier
from autodata_core.recipe import EvaluationProtocol, Recipe, Rules
from autodata_core.recipe_file import RecipeFile

__all__ = ["AutodataContext", "RecipeLike", "context_of_run", "read_recipe", "rules_from"]

RecipeLike = Recipe | RecipeFile | Rules | str | Path
"""A recipe, a recipe file as record or path, or a recipe with its protocol."""


@dataclass
class AutodataContext:
    """Passed as `graph.invoke(..., context=AutodataContext(models={...}))`; again on every resume.

    A context is for one run: its coverage map remembers the questions of all items that share it.
    """

    models: Mapping[str, Any] = field(default_factory=dict)
    """By role (`challenger`, `weak`, `strong`, `judge`, `check`): a LangChain chat model, a `dspy.LM`, a `Model`, or a
    spec such as `"openai:gpt-5-mini"` where live objects cannot be passed (a LangGraph server)."""
    coverage: CoverageMap = field(default_factory=NoCoverage)
    verifiers: Mapping[str, Verifier] = field(default_factory=installed_verifiers)
    """By check kind."""
    run: str = "adhoc"
    """Id of the run, for provenance."""
    fence_key: str = ""
    """Secret of the run for the marks around untrusted text; empty makes one per item."""

    @cached_property
    def ports(self) -> Ports:
        """The same as ports of the core."""
        return Ports(models=as_models(self.models), coverage=self.coverage, verifiers=self.verifiers)


def context_of_run(default: AutodataContext | None) -> AutodataContext:
    """Return the context of the running graph, or `default` where a parent graph has a context of another kind.

    Raises:
        RecipeError: There is neither.
    """
    context = get_runtime().context
    if isinstance(context, AutodataContext):
        return context
    if default is not None:
        return default
    raise RecipeError(
        f"The graph needs models: invoke it with context=AutodataContext(models={{...}}), or inside another graph "
        f"build it with create_autodata_graph(recipe, context=...). Got context {shorten(context)}."
    )


def read_recipe(recipe: RecipeLike) -> Recipe | RecipeFile | Rules:
    """Return the recipe, read from its file where a path is given.

    Raises:
        RecipeError: The file cannot be read.
    """
    if not isinstance(recipe, str | Path):
        return recipe
    try:
        return RecipeFile.from_toml(Path(recipe).read_text("utf-8-sig"))
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(f"The recipe file {str(recipe)!r} cannot be read: {error}.") from error


def rules_from(recipe: RecipeLike, protocol: EvaluationProtocol | None = None) -> Rules:
    """Return recipe and protocol, whatever form the recipe has.

    Raises:
        RecipeError: The recipe cannot be read.
    """
    recipe = read_recipe(recipe)
    if isinstance(recipe, RecipeFile):
        recipe = recipe.rules()
    if isinstance(recipe, Recipe):
        return Rules(recipe, protocol or EvaluationProtocol.create(recipe.domain))
    return Rules(recipe.recipe, protocol) if protocol else recipe
