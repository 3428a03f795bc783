"""`autodata audit`: runs the filter over a data set that exists, and writes what it found. The figures are made in the core."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import secrets
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from autodata_adapters.coverage import create_embedder
from autodata_adapters.coverage.embedders import Embedder, embed
from autodata_adapters.coverage.vectors import Entry, VectorIndex, to_unit
from autodata_adapters.sources import load_sources
from autodata_adapters.sources.mapped import MappedRows, SourceIndex, parse_mapping, read_objects, read_rows
from autodata_cli.cards import Card, Quoted, audit_card, card_markdown
from autodata_cli.workspace import Workspace, open_workspace
from autodata_core.agreement import BAR
from autodata_core.audit import (
    AuditReport,
    AuditRow,
    AuditRules,
    Drawn,
    GateOpinion,
    GoldFigures,
    RowOpinions,
    ask_reviewer,
    audit_rules,
    draw_sample,
    judge_row,
    match_gold,
    read_gold_line,
    report,
    reviewers,
)
from autodata_core.bridges import installed_verifiers
from autodata_core.budget import Budget, BudgetSpentError
from autodata_core.calls import JournaledModel, NoJournal
from autodata_core.driver import Ports
from autodata_core.errors import AutodataError, MissingExtraError, RecordError, StoreError
from autodata_core.ports import CoverageAsk, CoverageMap, CoverageReply, Model, NoCoverage, Verifier
from autodata_core.records import Source
from autodata_core.roles import CRITICS
from autodata_core.verify import EXACT_VERIFIERS

__all__ = ["Audit", "AuditResult", "MemoryCoverage", "check_bar", "run_audit"]

TO_LABEL = "to_label.jsonl"


@dataclass(frozen=True)
class Audit:
    """One `autodata audit`."""

    data: Path
    gold: Path | None = None
    mapping: Sequence[str] = ()
    """`FIELD=PATH` pairs."""
    sources: Sequence[str] = ()
    recipe: Path | None = None
    out: Path | None = None
    sample: int | None = None
    seed: int = 0
    bar: float = BAR
    gold_by: str = ""
    """Who made the gold, for the card."""
    rules_only: bool = False
    """Ask no model, though the recipe names some."""
    budget_usd: float | None = None
    concurrency: int = 8


@dataclass(frozen=True)
class AuditResult:
    """What an audit found, and what it wrote."""

    report: AuditReport
    card: Card
    written: tuple[Path, ...] = ()


class MemoryCoverage:
    """Finds near copies by vectors in memory, as the map of a run does; an audit keeps none of it. Asked in one thread."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder
        self._index = VectorIndex()
        self._same = NoCoverage()  # knows verified questions that ask for the same in other words

    def claim(self, ask: CoverageAsk) -> CoverageReply:
        entry = Entry(ask, to_unit(embed(self._embedder, [ask.text]))[0])
        near, same = self._index.nearest(ask, entry.vector), self._same.claim(ask)
        self._index.add(entry)
        return same if same.similarity > near.similarity else near


def run_audit(audit: Audit) -> AuditResult:
    """Audit a data set and write card, opinions and sample where a folder is given.

    Raises:
        AutodataError: Data, gold, sources or recipe cannot be used, or a model cannot be asked at all.
    """
    if audit.sample is not None and audit.out is None:
        raise RecordError("--sample writes a file for people to label. Say where: --out DIR.")
    if audit.sample is not None and audit.gold is not None:
        raise RecordError("--sample draws rows to label and --gold brings labels. Do one after the other.")
    mapping = parse_mapping(audit.mapping)
    workspace = open_workspace(audit.recipe) if audit.recipe else None
    index = SourceIndex(_sources(audit, workspace))
    mapped = read_rows(audit.data, mapping=mapping, sources=index)
    gold = _read_gold(audit.gold, mapped.rows) if audit.gold else None
    installed = installed_verifiers()
    named = {kind: installed[kind] for kind in _check_kinds(mapped.rows) if kind in installed}
    verifiers = {**EXACT_VERIFIERS, **named, **(workspace.verifiers if workspace else {})}
    rules = audit_rules(workspace.rules if workspace else None, verifiers)
    coverage, near = _coverage(workspace)
    ports = Ports(models={}, coverage=coverage, verifiers=verifiers)
    said = [judge_row(row, rules.of(row), ports) for row in mapped.rows]
    asked = reviewers(workspace.rules) if workspace and not audit.rules_only else ()
    if workspace and asked:
        said = _review(audit, workspace, rules, said, asked)
    found = report(said, by=_deciders(workspace, asked), gold=gold, bar=audit.bar)
    facts = [
        *_data_facts(audit, mapped),
        *_rule_facts(workspace, mapped.rows, verifiers, near, asked),
        *_gold_facts(audit, gold),
    ]
    card = audit_card(found, title=f"How good is the filter on {audit.data.name}?", facts=facts)
    return AuditResult(found, card, _write(audit, found, card) if audit.out else ())


def check_bar(found: AuditReport) -> None:
    """Make sure that the filter meets the bar.

    Raises:
        AutodataError: It does not, or that is not shown.
    """
    if found.standing != "met":
        measured = found.weighted.bounds if found.weighted else None
        confusion = found.overall.confusion
        low = measured.low if measured else confusion.agreement_bounds.low if confusion else 0.0
        raise AutodataError(
            f"The bar of {found.bar:g} is {found.standing}: the lower bound of agreement is {int(low * 1000) / 1000:.3f}."
        )


def _sources(audit: Audit, workspace: Workspace | None) -> tuple[Source, ...]:
    own = workspace.sources.sources if workspace else ()
    return (*load_sources(audit.sources, base_dir=Path.cwd()).sources, *own) if audit.sources else own


def _read_gold(path: Path, rows: Sequence[AuditRow]) -> GoldFigures:
    lines = []
    for number, found, fault in read_objects(path, "The gold file"):
        if fault:
            raise RecordError(f"gold line {number}: {fault}.")
        if found is not None:
            lines.append(read_gold_line(found, number))
    if not lines:
        raise RecordError(f"The gold file {str(path)!r} has no lines. One JSON object a line: id or line, and label.")
    # What the sample shows to people is not for the machine.
    shown = set(_SHOWN)
    figures = match_gold(rows, lines)
    return GoldFigures(
        figures.labels,
        figures.unmatched,
        figures.without,
        figures.unlabelled,
        figures.repeated,
        tuple(key for key in figures.ignored if key not in shown),
    )


def _check_kinds(rows: Sequence[AuditRow]) -> list[str]:
    return sorted({row.candidate.check.kind for row in rows if row.candidate and row.candidate.check})


def _coverage(workspace: Workspace | None) -> tuple[CoverageMap, str]:
    """Return what finds duplicates, and what it is for people."""
    spec = workspace.file.coverage.embedder if workspace else "hashing"
    limit = workspace.rules.protocol.near_duplicate if workspace else 0.9
    if spec == "none":
        return NoCoverage(), "equal texts only, as the recipe says"
    try:
        embedder = create_embedder(spec, workspace.base_dir if workspace else Path.cwd())
    except MissingExtraError:
        if workspace:
            raise
        return NoCoverage(), "equal texts only: pip install 'autodata-agents[chroma]' finds near copies"
    return MemoryCoverage(embedder), f"similarity from {limit:g} by {embedder.name}"


# --- models -----------------------------------------------------------------------------------------------------------


def _review(
    audit: Audit, workspace: Workspace, rules: AuditRules, rows: Sequence[RowOpinions], asked: Sequence[str]
) -> list[RowOpinions]:
    """Return the rows with what the models say of them, several rows at once."""
    usd = audit.budget_usd if audit.budget_usd is not None else workspace.file.budget.usd
    workspace.check_prices(usd)
    table = workspace.file.budget
    budget = Budget(usd=usd, calls=table.calls, tokens=table.tokens)
    models: dict[str, Model] = {}
    for role, model in workspace.models.items():
        prices = workspace.prices[role]
        models[role] = JournaledModel(model, NoJournal(), budget, prices.price_in or 0.0, prices.price_out or 0.0)
    review = partial(_review_row, rules=rules, ports=Ports(models), asked=asked, fence_key=secrets.token_hex(16))
    try:
        with ThreadPoolExecutor(audit.concurrency, thread_name_prefix="autodata-audit") as pool:
            futures = [pool.submit(review, row) for row in rows]
            try:
                return [future.result() for future in futures]
            except BaseException:
                pool.shutdown(cancel_futures=True)  # a dead model ends the audit at once
                raise
    finally:
        asyncio.run(_close(workspace))


def _review_row(
    row: RowOpinions, *, rules: AuditRules, ports: Ports, asked: Sequence[str], fence_key: str
) -> RowOpinions:
    opinions = []
    for name in asked:
        try:
            opinions.append(ask_reviewer(name, row.row, rules.of(row.row), ports, fence_key))
        except BudgetSpentError:
            opinions.append(GateOpinion(name, None, "the budget is spent"))
    return row.plus(opinions)


async def _close(workspace: Workspace) -> None:
    for model in workspace.models.values():
        if (close := getattr(model, "aclose", None)) is not None:
            await close()


def _deciders(workspace: Workspace | None, asked: Sequence[str]) -> dict[str, str]:
    by = {"control": "verifier", "duplicate": "coverage"}
    for name in asked if workspace else ():
        role = "check" if name == "quality" else CRITICS[name.removeprefix("critic.")]
        by[name] = workspace.models[role].identity.name if workspace else ""
    return by


# --- what the card says of the audit ----------------------------------------------------------------------------------


def _data_facts(audit: Audit, mapped: MappedRows) -> list[tuple[str, str]]:
    forms = ", ".join(f"{name} {n}" for name, n in mapped.forms.items())
    facts: list[tuple[str, str]] = [
        ("data", Quoted(f"{audit.data.name}, {len(mapped.rows)} rows, sha256 {_sha256(audit.data)[:16]}")),
        ("read as", Quoted(f"{forms}; {', '.join(audit.mapping)}" if audit.mapping else forms)),
    ]
    if mapped.blank:
        facts.append(("blank lines", str(mapped.blank)))
    if mapped.repeated_ids:
        ids = mapped.repeated_ids
        more = f" and {len(ids) - 5} more" if len(ids) > 5 else ""
        facts.append(("repeated ids", Quoted(f"{len(ids)} ids stand for several rows: {', '.join(ids[:5])}{more}")))
    with_source = sum(row.source is not None for row in mapped.rows)
    facts.append(("sources", f"{with_source} of {len(mapped.rows)} rows have the text they rest on"))
    return facts


def _rule_facts(
    workspace: Workspace | None,
    rows: Sequence[AuditRow],
    verifiers: Mapping[str, Verifier],
    near: str,
    asked: Sequence[str],
) -> list[tuple[str, str]]:
    used = [verifiers[kind].version for kind in _check_kinds(rows) if kind in verifiers]
    if workspace is None:
        rules = "the rules for rows of their form; no recipe was given"
    else:
        # The protocol holds every prompt; where nobody is asked they measure nothing.
        rules = f"recipe {workspace.file.name}" + (f", protocol {workspace.rules.protocol.hash[:16]}" if asked else "")
    models = {name: decider for name, decider in _deciders(workspace, asked).items() if name in asked}
    said = ", ".join(f"{name} by {model}" for name, model in models.items())
    return [
        ("measured by", rules),
        ("verifiers", ", ".join(used) or "none: no row has a check that can be run"),
        ("duplicates", near),
        ("models", said or "none asked: what only a model can see is not looked at"),
    ]


def _gold_facts(audit: Audit, gold: GoldFigures | None) -> list[tuple[str, str]]:
    if audit.gold is None or gold is None:
        return [("gold", "none")]
    made = audit.gold_by or "not said (--gold-by says it)"
    return [
        ("gold", Quoted(f"{audit.gold.name}, sha256 {_sha256(audit.gold)[:16]}")),
        ("made by", Quoted(made)),
    ]


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


# --- files ------------------------------------------------------------------------------------------------------------

_SHOWN = ("question", "context", "answer", "rubric", "check", "source")
"""What a person who labels is shown. Not what the filter said, which would be taken for a hint."""


def _write(audit: Audit, found: AuditReport, card: Card) -> tuple[Path, ...]:
    out = audit.out or Path()
    try:
        out.mkdir(parents=True, exist_ok=True)
        written = [
            _replace(out / "CARD.md", card_markdown(card)),
            _replace(out / "opinions.jsonl", _lines(_opinions(row) for row in found.rows)),
        ]
        if audit.sample is not None:
            drawn = draw_sample(found.rows, audit.sample, audit.seed)
            written.append(_write_sample(out / TO_LABEL, _lines(_to_label(one) for one in drawn)))
    except OSError as error:
        raise StoreError(f"{str(out)!r} cannot be written: {error.strerror}. Give another --out.") from error
    return tuple(written)


def _write_sample(path: Path, text: str) -> Path:
    """Write a sample, and never over labels that somebody made."""
    if path.exists() and path.read_text("utf-8") != text:
        raise StoreError(f"{str(path)!r} exists and may hold labels. Move it away, or give another --out.")
    return _replace(path, text)


def _replace(path: Path, text: str) -> Path:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(text, "utf-8", newline="\n")
    temporary.replace(path)
    return path


def _lines(rows: Iterable[Mapping[str, Any]]) -> str:
    """Return one JSON object a line, readable for people; characters that some readers take for line ends are escaped."""
    found = []
    for row in rows:
        line = json.dumps(row, ensure_ascii=False, allow_nan=False)
        found.append(line.replace("\x85", "\\u0085").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029") + "\n")
    return "".join(found)


def _opinions(row: RowOpinions) -> dict[str, Any]:
    said = [{"gate": o.gate, "passed": o.passed, "detail": o.detail} for o in row.opinions]
    head = {"line": row.row.line, "id": row.row.id, "refused": row.refused, "flags": list(row.flags)}
    return {**head, "opinions": said}


def _to_label(one: Drawn) -> dict[str, Any]:
    row, candidate = one.row.row, one.row.row.candidate
    shown: dict[str, Any] = {"question": None, "context": None, "answer": None}
    if candidate is not None:
        shown = {
            "question": candidate.question,
            "context": candidate.context,
            "answer": candidate.reference_answer,
            "rubric": [c.to_json() for c in candidate.rubric] if candidate.rubric else None,
            "check": candidate.check.to_json() if candidate.check else None,
        }
    source = row.source.text if row.source else None
    head = {"id": row.id, "line": row.line, "inclusion": str(one.inclusion)}
    note = row.fault if candidate is None else ""
    return {**head, **shown, "source": source, "label": None, "faults": None, "note": note}
