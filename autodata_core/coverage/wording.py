"""The gap report as a person reads it who knows the documents, not the machinery. What is counted is in `reporting`."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import Literal, NamedTuple

from autodata_core.coverage.advising import kinds_text
from autodata_core.coverage.asking import Asked
from autodata_core.coverage.cells import Cell, Topic
from autodata_core.coverage.collapse import DEFAULT_LIMITS, LEAST_TEXTS, Alarm, Figures
from autodata_core.coverage.reporting import BatchLine, CoverageReport, DocumentLine, document_of

__all__ = [
    "FigureLine",
    "asked_words",
    "cell_words",
    "closing_words",
    "document_lines",
    "figure_lines",
    "gap_lines",
    "pointed_words",
    "report_text",
    "short",
    "summary_lines",
    "targets_note",
    "topic_lines",
]

_SHOWN = 10
"""Lines of a list that are shown; the rest is counted."""
_NAME = 56
_PASSAGE = 60

_FIGURES = {
    "vendi": ("questions that are really different", "share"),
    "self_similarity": ("likeness of two questions", "share"),
    "cell_entropy": ("evenness over topics", "share"),
    "vocabulary_drift": ("words unlike those of the documents", "share"),
    "distinct_2": ("different pairs of words", "share"),
    "distinct_3": ("different triples of words", "share"),
    "compression": ("repetition (compression)", "times"),
    "length_ratio": ("length against human questions", "times"),
}
"""By figure: what it is called, and how its number is written."""


class FigureLine(NamedTuple):
    """One figure of variety for people."""

    name: str
    value: str
    limit: str
    """From where on it is worrying; empty when that is known against human rows only."""
    level: Literal["", "warn", "stop"]


def report_text(report: CoverageReport) -> str:
    """Return the report as plain lines. Whatever comes from documents or models is shown on one line, escaped."""
    parts = [summary_lines(report)]
    if report.topics:
        head = ("TOPICS", "rows", "wanted", "documents")
        parts.append(_table(head, topic_lines(report), more=len(report.topics)))
    if report.gaps:
        missing = _table(("MISSING", "have", "wanted", "so far"), gap_lines(report), more=len(report.gaps))
        parts.append([*missing, f"  {targets_note(report)}"])
    if report.batches:
        parts.append(["BATCHES", *_batches(report.batches)])
    if report.advice:
        parts.append(["WHAT TO DO", *_advice(report)])
    if documents := document_lines(report):
        columns = ("DOCUMENTS WITHOUT A ROW", "refused", "it begins")
        parts.append(_table(columns, documents, more=report.documents_without_row))
    if report.missing_skills:
        shown = [
            f"  {short(t, _NAME)}: {short(', '.join(names[:5]), 90)}" for t, names in report.missing_skills.items()
        ]
        parts.append(["SKILLS THAT OTHER TOPICS NEED AND THESE DO NOT", *_cut(shown, len(shown))])
    parts.append(_variety(report))
    return "\n\n".join("\n".join(lines) for lines in parts)


def summary_lines(report: CoverageReport) -> list[str]:
    """Return what it comes to, in sentences."""
    reasons = kinds_text(report.refused)
    lines = [f"{_count(report.tried, 'question')} tried, {report.rows:,} kept" + (f"; {reasons}." if reasons else ".")]
    lines += _course(report)
    if report.document_count:
        with_row = report.document_count - report.documents_without_row
        lines.append(f"{with_row} of {_count(report.document_count, 'document')} have at least one row.")
    wanted = [line for line in report.cells if line.target]
    if wanted:
        reached = sum(line.have >= line.target for line in wanted)
        rows, total = sum(min(line.have, line.target) for line in wanted), sum(line.target for line in wanted)
        lines.append(
            f"No targets were set. Were rows shared out as the documents are, {rows:,} of {total:,} would be in their place."
            if report.wanted_by == "shares"
            else f"{reached} of {_count(len(wanted), 'target')} reached: {rows:,} of the {total:,} rows wanted are there."
        )
    return lines


def _course(report: CoverageReport) -> list[str]:
    """Return how far the run is and what its items came to, where that is known."""
    course = report.course
    if not course.items:
        return []
    named = {"accepted": "kept", "skipped": "skipped by the challenger", "infra": "without an answer"}
    done = ", ".join(f"{n:,} {named.get(status, status)}" for status, n in sorted(course.done.items()) if n)
    return [f"{sum(course.done.values()):,} of {_count(course.items, 'item')} done" + (f": {done}." if done else ".")]


def targets_note(report: CoverageReport) -> str:
    """Return where the wanted numbers come from."""
    if report.wanted_by == "targets":
        return "Wanted as the run's targets say; most needed first."
    if report.wanted_by == "recipe":
        return "Wanted as the recipe says; this run was not steered, so its questions were not sent there."
    return (
        "This run had no targets. The numbers wanted are shares, not aims: as many rows as items, in proportion to the "
        "documents, over the question types that were written."
    )


def topic_lines(report: CoverageReport) -> list[tuple[str, ...]]:
    """Return name, rows, rows wanted and documents of each topic, as text."""
    return [_topic(report, topic) for topic in report.topics]


def gap_lines(report: CoverageReport) -> list[tuple[str, ...]]:
    """Return cell, rows, rows wanted and what became of the tries of each gap, as text."""
    known = {line.cell: line for line in report.cells}
    lines: list[tuple[str, ...]] = []
    for gap in report.gaps:
        line = known.get(gap.cell)
        if line is not None and line.asked is not None:
            found = asked_words(line.asked, report.course.finished)
            if line.tried and not line.asked.items:  # questions that were left to their documents
                found += f"; {_count(line.tried, 'question')} came to lie there"
        else:
            against = kinds_text(line.refused, 2) if line else ""
            found = f"{line.tried} tried" if line and line.tried else "not tried"
            found += f": {against}" if against else ""
        found += "; repeats itself, no more is asked" if gap.saturated else ""
        lines.append((cell_words(gap.cell), str(gap.have), str(gap.target), found))
    return lines


def asked_words(asked: Asked, finished: bool = False) -> str:
    """Return what became of the items that were asked for a cell, the commonest outcome first."""
    if not asked.items:
        return "no item was asked for it" if finished else "not asked for yet"
    counts = {f"came as {short(name, 30)}": n for name, n in asked.other_type.items()}
    counts |= {f"came out {name}": n for name, n in asked.other_band.items()}
    counts |= {kinds_text({kind: n}).partition(" ")[2]: n for kind, n in asked.refused.items()}
    counts |= {"kept": asked.kept, "skipped by the challenger": asked.skipped, "not done yet": asked.pending}
    ranked = sorted(((n, name) for name, n in counts.items() if n), key=lambda pair: (-pair[0], pair[1]))
    return f"{_count(asked.items, 'item')} asked: " + ", ".join(f"{n:,} {name}" for n, name in ranked)


def document_lines(report: CoverageReport) -> Sequence[tuple[str, ...]]:
    """Return name, refused questions and first words of documents without a row; those farthest from any question first."""
    begins = {line.document: line.begins for line in report.documents}
    far: dict[str, str] = {}
    for region in report.regions:
        far.setdefault(document_of(region.source), region.passage)
    order = {document: n for n, document in enumerate(far)}

    def place(line: DocumentLine) -> tuple[int, str]:
        return order.get(line.document, len(order)), line.document

    without = sorted((line for line in report.documents if not line.rows), key=place)
    return [
        (
            line.document,
            str(line.refused or "–"),
            short(begins[line.document] or far.get(line.document, ""), _PASSAGE) or "–",
        )
        for line in without
    ]


def figure_lines(figures: Figures | None, alarms: Sequence[Alarm] = ()) -> list[FigureLine]:
    """Return the figures of variety that could be taken."""
    if figures is None:
        return []
    levels = {alarm.figure: alarm.level for alarm in reversed(alarms)}
    found = []
    for figure, (name, form) in _FIGURES.items():
        value = getattr(figures, figure)
        if value is not None:
            found.append(FigureLine(name, _number(value, form), _limit(figure, form), levels.get(figure, "")))
    return found


def cell_words(cell: Cell) -> str:
    """Return a cell as people read it: question type and difficulty first, then what about."""
    kind = " ".join(part for part in (cell.band, cell.question_type) if part != "any")
    return f"{kind} questions about {cell.topic}".strip()


def short(text: str, most: int) -> str:
    """Return text of others on one line that moves no cursor and turns no writing."""
    plain = "".join(c if unicodedata.category(c)[0] != "C" else " " for c in text)
    line = " ".join(plain.split())
    return line if len(line) <= most else line[: most - 1] + "…"


def _topic(report: CoverageReport, topic: Topic) -> tuple[str, ...]:
    lines = [line for line in report.cells if line.cell.topic == topic.name]
    rows, wanted = sum(line.have for line in lines), sum(line.target for line in lines)
    names = [_stem(name) for name in report.topic_documents.get(topic.name, ())]
    shown = ", ".join(names[:4]) + (", …" if len(names) > 4 else "")
    size = report.sizes.get(topic.name, 0)
    many = f"{size} parts of" if report.sources > report.document_count else f"{size}:"
    return topic.name, str(rows), str(wanted or "–"), f"{many} {shown}" if shown else str(size)


def _stem(document: str) -> str:
    """Return the name of a file without folder and ending."""
    name = document.rpartition("/")[2]
    return name.rpartition(".")[0] or name


def _advice(report: CoverageReport) -> list[str]:
    lines = []
    for n, advice in enumerate(report.advice[:_SHOWN], start=1):
        places = "; ".join(short(cell_words(cell), 60) for cell in advice.cells[:3])
        more = f"; and {len(advice.cells) - 3} more" if len(advice.cells) > 3 else ""
        lines += [f"  {n}. {advice.text}", f"     {_count(advice.missing, 'row')}: {places}{more}"]
    return lines


def _batches(batches: Sequence[BatchLine]) -> list[str]:
    lines = [] if len(batches) <= _SHOWN else [f"  {len(batches) - _SHOWN} earlier ones"]
    for number, batch in list(enumerate(batches, start=1))[-_SHOWN:]:
        lines += [f"  {number}. {_count(batch.items, 'item')}: {'; '.join(pointed_words(batch))}"]
        lines += [f"     {closing_words(batch)}"] if batch.closing else []
    return lines


def pointed_words(batch: BatchLine, most: int = 3) -> list[str]:
    """Return what a batch was asked for, the most first."""
    shown = [f"{one.items} for {short(cell_words(one.cell), 60)}" for one in batch.pointed[:most]]
    rest = sum(one.items for one in batch.pointed[most:])
    shown += [f"{rest} for {_count(len(batch.pointed) - most, 'other gap')}"] if rest else []
    return shown + ([f"{batch.exploring} left to their documents"] if batch.exploring else [])


def closing_words(batch: BatchLine) -> str:
    """Return what became of the gaps that a batch was planned from; empty while that is not known."""
    found = batch.closing
    if found is None:
        return ""
    parts = [
        f"{len(found.closed)} closed" if found.closed else "",
        f"{len(found.narrowed)} narrowed" if found.narrowed else "",
        f"{len(found.unchanged)} as before" if found.unchanged else "",
        f"{len(found.opened)} new" if found.opened else "",
    ]
    done = ", ".join(part for part in parts if part) or "no gaps"
    if batch.filled_before is None or batch.filled_after is None:
        return f"gaps: {done}"
    return f"gaps: {done}; {batch.filled_before:.0%} → {batch.filled_after:.0%} of all rows wanted are there"


def _variety(report: CoverageReport) -> list[str]:
    if report.figures is None or report.figures.texts < LEAST_TEXTS:
        there = report.figures.texts if report.figures else report.rows
        return ["VARIETY", f"  {_count(there, 'row')}; from {LEAST_TEXTS} on there is something to say."]
    marks = {"": "", "warn": "  watch this", "stop": "  stop and look"}
    lines = [
        f"  {line.name:<38}{line.value:>7}  {line.limit}{marks[line.level]}".rstrip()
        for line in figure_lines(report.figures, report.alarms)
    ]
    return [f"VARIETY of the {report.figures.texts:,} kept questions", *lines]


def _limit(figure: str, form: str) -> str:
    side = {"below": "worrying below", "above": "worrying above"}
    known = [limit for limit in DEFAULT_LIMITS if limit.figure == figure and not limit.relative]
    return ", ".join(f"{side[limit.side]} {_number(limit.warn, form)}" for limit in known)


def _number(value: float, form: str) -> str:
    return f"{value:.0%}" if form == "share" else f"{value:.1f} ×"


def _count(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]], more: int) -> list[str]:
    """Return aligned columns: the first cut to its width, numbers to the right, the last as long as a line has room."""
    shown = [(short(row[0], _NAME), *row[1:-1], short(row[-1], 90)) for row in rows[:_SHOWN]]
    widths = [max(len(row[n]) + (2 if n == 0 else 0) for row in (head, *shown)) for n in range(len(head))]
    lines = []
    for number, row in enumerate((head, *shown)):
        first = f"{'  ' if number else ''}{row[0]}"
        middle = "".join(f"  {cell:>{widths[n]}}" for n, cell in enumerate(row[1:-1], start=1))
        lines.append(f"{first:<{widths[0]}}{middle}  {row[-1]}".rstrip())
    return _cut(lines, more, head=1)


def _cut(lines: Sequence[str], whole: int, head: int = 0) -> list[str]:
    kept = list(lines[: _SHOWN + head])
    return [*kept, f"  and {whole - _SHOWN} more"] if whole > _SHOWN else kept
