"""`autodata check` and `autodata doctor`: whether a recipe can run, and what this machine has. At most one call a model."""

from __future__ import annotations

import importlib.util
import platform
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from autodata_cli.steering import known_texts, monitor_of, notes_of, wanted_of
from autodata_cli.workspace import Workspace
from autodata_core import __version__
from autodata_core.errors import AutodataError
from autodata_core.ports import Model, ModelRequest
from autodata_core.records import Check, Message, Role
from autodata_core.roles import conflicts
from autodata_core.sourcing import screened
from autodata_core.verify import control

__all__ = ["Finding", "check_workspace", "examine_machine"]

_CONTROLS: dict[str, tuple[dict[str, Any], str]] = {
    "number": ({"value": "12.5", "unit": "minutes"}, "12.5 minutes"),
    "text": ({"accepted": ["Paris"]}, "paris"),
    "quantity": ({"value": "36", "unit": "km/h", "rel_tol": "0"}, "10 m/s"),
    "math": ({"expression": "2*x + 1", "variables": ["x"]}, "1 + x + x"),
    "json_schema": (
        {
            "schema": {
                "type": "object",
                "properties": {"year": {"const": 1969}},
                "required": ["year"],
                "additionalProperties": False,
            }
        },
        '{"year": 1969}',
    ),
    "pattern": ({"pattern": "[A-Z]{2}-[0-9]{4}"}, "AB-1234"),
    "python": (
        {"function": "double", "cases": [{"args": [n], "expected": 2 * n} for n in (0, 3, -4)], "rel_tol": "0"},
        "def double(n):\n    return n + n",
    ),
    "sql": (
        {
            "setup": "CREATE TABLE town (name TEXT, people INT); INSERT INTO town VALUES ('Oslo', 709), ('Bergen', 291);",
            "expected": {"columns": None, "rows": [["Oslo"]]},
            "ordered": False,
        },
        "SELECT name FROM town WHERE people > 500",
    ),
    "table": (
        {"columns": ["name"], "rows": [["Oslo"], ["Bergen"]], "ordered": False},
        "| name |\n|---|\n| Bergen |\n| Oslo |",
    ),
}
"""By verifier: the spec of a check and its right answer."""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    name: str
    ok: bool
    detail: str


def check_workspace(workspace: Workspace, budget_usd: float | None) -> Iterator[Finding]:
    """Yield what a run of this recipe would meet: sources, verifiers, models, calls and money."""
    found = workspace.sources
    characters = sum(len(s.text) for s in found.sources)
    skipped = "".join(f"; skipped {s.id}: {s.reason}" for s in found.skipped[:5])
    yield Finding("sources", True, f"{len(found.sources)} usable, {characters:,} characters{skipped}")
    yield from _check_verifiers(workspace)
    yield from _check_filter(workspace)
    yield from _check_coverage(workspace)
    yield from _check_models(workspace)
    yield _calls(workspace)
    yield _price(workspace, budget_usd)


def _check_verifiers(workspace: Workspace) -> Iterator[Finding]:
    """Each verifier must pass a right answer and fail every wrong one."""
    for kind in workspace.rules.domain.check_kinds:
        if kind == "judge":
            continue
        verifier = workspace.verifiers.get(kind)
        if verifier is None:
            detail = "not installed, so no check of this kind is written; pip install 'autodata-agents[verify]'"
            yield Finding(f"verifier {kind}", True, detail)
        elif kind not in _CONTROLS:
            yield Finding(f"verifier {kind}", True, f"{verifier.version}: tried on each check before it is used")
        else:
            spec, right = _CONTROLS[kind]
            found = control(verifier, Check(kind=kind, spec=spec), right)
            detail = found.evidence if found.fault else f"right answer passes, {found.controls} wrong ones fail"
            yield Finding(f"verifier {kind}", not found.fault, f"{verifier.version}: {detail}")


def _check_filter(workspace: Workspace) -> Iterator[Finding]:
    """Who reviews, who is controlled, and who would judge its own work."""
    protocol = workspace.rules.protocol
    parts = [f"critics {', '.join(protocol.critics)}" if protocol.critics else "no critics"]
    parts.append(f"judge controls {protocol.judge_controls}")
    parts += [f"debate of {protocol.debate_rounds} rounds"] if protocol.debate_rounds else []
    yield Finding("filter", True, "; ".join(parts))
    for conflict in conflicts(protocol.models):
        yield Finding("mind", True, conflict)
    refused = [
        (s.id, found) for s in workspace.sources.sources if (found := screened(s, workspace.rules)).source is None
    ]
    for id_, found in refused[:5]:
        yield Finding("not used", True, f"{id_}: {found.reason}")
    if len(refused) == len(workspace.sources.sources):
        yield Finding("safety", False, "the safety rules refuse every source")


def _check_coverage(workspace: Workspace) -> Iterator[Finding]:
    """What the run would be steered by, and what no question may repeat."""
    try:
        wanted, known = wanted_of(workspace), known_texts(workspace)
        monitor_of(workspace)
    except AutodataError as error:
        yield Finding("coverage", False, str(error))
        return
    parts = ["not steered"]
    if wanted is not None:
        topics, targets = wanted
        carried = [name for name, size in topics.sizes().items() if size]
        parts = [f"{len(targets)} cells in {len(carried)} topics: {'; '.join(carried[:4])}{'; …' * (len(carried) > 4)}"]
    parts += [f"{len(known)} texts that no question may repeat"] if known is not None else []
    yield Finding("coverage", True, "; ".join(parts))
    for note in notes_of(workspace, wanted):
        yield Finding("mind", True, note)


def _check_models(workspace: Workspace) -> Iterator[Finding]:
    asked: dict[int, str] = {}
    for role, model in workspace.models.items():
        if id(model) in asked:
            yield Finding(f"model {role}", True, f"{model.identity.name}, the same as {asked[id(model)]}")
            continue
        asked[id(model)] = role
        yield _probe(role, model)


def _probe(role: Role, model: Model) -> Finding:
    name = model.identity.name
    if name.startswith("program:"):
        return Finding(f"model {role}", True, f"{name}, a program")
    question = Message(role="user", content="What is 2 + 2? Reply with the number only.")
    request = ModelRequest(role=role, item="check", round=1, step="probe", messages=(question,), seed=1)
    try:
        reply = model.complete(request)
    except AutodataError as error:
        return Finding(f"model {role}", False, str(error))
    if reply.error:
        return Finding(f"model {role}", False, f"{name}: {reply.error}")
    said = " ".join(reply.text.split())[:40] or "(an empty text)"
    return Finding(f"model {role}", bool(reply.text.strip()), f"{name} answers: {said}")


def _calls(workspace: Workspace) -> Finding:
    protocol = workspace.rules.protocol
    judged = protocol.weak_attempts + protocol.strong_attempts if "judge" in workspace.models else 0
    judged += 4 if judged and protocol.judge_controls != "off" else 0
    reviews = (1 if protocol.quality_check else 0) + (1 if protocol.final_check else 0) + len(protocol.critics)
    reviews += 2 * protocol.debate_rounds + 1 if protocol.debate_rounds else 0
    most = 1 + reviews + protocol.weak_attempts + protocol.strong_attempts + judged
    items = workspace.items
    detail = f"{items} items; at most {most} calls a round, {protocol.rounds} rounds, {items * most * protocol.rounds:,} calls"
    return Finding("size", True, detail)


def _price(workspace: Workspace, budget_usd: float | None) -> Finding:
    """Estimate the money: the mean source in, 600 tokens out. The budget is the ceiling, this is not."""
    try:
        workspace.check_prices(budget_usd)
    except AutodataError as error:
        return Finding("cost", False, str(error))
    if any(p.price_in is None or p.price_out is None for p in workspace.prices.values()):
        return Finding("cost", True, "unknown: not every model has price_in and price_out")
    protocol = workspace.rules.protocol
    per_role: dict[str, int] = dict.fromkeys(workspace.prices, 1)
    per_role |= {"check": 2, "weak": protocol.weak_attempts, "strong": protocol.strong_attempts}
    per_role |= dict.fromkeys(("advocate", "opponent"), protocol.debate_rounds)
    per_role["judge"] = protocol.weak_attempts + protocol.strong_attempts + 4
    tokens_in = 800 + sum(len(s.text) for s in workspace.sources.sources) / max(1, len(workspace.sources.sources)) / 4
    usd = 0.0
    for role, prices in workspace.prices.items():
        reads = 800 if role in ("weak", "strong", "judge") else tokens_in
        usd += per_role[role] * (reads * (prices.price_in or 0) + 600 * (prices.price_out or 0)) / 1e6
    items = workspace.items
    text = (
        f"about ${usd:.4f} a round; ${usd * items * protocol.rounds:.2f} if {items} items take {protocol.rounds} rounds"
    )
    limit = f"; ceiling ${budget_usd:g}" if budget_usd is not None else "; no ceiling in US dollars"
    listed = {p.as_of for p in workspace.prices.values() if p.as_of}
    dated = f"; list prices of {max(listed)}, check your provider" if listed else ""
    return Finding("cost", True, text + limit + dated)


def examine_machine() -> Iterator[Finding]:
    """Yield what this installation has: versions, extras, local weights, tokeniser."""
    yield Finding("autodata", True, f"{__version__} on Python {platform.python_version()}, {sys.platform}")
    for extra, module in (
        ("chroma", "chromadb"),
        ("chroma", "sklearn"),
        ("local", "xllamacpp"),
        ("openai", "langchain_openai"),
        ("dspy", "dspy"),
        ("verify", "pint"),
        ("verify", "mpmath"),
        ("verify", "jsonschema"),
        ("verify", "re2"),
        ("sandbox", "pydantic_monty"),
    ):
        there = importlib.util.find_spec(module) is not None
        detail = "installed" if there else f"not installed; pip install 'autodata-agents[{extra}]'"
        yield Finding(f"{module}", there, detail)
    from autodata_adapters.sandbox import available_tiers

    for tier in available_tiers():
        yield Finding(f"sandbox {tier.name}", tier.ok, tier.detail)
    from autodata_adapters.models.weights import path_for

    weights = path_for("smollm2")
    yield Finding(
        "smollm2", weights.is_file(), str(weights) if weights.is_file() else "not pulled; autodata models pull smollm2"
    )
    import warnings

    from autodata_adapters.tokens import TokenCounter

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        counter = TokenCounter()
    yield Finding(
        "tokeniser", True, counter.source if counter.exact else "estimates only: no encoding file is on this machine"
    )
