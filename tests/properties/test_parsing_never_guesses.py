"""On any text at all: an object that is one, or a fault. Never another exception, never a repaired value."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from autodata_core.parsing import ReplyFault, parse_answer, parse_marks, parse_object, parse_quality
from autodata_core.ports import ModelReply

PIECES = st.sampled_from(
    ['{"a": 1}', "{", "}", "[", "]", '"', ":", ",", "```", "```json\n", "\n```\n", "\n", "<think>", "</think>", "NaN",
     "1e999", "true", "\\", "\\u0000", "\\ud800", "\ufeff", "\0", '{"overall": true}', "null", "'", "//", " ", "é"]
)  # fmt: skip
SOUP = st.lists(PIECES, max_size=25).map("".join)
TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**16), 10**16)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)
OBJECT = st.dictionaries(TEXT, JSON, max_size=5)


def read(text: str) -> dict[str, Any] | None:
    try:
        return parse_object(text)
    except ReplyFault:
        return None


@settings(max_examples=400)
@given(st.one_of(st.text(max_size=200), SOUP, st.text(st.characters(categories=["Cs", "Cc", "Cf"]), max_size=20)))
def test_any_text_is_an_object_or_a_fault(text: str) -> None:
    found = read(text)
    if found is not None:
        again = json.dumps(found, allow_nan=False)
        assert parse_object(again) == found
        assert parse_object(json.dumps(found, ensure_ascii=False)) == found
        json.dumps(found, ensure_ascii=False).encode("utf-8")


@settings(max_examples=300)
@given(OBJECT, st.data())
def test_a_damaged_object_is_read_as_json_reads_it_or_not_at_all(value: dict[str, Any], data: st.DataObject) -> None:
    text = json.dumps(value, ensure_ascii=data.draw(st.booleans()))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(text)))
        cut = data.draw(st.integers(0, 3))
        text = text[:at] + data.draw(st.one_of(st.just(""), PIECES)) + text[at + cut :]
    found = read(text)
    if found is not None:
        assert parse_object(json.dumps(found)) == found


@given(
    OBJECT,
    st.sampled_from(["{}", "```json\n{}\n```", "Here it is: {}", "{}\n\nDone.", "<think>hm</think>{}", "\r\n{}\r\n"]),
)
def test_what_was_written_is_what_is_read(value: dict[str, Any], form: str) -> None:
    assert parse_object(form.replace("{}", json.dumps(value))) == value
    assert parse_object(form.replace("{}", json.dumps(value, indent=2, ensure_ascii=False))) == value


@given(OBJECT)
def test_no_beginning_of_an_object_is_one(value: dict[str, Any]) -> None:
    text = json.dumps(value)
    assert all(read(text[:end]) is None for end in range(len(text)))


@given(OBJECT, TEXT, JSON, JSON)
def test_a_key_that_stands_twice_is_never_read(value: dict[str, Any], key: str, one: Any, two: Any) -> None:
    double = f"{json.dumps(key)}: {json.dumps(one)}, {json.dumps(key)}: {json.dumps(two)}"
    for inner in (f"{{{double}}}", f'{{"in": [1, {{{double}}}]}}', f'{{"x": {{"y": {{{double}}}}}}}'):
        assert read(inner) is None


@given(st.one_of(st.text(st.characters(exclude_categories=["Cs"]), max_size=80), SOUP))
def test_every_role_s_parser_raises_faults_only(text: str) -> None:
    reply = ModelReply(text=text, finish_reason="stop")
    for parse in (parse_quality, lambda r: parse_marks(r, 2)):
        try:
            parse(reply)
        except ReplyFault:
            continue
    for value in (True, False):
        found = parse_answer(reply, value=value)
        assert (found.answer is None) is bool(found.flags)


@given(st.lists(st.booleans(), max_size=6), st.integers(0, 6))
def test_marks_are_taken_exactly_or_not_at_all(marks: list[bool], criteria: int) -> None:
    reply = ModelReply(text=json.dumps({"marks": marks}), finish_reason="stop")
    try:
        assert parse_marks(reply, criteria).marks == marks
        assert len(marks) == criteria
    except ReplyFault:
        assert len(marks) != criteria
