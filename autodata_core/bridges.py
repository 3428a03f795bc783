"""Turns what a user passes as a model into our port, through bridges that installed distributions advertise.

The entry-point group is `autodata.models`; each bridge is a function `(object, role) -> Model | None`. So a shell takes any
LangChain chat model or DSPy LM without importing the adapters. Verifiers are found the same way.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from importlib.metadata import entry_points
from typing import Any

from autodata_core.errors import RecipeError, shorten
from autodata_core.ports import Model, Verifier
from autodata_core.records import Role
from autodata_core.roles import ROLES, player
from autodata_core.verify import EXACT_VERIFIERS

__all__ = ["as_model", "as_models", "installed_verifiers"]

Bridge = Callable[[Any, Role], Model | None]


@cache
def _bridges() -> tuple[tuple[str, Callable[[], Bridge]], ...]:
    return tuple((point.name, point.load) for point in sorted(entry_points(group="autodata.models")))


def as_model(value: Any, role: Role) -> Model:
    """Return `value` as a model.

    Args:
        value: A `Model`, or what a bridge knows: a LangChain chat model, a `dspy.LM`, a spec such as `local:smollm2`.
        role: Who it will play; a bridge may set the role's default temperature.

    Raises:
        RecipeError: No bridge knows it.
    """
    if isinstance(value, Model):
        return value
    # Only a bridge whose host made the object can know it, so other hosts are not even imported.
    roots = {base.__module__.partition(".")[0] for base in type(value).__mro__}
    for name, load in _bridges():
        wanted = name == "spec" if isinstance(value, str) else _made_by(name, roots)
        if not wanted:
            continue
        made = load()(value, role)
        if made is not None:
            return made
    known = ", ".join(name for name, _ in _bridges()) or "none is installed"
    raise RecipeError(
        f"models[{role!r}] is {shorten(value)}, which no bridge knows ({known}). "
        "Pass a LangChain chat model, a dspy.LM, or an object with identity, complete and acomplete."
    )


def _made_by(host: str, roots: set[str]) -> bool:
    return any(root == host or root.startswith(f"{host}_") for root in roots)


def as_models(values: Mapping[str, Any]) -> dict[str, Model]:
    """Return every value of a role → model mapping as a model, with stand-ins for roles that nobody was named for."""
    unknown = sorted(set(values) - set(ROLES))
    if unknown:
        raise RecipeError(f"Unknown role {unknown[0]!r} in models. Roles are {', '.join(ROLES)}.")
    made: dict[str, Model] = {role: as_model(values[role], role) for role in ROLES if values.get(role) is not None}
    given = tuple(made)
    for role in ROLES:
        other = player(role, given)
        if other is not None:
            made[role] = made[other]
    return made


@cache
def installed_verifiers() -> Mapping[str, Verifier]:
    """Return every verifier that this installation has, by kind: the exact ones and those that distributions advertise.

    The entry-point group is `autodata.verifiers`; each is a function without arguments that returns verifiers by kind, and
    loads no library before one is used. They are made once, so that a sandbox proves itself once in a process.
    """
    found: dict[str, Verifier] = dict(EXACT_VERIFIERS)
    for point in sorted(entry_points(group="autodata.verifiers")):
        found |= point.load()()
    return found
