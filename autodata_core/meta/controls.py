"""Known-wrong questions that are put to a recipe's check: a child that lets more of them through is vetoed.

They are made from questions that the baseline wrote: put to another source, or given another one's answer. The check is the
only thing of a recipe that can let a wrong question in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from autodata_core.item import ItemState
from autodata_core.parsing import ReplyFault, parse_quality, reply_schema
from autodata_core.ports import ModelReply, ModelRequest
from autodata_core.prompts import Fence
from autodata_core.prompts.rendering import render_check
from autodata_core.recipe import Recipe
from autodata_core.records import Candidate, Source, fingerprint
from autodata_core.views import CheckView

__all__ = ["WrongQuestion", "control_request", "let_through", "wrong_questions"]


@dataclass(frozen=True)
class WrongQuestion:
    """A question that no check may let through."""

    name: str
    source: Source
    """That it is put to."""
    candidate: Candidate


def wrong_questions(states: Sequence[ItemState], sources: Mapping[str, Source]) -> tuple[WrongQuestion, ...]:
    """Return known-wrong questions made from what finished items asked; empty where fewer than two have a question.

    Args:
        states: Finished items of different sources.
        sources: By id.
    """
    asked: list[tuple[Source, Candidate]] = []
    for state in states:
        found = [r.candidate for r in state.history if r.candidate is not None]
        if found and state.source_id in sources:
            asked.append((sources[state.source_id], found[-1]))
    made = []
    for n, (source, candidate) in enumerate(asked):
        other, wrong = asked[(n + 1) % len(asked)]
        if other.sha256 == source.sha256:
            continue
        made.append(WrongQuestion(f"other_source.{n}", other, candidate))
        answer: dict[str, Any] = {
            "reference_answer": wrong.reference_answer,
            "rubric": wrong.rubric,
            "check": wrong.check,
        }
        made.append(WrongQuestion(f"other_answer.{n}", source, candidate.model_copy(update=answer)))
    return tuple(made)


def control_request(recipe: Recipe, wrong: WrongQuestion, *, seed: int, fence_key: str) -> ModelRequest:
    """Return the check's request for a known-wrong question, in the form that real ones have."""
    candidate = wrong.candidate
    view = CheckView(
        source_text=wrong.source.text,
        question_type=candidate.question_type,
        context=candidate.context,
        question=candidate.question,
        reference_answer=candidate.reference_answer if candidate.rubric is None else None,
        rubric=candidate.rubric,
    )
    # The name of an item is a hash: nothing in the request may say that it is a control.
    item = "it-" + fingerprint([fence_key, wrong.name, wrong.source.sha256])[:16]
    return ModelRequest(
        role="check",
        item=item,
        round=1,
        step="r1.check",
        messages=render_check(recipe.check, recipe.domain, view, Fence(fence_key, f"{item}/r1.check.0")),
        response_schema=reply_schema("quality"),
        seed=int(fingerprint([seed, item])[:8], 16) % 2**31,
        view=view.to_json(),
    )


def let_through(reply: ModelReply) -> bool | None:
    """Return whether the check let it through; an unreadable reply lets nothing through, no answer says nothing (None)."""
    if reply.error is not None:
        return None
    try:
        return parse_quality(reply).overall
    except ReplyFault:
        return False
