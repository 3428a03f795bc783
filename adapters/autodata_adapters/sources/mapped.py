"""Rows of any JSON-lines data set, read by a mapping of fields. A line that cannot be read is a row with its fault, never lost.

What is wrong with a row that can be read is for the gates to say.
"""

from __future__ import annotations

import difflib
import json
import math
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from autodata_core.audit import AuditRow
from autodata_core.errors import RecordError, SourceError, shorten
from autodata_core.records import Candidate, Source

__all__ = ["FIELDS", "FORMS", "MappedRows", "SourceIndex", "parse_mapping", "read_objects", "read_rows"]

FIELDS = (
    "id",
    "question",
    "reference_answer",
    "context",
    "source_text",
    "source_id",
    "question_type",
    "skills",
    "rubric",
    "check",
    "quote",
    "domain",
)
"""What a row of ours holds; the left side of a mapping."""

MOST_LINE_BYTES = 16 * 1024 * 1024
"""A longer line is no row of a data set for people to read."""

_OWN = {name: name for name in FIELDS} | {"source_id": "source.id"}


@dataclass(frozen=True)
class Form:
    """A common shape of rows: which keys show it, and where the fields are."""

    name: str
    keys: tuple[str, ...]
    """Paths that a row of this form has."""
    paths: Mapping[str, str]


FORMS: tuple[Form, ...] = (
    Form("autodata", ("question", "reference_answer"), _OWN),
    Form("messages", ("messages",), {**_OWN, "question": "", "reference_answer": "", "context": ""}),
    Form(
        "squad",
        ("question", "answers.text"),
        {**_OWN, "reference_answer": "answers.text", "context": "", "source_text": "context"},
    ),
    Form("question/answer", ("question", "answer"), {**_OWN, "reference_answer": "answer"}),
    Form("question/output", ("question", "output"), {**_OWN, "reference_answer": "output"}),
    Form(
        "instruction/input/output",
        ("instruction", "output"),
        {**_OWN, "question": "instruction", "reference_answer": "output", "context": "input"},
    ),
    Form(
        "prompt/completion", ("prompt", "completion"), {**_OWN, "question": "prompt", "reference_answer": "completion"}
    ),
    Form("prompt/response", ("prompt", "response"), {**_OWN, "question": "prompt", "reference_answer": "response"}),
)
"""The first whose keys a row has. Where a mapping names a field, the mapping decides."""


@dataclass(frozen=True)
class MappedRows:
    """A data set as it was read."""

    rows: tuple[AuditRow, ...]
    """One for each line that is not blank, in file order."""
    forms: Mapping[str, int]
    """Rows by the form they were read as."""
    blank: int = 0
    """Lines without anything on them."""
    repeated_ids: tuple[str, ...] = ()
    """Ids that stand for several rows."""


@dataclass(frozen=True)
class SourceIndex:
    """Sources by id, by hash, and by the end of their path."""

    sources: Sequence[Source] = ()
    _by_name: dict[str, Source] = field(default_factory=dict)
    _by_end: dict[str, list[Source]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for source in self.sources:
            self._by_name.setdefault(source.id, source)
            self._by_name.setdefault(source.sha256, source)
            parts = source.id.split("/")
            for n in range(1, len(parts)):
                self._by_end.setdefault("/".join(parts[n:]), []).append(source)

    def find(self, id: str, sha256: str | None = None) -> Source | None:
        """Return the source that a row names: by hash where the row has one, else by id or the unique end of a path."""
        if sha256 is not None:
            return self._by_name.get(sha256)
        ends = self._by_end.get(id, ())
        return self._by_name.get(id) or (ends[0] if len(ends) == 1 else None)


def parse_mapping(pairs: Sequence[str]) -> dict[str, str]:
    """Return `FIELD=PATH` pairs as a mapping.

    Raises:
        RecordError: A pair has another form, or its field is not one of `FIELDS`.
    """
    found: dict[str, str] = {}
    for pair in pairs:
        name, equals, path = pair.partition("=")
        name, path = name.strip(), path.strip()
        if not equals or not path:
            raise RecordError(f"--map {shorten(pair, 80)}: expected FIELD=PATH, such as question=prompt.")
        if name not in FIELDS:
            near = difflib.get_close_matches(name, FIELDS, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise RecordError(f"--map: unknown field {shorten(name, 60)}.{hint} Known: {', '.join(FIELDS)}.")
        if name in found:
            raise RecordError(f"--map: the field {name!r} is mapped twice, to {found[name]!r} and {path!r}.")
        found[name] = path
    return found


def read_objects(path: Path, what: str) -> Iterator[tuple[int, dict[str, Any] | None, str]]:
    """Yield `(line, object, fault)` for every line of a JSON-lines file; a blank line has neither object nor fault.

    Lines end at LF bytes only. A byte order mark and CR before LF are passed over. Memory is bounded by the longest line.

    Raises:
        SourceError: The file cannot be read at all.
    """
    if path.is_dir():
        raise SourceError(f"{what} {str(path)!r} is a folder. Give a JSON-lines file, such as its dataset.jsonl.")
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # a named pipe would wait for ever
    except FileNotFoundError as error:
        raise SourceError(f"{what} {str(path)!r} does not exist.") from error
    except OSError as error:
        raise SourceError(f"{what} {str(path)!r} cannot be read: {error.strerror}.") from error
    with os.fdopen(handle, "rb") as file:
        number = 0
        while raw := file.readline(MOST_LINE_BYTES + 1):
            number += 1
            if len(raw) > MOST_LINE_BYTES:
                while raw and not raw.endswith(b"\n"):
                    raw = file.readline(MOST_LINE_BYTES + 1)
                yield number, None, f"the line has more than {MOST_LINE_BYTES:,} bytes"
                continue
            if number == 1:
                raw = raw.removeprefix(b"\xef\xbb\xbf")
            if not raw.strip():
                yield number, None, ""
                continue
            try:
                yield number, _parse(raw), ""
            except _LineFault as fault:
                yield number, None, str(fault)


def read_rows(path: Path, *, mapping: Mapping[str, str], sources: SourceIndex) -> MappedRows:
    """Return every row of a data set.

    Args:
        path: JSON lines.
        mapping: Field of ours to dotted path of theirs; what it does not name is found by the form of the row.
        sources: Texts that rows name by `source_id`. A text in the row itself comes first.

    Raises:
        SourceError: The file cannot be read, or has no line.
    """
    rows: list[AuditRow] = []
    forms: Counter[str] = Counter()
    blank = 0
    for number, found, fault in read_objects(path, "The data set"):
        if found is None and not fault:
            blank += 1
            continue
        if found is None:
            rows.append(AuditRow(number, f"line-{number}", None, fault=fault))
            forms["unreadable"] += 1
            continue
        row, form = _row(number, found, mapping, sources)
        rows.append(row)
        forms[form] += 1
    if not rows:
        raise SourceError(f"The data set {str(path)!r} has no rows. Give a JSON-lines file, one object a line.")
    ids = Counter(row.id for row in rows)
    return MappedRows(tuple(rows), dict(forms.most_common()), blank, tuple(id for id, n in ids.items() if n > 1))


# --- one line ---------------------------------------------------------------------------------------------------------


class _LineFault(Exception):
    """Why a line cannot be used."""


def _fault(message: str) -> NoReturn:
    raise _LineFault(message)


def _parse(raw: bytes) -> dict[str, Any]:
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        _fault(f"not UTF-8 text (byte {error.start} of the line)")
    try:
        value = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant, parse_float=_finite)
    except json.JSONDecodeError as error:
        _fault(f"not valid JSON: {error.msg.removesuffix(' at')} at character {error.pos + 1}")
    except RecursionError:
        _fault("not valid JSON: it is nested too deeply")
    except ValueError as error:
        _fault(f"not valid JSON: {shorten(str(error), 80)}")
    if not isinstance(value, dict):
        _fault(f"expected a JSON object, got {shorten(value, 60)}")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        twice = next(key for key, times in Counter(key for key, _ in pairs).items() if times > 1)
        _fault(f"not valid JSON: the key {shorten(twice, 60)} stands there twice")
    return made


def _no_constant(name: str) -> NoReturn:
    _fault(f"not valid JSON: {name} is not a number")


def _finite(text: str) -> float:
    if not math.isfinite(value := float(text)):
        _fault(f"not valid JSON: the number {shorten(text, 40)} is too large")
    return value


def _row(number: int, found: dict[str, Any], mapping: Mapping[str, str], sources: SourceIndex) -> tuple[AuditRow, str]:
    """Return the row and the name of the form it was read as."""
    fallback = f"line-{number}"
    form = next((f for f in FORMS if all(_at(found, key) is not None for key in f.keys)), None)
    name = "mapping" if mapping else (form.name if form else "unknown")
    paths = {**(form.paths if form else _OWN), **mapping}
    try:
        values = {key: _at(found, path) if path else None for key, path in paths.items()}
        if form is not None and form.name == "messages":
            values |= {k: v for k, v in _conversation(found["messages"]).items() if values[k] is None}
        id = _id(values["id"]) or fallback
    except _LineFault as fault:
        return AuditRow(number, fallback, None, fault=str(fault)), name
    try:
        for value in values.values():
            _check_text(value)
        candidate = _candidate(values, found if form is None and not mapping else None)
        source, why = _source(values, found, sources)
    except _LineFault as fault:
        return AuditRow(number, id, None, fault=str(fault)), name
    domain = values["domain"] if isinstance(values["domain"], str) else ""
    return AuditRow(number, id, candidate, source, no_source=why, domain=domain), name


def _at(value: Any, path: str) -> Any:
    """Return what stands at a dotted path, None when nothing does. A key with dots in it is tried first."""
    if isinstance(value, dict) and path in value:
        return value[path]
    here = value
    for part in path.split("."):
        if isinstance(here, dict):
            here = here.get(part)
        elif isinstance(here, list) and part.lstrip("-").isdecimal() and -len(here) <= int(part) < len(here):
            here = here[int(part)]
        else:
            return None
    return here


def _id(value: Any) -> str:
    if value is None or value == "":
        return ""
    if isinstance(value, bool) or not isinstance(value, str | int):
        _fault(f"'id' is a text or a whole number, got {shorten(value, 60)}")
    _check_text(value)
    return str(value)[:200]


def _check_text(value: Any) -> None:
    """Refuse NUL and half characters, which no trainer, store or provider takes."""
    if isinstance(value, str):
        if "\0" in value:
            _fault("it holds a NUL character")
        if not value.isascii():
            try:
                value.encode("utf-8")
            except UnicodeEncodeError:
                _fault("it holds half of a surrogate pair, which is not a character")
    elif isinstance(value, dict):
        for key, inner in value.items():
            _check_text(key)
            _check_text(inner)
    elif isinstance(value, list):
        for inner in value:
            _check_text(inner)


def _candidate(values: Mapping[str, Any], unknown: Mapping[str, Any] | None) -> Candidate:
    """Return the row as a candidate; `unknown` is the whole row where its form is not known."""
    question, answer = (
        _text(values["question"], "question"),
        _text(_first(values["reference_answer"]), "reference_answer"),
    )
    if not question.strip() or not answer.strip():
        missing = "question" if not question.strip() else "reference_answer"
        has = f"; the row has the keys {', '.join(map(repr, list(unknown)[:8]))}" if unknown else ""
        _fault(f"there is no {missing}{has}. Map it: --map {missing}=PATH")
    made = {
        "question_type": _text(values["question_type"], "question_type").strip()[:100] or "any",
        "skills": values["skills"] if values["skills"] is not None else [],
        "context": _text(values["context"], "context"),
        "question": question.strip(),
        "reference_answer": answer.strip(),
        "rubric": values["rubric"],
        "check": values["check"],
        "quote": _text(values["quote"], "quote") or None,
    }
    try:
        return Candidate.from_json(made)
    except RecordError as error:
        _fault(str(error).removeprefix("Candidate cannot be read: "))


def _text(value: Any, name: str) -> str:
    """Return a text; a number or yes-no value is written as JSON writes it."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, bool | int | float):
        return json.dumps(value)
    _fault(f"{name!r} is a text, got {shorten(value, 60)}")


def _first(value: Any) -> Any:
    """Return the first of several accepted answers."""
    return value[0] if isinstance(value, list) and value else value


def _source(values: Mapping[str, Any], found: Mapping[str, Any], sources: SourceIndex) -> tuple[Source | None, str]:
    """Return the row's source, or why there is none."""
    text, name = _text(values["source_text"], "source_text"), _text(values["source_id"], "source_id")
    if text.strip():
        return Source.create(text, id=name[:200]), ""
    if values["source_text"] is not None and not name:
        _fault("the source in the row has no text, so nothing can be grounded in it")
    if not name:
        return None, "the row names no source"
    sha256 = _at(found, "source.sha256")
    source = sources.find(name, sha256 if isinstance(sha256, str) else None)
    if source is None:
        return None, "the source it names is not among those given" if sources.sources else "no sources were given"
    return source, ""


def _conversation(messages: Any) -> dict[str, Any]:
    """Return the last question and answer of a conversation; what was said before is context."""
    if not isinstance(messages, list) or not messages:
        _fault("'messages' is a list of {role, content}")
    turns = []
    for message in messages:
        if not isinstance(message, dict) or not isinstance(message.get("role"), str):
            _fault(f"a message is {{role, content}}, got {shorten(message, 60)}")
        turns.append((message["role"], _content(message.get("content"))))
    if turns[-1][0] != "assistant":
        _fault(f"the last message is by {shorten(turns[-1][0], 40)}, not by the assistant")
    asked = max((n for n, (role, _) in enumerate(turns) if role == "user"), default=None)
    if asked is None:
        _fault("no message is by the user")
    context = "\n\n".join(text for n, (_, text) in enumerate(turns[:-1]) if n != asked and text.strip())
    return {"question": turns[asked][1], "reference_answer": turns[-1][1], "context": context}


def _content(value: Any) -> str:
    """Return the text of a message, given as text or as parts."""
    if isinstance(value, list):
        parts = [part.get("text") for part in value if isinstance(part, dict) and part.get("type") == "text"]
        if len(parts) != len(value) or not all(isinstance(part, str) for part in parts):
            _fault("a message holds parts that are no text")
        return "\n".join(str(part) for part in parts)
    return _text(value, "content")
