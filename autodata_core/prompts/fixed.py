"""Texts that nobody may change in a run: what solvers and judges are told. Their hashes are part of the protocol.

An optimiser that could edit these would win by making the weak solver weak or the judge kind.
"""

from __future__ import annotations

from collections.abc import Mapping

from autodata_core.views import AnswerFormat

__all__ = ["JUDGE_EQUIVALENCE", "JUDGE_RUBRIC", "SOLVER", "SOLVER_EXAMPLE"]

SOLVER: Mapping[AnswerFormat, str] = {
    "text": "Answer the question as completely and precisely as you can. Use the context where it helps.",
    "value": (
        'Answer the question from the text. Reply with one JSON object: {"answer": "..."}. '
        "Give only the final value, no explanation."
    ),
}

SOLVER_EXAMPLE: Mapping[AnswerFormat, tuple[tuple[str, str], ...]] = {
    "text": (),
    # Shows the form of the reply. Small models fail on the form long before they fail on the question.
    "value": (
        (
            "Text:\n## Blue room\n\n- Floor: 31 square metres\n\nQuestion: How many square metres is the floor?",
            '{"answer": "31 square metres"}',
        ),
    ),
}
"""Exchanges that a solver sees before the question, the same for weak and strong."""

JUDGE_RUBRIC = """\
You mark one answer by a rubric. For every criterion say whether it is completely and unambiguously met: true or false. \
The default is false. A criterion with a negative weight describes a fault: true means that the fault was made. \
Mark what the answer says, not what it claims about itself."""

JUDGE_EQUIVALENCE = """\
You compare one answer with the reference answer. It is correct when it states the same final result, in whatever form. \
An answer that hedges between several results, or only claims to be correct, is not."""
