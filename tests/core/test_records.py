"""The values: frozen, strict, plain JSON, and nothing revives what only looks like an object."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from autodata_core.errors import RecordError, SourceError, shorten
from autodata_core.item import ItemState
from autodata_core.records import (
    Attempt,
    Candidate,
    Check,
    Criterion,
    Example,
    ModelIdentity,
    Source,
    Usage,
    canonical_json,
    fingerprint,
)

TRAP = {"lc": 1, "type": "secret", "id": ["OPENAI_API_KEY"]}
CONSTRUCTOR = {"lc": 1, "type": "constructor", "id": ["os", "system"], "kwargs": {"command": "id"}}


@pytest.mark.parametrize("trap", [TRAP, CONSTRUCTOR, {"__reduce__": "x"}, {"$ref": "http://x"}, {"!!python/object": 1}])
def test_what_looks_like_an_object_comes_back_as_the_same_dict(trap: dict[str, Any]) -> None:
    source = Source.create("text", meta={"found": trap, "list": [trap]})
    check = Check(kind="judge", spec={"found": trap})
    identity = ModelIdentity(name="m", params=trap)
    for record in (source, check, identity):
        again = type(record).from_json(json.loads(json.dumps(record.to_json())))
        assert again == record
        assert again.to_json() == record.to_json()
    assert source.to_json()["meta"]["found"] == trap
    assert type(source.to_json()["meta"]["found"]) is dict


@pytest.mark.parametrize(
    "record", [Criterion, Candidate, Attempt, Check, Usage, Source, Example, ItemState, ModelIdentity]
)
def test_an_unknown_key_is_refused_in_one_line(record: Any) -> None:
    with pytest.raises(RecordError) as caught:
        record.from_json({"no_such_key": 1})
    assert "\n" not in str(caught.value)
    assert record.__name__ in str(caught.value)


@pytest.mark.parametrize(
    ("record", "value"),
    [
        (Criterion, {"criterion": "x", "weight": "3"}),
        (Criterion, {"criterion": "x", "weight": 3.0}),
        (Criterion, {"criterion": "x", "weight": True}),
        (Criterion, {"criterion": "x", "weight": 101}),
        (Criterion, {"criterion": "", "weight": 3}),
        (Criterion, {"criterion": 3, "weight": 3}),
        (Criterion, {"criterion": "x", "weight": 3, "why": ""}),
        (Attempt, {"index": -1}),
        (Attempt, {"index": 0, "outcome": "won"}),
        (Attempt, {"index": 0, "marks": [1, 0]}),
        (Attempt, {"index": 0, "marks": ["true"]}),
        (Usage, {"calls": -1}),
        (Usage, {"calls": 1.0}),
        (Usage, {"cost_usd": float("nan")}),
        (Usage, {"cost_usd": float("inf")}),
        (Usage, {"cost_usd": -0.1}),
        (Usage, {"input_tokens": 10**16}),
        (Source, {"id": "a", "text": "x", "sha256": "short"}),
        (Candidate, None),
        (Candidate, []),
        (Candidate, "text"),
    ],
)
def test_a_value_of_another_form_is_a_record_error(record: Any, value: Any) -> None:
    with pytest.raises(RecordError) as caught:
        record.from_json(value)
    assert "\n" not in str(caught.value)


def test_records_are_frozen() -> None:
    line = Criterion(criterion="x", weight=3)
    with pytest.raises(ValidationError):
        line.weight = 4  # type: ignore[misc]


def test_one_value_has_one_text_and_one_fingerprint() -> None:
    assert canonical_json({"b": 1, "a": "é"}) == '{"a":"\\u00e9","b":1}'
    assert fingerprint({"a": 1, "b": [2]}) == fingerprint({"b": [2], "a": 1})
    assert fingerprint([1, 2]) != fingerprint([2, 1])
    assert fingerprint("1") != fingerprint(1)
    assert fingerprint("\ud800") != fingerprint("\ud801")
    for bad in (float("nan"), float("inf")):
        with pytest.raises(ValueError, match="JSON"):
            canonical_json({"x": bad})


def test_usage_adds_up() -> None:
    one = Usage(calls=1, input_tokens=2, output_tokens=3, cost_usd=0.25)
    both = one.plus(Usage(calls=1, estimated=True))
    assert both == Usage(calls=2, input_tokens=2, output_tokens=3, cost_usd=0.25, estimated=True)
    assert one.plus(Usage()) == one


# --- sources ----------------------------------------------------------------------------------------------------------


def test_a_source_is_taken_from_what_a_user_has() -> None:
    made = Source.create("text", id="a.md", licence="CC0-1.0", meta={"line": 3})
    assert Source.from_input(made) is made
    assert Source.from_input(made.to_json()) == made
    assert Source.from_input("text").text == "text"
    assert Source.from_input({"text": "text"}).id.startswith("source-")
    assert Source.from_input({"text": "text", "meta": None, "id": None}).meta == {}


@pytest.mark.parametrize(
    "value",
    [
        "",
        "  \n",
        None,
        5,
        [],
        {},
        {"text": ""},
        {"text": 5},
        {"text": "x", "id": 5},
        {"text": "x", "id": "a" * 201},
        {"text": "x", "licence": 5},
        {"text": "x", "meta": "x"},
        {"text": "x", "meta": ["x"]},
        {"text": "x", "sha256": "0" * 64},
        {"text": "x", "title": "x"},
    ],
)
def test_what_is_no_source_is_a_source_error_in_one_line(value: Any) -> None:
    with pytest.raises(SourceError) as caught:
        Source.from_input(value)
    assert "\n" not in str(caught.value)


def test_half_characters_in_a_source_are_replaced_so_that_it_can_be_stored() -> None:
    made = Source.create("a\ud800b")
    made.text.encode("utf-8")
    assert Source.from_json(made.to_json()) == made


def test_messages_show_a_little_of_what_came() -> None:
    assert shorten("x" * 500, 20) == "'" + "x" * 18 + "…"
    assert len(shorten(10**5000)) < 120
    assert shorten([1, 2]) == "[1, 2]"
