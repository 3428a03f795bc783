"""`AutoData`: the loop as a `dspy.Module`, and the way from recipe to program and back.

The module asks and hears; what is asked next and what is accepted is the core's, as in every other shell.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dspy

from autodata_core.bridges import as_model, as_models, installed_verifiers
from autodata_core.demonstrations import Demonstration
from autodata_core.driver import Ports, adrive, drive
from autodata_core.errors import RecipeError
from autodata_core.item import ItemState, item_id, start
from autodata_core.meta.anchoring import aanchor_item, anchor_item
from autodata_core.passages import Passages
from autodata_core.ports import CoverageMap, Model, NoCoverage, Verifier
from autodata_core.recipe import EvaluationProtocol, Recipe, Rules
from autodata_core.recipe_file import RecipeFile
from autodata_core.records import Aim, Role, Source, canonical_json
from autodata_core.roles import ROLES
from autodata_core.rows import example_from
from autodata_dspy.roles import EDITABLE, Team

__all__ = ["AutoData", "program_from_recipe", "recipe_from_program"]

_ACCEPTED = "accepted"
"""Mark of a traced reply that led to a row; only such demos become demonstrations of the recipe."""
_MOST_DEMOS = 8


class AutoData(dspy.Module):
    """Writes one row from a source and keeps it only if it teaches: `AutoData(recipe, models)(source={"text": ...})`.

    `challenger` and `check` are predictors. Their instructions are the recipe's texts and the challenger's demos are its
    demonstrations, so what an optimizer writes there is what is asked, here and in any other host. Nothing else can be
    changed: solvers, judge, verifiers, policy and protocol are no predictors, `rules` gives copies, `set_lm` has no effect.
    What a rewritten check lets pass is shown to the check that the program was made with.

    What traces show of a source is how long it was. Models are shared by copies and are never part of a saved state.
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
        rules = _rules(recipe, protocol)
        self._sealed = _Sealed(rules)
        self.challenger = _predictor(rules.recipe, "challenger")
        self.check = _predictor(rules.recipe, "check")
        self.challenger.demos = [_demo(shown) for shown in rules.recipe.demonstrations]
        self._given = {role: getattr(self, role).signature.instructions for role in EDITABLE}
        self._team = None if models is None else Team(as_models(models))
        self._outside = _Outside(coverage, installed_verifiers() if verifiers is None else verifiers)
        self._passages, self._questions = Passages(), Passages()
        self._fence_key = fence_key or secrets.token_hex(16)

    @property
    def rules(self) -> Rules:
        """The recipe and protocol that the program was made with, as a copy."""
        return self._sealed.rules()

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "rules" or (name in _FIXED and name in self.__dict__):
            raise RecipeError(f"{name!r} belongs to what measures and stays as it was made. Make another AutoData.")
        if name in EDITABLE and not isinstance(value, dspy.Predict):
            raise RecipeError(f"{name!r} is a dspy.Predict; what it asks is changed through its signature and demos.")
        super().__setattr__(name, value)

    def forward(self, source: Any, item: str | None = None, run: str = "adhoc", aim: Aim | None = None) -> Any:
        """Return what became of one item.

        Args:
            source: `{"text": ...}`, best with `id` and `licence`; a `Source`, or plain text.
            item: Id of the item; left out, it is made from the source.
            run: Id of the run, for provenance.
            aim: What the item is wanted for, where a data set is steered (`autodata_core.coverage.Steering`).

        Returns:
            A `dspy.Prediction` with `status` (`accepted`, `refused`, `skipped`, `infra`, `quarantined`), `example` (the row
            as a dict, None unless accepted), `reasons` (against the last question), `rounds`, `verdict` and `state` (JSON).

        Raises:
            SourceError: The source is none.
            ModelError: A model cannot be used at all.
        """
        begun = self._begin(source, item, run, aim)
        state = self.drive(begun.rules, begun.source, begun.state, begun.ports)
        state = anchor_item(begun.rules, begun.before, begun.source, state, begun.outer)
        return self._end(begun, state)

    async def aforward(self, source: Any, item: str | None = None, run: str = "adhoc", aim: Aim | None = None) -> Any:
        """Return the same as `forward`; attempts are awaited at the same time."""
        begun = self._begin(source, item, run, aim)
        state = await self.adrive(begun.rules, begun.source, begun.state, begun.ports)
        state = await aanchor_item(begun.rules, begun.before, begun.source, state, begun.outer)
        return self._end(begun, state)

    def drive(self, rules: Rules, source: Source, state: ItemState, ports: Ports) -> ItemState:
        """Return the finished item. Override it to run the same item in another host, such as a graph of your own.

        Args:
            rules: Recipe of the moment, and the protocol with the models that are asked.
            source: What the item is grounded in.
            state: Its first state.
            ports: By role whom to ask; challenger and check ask through this program's predictors.
        """
        return drive(rules, source, state, ports)

    async def adrive(self, rules: Rules, source: Source, state: ItemState, ports: Ports) -> ItemState:
        """Return the same as `drive`."""
        return await adrive(rules, source, state, ports)

    def _begin(self, source: Any, item: str | None, run: str, aim: Aim | None) -> _Begun:
        made = Source.from_input(source)
        self._passages.learn(made.text)
        team = self._team or _team_of_settings()
        coverage = NoCoverage() if self._outside.coverage is None else self._outside.coverage
        roles: dict[str, Any] = {role: getattr(self, role) for role in EDITABLE}
        ports = Ports(team.ports(roles), coverage, self._outside.verifiers)
        given = self.rules
        before = ports.measured(given)
        rules = Rules(_recipe_of(self, given.recipe), before.protocol)
        state = start(made, item=item or item_id(made), run=run, fence_key=self._fence_key, aim=aim)
        return _Begun(before, rules, made, state, ports, Ports(team.ports({}), coverage, self._outside.verifiers))

    def _end(self, begun: _Begun, state: ItemState) -> Any:
        for round_ in state.history:
            if round_.candidate is not None:
                self._passages.learn(round_.candidate.context)
                self._questions.learn(round_.candidate.question)
        if state.status == "accepted":
            for number, said in getattr(begun.ports.models["challenger"], "said", ()):
                if number == len(state.history):
                    said.verdict = _ACCEPTED
        return _prediction(begun.rules, begun.source, state)


_FIXED = frozenset({"_sealed", "_given", "_team", "_outside", "_passages", "_questions", "_fence_key"})
"""What no optimizer has business with. Python keeps nobody out for good: `optimize_recipe` measures afresh at the end."""


@dataclass(frozen=True)
class _Begun:
    """One item on its way."""

    before: Rules
    """As the program was made."""
    rules: Rules
    """As its predictors say now."""
    source: Source
    state: ItemState
    ports: Ports
    outer: Ports
    """The same, asked past the predictors."""


class _Sealed:
    """Recipe and protocol as text, which nobody can change in place. Copies of a program share it."""

    def __init__(self, rules: Rules) -> None:
        self._texts = (canonical_json(rules.recipe.to_json()), canonical_json(rules.protocol.to_json()))

    def __deepcopy__(self, memo: object) -> _Sealed:
        return self

    def rules(self) -> Rules:
        recipe, protocol = (json.loads(text) for text in self._texts)
        return Rules(Recipe.from_json(recipe), EvaluationProtocol.from_json(protocol))


class _Outside:
    """Coverage and verifiers: live objects that copies of a program share."""

    def __init__(self, coverage: CoverageMap | None, verifiers: Mapping[str, Verifier]) -> None:
        self.coverage = coverage
        self.verifiers = dict(verifiers)

    def __deepcopy__(self, memo: object) -> _Outside:
        return self


def program_from_recipe(recipe: Recipe, models: Mapping[str, Any] | None = None) -> AutoData:
    """Return the program whose instructions and demos are the recipe's; inverse of `recipe_from_program`."""
    return AutoData(recipe, models)


def recipe_from_program(program: AutoData) -> Recipe:
    """Return the recipe that a program follows now, to be stored as its JSON.

    What an optimizer wrote comes without the passages of sources, and without the questions, that the program and its copies
    have seen. Demos that led to no row, such as labelled training examples, are no demonstrations; the check's are not sent.

    Returns:
        The program's own recipe when nothing changed, else a new version whose parent it is.

    Raises:
        RecordError: Instructions are empty.
    """
    return _recipe_of(program, program.rules.recipe)


def _recipe_of(program: AutoData, recipe: Recipe) -> Recipe:
    changed: dict[str, Any] = {}
    for role, given in program._given.items():
        signature = getattr(program, role).signature
        # Compared as DSPy shows instructions: indentation and blank lines at the ends, which it drops, are no change.
        if signature.instructions != given:
            words = program._passages.without(str(signature.__doc__), keep=getattr(recipe, role))
            changed[role] = program._questions.without(words, keep=getattr(recipe, role))
    known = {shown.reply for shown in recipe.demonstrations}
    replies = [reply for demo in program.challenger.demos if (reply := _accepted_reply(demo))]
    replies = [reply if reply in known else program._passages.without(reply) for reply in dict.fromkeys(replies)]
    demonstrations = tuple(Demonstration(reply=reply) for reply in replies[:_MOST_DEMOS])
    if demonstrations != recipe.demonstrations:
        changed["demonstrations"] = [shown.to_json() for shown in demonstrations]
    return Recipe.from_json({**recipe.to_json(), **changed, "parent": recipe.version}) if changed else recipe


def _demo(shown: Demonstration) -> Any:
    return dspy.Example(augmented=True, view="", reply=shown.reply, verdict=_ACCEPTED)


def _accepted_reply(demo: Any) -> str:
    reply = demo.get("reply") if demo.get("verdict") == _ACCEPTED else None
    return reply if isinstance(reply, str) and len(reply) <= 8_000 else ""


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
    made: dict[str, Model] = {role: as_model(lm, role) for role in ROLES}
    return Team(made)


def _prediction(rules: Rules, source: Source, state: ItemState) -> Any:
    verdict = state.history[-1].verdict.to_json() if state.history else None
    made = dspy.Prediction(
        status=state.status,
        example=example_from(rules, source, state).to_json() if state.status == "accepted" else None,
        reasons=verdict["reasons"] if verdict else [],
        rounds=len(state.history),
        verdict=verdict,
        state=state.to_json(),
    )
    # What a metric goes by: frozen records instead of the fields above, which anybody may change on the way.
    made._records = (rules, source, state)
    return made
