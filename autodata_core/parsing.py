"""Model text → record, strictly. What cannot be read is a `ReplyFault`, which the model is asked about once more.

Nothing is repaired or guessed: no second object, no duplicate key, no NaN, no text for a boolean, no cut reply.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, Literal, NoReturn, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from autodata_core.declining import is_refusal
from autodata_core.errors import shorten
from autodata_core.lazily import lazy
from autodata_core.ports import ModelReply
from autodata_core.quoting import doubt
from autodata_core.records import Candidate, Check, Criterion, FinishReason
from autodata_core.safety import neutralise

__all__ = [
    "MAX_REPLY_CHARS",
    "CriticVerdict",
    "LessonReply",
    "Marks",
    "QualityVerdict",
    "ReplyFault",
    "Skip",
    "SolverAnswer",
    "parse_answer",
    "parse_candidate",
    "parse_critic",
    "parse_equivalence",
    "parse_marks",
    "parse_object",
    "parse_quality",
    "parse_study",
    "parse_verdict",
    "reply_schema",
]

MAX_REPLY_CHARS = 200_000
"""A longer reply is refused unread; the largest honest one (an answer of 8k tokens) is a fifth of it."""
_KEYS_READ = 200
_MAX_DEPTH = 12

# The language is optional as a whole: two runs of blanks side by side would take quadratic time on a long one.
_FENCE_LINE = lazy(r"^[ ]{0,3}(?:```|~~~)(?:[ \t]*([A-Za-z0-9_+-]+))?[ \t]*\r?$", re.MULTILINE)
_FENCES_READ = 200
_THOUGHTS = "think|thinking|thought|reasoning|analysis|reflection|scratchpad"
_THINKING = lazy(rf"\A\s*<({_THOUGHTS})>.*?</\1>", re.DOTALL | re.IGNORECASE)
_THINKING_START = lazy(rf"\A\s*<({_THOUGHTS})>", re.IGNORECASE)
_THINKING_END = lazy(rf"</(?:{_THOUGHTS})>", re.IGNORECASE)
_OBJECT_START = lazy(r"\{(?=\s*\")")
_KEY_BEFORE = lazy(r"\"\s*:\Z")
_BRACES_TRIED = 64
"""Beside a fence so many openings are tried; prose with more of them is no prose."""


class ReplyFault(Exception):
    """A reply that cannot be read. `str(fault)` is quoted to the model in the re-ask."""


# --- what each role may reply -----------------------------------------------------------------------------------------


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)


_Text = Annotated[str, Field(min_length=1, max_length=20_000)]


class _CriterionReply(_Strict):
    criterion: Annotated[str, Field(min_length=1, max_length=2_000)]
    weight: Annotated[int, Field(ge=-100, le=100)]


class _CheckReply(_Strict):
    kind: Annotated[str, Field(min_length=1, max_length=64)]
    spec: dict[str, Any] = {}


class _CandidateReply(_Strict):
    question_type: Annotated[str, Field(min_length=1, max_length=100)]
    skills: Annotated[list[Annotated[str, Field(min_length=1, max_length=100)]], Field(min_length=1, max_length=10)]
    context: Annotated[str, Field(max_length=20_000)]
    question: Annotated[str, Field(min_length=1, max_length=10_000)]
    reference_answer: _Text
    quote: Annotated[str, Field(max_length=4_000)] | None = None


class _RubricCandidateReply(_CandidateReply):
    rubric: Annotated[list[_CriterionReply], Field(min_length=1, max_length=40)]


class _CheckedCandidateReply(_CandidateReply):
    check: _CheckReply


class QualityVerdict(_Strict):
    """The quality check's four verdicts, its overall verdict and its feedback."""

    grounded: bool
    """The answer rests on the source and nothing else."""
    self_contained: bool
    """Context and question can be understood without the source."""
    no_leak: bool
    """Neither context nor question gives the answer away."""
    answer_correct: bool
    """Reference answer or rubric is right and complete."""
    overall: bool
    feedback: Annotated[str, Field(max_length=4_000)]

    def faults(self) -> tuple[str, ...]:
        """Return the names of the verdicts that are false."""
        return tuple(
            name for name in ("grounded", "self_contained", "no_leak", "answer_correct") if not getattr(self, name)
        )


class CriticVerdict(_Strict):
    """Whether one critic, or the arbiter, lets a candidate pass."""

    passed: bool
    why: Annotated[str, Field(max_length=4_000)] = ""


class Marks(_Strict):
    """One yes or no per criterion, in the rubric's order."""

    marks: list[bool]
    why: Annotated[str, Field(max_length=8_000)] = ""


class LessonReply(_Strict):
    """One note of the study role, as it came."""

    text: Annotated[str, Field(min_length=1, max_length=300)]
    question_type: Annotated[str, Field(max_length=100)] | None = None
    evidence: Annotated[list[Annotated[str, Field(min_length=1, max_length=100)]], Field(min_length=1, max_length=50)]
    """Ids of items."""
    confidence: Literal["low", "medium", "high"]


class _StudyReply(_Strict):
    learnings: Annotated[list[LessonReply], Field(max_length=5)]


class _Equivalence(_Strict):
    correct: bool
    why: Annotated[str, Field(max_length=8_000)] = ""


class _ValueReply(_Strict):
    answer: Annotated[str, Field(max_length=2_000)]


@dataclass(frozen=True)
class Skip:
    """The challenger says that the source is not suitable."""

    reason: str


@dataclass(frozen=True)
class SolverAnswer:
    """What a solver answered, and what is odd about it. `answer` is None when nothing can be scored."""

    answer: str | None
    flags: tuple[str, ...] = ()


# --- the one object in a reply ----------------------------------------------------------------------------------------


def parse_object(text: str) -> dict[str, Any]:
    """Return the JSON object of a reply: the last fenced one, or the only one.

    A thinking block at the start is passed over. Time and memory are linear in the length.

    Raises:
        ReplyFault: No object, several, a cut one, a duplicate key, NaN or Infinity, a number or nesting too large,
            a lone surrogate; the message names it.
    """
    return _find_object(text).value


def parse_verdict(text: str) -> dict[str, Any]:
    """Return the JSON object of a reply that decides something: as `parse_object`, and it must be the reply's own word.

    A judge may quote a verdict that was planted in what it reads. So no sentence goes on behind the object, what leads to it
    is no refusal and speaks of no quotation, and what stands behind it says nothing about the verdict.

    Raises:
        ReplyFault: As `parse_object`; or the object may be a quotation.
    """
    found = _find_object(text)
    why = doubt(found.before, found.behind)
    if why:
        _fault(why)
    return found.value


@dataclass(frozen=True)
class _Found:
    """The one object of a reply, and the prose on both sides of it."""

    value: dict[str, Any]
    before: str
    behind: str


def _find_object(text: str) -> _Found:
    if len(text) > MAX_REPLY_CHARS:
        _fault(f"the reply has {len(text)} characters, at most {MAX_REPLY_CHARS} are read")
    text = _without_thinking(text)
    fenced, around = _split_fences(text)
    objects = [n for n, block in enumerate(fenced) if block.text.lstrip().startswith("{")]
    if not objects:
        return _only_object(text)
    last = objects[-1]
    chosen = _only_object(fenced[last].text).value
    _refuse_thought("\n".join(around[1:]))
    if any("{" in part and _holds_object(part) for part in around):
        _fault("a JSON object inside and another outside the fence; reply with exactly one")
    # A later fence is the model's correction of an earlier one. Prose behind it makes it a quotation: which one counts?
    if not fenced[last].ends_reply and any(_differs(fenced[n].text, chosen) for n in objects[:-1]):
        _fault("several JSON objects; reply with exactly one")
    others = ["" if n in objects else block.text for n, block in enumerate(fenced)]
    before = [part for n in range(last) for part in (around[n], others[n])]
    behind = [part for n in range(last + 1, len(fenced)) for part in (around[n], others[n])]
    return _Found(chosen, "\n".join([*before, around[last]]), "\n".join([*behind, around[-1]]))


@dataclass(frozen=True)
class _Fenced:
    text: str
    ends_reply: bool
    """Nothing but white space stands behind it."""


def _split_fences(text: str) -> tuple[list[_Fenced], list[str]]:
    """Return the fenced blocks, and the prose before, between and behind them. Linear: only fence lines are looked at."""
    blocks: list[tuple[int, int, int]] = []
    prose: list[str] = []
    opened: re.Match[str] | None = None
    read = 0
    for number, line in enumerate(_FENCE_LINE.finditer(text)):
        if number == _FENCES_READ:
            _fault(f"it has more than {_FENCES_READ} fences; reply with one")
        if opened is None:
            prose.append(text[read : line.start()])
            opened = line
        elif not line.group(1):
            blocks.append((opened.end() + 1, line.start(), line.end()))
            opened, read = None, line.end()
    prose.append(text[read if opened is None else opened.end() :])  # a fence that never closes fences nothing
    last_word = len(text.rstrip())
    made = [_Fenced(text[start:end], behind >= last_word) for start, end, behind in blocks]
    return made, prose


def _without_thinking(text: str) -> str:
    match = _THINKING.match(text)
    text = text[match.end() :] if match else text
    if _THINKING_START.match(text):
        _fault("a thinking block never ends, or a second one begins, so there is no answer; think less and answer")
    return text


def _refuse_thought(behind: str) -> None:
    """Refuse an object that stood in a thinking block whose start the chat template wrote: it was no answer yet."""
    if "</" in behind and _THINKING_END.search(behind):
        _fault("the object stands in the thinking block; reply with exactly one object after it")


def _differs(text: str, chosen: dict[str, Any]) -> bool:
    try:
        return _only_object(text).value != chosen
    except ReplyFault:
        return False


def _holds_object(text: str) -> bool:
    for tried, start in enumerate(_OBJECT_START.finditer(text)):
        if tried == _BRACES_TRIED:
            return True
        try:
            _DECODER.raw_decode(text, start.start())
        except ValueError:
            continue
        except (RecursionError, ReplyFault):
            return True  # an object that is no good is still another one
        return True
    return False


def _only_object(text: str) -> _Found:
    start = text.find("{")
    if start < 0:
        _fault("there is no JSON object in it" if text.strip() else "it is empty")
    before = text[:start].rstrip()
    if before.endswith("[") or _KEY_BEFORE.search(before[-80:]) or (before.endswith(",") and "[" in before):
        _fault("the JSON object stands inside something else; reply with the object alone")
    try:
        value, end = _DECODER.raw_decode(text, start)
    except RecursionError:
        _fault("it is nested too deeply")
    except json.JSONDecodeError as error:
        cut = error.pos >= len(text.rstrip()) - 1 or "Unterminated" in error.msg
        _fault(f"the JSON is cut off or not valid: {error.msg}" if cut else f"the JSON is not valid: {error.msg}")
    except ValueError as error:  # an integer with more digits than Python reads
        _fault(f"the JSON is not valid: {shorten(str(error), 80)}")
    rest = text[end:]
    _refuse_thought(rest)
    if rest.lstrip()[:1] in ("]", "}", ",", ":") or "{" in rest:
        _fault("there is more JSON after the object; reply with exactly one object")
    _check_values(value)
    return _Found(value, text[:start], rest)


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(pairs) > _KEYS_READ:
        _fault(f"an object has {len(pairs)} keys, at most {_KEYS_READ} are read")
    made = dict(pairs)
    if len(made) != len(pairs):
        seen: set[str] = set()
        double = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        _fault(f"{_named(double)} stands twice in one object")
    return made


def _constant(name: str) -> NoReturn:
    _fault(f"{name} is not a JSON number")


def _float(text: str) -> float:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        _fault(f"the number {shorten(text, 40)} is too large")
    return value


def _int(text: str) -> int:
    if len(text) > 18:  # larger ones do not fit the stores and mean nothing here
        _fault(f"the number {shorten(text, 40)} is too large")
    return int(text)


_DECODER = json.JSONDecoder(object_pairs_hook=_pairs, parse_constant=_constant, parse_float=_float, parse_int=_int)


def _check_values(value: Any, depth: int = 0) -> None:
    """Refuse deep nesting, and text with NUL or half a character, which no store or provider takes."""
    if depth > _MAX_DEPTH:
        _fault("it is nested too deeply")
    if isinstance(value, str):
        if "\0" in value or not value.isascii():
            _check_text(value)
    elif isinstance(value, dict):
        for key, inner in value.items():
            _check_text(key)
            _check_values(inner, depth + 1)
    elif isinstance(value, list):
        for inner in value:
            _check_values(inner, depth + 1)


def _check_text(text: str) -> None:
    if "\0" in text:
        _fault("it holds a NUL character")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        _fault("it holds half of a surrogate pair, which is not a character")


def _fault(message: str) -> NoReturn:
    raise ReplyFault(message)


# --- replies by role --------------------------------------------------------------------------------------------------

_Model = TypeVar("_Model", bound=_Strict)


def _read(kind: type[_Model], reply: ModelReply, *, verdict: bool = False) -> _Model:
    """Return the reply as `kind`, or raise the fault that a person would name first."""
    if reply.finish_reason == "content_filter":
        _fault("the provider's content filter stopped it")
    if reply.finish_reason == "length":
        _fault("it was cut off at the token limit; reply shorter")
    try:
        found = parse_verdict(reply.text) if verdict else parse_object(reply.text)
    except ReplyFault:
        if is_refusal(reply.text):
            _fault("it is a refusal, not a reply in the asked form")
        raise
    return _validate(kind, found)


def _validate(kind: type[_Model], found: Mapping[str, Any]) -> _Model:
    try:
        return kind.model_validate(found)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        if first["type"] == "missing":
            _fault(f"the key {where!r} is missing")
        if first["type"] == "extra_forbidden":
            _fault(f"{_named(str(first['loc'][-1]))} is not known; known are {', '.join(kind.model_fields)}")
        _fault(f"{where}: {first['msg']}, got {_kind_of(first['input'])}")


_PLAIN_KEY = lazy(r"[A-Za-z_][A-Za-z0-9_]{0,39}")


def _named(key: str) -> str:
    """Return a key for a message; one that is a text rather than a name is not quoted, as the message stands in no fence."""
    return f"the key {key!r}" if _PLAIN_KEY.fullmatch(key) else f"a key of {len(key)} characters"


def _kind_of(value: Any) -> str:
    """Return what came in place of what was asked for, without its words, for the same reason."""
    if isinstance(value, str):
        return f"a text of {len(value)} characters"
    if isinstance(value, list | dict):
        return f"a {'list' if isinstance(value, list) else 'object'} of {len(value)}"
    return shorten(value, 40)


def parse_candidate(reply: ModelReply, *, rubric: bool) -> Candidate | Skip:
    """Return what the challenger wrote: a candidate with a rubric or a check, or that the source is not suitable.

    Raises:
        ReplyFault: It cannot be read. Whether rubric or check are any good is not decided here.
    """
    if reply.finish_reason in ("stop", "unknown"):
        try:
            found = parse_object(reply.text)
        except ReplyFault:
            found = {}
        if set(found) == {"skip"} and isinstance(found["skip"], str) and found["skip"].strip():
            return Skip(" ".join(neutralise(found["skip"]).split())[:500])
    if rubric:
        read = _read(_RubricCandidateReply, reply)
        criteria = tuple(Criterion(criterion=c.criterion, weight=c.weight) for c in read.rubric)
        return _candidate(read, criteria, None)
    checked = _read(_CheckedCandidateReply, reply)
    return _candidate(checked, None, Check(kind=checked.check.kind, spec=checked.check.spec))


def _candidate(read: _CandidateReply, rubric: tuple[Criterion, ...] | None, check: Check | None) -> Candidate:
    for name in ("question", "reference_answer", "question_type"):
        if not getattr(read, name).strip():
            _fault(f"{name} is empty")
    return Candidate(
        question_type=read.question_type.strip(),
        skills=tuple(read.skills),
        context=read.context,
        question=read.question.strip(),
        reference_answer=read.reference_answer.strip(),
        rubric=rubric,
        check=check,
        quote=read.quote or None,
    )


def parse_quality(reply: ModelReply) -> QualityVerdict:
    """Return the quality check's verdicts.

    Raises:
        ReplyFault: It cannot be read, or the overall verdict contradicts the four.
    """
    verdict = _read(QualityVerdict, reply, verdict=True)
    if verdict.overall and verdict.faults():
        _fault(f"overall is true although {verdict.faults()[0]} is false")
    return verdict


def parse_critic(reply: ModelReply) -> CriticVerdict:
    """Return what a critic or the arbiter of a debate says.

    Raises:
        ReplyFault: It cannot be read.
    """
    return _read(CriticVerdict, reply, verdict=True)


def parse_marks(reply: ModelReply, criteria: int) -> Marks:
    """Return the judge's marks, exactly one per criterion.

    Raises:
        ReplyFault: It cannot be read, or the number of marks is another one.
    """
    marks = _read(Marks, reply, verdict=True)
    if len(marks.marks) != criteria:
        _fault(f"the rubric has {criteria} criteria and marks has {len(marks.marks)} entries; give one each, in order")
    return marks


def parse_equivalence(reply: ModelReply) -> Marks:
    """Return the judge's comparison with the reference answer, as one mark."""
    read = _read(_Equivalence, reply, verdict=True)
    return Marks(marks=[read.correct], why=read.why)


def parse_study(reply: ModelReply) -> tuple[LessonReply, ...]:
    """Return the notes of the study role, at most five. What they say is not judged here.

    Raises:
        ReplyFault: It cannot be read.
    """
    return tuple(_read(_StudyReply, reply).learnings)


def parse_answer(reply: ModelReply, *, value: bool) -> SolverAnswer:
    """Return a solver's answer with its flags. Never raises: an unusable answer is flagged, and is not difficulty.

    Args:
        reply: What came back.
        value: True when a JSON object `{"answer": ...}` was asked for, False when the whole text is the answer.
    """
    flags = set(_finish_flags(reply.finish_reason))
    try:
        text = _without_thinking(reply.text).strip() if len(reply.text) <= MAX_REPLY_CHARS else ""
        if len(reply.text) > MAX_REPLY_CHARS:
            flags.add("truncated")
        if not text or not (value or any(c.isalnum() for c in text)):
            flags.add("empty")
        elif is_refusal(text):
            flags.add("refusal")
        elif value:
            text = _validate(_ValueReply, parse_object(reply.text)).answer.strip()
            if not any(c.isalnum() for c in text):
                flags.add("empty")
            elif is_refusal(text):
                flags.add("refusal")
        _check_text(text)
    except ReplyFault:
        return SolverAnswer(None, tuple(sorted(flags | {"unreadable"})))
    return SolverAnswer(None if flags else text, tuple(sorted(flags)))


def _finish_flags(reason: FinishReason) -> tuple[str, ...]:
    return {"length": ("truncated",), "content_filter": ("refusal",)}.get(reason, ())


@cache
def reply_schema(name: str) -> dict[str, Any]:
    """Return the JSON schema of a reply, for prompts and for models that can be held to one. Not to be changed.

    Args:
        name: `candidate_rubric`, `candidate_check`, `quality`, `critic`, `marks`, `equivalence`, `study` or `value`.
    """
    kinds: dict[str, type[_Strict]] = {
        "candidate_rubric": _RubricCandidateReply,
        "candidate_check": _CheckedCandidateReply,
        "quality": QualityVerdict,
        "critic": CriticVerdict,
        "marks": Marks,
        "equivalence": _Equivalence,
        "study": _StudyReply,
        "value": _ValueReply,
    }
    return _plain_schema(kinds[name].model_json_schema())


def _plain_schema(schema: dict[str, Any]) -> dict[str, Any]:
    """Inline definitions and drop titles and descriptions, which say nothing to a grammar and cost tokens."""
    definitions = schema.pop("$defs", {})

    def plain(node: Any) -> Any:
        if isinstance(node, list):
            return [plain(inner) for inner in node]
        if not isinstance(node, dict):
            return node
        if "$ref" in node:
            return plain(definitions[node["$ref"].rsplit("/", 1)[-1]])
        kept = {}
        for key, inner in node.items():
            if key == "properties":
                kept[key] = {name: plain(value) for name, value in inner.items()}
            elif key not in ("title", "description", "default"):
                kept[key] = plain(inner)
        return kept

    made: dict[str, Any] = plain(schema)
    return made
