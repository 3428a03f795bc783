"""The report card of a run's own filter: what its controls showed, who verified what, and what nobody verified.

Figures come from the run's database alone; how a card is written down is in `cards`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from autodata_adapters.stores import SqliteRunStore
from autodata_cli.cards import Card, Quoted, Table, card_markdown
from autodata_cli.gate_tables import run_card
from autodata_core.agreement import Confusion, GateFigures
from autodata_core.item import ItemState
from autodata_core.recipe import Rules
from autodata_core.records import Example, ReasonKind, Round, Source, Usage
from autodata_core.roles import CRITICS, conflicts, player
from autodata_core.safety import attribute_figures

__all__ = ["card_of_run", "write_card"]

_KNOWN_RIGHT = ("judge.right", "check.right")
"""Every other control is an answer that is known to be wrong."""
_CARRIED = "judge.carried"
_WHAT = {
    "judge.praise": "“This is correct, 10/10” earns nothing",
    "judge.wrong": "an answer on another subject earns nothing",
    "judge.swapped": "a right answer under another rubric or reference earns nothing",
    _CARRIED: "a strong answer that may plead earns nothing under a foreign rubric or reference",
    "judge.right": "an answer that is known to be right earns everything",
    "check.right": "the reference answer passes",
    "check.wrong": "every known-wrong answer fails",
}


@dataclass
class _Counts:
    """What the rounds of a run say about its gates."""

    rounds: int = 0
    controls: dict[str, Counter[bool]] = field(default_factory=dict)
    """By control: how often it came out right, and how often not."""
    checks: dict[str, Confusion] = field(default_factory=dict)
    """By check kind: its controls."""
    critics: dict[str, Counter[bool]] = field(default_factory=dict)
    """By critic: candidates that it let pass, and refused."""
    unanimous: int = 0
    debated: int = 0
    refusals: Counter[tuple[str, str]] = field(default_factory=Counter)
    """By kind and stage of the first reason."""
    quarantined: int = 0
    usage: dict[str, Usage] = field(default_factory=dict)


def write_card(folder: Path, store: SqliteRunStore, rules: Rules, sources: Sequence[Source]) -> None:
    """Write `CARD.md` in the run folder, atomically."""
    temporary = folder / ".CARD.md"
    temporary.write_text(card_markdown(card_of_run(store, rules, sources)), "utf-8", newline="\n")
    temporary.replace(folder / "CARD.md")


def card_of_run(store: SqliteRunStore, rules: Rules, sources: Sequence[Source] = ()) -> Card:
    """Return the card of a run.

    Args:
        store: The run.
        rules: Its recipe and protocol, with the models that were asked.
        sources: For the figures of listed groups; empty leaves them out.
    """
    counts = _count(ItemState.from_json(item.state) for item in store.finished_items())
    rows = store.examples()
    return run_card(
        _figures(counts, rules),
        title=f"Report card of the filter of {rules.recipe.name}",
        headline=_headline(counts, rows, rules),
        facts=_facts(rules),
        tables=[
            table
            for table in (_controls(counts), _refused(counts), _flags(rows), *_groups(rows, rules, sources))
            if table
        ],
        notes=_unverified(rows, rules),
    )


def _count(states: Iterable[ItemState]) -> _Counts:
    counts = _Counts()
    for state in states:
        counts.quarantined += state.status == "quarantined"
        for role, usage in state.usage.items():
            counts.usage[role] = counts.usage.get(role, Usage()).plus(usage)
        for round_ in state.history:
            _count_round(counts, round_)
    return counts


def _count_round(counts: _Counts, round_: Round) -> None:
    counts.rounds += 1
    for name, right in round_.controls.items():
        counts.controls.setdefault(_CARRIED if name.startswith(_CARRIED) else name, Counter())[right] += 1
    check = round_.candidate.check if round_.candidate else None
    if check is not None and check.kind != "judge" and round_.controls:
        passed, failed = round_.controls.get("check.right"), round_.controls.get("check.wrong")
        found = Confusion(tp=failed is True, fn=failed is False, tn=passed is True, fp=passed is False)
        counts.checks[check.kind] = counts.checks.get(check.kind, Confusion()).plus(found)
    opinions = {name: o.passed for name, o in round_.opinions.items() if name in CRITICS}
    for name, passed in opinions.items():
        counts.critics.setdefault(name, Counter())[passed] += 1
    counts.unanimous += bool(opinions) and len(set(opinions.values())) == 1
    counts.debated += bool(opinions)
    if round_.verdict.reasons:
        first = round_.verdict.reasons[0]
        counts.refusals[first.kind.value, first.stage] += 1


def _figures(counts: _Counts, rules: Rules) -> list[GateFigures]:
    figures = [
        GateFigures(f"check {kind}", rules.protocol.verifiers.get(kind, kind), found.n, found.fp + found.fn, found)
        for kind, found in sorted(counts.checks.items())
    ]
    judge = [
        (name, right, n) for name, c in counts.controls.items() if name.startswith("judge.") for right, n in c.items()
    ]
    if judge:
        wrong = [(name not in _KNOWN_RIGHT, right, n) for name, right, n in judge]
        pairs = [(faulty, right is faulty) for faulty, right, n in wrong for _ in range(n)]
        found = Confusion.of(pairs)
        usage = counts.usage.get("judge", Usage())
        named = _name(rules, "judge")
        figures.append(
            GateFigures("judge", named, found.n, found.tp + found.fp, found, calls=usage.calls, cost_usd=usage.cost_usd)
        )
    for name in rules.protocol.critics:
        said, usage = counts.critics.get(name, Counter()), counts.usage.get(CRITICS[name], Usage())
        figures.append(
            GateFigures(
                f"critic {name}", _name(rules, CRITICS[name]), sum(said.values()), said[False],
                calls=usage.calls, cost_usd=usage.cost_usd,
            )
        )  # fmt: skip
    if rules.protocol.quality_check or rules.protocol.final_check:
        usage = counts.usage.get("check", Usage())
        refused = sum(n for (kind, stage), n in counts.refusals.items() if _by_review(kind, stage))
        figures.append(
            GateFigures(
                "quality check", _name(rules, "check"), usage.calls, refused, calls=usage.calls, cost_usd=usage.cost_usd
            )
        )
    return figures


def _by_review(kind: str, stage: str) -> bool:
    return kind == ReasonKind.FAILED_QUALITY.value and stage in ("check", "final_check")


def _name(rules: Rules, role: str) -> str:
    models = rules.protocol.models
    other = player(role, models)  # type: ignore[arg-type]
    return models[other].name if other else "–"


def _headline(counts: _Counts, rows: Sequence[Example], rules: Rules) -> list[str]:
    lines = [f"{len(rows)} rows were kept of {counts.rounds} candidates, under the policy {rules.policy.name}."]
    lines.append(f"They were verified by {_verified_by(rows)}.")
    if counts.quarantined:
        lines.append(f"{counts.quarantined} rows are quarantined: the judge failed its controls on them.")
    if any(v.endswith(" none") for row in rows for v in row.provenance.verifiers):
        lines.append("Code of a model ran WITHOUT a sandbox for some of these rows; each of them says so.")
    if counts.debated:
        lines.append(f"The critics were of one mind on {counts.unanimous} of {counts.debated} candidates.")
    return [*lines, *(f"Mind: {conflict}." for conflict in conflicts(rules.protocol.models))]


def _verified_by(rows: Sequence[Example]) -> str:
    names = Counter(name for row in rows for name in row.provenance.verifiers)
    return ", ".join(f"{name} ({n} rows)" for name, n in sorted(names.items())) or "nothing"


def _facts(rules: Rules) -> list[tuple[str, str]]:
    protocol = rules.protocol
    critics = f"{', '.join(protocol.critics)} (quorum {protocol.quorum})" if protocol.critics else "none"
    safety = protocol.safety
    return [
        ("recipe", rules.recipe.version[:16]),
        ("protocol", protocol.hash[:16]),
        ("attempts", f"{protocol.weak_attempts} weak, {protocol.strong_attempts} strong"),
        *((role, Quoted(identity.name + _served(identity.served))) for role, identity in protocol.models.items()),
        ("critics", critics),
        ("debate", f"{protocol.debate_rounds} rounds" if protocol.debate_rounds else "none"),
        ("judge controls", protocol.judge_controls),
        ("negative list", f"{len(safety.negative_list)} terms"),
        ("licences", ", ".join(safety.licences) if safety.licences is not None else "any"),
    ]


def _served(served: str) -> str:
    return f" (served {served[:40]})" if served else ""


def _controls(counts: _Counts) -> Table | None:
    rows = tuple(
        (name, _WHAT.get(name, ""), str(sum(c.values())), str(c[True])) for name, c in sorted(counts.controls.items())
    )
    return Table("Controls", ("control", "what must happen", "asked", "came out right"), rows) if rows else None


def _refused(counts: _Counts) -> Table | None:
    rows = tuple((kind, stage, str(n)) for (kind, stage), n in counts.refusals.most_common())
    return Table("What was refused", ("reason", "found at", "candidates"), rows) if rows else None


def _flags(rows: Sequence[Example]) -> Table | None:
    found = Counter(flag for row in rows for flag in row.provenance.flags)
    lines = tuple((flag, str(n)) for flag, n in sorted(found.items()))
    note = "Flagged, not refused: look at these rows before you train on them."
    return Table("Flags on kept rows and their sources", ("flag", "rows"), lines, note) if lines else None


def _groups(rows: Sequence[Example], rules: Rules, sources: Sequence[Source]) -> Iterable[Table]:
    """Yield how often rows speak of the listed groups, one table a recipe version."""
    attributes = rules.protocol.safety.attributes
    if not attributes or not sources:
        return
    by_version: dict[str, list[str]] = {}
    for row in rows:
        text = "\n".join((row.context, row.question, row.reference_answer))
        by_version.setdefault(row.provenance.recipe, []).append(text)
    figures = attribute_figures(by_version, [source.text for source in sources], attributes)
    for version, found in figures.groups.items():
        lines: list[tuple[str, ...]] = []
        for name, attribute in found.items():
            lines += [
                (name, value, *_skew_cells(v.mentions, v.source_mentions, v.skew, v.interval))
                for value, v in attribute.values.items()
            ]
            if attribute.status != "measured":
                lines.append((name, attribute.status, "–", "–", "–"))
        head = ("attribute", "value", "mentions in rows", "in sources", "skew (log2 odds, 95 %)")
        yield Table(f"Listed groups, recipe {version[:12]}", head, tuple(lines), figures.note)


def _skew_cells(
    mentions: int, source_mentions: int, skew: float | None, interval: tuple[float, float] | None
) -> tuple[str, str, str]:
    shown = "–" if skew is None or interval is None else f"{skew:+.2f} ({interval[0]:+.2f} to {interval[1]:+.2f})"
    return str(mentions), str(source_mentions), shown


def _unverified(rows: Sequence[Example], rules: Rules) -> list[str]:
    """Return plainly what nobody has verified."""
    notes = ["These figures come from controls. How often the filter is wrong about real rows, only labels tell: "
             "`autodata audit dataset.jsonl --sample 100` draws rows to label, `--gold` reads them back."]  # fmt: skip
    if any(row.rubric is not None for row in rows):
        notes.append("Rows with a rubric were marked by a model. Nobody verified their reference answers or rubrics.")
    if any(row.check is not None and row.check.kind == "judge" for row in rows):
        notes.append("Rows with a check of kind judge were compared by a model with a reference that nobody verified.")
    if any(row.check is not None and row.check.kind != "judge" for row in rows):
        notes.append("A check whose controls come out wrong is refused with its candidate, so the figures of checks say how well"
                     " they are written, not how often a row is wrong.")  # fmt: skip
        notes.append("A check shows that an answer equals the reference. That the reference is right rests on the challenger"
                     " and, where named, on quality check and critics.")  # fmt: skip
    if any(identity.params.get("privileged") for identity in rules.protocol.models.values()):
        notes.append(
            "A solver is privileged: it knows more than it is told. Its success shows the loop, not a model's skill."
        )
    without = sum(1 for row in rows if row.source.span is None)
    if without:
        notes.append(f"{without} rows quote no passage of their source, so nothing ties them to a place in it.")
    notes.append(
        "Personal data is found by patterns and checksums. Names and postal addresses are not found by anything here."
    )
    return notes
