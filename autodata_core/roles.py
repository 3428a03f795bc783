"""Who can be asked, and who stands in where nobody was named."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import get_args

from autodata_core.records import ModelIdentity, Role

__all__ = ["CRITICS", "ROLES", "conflicts", "player", "stand_ins"]

ROLES: tuple[Role, ...] = get_args(Role)

CRITICS: Mapping[str, Role] = {
    "logic": "critic_logic",
    "factuality": "critic_factuality",
    "format": "critic_format",
    "safety": "critic_safety",
}
"""By name of the critic."""

_STAND_IN: Mapping[Role, tuple[Role, ...]] = {
    "check": ("judge",),
    "arbiter": ("judge", "check"),
    "advocate": ("check", "judge"),
    "opponent": ("check", "judge"),
    "study": ("challenger",),
    "analyzer": ("challenger",),
    "implementer": ("analyzer", "challenger"),
    **dict.fromkeys(CRITICS.values(), ("check", "judge")),
}


def stand_ins(role: Role) -> tuple[Role, ...]:
    """Return whose models may play `role` where none was named for it, the first choice first."""
    return _STAND_IN.get(role, ())


def player(role: Role, given: Collection[str]) -> Role | None:
    """Return which of the given roles' models plays `role`: itself, or who stands in; None when nobody can."""
    return next((other for other in (role, *stand_ins(role)) if other in given), None)


def conflicts(models: Mapping[str, ModelIdentity]) -> tuple[str, ...]:
    """Return who judges its own work, one sentence each: models that check what the same model wrote or answered.

    Args:
        models: By role, with stand-ins.
    """

    def same(one: str, other: str) -> bool:
        a, b = models.get(one), models.get(other)
        return a is not None and b is not None and (a.name, a.endpoint) == (b.name, b.endpoint)

    found = []
    own = [role for role in ("check", *CRITICS.values(), "opponent", "arbiter") if same(role, "challenger")]
    if own:
        found.append(
            f"{models['challenger'].name} reviews what it wrote itself (as {', '.join(own)}); name another model"
        )
    for solver in ("weak", "strong"):
        if same("judge", solver):
            found.append(f"the judge is the {solver} solver, {models[solver].name}, and may favour its own answers")
    if same("weak", "strong"):
        found.append(f"weak and strong solver are the same model, {models['weak'].name}")
    return tuple(found)
