"""The recipe (what may be optimised) and the evaluation protocol (what measures, frozen for a run).

Reading a recipe file is in `recipe_file`; the machine that follows both is `loop`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any, Literal

from pydantic import Field, StrictBool, StrictFloat, StrictInt, StrictStr

from autodata_core.acceptance import AcceptancePolicy, Bound, policy_from
from autodata_core.demonstrations import Demonstration
from autodata_core.domains import Domain, domain_named
from autodata_core.errors import RecipeError
from autodata_core.learnings.record import Learning, Retired, StudySettings
from autodata_core.ports import Verifier
from autodata_core.prompts import fixed
from autodata_core.prompts.editable import CHALLENGER_TEXTS, CHECK_TEXTS
from autodata_core.ready import ready_named
from autodata_core.records import SCHEMA_VERSION, ModelIdentity, Record, fingerprint
from autodata_core.roles import CRITICS
from autodata_core.safety import SafetyRules
from autodata_core.verify import EXACT_VERIFIERS

__all__ = ["EvaluationProtocol", "Recipe", "Rules"]


def fixed_prompt_hashes() -> dict[str, str]:
    """Return the hashes of what solvers and judges are told."""
    texts: dict[str, Any] = {
        f"solver.{name}": [text, fixed.SOLVER_EXAMPLE[name]] for name, text in fixed.SOLVER.items()
    }
    texts |= {"judge.rubric": fixed.JUDGE_RUBRIC, "judge.equivalence": fixed.JUDGE_EQUIVALENCE}
    texts |= {f"critic.{name}": text for name, text in fixed.CRITICS.items()}
    texts |= {f"debate.{name}": text for name, text in fixed.DEBATE.items()}
    return {name: fingerprint(text) for name, text in texts.items()}


class Recipe(Record):
    """What an agent or optimiser may change, versioned by its content."""

    schema_version: StrictInt = SCHEMA_VERSION
    name: StrictStr = Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    domain: Domain
    challenger: StrictStr = Field(min_length=1)
    """Instructions of the challenger."""
    check: StrictStr = Field(min_length=1)
    """What the quality check looks for."""
    learnings: tuple[Learning, ...] = ()
    """What earlier items taught, in the order of their weight."""
    retired: tuple[Retired, ...] = ()
    """Learnings that are told no more, with the reason, oldest first."""
    study: StudySettings = StudySettings()
    """How it goes on to learn."""
    demonstrations: tuple[Demonstration, ...] = Field(default=(), max_length=8)
    """Accepted questions that the challenger is shown as examples."""
    parent: StrictStr | None = None
    """Version this one was made from."""

    @classmethod
    def for_domain(cls, domain: str | Domain, *, name: str | None = None, **changes: Any) -> Recipe:
        """Return the recipe a domain starts with.

        Raises:
            RecipeError: Unknown domain, or a domain of one's own without `challenger` and `check` texts.
        """
        found = domain_named(domain) if isinstance(domain, str) else domain
        texts = {"challenger": CHALLENGER_TEXTS.get(found.name), "check": CHECK_TEXTS.get(found.name)}
        made = {**texts, **{key: value for key, value in changes.items() if value is not None}}
        missing = [key for key, value in made.items() if value is None]
        if missing:
            raise RecipeError(f"Domain {found.name!r} brings no text for {missing[0]!r}. Give it under [texts].")
        return cls.from_json({"name": name or found.name, "domain": found.to_json(), **made})

    @classmethod
    def named(cls, name: str) -> Recipe:
        """Return a recipe that is shipped, such as `cs_research/discovered`; see `autodata_core.ready.READY`.

        Raises:
            RecipeError: There is none of that name.
        """
        found = ready_named(name)
        return cls.for_domain(found.domain, name=name.replace("/", "."), challenger=found.challenger, check=found.check)

    @cached_property
    def version(self) -> str:
        """Hash of everything but name and parent: two recipes that ask the same have one version."""
        content = self.to_json()
        del content["name"], content["parent"]
        if not self.demonstrations:  # what shows none asks the same as before there were any
            del content["demonstrations"]
        if not self.retired:
            del content["retired"]
        if self.study == StudySettings():
            del content["study"]
        return fingerprint(content)

    def learned(self, learnings: tuple[Learning, ...], retired: tuple[Retired, ...] | None = None) -> Recipe:
        """Return the next version with these learnings, or this one when nothing changed.

        Args:
            learnings: In the order of their weight.
            retired: Those that are told no more; None leaves them as they are.
        """
        gone = self.retired if retired is None else retired
        if (learnings, gone) == (self.learnings, self.retired):
            return self
        made = {"learnings": [x.to_json() for x in learnings], "retired": [x.to_json() for x in gone]}
        return Recipe.from_json({**self.to_json(), **made, "parent": self.version})


class EvaluationProtocol(Record):
    """Everything that decides what is accepted. No recipe can reach it; its hash is on every row."""

    schema_version: StrictInt = SCHEMA_VERSION
    policy: dict[str, Any]
    """`AcceptancePolicy.to_json()`."""
    weak_attempts: StrictInt = Field(ge=1, le=64)
    strong_attempts: StrictInt = Field(ge=1, le=64)
    rounds: StrictInt = Field(default=8, ge=1, le=100)
    """Most candidates per item."""
    again: StrictInt = Field(default=1, ge=0, le=5)
    """How often an unreadable reply, or an answer that cannot be scored, is asked for again."""
    near_duplicate: StrictFloat = Field(default=0.9, gt=0, le=1)
    """Similarity from which a question is refused as a copy."""
    quality_check: StrictBool = True
    """Whether a model reviews each candidate. False only where the check is executable and no reviewer is named."""
    final_check: StrictBool = True
    """Whether the quality check looks once more at what passed everything else, as in the paper."""
    critics: tuple[Literal["logic", "factuality", "format", "safety"], ...] = ()
    """Critics that review each candidate beside the quality check, each with a question of its own."""
    quorum: Literal["all", "majority"] = "all"
    """How many critics must let a candidate pass."""
    judge_controls: Literal["off", "on", "strict"] = "on"
    """Whether a judge marks known-right and known-wrong answers before a row that it judged is kept. `on`: it must give
    nothing to known-wrong ones; `strict`: and everything to a known-right one."""
    debate_rounds: StrictInt = Field(default=0, ge=0, le=3)
    """How often advocate and opponent speak before the arbiter decides, as the last gate; 0 is no debate."""
    safety: SafetyRules = SafetyRules()
    """What no source and no row may hold."""
    seed: StrictInt = Field(default=0, ge=0, lt=2**31)
    prompts: dict[str, str] = Field(default_factory=fixed_prompt_hashes)
    """SHA-256 of the texts that a recipe cannot change."""
    verifiers: dict[str, str] = Field(default_factory=lambda: {kind: v.version for kind, v in EXACT_VERIFIERS.items()})
    """By kind: name and version, with the sandbox tier where code is run."""
    check_forms: dict[str, str] = Field(default_factory=lambda: {kind: v.form for kind, v in EXACT_VERIFIERS.items()})
    """By kind: how a challenger writes the check."""
    models: dict[str, ModelIdentity] = Field(default_factory=dict)
    """By role."""

    @classmethod
    def create(
        cls,
        domain: Domain,
        *,
        policy: str | Mapping[str, Any] | AcceptancePolicy | None = None,
        weak_attempts: int | None = None,
        strong_attempts: int | None = None,
        **settings: Any,
    ) -> EvaluationProtocol:
        """Return a protocol; what is not given follows the domain and its preset.

        Raises:
            RecipeError: Unknown policy, or an even number of attempts under `majority`.
        """
        chosen = (
            policy if isinstance(policy, AcceptancePolicy) else policy_from(domain.policy if policy is None else policy)
        )
        weak = chosen.attempts[0] if weak_attempts is None else weak_attempts
        strong = chosen.attempts[1] if strong_attempts is None else strong_attempts
        if chosen.odd and (weak % 2 == 0 or strong % 2 == 0):
            raise RecipeError(
                f"Policy {chosen.name!r} needs an odd number of attempts, got {weak} weak and {strong} strong."
            )
        given = {key: value for key, value in settings.items() if value is not None}
        return cls.from_json({"policy": chosen.to_json(), "weak_attempts": weak, "strong_attempts": strong, **given})

    @cached_property
    def hash(self) -> str:
        """Hash of the whole protocol."""
        return fingerprint(self.to_json())

    def with_models(self, models: Mapping[str, ModelIdentity]) -> EvaluationProtocol:
        """Return the protocol for these models."""
        playing = {role: models[role].to_json() for role in sorted(models) if self._asks(role)}
        # Made anew rather than copied: a copy would keep the hash that was computed for other models.
        return EvaluationProtocol.from_json({**self.to_json(), "models": playing})

    def with_verifiers(self, verifiers: Mapping[str, Verifier]) -> EvaluationProtocol:
        """Return the protocol for these verifiers."""
        kinds = sorted(verifiers)
        versions = {kind: verifiers[kind].version for kind in kinds}
        forms = {kind: verifiers[kind].form for kind in kinds}
        return EvaluationProtocol.from_json({**self.to_json(), "verifiers": versions, "check_forms": forms})

    def _asks(self, role: str) -> bool:
        """Return whether anybody in that role is asked."""
        if role in ("advocate", "opponent", "arbiter"):
            return self.debate_rounds > 0
        if role in CRITICS.values():
            return any(CRITICS[name] == role for name in self.critics)
        if role in ("study", "analyzer", "implementer"):  # they change recipes and measure nothing
            return False
        return role != "check" or self.quality_check or self.final_check


@dataclass(frozen=True)
class Rules:
    """A recipe with the protocol that measures it: all that `loop.advance` goes by."""

    recipe: Recipe
    protocol: EvaluationProtocol

    @cached_property
    def policy(self) -> AcceptancePolicy:
        """The acceptance policy of the protocol."""
        stored = self.protocol.policy
        return AcceptancePolicy(
            name=stored["name"],
            bounds=tuple(Bound(figure, comparison, Fraction(limit)) for figure, comparison, limit in stored["bounds"]),
            attempts=(stored["attempts"][0], stored["attempts"][1]),
            odd=stored["odd"],
        )

    @property
    def domain(self) -> Domain:
        return self.recipe.domain

    def check_roles(self, models: Collection[str]) -> None:
        """Make sure, before anything is paid, that every role has a model.

        Raises:
            RecipeError: A role is missing; the message says how to give it or do without.
        """
        needed = ["challenger", "weak", "strong"]
        needed += ["judge"] if self.domain.scoring == "rubric" else []
        for role in needed:
            if role not in models:
                raise RecipeError(
                    f"The domain {self.domain.name!r} needs a model in the role {role!r}. Add models[{role!r}]."
                )
        if self.protocol.debate_rounds and "arbiter" not in models:
            raise RecipeError("A debate needs an arbiter. Add models['arbiter'] or models['judge'].")
        for name in self.protocol.critics:
            if CRITICS[name] not in models:
                raise RecipeError(
                    f"No model plays the critic {name!r}. Add models[{CRITICS[name]!r}], models['check'] or models['judge']."
                )
        if (self.protocol.quality_check or self.protocol.final_check) and "check" not in models:
            raise RecipeError(
                "No model plays the quality check. Add models['check'] or models['judge'], or do without: "
                "EvaluationProtocol.create(domain, quality_check=False, final_check=False)."
            )
