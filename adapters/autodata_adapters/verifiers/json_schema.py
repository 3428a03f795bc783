"""Answers that are one JSON document of a given shape. Needs `jsonschema`, and `google-re2` for patterns.

Schema and document are model text. So nothing is fetched, references stay within the schema, patterns go through RE2, and
every keyword that is applied costs from a budget: what is left of `jsonschema` is bounded in time.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from fractions import Fraction
from functools import cache, lru_cache
from importlib import import_module
from importlib.metadata import version
from typing import Any

from autodata_adapters.verifiers.pattern import PatternFault, compile_pattern
from autodata_core.errors import MissingExtraError, shorten
from autodata_core.parsing import ReplyFault, parse_object
from autodata_core.ports import VerifierReply
from autodata_core.records import Check, canonical_json

__all__ = ["JsonSchemaVerifier", "create"]

_SCHEMA_CHARS_MAX, _SCHEMA_NODES_MAX, _SCHEMA_DEPTH_MAX = 8_000, 400, 20
_DOCUMENT_MAX = 20_000
"""Characters of an answer."""
_PATTERNS_MAX = 10
_BUDGET = 20_000
"""Keywords applied to a value, plus a share for long values: about half a second."""

_NESTED_MAX = 100
"""Keywords within keywords. Far below Python's own limit, at which the library under `referencing` would crash."""

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_REFUSED = frozenset(
    (
        "$dynamicRef", "$dynamicAnchor", "$recursiveRef", "$recursiveAnchor", "$id", "$anchor", "$vocabulary",
        "unevaluatedItems", "unevaluatedProperties", "definitions", "dependencies",
    )
)  # fmt: skip
_REFERENCE = re.compile(r"#(?:/\$defs/([A-Za-z0-9_.-]{1,60}))?")
_FENCED = re.compile(r"\A```(?:json)?[ \t]*\n(.*)\n[ \t]*```\Z", re.DOTALL)


class _Refused(Exception):
    """A schema or document that is not taken. `str(refused)` says why."""


class _SpentError(Exception):
    """The budget of one verification is spent."""


class _EndlessError(Exception):
    """A schema applies itself to one value again and again."""


@dataclass(frozen=True)
class JsonSchemaVerifier:
    """`{"schema": {"type": "object", ...}}`: the answer is one JSON document, alone or in a fence, that fits the schema."""

    kind: str = "json_schema"
    version: str = "json_schema/1"
    form: str = (
        'spec {"schema": {"type": "object", "properties": {"year": {"const": 1969}}, "required": ["year"], '
        '"additionalProperties": false}}; JSON Schema 2020-12, references only to #/$defs/…, format '
        "is not checked; wrong values must not fit"
    )

    def check_spec(self, check: Check) -> str | None:
        unknown = sorted(set(check.spec) - {"schema"})
        if unknown:
            return f"a json_schema check has no {shorten(unknown[0], 40)}; it has schema"
        schema = check.spec.get("schema")
        if not isinstance(schema, dict) or not schema:
            return f"schema must be a JSON Schema as an object, got {shorten(schema, 40)}"
        try:
            _measure(schema)
            return _schema_fault(canonical_json(schema))
        except _Refused as refused:
            return str(refused)
        except (ValueError, TypeError, RecursionError) as error:  # NaN, a key that is no text
            return f"schema is not plain JSON: {shorten(str(error), 80)}"

    def verify(self, check: Check, answer: str, source: str = "") -> VerifierReply:
        fault = self.check_spec(check)
        if fault:
            return VerifierReply(outcome="error", evidence=fault)
        try:
            document = _read_document(answer)
        except _Refused as refused:
            return VerifierReply(outcome="fail", evidence=str(refused))
        token = _SPENDING.set(_Spending())
        try:
            error = next(_validator(check.spec["schema"]).iter_errors(document), None)
        except _SpentError:
            return VerifierReply(outcome="fail", evidence="too large to compare with this schema")
        except _EndlessError:
            return VerifierReply(outcome="error", evidence="the schema refers to itself without end")
        finally:
            _SPENDING.reset(token)
        if error is None:
            return VerifierReply(outcome="pass", evidence="fits the schema")
        where = "/".join(str(part) for part in error.absolute_path)
        return VerifierReply(outcome="fail", evidence=f"at {shorten('/' + where, 60)}: {shorten(error.message, 160)}")

    def known_wrong(self, check: Check, reference: str) -> Sequence[str]:
        wrong: list[Any] = [None, {}, [], 0, "", "This is correct, 10/10.", {"answer": "This is correct, 10/10."}]
        try:
            right = _read_document(reference)
        except _Refused:
            right = object()
        else:
            wrong += [[right], _otherwise(right)]
        written = [
            json.dumps(value) for value in wrong if value != right or isinstance(value, bool) != isinstance(right, bool)
        ]
        return ("This is correct, 10/10.", "", "{", *dict.fromkeys(written))


def create() -> JsonSchemaVerifier:
    """Return the verifier, named after the version of jsonschema that validates for it.

    Raises:
        MissingExtraError: A package is not installed.
    """
    for package in ("google-re2", "jsonschema"):
        try:
            found = version(package)
        except ImportError as error:
            raise MissingExtraError(package, "verify", "A check by JSON schema") from error
    return JsonSchemaVerifier(version=f"json_schema/1 jsonschema/{found}")


# --- what is taken ----------------------------------------------------------------------------------------------------


def _read_document(text: str) -> Any:
    """Return the one JSON value that `text` is.

    Raises:
        _Refused: It is none, or the core's reader of replies would not take it: a key twice, NaN, a number too large.
    """
    if len(text) > _DOCUMENT_MAX:
        raise _Refused(f"longer than {_DOCUMENT_MAX} characters")
    stripped = text.strip()
    fenced = _FENCED.match(stripped)
    body = fenced.group(1).strip() if fenced else stripped
    try:
        json.loads(body)  # one whole document, nothing around it
        return parse_object(f'{{"document": {body}}}')["document"]
    except ReplyFault as fault:
        raise _Refused(str(fault)) from fault
    except (ValueError, RecursionError) as error:
        raise _Refused(f"is not one JSON document: {shorten(str(error), 80)}") from error


def _measure(schema: dict[str, Any]) -> None:
    """Refuse a schema that is too large or too deep, without recursion."""
    nodes, todo = 0, [(schema, 0)]
    chars = 0
    while todo:
        value, depth = todo.pop()
        nodes += 1
        if nodes > _SCHEMA_NODES_MAX or depth > _SCHEMA_DEPTH_MAX or chars > _SCHEMA_CHARS_MAX:
            raise _Refused(
                f"schema is too large: at most {_SCHEMA_NODES_MAX} values, {_SCHEMA_CHARS_MAX} characters and "
                f"{_SCHEMA_DEPTH_MAX} levels are taken"
            )
        if isinstance(value, dict):
            chars += sum(len(str(key)) for key in value)
            todo += [(inner, depth + 1) for inner in value.values()]
        elif isinstance(value, list):
            todo += [(inner, depth + 1) for inner in value]
        elif isinstance(value, str):
            chars += len(value)
        elif isinstance(value, int) and abs(value) >= 10**18:
            raise _Refused("schema has a number that is too large")
    if chars > _SCHEMA_CHARS_MAX:
        raise _Refused(f"schema is too large: at most {_SCHEMA_CHARS_MAX} characters are taken")


@lru_cache(maxsize=64)
def _schema_fault(canonical: str) -> str | None:
    """Return why a schema is not taken, given as canonical JSON."""
    schema = json.loads(canonical)
    fault = next(_faults_within(schema, schema.get("$defs")), None)
    if fault:
        return fault
    jsonschema = import_module("jsonschema")
    try:
        no_formats = jsonschema.FormatChecker(formats=())  # "regex" would be tried with `re`
        jsonschema.Draft202012Validator.check_schema(schema, format_checker=no_formats)
    except jsonschema.SchemaError as error:
        where = "/".join(str(part) for part in error.absolute_path)
        return f"schema is no JSON Schema: at {shorten('/' + where, 60)}: {shorten(error.message, 120)}"
    return None


def _faults_within(schema: dict[str, Any], definitions: Any) -> Iterator[str]:
    """Yield what is refused anywhere in a schema, also where a keyword's name is only a property's: that costs little."""
    patterns: list[Any] = []
    todo: list[Any] = [schema]
    while todo:
        value = todo.pop()
        if isinstance(value, list):
            todo += value
        if not isinstance(value, dict):
            continue
        todo += value.values()
        for key in sorted(_REFUSED & set(value)):
            yield f"schema has {key}, which is not taken"
        if value.get("$schema", _DIALECT) != _DIALECT:
            yield f"$schema must be {_DIALECT}, got {shorten(value['$schema'], 80)}"
        if "$ref" in value:
            yield from _reference_faults(value["$ref"], definitions)
        patterns += [value["pattern"]] if isinstance(value.get("pattern"), str) else []
        patterns += value["patternProperties"] if isinstance(value.get("patternProperties"), dict) else []
    if len(patterns) > _PATTERNS_MAX:
        yield f"schema has {len(patterns)} patterns, at most {_PATTERNS_MAX} are taken"
    for pattern in patterns:
        try:
            compile_pattern(pattern)
        except PatternFault as fault:
            yield f"pattern {shorten(pattern, 80)}: {fault}"


def _reference_faults(reference: Any, definitions: Any) -> Iterator[str]:
    found = _REFERENCE.fullmatch(reference) if isinstance(reference, str) else None
    if found is None:
        yield f"$ref must be '#' or '#/$defs/<name>', got {shorten(reference, 80)}"
    elif found.group(1) and (not isinstance(definitions, dict) or found.group(1) not in definitions):
        yield f"$ref to {shorten(reference, 80)}, which is not in $defs"


def _otherwise(value: Any) -> Any:
    """Return a document of the same shape with every value of another type."""
    if isinstance(value, dict):
        return {key: _otherwise(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_otherwise(inner) for inner in value]
    return 4711 if isinstance(value, str) else "otherwise"


# --- validating within a budget ---------------------------------------------------------------------------------------


@dataclass
class _Spending:
    """What one verification has left, and how deep in keywords it is."""

    left: int = _BUDGET
    depth: int = 0


_SPENDING: ContextVar[_Spending] = ContextVar("spending")


def _spend(amount: int) -> None:
    spending = _SPENDING.get()
    spending.left -= amount
    if spending.left < 0:
        raise _SpentError


def _validator(schema: dict[str, Any]) -> Any:
    return _validator_class()(schema, registry=import_module("referencing").Registry(), format_checker=None)


@cache
def _validator_class() -> Any:
    """Return a validator whose keywords cost, whose patterns are RE2's, and that compares in linear time."""
    jsonschema = import_module("jsonschema")
    draft = jsonschema.Draft202012Validator
    keywords = {**draft.VALIDATORS, **_REPLACED}
    for name in ("$dynamicRef", "unevaluatedItems", "unevaluatedProperties"):
        keywords.pop(name, None)
    return jsonschema.validators.extend(draft, {name: _costing(keyword) for name, keyword in keywords.items()})


def _costing(keyword: Any) -> Any:
    def apply(validator: Any, value: Any, instance: Any, schema: Any) -> Iterator[Any]:
        _spend(1 + (len(instance) // 50 if isinstance(instance, str | list | dict) else 0))
        spending = _SPENDING.get()
        spending.depth += 1
        if spending.depth > _NESTED_MAX:
            raise _EndlessError
        try:
            yield from keyword(validator, value, instance, schema) or ()
        finally:
            spending.depth -= 1

    return apply


def _error(message: str) -> Any:
    return import_module("jsonschema").ValidationError(message)


def _matches(pattern: str, text: str) -> bool:
    _spend(1 + len(text) // 200)
    return compile_pattern(pattern).search(text) is not None


def _pattern(validator: Any, pattern: str, instance: Any, schema: Any) -> Iterator[Any]:
    if isinstance(instance, str) and not _matches(pattern, instance):
        yield _error(f"{shorten(instance, 60)} does not match {shorten(pattern, 60)}")


def _pattern_properties(validator: Any, patterns: Mapping[str, Any], instance: Any, schema: Any) -> Iterator[Any]:
    if isinstance(instance, dict):
        for pattern, inner in patterns.items():
            for key, value in instance.items():
                if _matches(pattern, key):
                    yield from validator.descend(value, inner, path=key, schema_path=pattern)


def _additional_properties(validator: Any, allowed: Any, instance: Any, schema: Any) -> Iterator[Any]:
    if not isinstance(instance, dict):
        return
    known, patterns = schema.get("properties", {}), schema.get("patternProperties", {})
    for key, value in instance.items():
        if key not in known and not any(_matches(pattern, key) for pattern in patterns):
            if allowed is False:
                yield _error(f"the property {shorten(key, 60)} is not allowed")
            else:
                yield from validator.descend(value, allowed, path=key)


def _unique_items(validator: Any, unique: Any, instance: Any, schema: Any) -> Iterator[Any]:
    if unique and isinstance(instance, list):
        _spend(sum(_size(item) for item in instance) // 10)
        if len({_comparable(item) for item in instance}) < len(instance):
            yield _error("an item stands twice in a list of unique items")


def _enum(validator: Any, values: Sequence[Any], instance: Any, schema: Any) -> Iterator[Any]:
    _spend((_size(values) + _size(instance)) // 10)
    wanted = _comparable(instance)
    if all(_comparable(value) != wanted for value in values):
        yield _error(f"{shorten(instance, 60)} is none of {shorten(values, 80)}")


def _const(validator: Any, value: Any, instance: Any, schema: Any) -> Iterator[Any]:
    _spend((_size(value) + _size(instance)) // 10)
    if _comparable(instance) != _comparable(value):
        yield _error(f"{shorten(instance, 60)} is not {shorten(value, 80)}")


def _multiple_of(validator: Any, divisor: float, instance: Any, schema: Any) -> Iterator[Any]:
    is_number = isinstance(instance, int | float) and not isinstance(instance, bool)
    if is_number and Fraction(str(instance)) % Fraction(str(divisor)):  # 19.99 is a multiple of 0.01, as written
        yield _error(f"{instance} is not a multiple of {divisor}")


_REPLACED = {
    "multipleOf": _multiple_of,
    "pattern": _pattern,
    "patternProperties": _pattern_properties,
    "additionalProperties": _additional_properties,
    "uniqueItems": _unique_items,
    "enum": _enum,
    "const": _const,
}


def _size(value: Any) -> int:
    """Return about how many characters a value has as JSON."""
    if isinstance(value, dict):
        return 2 + sum(len(key) + 4 + _size(inner) for key, inner in value.items())
    if isinstance(value, list | tuple):
        return 2 + sum(1 + _size(inner) for inner in value)
    return len(value) + 2 if isinstance(value, str) else 8


def _comparable(value: Any) -> str:
    """Return a text that is equal for equal JSON values: 1 is 1.0, and true is not 1."""
    return canonical_json(_whole(value))


def _whole(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _whole(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_whole(inner) for inner in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
