"""The study role: a model reads the failures of one batch and writes what they teach. What it writes is checked, not believed.

Without I/O, as the item's machine: `study_with_model` says what is asked next, or what was found. Counting is in `counting`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

from autodata_core.item import Fault
from autodata_core.learnings.admitting import faults_of
from autodata_core.learnings.borrowing import Owned
from autodata_core.learnings.counting import Figures, document_of, label_of
from autodata_core.learnings.record import ADVICE, CONFIDENCES, Confidence, Learning
from autodata_core.parsing import LessonReply, ReplyFault, parse_study, reply_schema
from autodata_core.ports import ModelAsk, ModelReply, ModelRequest
from autodata_core.prompts import Fence, again, render_study
from autodata_core.records import Attempt, Candidate, ReasonKind, Record, Round, Source, Usage, fingerprint
from autodata_core.views import StudiedAnswerView, StudiedFailureView, StudyView, TypeFigures

__all__ = ["Refused", "StudiedItem", "Study", "StudyStep", "study_with_model"]

_MOST_FAILURES = 24
"""Failures that are shown of one batch, of every kind some. Our number."""
_QUESTION_CHARS = 500
_DETAIL_CHARS = 300
_ANSWER_CHARS = 150
_EARLIER_CHARS = 4_000_000
"""Of the sources of earlier batches so much is compared with a note, the latest first; about a second and a half. Our number."""
_ANSWERS = 2
"""Answers shown of each solver."""


class StudiedItem(Record):
    """One finished item of the batch with its source."""

    item: str
    source: Source
    rounds: tuple[Round, ...]


class Refused(Record):
    """A lesson that may not be told, for the record only."""

    text: str
    why: str


@dataclass(frozen=True)
class Study:
    """What does not change while one batch is studied."""

    batch: str
    """Name of the batch, unique in the run and the same on resume."""
    items: Sequence[StudiedItem]
    figures: Figures
    """Of this batch."""
    text: str
    """Instructions of the study role."""
    fence_key: str
    earlier: Sequence[Source] = ()
    """Sources of earlier batches, the latest first: nothing of them may be in a note either."""
    seed: int = 0
    known_types: Collection[str] = ()
    """Types that the domain names."""
    again: int = 1
    """How often an unreadable reply is asked for again."""


@dataclass(frozen=True)
class StudyStep:
    """What is asked next, or with no ask what was found."""

    ask: ModelAsk | None = None
    faults: tuple[Fault, ...] = ()
    learnings: tuple[Learning, ...] = ()
    refused: tuple[Refused, ...] = ()
    note: str = ""
    """Why nothing was found, where a model is to blame; empty otherwise."""
    usage: Usage = field(default_factory=Usage)


def study_with_model(study: Study, step: StudyStep | None = None, reply: ModelReply | None = None) -> StudyStep:
    """Return the next step of a study.

    Args:
        study: The batch.
        step: The step before; None to begin.
        reply: To that step's ask.
    """
    if step is None or step.ask is None or reply is None:
        return _ask(study, (), Usage())
    usage = step.usage.plus(reply.usage)
    if reply.error:
        return StudyStep(note=f"the study role gave no answer: {reply.error}", usage=usage)
    try:
        lessons = parse_study(reply)
    except ReplyFault as fault:
        faults = (*step.faults, Fault(reply=reply.text[:4_000], fault=str(fault)))
        if len(faults) > study.again:
            return StudyStep(note=f"the study role gave no readable reply: {fault}", usage=usage)
        return _ask(study, faults, usage)
    return _admitted(study, lessons, usage)


def _ask(study: Study, faults: tuple[Fault, ...], usage: Usage) -> StudyStep:
    view = _view(study)
    if not view.failures:
        return StudyStep(usage=usage)
    step = f"study.again{len(faults)}" if faults else "study"
    messages = render_study(study.text, view, Fence(study.fence_key, f"{study.batch}/study.{len(faults)}"))
    if faults:
        messages = again(messages, faults[-1].reply, faults[-1].fault)
    request = ModelRequest(
        role="study",
        item=study.batch,
        round=1,
        step=step,
        messages=messages,
        response_schema=reply_schema("study"),
        seed=int(fingerprint([study.seed, study.batch, step])[:8], 16) % 2**31,
        view=view.to_json(),
    )
    return StudyStep(ask=ModelAsk(key=step, request=request), faults=faults, usage=usage)


# --- what the study role sees -----------------------------------------------------------------------------------------


def _view(study: Study) -> StudyView:
    figures = study.figures
    types = sorted(name for name in figures.tries if name)
    return StudyView(
        failures=tuple(_spread([f for item in study.items for f in _failures(item, study)])),
        types=tuple(
            TypeFigures(
                question_type=name,
                tries=figures.tries[name],
                failed={k.value: n for (t, k), n in sorted(figures.failed.items()) if t == name},
            )
            for name in types
        ),
        duplicates=figures.failed.get(("", ReasonKind.DUPLICATE), 0),
    )


def _failures(item: StudiedItem, study: Study) -> Iterable[StudiedFailureView]:
    for round_ in item.rounds:
        candidate = round_.candidate
        kinds = [reason.kind for reason in round_.verdict.reasons if reason.kind in ADVICE]
        if candidate is None or not kinds:
            continue
        label = label_of(candidate, [item.source.text], study.known_types)
        yield StudiedFailureView(
            item=item.item,
            round=round_.number,
            kind=kinds[0],
            question_type=label if label in study.figures.tries else "",  # the figures name what may be told
            question=candidate.question[:_QUESTION_CHARS],
            detail="; ".join(r.detail for r in round_.verdict.reasons)[:_DETAIL_CHARS],
            weak=_answers(round_.weak),
            strong=_answers(round_.strong),
        )


def _answers(attempts: Sequence[Attempt]) -> tuple[StudiedAnswerView, ...]:
    return tuple(
        StudiedAnswerView(
            answer=(attempt.answer or "")[:_ANSWER_CHARS],
            met=sum(attempt.marks) if attempt.marks is not None else None,
            marks=len(attempt.marks) if attempt.marks is not None else None,
        )
        for attempt in attempts[:_ANSWERS]
    )


def _spread(failures: Sequence[StudiedFailureView]) -> list[StudiedFailureView]:
    """Return at most so many failures, in turn from every type and kind, those that occur most first."""
    groups: dict[tuple[str, str], list[StudiedFailureView]] = {}
    for failure in failures:
        groups.setdefault((failure.question_type, failure.kind.value), []).append(failure)
    rows = [groups[key] for key in sorted(groups, key=lambda key: (-len(groups[key]), key))]
    longest = max((len(row) for row in rows), default=0)
    turns = [row[n] for n in range(longest) for row in rows if n < len(row)]
    return turns[:_MOST_FAILURES]


# --- what it may say --------------------------------------------------------------------------------------------------


def _admitted(study: Study, lessons: Sequence[LessonReply], usage: Usage) -> StudyStep:
    tried = {item.item: item for item in study.items}
    labels = {f.question_type for f in _view(study).failures} - {""}
    texts = [" ".join(lesson.text.split()) for lesson in lessons]
    faults = faults_of(texts, _private(study)) if texts else ()
    learnings, refused = [], []
    for lesson, text, fault in zip(lessons, texts, faults, strict=True):
        made = _learning(lesson, text, tried, labels, study) if fault is None else fault
        if isinstance(made, str):
            refused.append(Refused(text=text, why=made))
        else:
            learnings.append(made)
    return StudyStep(learnings=tuple(learnings), refused=tuple(refused), usage=usage)


def _private(study: Study) -> Iterable[str | Owned]:
    """Yield every text that no lesson may hold a part of: all of the batch, and the sources before it as far as time allows."""
    left, seen = _EARLIER_CHARS, {item.source.sha256 for item in study.items}
    yield from {item.source.sha256: _owned(item.source) for item in study.items}.values()
    for source in study.earlier:
        left -= 0 if source.sha256 in seen else len(source.text)
        if left < 0:
            break
        if source.sha256 not in seen:
            seen.add(source.sha256)
            yield _owned(source)
    for item in study.items:
        for round_ in item.rounds:
            if round_.candidate is not None:
                yield from _written(round_.candidate)
            yield from (a.answer for a in (*round_.weak, *round_.strong) if a.answer)
            yield from (statement.text for statement in round_.debate)


def _owned(source: Source) -> Owned:
    return Owned(source.text, document_of(source.id))


def _written(candidate: Candidate) -> Iterable[str]:
    yield from (candidate.context, candidate.question, candidate.reference_answer)
    yield candidate.quote or ""
    yield from (line.criterion for line in candidate.rubric or ())


def _learning(
    lesson: LessonReply, text: str, tried: dict[str, StudiedItem], labels: Collection[str], study: Study
) -> Learning | str:
    """Return the lesson with what was counted for it, or why it is refused."""
    wanted = " ".join((lesson.question_type or "").split())
    if wanted and wanted not in labels:
        return "its question type failed nowhere in the batch"
    named = tuple(dict.fromkeys(lesson.evidence))
    if not named or any(item not in tried for item in named):
        return "its evidence is not of this batch"
    failed = {item: _kinds_of(tried[item], wanted, study) for item in named}
    if not all(failed.values()):
        return "its evidence did not fail"
    kinds = Counter(kind for found in failed.values() for kind in set(found))
    kind = min(kinds, key=lambda k: (-kinds[k], k.value))
    figures = study.figures
    return Learning(
        question_type=wanted,
        kind=kind,
        share=figures.share(wanted, kind),
        tries=figures.tries.get(wanted, 0),
        items=named[:5],
        advice=text,
        skills=figures.skills.get((wanted, kind), ()),
        confidence=_confidence(lesson.confidence, len(named)),
    )


def _kinds_of(item: StudiedItem, question_type: str, study: Study) -> list[ReasonKind]:
    found = []
    for failure in _failures(item, study):
        if question_type in ("", failure.question_type):
            found.append(failure.kind)
    return found


def _confidence(claimed: Confidence, items: int) -> Confidence:
    """Return what was claimed, as far as the evidence goes: one item is low, two are medium."""
    return min(claimed, CONFIDENCES[min(items, len(CONFIDENCES)) - 1], key=CONFIDENCES.index)
