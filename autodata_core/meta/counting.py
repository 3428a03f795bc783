"""What code counts over the items of a minibatch, so that no model has to. What it means is for the analyzer to say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from pydantic import Field, StrictFloat, StrictInt, StrictStr

from autodata_core.item import ItemState
from autodata_core.records import Attempt, Record, Round
from autodata_core.scoring import attempt_score

__all__ = ["Counts", "Failure", "TypeCounts", "counts_of", "failures_of", "shown_failures"]

_MOST_TYPES = 20
_LONGEST_NAME = 60
_LONGEST_QUOTE = 240


class TypeCounts(Record):
    """What became of the questions of one type."""

    tries: StrictInt
    kept: StrictInt
    failures: dict[StrictStr, StrictInt] = Field(default_factory=dict)
    """Refusals by the kind of their first reason."""
    weak_mean: StrictFloat | None = None
    """Over the attempts that were made and scored, in [0, 1]; None where there was none."""
    strong_mean: StrictFloat | None = None

    def line(self) -> str:
        """Return the counts on one line."""
        refused = "".join(f", {kind} {n}" for kind, n in self.failures.items())
        means = (("weak", self.weak_mean), ("strong", self.strong_mean))
        scores = "".join(f", {name} mean {mean:.2f}" for name, mean in means if mean is not None)
        return f"{self.tries} tries, {self.kept} kept{refused}{scores}"


class Failure(Record):
    """One refused question of a train source, so that people see what a count stands for. No prompt holds it."""

    source: StrictStr
    question_type: StrictStr
    question: StrictStr
    kind: StrictStr
    detail: StrictStr
    weak_answer: StrictStr = ""
    """The best of the weak solver's answers, empty where none was scored."""


class Counts(Record):
    """What became of a minibatch."""

    items: StrictInt
    accepted: StrictInt
    failures: dict[StrictStr, StrictInt] = Field(default_factory=dict)
    types: dict[StrictStr, TypeCounts] = Field(default_factory=dict)
    """By question type, as its writer calls it, the most frequent first; at most twenty."""

    def lines(self) -> str:
        """Return the counts by type, one line each."""
        return "\n".join(f"{name}: {found.line()}" for name, found in self.types.items())


def failures_of(states: Sequence[ItemState]) -> dict[str, int]:
    """Return the refused rounds by the kind of their first reason, and items that ended without a question by status."""
    found: Counter[str] = Counter()
    for state in states:
        found.update(r.verdict.reasons[0].kind.value for r in state.history if not r.verdict.accepted)
        if state.status in ("skipped", "quarantined"):
            found[state.status.upper()] += 1
    return dict(sorted(found.items()))


def counts_of(states: Sequence[ItemState]) -> Counts:
    """Return the counts of finished items; their order does not matter."""
    by: dict[str, list[Round]] = {}
    for state in states:
        for round_ in state.history:
            if round_.candidate is not None:
                name = " ".join(round_.candidate.question_type.split())[:_LONGEST_NAME] or "(no type)"
                by.setdefault(name, []).append(round_)
    frequent = sorted(by, key=lambda name: (-len(by[name]), name))[:_MOST_TYPES]
    return Counts(
        items=len(states),
        accepted=sum(1 for state in states if state.status == "accepted"),
        failures=failures_of(states),
        types={name: _type_counts(by[name]) for name in frequent},
    )


def shown_failures(states: Sequence[ItemState], most: int = 3) -> tuple[Failure, ...]:
    """Return a few refused questions: one of each kind and type before a second of any, in the order of the items."""
    found: list[tuple[int, int, Failure]] = []
    seen: Counter[tuple[str, str]] = Counter()
    for state in states:
        for round_ in state.history:
            candidate, reasons = round_.candidate, round_.verdict.reasons
            if candidate is None or round_.verdict.accepted or not reasons:
                continue
            failure = Failure(
                source=state.source_id,
                question_type=_cut(candidate.question_type, _LONGEST_NAME),
                question=_cut(candidate.question),
                kind=reasons[0].kind.value,
                detail=_cut(reasons[0].detail),
                weak_answer=_cut(_best_answer(round_)),
            )
            key = (failure.kind, failure.question_type)
            found.append((seen[key], len(found), failure))
            seen[key] += 1
    return tuple(failure for _, _, failure in sorted(found, key=lambda one: one[:2])[:most])


def _best_answer(round_: Round) -> str:
    candidate, scored = round_.candidate, [a for a in round_.weak if a.outcome == "scored"]
    if candidate is None or not scored:
        return ""
    return max(scored, key=lambda a: attempt_score(a, candidate.rubric)).answer or ""


def _cut(text: str, limit: int = _LONGEST_QUOTE) -> str:
    plain = " ".join(text.split())
    return plain if len(plain) <= limit else f"{plain[: limit - 2].rstrip()} …"


def _type_counts(rounds: Sequence[Round]) -> TypeCounts:
    refused = Counter(r.verdict.reasons[0].kind.value for r in rounds if not r.verdict.accepted)
    return TypeCounts(
        tries=len(rounds),
        kept=sum(1 for r in rounds if r.verdict.accepted),
        failures=dict(sorted(refused.items())),
        weak_mean=_mean([score for r in rounds for score in _scores(r, r.weak)]),
        strong_mean=_mean([score for r in rounds for score in _scores(r, r.strong)]),
    )


def _scores(round_: Round, attempts: Sequence[Attempt]) -> list[float]:
    if round_.candidate is None:
        return []
    return [float(attempt_score(a, round_.candidate.rubric)) for a in attempts if a.outcome == "scored"]


def _mean(scores: Sequence[float]) -> float | None:
    return sum(scores) / len(scores) if scores else None
