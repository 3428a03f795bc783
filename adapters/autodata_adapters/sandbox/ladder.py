"""Which sandbox a machine gets: the tiers it can prove, in order of cost, each running whole jobs.

A tier that lacks one of its layers is off. With none left, jobs come back unsupported, with the reason: nothing ever falls
through to a process without walls, which is there only when asked for by name.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from autodata_adapters.sandbox.bubblewrap import create_bubblewrap
from autodata_adapters.sandbox.confined import create_confined
from autodata_adapters.sandbox.monty import MontySandbox
from autodata_adapters.sandbox.proving import fault_of_interpreter, fault_of_process
from autodata_adapters.sandbox.running import Job, Limits, Outcome, Sandbox
from autodata_core.errors import MissingExtraError

__all__ = ["Tier", "TierStatus", "available_tiers", "create_sandbox"]

Tier = Literal["auto", "monty", "confined", "bwrap", "none"]
"""`auto` is monty, then bwrap or else confined. `none` has no walls."""

_Create = Callable[[], Sandbox]
_FaultOf = Callable[[Sandbox], str | None]

_TIERS: dict[str, tuple[_Create, _FaultOf]] = {
    "monty": (MontySandbox, fault_of_interpreter),
    "confined": (create_confined, fault_of_process),
    "bwrap": (create_bubblewrap, fault_of_process),
}


@dataclass(frozen=True)
class TierStatus:
    """Whether a tier can be used here."""

    name: str
    ok: bool
    detail: str
    """Name and version of a tier that holds; else what it lacks or failed at."""


def create_sandbox(tier: Tier = "auto", limits: Limits | None = None) -> Sandbox:
    """Return a sandbox of this tier, or of every tier that holds here.

    Args:
        tier: A tier by name is used alone: what it cannot run stays unsupported.
        limits: Ceiling for every job; a job's own limits count where they are lower. None leaves it to the jobs.

    Returns:
        A sandbox. When no permitted tier holds on this machine, every job is `unsupported` and its detail says why.
    """
    if tier == "none":
        try:
            from autodata_adapters.sandbox.plain import create_plain

            return _Ladder([create_plain()], [], limits)
        except (ImportError, OSError) as error:  # limits on processes need POSIX
            return _Ladder([], [f"none: {error}"], limits)
    if tier != "auto":
        wanted = [tier]
    elif status("bwrap").ok:
        wanted = ["monty", "bwrap"]
    else:
        wanted = ["monty", "confined"]
    found = [status(name) for name in wanted]
    lacking = [f"{each.name}: {each.detail}" for each in found if not each.ok]
    return _Ladder([_TIERS[each.name][0]() for each in found if each.ok], lacking, limits)


def available_tiers() -> list[TierStatus]:
    """Return what each tier with walls says about this machine. Takes about a second the first time."""
    return [status(name) for name in _TIERS]


@functools.cache
def status(name: str) -> TierStatus:
    """Return whether the tier proves itself here. Asked once in a process."""
    create, fault_of = _TIERS[name]
    try:
        sandbox = create()
    except (MissingExtraError, OSError) as error:
        return TierStatus(name, False, str(error))
    try:
        fault = fault_of(sandbox)
    finally:
        sandbox.close()
    return TierStatus(name, fault is None, fault or sandbox.tier)


class _Ladder:
    """Gives each job to the first tier that supports all of it."""

    def __init__(self, rungs: Sequence[Sandbox], lacking: Sequence[str], limits: Limits | None) -> None:
        self._rungs = rungs
        self._lacking = lacking
        self._limits = limits

    @property
    def tier(self) -> str:
        return ">".join(rung.tier for rung in self._rungs)

    def run(self, job: Job) -> Outcome:
        if self._limits is not None:
            job = job.model_copy(update={"limits": _lower(job.limits, self._limits)})
        refusals = []
        for rung in self._rungs:
            outcome = rung.run(job)
            if outcome.kind != "unsupported":
                return outcome
            refusals.append(f"{rung.tier}: {outcome.detail}")
        why = "; ".join([*refusals, *self._lacking])
        return Outcome(kind="unsupported", detail=f"No sandbox here can run it. {why}"[:1_000], tier=self.tier)

    def close(self) -> None:
        for rung in self._rungs:
            rung.close()


def _lower(one: Limits, other: Limits) -> Limits:
    return Limits(
        wall_s=min(one.wall_s, other.wall_s),
        cpu_s=min(one.cpu_s, other.cpu_s),
        memory_mb=min(one.memory_mb, other.memory_mb),
        output_bytes=min(one.output_bytes, other.output_bytes),
    )
