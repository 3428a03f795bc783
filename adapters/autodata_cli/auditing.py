"""`autodata audit`: runs the filter over a data set that exists, and writes what it found. The figures are made in the core."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from autodata_adapters.coverage import create_embedder
from autodata_adapters.coverage.embedders import Embedder, embed
from autodata_adapters.coverage.indexed import index_for
from autodata_adapters.coverage.vectors import Entry, to_unit
from autodata_adapters.sources import load_sources
from autodata_adapters.sources.mapped import MappedRows, SourceIndex, parse_mapping, read_objects, read_rows
from autodata_cli.audit_cards import audit_card
from autodata_cli.audit_files import SHOWN, write_findings
from autodata_cli.audit_models import review_rows
from autodata_cli.cards import Card, Quoted
from autodata_cli.workspace import Workspace, open_workspace
from autodata_core.agreement import BAR
from autodata_core.audit import (
    AuditReport,
    AuditRow,
    GoldFigures,
    audit_rules,
    draw_sample,
    judge_row,
    match_gold,
    read_gold_line,
    report,
    reviewers,
)
from autodata_core.bridges import installed_verifiers
from autodata_core.driver import Ports
from autodata_core.errors import AutodataError, MissingExtraError, RecordError
from autodata_core.ports import CoverageAsk, CoverageMap, CoverageReply, NoCoverage, Verifier
from autodata_core.records import Source
from autodata_core.roles import CRITICS
from autodata_core.verify import EXACT_VERIFIERS

__all__ = ["Audit", "AuditResult", "MemoryCoverage", "check_bar", "run_audit"]


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
        self._index = index_for(embedder)
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
    verifiers = _verifiers(mapped.rows, workspace)
    rules = audit_rules(workspace.rules if workspace else None, verifiers)
    coverage, near = _coverage(workspace)
    ports = Ports(models={}, coverage=coverage, verifiers=verifiers)
    said = [judge_row(row, rules.of(row), ports) for row in mapped.rows]
    asked = reviewers(workspace.rules) if workspace and not audit.rules_only else ()
    if workspace and asked:
        said = review_rows(said, asked, rules, workspace, budget_usd=audit.budget_usd, concurrency=audit.concurrency)
    models = _models_by_gate(workspace, asked) if workspace else {}
    found = report(said, by={"control": "verifier", "duplicate": "coverage", **models}, gold=gold, bar=audit.bar)
    facts = [
        *_data_facts(audit, mapped),
        *_rule_facts(workspace, mapped.rows, verifiers, near, models),
        *_gold_facts(audit),
    ]
    card = audit_card(found, title=f"How good is the filter on {audit.data.name}?", facts=facts)
    if audit.out is None:
        return AuditResult(found, card)
    drawn = None if audit.sample is None else draw_sample(found.rows, audit.sample, audit.seed)
    return AuditResult(found, card, write_findings(audit.out, card, found.rows, drawn))


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
    figures = match_gold(rows, lines)
    # What a sample shows to people stands in the file without meaning anything here.
    return replace(figures, ignored=tuple(key for key in figures.ignored if key not in SHOWN))


def _verifiers(rows: Sequence[AuditRow], workspace: Workspace | None) -> dict[str, Verifier]:
    """Return the exact ones, those that a row names, and those of the recipe, by kind."""
    installed = installed_verifiers()
    named = {kind: installed[kind] for kind in _check_kinds(rows) if kind in installed}
    return {**EXACT_VERIFIERS, **named, **(workspace.verifiers if workspace else {})}


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


def _models_by_gate(workspace: Workspace, asked: Sequence[str]) -> dict[str, str]:
    """Return the name of the model that answers for each reviewer."""
    roles = {name: "check" if name == "quality" else CRITICS[name.removeprefix("critic.")] for name in asked}
    return {name: workspace.models[role].identity.name for name, role in roles.items()}


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
    models: Mapping[str, str],
) -> list[tuple[str, str]]:
    used = [verifiers[kind].version for kind in _check_kinds(rows) if kind in verifiers]
    if workspace is None:
        rules = "the rules for rows of their form; no recipe was given"
    else:
        # The protocol holds every prompt; where nobody is asked they measure nothing.
        rules = f"recipe {workspace.file.name}" + (f", protocol {workspace.rules.protocol.hash[:16]}" if models else "")
    said = ", ".join(f"{name} by {model}" for name, model in models.items())
    return [
        ("measured by", rules),
        ("verifiers", ", ".join(used) or "none: no row has a check that can be run"),
        ("duplicates", near),
        ("models", said or "none asked: what only a model can see is not looked at"),
    ]


def _gold_facts(audit: Audit) -> list[tuple[str, str]]:
    if audit.gold is None:
        return [("gold", "none")]
    return [
        ("gold", Quoted(f"{audit.gold.name}, sha256 {_sha256(audit.gold)[:16]}")),
        ("made by", Quoted(audit.gold_by or "not said (--gold-by says it)")),
    ]


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
