"""Ceilings of an optimization: what the optimizer may spend, and what is kept back so that its result can be measured.

Optimizers take an exception for a bad program, or give up with all they found. So a call for which nothing is left is answered
with an error instead: its item counts as unanswered, nothing more is paid, and the optimizer ends with the best it had.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from autodata_core.budget import Budget, BudgetSpentError
from autodata_core.calls import JournaledModel, NoJournal
from autodata_core.ports import Model, ModelReply, ModelRequest
from autodata_core.records import ModelIdentity

__all__ = ["Purse", "for_search", "for_test"]


@dataclass
class Purse:
    """One part of a budget. Without one, models are as they were."""

    budget: Budget | None
    empty: bool = field(default=False, init=False)
    """Whether a call was refused for want of money."""

    def around(self, model: Model) -> Model:
        """Return the model within this part."""
        return model if self.budget is None else _Within(JournaledModel(model, NoJournal(), self.budget), self)

    def around_all(self, models: Mapping[str, Model]) -> dict[str, Model]:
        """Return models by role within this part."""
        return {role: self.around(model) for role, model in models.items()}


def for_search(budget: Budget | None, *, search_items: int, test_items: int) -> Purse:
    """Return what an optimizer may spend of a budget: the share of its items, as if all items cost about the same."""
    if budget is None:
        return Purse(None)
    share = search_items / (search_items + test_items)
    usd, calls, tokens = _left(budget)
    return Purse(
        Budget(
            usd=None if usd is None else usd * share,
            calls=None if calls is None else int(calls * share),
            tokens=None if tokens is None else int(tokens * share),
        )
    )


def for_test(budget: Budget | None, search: Purse) -> Purse:
    """Return what is left for the test; what the search spent is settled in the budget."""
    if budget is None or search.budget is None:
        return Purse(None)
    budget.spent = budget.spent.plus(search.budget.spent)
    return Purse(budget)


def _left(budget: Budget) -> tuple[float | None, int | None, int | None]:
    spent = budget.spent
    return (
        None if budget.usd is None else max(0.0, budget.usd - spent.cost_usd),
        None if budget.calls is None else max(0, budget.calls - spent.calls),
        None if budget.tokens is None else max(0, budget.tokens - spent.input_tokens - spent.output_tokens),
    )


@dataclass(frozen=True)
class _Within:
    """A model that answers with an error where its purse has no room for the call."""

    inner: JournaledModel
    purse: Purse

    @property
    def identity(self) -> ModelIdentity:
        return self.inner.identity

    def complete(self, request: ModelRequest) -> ModelReply:
        try:
            return self.inner.complete(request)
        except BudgetSpentError as error:
            return self._refused(error)

    async def acomplete(self, request: ModelRequest) -> ModelReply:
        try:
            return await self.inner.acomplete(request)
        except BudgetSpentError as error:
            return self._refused(error)

    def _refused(self, error: BudgetSpentError) -> ModelReply:
        self.purse.empty = True
        return ModelReply(error=f"budget: {error}")
