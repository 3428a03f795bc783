"""`program:exact`: a solver that knows the challenger's grammar. Privileged, and every row says so.

It gets no reference answer: it reads the figures from the context and the form of the question, as anybody could who knew how
the questions are built.
"""

from __future__ import annotations

import json

from autodata_adapters.models.word_problems.facts import read_sections
from autodata_adapters.models.word_problems.problems import answer_of, write_number
from autodata_core.ports import ModelReply, ModelRequest
from autodata_core.records import ModelIdentity, Usage
from autodata_core.views import SolverView

__all__ = ["ExactSolver"]


class ExactSolver:
    """Answers every question that `program:word_problems` asks, exactly, and no other."""

    @property
    def identity(self) -> ModelIdentity:
        knows = "the grammar of program:word_problems"
        return ModelIdentity(
            name="program:exact", params={"privileged": True, "knows": knows, "grammar": 2, "max_tokens": 0}
        )

    def complete(self, request: ModelRequest) -> ModelReply:
        view = SolverView.from_json(request.view)
        found = (answer_of(section, view.question) for section in read_sections(view.context))
        solved = next((answer for answer in found if answer is not None), None)
        text = "unknown" if solved is None else f"{write_number(solved[0])} {solved[1]}"
        reply = json.dumps({"answer": text}) if view.answer_format == "value" else text
        return ModelReply(text=reply, finish_reason="stop", usage=Usage(calls=1), served="exact")

    async def acomplete(self, request: ModelRequest) -> ModelReply:
        return self.complete(request)
