"""A run in Postgres, for apps that have a server anyway: call journal, items and rows, with the meaning they have in `sqlite`.

psycopg rather than asyncpg: the ports are synchronous, LangGraph's own Postgres checkpointer already needs it, and one
connection in one thread is all that is used. Connect directly, not through a pooler in transaction mode: the lock that
keeps a second process out belongs to the session.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from autodata_adapters.stores.postgres_schema import Place, connect, create_tables, lock_number, postgres_errors
from autodata_core.errors import AutodataError, RecordError, RunLockedError, StoreError, shorten
from autodata_core.ports import ModelReply
from autodata_core.records import Example, Usage, canonical_json

if TYPE_CHECKING:
    from typing import LiteralString

    import psycopg

__all__ = ["PostgresRunStore"]

T = TypeVar("T")

_MOST_IN_ONE_COMMIT = 512
"""Ours: far above what arrives during one commit, and small enough that a commit stays in the milliseconds."""
_LONGEST_NAME = 1000
"""Bytes of an id. An index entry of Postgres has at most 2700, and two names stand in one."""

_SPENT = """
SELECT role,
       sum(calls + lost_sends + (state = 'sent')::int)::text,
       sum(input_tokens + lost_tokens + CASE WHEN state = 'sent' THEN reserved_tokens ELSE 0 END)::text,
       sum(output_tokens)::text,
       sum(cost_usd + lost_usd + CASE WHEN state = 'sent' THEN reserved_usd ELSE 0 END),
       bool_or(estimated OR lost_sends > 0 OR state = 'sent')
FROM call WHERE run = %s GROUP BY role ORDER BY role
"""


class PostgresRunStore:
    """Keeps a run. Implements `RecordStore` and the call journal of the core; safe to use from many threads and tasks.

    Writers return futures of `concurrent.futures`; a write is durable when its future resolves, and writes become
    durable in the order they were made. A connection that was dropped between two transactions is made anew, once. After
    any other failure, one that breaks within a transaction among them, every later write raises the same `StoreError`:
    open the run again, which asks for nothing twice.

    One process writes: it holds an advisory lock as long as its connection lives, and every transaction checks that
    nobody opened the run since (`epoch`). So a process that lost its connection, and was replaced, can no longer write.

    Args:
        conninfo: `postgresql://user@host:5432/database` or `host=... dbname=...`; keep the password in `PGPASSWORD` or
            `~/.pgpass`.
        run: Name of the run; several live side by side in one schema.
        schema: Of the tables; made at the first opening.

    Raises:
        MissingExtraError: psycopg is not installed.
        RunLockedError: Another process works on this run.
        StoreError: There is no server, no right to write, or the tables are of a newer version.
    """

    def __init__(self, conninfo: str, run: str, *, schema: str = "autodata") -> None:
        self._place = Place(conninfo, schema, _name(run, "The name of a run"))
        self._run = run
        self._lock = threading.Lock()
        self._fresh: dict[str, ModelReply] = {}
        """Replies on their way to the disk."""
        self._reader = connect(self._place)
        try:
            create_tables(self._reader, self._place)
            self._writer = _Writer(self._place)
        except BaseException:
            self._reader.close()
            raise

    @property
    def epoch(self) -> int:
        """How often this run was opened for writing. A process with an older number can no longer write."""
        return self._writer.epoch

    def close(self) -> None:
        """Write what is queued and close. A second call does nothing."""
        self._writer.close()
        with self._lock:
            self._reader.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # Items and rows: the core's RecordStore.

    def register_items(self, items: Iterable[tuple[str, int, str]]) -> None:
        """Record which items the run has, before the first is worked on.

        Args:
            items: Id, position and source id of each. Rows are ordered by position, not by completion. Known items
                keep their state and take the new position.
        """
        wanted = [(self._run, _name(id, "An item's id"), position, _shown(source)) for id, position, source in items]

        def apply(db: psycopg.Connection) -> None:
            with db.cursor() as cursor:
                cursor.executemany(
                    "INSERT INTO item (run, id, position, source) VALUES (%s, %s, %s, %s) "
                    "ON CONFLICT (run, id) DO UPDATE SET position = excluded.position, source = excluded.source",
                    wanted,
                )

        self._writer.submit(apply).result()

    def finished(self, item: str) -> dict[str, Any] | None:
        found = self._all(
            "SELECT state, state_sha256 FROM item WHERE run = %s AND id = %s AND state IS NOT NULL",
            self._run,
            _name(item, "An item's id"),
        )
        if not found:
            return None
        text, digest = found[0]
        state: dict[str, Any] = json.loads(self._intact(text, digest, f"the state of item {item!r}"))
        return state

    def finish(self, item: str, state: dict[str, Any], example: Example | None) -> bool:
        return self.submit_finish(item, state, example).result()

    def submit_finish(self, item: str, state: Mapping[str, Any], example: Example | None) -> Future[bool]:
        """Do what `finish` does, without waiting. An item that is finished already stays as it is."""
        place = (self._run, _name(item, "An item's id"))
        text = canonical_json(state)
        source = _shown(example.source.id if example else str(state.get("source_id", "")))
        row = json.dumps(example.to_json(), ensure_ascii=True, allow_nan=False) if example else ""
        row_id = _name(example.id, "A row's id") if example else None

        def apply(db: psycopg.Connection) -> bool:
            known = db.execute(
                "SELECT state IS NOT NULL, duplicate_of FROM item WHERE run = %s AND id = %s", place
            ).fetchone()
            if known is not None and known[0]:
                return known[1] is None
            query: LiteralString = "SELECT 1 FROM example WHERE run = %s AND id = %s"
            taken = row_id is not None and db.execute(query, (self._run, row_id)).fetchone() is not None
            db.execute(
                "INSERT INTO item (run, id, position, source, state, state_sha256, duplicate_of) VALUES "
                "(%(run)s, %(id)s, (SELECT coalesce(max(position), -1) + 1 FROM item WHERE run = %(run)s), %(source)s, "
                "%(state)s, %(digest)s, %(duplicate_of)s) ON CONFLICT (run, id) DO UPDATE "
                "SET state = excluded.state, state_sha256 = excluded.state_sha256, duplicate_of = excluded.duplicate_of",
                {
                    "run": self._run,
                    "id": item,
                    "source": source,
                    "state": text,
                    "digest": _sha256(text),
                    "duplicate_of": row_id if taken else None,
                },
            )
            if row_id is not None and not taken:
                db.execute(
                    "INSERT INTO example (run, id, item, body, body_sha256) VALUES (%s, %s, %s, %s, %s)",
                    (self._run, row_id, item, row, _sha256(row)),
                )
            return not taken

        return self._writer.submit(apply)

    def examples(self) -> Sequence[Example]:
        found = self._all(
            "SELECT example.body, example.body_sha256, example.id FROM item JOIN example "
            "ON example.run = item.run AND example.item = item.id WHERE item.run = %s ORDER BY item.position, item.id",
            self._run,
        )
        return tuple(
            Example.from_json(json.loads(self._intact(body, digest, f"row {id!r}"))) for body, digest, id in found
        )

    # The core's CallJournal. Per call: wait for `send`, ask the model, wait for `done` or `failed`.

    def lookup(self, key: str) -> ModelReply | None:
        """Return the recorded reply of a call, or None when it has none; an error is not a reply and is asked again."""
        fresh = self._fresh.get(key)
        if fresh is not None:
            return fresh
        found = self._all(
            "SELECT reply, reply_sha256 FROM call WHERE run = %s AND key = %s AND state = 'done'",
            self._run,
            _name(key, "A call's key"),
        )
        if not found:
            return None
        text, digest = found[0]
        return ModelReply.from_json(json.loads(self._intact(text, digest, f"the reply to call {key!r}")))

    def send(
        self,
        key: str,
        request: Mapping[str, Any],
        identity: Mapping[str, Any],
        reserved_usd: float,
        reserved_tokens: int = 0,
    ) -> Future[bool]:
        """Announce a call before it is made.

        Args:
            key: Hash of everything that can change the reply.
            request: `ModelRequest.to_json()`; `role`, `item` and `step` have columns of their own.
            identity: `ModelIdentity.to_json()`.
            reserved_usd: The most this call may cost; counted as spent until the reply settles it.
            reserved_tokens: The same in tokens.

        Returns:
            True when this call was announced before and never settled, so that it may be billed twice: the earlier
            reservation stays counted as spent. False otherwise.
        """
        place = (self._run, _name(key, "A call's key"))
        names = tuple(_shown(str(request.get(name, ""))) for name in ("role", "item", "step"))
        texts = (canonical_json(request), canonical_json(identity))
        usd = _amount(reserved_usd)

        def apply(db: psycopg.Connection) -> bool:
            known = db.execute("SELECT state FROM call WHERE run = %s AND key = %s", place).fetchone()
            if known is None:
                db.execute(
                    "INSERT INTO call (run, key, state, role, item, step, request, identity, reserved_usd, reserved_tokens) "
                    "VALUES (%s, %s, 'sent', %s, %s, %s, %s, %s, %s, %s)",
                    (*place, *names, *texts, usd, reserved_tokens),
                )
                return False
            if known[0] == "done":
                return False
            lost: bool = known[0] == "sent"
            db.execute(
                "UPDATE call SET state = 'sent', lost_sends = lost_sends + %(lost)s, "
                "lost_usd = lost_usd + %(lost)s * reserved_usd, lost_tokens = lost_tokens + %(lost)s * reserved_tokens, "
                "reserved_usd = %(usd)s, reserved_tokens = %(tokens)s WHERE run = %(run)s AND key = %(key)s",
                {"lost": int(lost), "usd": usd, "tokens": reserved_tokens, "run": self._run, "key": key},
            )
            return lost

        return self._writer.submit(apply)

    def done(self, key: str, reply: ModelReply, charged: Usage | None = None) -> Future[None]:
        """Record the reply and settle what it cost. The first reply of a call is the one that counts.

        Args:
            key: The call.
            reply: What came.
            charged: With what earlier tries of the call may have cost; None is what the reply says.
        """
        place = (self._run, _name(key, "A call's key"))
        text = canonical_json(reply.to_json())
        figures = _figures(reply.usage if charged is None else charged)

        def apply(db: psycopg.Connection) -> None:
            db.execute(
                "UPDATE call SET state = 'done', reply = %s, reply_sha256 = %s, error = NULL, calls = calls + %s, "
                "input_tokens = input_tokens + %s, output_tokens = output_tokens + %s, cost_usd = cost_usd + %s, "
                "estimated = estimated OR %s WHERE run = %s AND key = %s AND state <> 'done'",
                (text, _sha256(text), *figures, *place),
            )
            _must_be_announced(db, place)

        self._fresh.setdefault(key, reply)
        recorded = self._writer.submit(apply)
        recorded.add_done_callback(lambda _: self._fresh.pop(key, None))
        return recorded

    def failed(self, key: str, error: str, charged_usd: float = 0.0, charged: Usage | None = None) -> Future[None]:
        """Record that no reply came. A later run may ask again.

        Args:
            key: The call.
            error: Why, for people.
            charged_usd: What it cost all the same, or may have cost (a timeout).
            charged: The same with calls and tokens; goes before `charged_usd`.
        """
        place = (self._run, _name(key, "A call's key"))
        text = _shown(error)
        figures = _figures(charged or Usage(calls=1, cost_usd=_amount(charged_usd), estimated=charged_usd > 0))

        def apply(db: psycopg.Connection) -> None:
            db.execute(
                "UPDATE call SET state = 'failed', error = %s, calls = calls + %s, input_tokens = input_tokens + %s, "
                "output_tokens = output_tokens + %s, cost_usd = cost_usd + %s, estimated = estimated OR %s "
                "WHERE run = %s AND key = %s AND state = 'sent'",
                (text, *figures, *place),
            )
            _must_be_announced(db, place)

        return self._writer.submit(apply)

    def spent(self) -> Usage:
        """Return everything that was or may have been paid: settled calls, and the reservations of unsettled ones."""
        total = Usage()
        for usage in self.spent_by_role().values():
            total = total.plus(usage)
        return total

    def spent_by_role(self) -> dict[str, Usage]:
        """Return the same by role, sorted by name."""
        return {
            role: Usage(
                calls=int(calls),
                input_tokens=int(tokens_in),
                output_tokens=int(tokens_out),
                cost_usd=usd,
                estimated=estimated,
            )
            for role, calls, tokens_in, tokens_out, usd, estimated in self._all(_SPENT, self._run)
        }

    def possibly_billed_twice(self) -> int:
        """Return how often a call was made again because a crash hid whether the first was answered."""
        return int(self._all("SELECT coalesce(sum(lost_sends), 0) FROM call WHERE run = %s", self._run)[0][0])

    def _all(self, query: LiteralString, *values: object) -> list[tuple[Any, ...]]:
        with self._lock, postgres_errors(self._place):
            try:
                return self._reader.execute(query, values).fetchall()
            except _psycopg().OperationalError:
                if not self._reader.broken:
                    raise
            # A dropped connection; reading again does no harm.
            self._reader = connect(self._place)
            return self._reader.execute(query, values).fetchall()

    def _intact(self, text: str, digest: str, what: str) -> str:
        if _sha256(text) != digest:
            raise StoreError(f"{self._place}: {what} was changed after it was written. Restore a copy.")
        return text


@dataclass
class _Operation:
    apply: Callable[[psycopg.Connection], Any]
    future: Future[Any]


class _Writer:
    """One thread that does every write, many in one transaction; each future is resolved after the commit that holds it.

    Operations have no effects outside the transaction: after an error they run again, one by one.
    """

    def __init__(self, place: Place) -> None:
        self._place = place
        self._queue: SimpleQueue[_Operation | None] = SimpleQueue()
        self._gate = threading.Lock()
        self._closed = False
        self._failure: AutodataError | None = None
        self._db = connect(place)
        try:
            self._take_lock()
            self.epoch = self._next_epoch()
        except BaseException:
            self._db.close()
            raise
        self._thread = threading.Thread(target=self._work, name="autodata-run-writer", daemon=True)
        self._thread.start()

    def submit(self, apply: Callable[[psycopg.Connection], T]) -> Future[T]:
        """Queue a write and return its result to come; `apply` runs in the writer's thread, inside a transaction."""
        future: Future[T] = Future()
        # A cancelled asyncio task must not cancel the write of a reply that was paid for.
        future.set_running_or_notify_cancel()
        with self._gate:
            if self._closed:
                future.set_exception(StoreError(f"{self._place} is closed."))
                return future
            self._queue.put(_Operation(apply, future))
        return future

    def close(self) -> None:
        """Finish what is queued and close the connection, which frees the lock. A second call does nothing."""
        with self._gate:
            if self._closed:
                return
            self._closed = True
            self._queue.put(None)
        self._thread.join()

    def _work(self) -> None:
        done = False
        while not done:
            batch: list[_Operation] = []
            first = self._queue.get()
            while first is not None:
                batch.append(first)
                if len(batch) == _MOST_IN_ONE_COMMIT:
                    break
                try:
                    first = self._queue.get_nowait()
                except Empty:
                    break
            done = first is None
            if batch:
                self._write(batch)
        # By word: the server may take a moment to see that the connection is gone, and the next opening is then refused.
        with contextlib.suppress(_psycopg().Error):
            self._db.execute("SELECT pg_advisory_unlock_all()")
        self._db.close()

    def _write(self, batch: list[_Operation]) -> None:
        if self._failure is not None:
            _fail(batch, self._failure)
            return
        began = False
        try:
            with postgres_errors(self._place):
                self._begin()
                began = True
                results = self._commit(batch)
        except StoreError as error:
            # Nobody may wait for a reply's record, so that what comes after a lost one must be refused.
            self._failure = self._unknown(error) if began and self._db.closed else error
            _fail(batch, self._failure)
        except Exception as error:  # noqa: BLE001 - what is wrong with one operation's values reaches its future only
            if len(batch) == 1:
                batch[0].future.set_exception(error)
                return
            for operation in batch:
                self._write([operation])
        else:
            for operation, result in zip(batch, results, strict=True):
                operation.future.set_result(result)

    def _unknown(self, error: StoreError) -> StoreError:
        return StoreError(
            f"{self._place}: the connection broke while writing, so the last writes may be kept or not. Run the same "
            f"command again; nothing is paid for twice. ({error.__cause__})"
        )

    def _commit(self, batch: list[_Operation]) -> list[Any]:
        try:
            results = [operation.apply(self._db) for operation in batch]
            self._db.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(_psycopg().Error):
                self._db.execute("ROLLBACK")
            raise
        return results

    def _begin(self) -> None:
        """Begin a transaction as the present writer; on a connection that was dropped meanwhile, connect once more."""
        try:
            found = self._enter()
        except _psycopg().OperationalError:
            if not self._db.closed:
                self._leave()
                raise
            self._db = connect(self._place)
            # Whoever opened the run meanwhile says so in the epoch, which is looked at below.
            with contextlib.suppress(RunLockedError):
                self._take_lock()
            found = self._enter()
        if found != (self.epoch,):
            self._leave()
            raise StoreError(
                f"{self._place}: another process has taken over, so this one no longer writes to it. Let the other one "
                "finish, then run the command again."
            )

    def _enter(self) -> tuple[Any, ...] | None:
        self._db.execute("BEGIN")
        # The row stays locked until the commit: nobody opens the run between this look and what is written.
        return self._db.execute("SELECT epoch FROM run WHERE run = %s FOR UPDATE", (self._place.run,)).fetchone()

    def _leave(self) -> None:
        with contextlib.suppress(_psycopg().Error):
            self._db.execute("ROLLBACK")

    def _take_lock(self) -> None:
        number = lock_number(self._place.schema, self._place.run)
        with postgres_errors(self._place):
            if self._db.execute("SELECT pg_try_advisory_lock(%s)", (number,)).fetchone() != (True,):
                raise RunLockedError(
                    f"{self._place} is in use by another process. Wait for it, or choose another name."
                )

    def _next_epoch(self) -> int:
        with postgres_errors(self._place):
            found = self._db.execute(
                "INSERT INTO run VALUES (%s, 1) ON CONFLICT (run) DO UPDATE SET epoch = run.epoch + 1 RETURNING epoch",
                (self._place.run,),
            ).fetchone()
        assert found is not None  # RETURNING of an upsert has a row
        return int(found[0])


def _fail(batch: list[_Operation], error: AutodataError) -> None:
    for operation in batch:
        operation.future.set_exception(error)


def _figures(usage: Usage) -> tuple[int, int, int, float, bool]:
    return usage.calls, usage.input_tokens, usage.output_tokens, usage.cost_usd, usage.estimated


def _must_be_announced(db: psycopg.Connection, place: tuple[str, str]) -> None:
    if db.execute("SELECT 1 FROM call WHERE run = %s AND key = %s", place).fetchone() is None:
        raise LookupError(f"The call {place[1]!r} was settled without being announced by send().")


def _psycopg() -> Any:
    import psycopg

    return psycopg


def _name(text: str, what: str) -> str:
    """Return a text that can stand in an index of Postgres.

    Raises:
        RecordError: It has a NUL character or half a character, or is too long.
    """
    try:
        length = len(text.encode())
    except UnicodeEncodeError:
        length = _LONGEST_NAME + 1
    if "\x00" in text or length > _LONGEST_NAME:
        raise RecordError(f"{what} is valid text without NUL, of at most {_LONGEST_NAME} bytes; got {shorten(text)}.")
    return text


def _shown(text: str) -> str:
    """Return a text for people, without what Postgres cannot keep."""
    return text.encode("utf-8", "replace").decode("utf-8").replace("\x00", "\ufffd")


def _amount(usd: float) -> float:
    if not math.isfinite(usd):
        raise RecordError(f"An amount of money is a finite number, got {usd!r}.")
    return usd


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8")).hexdigest()
