"""Shows a run as it goes: accepted, refused, cost, time left. On a terminal only; a pipe hears nothing."""

from __future__ import annotations

import sys
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.text import Text

from autodata_cli.running import Run
from autodata_langgraph.runner import Event

__all__ = ["Display"]


class Display:
    """A progress bar on standard error while a run goes on."""

    def __init__(self, run: Run, items: int) -> None:
        self._run = run
        self._refused = 0  # questions, over all rounds
        self._console = Console(stderr=True, highlight=False)
        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[figures]}", markup=False),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=self._console,
            disable=not sys.stderr.isatty(),
            transient=True,
        )
        self._task = self._bar.add_task("items", total=items, figures="")

    def __enter__(self) -> Display:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def hear(self, event: Event) -> None:
        """Take up an event of the run. Called from worker threads too."""
        if event["kind"] == "stopping" and sys.stderr.isatty():
            self._console.print(Text("stopping: finishing what is in flight (again to leave at once)"))
        if event["kind"] == "alarm":  # rare, and worth a line in a log too
            self._console.print(Text(f"mind: the questions become alike ({event['text']}); see `autodata coverage`"))
        if event["kind"] != "finished":
            return
        counts = self._run.progress.counts
        self._refused += sum(1 for played in event["state"]["history"] if played["verdict"]["reasons"])
        cost = self._run.budget.spent.cost_usd
        figures = f"accepted {counts.get('accepted', 0)}  refused {self._refused}  ${cost:.4f}"
        self._bar.update(self._task, completed=sum(counts.values()), figures=figures)
