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
from autodata_core.meta.controls import WrongQuestion, control_request, let_through, wrong_questions
from autodata_core.meta.evaluating import aevaluate
from autodata_core.meta.harness import child_of, proposal_faults, read_texts
from autodata_core.meta.objective import Objective
from autodata_core.meta.splits import Splits
from autodata_core.ports import Model, ModelRequest
from autodata_core.recipe import Recipe, Rules
from autodata_core.records import Message, Source, fingerprint

__all__ = ["RecipeAdapter", "optimize_with_gepa"]

_COMPONENTS = ("challenger", "check")
_CONTROLS = 6
"""Questions of the baseline from which known-wrong ones are made; two from each, as in the search."""
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
    controls: Sequence[Source] = ()
    """Train sources from whose questions known-wrong ones are made, for every check that is not the baseline's."""
    _wrong: tuple[WrongQuestion, ...] | None = field(default=None, init=False, repr=False)
    _through: dict[str, int] = field(default_factory=dict, init=False, repr=False)
    """By text of a check: how many of them it lets through."""
    propose_new_texts: Any = None
    """gepa looks for it; None leaves the proposing to its reflection."""

    def recipe(self, candidate: Mapping[str, str]) -> Recipe:
        """Return the recipe of a candidate; the baseline where it is none, or its check is vetoed."""
        found = self._child(candidate)
        return found if isinstance(found, Recipe) else self.rules.recipe

    def _child(self, candidate: Mapping[str, str]) -> Recipe | str:
        """Return the recipe of a candidate, or why it is not worth an evaluation."""
        texts = read_texts({name: candidate.get(name) for name in _COMPONENTS})
        if isinstance(texts, str):
            return texts
        baseline = self.rules.recipe
        recipe = child_of(baseline, texts)
        if (recipe.challenger, recipe.check) == (baseline.challenger, baseline.check):
            return baseline
        faults = proposal_faults(baseline, recipe, self.known)
        return "; ".join(faults) or asyncio.run(self._veto(recipe)) or recipe

    def evaluate(self, batch: list[Source], candidate: dict[str, str], capture_traces: bool = False) -> Any:
        """Return gepa's `EvaluationBatch`; a text that is no child scores 0 with the reason as feedback.

        A question counts only where the baseline's check passes it as well, and a check that lets more known-wrong questions
        through than the baseline's is no child.

        Raises:
            ModelUnreachableError: A model gave no answer, which is never a bad candidate.
        """
        from gepa.core.adapter import EvaluationBatch

        recipe = self._child(candidate)
        if isinstance(recipe, str):
            lines: list[Any] = [{"faults": recipe} for _ in batch]
            return EvaluationBatch(
                outputs=lines, scores=[0.0] * len(batch), trajectories=lines if capture_traces else None
            )
        states = asyncio.run(self._evaluate(recipe, batch))
        return EvaluationBatch(
            outputs=[{"status": state.status} for state in states],
            scores=[self.objective.score(state) for state in states],
            trajectories=[{"digest": digest_of([state], chars=4_000)} for state in states] if capture_traces else None,
        )

    async def _evaluate(self, recipe: Recipe, batch: Sequence[Source]) -> list[ItemState]:
        room, baseline = asyncio.Semaphore(self.concurrency), self.rules.recipe
        rules = Rules(recipe, self.rules.protocol)

        async def one(source: Source) -> ItemState:
            async with room:
                return await aevaluate(
                    rules, source, 0, self.ports, run=self.run, fence_key=self.fence_key, before=baseline
                )

        states = list(await asyncio.gather(*(one(source) for source in batch)))
        gone = [state.note for state in states if state.status == "infra"]
        if gone:
            raise ModelUnreachableError(f"{len(gone)} of {len(batch)} evaluations got no answer ({gone[0]}).")
        return states

    async def _veto(self, recipe: Recipe) -> str:
        """Return why a rewritten check is no child; empty when nothing speaks against it."""
        baseline = self.rules.recipe
        if recipe.check == baseline.check or not self.rules.protocol.quality_check:
            return ""
        if self._wrong is None:
            states = await self._evaluate(baseline, self.controls)
            self._wrong = wrong_questions(states, {source.id: source for source in self.controls})
        before, after = [await self._let_through(one) for one in (baseline, recipe)]
        if after <= before:
            return ""
        return f"its check lets {after} of {len(self._wrong)} known-wrong questions through, the baseline's {before}"

    async def _let_through(self, recipe: Recipe) -> int:
        if recipe.check not in self._through:
            requests = [control_request(recipe, one, seed=0, fence_key=self.fence_key) for one in self._wrong or ()]
            replies = await asyncio.gather(*(self.ports.model(r).acomplete(r) for r in requests))
            found = [let_through(reply) for reply in replies]
            if None in found:
                raise ModelUnreachableError("The quality check gave no answer to a control.")
            self._through[recipe.check] = sum(bool(one) for one in found)
        return self._through[recipe.check]

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
        max_evaluations: Most evaluations; gepa may pass it by one iteration, and once by those for known-wrong questions.
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
    known = [*splits.train, *splits.validation]
    adapter = RecipeAdapter(measured, ports, known, controls=splits.train[:_CONTROLS])
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
