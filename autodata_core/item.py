"""Where one item stands: its state as plain JSON, and the step that leads to the next.

The rules that move it are in `loop`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pydantic import Field, StrictBool, StrictInt, StrictStr

from autodata_core.errors import RecordError, shorten
from autodata_core.ports import Ask
from autodata_core.records import (
    Aim,
    Attempt,
    Candidate,
    Opinion,
    Reason,
    Record,
    Round,
    Source,
    Statement,
    Usage,
    fingerprint,
)

__all__ = ["PHASES", "Fault", "ItemState", "Phase", "Solver", "Status", "Step", "item_id", "start"]

Phase = Literal["propose", "check", "attempt_weak", "attempt_strong", "decide", "refine", "accept", "give_up"]
PHASES: tuple[Phase, ...] = (
    "propose",
    "check",
    "attempt_weak",
    "attempt_strong",
    "decide",
    "refine",
    "accept",
    "give_up",
)
"""Every phase; each is a node of the item graph."""

Status = Literal["open", "accepted", "refused", "skipped", "infra", "quarantined"]
"""`skipped`: the source is unsuitable or not allowed. `infra`: a model gave no answer; ask again later. `quarantined`: it passed
everything, but the judge failed its controls, so its marks say nothing."""

Solver = Literal["weak", "strong"]


class Fault(Record):
    """An unreadable reply, kept until the re-ask has quoted it."""

    reply: StrictStr
    fault: StrictStr


class ItemState(Record):
    """Where one item stands. Plain JSON; its size is bounded by rounds × attempts × answer length."""

    item: StrictStr
    run: StrictStr
    source_id: StrictStr
    source_sha256: StrictStr
    fence_key: StrictStr
    """Secret of the run, from which the nonces around untrusted text are made. Not in rows."""
    aim: Aim | None = None
    """What it is wanted for; None where the run is not steered."""
    status: Status = "open"
    phase: Phase = "propose"
    round: StrictInt = 1
    candidate: Candidate | None = None
    passed: tuple[StrictStr, ...] = ()
    """Steps of the present phase that are behind us."""
    faults: dict[StrictStr, tuple[Fault, ...]] = Field(default_factory=dict)
    """By step: what came and could not be used. Its length says how often that step was asked again."""
    weak: tuple[Attempt, ...] = ()
    strong: tuple[Attempt, ...] = ()
    opinions: dict[StrictStr, Opinion] = Field(default_factory=dict)
    debate: tuple[Statement, ...] = ()
    controls: dict[StrictStr, StrictBool] = Field(default_factory=dict)
    marks: dict[StrictStr, tuple[StrictBool, ...]] = Field(default_factory=dict)
    """By step: what the judge said of answers in this round."""
    reasons: tuple[Reason, ...] = ()
    """Against the present candidate."""
    history: tuple[Round, ...] = ()
    """Finished rounds, oldest first; the last one is the accepted one when the item is accepted."""
    usage: dict[StrictStr, Usage] = Field(default_factory=dict)
    served: dict[StrictStr, StrictStr] = Field(default_factory=dict)
    prompts: dict[StrictStr, StrictStr] = Field(default_factory=dict)
    verifiers: tuple[StrictStr, ...] = ()
    source_flags: tuple[StrictStr, ...] = ()
    """What is odd about the source, sorted."""
    flags: tuple[StrictStr, ...] = ()
    """What is odd about the present candidate, sorted."""
    created: StrictStr = ""
    note: StrictStr = ""
    """Why the item was skipped or could not be finished."""

    @property
    def done(self) -> bool:
        return self.status != "open"


@dataclass(frozen=True)
class Step:
    """What `advance` found: the next state, and what to ask. No asks means that the phase changed or the item is done."""

    state: ItemState
    asks: tuple[Ask, ...] = ()


def item_id(source: Source, slot: int = 0) -> str:
    """Return the id of the `slot`-th item of a source."""
    return "it-" + fingerprint([source.id, source.sha256, slot])[:16]


def start(source: Source, *, item: str, run: str, fence_key: str, aim: Aim | None = None) -> ItemState:
    """Return the first state of an item.

    Args:
        source: What the item is grounded in.
        item: Its id, unique in the run.
        run: Id of the run, for provenance.
        fence_key: Secret of the run; at least 16 characters.
        aim: What it is wanted for, where the run is steered.
    """
    if len(fence_key) < 16:
        raise RecordError(
            "The fence key has at least 16 characters, or the marks around untrusted text can be guessed."
        )
    if aim is not None and not isinstance(aim, Aim):
        raise RecordError(f"aim is an autodata_core.records.Aim or None, got {shorten(aim)}.")
    return ItemState(item=item, run=run, source_id=source.id, source_sha256=source.sha256, fence_key=fence_key, aim=aim)
