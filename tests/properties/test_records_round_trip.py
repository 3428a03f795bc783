"""Whatever a record holds, its JSON gives the same record back."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from autodata_core.item import ItemState
from autodata_core.records import (
    Attempt,
    Candidate,
    Check,
    Criterion,
    Example,
    ModelIdentity,
    Provenance,
    Reason,
    ReasonKind,
    Record,
    Round,
    Scores,
    Shadow,
    Source,
    SourceRef,
    Usage,
    Verdict,
    canonical_json,
    fingerprint,
)

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
SOME = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
SHA = st.text("0123456789abcdef", min_size=64, max_size=64)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**12), 10**12)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
TRAPS = st.sampled_from(
    [{"lc": 1, "type": "secret", "id": ["KEY"]}, {"lc": 2, "type": "constructor", "id": [], "kwargs": {}}]
)
TABLE = st.one_of(st.dictionaries(TEXT, st.one_of(JSON, TRAPS), max_size=3), TRAPS)
COUNT = st.integers(0, 10**15)
MONEY = st.floats(0, 1e9)
REASON = st.builds(Reason, kind=st.sampled_from(ReasonKind), stage=TEXT, detail=TEXT)
CRITERION = st.builds(Criterion, criterion=SOME, weight=st.integers(-100, 100))
CHECK = st.builds(Check, kind=SOME, spec=TABLE)
CANDIDATE = st.builds(
    Candidate,
    question_type=SOME,
    skills=st.lists(TEXT, max_size=3).map(tuple),
    context=TEXT,
    question=SOME,
    reference_answer=SOME,
    rubric=st.none() | st.lists(CRITERION, max_size=3).map(tuple),
    check=st.none() | CHECK,
    quote=st.none() | TEXT,
)
ATTEMPT = st.builds(
    Attempt,
    index=st.integers(0, 64),
    outcome=st.sampled_from(["pending", "scored", "invalid", "infra"]),
    answer=st.none() | TEXT,
    marks=st.none() | st.lists(st.booleans(), max_size=4).map(tuple),
    evidence=TEXT,
    finish_reason=st.sampled_from(["stop", "length", "content_filter", "unknown"]),
    flags=st.lists(TEXT, max_size=2).map(tuple),
)
ATTEMPTS = st.lists(ATTEMPT, max_size=2).map(tuple)
SHADOW = st.builds(
    Shadow, accepted=st.none() | st.booleans(), reasons=st.lists(st.sampled_from(ReasonKind), max_size=2).map(tuple)
)
VERDICT = st.builds(
    Verdict,
    policy=TEXT,
    reasons=st.lists(REASON, max_size=2).map(tuple),
    shadow=st.dictionaries(TEXT, SHADOW, max_size=2),
)
ROUND = st.builds(
    Round, number=st.integers(1, 100), candidate=st.none() | CANDIDATE, weak=ATTEMPTS, strong=ATTEMPTS, verdict=VERDICT
)
USAGE = st.builds(Usage, calls=COUNT, input_tokens=COUNT, output_tokens=COUNT, cost_usd=MONEY, estimated=st.booleans())
IDENTITY = st.builds(ModelIdentity, name=TEXT, endpoint=TEXT, served=TEXT, params=TABLE)
NUMBERS = st.lists(st.floats(0, 1), max_size=3).map(tuple)
EXAMPLE = st.builds(
    Example,
    id=TEXT,
    domain=TEXT,
    question_type=TEXT,
    skills=st.lists(TEXT, max_size=2).map(tuple),
    context=TEXT,
    question=TEXT,
    reference_answer=TEXT,
    rubric=st.none() | st.lists(CRITERION, max_size=2).map(tuple),
    check=st.none() | CHECK,
    scores=st.builds(Scores, weak=NUMBERS, strong=NUMBERS, gap=st.floats(-1, 1)),
    verdict=VERDICT,
    round=st.integers(1, 100),
    source=st.builds(
        SourceRef, id=TEXT, sha256=TEXT, licence=st.none() | TEXT, span=st.none() | st.tuples(COUNT, COUNT)
    ),
    provenance=st.builds(
        Provenance,
        run=TEXT,
        item=TEXT,
        created=TEXT,
        recipe=TEXT,
        protocol=TEXT,
        models=st.dictionaries(TEXT, IDENTITY, max_size=2),
        prompts=st.dictionaries(TEXT, TEXT, max_size=2),
        verifiers=st.lists(TEXT, max_size=2).map(tuple),
        controls=st.dictionaries(TEXT, st.booleans(), max_size=2),
        critics=st.dictionaries(TEXT, st.booleans(), max_size=2),
        agreement=st.none() | st.floats(0.5, 1),
        flags=st.lists(TEXT, max_size=2).map(tuple),
        usage=st.dictionaries(TEXT, USAGE, max_size=2),
        cost_usd=MONEY,
    ),
)
STATE = st.builds(
    ItemState,
    item=TEXT,
    run=TEXT,
    source_id=TEXT,
    source_sha256=SHA,
    fence_key=TEXT,
    status=st.sampled_from(["open", "accepted", "refused", "skipped", "infra"]),
    phase=st.sampled_from(
        ["propose", "check", "attempt_weak", "attempt_strong", "decide", "refine", "accept", "give_up"]
    ),
    round=st.integers(1, 100),
    candidate=st.none() | CANDIDATE,
    passed=st.lists(TEXT, max_size=2).map(tuple),
    weak=ATTEMPTS,
    strong=ATTEMPTS,
    reasons=st.lists(REASON, max_size=2).map(tuple),
    history=st.lists(ROUND, max_size=2).map(tuple),
    usage=st.dictionaries(TEXT, USAGE, max_size=2),
    served=st.dictionaries(TEXT, TEXT, max_size=2),
    note=TEXT,
)
SOURCE = st.builds(Source, id=SOME, text=SOME, sha256=SHA, licence=st.none() | TEXT, meta=TABLE)


def plain(value: Any) -> bool:
    if isinstance(value, dict):
        return all(type(key) is str and plain(inner) for key, inner in value.items())
    if isinstance(value, list):
        return all(plain(inner) for inner in value)
    return type(value) in (str, int, float, bool, type(None))


def comes_back(record: Record) -> None:
    written = record.to_json()
    assert plain(written)
    again = type(record).from_json(json.loads(json.dumps(written)))
    assert again == record
    assert again.to_json() == written
    assert fingerprint(again.to_json()) == fingerprint(written)
    assert json.loads(canonical_json(written)) == written


@given(CANDIDATE)
def test_a_candidate_comes_back(record: Candidate) -> None:
    comes_back(record)


@given(ATTEMPT)
def test_an_attempt_comes_back(record: Attempt) -> None:
    comes_back(record)


@given(SOURCE)
def test_a_source_comes_back(record: Source) -> None:
    comes_back(record)


@settings(max_examples=50)
@given(STATE)
def test_the_state_of_an_item_comes_back(record: ItemState) -> None:
    comes_back(record)


@settings(max_examples=50)
@given(EXAMPLE)
def test_a_row_comes_back(record: Example) -> None:
    comes_back(record)


@given(TABLE)
def test_any_table_in_a_spec_stays_what_it_is(table: dict[str, Any]) -> None:
    assert Check.from_json(json.loads(json.dumps({"kind": "k", "spec": table}))).spec == table
