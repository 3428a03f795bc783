"""`AutoData`: the loop as a `dspy.Module`, and the way from recipe to program and back.

The module asks and hears; what is asked next and what is accepted is the core's, as in every other shell.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dspy

from autodata_core.bridges import as_model, as_models, installed_verifiers
from autodata_core.driver import Ports, adrive, drive
from autodata_core.errors import RecipeError
from autodata_core.item import ItemState, item_id, start
from autodata_core.ports import CoverageMap, NoCoverage, Verifier
from autodata_core.recipe import EvaluationProtocol, Recipe, Rules
from autodata_core.recipe_file import RecipeFile
from autodata_core.records import Role, Source
from autodata_core.roles import ROLES
from autodata_core.rows import example_from
from autodata_dspy.roles import EDITABLE, Team

__all__ = ["AutoData", "program_from_recipe", "recipe_from_program"]


class AutoData(dspy.Module):
    """Writes one row from a source and keeps it only if it teaches: `AutoData(recipe, models)(source={"text": ...})`.

    `challenger` and `check` are predictors; their instructions are the recipe's texts, so what an optimizer writes there is
    what is asked, here and in any other host. Solvers and judge are no predictors. Demos of a predictor are not sent.
    Models are shared by copies of the program and are never part of its saved state; `set_lm` has no effect on them.
    """

    def __init__(
        self,
        recipe: Recipe | RecipeFile | Rules | str | Path,
        models: Mapping[str, Any] | None = None,
        *,
        protocol: EvaluationProtocol | None = None,
        coverage: CoverageMap | None = None,
        verifiers: Mapping[str, Verifier] | None = None,
        fence_key: str = "",
    ) -> None:
        """Make the program of a recipe.

        Args:
            recipe: A recipe, or the path of a recipe file (its [models] are not read here).
            models: By role (`challenger`, `weak`, `strong`, `judge`, `check`): `dspy.LM`s, LangChain chat models or
                `Model`s. None asks the LM of `dspy.settings` at each call, in every role.
            protocol: How is measured; by default what the recipe file says, or the domain's preset.
            coverage: Knows which questions exist, over all calls; then every call needs an `item` of its own. By default
                each call knows only its own questions, so that a program evaluated twice measures the same.
            verifiers: By check kind.
            fence_key: Secret for the marks around untrusted text, 16 characters or more; left out, one is made.

        Raises:
            RecipeError: The recipe cannot be read, or a model is none.
        """
        super().__init__()
        self.rules = _rules(recipe, protocol)
        self.challenger = _predictor(self.rules.recipe, "challenger")
        self.check = _predictor(self.rules.recipe, "check")
        self._given = {role: getattr(self, role).signature.instructions for role in EDITABLE}
        self._team = None if models is None else Team(as_models(models))
        self._outside = _Outside(coverage, installed_verifiers() if verifiers is None else verifiers)
        self._fence_key = fence_key or secrets.token_hex(16)

    def forward(self, source: Any, item: str | None = None, run: str = "adhoc") -> Any:
        """Return what became of one item.

        Args:
            source: `{"text": ...}`, best with `id` and `licence`; a `Source`, or plain text.
            item: Id of the item; left out, it is made from the source.
            run: Id of the run, for provenance.

        Returns:
            A `dspy.Prediction` with `status` (`accepted`, `refused`, `skipped`, `infra`), `example` (the row as a dict,
            None unless accepted), `reasons` (against the last question), `rounds`, `verdict` and `state` (plain JSON).

        Raises:
            SourceError: The source is none.
            ModelError: A model cannot be used at all.
        """
        rules, made, state, ports = self._begin(source, item, run)
        return _prediction(rules, made, drive(rules, made, state, ports))

    async def aforward(self, source: Any, item: str | None = None, run: str = "adhoc") -> Any:
        """Return the same as `forward`; attempts are awaited at the same time."""
        rules, made, state, ports = self._begin(source, item, run)
        return _prediction(rules, made, await adrive(rules, made, state, ports))

    def _begin(self, source: Any, item: str | None, run: str) -> tuple[Rules, Source, ItemState, Ports]:
        made = Source.from_input(source)
        team = self._team or _team_of_settings()
        coverage = self._outside.coverage
        ports = Ports(
            team.ports({role: getattr(self, role) for role in EDITABLE}),
            NoCoverage() if coverage is None else coverage,
            self._outside.verifiers,
        )
        rules = ports.measured(Rules(recipe_from_program(self), self.rules.protocol))
        state = start(made, item=item or item_id(made), run=run, fence_key=self._fence_key)
        return rules, made, state, ports


class _Outside:
    """Coverage and verifiers: live objects that copies of a program share."""

    def __init__(self, coverage: CoverageMap | None, verifiers: Mapping[str, Verifier]) -> None:
        self.coverage = coverage
        self.verifiers = verifiers

    def __deepcopy__(self, memo: object) -> _Outside:
        return self


def program_from_recipe(recipe: Recipe, models: Mapping[str, Any] | None = None) -> AutoData:
    """Return the program whose instructions are the recipe's texts; inverse of `recipe_from_program`."""
    return AutoData(recipe, models)


def recipe_from_program(program: AutoData) -> Recipe:
    """Return the recipe that a program follows now, to be stored as its JSON.

    Returns:
        The program's own recipe when no instructions changed, else a new version whose parent it is.

    Raises:
        RecordError: Instructions are empty.
    """
    recipe = program.rules.recipe
    changed = {}
    for role, given in program._given.items():
        signature = getattr(program, role).signature
        # Compared as DSPy shows instructions: indentation and blank lines at the ends, which it drops, are no change.
        if signature.instructions != given:
            changed[role] = str(signature.__doc__)
    return Recipe.from_json({**recipe.to_json(), **changed, "parent": recipe.version}) if changed else recipe


def _predictor(recipe: Recipe, role: Role) -> Any:
    return dspy.Predict(EDITABLE[role].with_instructions(getattr(recipe, role)))


def _rules(recipe: Recipe | RecipeFile | Rules | str | Path, protocol: EvaluationProtocol | None) -> Rules:
    if isinstance(recipe, str | Path):
        try:
            recipe = RecipeFile.from_toml(Path(recipe).read_text("utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise RecipeError(f"The recipe file {str(recipe)!r} cannot be read: {error}.") from error
    if isinstance(recipe, RecipeFile):
        recipe = recipe.rules()
    if isinstance(recipe, Recipe):
        return Rules(recipe, protocol or EvaluationProtocol.create(recipe.domain))
    return Rules(recipe.recipe, protocol) if protocol else recipe


def _team_of_settings() -> Team:
    lm = dspy.settings.lm
    if lm is None:
        raise RecipeError("AutoData has no models: pass models={...}, or call it inside `with dspy.context(lm=...)`.")
    return Team({role: as_model(lm, role) for role in ROLES})


def _prediction(rules: Rules, source: Source, state: ItemState) -> Any:
    verdict = state.history[-1].verdict.to_json() if state.history else None
    return dspy.Prediction(
        status=state.status,
        example=example_from(rules, source, state).to_json() if state.status == "accepted" else None,
        reasons=verdict["reasons"] if verdict else [],
        rounds=len(state.history),
        verdict=verdict,
        state=state.to_json(),
    )
