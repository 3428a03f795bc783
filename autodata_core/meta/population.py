"""The recipes that were worth keeping, where each came from, and which is tried next. How they are compared is elsewhere."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from autodata_core.errors import RecipeError
from autodata_core.recipe import Recipe
from autodata_core.records import fingerprint

__all__ = ["Member", "Population", "boltzmann", "draw", "seeded"]


def boltzmann(scores: Sequence[float], temperature: float = 0.1) -> list[float]:
    """Return the probability of each score: `P ∝ exp(score / temperature)`, whatever the size of the quotient.

    Raises:
        RecipeError: The temperature is not above 0, or a score is no number.

    Source:
        Autodata (arXiv 2606.25996), the outer loop: parents are drawn with temperature 0.1.
    """
    if not 0 < temperature < math.inf or not all(math.isfinite(score) for score in scores):
        raise RecipeError(f"Selection needs finite scores and a temperature above 0, got {temperature!r}.")
    best = max(scores, default=0.0)
    # Shifted by the best, no exponent is above 0: what is far behind becomes 0 and nothing overflows.
    weights = [math.exp(max(-745.0, (score - best) / temperature)) for score in scores]
    total = math.fsum(weights)
    return [weight / total for weight in weights]


def seeded(*parts: object) -> random.Random:
    """Return a source of chance that depends on these values alone."""
    return random.Random(int(fingerprint(list(parts))[:16], 16))  # noqa: S311 - reproducible, not secret


def draw(probabilities: Sequence[float], chance: random.Random) -> int:
    """Return a position, each as likely as its probability."""
    point, upto = chance.random(), 0.0
    for position, probability in enumerate(probabilities):
        upto += probability
        if point < upto:
            return position
    return max(range(len(probabilities)), key=probabilities.__getitem__)  # what rounding left over


@dataclass(frozen=True)
class Member:
    """One recipe of the population."""

    recipe: Recipe
    parent: str | None
    """Version it was made from; None for the baseline."""
    iteration: int
    """That made it; 0 for the baseline."""
    scores: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    """By validation source: every score it ever got there, re-evaluations among them."""

    @property
    def version(self) -> str:
        return self.recipe.version

    @property
    def score(self) -> float:
        """Mean over the sources of the mean of its evaluations there, in [0, 1]; 0 before the first."""
        means = self._means()
        return math.fsum(means) / len(means) if means else 0.0

    @property
    def error(self) -> float:
        """Standard error of `score` over the sources; 1 where nothing is known."""
        means = self._means()
        if len(means) < 2:
            return 1.0
        spread = math.fsum((value - self.score) ** 2 for value in means) / (len(means) - 1)
        return math.sqrt(spread / len(means))

    def _means(self) -> list[float]:
        return [math.fsum(found) / len(found) for found in self.scores.values() if found]


class Population:
    """Recipes by version, the baseline first, in the order they joined."""

    def __init__(self, members: Iterable[Member]) -> None:
        self._members = {member.version: member for member in members}
        if not self._members:
            raise RecipeError("A population begins with a baseline; it has none.")

    def __len__(self) -> int:
        return len(self._members)

    def __iter__(self) -> Iterator[Member]:
        return iter(self._members.values())

    def __contains__(self, version: object) -> bool:
        return version in self._members

    def __getitem__(self, version: str) -> Member:
        return self._members[version]

    @property
    def baseline(self) -> Member:
        return next(iter(self))

    def lineage(self, version: str) -> tuple[str, ...]:
        """Return the versions from a member back to the baseline."""
        found = []
        at: str | None = version
        while at is not None and at in self._members:
            found.append(at)
            at = self._members[at].parent
        return tuple(found)

    def select(self, *, temperature: float, seed: int, iteration: int) -> Member:
        """Return the parent of an iteration; the same arguments give the same one."""
        members = list(self)
        chances = boltzmann([member.score for member in members], temperature)
        return members[draw(chances, seeded("select", seed, iteration))]

    def best(self) -> Member:
        """Return the member whose score is highest with one standard error taken off; of equals the oldest.

        What was evaluated little and came out well by luck does not win by that luck.
        """
        return max(self, key=lambda member: (member.score - member.error, -member.iteration))
