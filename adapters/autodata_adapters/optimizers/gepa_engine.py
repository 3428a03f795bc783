"""A thin road to gepa's own engine: the same problem, texts and measure, with its reflection and its Pareto front. No DSPy.

It sees train and validation sources only. What it finds is a recipe like any other: measure it on test as the search does.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from autodata_core.driver import Ports
from autodata_core.errors import MissingExtraError, ModelUnreachableError
from autodata_core.item import ItemState
from autodata_core.meta.asking import digest_of
from autodata_core.meta.evaluating import aevaluate
from autodata_core.meta.harness import Texts, child_of, proposal_faults
from autodata_core.meta.objective import Objective
from autodata_core.meta.splits import Splits
from autodata_core.ports import Model, ModelRequest
from autodata_core.recipe import Recipe, Rules
from autodata_core.records import Message, Source, fingerprint

__all__ = ["RecipeAdapter", "optimize_with_gepa"]

_COMPONENTS = ("challenger", "check")
_log = logging.getLogger(__name__)


@dataclass
class RecipeAdapter:
    """A gepa adapter whose candidates are a recipe's texts and whose examples are sources."""

    rules: Rules
    ports: Ports
    known: Sequence[Source]
    """Train and validation sources, whose passages must not stand in a text."""
    objective: Objective = field(default_factory=Objective)
    run: str = "gepa"
    fence_key: str = "0" * 32
    concurrency: int = 8
    propose_new_texts: Any = None
    """gepa looks for it; None leaves the proposing to its reflection."""

    def recipe(self, candidate: Mapping[str, str]) -> Recipe:
        """Return the recipe of a candidate."""
        texts = Texts(challenger=candidate.get("challenger"), check=candidate.get("check"))
        return child_of(self.rules.recipe, texts)

    def evaluate(self, batch: list[Source], candidate: dict[str, str], capture_traces: bool = False) -> Any:
        """Return gepa's `EvaluationBatch`; a text that is no child scores 0 with the reason as feedback.

        Raises:
            ModelUnreachableError: A model gave no answer, which is never a bad candidate.
        """
        from gepa.core.adapter import EvaluationBatch

        recipe = self.recipe(candidate)
        baseline = recipe.version == self.rules.recipe.version
        faults = () if baseline else proposal_faults(self.rules.recipe, recipe, self.known)
        if faults:
            lines: list[Any] = [{"faults": "; ".join(faults)} for _ in batch]
            return EvaluationBatch(
                outputs=lines, scores=[0.0] * len(batch), trajectories=lines if capture_traces else None
            )
        states = asyncio.run(self._evaluate(Rules(recipe, self.rules.protocol), batch))
        gone = [state.note for state in states if state.status == "infra"]
        if gone:
            raise ModelUnreachableError(f"{len(gone)} of {len(batch)} evaluations got no answer ({gone[0]}).")
        return EvaluationBatch(
            outputs=[{"status": state.status} for state in states],
            scores=[self.objective.score(state) for state in states],
            trajectories=[{"digest": digest_of([state], chars=4_000)} for state in states] if capture_traces else None,
        )

    async def _evaluate(self, rules: Rules, batch: Sequence[Source]) -> list[ItemState]:
        room = asyncio.Semaphore(self.concurrency)

        async def one(source: Source) -> ItemState:
            async with room:
                return await aevaluate(rules, source, 0, self.ports, run=self.run, fence_key=self.fence_key)

        return list(await asyncio.gather(*(one(source) for source in batch)))

    def make_reflective_dataset(
        self, candidate: dict[str, str], eval_batch: Any, components_to_update: list[str]
    ) -> dict[str, list[dict[str, Any]]]:
        """Return what reflection reads, the same for each text."""
        lines = [
            {
                "Inputs": "one document",
                "Generated Outputs": seen.get("digest", ""),
                "Feedback": seen.get("faults", "see above"),
            }
            for seen in eval_batch.trajectories or ()
        ]
        return dict.fromkeys(components_to_update, lines)


def optimize_with_gepa(
    rules: Rules,
    splits: Splits,
    models: Mapping[str, Model],
    *,
    ports: Ports | None = None,
    max_evaluations: int = 300,
    seed: int = 0,
    **options: Any,
) -> Recipe:
    """Return the best recipe that gepa finds on train and validation; the test sources stay sealed.

    Args:
        rules: Baseline and protocol.
        splits: Of the sources.
        models: By role; `implementer`, or who stands in, reflects.
        ports: With coverage and verifiers, where the defaults do not do.
        max_evaluations: Most evaluations; gepa may pass it by one iteration.
        seed: Of gepa's choices.
        options: Passed on to `gepa.optimize`.

    Raises:
        MissingExtraError: gepa is not installed.
    """
    try:
        from gepa.api import optimize
    except ImportError as error:
        raise MissingExtraError("gepa", "dspy", "The gepa engine") from error
    ports = ports or Ports(models=models)
    measured = ports.measured(rules)
    adapter = RecipeAdapter(measured, ports, [*splits.train, *splits.validation])
    result = optimize(
        seed_candidate={name: getattr(rules.recipe, name) for name in _COMPONENTS},
        trainset=list(splits.train),
        valset=list(splits.validation),
        adapter=adapter,
        reflection_lm=_reflection(models.get("implementer") or models["challenger"], seed),
        max_metric_calls=max_evaluations,
        seed=seed,
        **{"display_progress_bar": False, "raise_on_exception": True, "logger": _Quiet(), **options},
    )
    best = result.best_candidate
    return adapter.recipe(best if isinstance(best, dict) else {})


class _Quiet:
    """A logger for gepa, which prints whole texts otherwise."""

    def log(self, message: str) -> None:
        _log.debug("%s", message)


def _reflection(model: Model, seed: int) -> Any:
    """Return gepa's reflection model, asked through our port so that journal and budget hold."""
    asked = 0

    def reflect(prompt: Any) -> str:
        nonlocal asked
        asked += 1
        text = prompt if isinstance(prompt, str) else "\n\n".join(str(part.get("content", "")) for part in prompt)
        reply = model.complete(
            ModelRequest(
                role="implementer",
                item=f"gepa-{asked}",
                round=1,
                step="implementer",
                messages=(Message(role="user", content=text),),
                seed=int(fingerprint([seed, asked])[:8], 16) % 2**31,
            )
        )
        if reply.error:
            raise ModelUnreachableError(f"The reflection model gave no answer ({reply.error}).")
        return reply.text

    return reflect
