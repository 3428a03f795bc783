"""JSON documents: what fits passes, nothing is fetched, and hostile schemas and documents end in bounded time."""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

pytest.importorskip("jsonschema")
pytest.importorskip("re2")

from autodata_adapters.verifiers.json_schema import create
from autodata_core.records import Check
from autodata_core.verify import control

SCHEMA = create()

YEAR: dict[str, Any] = {
    "type": "object",
    "properties": {
        "year": {"const": 1969},
        "tags": {"type": "array", "items": {"enum": ["a", "b"]}, "uniqueItems": True},
    },
    "required": ["year"],
    "additionalProperties": False,
}
TREE: dict[str, Any] = {
    "$ref": "#/$defs/node",
    "$defs": {
        "node": {
            "type": "object",
            "properties": {"v": {"type": "integer"}, "kids": {"type": "array", "items": {"$ref": "#/$defs/node"}}},
            "required": ["v"],
            "additionalProperties": False,
        }
    },
}


def fits(schema: Any) -> Check:
    return Check(kind="json_schema", spec={"schema": schema})


@pytest.mark.parametrize(
    ("schema", "answer"),
    [
        (YEAR, '{"year": 1969}'),
        (YEAR, '{"year": 1969.0}'),
        (YEAR, ' \n{"year": 1969, "tags": ["a", "b"]}\n'),
        (YEAR, '```json\n{"year": 1969}\n```'),
        (YEAR, '```\n{"year": 1969}\n```'),
        (TREE, '{"v": 1, "kids": [{"v": 2}, {"v": 3, "kids": [{"v": 4}]}]}'),
        ({"const": 5}, "5"),
        ({"const": "five"}, '"five"'),
        ({"enum": [None, True]}, "null"),
        ({"type": "array", "items": {"type": "integer"}, "minItems": 2}, "[1, 2]"),
        ({"type": "number", "multipleOf": 0.01}, "19.99"),
        ({"type": "string", "pattern": "^[a-z]+$"}, '"abc"'),
        ({"patternProperties": {"^x": {"type": "integer"}}, "additionalProperties": False}, '{"x1": 1}'),
        ({"type": "string", "maxLength": 3}, '"äöü"'),
        ({"oneOf": [{"const": 1}, {"const": 2}]}, "2"),
        ({"if": {"required": ["a"]}, "then": {"required": ["b"]}}, '{"a": 1, "b": 2}'),
        ({"$schema": "https://json-schema.org/draft/2020-12/schema", "const": 5}, "5"),
    ],
)
def test_a_document_that_fits_passes(schema: dict[str, Any], answer: str) -> None:
    found = SCHEMA.verify(fits(schema), answer)
    assert (found.outcome, found.evidence) == ("pass", found.evidence)


@pytest.mark.parametrize(
    ("schema", "answer", "why"),
    [
        (YEAR, '{"year": 1968}', "/year"),
        (YEAR, '{"year": true}', "/year"),
        (YEAR, '{"year": "1969"}', "/year"),
        (YEAR, '{"year": 1969, "x": 1}', "'x' is not allowed"),
        (YEAR, '{"year": 1969, "tags": ["a", "a"]}', "twice"),
        (YEAR, "{}", "required"),
        (YEAR, "[1969]", "/"),
        (YEAR, '{"year": 1969, "year": 1969}', "stands twice"),
        (YEAR, '{"year": NaN}', "NaN"),
        (YEAR, '{"year": Infinity}', "Infinity"),
        (YEAR, '{"year": 1e999}', "too large"),
        (YEAR, '{"year": 1969} {"year": 1969}', "not one JSON document"),
        (YEAR, 'Here it is: {"year": 1969}', "not one JSON document"),
        (YEAR, '{"year": 1969}, "x": 1', "not one JSON document"),
        (YEAR, '{"year": 1969} }', "not one JSON document"),
        (YEAR, '{"year": 1969', "not one JSON document"),
        (YEAR, "{'year': 1969}", "not one JSON document"),
        (YEAR, "", "not one JSON document"),
        (YEAR, '{"year": "\\ud800"}', "surrogate"),
        (YEAR, '{"year": "\\u0000"}', "NUL"),
        (YEAR, '{"year": 1969}\0', "not one JSON document"),
        (YEAR, '{"year": ' + "9" * 5_000 + "}", "not one JSON document"),
        (YEAR, "[" * 9_000 + "]" * 9_000, ""),
        (YEAR, '{"a":' * 3_000 + "1" + "}" * 3_000, ""),
        (YEAR, '{"year": 1969' + " " * 20_000 + "}", "longer than"),
        ({"const": 1}, "true", "is not"),
        ({"const": True}, "1", "is not"),
        ({"enum": [[1]]}, "[true]", "is none of"),
        ({"type": "number", "multipleOf": 0.01}, "19.995", "multiple"),
        ({"type": "array", "uniqueItems": True}, "[1, 1.0]", "twice"),
        ({"type": "string", "pattern": "^[a-z]+$"}, '"abc1"', "does not match"),
        ({"patternProperties": {"^x": {"type": "integer"}}, "additionalProperties": False}, '{"x1": 1, "y": 1}', "'y'"),
        ({"patternProperties": {"^x": {"type": "integer"}}}, '{"x1": "1"}', "/x1"),
        ({"if": {"required": ["a"]}, "then": {"required": ["b"]}}, '{"a": 1}', "'b'"),
    ],
)
def test_a_document_that_does_not_fit_fails_and_the_evidence_says_where(
    schema: dict[str, Any], answer: str, why: str
) -> None:
    found = SCHEMA.verify(fits(schema), answer)
    assert found.outcome == "fail"
    assert why in found.evidence
    assert len(found.evidence) < 300


def test_equal_lists_are_unique_only_as_json_says() -> None:
    check = fits({"type": "array", "uniqueItems": True})
    assert SCHEMA.verify(check, "[1, true, [1], [true], {}, []]").outcome == "pass"


@pytest.mark.parametrize(
    "schema",
    [
        {},
        [],
        None,
        "object",
        {"type": "thing"},
        {"type": 5},
        {"required": "a"},
        {"multipleOf": 0},
        {"$ref": "#/properties/a"},
        {"$ref": "#/$defs/a"},
        {"$ref": "#/$defs/a/b", "$defs": {"a": {}}},
        {"$ref": "#/$defs/../a", "$defs": {"a": {}}},
        {"$ref": 5},
        {"$ref": ""},
        {"$ref": "other.json"},
        {"$ref": "file:///etc/passwd"},
        {"$ref": "https://json-schema.org/draft/2020-12/schema"},
        {"properties": {"a": {"items": {"$ref": "http://127.0.0.1:9/a"}}}},
        {"const": {"$ref": "http://127.0.0.1:9/a"}},
        {"$dynamicRef": "#meta"},
        {"$recursiveRef": "#"},
        {"$id": "http://127.0.0.1:9/", "const": 1},
        {"properties": {"a": {"$id": "http://127.0.0.1:9/"}}},
        {"$anchor": "a"},
        {"$schema": "http://127.0.0.1:9/schema"},
        {"$schema": 5},
        {"unevaluatedProperties": False},
        {"pattern": "(?=a)a"},
        {"pattern": r"(a)\1"},
        {"pattern": "("},
        {"patternProperties": {"(?!a)": True}},
        {"allOf": [{"pattern": f"a{n}"} for n in range(11)]},
        {"pattern": "a" * 501},
        {"enum": ["x" * 8_001]},
        {"enum": list(range(401))},
        {"const": 10**18},
        {"const": float("nan")},
        {"const": float("inf")},
        json.loads('{"not":' * 25 + "{}" + "}" * 25),
        json.loads('{"not":' * 700 + "{}" + "}" * 700),
    ],
)
def test_a_schema_that_is_not_taken_is_an_error_and_not_a_verdict(schema: Any) -> None:
    check = fits(schema)
    why = SCHEMA.check_spec(check)
    assert why
    assert len(why) < 300
    assert SCHEMA.verify(check, "5").outcome == "error"
    assert SCHEMA.known_wrong(check, "5")


def test_a_check_has_a_schema_and_nothing_else() -> None:
    assert SCHEMA.check_spec(Check(kind="json_schema", spec={})) is not None
    assert SCHEMA.check_spec(Check(kind="json_schema", spec={"schema": YEAR, "draft": 7})) is not None


def test_a_schema_that_refers_to_itself_without_end_cannot_tell() -> None:
    for schema in (
        {"$ref": "#"},
        {"anyOf": [{"$ref": "#"}]},
        {"not": {"$ref": "#"}},
        {"allOf": [{"allOf": [{"$ref": "#"}]}]},
    ):
        found = SCHEMA.verify(fits(schema), "5")
        assert found.outcome == "error"
        assert "without end" in found.evidence


@pytest.mark.parametrize(("levels", "outcome"), [(60, "pass"), (99, "pass"), (100, "error")])
def test_references_nest_up_to_a_bound(levels: int, outcome: str) -> None:
    made: dict[str, Any] = {f"d{n}": {"$ref": f"#/$defs/d{n + 1}"} for n in range(levels - 1)}
    schema = {"$ref": "#/$defs/d0", "$defs": {**made, f"d{levels - 1}": {"const": 5}}}
    assert SCHEMA.verify(fits(schema), "5").outcome == outcome


def test_nothing_is_ever_fetched() -> None:
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b'{"const": 5}')

        def log_message(self, *args: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        url = f"http://127.0.0.1:{server.server_address[1]}"
        import urllib.request

        urllib.request.urlopen(f"{url}/alive").read()  # the server would notice
        assert asked == ["/alive"]
        for schema in (
            {"$ref": f"{url}/a"},
            {"$schema": f"{url}/a", "const": 5},
            {"$id": f"{url}/", "$ref": "a"},
            {"$id": f"{url}/", "$ref": "#/$defs/a", "$defs": {"a": {"$ref": "b"}}},
            {"$dynamicRef": f"{url}/a"},
            {"$recursiveRef": f"{url}/a"},
            {"properties": {"a": {"$ref": f"{url}/a"}}},
            {"$vocabulary": {f"{url}/a": True}},
            {"format": "uri", "default": f"{url}/a", "type": "string", "contentMediaType": f"{url}/a"},
        ):
            for answer in ("5", f'"{url}/a"', '{"a": 1}'):
                assert SCHEMA.verify(fits(schema), answer).outcome != "pass" or "format" in schema
        assert asked == ["/alive"]
    finally:
        server.shutdown()
        server.server_close()


def _doubling(keyword: str) -> dict[str, Any]:
    made: dict[str, Any] = {f"d{n}": {keyword: [{"$ref": f"#/$defs/d{n + 1}"}] * 2} for n in range(40)}
    return {"$ref": "#/$defs/d0", "$defs": {**made, "d40": {"type": "string"}}}


@pytest.mark.parametrize(
    ("schema", "answer"),
    [
        ({"$ref": "#"}, "5"),
        ({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a"}}}, "5"),
        ({"anyOf": [{"$ref": "#"}, {"$ref": "#"}]}, "5"),
        ({"not": {"$ref": "#"}}, "5"),
        (_doubling("anyOf"), "5"),
        (_doubling("allOf"), '"x"'),
        (_doubling("oneOf"), "5"),
        ({"type": "string", "pattern": "^(a|a)*$"}, '"' + "a" * 19_000 + '!"'),
        ({"type": "string", "pattern": "^(?:(?:a|aa)+)$"}, '"' + "a" * 19_000 + '!"'),
        ({"patternProperties": {"(x+x+)+y": {"type": "integer"}}, "minProperties": 2}, '{"' + "x" * 9_000 + '": 1}'),
        ({"type": "array", "items": {"enum": list(range(350))}}, json.dumps([-1] * 6_000)),
        ({"type": "array", "items": {"oneOf": [{"const": n} for n in range(150)]}}, json.dumps(list(range(90)) * 50)),
        ({"type": "array", "contains": {"type": "string"}}, json.dumps([5] * 6_000)),
        ({"type": "array", "uniqueItems": True}, json.dumps([*range(2_000), 1])),
        ({"type": "array", "uniqueItems": True}, json.dumps([*[{"a": n} for n in range(1_400)], {"a": 1}])),
        ({"items": {"items": {"items": {"type": "string"}}}}, json.dumps([[[1] * 15] * 15] * 15)),
        ({"additionalProperties": {"type": "integer"}}, json.dumps({f"k{n}": "x" for n in range(1_000)})),
        ({"multipleOf": 1e-300}, "0.5e-300"),
        ({"multipleOf": 5e-324, "maximum": 1}, "1e308"),
    ],
)
def test_hostile_schemas_and_documents_end_in_bounded_time_without_a_pass(schema: dict[str, Any], answer: str) -> None:
    before = time.process_time()
    found = SCHEMA.verify(fits(schema), answer)
    assert found.outcome in ("fail", "error")
    assert len(found.evidence) < 300
    assert time.process_time() - before < 2


def test_honest_work_stays_within_the_budget() -> None:
    assert (
        SCHEMA.verify(fits({"type": "array", "items": {"type": "integer"}}), json.dumps([5] * 6_000)).outcome == "pass"
    )
    long = json.dumps([{"v": n, "kids": [{"v": n}]} for n in range(300)])
    assert SCHEMA.verify(fits({"type": "array", "items": {"$ref": "#/$defs/node"}, **TREE, "$ref": "#/$defs/all",
                               "$defs": {**TREE["$defs"], "all": {"minItems": 1}}}), long).outcome == "pass"  # fmt: skip


@pytest.mark.parametrize(
    ("schema", "reference"),
    [
        (YEAR, '{"year": 1969}'),
        ({"const": 5}, "5"),
        ({"const": {}}, "{}"),
        ({"enum": [None]}, "null"),
        ({"const": True}, "true"),
        ({"const": 0}, "0"),
        (TREE, '{"v": 1, "kids": [{"v": 2}]}'),
        ({"type": "array", "items": {"type": "integer"}, "minItems": 1}, "[1, 2]"),
    ],
)
def test_the_controls_of_a_schema_that_says_something_come_out_right(schema: dict[str, Any], reference: str) -> None:
    found = control(SCHEMA, fits(schema), reference)
    assert (found.fault, found.evidence) == ("", found.evidence)
    assert found.controls >= 5


@pytest.mark.parametrize(
    ("schema", "reference"),
    [
        ({"title": "anything"}, "5"),
        ({"type": "object"}, '{"a": 1}'),
        ({"type": "string"}, '"x"'),
        ({"type": "integer"}, "7"),
        ({"type": "array"}, "[1]"),
        ({"type": ["array", "null"]}, "null"),
        ({"properties": {"a": {"const": 1}}}, '{"a": 1}'),
        ({"type": "object", "required": ["a"]}, '{"a": 1}'),
        ({"anyOf": [{"const": 1}, {"type": "string"}]}, "1"),
        ({"$defs": {"a": {"const": 1}}}, "1"),
    ],
)
def test_a_schema_that_takes_anything_of_a_type_is_vacuous(schema: dict[str, Any], reference: str) -> None:
    assert control(SCHEMA, fits(schema), reference).fault == "vacuous"


def test_a_reference_that_does_not_fit_is_refused_by_the_controls() -> None:
    assert control(SCHEMA, fits(YEAR), '{"year": 1968}').fault == "reference"
    assert control(SCHEMA, fits(YEAR), "1969").fault == "reference"
    assert control(SCHEMA, fits({"$ref": "#"}), "5").fault == "error"


def test_many_threads_have_a_budget_each() -> None:
    outcomes: list[str] = []

    def ask() -> None:
        outcomes.append(
            SCHEMA.verify(fits({"type": "array", "items": {"type": "integer"}}), json.dumps([5] * 5_000)).outcome
        )

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes == ["pass"] * 8


def test_it_says_which_library_validates() -> None:
    assert SCHEMA.version.startswith("json_schema/1 jsonschema/")
