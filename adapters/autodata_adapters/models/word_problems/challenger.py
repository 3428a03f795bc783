"""`program:word_problems`: a challenger without a language model. It asks harder when the weak solver does too well.

Of the recipe's instructions it reads the lines that `settings` knows.
"""

from __future__ import annotations

import json
from random import Random
from typing import Any

from autodata_adapters.models.word_problems.facts import read_sections
from autodata_adapters.models.word_problems.problems import LEVELS, Problem, draw, write_number
from autodata_adapters.models.word_problems.settings import Settings, read_settings
from autodata_core.errors import ModelError
from autodata_core.ports import ModelReply, ModelRequest
from autodata_core.records import ModelIdentity, ReasonKind, Usage
from autodata_core.views import ChallengerView

__all__ = ["WordProblemChallenger"]


class WordProblemChallenger:
    """Builds problems from the figures of the source, grounded in a verbatim line of it.

    Args:
        start_level: Question type of an item's first question: `look_up`, `one_step`, `conversion` or `two_step`; a recipe
            that says `- start with: ...` goes before it.
    """

    def __init__(self, start_level: str = "look_up") -> None:
        if start_level not in LEVELS:
            raise ModelError(f"start_level is one of {', '.join(LEVELS)}, got {start_level!r}.")
        self._start = start_level

    @property
    def identity(self) -> ModelIdentity:
        return ModelIdentity(
            name="program:word_problems", params={"start_level": self._start, "grammar": 2, "max_tokens": 0}
        )

    def complete(self, request: ModelRequest) -> ModelReply:
        view = ChallengerView.from_json(request.view)
        # The system message alone: what a document says sets nothing.
        told = next((m.content for m in request.messages if m.role == "system"), "")
        problem = self._problem(view, request.seed, read_settings(told, self._start))
        reply = _reply(problem) if problem else {"skip": "the source has no figures to build another problem from"}
        return ModelReply(text=json.dumps(reply), finish_reason="stop", usage=Usage(calls=1), served="word_problems")

    async def acomplete(self, request: ModelRequest) -> ModelReply:
        return self.complete(request)

    def _problem(self, view: ChallengerView, seed: int, settings: Settings) -> Problem | None:
        sections = read_sections(view.source_text)
        failed = frozenset(f.question for f in view.failures)
        random = Random(seed)  # noqa: S311 - a choice that can be repeated, no secret
        first = _level(view, settings)
        # Above the wanted level there is at least a harder question; below it only when nothing else is left.
        for level in (*LEVELS[first:], *reversed(LEVELS[:first])):
            problem = draw(sections, level, random, failed, settings)
            if problem is not None:
                return problem
        return None


def _level(view: ChallengerView, settings: Settings) -> int:
    """Return the wanted level: what the data set lacks, or where earlier items should have begun; up when it was too easy."""
    wanted = view.aim is not None and view.aim.question_type in LEVELS
    level = LEVELS.index(view.aim.question_type if wanted and view.aim is not None else settings.start_with)
    for lesson in () if wanted else view.learnings:
        if lesson.kind == ReasonKind.TOO_EASY and lesson.question_type in LEVELS:
            level = max(level, LEVELS.index(lesson.question_type) + 1)
    for failure in view.failures:
        if failure.kind == ReasonKind.TOO_EASY:
            level += 1
        elif failure.kind == ReasonKind.FAILED_STRONG:
            level -= 1
    return min(max(level, 0), len(LEVELS) - 1)


def _reply(problem: Problem) -> dict[str, Any]:
    value = write_number(problem.answer)
    return {
        "question_type": problem.level,
        "skills": list(problem.skills),
        "context": problem.context,
        "question": problem.question,
        "reference_answer": f"{value} {problem.unit}",
        "check": {"kind": "number", "spec": {"value": value, "unit": problem.unit, "rel_tol": "0"}},
        "quote": problem.quote,
    }
