"""What a better recipe is: one figure in [0, 1] for a finished item, with its parts. How a better one is found is elsewhere.

An objective repeats what the core recorded and accepts nothing itself. All numbers in it are ours.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field, StrictBool, model_validator

from autodata_core.errors import RecipeError
from autodata_core.item import ItemState
from autodata_core.records import Attempt, ReasonKind, Record, Round, Usage
from autodata_core.scoring import attempt_score

__all__ = ["PARTS", "Objective", "Part", "gap_quality"]

Part = Literal["acceptance", "gap", "coverage", "cost"]
PARTS: tuple[Part, ...] = ("acceptance", "gap", "coverage", "cost")
"""What an objective is made of, by name."""

_BY_SCORES = {ReasonKind.TOO_EASY, ReasonKind.FAILED_STRONG}
"""Refusals that leave the scores standing. The gap of a leaking, wrong or copied question teaches nothing."""

_Weight = Annotated[float, Field(ge=0, le=1_000)]


class Objective(Record):
    """Weights of the parts; only their proportions count.

    Never acceptance alone unless `acceptance_only` says so: an optimizer of acceptance finds the easiest question that
    passes and asks it of every source. With the defaults every accepted item scores above every refused one.
    """

    acceptance: _Weight = 0.4
    """Weight of: 1 for an accepted item, else 0."""
    gap: _Weight = 0.3
    """Weight of: how much its questions teach, `gap_quality`, the mean over its rounds."""
    coverage: _Weight = 0.2
    """Weight of: share of rounds that were no copy of what exists, where a row came of it."""
    cost: _Weight = 0.1
    """Weight of: how cheap a row was, where one came of it; 1 for nothing, 0.5 at the reference, towards 0 beyond."""
    cost_reference: Annotated[float, Field(gt=0)] = 20_000.0
    """What one item may well cost, in units of `cost_unit`."""
    cost_unit: Literal["tokens", "usd"] = "tokens"
    """Tokens of all roles, asked and answered, or US dollars where every model has a price."""
    acceptance_only: StrictBool = False
    """Says that nothing but acceptance shall count, for comparisons; refused where another part has weight."""

    @model_validator(mode="after")
    def _weighs_something(self) -> Objective:
        others = self.gap + self.coverage + self.cost
        if self.acceptance + others <= 0:
            raise ValueError("no part of the objective has a weight; give one a weight above 0")
        if others <= 0 and not self.acceptance_only:
            raise ValueError(
                "all weight is on acceptance, so the easiest question that passes wins; give gap, coverage or cost a "
                "weight, or say acceptance_only=True"
            )
        if others > 0 and self.acceptance_only:
            raise ValueError("acceptance_only=True needs gap=0, coverage=0 and cost=0")
        return self

    @classmethod
    def of_acceptance(cls) -> Objective:
        """Return the objective of acceptance alone, for comparisons."""
        return cls(acceptance=1.0, gap=0.0, coverage=0.0, cost=0.0, acceptance_only=True)

    @property
    def weights(self) -> Mapping[Part, float]:
        """By part: its share of the whole; they add up to 1."""
        given = {part: float(getattr(self, part)) for part in PARTS}
        total = sum(given.values())
        return {part: weight / total for part, weight in given.items()}

    def score(self, state: ItemState) -> float:
        """Return how good a finished item is, in [0, 1]: the weighted mean of its parts."""
        parts = self.parts(state)
        return min(1.0, sum(weight * parts[part] for part, weight in self.weights.items()))

    def parts(self, state: ItemState) -> dict[Part, float]:
        """Return every part in [0, 1] by name, for objectives that are optimised side by side.

        An item without an answer (`infra`), a skipped and a quarantined one have nothing of any part, whatever their rounds
        were: no instruction may win by making models fail, by declining sources, or with marks of a judge nobody can trust.

        Raises:
            RecipeError: The item is not finished.
        """
        if not state.done:
            raise RecipeError(f"Item {state.item!r} is not finished, so nothing can be said of it.")
        if state.status not in ("accepted", "refused") or not state.history:
            return dict.fromkeys(PARTS, 0.0)
        rounds, row = state.history, float(state.status == "accepted")
        copies = sum(_copied(round_) for round_ in rounds)
        return {
            "acceptance": row,
            "gap": sum(gap_quality(round_) for round_ in rounds) / len(rounds),
            "coverage": row * (1 - copies / len(rounds)),
            "cost": row * self.cost_reference / (self.cost_reference + self._spent(state)),
        }

    def _spent(self, state: ItemState) -> float:
        total = Usage()
        for usage in state.usage.values():
            total = total.plus(usage)
        return total.cost_usd if self.cost_unit == "usd" else float(total.input_tokens + total.output_tokens)


def gap_quality(round_: Round) -> float:
    """Return how much a round's question teaches, in [0, 1]; 0 where it was refused for more than its scores.

    `gap × (1 + spread) / 2`: the gap is mean strong minus mean weak score, not below 0, and the spread is twice the standard
    deviation of the weak scores, 1 where half of them are 0 and half are 1. A question that the weak solver always fails,
    or always answers alike, has no spread: nothing tells its better answers from its worse ones.
    """
    weak, strong = _scores(round_, round_.weak), _scores(round_, round_.strong)
    if not weak or not strong or any(reason.kind not in _BY_SCORES for reason in round_.verdict.reasons):
        return 0.0
    middle = sum(weak) / len(weak)
    gap = max(0.0, sum(strong) / len(strong) - middle)
    spread = 2 * math.sqrt(sum((score - middle) ** 2 for score in weak) / len(weak))
    return gap * (1 + min(1.0, spread)) / 2


def _scores(round_: Round, attempts: tuple[Attempt, ...]) -> list[float]:
    """Return the scores in attempt order; none when one of them is missing."""
    if round_.candidate is None or any(attempt.outcome != "scored" for attempt in attempts):
        return []
    return [float(attempt_score(attempt, round_.candidate.rubric)) for attempt in attempts]


def _copied(round_: Round) -> bool:
    return any(reason.kind is ReasonKind.DUPLICATE for reason in round_.verdict.reasons)
