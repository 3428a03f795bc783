"""What an optimizer is told about a program's item: a score, its parts, and in words why questions were refused.

It repeats the core's records and nothing is accepted or refused here. No passage of a source stands in the words: they end in
instructions that go to other sources.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import dspy

from autodata_core.errors import RecordError
from autodata_core.item import ItemState
from autodata_core.meta.objective import Objective, gap_quality
from autodata_core.passages import Passages
from autodata_core.prompts import visible
from autodata_core.recipe import EvaluationProtocol, Rules
from autodata_core.records import Attempt, Round, Source
from autodata_core.rows import example_from
from autodata_core.scoring import attempt_score

__all__ = ["Metric", "acceptance_metric", "acceptance_metric_for", "records_of"]

_QUESTION = 300
_ANSWER = 120
"""Characters that are quoted of a question and of an answer."""
_MOST_ANSWERS = 4

Metric = Callable[..., Any]
"""`metric(gold, pred, trace=None, pred_name=None, pred_trace=None)`, as every optimizer of DSPy calls it."""


def acceptance_metric(
    gold: Any, pred: Any, trace: Any = None, pred_name: str | None = None, pred_trace: Any = None
) -> Any:
    """Return how good a program's item is, by the default `Objective`; see `acceptance_metric_for`."""
    return _DEFAULT(gold, pred, trace, pred_name, pred_trace)


def acceptance_metric_for(objective: Objective, *, protocol: EvaluationProtocol | None = None) -> Metric:
    """Return the metric of an objective, for `dspy.Evaluate` and every optimizer of DSPy.

    It returns a `dspy.Prediction` with `score`, `feedback` and `objective_scores` (the parts, for GEPA's Pareto front over
    objectives), which is a number wherever a number is wanted. While examples are bootstrapped it returns whether the item
    was accepted, since only accepted questions are demonstrations.

    Args:
        objective: What counts, and how much.
        protocol: Counts only items that were measured by it, with the models and verifiers it names, if it names any.
    """
    return _Metric(objective, protocol)


@dataclass(frozen=True)
class _Metric:
    objective: Objective
    protocol: EvaluationProtocol | None = None
    __name__ = "acceptance_metric"

    def __call__(
        self, gold: Any, pred: Any, trace: Any = None, pred_name: str | None = None, pred_trace: Any = None
    ) -> Any:
        found = records_of(pred, self.protocol)
        if isinstance(found, str):
            # Every part is there, or a search over parts would take this for a better one.
            nothing = dict.fromkeys(self.objective.weights, 0.0)
            return dspy.Prediction(score=0.0, feedback=found, objective_scores=nothing)
        _, source, item = found
        if trace is not None and pred_name is None and pred_trace is None:
            return item.status == "accepted"  # bootstrapping asks whether this run may serve as an example
        parts: dict[Any, float] = self.objective.parts(item)
        return dspy.Prediction(
            score=self.objective.score(item),
            feedback=_Words(source, item).say(parts, pred_name),
            objective_scores={str(name): value for name, value in parts.items()},
        )


_DEFAULT = _Metric(Objective())


def records_of(pred: Any, protocol: EvaluationProtocol | None = None) -> tuple[Rules, Source, ItemState] | str:
    """Return the records of a prediction of `AutoData`, or why they do not count.

    The fields of a prediction are copies for people. What counts are the frozen records behind them, and of an accepted item
    only those from whose marks the core makes the same row again.
    """
    records = getattr(pred, "_records", None)
    if records is None:
        return "The program ended with an error, so there is no item to learn from."
    rules, source, item = records
    if protocol is not None and not _same(rules.protocol, protocol):
        return "The item was measured in another way than agreed, so it does not count."
    if item.status == "accepted":
        try:
            example_from(rules, source, item)
        except RecordError as error:
            return f"The record does not count: {error}"
    return rules, source, item


def _same(one: EvaluationProtocol, agreed: EvaluationProtocol) -> bool:
    if agreed.models:
        return one.hash == agreed.hash
    plain: dict[str, Any] = {
        "models": {},
        "verifiers": {},
        "check_forms": {},
    }  # what is only known once models are given
    return bool({**one.to_json(), **plain} == {**agreed.to_json(), **plain})


class _Words:
    """The feedback on one item, without a passage of its source or of a context that was made from it."""

    def __init__(self, source: Source, item: ItemState) -> None:
        self.item = item
        contexts = (round_.candidate.context for round_ in item.history if round_.candidate is not None)
        self.hidden = Passages(source.text, *contexts)

    def say(self, parts: dict[Any, float], role: str | None) -> str:
        item, about = self.item, f"For the instructions of {role!r}. " if role else ""
        lines = [f"{about}The item was {item.status} after {len(item.history)} round(s)."]
        lines.append("Scores: " + ", ".join(f"{name} {value:.2f}" for name, value in parts.items()) + ".")
        note = self._quote(item.note, _QUESTION)
        if item.status == "infra":
            lines.append(f"A model gave no answer, which says nothing about the instructions: {note}")
        elif item.status == "skipped":
            lines.append(f"The challenger found the source unsuitable: {note}")
        elif item.status == "quarantined":
            lines.append(f"The judge failed its controls, so its marks say nothing: {note}")
        for round_ in item.history:
            lines += self._round(round_)
        return "\n".join(lines)

    def _round(self, round_: Round) -> list[str]:
        head = f"Round {round_.number}: {'accepted' if round_.verdict.accepted else 'refused'}."
        if round_.candidate is not None:
            kind = self._quote(round_.candidate.question_type, _ANSWER)
            head += f" Question ({kind}): {self._quote(round_.candidate.question, _QUESTION)}"
        lines = [head]
        lines += [
            f"- {reason.kind.value} at {reason.stage}: {self._quote(reason.detail, _QUESTION)}"
            for reason in round_.verdict.reasons
        ]
        for name, opinion in round_.opinions.items():
            said = "nothing against it" if opinion.passed else "against it"
            lines.append(f"- {name}: {said}: {self._quote(opinion.why, _ANSWER)}")
        failed = [name for name, right in round_.controls.items() if not right]
        if failed:
            lines.append(f"- controls that failed: {', '.join(failed)}")
        lines += self._solver("weak", round_, round_.weak)
        lines += self._solver("strong", round_, round_.strong)
        if round_.weak and round_.strong:
            lines.append(f"- worth as a lesson: {gap_quality(round_):.2f}")
        return lines

    def _solver(self, name: str, round_: Round, attempts: tuple[Attempt, ...]) -> list[str]:
        rubric = round_.candidate.rubric if round_.candidate is not None else None
        shown = []
        for attempt in attempts[:_MOST_ANSWERS]:
            got = f"{float(attempt_score(attempt, rubric)):.2f}" if attempt.outcome == "scored" else attempt.outcome
            # What the strong solver said is nearly the reference; how well it did is enough.
            said = f" {self._quote(attempt.answer or '(nothing)', _ANSWER)}" if name == "weak" else ""
            flags = f" [{', '.join(attempt.flags)}]" if attempt.flags else ""
            shown.append(f"{got}{said}{flags}")
        more = f" and {len(attempts) - _MOST_ANSWERS} more" if len(attempts) > _MOST_ANSWERS else ""
        return [f"- {name} answers: {' | '.join(shown)}{more}"] if shown else []

    def _quote(self, text: str, limit: int) -> str:
        """Return a text that a model wrote on one line, shortened, with nothing hidden in it and nothing of the source."""
        shown = " ".join(visible(self.hidden.without(text)).split())
        return shown if len(shown) <= limit else shown[: limit - 1] + "…"
