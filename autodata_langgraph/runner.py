"""Runs many items at once: a bounded pool of item graphs, depth-first.

A worker finishes its item before it takes another, so that rows come early and a kill wastes little. One graph run per
item; a fan-out over items inside one graph would make all of them wait for the slowest.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Any

from autodata_core.budget import BudgetSpentError
from autodata_core.errors import AutodataError, ModelUnreachableError, VerifierError
from autodata_core.item import ItemState
from autodata_core.ports import RecordStore
from autodata_core.recipe import Rules
from autodata_core.records import Aim, Source
from autodata_core.rows import example_from
from autodata_langgraph.context import AutodataContext
from autodata_langgraph.item_graph import create_autodata_graph

__all__ = ["Assignment", "Event", "Pool", "Progress"]

Event = Mapping[str, Any]
"""Plain JSON: `kind` (`plan`, `started`, `finished`, `study`, `batch`, `alarm`) with what belongs to it."""

_INFRA_IN_A_ROW = 5
"""So many items without any answer from a model, one after another, are an outage. Our number."""
_QUARANTINED_IN_A_ROW = 3
"""So many rows in a row whose judge failed its controls, and nothing it says is worth paying for. Our number."""
_RECURSION_LIMIT = 10_000
"""Stated on every call: inside chains and tools the host's default would be 25 steps."""


@dataclass(frozen=True)
class Assignment:
    """One item to make."""

    item: str
    source: Source
    position: int
    """Place in the data set's order."""
    aim: Aim | None = None
    """What it is wanted for, where the run is steered."""


@dataclass
class Progress:
    """Counts of a run, and why it stopped early."""

    limit: int | None = None
    counts: dict[str, int] = field(default_factory=dict)
    """By item status; `duplicate_row` for an accepted item whose row was there already."""
    stopped: str | None = None
    """`limit`, `budget`, `interrupted`, `collapse`, `saturated`, or None."""
    note: str = ""
    _infra_in_a_row: int = 0
    _quarantined_in_a_row: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @property
    def accepted(self) -> int:
        return self.counts.get("accepted", 0)

    def stop(self, why: str, note: str = "") -> None:
        self.stopped, self.note = self.stopped or why, self.note or note

    def admit(self, status: str) -> bool:
        """Count a finished item; False when the limit is reached and an accepted one must wait for another run."""
        with self._lock:
            if status == "accepted" and self.limit is not None and self.accepted >= self.limit:
                self.stop("limit")
                return False
            self.counts[status] = self.counts.get(status, 0) + 1
            if self.limit is not None and self.accepted >= self.limit:
                self.stop("limit")
            return True

    def recount(self, was: str, now: str) -> None:
        with self._lock:
            self.counts[was] -= 1
            self.counts[now] = self.counts.get(now, 0) + 1

    def infra(self, note: str, answered: bool) -> None:
        """Note whether an item got answers.

        Raises:
            ModelUnreachableError: Too many items in a row got none.
        """
        self._infra_in_a_row = 0 if answered else self._infra_in_a_row + 1
        self.note = self.note if answered else note
        if self._infra_in_a_row >= _INFRA_IN_A_ROW:
            raise ModelUnreachableError(
                f"{_INFRA_IN_A_ROW} items in a row got no answer ({note}). What is finished is kept; "
                "check the endpoint and run the same command again."
            )

    def judged(self, status: str, note: str) -> None:
        """Note whether the judge could be trusted with a row; of items that never came so far it says nothing.

        Raises:
            VerifierError: It failed its controls too often in a row.
        """
        if status == "accepted":
            self._quarantined_in_a_row = 0
        elif status == "quarantined":
            self._quarantined_in_a_row += 1
        if self._quarantined_in_a_row >= _QUARANTINED_IN_A_ROW:
            raise VerifierError(
                f"{_QUARANTINED_IN_A_ROW} rows in a row were quarantined: {note}. What was accepted before stays; "
                "take another judge, in another folder."
            )


@dataclass
class Pool:
    """Works through assignments with a bounded number of items in flight."""

    rules: Rules
    context: AutodataContext
    store: RecordStore
    progress: Progress
    concurrency: int = 8
    on_event: Callable[[Event], None] = lambda event: None

    def __post_init__(self) -> None:
        # The pool is the hot path: durability is the store's and the journal's, not a checkpoint after every node.
        self._graph = create_autodata_graph(self.rules).compile(checkpointer=False, name="autodata_item")

    async def arun(self, assignments: Sequence[Assignment]) -> None:
        """Finish every assignment that is not finished, unless the run is stopped."""
        waiting = deque(assignments)
        # A few items go first: the first row comes early, and a recipe that cannot work costs little.
        first = asyncio.Event()
        ahead = max(2, self.concurrency // 4)
        if any(self.progress.counts.values()):
            first.set()
        count = min(self.concurrency, len(waiting))
        workers = [asyncio.ensure_future(self._worker(waiting, first, wait=n >= ahead)) for n in range(count)]
        try:
            while workers:
                done, rest = await asyncio.wait(workers, return_when=asyncio.FIRST_COMPLETED)
                workers = list(rest)
                errors = [error for worker in done if (error := worker.exception()) is not None]
                if errors:
                    raise errors[0]
                if self.progress.stopped == "limit":
                    break
        except BudgetSpentError as error:
            self.progress.stop("budget", str(error))
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)

    async def _worker(self, waiting: deque[Assignment], first: asyncio.Event, *, wait: bool) -> None:
        if wait:
            await first.wait()
        try:
            await self._work_through(waiting, first)
        finally:
            first.set()  # nobody waits for a worker that is gone

    async def _work_through(self, waiting: deque[Assignment], first: asyncio.Event) -> None:
        while waiting and self.progress.stopped is None:
            assignment = waiting.popleft()
            if self._known(assignment):
                continue
            self.on_event({"kind": "started", "item": assignment.item, "source": assignment.source.id})
            config: Any = {"recursion_limit": _RECURSION_LIMIT}
            found = await self._graph.ainvoke(_input(assignment), config, context=self.context)
            await asyncio.to_thread(self._finish, assignment, found)
            first.set()

    def run(self, assignments: Sequence[Assignment]) -> None:
        """As `arun`, on threads, for models and hosts without an event loop."""
        waiting = deque(assignments)

        def work() -> None:
            while waiting and self.progress.stopped is None:
                try:
                    assignment = waiting.popleft()
                except IndexError:  # another thread took the last one
                    return
                if self._known(assignment):
                    continue
                self.on_event({"kind": "started", "item": assignment.item, "source": assignment.source.id})
                config: Any = {"recursion_limit": _RECURSION_LIMIT}
                try:
                    self._finish(assignment, self._graph.invoke(_input(assignment), config, context=self.context))
                except BudgetSpentError as error:
                    self.progress.stop("budget", str(error))
                except AutodataError:
                    waiting.clear()
                    raise

        with ThreadPoolExecutor(max(1, min(self.concurrency, len(waiting)))) as pool:
            futures = [pool.submit(work) for _ in range(self.concurrency)]
            wait(futures)
        for future in futures:
            future.result()

    def _known(self, assignment: Assignment) -> bool:
        """Count an item that an earlier run finished."""
        kept = self.store.finished(assignment.item)
        if kept is None:
            return False
        self.progress.admit(str(kept["status"]))
        self.on_event(
            {"kind": "finished", "item": assignment.item, "status": kept["status"], "state": kept, "replayed": True}
        )
        return True

    def _finish(self, assignment: Assignment, found: Mapping[str, Any]) -> None:
        """Record a finished item; one without answers stays open and is asked again by the next run."""
        status, note = str(found["status"]), str(found.get("note") or "")
        self.progress.infra(note, answered=status != "infra")
        if not self.progress.admit(status):
            return
        if status != "infra":
            state = ItemState.from_json(found["item"])
            accepted = status == "accepted"
            rules = self.context.ports.measured(self.rules)
            example = example_from(rules, assignment.source, state) if accepted else None
            if not self.store.finish(assignment.item, found["item"], example):
                self.progress.recount(status, "duplicate_row")
                status = "duplicate_row"
        event = {"kind": "finished", "item": assignment.item, "source": assignment.source.id, "status": status}
        self.on_event({**event, "note": note, "state": found["item"], "replayed": False})
        self.progress.judged(status, note)


def _input(assignment: Assignment) -> dict[str, Any]:
    given = {"source": assignment.source.to_json(), "item_id": assignment.item}
    return given if assignment.aim is None else {**given, "aim": assignment.aim.to_json()}
