"""By which rules a row is measured that no recipe made: the recipe's where one is given, else those of the row's form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from autodata_core.audit.rows import AuditRow
from autodata_core.domains import DOMAINS, Domain, RubricShape
from autodata_core.ports import Verifier
from autodata_core.recipe import EvaluationProtocol, Recipe, Rules
from autodata_core.verify import EXACT_VERIFIERS

__all__ = ["AuditRules", "audit_rules"]

_ANY_RUBRIC = Domain(
    name="any_rubric",
    scoring="rubric",
    rubric_shape=RubricShape(positive=(1, 40), negative=(0, 39), total=(1, 40), max_weight=100),
    answer_format="text",
    policy="deployed_c1",
)


@dataclass(frozen=True)
class AuditRules:
    """Which rules a row is measured by."""

    recipe: Rules | None
    rubric: Rules
    """For rows with a rubric that nothing else is known of."""
    check: Rules
    """For all other rows."""
    by_domain: Mapping[str, Rules] = field(default_factory=dict)
    """For rows that name a built-in domain, where no recipe is given."""

    def of(self, row: AuditRow) -> Rules:
        has_rubric = row.candidate is not None and row.candidate.rubric is not None
        if self.recipe is not None and has_rubric == (self.recipe.domain.scoring == "rubric"):
            return self.recipe
        if self.recipe is None and row.domain in self.by_domain:
            return self.by_domain[row.domain]
        return self.rubric if has_rubric else self.check


def audit_rules(recipe: Rules | None = None, verifiers: Mapping[str, Verifier] = EXACT_VERIFIERS) -> AuditRules:
    """Return the rules of an audit.

    Args:
        recipe: Measures every row of its form (rubric or check) where it is given; the others get its safety rules too.
            Without one a row that names a built-in domain is measured by that, and any other by rules that fit its
            form: a rubric of 1 to 40 criteria, or any check that is installed.
        verifiers: By kind.
    """
    return AuditRules(
        recipe,
        rubric=_unasked(_ANY_RUBRIC, verifiers, recipe),
        check=_unasked(_any_check(verifiers), verifiers, recipe),
        by_domain={name: _unasked(domain, verifiers, recipe) for name, domain in DOMAINS.items()},
    )


def _any_check(verifiers: Mapping[str, Verifier]) -> Domain:
    return Domain(
        name="any_check",
        scoring="check",
        check_kinds=(*sorted(verifiers), "judge"),
        answer_format="value",
        context_may_hold_answer=True,
        policy="exact_counts",
    )


def _unasked(domain: Domain, verifiers: Mapping[str, Verifier], recipe: Rules | None) -> Rules:
    """Return rules under which no model is asked."""
    protocol = EvaluationProtocol.create(domain, quality_check=False, final_check=False).with_verifiers(verifiers)
    if recipe is not None:
        same = {key: recipe.protocol.to_json()[key] for key in ("safety", "near_duplicate")}
        protocol = EvaluationProtocol.from_json({**protocol.to_json(), **same})
    return Rules(Recipe.for_domain(domain, challenger="Nobody is asked.", check="Nobody is asked."), protocol)
