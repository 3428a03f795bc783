"""The recipe file as a record: what a user writes, checked key by key. No file is opened here."""

from __future__ import annotations

import difflib
import math
import tomllib
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, StrictBool, StrictFloat, StrictInt, StrictStr, ValidationError, field_validator

from autodata_core.domains import Domain
from autodata_core.errors import RecipeError, shorten
from autodata_core.lazily import lazy
from autodata_core.learnings import StudySettings
from autodata_core.meta.search import SearchSettings
from autodata_core.recipe import EvaluationProtocol, Recipe, Rules
from autodata_core.records import Record, Role, fold_type
from autodata_core.roles import CRITICS, ROLES, player, stand_ins
from autodata_core.safety import SafetyRules

__all__ = ["MODEL_OPTIONS", "RecipeFile"]

_Number = Annotated[StrictFloat | StrictInt, Field(ge=0)]

MODEL_OPTIONS = (
    "base_url",
    "api_key_env",
    "temperature",
    "max_tokens",
    "timeout_s",
    "retries",
    "max_concurrency",
    "price_in",
    "price_out",
    "structured",
    "n_ctx",
)
"""Options every model takes; a program takes those of its own besides."""

_ENV_NAME = lazy(r"[A-Za-z_][A-Za-z0-9_]{0,99}")

_SECRETS = ("api_key", "apikey", "key", "token", "access_token", "secret", "password", "authorization")


class SourcesTable(Record):
    """Where the documents are."""

    files: tuple[StrictStr, ...] = ()
    """Files, folders and globs, relative to the recipe file."""
    loader: StrictStr | None = None
    """`package.module:OBJECT` that returns the sources instead."""
    licence: StrictStr | None = None
    examples_per_source: Annotated[StrictInt, Field(ge=1, le=10_000)] = 1
    """Rows wanted from each source."""
    chunk_tokens: Annotated[StrictInt, Field(ge=100)] | None = None
    """Longest part of a document that becomes a source of its own; None keeps documents whole."""


class ModelsTable(Record):
    """Which model plays which role."""

    challenger: StrictStr
    weak: StrictStr
    strong: StrictStr
    judge: StrictStr | None = None
    check: StrictStr | None = None
    """The quality check; the judge where it is not given."""
    critic_logic: StrictStr | None = None
    critic_factuality: StrictStr | None = None
    critic_format: StrictStr | None = None
    critic_safety: StrictStr | None = None
    """Critics; the quality check's model where none is given."""
    advocate: StrictStr | None = None
    opponent: StrictStr | None = None
    arbiter: StrictStr | None = None
    """Who debates; the quality check's and the judge's model where none is given."""
    study: StrictStr | None = None
    analyzer: StrictStr | None = None
    implementer: StrictStr | None = None
    """Who learns from batches and rewrites the recipe; the challenger's model where none is given."""
    options: dict[StrictStr, dict[StrictStr, Any]] = Field(default_factory=dict)

    def given(self) -> dict[Role, str]:
        """Return the models that were named, by role."""
        named = {role: getattr(self, role) for role in ROLES}
        return {role: spec for role, spec in named.items() if spec}


class AttemptsTable(Record):
    weak: Annotated[StrictInt, Field(ge=1, le=64)] | None = None
    strong: Annotated[StrictInt, Field(ge=1, le=64)] | None = None


class BudgetTable(Record):
    """Ceilings of a run. None is no ceiling."""

    usd: _Number | None = None
    rounds: Annotated[StrictInt, Field(ge=1, le=100)] = 8
    calls: Annotated[StrictInt, Field(ge=1)] | None = None
    tokens: Annotated[StrictInt, Field(ge=1)] | None = None
    minutes: _Number | None = None


class CoverageTable(Record):
    """What is new, and what is lacking. Paths are relative to the recipe file."""

    embedder: StrictStr = "hashing"
    """`hashing`, `none` (same text only), `provider:model` or `package.module:OBJECT`."""
    near_duplicate: Annotated[StrictFloat, Field(gt=0, le=1)] = 0.9
    steer: StrictBool | None = None
    """Whether batches are planned from what is lacking; None does so unless `embedder` is `none`."""
    topics: Annotated[StrictInt, Field(ge=1, le=1_000)] | StrictStr | None = None
    """Clusters of the sources, or a taxonomy file; None chooses a number of clusters."""
    question_types: tuple[Annotated[StrictStr, Field(min_length=1, max_length=100)], ...] = ()
    """Question types that the data set should have; those of the domain where none is given."""
    bands: tuple[Literal["hard", "medium", "easy"], ...] = ()
    """Measured difficulties that it should have; none leaves difficulty out."""
    targets: StrictStr = "proportional"
    """`proportional` to the sources, `uniform`, or a JSONL table."""
    failures: StrictStr | None = None
    """JSONL of what the user's model fails at; goes before `targets`."""
    exploration: Annotated[StrictFloat, Field(ge=0, le=1)] = 0.1
    """Share of each batch that goes where no question is near."""
    most_per_source: Annotated[StrictInt, Field(ge=1)] | None = None
    evaluation: tuple[StrictStr, ...] = ()
    """JSONL files and globs that no question may repeat, in words or nearly: benchmarks."""
    training: tuple[StrictStr, ...] = ()
    """The same of training data that exists, so that no row only rephrases it."""
    library: tuple[StrictStr, ...] = ()
    """Earlier runs whose kept questions are not asked again: run folders, JSONL files, patterns, `http://host:port/NAME`."""
    human: StrictStr | None = None
    """JSONL of rows that people wrote, with which made ones are compared for collapse."""
    collapse: Literal["off", "warn", "stop"] = "warn"

    @field_validator("question_types")
    @classmethod
    def _told_apart(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        seen: dict[str, str] = {}
        for name in names:
            folded = fold_type(name)
            if not folded:
                raise ValueError(f"{name!r} is no name")
            if folded in seen:
                raise ValueError(f"{name!r} and {seen[folded]!r} are one type in two spellings")
            seen[folded] = name
        return names

    def idle(self) -> tuple[str, ...]:
        """Return the keys that are given and say nothing, because the run is not steered."""
        if self.steers:
            return ()
        given = {
            "topics": self.topics is not None,
            "question_types": bool(self.question_types),
            "bands": bool(self.bands),
            "targets": self.targets != "proportional",
            "failures": self.failures is not None,
            "most_per_source": self.most_per_source is not None,
        }
        return tuple(name for name, is_given in given.items() if is_given)

    @property
    def steers(self) -> bool:
        return self.embedder != "none" if self.steer is None else self.steer


class FilterTable(Record):
    """Gates beside the policy."""

    critics: tuple[Literal["logic", "factuality", "format", "safety"], ...] = ()
    """Critics that review each candidate, one call each."""
    quorum: Literal["all", "majority"] = "all"
    judge_controls: Literal["off", "on", "strict"] = "on"
    debate_rounds: Annotated[StrictInt, Field(ge=0, le=3)] = 0
    sandbox: Literal["auto", "monty", "confined", "bwrap", "none"] = "auto"
    """Where a model's code runs. `none` is a plain subprocess, and every row that it verified says so."""


class TextsTable(Record):
    """Editable texts of one's own, in place of the domain's."""

    challenger: Annotated[StrictStr, Field(min_length=1)] | None = None
    check: Annotated[StrictStr, Field(min_length=1)] | None = None
    study: Annotated[StrictStr, Field(min_length=1)] | None = None


class LearningsTable(Record):
    """What failures teach, from batch to batch and from run to run."""

    study: Literal["rules", "model"] = "rules"
    """`model`: the study role reads the failures of each batch, beside the counting."""
    library: Annotated[StrictStr, Field(min_length=1)] | None = None
    """File that keeps learnings from run to run, relative to the recipe file; None keeps none."""
    max_tokens: Annotated[StrictInt, Field(ge=50, le=4_000)] = 400
    """Most tokens of learnings in one prompt."""
    stale_batches: Annotated[StrictInt, Field(ge=1, le=1_000)] = 6
    """Batches without support after which a learning is retired."""

    def settings(self, text: str | None) -> StudySettings:
        """Return the part of it that belongs to the recipe, with the study role's text where it is one's own."""
        made = {"mode": self.study, "max_tokens": self.max_tokens, "stale_batches": self.stale_batches}
        return StudySettings.from_json(made if text is None else {**made, "text": text})


class RecipeFile(Record):
    """A whole recipe file."""

    name: Annotated[StrictStr, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
    domain: StrictStr
    recipe: StrictStr | None = None
    """Where the texts begin: a shipped recipe (`cs_research/discovered`), or a folder of `autodata optimize`, whose version in
    force is taken (`runs/optimize`, or `runs/optimize@VERSION`). [texts] goes before it. None is the domain's baseline."""
    policy: StrictStr | dict[StrictStr, Any] | None = None
    seed: Annotated[StrictInt, Field(ge=0, lt=2**31)] = 0
    sources: SourcesTable
    models: ModelsTable
    attempts: AttemptsTable = AttemptsTable()
    budget: BudgetTable = BudgetTable()
    coverage: CoverageTable = CoverageTable()
    filter: FilterTable = FilterTable()
    safety: SafetyRules = SafetyRules()
    texts: TextsTable = TextsTable()
    learnings: LearningsTable = LearningsTable()
    optimize: SearchSettings = SearchSettings()
    """How `autodata optimize` searches; a run does not read it."""

    @classmethod
    def from_toml(cls, text: str) -> RecipeFile:
        """Return the recipe file that `text` holds.

        Raises:
            RecipeError: It is not TOML, or a key or value is wrong; the message names the nearest known key.
        """
        try:
            found = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise RecipeError(f"The recipe is not valid TOML: {error}.") from error
        return cls.from_mapping(found)

    @classmethod
    def from_mapping(cls, found: Mapping[str, Any]) -> RecipeFile:
        """Return the recipe file of an already parsed mapping.

        Raises:
            RecipeError: As `from_toml`.
        """
        _refuse_secrets(found)
        try:
            made = cls.model_validate(found)
        except ValidationError as error:
            raise RecipeError(_explain(error)) from error
        if bool(made.sources.files) == bool(made.sources.loader):
            raise RecipeError("[sources] needs either files = [...] or loader = 'package.module:OBJECT'.")
        if made.coverage.library and made.coverage.embedder == "none":
            raise RecipeError(
                "[coverage] library needs an embedder; with 'none' only equal texts of this run are known."
            )
        _check_options(made.models)
        return made

    def roles(self) -> dict[Role, str]:
        """Return the model of each role that is asked, with stand-ins for roles that no model was named for."""
        asked: set[Role] = {"challenger", "check", "weak", "strong", "judge"}
        asked |= {CRITICS[name] for name in self.filter.critics}
        asked |= {"advocate", "opponent", "arbiter"} if self.filter.debate_rounds else set()
        asked |= {"study"} if self.learnings.study == "model" else set()
        given = self.models.given()
        players = {role: player(role, given) for role in ROLES if role in asked}
        return {role: given[other] for role, other in players.items() if other is not None}

    def options(self, role: Role) -> dict[str, Any]:
        """Return a role's options; one that another role's model plays takes that role's, unless it has its own."""
        options, spec = self.models.options, self.roles().get(role)
        if role in options:
            return dict(options[role])
        own = self.models.given()
        others = [other for other in stand_ins(role) if own.get(other) == spec]
        return dict(options.get(others[0], {})) if others else {}

    def key_variables(self) -> tuple[str, ...]:
        """Return the names of the environment variables that hold keys."""
        named = (options.get("api_key_env") for options in self.models.options.values())
        return tuple(name for name in named if isinstance(name, str))

    def rules(self, domain: Domain | None = None, start: Recipe | None = None) -> Rules:
        """Return recipe and protocol.

        Args:
            domain: The domain object where `domain` names one of the user's own.
            start: The recipe that `recipe` names, where it is in a folder.

        Raises:
            RecipeError: Unknown domain or policy, or a role is missing that the domain needs.
        """
        recipe = self._recipe(domain, start)
        if recipe.domain.scoring == "rubric" and self.models.judge is None:
            raise RecipeError(f"Domain {self.domain!r} marks answers by a rubric, which needs [models] judge.")
        reviewed = "check" in self.roles()
        protocol = EvaluationProtocol.create(
            recipe.domain,
            policy=self.policy,
            weak_attempts=self.attempts.weak,
            strong_attempts=self.attempts.strong,
            rounds=self.budget.rounds,
            near_duplicate=self.coverage.near_duplicate,
            quality_check=reviewed,
            final_check=reviewed,
            critics=self.filter.critics,
            quorum=self.filter.quorum,
            judge_controls=self.filter.judge_controls,
            debate_rounds=self.filter.debate_rounds,
            safety=self.safety,
            seed=self.seed,
        )
        return Rules(recipe, protocol)

    def _recipe(self, domain: Domain | None, start: Recipe | None) -> Recipe:
        """Return the recipe of this file: the domain's, or the one it starts from, with its own texts."""
        if start is None and self.recipe is not None:
            start = Recipe.named(self.recipe)
        if start is None:
            return Recipe.for_domain(
                domain or self.domain,
                name=self.name,
                challenger=self.texts.challenger,
                check=self.texts.check,
                study=self.learnings.settings(self.texts.study).to_json(),
            )
        if start.domain.name != (domain.name if domain else self.domain):
            raise RecipeError(
                f"recipe = {self.recipe!r} is for the domain {start.domain.name!r}, and domain is {self.domain!r}."
            )
        texts = {key: value for key, value in self.texts.model_dump(include={"challenger", "check"}).items() if value}
        study = self.learnings.settings(self.texts.study).to_json()
        return Recipe.from_json({**start.to_json(), "name": self.name, "study": study, **texts})


def _refuse_secrets(found: Mapping[str, Any], where: str = "") -> None:
    for key, value in found.items():
        if isinstance(value, Mapping):
            _refuse_secrets(value, f"{where}{key}.")
        elif str(key).lower().replace("-", "_") in _SECRETS:
            raise RecipeError(
                f"{where}{key}: keys do not belong in a recipe. Put it into an environment variable and name that: "
                'api_key_env = "MY_KEY".'
            )


def _check_options(models: ModelsTable) -> None:
    given = models.given()
    for role, options in models.options.items():
        if role not in ROLES:
            raise RecipeError(_unknown(f"models.options.{role}", role, ROLES))
        other = player(role, given)
        spec = given[other] if other is not None else None
        if spec is None:
            raise RecipeError(f"models.options.{role} is given, but no model plays {role!r}. Add it to [models].")
        for key, value in options.items():
            if key not in MODEL_OPTIONS and not spec.startswith("program:"):
                raise RecipeError(_unknown(f"models.options.{role}.{key}", key, MODEL_OPTIONS))
            if key in ("price_in", "price_out", "timeout_s", "temperature") and not _is_amount(value):
                raise RecipeError(f"models.options.{role}.{key} is a number, 0 or more, got {shorten(value)}.")
            if key == "retries" and (type(value) is not int or value < 0):
                raise RecipeError(f"models.options.{role}.retries is a whole number from 0, got {shorten(value)}.")
            if key == "base_url" and (not isinstance(value, str) or "@" in value.partition("://")[2].partition("/")[0]):
                # Not quoted: what stands before the @ is a password.
                raise RecipeError(f"models.options.{role}.base_url is a URL as text, without user or password.")
            if key == "api_key_env" and (not isinstance(value, str) or not _ENV_NAME.fullmatch(value)):
                # Not quoted: it may be the key itself.
                raise RecipeError(f"models.options.{role}.api_key_env is the name of an environment variable: MY_KEY.")
            if key in ("max_tokens", "max_concurrency", "n_ctx") and (type(value) is not int or value < 1):
                raise RecipeError(f"models.options.{role}.{key} is a whole number from 1, got {shorten(value)}.")


def _is_amount(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < math.inf


def _unknown(where: str, key: str, known: tuple[str, ...]) -> str:
    near = difflib.get_close_matches(key, known, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return f"Unknown key {where!r} in the recipe.{hint} Known here: {', '.join(known)}."


def _explain(error: ValidationError) -> str:
    """Return one line for the first error, with the nearest known key for an unknown one."""
    # A misspelt key is also a missing one; the misspelling is the better thing to name.
    first = min(error.errors(), key=lambda e: e["type"] != "extra_forbidden")
    table: Any = RecipeFile
    path: list[str] = []
    for part in first["loc"]:
        fields = table.model_fields if isinstance(table, type) and issubclass(table, BaseModel) else {}
        if not fields:
            break
        path.append(str(part))
        table = fields[part].annotation if part in fields else None
    where = ".".join(path)
    if first["type"] == "extra_forbidden":
        known = _table_keys(path[:-1])
        return _unknown(where, path[-1], known)
    if first["type"] == "missing":
        return f"The recipe lacks {where!r}."
    said = first["msg"].removeprefix("Value error, ")
    return f"Recipe key {where!r}: {said}, got {shorten(first['input'])}."


def _table_keys(path: list[str]) -> tuple[str, ...]:
    table: Any = RecipeFile
    for part in path:
        table = table.model_fields[part].annotation
    return tuple(table.model_fields)
