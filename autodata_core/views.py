"""What each role may see, as types: a view has no field for what its role must not know.

How a view becomes messages is in `prompts`.
"""

from __future__ import annotations

from typing import Literal

from pydantic import StrictBool, StrictFloat, StrictInt, StrictStr

from autodata_core.records import Aim, Criterion, ReasonKind, Record, Statement

__all__ = [
    "AnswerFormat",
    "ChallengerView",
    "CheckView",
    "CriticView",
    "DebateView",
    "FailureView",
    "LearningView",
    "RubricJudgeView",
    "SolverView",
    "StudiedAnswerView",
    "StudiedFailureView",
    "StudyView",
    "TypeFigures",
    "VerifiableJudgeView",
]

AnswerFormat = Literal["text", "value"]
"""`text`: the whole reply is the answer. `value`: a JSON object `{"answer": "..."}` with a short value."""


class FailureView(Record):
    """One refused question of this item, as the challenger is told about it."""

    kind: ReasonKind
    round: StrictInt
    question_type: StrictStr = ""
    question: StrictStr = ""
    detail: StrictStr
    """What was measured against what was wanted, or the reviewer's feedback."""
    weak_mean: StrictFloat | None = None
    strong_mean: StrictFloat | None = None


class LearningView(Record):
    """One thing that earlier items taught, without any text of their sources."""

    text: StrictStr
    kind: ReasonKind | None
    question_type: StrictStr
    """Empty for all types."""
    share: StrictFloat
    """Share of tries of this question type that failed this way, in [0, 1]."""
    tries: StrictInt
    written: StrictBool = False
    """Whether the study role wrote it; else it was counted."""


class ChallengerView(Record):
    """The source and what went wrong before. Nothing of other sources."""

    source_text: StrictStr
    round: StrictInt
    """From 1."""
    failures: tuple[FailureView, ...] = ()
    """Refused questions of this item, oldest first."""
    learnings: tuple[LearningView, ...] = ()
    aim: Aim | None = None
    """What the data set lacks and this item is wanted for."""


class CheckView(Record):
    """The quality check sees the candidate and its source, never a solver's answer."""

    source_text: StrictStr
    question_type: StrictStr
    context: StrictStr
    question: StrictStr
    reference_answer: StrictStr | None
    """Given only where the answer is verified; None for rubric domains."""
    rubric: tuple[Criterion, ...] | None
    final: StrictBool = False
    """True for the second look at an item that passed everything else."""


class CriticView(Record):
    """A critic sees the candidate whole, never a solver's answer; its source only where the critic compares with it."""

    source_text: StrictStr | None
    context: StrictStr
    question: StrictStr
    reference_answer: StrictStr
    rubric: tuple[Criterion, ...] | None


class DebateView(CriticView):
    """Advocate, opponent and arbiter see the candidate, its source and what was said so far."""

    said: tuple[Statement, ...] = ()


class SolverView(Record):
    """A solver sees context and question only. Weak and strong get the same."""

    context: StrictStr
    question: StrictStr
    answer_format: AnswerFormat


class RubricJudgeView(Record):
    """The judge marks an answer by the rubric; it sees neither reference answer nor who answered."""

    answer: StrictStr
    rubric: tuple[Criterion, ...]


class VerifiableJudgeView(Record):
    """The judge compares an answer with the reference; it does not see who answered."""

    answer: StrictStr
    reference_answer: StrictStr


class StudiedAnswerView(Record):
    """One answer of a solver to a refused question, as the study role sees it."""

    answer: StrictStr
    met: StrictInt | None
    """Marks that it got; None when it could not be scored."""
    marks: StrictInt | None


class StudiedFailureView(Record):
    """One refused question of a batch, as the study role sees it: cut, without source and reference answer."""

    item: StrictStr
    round: StrictInt
    kind: ReasonKind
    question_type: StrictStr
    """Empty when its name is not told."""
    question: StrictStr
    detail: StrictStr
    weak: tuple[StudiedAnswerView, ...] = ()
    strong: tuple[StudiedAnswerView, ...] = ()


class TypeFigures(Record):
    """How often questions of one type were tried in a batch, and failed, by kind of failure."""

    question_type: StrictStr
    tries: StrictInt
    failed: dict[StrictStr, StrictInt]


class StudyView(Record):
    """What one batch showed: refused questions, and figures of all."""

    failures: tuple[StudiedFailureView, ...]
    types: tuple[TypeFigures, ...]
    duplicates: StrictInt
    """Tries that repeated what existed."""
