"""What must hold of every item, whatever its texts say: asserted on the requests that were made and on the row."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from autodata_test_worlds import row_of

from autodata_core.item import ItemState
from autodata_core.ports import ModelRequest
from autodata_core.recipe import Rules
from autodata_core.safety import find_instructions
from autodata_core.testing import ScriptedModel

from .hostile import MARK

SOLVERS = ("weak", "strong")
_CODE = re.compile(r"marks with the code ([0-9a-f]{20})")


def outside(request: ModelRequest) -> str:
    """Return what stands outside the fences of a request, without the model's own earlier reply."""
    said = [m.content for m in request.messages if m.role != "assistant"]
    nonce = nonce_of(request)
    kept, fenced = [], False
    for line in "\n".join(said).split("\n"):
        if re.fullmatch(rf"<<<[A-Z]+ {nonce}", line):
            assert not fenced, "a fence within a fence"
            fenced = True
        elif re.fullmatch(rf"[A-Z]+ {nonce}>>>", line):
            assert fenced, "a fence is closed twice"
            fenced = False
        elif not fenced:
            kept.append(line)
    assert not fenced, "a fence stays open"
    return "\n".join(kept)


def nonce_of(request: ModelRequest) -> str:
    found = _CODE.findall(request.messages[0].content)
    assert len(found) == 1
    return found[0]


def odd_in(text: str) -> set[str]:
    return {"role_tokens", "hidden_characters"} & set(find_instructions(text))


def texts_in(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield key
            yield from texts_in(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from texts_in(inner)


def assert_contained(models: Mapping[str, ScriptedModel]) -> None:
    """Assert that nothing stands outside a fence, no code is used twice, and both solvers were sent the same."""
    codes: set[str] = set()
    for role, model in models.items():
        for request in model.requests:
            if role in SOLVERS:
                continue
            assert MARK not in outside(request), (role, request.step)
            code = nonce_of(request)
            assert code not in codes, "two calls share a code"
            codes.add(code)
    sent: dict[int, set[str]] = {}
    for role in SOLVERS:
        for request in models[role].requests:
            sent.setdefault(request.round, set()).add(request.messages_sha256())
            assert not any(odd_in(m.content) for m in request.messages), request.step
    assert all(len(hashes) == 1 for hashes in sent.values()), "weak and strong were sent different things"


def assert_plain_row(rules: Rules, models: Mapping[str, ScriptedModel], state: ItemState) -> dict[str, Any]:
    """Assert that the row of an accepted item holds nothing but text, and return it."""
    row = row_of(rules, models, state)
    assert json.loads(json.dumps(row)) == row
    of_us = {"provenance", "verdict", "scores", "source"}
    for text in texts_in({key: value for key, value in row.items() if key not in of_us}):
        assert not odd_in(text), text[:200]
    assert row["provenance"]["prompts"]["weak"] == row["provenance"]["prompts"]["strong"]
    return row
