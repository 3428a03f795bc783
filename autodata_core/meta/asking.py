"""What analyzer and implementer are asked, and how their replies are read. Who answers is a port, what follows is in `search`.

Everything that a model or a document wrote is fenced, and everything is bounded: a digest does not grow with the batch.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from autodata_core.item import ItemState
from autodata_core.meta.counting import Counts, counts_of
from autodata_core.meta.harness import Proposal
from autodata_core.meta.history import Outcome
from autodata_core.parsing import ReplyFault, parse_object
from autodata_core.ports import ModelReply, ModelRequest
from autodata_core.prompts import Fence, again
from autodata_core.prompts.meta_texts import ANALYZER, IMPLEMENTER
from autodata_core.recipe import Recipe
from autodata_core.records import Attempt, Message, Role, Round, fingerprint
from autodata_core.scoring import attempt_score

__all__ = ["Analysis", "Cause", "analyzer_request", "digest_of", "implementer_request", "read_analysis"]

_DIGEST_CHARS = 24_000
"""Of all trajectories together. Ours: two thirds of what a small model reads."""
_HISTORY_CHARS = 8_000
_QUOTE_CHARS = 700

_T = TypeVar("_T", bound=BaseModel)


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)


class Cause(_Strict):
    """One habit of the challenger that explains failures."""

    cause: Annotated[str, Field(min_length=1, max_length=600)]
    items: Annotated[list[Annotated[str, Field(max_length=60)]], Field(max_length=20)] = []
    """Numbers of the items it shows in, as the digest names them."""
    evidence: Annotated[str, Field(max_length=800)] = ""
    rule: Annotated[str, Field(max_length=600)] = ""
    """What would have prevented it."""


class Analysis(_Strict):
    """Why questions were refused, as a model sees it."""

    causes: Annotated[list[Cause], Field(min_length=1, max_length=8)]
    advice: Annotated[str, Field(max_length=2_000)] = ""


def digest_of(states: Sequence[ItemState], *, chars: int = _DIGEST_CHARS) -> str:
    """Return trajectories as an analyzer reads them: every round with its question, answers, marks and verdict, cut to size."""
    if not states:
        return "(no item)"
    each = max(600, chars // len(states))
    parts = []
    for number, state in enumerate(states, start=1):
        lines = [f"ITEM {number}: {state.status}{f' ({state.note[:200]})' if state.note else ''}"]
        for round_ in state.history:
            lines += _round_lines(round_)
        parts.append(_cut("\n".join(lines), each))
    return _cut("\n\n".join(parts), chars)


def _round_lines(round_: Round) -> list[str]:
    verdict = "accepted" if round_.verdict.accepted else "refused"
    lines = [f"round {round_.number}: {verdict}"]
    lines += [f"  {r.kind.value} at {r.stage}: {_cut(r.detail, 300)}" for r in round_.verdict.reasons[:3]]
    candidate = round_.candidate
    if candidate is None:
        return lines
    lines.append(f"  context: {_cut(candidate.context, _QUOTE_CHARS)}")
    lines.append(f"  question ({candidate.question_type}): {_cut(candidate.question, _QUOTE_CHARS)}")
    lines.append(f"  reference: {_cut(candidate.reference_answer, 400)}")
    if candidate.rubric:
        lines.append("  rubric: " + _cut("; ".join(f"({c.weight:+d}) {c.criterion}" for c in candidate.rubric), 900))
    for solver, attempts in (("weak", round_.weak), ("strong", round_.strong)):
        scored = [a for a in attempts if a.outcome == "scored"]
        if scored:
            scores = [float(attempt_score(a, candidate.rubric)) for a in scored]
            lines.append(f"  {solver} scores {' '.join(f'{score:.2f}' for score in scores)}")
            # The best of the weak and the worst of the strong say most about why a question was refused.
            pick = (max if solver == "weak" else min)(range(len(scored)), key=scores.__getitem__)
            lines += _attempt_lines(solver, scored[pick])
    return lines


def _attempt_lines(solver: str, attempt: Attempt) -> list[str]:
    lines = [f"  {solver} answer {attempt.index}: {_cut(attempt.answer or '', _QUOTE_CHARS)}"]
    if attempt.marks is not None and len(attempt.marks) > 1:
        lines.append("  its marks: " + "".join("+" if mark else "-" for mark in attempt.marks))
    return lines


def _cut(text: str, limit: int) -> str:
    text = text.strip()
    return text if len(text) <= limit else f"{text[: limit - 2].rstrip()} …"


# --- requests ---------------------------------------------------------------------------------------------------------


def analyzer_request(
    recipe: Recipe,
    states: Sequence[ItemState],
    history: Sequence[Outcome],
    *,
    iteration: int,
    seed: int,
    fence_key: str,
) -> ModelRequest:
    """Return what the analyzer is asked about a minibatch."""
    fence = Fence(fence_key, f"optimize/{iteration}/analyzer")
    counts = counts_of(states)
    refusals = ", ".join(f"{kind} {n}" for kind, n in counts.failures.items()) or "none"
    parts = [
        f"{counts.accepted} of {counts.items} items were accepted. Refusals, counted by code: {refusals}.",
        *_types(counts, fence),
        fence.around("INSTRUCTIONS", recipe.challenger),
        fence.around("CHECK", recipe.check),
        fence.around("TRAJECTORIES", digest_of(states)),
        *_history(history, fence),
        "Analyse now.",
    ]
    view = {
        "accepted": counts.accepted,
        "items": counts.items,
        "failures": counts.failures,
        "types": {name: found.to_json() for name, found in counts.types.items()},
        "challenger": recipe.challenger,
        "check": recipe.check,
        "tried": _tried(history),
    }
    return _request("analyzer", ANALYZER, Analysis, parts, view, fence, iteration, seed)


def implementer_request(
    recipe: Recipe,
    analysis: Analysis,
    history: Sequence[Outcome],
    *,
    iteration: int,
    seed: int,
    fence_key: str,
    counts: Counts | None = None,
) -> ModelRequest:
    """Return what the implementer is asked: the parent's texts, why they failed, what was counted, what was tried."""
    fence = Fence(fence_key, f"optimize/{iteration}/implementer")
    shape = recipe.domain.rubric_shape
    parts = [
        f"The present recipe is {recipe.version[:8]}.",
        fence.around("CHALLENGER", recipe.challenger),
        fence.around("CHECK", recipe.check),
        f"Rubric shape: {json.dumps(shape.to_json())}"
        if shape
        else "This domain has no rubric; leave rubric_shape null.",
        fence.around("ANALYSIS", _cut(json.dumps(analysis.model_dump(), ensure_ascii=False, indent=1), 8_000)),
        *(_types(counts, fence) if counts is not None else ()),
        *_history(history, fence),
        "Make one change now.",
    ]
    view = {
        "challenger": recipe.challenger,
        "check": recipe.check,
        "rubric_shape": shape.to_json() if shape else None,
        "analysis": analysis.model_dump(),
        "types": {} if counts is None else {name: found.to_json() for name, found in counts.types.items()},
        "tried": _tried(history),
    }
    return _request("implementer", IMPLEMENTER, Proposal, parts, view, fence, iteration, seed)


def _types(counts: Counts, fence: Fence) -> list[str]:
    """Return the counts by type of question; the names are the writer's, so they stand in a fence."""
    return [f"By type of question, counted by code:\n{fence.around('TYPES', counts.lines())}"] if counts.types else []


def _tried(history: Sequence[Outcome]) -> list[dict[str, str]]:
    """Return what earlier iterations did, for models that are programs; the others read it as text."""
    return [{"parent": o.parent, "result": o.result, "what": o.what} for o in history]


def _history(history: Sequence[Outcome], fence: Fence) -> list[str]:
    """Return what earlier iterations did, the latest last; the oldest are left out first."""
    kept: list[str] = []
    room = _HISTORY_CHARS
    for outcome in reversed(history):
        line = outcome.line()
        if len(line) > room:
            break
        kept.append(line)
        room -= len(line) + 1
    if not kept:
        return []
    left_out = len(history) - len(kept)
    lines = [f"({left_out} earlier ones are left out)"] if left_out else []
    return [fence.around("TRIED", "\n".join([*lines, *reversed(kept)]))]


def _request(
    role: Role,
    text: str,
    kind: type[BaseModel],
    parts: Sequence[str],
    view: Mapping[str, Any],
    fence: Fence,
    iteration: int,
    seed: int,
) -> ModelRequest:
    schema = _schema(kind)
    form = (
        "Reply with exactly one JSON object and nothing else. Its JSON schema:\n"
        f"{json.dumps(schema, separators=(',', ':'))}"
    )
    messages = (
        Message(role="system", content="\n\n".join([text, form, fence.rule()])),
        Message(role="user", content="\n\n".join(parts)),
    )
    return ModelRequest(
        role=role,
        item=f"optimize-{iteration}",
        round=1,
        step=role,
        messages=messages,
        response_schema=schema,
        seed=int(fingerprint([seed, iteration, role])[:8], 16) % 2**31,
        view=dict(view),
    )


def _schema(kind: type[BaseModel]) -> dict[str, Any]:
    schema = kind.model_json_schema()
    plain: dict[str, Any] = _plain(schema, schema.pop("$defs", {}))
    return plain


def _plain(node: Any, definitions: Mapping[str, Any]) -> Any:
    """Inline definitions and drop what says nothing to a model."""
    if isinstance(node, list):
        return [_plain(inner, definitions) for inner in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        return _plain(definitions[node["$ref"].rsplit("/", 1)[-1]], definitions)
    kept = {}
    for key, inner in node.items():
        if key == "properties":
            kept[key] = {name: _plain(value, definitions) for name, value in inner.items()}
        elif key not in ("title", "description", "default"):
            kept[key] = _plain(inner, definitions)
    return kept


def asked_again(request: ModelRequest, reply: ModelReply, fault: str) -> ModelRequest:
    """Return the request that quotes what was wrong with the reply."""
    return request.model_copy(
        update={
            "step": f"{request.step}.again",
            "messages": again(request.messages, reply.text, fault),
            "seed": int(fingerprint([request.seed, "again"])[:8], 16) % 2**31,
        }
    )


# --- replies ----------------------------------------------------------------------------------------------------------


def read_analysis(reply: ModelReply) -> Analysis:
    """Return the analysis.

    Raises:
        ReplyFault: It cannot be read.
    """
    return _read(Analysis, reply)


def read_proposal(reply: ModelReply) -> Proposal:
    """Return the proposal.

    Raises:
        ReplyFault: It cannot be read, or proposes nothing.
    """
    found = _read(Proposal, reply)
    if (found.challenger, found.check, found.rubric_shape) == (None, None, None) and found.learnings == "keep":
        raise ReplyFault("it changes nothing; give challenger, check, rubric_shape or learnings")
    return found


def _read(kind: type[_T], reply: ModelReply) -> _T:
    if reply.finish_reason == "length":
        raise ReplyFault("it was cut off at the token limit; reply shorter")
    if reply.finish_reason == "content_filter":
        raise ReplyFault("the provider's content filter stopped it")
    found = parse_object(reply.text)
    try:
        return kind.model_validate(found)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ReplyFault(f"{where}: {first['msg']}") from error
