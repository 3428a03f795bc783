"""Text about a run: the report, the rows of a preview, sizes for people. Reads a run folder, writes nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autodata_adapters.stores import SqliteRunStore
from autodata_core.errors import StoreError
from autodata_core.records import Example, Usage
from autodata_core.summary import Summary, average, summarise

__all__ = ["Report", "estimate_text", "open_finished_run", "read_report", "report_text", "row_text"]


@dataclass(frozen=True)
class Report:
    """What a run folder says."""

    summary: Summary
    rows: int
    items: int
    """Items the run has, finished, planned or not."""
    sources: int
    spent: Mapping[str, Usage]
    """By role, with items in flight and repeated calls."""
    seconds: float
    """Over all sessions that ended in good order."""
    possibly_billed_twice: int
    unsuited: tuple[str, ...]
    """Source and reason of each item that ended without a single question."""
    stopped: str | None


def open_finished_run(folder: Path) -> SqliteRunStore:
    """Open the database of a run folder to read it.

    Raises:
        StoreError: It is not a run folder.
    """
    if not (folder / "run.db").is_file():
        raise StoreError(f"{str(folder)!r} is not a run folder: it has no run.db. Give the --out folder of a run.")
    return SqliteRunStore(folder / "run.db", read_only=True)


def read_report(folder: Path) -> Report:
    """Return the figures of a run.

    Raises:
        StoreError: The folder is not a run, or is damaged.
    """
    with open_finished_run(folder) as store:
        ended = [payload for _, _, payload in store.events("run") if payload.get("state") == "ended"]
        registered, sources = store.registered_items(), store.sources()
        # A steered run registers its items batch by batch; how many there will be was settled when it began.
        wanted = len(sources) * int(store.bound().get("examples_per_source", 1))
        unsuited: dict[str, None] = {}

        def states() -> Iterator[dict[str, Any]]:  # one at a time: a large run does not fit into memory
            for item in store.finished_items():
                if item.state["note"] and not item.state["history"]:
                    unsuited[f"{item.source}: {item.state['note']}"] = None
                yield item.state

        return Report(
            summary=summarise(states()),
            unsuited=tuple(unsuited),
            rows=sum(1 for _ in store.rows()),
            items=max(wanted, len(registered)),
            sources=max(len(sources), len(set(registered.values()))),
            spent=store.spent_by_role(),
            seconds=sum(float(payload.get("seconds", 0)) for payload in ended),
            possibly_billed_twice=store.possibly_billed_twice(),
            stopped=ended[-1].get("stopped") if ended else None,
        )


def estimate_text(report: Report, finished: int, whole: int) -> str:
    """Return what so many items would take at the rate of those that are finished."""
    total = Usage()
    for usage in report.spent.values():
        total = total.plus(usage)
    rate = whole / finished
    return (
        f"about {report.rows * rate:,.0f} rows, {total.calls * rate:,.0f} calls and ${total.cost_usd * rate:.2f} "
        f"for {whole:,} items at the rate of these {finished}"
    )


def report_text(report: Report) -> str:
    """Return the report as plain lines."""
    summary, total = report.summary, Usage()
    for usage in report.spent.values():
        total = total.plus(usage)
    finished = sum(summary.items.values())
    refused = sum(summary.refusals.values())
    lines = [
        _line(
            "accepted",
            f"{report.rows} {'row' if report.rows == 1 else 'rows'} from {len(summary.sources)} of {report.sources} sources",
        ),
        _line("items", f"{finished} of {report.items} finished{_by_status(summary)}"),
        _line("yield", _share(summary.accepted, finished)),
        _line("refused", f"{refused} rounds{_kinds(summary)}"),
        _line("scores", _scores(summary)),
        _line("rounds", _rounds(summary)),
        _line("types", ", ".join(f"{name} {n}" for name, n in summary.question_types.most_common()) or "–"),
        _line("attempts", f"{summary.attempts}{_flags(summary)}"),
        _line("controls", _controls(summary)),
        _line(
            "tokens",
            f"{total.input_tokens:,} in, {total.output_tokens:,} out, {total.calls:,} calls{_estimated(total)}",
        ),
        _line("cost", _cost(total.cost_usd, report.rows)),
        _line("time", f"{report.seconds:.1f} s"),
    ]
    for role, usage in report.spent.items():
        lines.append(
            _line(
                f"  {role}",
                f"{usage.calls:,} calls, {usage.input_tokens + usage.output_tokens:,} tokens, ${usage.cost_usd:.4f}",
            )
        )
    for status, usage in sorted(summary.usage_by_outcome.items()):
        lines.append(
            _line(
                f"  {status}",
                f"{usage.calls:,} calls, {usage.input_tokens + usage.output_tokens:,} tokens, ${usage.cost_usd:.4f}",
            )
        )
    for n, line in enumerate(report.unsuited[:5]):
        lines.append(_line("no question" if n == 0 else "", line[:150]))
    if report.possibly_billed_twice:
        lines.append(
            _line(
                "repeated",
                f"{report.possibly_billed_twice} calls may have been billed twice, after a crash or where no answer came",
            )
        )
    if report.stopped:
        lines.append(_line("stopped", f"{report.stopped}; the same command goes on"))
    return "\n".join(lines)


def _line(name: str, value: str) -> str:
    return f"{name:<14}{value}"


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.0%} of finished items" if whole else "–"


def _by_status(summary: Summary) -> str:
    others = [f"{n} {status}" for status, n in sorted(summary.items.items()) if status != "accepted" and n]
    return f" ({', '.join(others)})" if others else ""


def _kinds(summary: Summary) -> str:
    return "".join(f"\n{'':<14}{kind.value:<16}{n}" for kind, n in summary.refusals.most_common())


def _scores(summary: Summary) -> str:
    weak, strong = average(summary.weak), average(summary.strong)
    if weak is None or strong is None:
        return "–"
    refused, spread = average(summary.weak_refused), average(summary.spread)
    before = f"; weak on refused questions {refused:.3f}" if refused is not None else ""
    return f"weak {weak:.3f}, strong {strong:.3f}, gap {strong - weak:.3f}, spread of weak {spread:.3f}{before}"


def _rounds(summary: Summary) -> str:
    if not summary.rounds:
        return "–"
    return f"{sum(summary.rounds) / len(summary.rounds):.2f} per accepted row, at most {max(summary.rounds)}"


def _flags(summary: Summary) -> str:
    return "".join(f", {n} {flag}" for flag, n in summary.flags.most_common())


def _estimated(usage: Usage) -> str:
    return " (partly estimated)" if usage.estimated else ""


def _controls(summary: Summary) -> str:
    shown = (f"{name} {found[True]} of {sum(found.values())}" for name, found in sorted(summary.controls.items()))
    return ", ".join(shown) or "none were asked"


def _cost(usd: float, rows: int) -> str:
    return f"${usd:.4f}" + (f", ${usd / rows:.4f} per accepted row" if rows else "")


def row_text(example: Example) -> str:
    """Return a row as a person reads it."""
    scores = example.scores
    lines = [
        f"{example.id}  {example.question_type}  round {example.round}  from {example.source.id}",
        f"  question   {example.question}",
        f"  answer     {example.reference_answer}",
        f"  weak {_list(scores.weak)}  strong {_list(scores.strong)}  gap {scores.gap:+.2f}",
    ]
    return "\n".join(lines)


def _list(values: tuple[float, ...]) -> str:
    return " ".join(f"{value:g}" if value in (0, 1) else f"{value:.2f}" for value in values)
