"""What a search is given, its state between two nodes, and what one node works with. The nodes are in `optimize_steps`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from typing_extensions import TypedDict

from autodata_core.budget import Budget
from autodata_core.errors import RecipeError
from autodata_core.item import ItemState
from autodata_core.meta.controls import WrongQuestion
from autodata_core.meta.history import MemoryLog, Outcome, SearchLog
from autodata_core.meta.notes import ReleaseNotes, notes_for
from autodata_core.meta.population import Population
from autodata_core.meta.search import SearchSettings, population_before, wave_of
from autodata_core.meta.splits import Splits
from autodata_core.passages import Passages
from autodata_core.recipe import Recipe, Rules
from autodata_core.records import Role
from autodata_langgraph.context import AutodataContext

__all__ = ["Job", "OptimizeContext", "OptimizeState", "Turn"]

_WRITERS: tuple[Role, ...] = ("analyzer", "implementer")

Event = dict[str, Any]
Job = dict[str, Any]
"""One iteration in hand, as plain JSON."""


@dataclass
class OptimizeContext(AutodataContext):
    """What a search is given. `models` needs the roles `analyzer` and `implementer` too, or their stand-ins."""

    splits: Splits | None = None
    settings: SearchSettings = field(default_factory=SearchSettings)
    log: SearchLog = field(default_factory=MemoryLog)
    split_note: str = ""
    """What is known of test sources that an earlier search read, for the notes."""
    budget: Budget | None = None
    """The one that the models keep within, so that enough is left for the test."""
    ask: bool = False
    """Whether a person decides on every child that is better. Needs a checkpointer."""
    on_version: Callable[[Recipe, ReleaseNotes], None] = lambda recipe, notes: None
    """Called before a version is in the log, and again with its final figures; may be called twice with the same."""
    on_event: Callable[[Event], None] = lambda event: None
    trajectories: dict[int, tuple[ItemState, ...]] = field(default_factory=dict, init=False, repr=False)
    """Minibatches in hand, by iteration; after a restart they are made again from recorded calls."""
    wrong: tuple[WrongQuestion, ...] | None = field(default=None, init=False, repr=False)
    """Known-wrong questions, once they are made."""
    let_through: dict[str, int] = field(default_factory=dict, init=False, repr=False)
    """By recipe version: how many of them its check lets through."""

    @cached_property
    def passages(self) -> Passages:
        """Train and validation sources, whose passages no text about the search may repeat."""
        return Passages(*(source.text for source in (*self.parts.train, *self.parts.validation)))

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


@dataclass(frozen=True)
class Turn:
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

    def notes(
        self, recipe: Recipe, parent: Recipe | None = None, outcome: Outcome | None = None, **last: Any
    ) -> ReleaseNotes:
        """Return the notes of a version with who measured and who wrote; `last` is for the one that the search ends with."""
        models = self.context.ports.models
        writers: dict[str, str] = {role: models[role].identity.name for role in _WRITERS if role in models}
        note = self.context.split_note
        return notes_for(
            recipe, parent, outcome, protocol=self.rules.protocol, writers=writers, split_note=note, **last
        )

    def under(self, recipe: Recipe) -> Rules:
        return Rules(recipe, self.rules.protocol)
