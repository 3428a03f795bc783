"""Asks the models of a recipe about rows that exist, within a budget."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from autodata_cli.workspace import Workspace
from autodata_core.audit import AuditRules, GateOpinion, RowOpinions, ask_reviewer
from autodata_core.budget import Budget, BudgetSpentError
from autodata_core.calls import JournaledModel, NoJournal
from autodata_core.driver import Ports
from autodata_core.ports import Model

__all__ = ["review_rows"]


def review_rows(
    rows: Sequence[RowOpinions],
    asked: Sequence[str],
    rules: AuditRules,
    workspace: Workspace,
    *,
    budget_usd: float | None,
    concurrency: int,
) -> list[RowOpinions]:
    """Return the rows with what the models say of them, several rows at once; the models are closed then.

    Args:
        rows: What the rules said.
        asked: Names of reviewers.
        rules: Of the audit.
        workspace: Brings models, prices and the budget of its recipe.
        budget_usd: Instead of the money of the recipe, where it is given.
        concurrency: Rows at once.

    Raises:
        AutodataError: A model cannot be asked at all.
    """
    usd = workspace.file.budget.usd if budget_usd is None else budget_usd
    workspace.check_prices(usd)
    ports = Ports(_within_budget(workspace, usd))
    review = partial(_review_row, rules=rules, ports=ports, asked=asked, fence_key=secrets.token_hex(16))
    try:
        with ThreadPoolExecutor(concurrency, thread_name_prefix="autodata-audit") as pool:
            futures = [pool.submit(review, row) for row in rows]
            try:
                return [future.result() for future in futures]
            except BaseException:
                pool.shutdown(cancel_futures=True)  # a dead model ends the audit at once
                raise
    finally:
        asyncio.run(_close(workspace))


def _within_budget(workspace: Workspace, usd: float | None) -> dict[str, Model]:
    table = workspace.file.budget
    budget = Budget(usd=usd, calls=table.calls, tokens=table.tokens)
    models: dict[str, Model] = {}
    for role, model in workspace.models.items():
        prices = workspace.prices[role]
        models[role] = JournaledModel(model, NoJournal(), budget, prices.price_in or 0.0, prices.price_out or 0.0)
    return models


def _review_row(
    row: RowOpinions, *, rules: AuditRules, ports: Ports, asked: Sequence[str], fence_key: str
) -> RowOpinions:
    opinions = []
    for name in asked:
        try:
            opinions.append(ask_reviewer(name, row.row, rules.of(row.row), ports, fence_key))
        except BudgetSpentError:
            opinions.append(GateOpinion(name, None, "the budget is spent"))
    return row.plus(opinions)


async def _close(workspace: Workspace) -> None:
    for model in workspace.models.values():
        if (close := getattr(model, "aclose", None)) is not None:
            await close()
