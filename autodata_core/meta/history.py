"""What became of each iteration: the log that later analyzers read and that a resumed search goes on from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Protocol

from pydantic import Field, StrictInt, StrictStr

from autodata_core.meta.comparing import CLOSE, Comparison
from autodata_core.meta.counting import Failure
from autodata_core.meta.evaluating import Evaluation
from autodata_core.meta.splits import Finalist
from autodata_core.records import Record

__all__ = ["ControlFigures", "MemoryLog", "Outcome", "Result", "SearchLog", "tried"]

Result = Literal["joined", "not better", "invalid", "vetoed", "declined"]
"""`invalid`: no child that could be evaluated. `vetoed`: it lets more known-wrong questions through. `declined`: a person
said no."""


class ControlFigures(Record):
    """How many known-wrong questions a check lets through."""

    asked: StrictInt = 0
    parent: StrictInt = 0
    """Let through by the parent's check."""
    child: StrictInt = 0

    @property
    def worse(self) -> bool:
        return self.child > self.parent


class Outcome(Record):
    """One iteration, whole. Plain JSON; what a model claimed stands apart from what was counted."""

    iteration: StrictInt = Field(ge=1)
    parent: StrictStr
    """Version."""
    result: Result
    reason: StrictStr
    """Why it came out so, in a sentence, by code."""
    child: StrictStr | None = None
    """Version; None where there was nothing to make one of."""
    recipe: dict[StrictStr, Any] | None = None
    """The child, where it joined."""
    items: StrictInt = 0
    """Of the minibatch."""
    accepted: StrictInt = 0
    failures: dict[StrictStr, StrictInt] = Field(default_factory=dict)
    """Refusals in the minibatch by kind, counted by code."""
    shown: tuple[Failure, ...] = ()
    """A few of the refused questions, for people."""
    causes: tuple[StrictStr, ...] = ()
    """What the analyzer found, in its words."""
    what: StrictStr = ""
    """What the implementer changed, in its words."""
    why: StrictStr = ""
    could_regress: StrictStr = ""
    comparison: Comparison | None = None
    controls: ControlFigures | None = None
    by: StrictStr = ""
    """`person` where a person approved, edited or declined it; empty where code decided."""
    said: StrictStr = ""
    """What the person gave as the reason."""

    def line(self) -> str:
        """Return the outcome in one line, for analyzers and people."""
        gain = (
            f", gain {self.comparison.gain.gain:+.3f} over {self.comparison.sources} sources" if self.comparison else ""
        )
        change = " ".join(self.what.split())[:300] or "(no readable proposal)"
        why = " ".join(self.reason.split())[:200]
        return f"{self.iteration}. on {self.parent[:8]}: {self.result}{gain}: {change} [{why}]"


def tried(outcomes: Sequence[Outcome]) -> tuple[str, ...]:
    """Return the versions that are not worth another evaluation: all that were tried, but for one close call each."""
    found: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        if outcome.child is not None:
            found.setdefault(outcome.child, []).append(outcome)
    return tuple(child for child, tries in found.items() if len(tries) > 1 or not _close(tries[0]))


def _close(outcome: Outcome) -> bool:
    measured = outcome.comparison
    return outcome.result == "not better" and measured is not None and measured.gain.gain > 0 and measured.p < CLOSE


class SearchLog(Protocol):
    """Keeps what a search must not do twice. Every `keep_` is on disk when it returns."""

    def evaluation(self, key: str) -> Evaluation | None: ...

    def keep_evaluation(self, evaluation: Evaluation) -> None: ...

    def evaluations(self) -> Sequence[Evaluation]:
        """Return every evaluation, oldest first."""
        ...

    def outcomes(self) -> Sequence[Outcome]:
        """Return every finished iteration by number."""
        ...

    def keep_outcome(self, outcome: Outcome) -> None: ...

    def finalist(self) -> Finalist | None:
        """Return for whom the test sources were opened, None while they are sealed."""
        ...

    def keep_finalist(self, finalist: Finalist) -> None: ...


class MemoryLog:
    """A log without a disk."""

    def __init__(self) -> None:
        self._evaluations: dict[str, Evaluation] = {}
        self._outcomes: dict[int, Outcome] = {}
        self._finalist: Finalist | None = None

    def evaluation(self, key: str) -> Evaluation | None:
        return self._evaluations.get(key)

    def keep_evaluation(self, evaluation: Evaluation) -> None:
        self._evaluations.setdefault(evaluation.key, evaluation)

    def evaluations(self) -> Sequence[Evaluation]:
        return tuple(self._evaluations.values())

    def outcomes(self) -> Sequence[Outcome]:
        return tuple(self._outcomes[n] for n in sorted(self._outcomes))

    def keep_outcome(self, outcome: Outcome) -> None:
        self._outcomes.setdefault(outcome.iteration, outcome)

    def finalist(self) -> Finalist | None:
        return self._finalist

    def keep_finalist(self, finalist: Finalist) -> None:
        self._finalist = self._finalist or finalist
