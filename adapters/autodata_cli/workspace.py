"""Builds everything a recipe file names: sources, models, domain, protocol. Opens nothing that is written to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from autodata_adapters.models import create_model
from autodata_adapters.models.prices import price_of
from autodata_adapters.models.redaction import guard_logs, known_secrets
from autodata_adapters.objects import ObjectNotFoundError, load_object
from autodata_adapters.sources import LoadedSources, load_from_object, load_sources
from autodata_adapters.verifiers import create_verifiers
from autodata_cli.recipes import start_of
from autodata_core.budget import Budget
from autodata_core.calls import check_reply_bound
from autodata_core.domains import DOMAINS, Domain
from autodata_core.errors import BudgetError, RecipeError, shorten
from autodata_core.ports import Model, Verifier
from autodata_core.recipe import Rules
from autodata_core.recipe_file import RecipeFile
from autodata_core.records import Role

__all__ = ["Prices", "Workspace", "open_workspace"]

_FREE = ("local:", "program:")


@dataclass(frozen=True)
class Prices:
    """US dollars per million tokens; None where nobody said."""

    price_in: float | None
    price_out: float | None
    as_of: str | None = None
    """Day of the shipped table, None where the recipe gave them."""


@dataclass(frozen=True)
class Workspace:
    """A recipe file with everything it names."""

    path: Path
    file: RecipeFile
    rules: Rules
    """With the identities of the models."""
    sources: LoadedSources
    models: Mapping[Role, Model]
    verifiers: Mapping[str, Verifier]
    """By check kind: those of the domain that this installation has."""
    prices: Mapping[Role, Prices]

    @property
    def base_dir(self) -> Path:
        return self.path.parent

    @property
    def items(self) -> int:
        """Items of a whole run."""
        return len(self.sources.sources) * self.file.sources.examples_per_source

    def check_prices(self, usd: float | None) -> None:
        """Refuse a budget that cannot be kept.

        Raises:
            BudgetError: A model has no price, or is told no bound on its replies where a ceiling depends on it.
        """
        budget = Budget(usd=usd, tokens=self.file.budget.tokens)
        for role, prices in self.prices.items():
            if usd is not None and (prices.price_in is None or prices.price_out is None):
                raise BudgetError(
                    f"A budget in US dollars needs the price of every model, and {role!r} ({self.models[role].identity.name}) "
                    f"has none. Give [models.options.{role}] price_in and price_out in US dollars per million tokens "
                    "(0 if it is free)."
                )
            check_reply_bound(self.models[role].identity, budget, priced=bool(prices.price_in or prices.price_out))


def open_workspace(path: Path, *, models: Callable[[RecipeFile], Mapping[Role, Model]] | None = None) -> Workspace:
    """Read a recipe file and build what it names.

    Args:
        path: The recipe file.
        models: Gives the models, where those of the recipe are not to be built.

    Raises:
        RecipeError: The file is missing or wrong.
        SourceError: Its documents cannot be read.
        ModelError: A model cannot be built.
    """
    try:
        text = path.read_text("utf-8-sig")
    except FileNotFoundError as error:
        raise RecipeError(f"There is no recipe file {str(path)!r}.") from error
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(f"The recipe file {str(path)!r} cannot be read: {error}.") from error
    file = RecipeFile.from_toml(text)
    guard_logs(known_secrets(file.key_variables()))
    base_dir = path.resolve().parent
    rules = file.rules(_domain(file.domain, base_dir), start_of(file.recipe, base_dir))
    sources = _sources(file, base_dir)
    built = _models(file, base_dir) if models is None else models(file)
    installed = create_verifiers(file.filter.sandbox)
    verifiers = {kind: installed[kind] for kind in rules.domain.check_kinds if kind in installed}
    protocol = rules.protocol.with_models({role: model.identity for role, model in built.items()})
    protocol = protocol.with_verifiers(verifiers)
    prices = {role: _prices(file, role, spec) for role, spec in file.roles().items()}
    return Workspace(path.resolve(), file, Rules(rules.recipe, protocol), sources, built, verifiers, prices)


def _domain(name: str, base_dir: Path) -> Domain | None:
    """Return a domain of the user's own, None for a built-in one."""
    if name in DOMAINS or ":" not in name:
        return None
    try:
        found = load_object(name, base_dir)
    except ObjectNotFoundError as error:
        raise RecipeError(f"domain: {error}") from error
    if not isinstance(found, Domain):
        raise RecipeError(f"domain {name!r} is {shorten(found)}; expected an autodata_core.Domain.")
    return found


def _sources(file: RecipeFile, base_dir: Path) -> LoadedSources:
    table = file.sources
    if table.loader:
        return load_from_object(table.loader, base_dir, licence=table.licence)
    return load_sources(table.files, base_dir=base_dir, licence=table.licence, chunk_tokens=table.chunk_tokens)


def _models(file: RecipeFile, base_dir: Path) -> dict[Role, Model]:
    built: dict[str, Model] = {}
    models: dict[Role, Model] = {}
    for role, spec in file.roles().items():
        options = file.options(role)
        # A judge that also reviews is one model, with one bound on its calls in flight.
        shared = "judge" if role not in ("challenger", "weak", "strong") else role
        key = f"{spec}|{sorted(options.items(), key=str)}|{shared}"
        if key not in built:
            built[key] = create_model(spec, role=role, options=options, base_dir=base_dir)
        models[role] = built[key]
    return models


def _prices(file: RecipeFile, role: Role, spec: str) -> Prices:
    """Return what the recipe says a model costs, else what the shipped table says, else nothing; never a guess."""
    options = file.options(role)
    free = 0.0 if spec.startswith(_FREE) else None
    price_in, price_out = options.get("price_in", free), options.get("price_out", free)
    if price_in is None and price_out is None and (listed := price_of(spec, base_url=options.get("base_url"))):
        return Prices(listed.price_in, listed.price_out, as_of=listed.as_of)
    return Prices(price_in, price_out)
