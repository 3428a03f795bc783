"""What a sandbox is given and what it gives back. How code is confined is each tier's own file.

Expected values never enter a sandbox: it gets code and inputs, and gives back values that the host compares.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Protocol

from pydantic import Field, StrictStr

from autodata_core.records import Record

__all__ = ["Job", "Limits", "Outcome", "Sandbox"]


class Limits(Record):
    """Bounds on one job. A tier that cannot hold one of them is off, not degraded."""

    wall_s: Annotated[float, Field(gt=0, le=600)] = 5.0
    cpu_s: Annotated[float, Field(gt=0, le=600)] = 4.0
    memory_mb: Annotated[int, Field(ge=16, le=65_536)] = 512
    output_bytes: Annotated[int, Field(ge=1_000, le=64_000_000)] = 1_048_576


class Job(Record):
    """Code that a model wrote, and the calls to make into it."""

    code: StrictStr = Field(max_length=200_000)
    """Python source of a module. Runs once, then the function is called once for each entry of `calls`."""
    function: StrictStr = Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,99}$")
    calls: tuple[tuple[Any, ...], ...] = Field(min_length=1, max_length=1_000)
    """Positional arguments of each call, plain JSON."""
    limits: Limits = Limits()


class Outcome(Record):
    """What became of a job. Only `returned` has values; nothing else counts as having run."""

    kind: Literal["returned", "raised", "unsupported", "timeout", "memory", "output", "crashed", "forged"]
    """`raised`: the code raised (also a syntax error); `unsupported`: this tier's interpreter lacks what it needs, so the
    next tier runs the whole job; `crashed`: it ended without a record; `forged`: records did not have the one form."""
    values: tuple[Any, ...] = ()
    """`values[i]` answers `calls[i]`, tagged so that types survive: see `tagged`."""
    detail: StrictStr = ""
    """For people: the exception's last line, the limit that was hit."""
    tier: StrictStr = ""
    """Name and version of the tier that ran it: `monty/1.4.0`, `confined/1`, `bwrap+confined/1`, `none`."""


class Sandbox(Protocol):
    """Runs jobs. Safe to call from many threads at once. Never raises for what the code did."""

    @property
    def tier(self) -> str:
        """Name and version of the tier, or of the ladder's tiers in order: `monty/1.4.0>confined/1`."""
        ...

    def run(self, job: Job) -> Outcome: ...

    def close(self) -> None:
        """End its processes."""
        ...
