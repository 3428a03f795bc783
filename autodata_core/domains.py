"""Domains as data: how answers are judged, what a rubric looks like, what must not leak.

The texts of the roles are in `prompts`; a new domain is a new value, not a new class.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Literal

from pydantic import StrictBool, StrictInt, StrictStr

from autodata_core.errors import RecipeError, shorten
from autodata_core.records import Criterion, Record
from autodata_core.views import AnswerFormat

__all__ = ["DOMAINS", "Domain", "RubricShape", "domain_named"]


class RubricShape(Record):
    """What a rubric must look like: one setting, read by challenger, check and parser alike."""

    positive: tuple[StrictInt, StrictInt]
    """Fewest and most criteria with a positive weight."""
    negative: tuple[StrictInt, StrictInt]
    """Fewest and most criteria with a negative weight."""
    total: tuple[StrictInt, StrictInt]
    max_weight: StrictInt
    """Largest absolute weight; the smallest is 1."""

    def faults(self, rubric: Sequence[Criterion]) -> tuple[str, ...]:
        """Return what is wrong with the form of a rubric; empty when nothing is."""
        positive = sum(1 for c in rubric if c.weight > 0)
        negative = sum(1 for c in rubric if c.weight < 0)
        found = []
        for name, count, (low, high) in (
            ("criteria", len(rubric), self.total),
            ("criteria with a positive weight", positive, self.positive),
            ("criteria with a negative weight", negative, self.negative),
        ):
            if not low <= count <= high:
                found.append(f"the rubric has {count} {name}, wanted {low} to {high}")
        if any(not 1 <= abs(c.weight) <= self.max_weight for c in rubric):
            found.append(f"weights are whole numbers from 1 to {self.max_weight} without sign")
        folded = [" ".join(c.criterion.casefold().split()) for c in rubric]
        if len(set(folded)) != len(folded):
            found.append("two criteria are the same")
        return tuple(found)

    def describe(self) -> str:
        """Return the shape in words, for the challenger and the quality check."""
        words = f"{self.total[0]} to {self.total[1]} criteria, "
        words += f"{self.positive[0]} to {self.positive[1]} of them with a positive weight"
        if self.negative[1]:
            words += f" and {self.negative[0]} to {self.negative[1]} with a negative weight (faults)"
        return f"{words}; weights are whole numbers, at most {self.max_weight} without sign"


class Domain(Record):
    """What kind of data is made, apart from the wording of prompts."""

    name: StrictStr
    question_types: tuple[StrictStr, ...] = ()
    """Types the challenger may use; empty means any."""
    scoring: Literal["rubric", "check"]
    """How answers become marks: a judge with a rubric, or a verifier."""
    rubric_shape: RubricShape | None = None
    """Set exactly when `scoring` is `rubric`."""
    check_kinds: tuple[StrictStr, ...] = ()
    """Verifiers a challenger may use, set when `scoring` is `check`. `judge` compares with the reference answer."""
    answer_format: AnswerFormat
    context_may_hold_answer: StrictBool = False
    """True where the context gives the data of the problem and solvers decide whether finding it is too easy."""
    policy: StrictStr
    """The preset that the paper uses here."""


DOMAINS: Mapping[str, Domain] = {
    domain.name: domain
    for domain in (
        Domain(
            name="cs_research",
            scoring="rubric",
            # Autodata (arXiv 2606.25996): 10–15 asked for; the check accepts 10–20, at least 4 positive and 3 negative.
            rubric_shape=RubricShape(positive=(4, 17), negative=(3, 16), total=(10, 20), max_weight=10),
            answer_format="text",
            policy="deployed_c1",
        ),
        Domain(
            name="math_objects",
            scoring="check",
            check_kinds=("number", "quantity", "math", "text", "judge"),
            answer_format="value",
            context_may_hold_answer=True,
            policy="exact_counts",
        ),
        Domain(
            name="code",
            scoring="check",
            check_kinds=("python", "sql", "table"),
            answer_format="text",
            context_may_hold_answer=True,
            policy="exact_counts",
        ),
    )
}


def domain_named(name: str) -> Domain:
    """Return a built-in domain.

    Raises:
        RecipeError: There is none of that name.
    """
    if name in DOMAINS:
        return DOMAINS[name]
    near = difflib.get_close_matches(name, DOMAINS, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise RecipeError(f"Unknown domain {shorten(name)}.{hint} Known: {', '.join(DOMAINS)}, or 'package.module:OBJECT'.")
