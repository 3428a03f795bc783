"""What an optimizer is told about a program's item: a score, and in words why questions were refused.

It repeats the core's verdicts and gaps; nothing is accepted or refused here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import dspy

from autodata_core.item import ItemState
from autodata_core.prompts import visible
from autodata_core.records import Attempt, Round
from autodata_core.scoring import attempt_score, mean

__all__ = ["acceptance_metric"]

_QUESTION = 300
_ANSWER = 120
"""Characters that are quoted of a question and of an answer."""


def acceptance_metric(
    gold: Any, pred: Any, trace: Any = None, pred_name: str | None = None, pred_trace: Any = None
) -> Any:
    """Return how good a program's item is, for `dspy.Evaluate`, `dspy.GEPA` and other optimizers.

    The score is the mean of two figures in [0, 1]: whether the item was accepted, and the gap (mean strong minus mean weak
    score, not below 0) averaged over its rounds, where a round without both scores counts 0. So accepted items score at
    least 0.5, clear ones more, and each refused round on the way costs. Skipped and `infra` items score what their rounds
    do, without acceptance: an instruction must not win by making models fail. Our definition.

    Args:
        gold: Not looked at; there is no right answer to compare with.
        pred: What `AutoData` returned.
        trace: Not looked at, like `pred_trace`.
        pred_name: Named in the feedback when it is for one predictor.
        pred_trace: See `trace`.

    Returns:
        A `dspy.Prediction` with `score` and `feedback`.
    """
    stored = getattr(pred, "state", None)
    if stored is None:
        return dspy.Prediction(
            score=0.0, feedback="The program ended with an error, so there is no item to learn from."
        )
    item = ItemState.from_json(stored)
    gaps = [_gap(round_) for round_ in item.history]
    score = (float(item.status == "accepted") + (sum(gaps) / len(gaps) if gaps else 0.0)) / 2
    return dspy.Prediction(score=score, feedback=_feedback(item, pred_name))


def _gap(round_: Round) -> float:
    """Return by how much the strong solver was better; 0 where that was not measured."""
    weak, strong = _scores(round_, round_.weak), _scores(round_, round_.strong)
    return max(0.0, float(mean(strong) - mean(weak))) if weak and strong else 0.0


def _scores(round_: Round, attempts: Sequence[Attempt]) -> list[Any]:
    if round_.candidate is None or any(attempt.outcome != "scored" for attempt in attempts):
        return []
    return [attempt_score(attempt, round_.candidate.rubric) for attempt in attempts]


def _feedback(item: ItemState, role: str | None) -> str:
    about = f"For the instructions of {role!r}. " if role else ""
    lines = [f"{about}The item was {item.status} after {len(item.history)} round(s)."]
    if item.status == "infra":
        lines.append(
            f"A model gave no answer, which says nothing about the instructions: {_quote(item.note, _QUESTION)}"
        )
    elif item.status == "skipped":
        lines.append(f"The challenger found the source unsuitable: {_quote(item.note, _QUESTION)}")
    for round_ in item.history:
        lines += _round(round_)
    return "\n".join(lines)


def _round(round_: Round) -> list[str]:
    head = f"Round {round_.number}: {'accepted' if round_.verdict.accepted else 'refused'}."
    if round_.candidate is not None:
        head += f" Question: {_quote(round_.candidate.question, _QUESTION)}"
    lines = [head]
    lines += [
        f"- {reason.kind.value} at {reason.stage}: {_quote(reason.detail, _QUESTION)}"
        for reason in round_.verdict.reasons
    ]
    for solver, attempts in (("weak", round_.weak), ("strong", round_.strong)):
        scores = _scores(round_, attempts)
        if scores:
            lines.append(f"- {solver} scores: {', '.join(f'{float(score):.2f}' for score in scores)}")
    said = [_quote(attempt.answer, _ANSWER) for attempt in round_.weak if attempt.answer]
    return [*lines, f"- weak answers: {' | '.join(said)}"] if said else lines


def _quote(text: str, limit: int) -> str:
    """Return a text that a model wrote on one line, shortened, with nothing hidden in it."""
    shown = " ".join(visible(text).split())
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"
