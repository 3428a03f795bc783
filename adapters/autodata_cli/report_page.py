"""`report.html`: what a run gave, for a browser. Reads a run folder; how a page is made safe is in `pages`."""

from __future__ import annotations

import json
import os
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autodata_adapters.stores import SqliteRunStore
from autodata_cli.covering import Coverage, read_coverage
from autodata_cli.pages import Html, bar, element, fold, join, page, section, table
from autodata_cli.reporting import Report, open_finished_run, read_report
from autodata_core.coverage import TopicMap, band_of
from autodata_core.coverage.advising import KINDS
from autodata_core.coverage.collapse import LEAST_TEXTS
from autodata_core.coverage.wording import (
    cell_words,
    closing_words,
    document_lines,
    figure_lines,
    gap_lines,
    pointed_words,
    short,
    summary_lines,
    targets_note,
    topic_lines,
)
from autodata_core.errors import StoreError
from autodata_core.item import ItemState
from autodata_core.records import Attempt, Example, Round, Source, Usage
from autodata_core.summary import average

__all__ = ["report_page", "write_report_page"]

_ROWS = 8
_OPEN = 3
"""Rows that can be read without asking."""
_REFUSED = 12
_PER_KIND = 3
_LONG = 700
_MOST_LINES = 40

_STATUS = {"accepted": "kept", "given_up": "given up", "quarantined": "quarantined", "infra": "no answer"}


@dataclass(frozen=True)
class _Shown:
    """A kept row with what it rests on."""

    row: Example
    topic: str
    round: Round | None
    """The round that was kept; None where the item cannot be read."""
    passage: str


@dataclass(frozen=True)
class _Run:
    """Everything the page says."""

    name: str
    domain: str
    policy: str
    models: Mapping[str, str]
    report: Report
    coverage: Coverage
    rows: tuple[_Shown, ...]
    refused: tuple[Mapping[str, Any], ...]
    versions: tuple[tuple[str, str], ...]


def write_report_page(folder: Path, out: Path | None = None) -> Path:
    """Write the report of a run as a page and return its path, `report.html` in the run folder unless `out` says otherwise.

    Raises:
        StoreError: It is not a run folder, or the page cannot be written.
    """
    path = out or folder / "report.html"
    content = report_page(folder)
    temporary = ""
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(handle, "w", encoding="ascii", newline="\n") as file:
            file.write(content)
        os.replace(temporary, path)
    except OSError as error:
        with suppress(OSError):
            os.unlink(temporary)
        raise StoreError(f"{path} cannot be written: {error.strerror}. Say where it can: --out FILE.") from error
    return path


def report_page(folder: Path) -> str:
    """Return the report of a run as one HTML page. The same run gives the same bytes.

    Raises:
        StoreError: It is not a run folder, or it is damaged.
    """
    run = _read(folder)
    parts = [
        _head(run),
        _tiles(run),
        section("questions", "What became of the questions", *_questions(run)),
        section("rows", "What the rows look like", *_rows(run)),
        section("coverage", "What is covered, and what is missing", *_coverage(run)),
    ]
    if run.coverage.report.batches:
        parts.append(section("batches", "Where each batch was sent", *_batches(run)))
    parts += [
        section("variety", "Is it varied?", *_variety(run)),
        section("refused", "What was refused", *_refused(run)),
        section("cost", "What it cost", *_cost(run)),
        section("made", "How it was made", *_made(run)),
        element("footer", "Made by autodata from run.db alone. CARD.md says how the filter was checked, "
                "and what nobody verified."),
    ]  # fmt: skip
    return page(f"{run.name}: report", *parts)


# --- reading ----------------------------------------------------------------------------------------------------------


def _read(folder: Path) -> _Run:
    report, coverage = read_report(folder), read_coverage(folder)
    with open_finished_run(folder) as store:
        recipe = json.loads(store.get_meta("recipe_json") or "{}")
        protocol = json.loads(store.get_meta("protocol_json") or "{}")
        bound = store.bound()
        forked = json.loads(store.get_meta("forked_from") or "{}")
        facts = [
            ("recipe", bound.get("recipe")),
            ("protocol", bound.get("protocol")),
            ("sources", bound.get("sources")),
        ]
        facts += [
            ("embedder", bound.get("embedder")),
            ("run", store.get_meta("run_id")),
            ("fork of", forked.get("run")),
        ]
        return _Run(
            name=str(recipe.get("name") or folder.resolve().name),
            domain=_name(recipe.get("domain")),
            policy=_name(protocol.get("policy")),
            models={role: str(made.get("name", "")) for role, made in (protocol.get("models") or {}).items()},
            report=report,
            coverage=coverage,
            rows=tuple(_chosen_rows(store, coverage.topics)),
            refused=tuple(_chosen_refused(store)),
            versions=tuple((name, str(value)) for name, value in facts if value),
        )


def _name(value: Any) -> str:
    return str(value.get("name", "")) if isinstance(value, dict) else str(value or "")


def _chosen_rows(store: SqliteRunStore, topics: TopicMap) -> Iterator[_Shown]:
    """Yield a few rows: the first of each topic and question type, then the next ones."""
    first: dict[tuple[str, str], str] = {}
    others: list[str] = []
    for stored in store.rows():
        body = json.loads(stored.body)
        key = (topics.topic_of(body["source"]["id"]), body["question_type"])
        if key not in first and len(first) < _ROWS:
            first[key] = stored.body
        elif len(others) < _ROWS:
            others.append(stored.body)
    for body_text in [*first.values(), *others][:_ROWS]:
        row = Example.from_json(json.loads(body_text))
        state, source = store.finished(row.provenance.item), store.source(row.source.id)
        history = ItemState.from_json(state).history if state else ()
        kept = next((played for played in history if played.verdict.accepted), None)
        yield _Shown(row, topics.topic_of(row.source.id), kept, _passage(row, source))


def _passage(row: Example, source: Source | None) -> str:
    if source is None or row.source.span is None:
        return ""
    start, end = row.source.span
    return source.text[start:end]


def _chosen_refused(store: SqliteRunStore) -> Iterator[Mapping[str, Any]]:
    """Yield a few refused questions of each kind, the kind with the most first."""
    found: dict[str, list[dict[str, Any]]] = {}
    counts: Counter[str] = Counter()
    for text in store.refused_lines():
        line = json.loads(text)
        kind = line["reasons"][0]["kind"]
        counts[kind] += 1
        if len(found.setdefault(kind, [])) < _PER_KIND and line.get("question"):
            found[kind].append(line)
    yield from [line for kind, _ in counts.most_common() for line in found[kind]][:_REFUSED]


# --- parts of the page ------------------------------------------------------------------------------------------------


def _head(run: _Run) -> Html:
    said = [f"{run.domain} data" if run.domain else "", f"policy {run.policy}" if run.policy else ""]
    said.append(f"stopped: {run.report.stopped}; the same command goes on" if run.report.stopped else "finished")
    links = [("questions", "Questions"), ("rows", "Rows"), ("coverage", "Coverage")]
    links += [("batches", "Batches")] if run.coverage.report.batches else []
    links += [("variety", "Variety"), ("refused", "Refused"), ("cost", "Cost"), ("made", "How it was made")]
    return element(
        "header",
        element("small", "autodata report"),
        element("h1", run.name),
        element("div", " · ".join(part for part in said if part), class_="soft"),
        element("nav", *(element("a", title, href=f"#{name}") for name, title in links)),
    )


def _tiles(run: _Run) -> Html:
    report, found = run.report, run.coverage.report
    summary, finished = report.summary, sum(report.summary.items.values())
    weak, strong = average(summary.weak), average(summary.strong)
    total = _total(report)
    wanted = [line for line in found.cells if line.target]
    tiles = [
        (f"{report.rows:,}", "rows kept"),
        (f"{summary.accepted / finished:.0%}" if finished else "–", f"yield: of {finished:,} finished items"),
        (f"{sum(summary.refusals.values()):,}", "questions refused on the way"),
        (
            f"{strong - weak:+.2f}" if weak is not None and strong is not None else "–",
            "gap: strong minus weak score" if weak is not None else "no scores yet",
        ),
        (f"${total.cost_usd / report.rows:.4f}" if report.rows else "–", f"per row, ${total.cost_usd:.2f} in all"),
        (
            f"{found.document_count - found.documents_without_row} of {found.document_count}",
            "documents have a row",
        ),
    ]
    if wanted and found.wanted_by != "shares":
        reached = sum(line.have >= line.target for line in wanted)
        tiles.append((f"{reached} of {len(wanted)}", "targets reached"))
    made = [element("div", element("b", value), element("span", name), class_="tile") for value, name in tiles]
    return element("div", *made, class_="tiles")


def _questions(run: _Run) -> Iterator[Html]:
    summary = run.report.summary
    kept, refused = summary.accepted, summary.refusals
    whole = max(1, kept + refused.total())
    lines = [("kept", str(kept), bar(kept / whole, "good"))]
    lines += [(KINDS.get(kind, str(kind)), str(n), bar(n / whole, "soft")) for kind, n in refused.most_common()]
    yield table(("outcome", "questions", "share"), lines, numbers=(1,))
    weak, strong, before = average(summary.weak), average(summary.strong), average(summary.weak_refused)
    if weak is None or strong is None:
        return
    yield element("h3", "Do the rows tell a weak model from a strong one?")
    scores = [("strong model on kept rows", strong, "good"), ("weak model on kept rows", weak, "")]
    scores += [("weak model on refused questions", before, "soft")] if before is not None else []
    yield table(
        ("mean score", "0 to 1", ""),
        [(name, f"{value:.2f}", bar(value, kind)) for name, value, kind in scores],
        numbers=(1,),
    )
    rounds = summary.rounds
    yield element("p", f"A kept row took {sum(rounds) / len(rounds):.1f} rounds, at most {max(rounds)}.", class_="soft")
    asked = sum(found.total() for found in summary.controls.values())
    right = sum(found[True] for found in summary.controls.values())
    if asked:
        known = f"Controls, whose outcome is known beforehand, came out right {right} of {asked} times."
        doubt = "" if right == asked else " Look into CARD.md before you trust the marks."
        yield element("p", known + doubt, class_="warn" if doubt else "soft")


def _rows(run: _Run) -> Iterator[Html]:
    if not run.rows:
        yield element("p", "No row was kept yet.")
        return
    yield element(
        "p",
        f"{len(run.rows)} of {run.report.rows:,} rows, one of each topic and question type as far as they go. "
        "All of them are in dataset.jsonl.",
        class_="soft",
    )
    for n, shown in enumerate(run.rows):
        row = _row(shown, first=n == 0)
        yield row if n < _OPEN else element("div", fold(short(shown.row.question, 160), row), class_="row")


def _row(shown: _Shown, *, first: bool = False) -> Html:
    row = shown.row
    band = band_of(row.scores.weak)
    tags = [row.question_type, shown.topic, band if band != "any" else "", row.source.id, ", ".join(row.skills)]
    parts = [
        element("div", " · ".join(short(tag, 80) for tag in tags if tag), class_="tags"),
        element("div", row.question, class_="said ask"),
    ]
    if row.context.strip():
        parts += _text("what the solver is told besides", row.context)
    parts += _text("reference answer", row.reference_answer)
    if shown.passage:
        parts += _text("passage of the document that it rests on", shown.passage, "quote")
    parts += [element("div", "why it was kept", class_="label"), element("div", _why(row), class_="said")]
    parts += _marks(row, shown.round, first)
    return element("div", *parts, class_="row")


def _text(name: str, text: str, kind: str = "") -> list[Html]:
    said = element("div", text, class_=f"said {kind}".strip())
    if len(text) <= _LONG:
        return [element("div", name, class_="label"), said]
    return [fold(f"{name} ({len(text):,} characters)", said)]


def _why(row: Example) -> str:
    scores = row.scores
    lines = [f"Policy {row.verdict.policy}: weak {_numbers(scores.weak)}, strong {_numbers(scores.strong)}, "
             f"gap {scores.gap:+.2f}, in round {row.round}."]  # fmt: skip
    if row.check is not None:
        lines.append(f"Answers are verified by a check of kind {row.check.kind}.")
    said = {name: shadow.accepted for name, shadow in row.verdict.shadow.items()}
    agree, against = [n for n, a in said.items() if a], [n for n, a in said.items() if a is False]
    if said:
        lines.append(
            f"Other policies: {', '.join(agree) or 'none'} would keep it, {', '.join(against) or 'none'} would not."
        )
    if row.provenance.flags:
        lines.append(f"Look at it: {', '.join(row.provenance.flags)}.")
    return " ".join(lines)


def _numbers(values: Sequence[float]) -> str:
    return " ".join(f"{value:.2f}".rstrip("0").rstrip(".") for value in values) or "–"


def _marks(row: Example, played: Round | None, unfolded: bool) -> list[Html]:
    """Return who met which criterion, and what was answered."""
    if played is None:
        return []
    attempts = [(f"weak {a.index + 1}", a) for a in played.weak] + [(f"strong {a.index + 1}", a) for a in played.strong]
    parts = []
    if row.rubric:
        head = ("criterion", "weight", *(name for name, _ in attempts))
        lines = [
            (line.criterion, f"{line.weight:+d}", *(_mark(attempt, n, line.weight) for _, attempt in attempts))
            for n, line in enumerate(row.rubric)
        ]
        marks = table(head, lines, numbers=range(1, len(head)))
        parts.append(fold("Marks, criterion by criterion", marks, unfolded=unfolded))
    answers = [
        (
            name,
            ", ".join(attempt.flags) or "–" if row.rubric else _mark(attempt, 0),
            element("div", (attempt.answer or "–")[:_LONG], class_="said"),
        )
        for name, attempt in attempts
    ]
    head = ("solver", "flags" if row.rubric else "right", "answer")
    parts.append(fold("What they answered", table(head, answers), unfolded=unfolded and not row.rubric))
    return parts


def _mark(attempt: Attempt, n: int, weight: int = 1) -> str:
    """Return whether a criterion is met; green is what earns points, or a fault that was not made."""
    if attempt.marks is None or n >= len(attempt.marks):
        return "–"
    met = attempt.marks[n]
    return element("span", "✓" if met else "✗", class_="good" if met is (weight > 0) else "stop")


def _coverage(run: _Run) -> Iterator[Html]:
    report = run.coverage.report
    yield element("p", " ".join(summary_lines(report)))
    if report.gaps:
        yield element("h3", "Missing")
        head = ("what", "have", "wanted", "so far")
        yield table(head, gap_lines(report)[:_MOST_LINES], numbers=(1, 2))
        yield from _more(len(report.gaps), _MOST_LINES)
        yield element("p", targets_note(report), class_="soft")
    if report.advice:
        yield element("h3", "What to do")
        yield element("ol", *(_advice(advice.text, advice.missing, advice.cells) for advice in report.advice))
    if report.topics:
        yield element("h3", "Topics")
        yield table(("topic", "rows", "wanted", "documents"), topic_lines(report), numbers=(1, 2))
    if report.cells:
        yield _figure("Rows by topic and kind of question, of the rows wanted.", run.coverage.heat_map())
    if documents := document_lines(report):
        yield element("h3", "Documents without a row")
        yield table(("document", "refused", "it begins"), documents[:_MOST_LINES], numbers=(1,))
        yield from _more(report.documents_without_row, _MOST_LINES)
    if report.missing_skills:
        yield element("h3", "Skills that other topics need and these do not")
        yield table(("topic", "skills"), [(t, ", ".join(names[:8])) for t, names in report.missing_skills.items()])
    if run.coverage.points:
        yield _figure(
            "Documents and rows by their words: what lies close together speaks of the same. A ring is a document that no "
            "row is near. Two directions show only part of the distances.",
            run.coverage.map(),
        )


def _advice(text: str, missing: int, cells: Sequence[Any]) -> Html:
    places = "; ".join(short(cell_words(cell), 70) for cell in cells[:4])
    more = f"; and {len(cells) - 4} more" if len(cells) > 4 else ""
    rows = "1 row" if missing == 1 else f"{missing:,} rows"
    return element("li", text, Html("<br>"), element("small", f"{rows}: {places}{more}"))


def _more(whole: int, shown: int) -> Iterator[Html]:
    if whole > shown:
        yield element("p", f"and {whole - shown:,} more, in coverage.json", class_="soft")


def _figure(caption: str, svg: str) -> Html:
    # The core escapes every label of its drawings.
    return element("figure", element("figcaption", caption), element("div", Html(svg), class_="wide"))


def _batches(run: _Run) -> Iterator[Html]:
    batches = run.coverage.report.batches
    lines: list[tuple[str, ...]] = []
    for number, batch in list(enumerate(batches, start=1))[-_MOST_LINES:]:
        parts = [element("small", part, Html("<br>")) for part in pointed_words(batch, 6)]
        asked = join([element("div", f"{batch.items} items"), *parts])
        share = Html("") if batch.filled_after is None else bar(batch.filled_after, "good")
        came = element("div", closing_words(batch) or "not known yet", share)
        lines.append((str(number), asked, "–" if batch.gaps_open is None else str(batch.gaps_open), came))
    said = "Each batch is planned from what is lacking then; the next look shows whether that was filled. "
    said += "Shares are of all rows that the run wants."
    yield element("p", said, class_="soft")
    yield table(("batch", "asked for", "gaps then", "what came of it"), lines, numbers=(2,))


def _variety(run: _Run) -> Iterator[Html]:
    report = run.coverage.report
    if report.figures is None or report.figures.texts < LEAST_TEXTS:
        yield element("p", f"There are {report.rows} rows; from {LEAST_TEXTS} on there is something to say.")
        return
    worst = "stop" if any(a.level == "stop" for a in report.alarms) else "warn" if report.alarms else ""
    said = {
        "": "Nothing points to collapse.",
        "warn": "Some figures are worth a look.",
        "stop": "The data set falls in on itself.",
    }
    yield element("p", f"{said[worst]} Taken over the newest of {report.figures.texts:,} kept questions.")
    marks = {"": ("fine", "good"), "warn": ("watch this", "warn"), "stop": ("stop and look", "stop")}
    lines = [
        (line.name, line.value, line.limit or "known against human rows only",
         element("span", marks[line.level][0], class_=marks[line.level][1]) if line.limit or line.level else "–")
        for line in figure_lines(report.figures, report.alarms)
    ]  # fmt: skip
    yield table(("figure", "value", "limit", ""), lines, numbers=(1,))


def _refused(run: _Run) -> Iterator[Html]:
    if not run.refused:
        yield element("p", "No question was refused.")
        return
    counts = run.report.summary.refusals
    yield element(
        "p",
        f"{len(run.refused)} of {counts.total():,} refused questions, a few of each kind. All: refused.jsonl.",
        class_="soft",
    )
    lines = []
    for line in run.refused:
        reason = line["reasons"][0]
        weak = [value for value in line["scores"]["weak"] if value is not None]
        asked = [element("div", short(line["question"], 400))]
        asked.append(element("small", f"{line['source']}, round {line['round']}"))
        why = [element("div", KINDS.get(reason["kind"], reason["kind"]))]
        why.append(element("small", short(reason["detail"], 300)))
        lines.append((join(asked), join(why), _numbers(weak)))
    yield table(("question", "why", "weak scores"), lines)


def _cost(run: _Run) -> Iterator[Html]:
    total, report = _total(run.report), run.report
    estimated = " Some tokens were counted here, since the provider did not say." if total.estimated else ""
    yield element("p", f"${total.cost_usd:.4f} for {total.calls:,} calls and {_tokens(total):,} tokens "
                  f"in {report.seconds:,.0f} seconds.{estimated}")  # fmt: skip
    head = ("", "calls", "tokens", "US$", "share of cost" if total.cost_usd else "share of tokens")
    yield element("h3", "By role")
    yield table(head, _usage(report.spent, total), numbers=(1, 2, 3))
    yield element("h3", "By outcome of the item")
    outcomes = {_STATUS.get(name, name): usage for name, usage in sorted(report.summary.usage_by_outcome.items())}
    yield table(head, _usage(outcomes, total), numbers=(1, 2, 3))
    if report.possibly_billed_twice:
        yield element(
            "p",
            f"{report.possibly_billed_twice} calls may be billed twice, after a crash or where no answer came.",
            class_="warn",
        )


def _usage(spent: Mapping[str, Usage], total: Usage) -> list[tuple[str, ...]]:
    def share(usage: Usage) -> float:
        if total.cost_usd:
            return usage.cost_usd / total.cost_usd
        return _tokens(usage) / max(1, _tokens(total))

    return [
        (name, f"{usage.calls:,}", f"{_tokens(usage):,}", f"{usage.cost_usd:.4f}", bar(share(usage)))
        for name, usage in spent.items()
    ]


def _made(run: _Run) -> Iterator[Html]:
    yield table(("role", "model"), list(run.models.items()))
    yield element("h3", "Versions")
    yield table(("what", "name or hash"), [(name, value[:64]) for name, value in run.versions])
    if run.report.unsuited:
        yield element("h3", "Documents that gave no question at all")
        yield element("ol", *(element("li", short(line, 200)) for line in run.report.unsuited[:10]))


def _total(report: Report) -> Usage:
    total = Usage()
    for usage in report.spent.values():
        total = total.plus(usage)
    return total


def _tokens(usage: Usage) -> int:
    return usage.input_tokens + usage.output_tokens
