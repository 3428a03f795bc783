"""One thread that does every write of a run, many writes in one transaction. What is written is in `sqlite`."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from autodata_adapters.stores.faults import is_full, to_store_error
from autodata_core.crashpoints import crashpoint
from autodata_core.errors import StoreError

__all__ = ["Writer"]

T = TypeVar("T")

_MOST_IN_ONE_COMMIT = 512
"""Ours: far above what arrives during one fsync, and small enough that a commit stays in the milliseconds."""


_PATIENCE_S = 0.05
"""How long a write that nobody waits for may stay in memory, for another to share its commit. Ours."""

_OF_ONE_OPERATION = (sqlite3.IntegrityError, sqlite3.ProgrammingError, sqlite3.DataError, sqlite3.NotSupportedError)
"""Faults of a value rather than of the file: only the operation that brought it fails."""


@dataclass
class _Operation:
    apply: Callable[[sqlite3.Connection], Any]
    future: Future[Any]
    spends: bool


class Writer:
    """Runs operations in the order they came; each future is resolved after the commit that holds it.

    While one commit waits for the disk the next operations gather, so that the number of fsyncs follows the disk
    and not the number of calls. Operations have no effects outside the transaction: after an error they run again.

    Args:
        db: The writing connection; from now on only this thread uses it.
        path: For messages.
        epoch: Number of this opening; a transaction under another number is refused.
        free_space: Called once when the disk is full; returns True when it freed something.
    """

    def __init__(
        self, db: sqlite3.Connection, path: Path, epoch: int, free_space: Callable[[], bool] | None = None
    ) -> None:
        self._db = db
        self._path = path
        self._epoch = str(epoch)
        self._free_space = free_space
        self._queue: SimpleQueue[list[_Operation] | None] = SimpleQueue()
        self._waiting: list[_Operation] = []
        """Writes that nobody waits for. They do not wake the thread: the next one that does takes them along."""
        self._gate = threading.Lock()
        self._closed = False
        self._failure: StoreError | None = None
        self._no_more_spending: StoreError | None = None
        self._thread = threading.Thread(target=self._work, name="autodata-run-writer", daemon=True)
        self._thread.start()

    def submit(
        self, apply: Callable[[sqlite3.Connection], T], *, spends: bool = False, patient: bool = False
    ) -> Future[T]:
        """Queue a write and return its result to come.

        Args:
            apply: Runs in the writer's thread, inside a transaction.
            spends: True for what announces a paid call; refused first when the disk runs full, so that replies
                which are already paid for can still be written.
            patient: True for what nobody waits for; it may share the commit of a write that comes soon.
        """
        future: Future[T] = Future()
        # A cancelled asyncio task must not cancel the write of a reply that was paid for.
        future.set_running_or_notify_cancel()
        with self._gate:
            if self._closed:
                future.set_exception(StoreError(f"The run's database {self._path} is closed."))
                return future
            self._waiting.append(_Operation(apply, future, spends))
            if not patient:
                self._queue.put(self._take_waiting())
        return future

    def close(self) -> None:
        """Finish what is queued, fold the WAL into the file and close it. A second call does nothing."""
        with self._gate:
            if self._closed:
                return
            self._closed = True
            self._queue.put(self._take_waiting())
            self._queue.put(None)
        self._thread.join()

    def _work(self) -> None:
        done = False
        while not done:
            batch, done = self._gather()
            if batch:
                self._write(batch)
        # Everything acknowledged is in the WAL file; where it cannot be folded in now, the next opening does it.
        if self._failure is None:
            with contextlib.suppress(sqlite3.Error):
                self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        with contextlib.suppress(sqlite3.Error):
            self._db.close()

    def _take_waiting(self) -> list[_Operation]:
        """Return what waits, in the order it came. Called with the gate held."""
        taken, self._waiting = self._waiting, []
        return taken

    def _gather(self) -> tuple[list[_Operation], bool]:
        """Return the next operations, and whether these are the last."""
        try:
            operations = self._queue.get(timeout=_PATIENCE_S)
        except Empty:
            with self._gate:
                # What was queued meanwhile came first.
                operations = self._take_waiting() if self._queue.empty() else []
        batch: list[_Operation] = []
        while operations is not None:
            batch += operations
            if len(batch) >= _MOST_IN_ONE_COMMIT:
                return batch, False
            try:
                operations = self._queue.get_nowait()
            except Empty:
                return batch, False
        return batch, True

    def _write(self, batch: list[_Operation]) -> None:
        if stop := self._no_more_spending:
            for operation in batch:
                if operation.spends:
                    operation.future.set_exception(stop)
            batch = [operation for operation in batch if not operation.spends]
        if not batch:
            return
        if self._failure is not None:
            _fail(batch, self._failure)
            return
        try:
            results = self._commit(batch)
        except StoreError as error:
            self._failure = error
            _fail(batch, error)
        except Exception as error:  # noqa: BLE001 - a value that cannot be bound may raise anything; it reaches the future
            self._after_error(batch, error)
        else:
            for operation, result in zip(batch, results, strict=True):
                operation.future.set_result(result)

    def _after_error(self, batch: list[_Operation], error: Exception) -> None:
        of_the_file = isinstance(error, (sqlite3.DatabaseError, OSError))
        if of_the_file and not isinstance(error, _OF_ONE_OPERATION):
            self._after_fault(batch, error)
        elif len(batch) == 1:
            batch[0].future.set_exception(error)
        else:
            for operation in batch:
                self._write([operation])

    def _after_fault(self, batch: list[_Operation], error: Exception) -> None:
        reported = to_store_error(error, self._path)
        if is_full(error) and self._no_more_spending is None and self._free_space is not None and self._free_space():
            self._no_more_spending = reported
            self._write(batch)
            return
        self._failure = reported
        _fail(batch, reported)

    def _commit(self, batch: list[_Operation]) -> list[Any]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            self._check_epoch()
            results = [operation.apply(self._db) for operation in batch]
            crashpoint("write")
            self._db.execute("COMMIT")
        except BaseException:
            # After some errors SQLite has rolled back by itself.
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise
        return results

    def _check_epoch(self) -> None:
        found = self._db.execute("SELECT value FROM meta WHERE key = 'epoch'").fetchone()
        if found is None or found[0] != self._epoch:
            raise StoreError(
                f"Another process has taken over {self._path}, so this one no longer writes to it. "
                "Let the other one finish, then run the command again."
            )


def _fail(batch: list[_Operation], error: StoreError) -> None:
    for operation in batch:
        operation.future.set_exception(error)
