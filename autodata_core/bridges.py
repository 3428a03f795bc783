"""Turns what a user passes as a model into our port, through bridges that installed distributions advertise.

The entry-point group is `autodata.models`; each bridge is a function `(object, role) -> Model | None`. So a shell takes any
LangChain chat model or DSPy LM without importing the adapters.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from importlib.metadata import entry_points
from typing import Any

from autodata_core.errors import RecipeError, shorten
from autodata_core.ports import Model
from autodata_core.records import Role

__all__ = ["as_model", "as_models"]

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
    """Return every value of a role → model mapping as a model; the judge also reviews where no `check` is given."""
    roles: tuple[Role, ...] = ("challenger", "check", "weak", "strong", "judge")
    unknown = sorted(set(values) - set(roles))
    if unknown:
        raise RecipeError(f"Unknown role {unknown[0]!r} in models. Roles are {', '.join(roles)}.")
    made: dict[str, Model] = {role: as_model(values[role], role) for role in roles if values.get(role) is not None}
    if "judge" in made and "check" not in made:
        made["check"] = made["judge"]
    return made
