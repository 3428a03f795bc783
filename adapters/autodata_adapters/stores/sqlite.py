"""The one truth of a run: call journal, items, accepted rows, coverage claims and events in one SQLite file.

Every write goes through one thread and is on disk when its future resolves. Every long text has its SHA-256 beside
it, so that a flipped byte is an error and not an answer. Files for people are made from this in `projections`.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, NoReturn, Self, TypeVar

from autodata_adapters.stores.faults import store_errors
from autodata_adapters.stores.schema import connect, create_tables
from autodata_adapters.stores.writer import Writer
from autodata_core.errors import RecordError, StoreError
from autodata_core.ports import CoverageAsk, CoverageReply, ModelReply
from autodata_core.records import Example, Usage, canonical_json

__all__ = ["FinishedItem", "SqliteRunStore", "StoredRow"]

T = TypeVar("T")

_SPENT = """
SELECT role,
       sum(calls + lost_sends + (state = 'sent')),
       sum(input_tokens), sum(output_tokens),
       sum(cost_usd + lost_usd + CASE WHEN state = 'sent' THEN reserved_usd ELSE 0 END),
       max(estimated OR lost_sends > 0 OR state = 'sent')
FROM call GROUP BY role ORDER BY role
"""


class FinishedItem(NamedTuple):
    """An item that is done, with what became of its row."""

    id: str
    source: str
    state: dict[str, Any]
    duplicate_of: str | None
    """Id of the row that another item had accepted first; None otherwise."""


class StoredRow(NamedTuple):
    """An accepted row as the text that a projection writes."""

    id: str
    item: str
    body: str
    """`Example.to_json()` as ASCII JSON."""
    intact: bool
    """False when the text does not fit its hash."""


class SqliteRunStore:
    """Keeps a run. Implements `RecordStore` and the call journal of the core; safe to use from many threads and tasks.

    Writers return futures of `concurrent.futures`: wait with `.result()` or `await asyncio.wrap_future(...)`. A
    write is durable when its future resolves; writes become durable in the order they were made. After the disk or
    the file failed, every later write raises the same `StoreError`.

    Args:
        path: The file, `run.db` in a run folder. Created when missing, readable by its owner only.
        read_only: Look at a run, even one that another process works on.
        free_space: Called once when the disk is full, to free a little; `RunFolder.release_reserve`. Paid replies
            and finished items are still written then, new calls are refused.
        max_bytes: Refuse to let the file grow beyond this. None sets no bound.

    Raises:
        StoreError: The file cannot be opened, is damaged, or was written by a newer version.
    """

    def __init__(
        self,
        path: Path,
        *,
        read_only: bool = False,
        free_space: Callable[[], bool] | None = None,
        max_bytes: int | None = None,
    ) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._writer: Writer | None = None
        if not read_only:
            db = connect(path, read_only=False)
            try:
                with store_errors(path):
                    create_tables(db)
                    if max_bytes is not None:
                        page = db.execute("PRAGMA page_size").fetchone()[0]
                        db.execute(f"PRAGMA max_page_count = {max(1, max_bytes // int(page))}")
                    self._epoch = _bump_epoch(db, path)
            except BaseException:
                db.close()
                raise
            self._writer = Writer(db, path, self._epoch, free_space)
        try:
            self._reader = connect(path, read_only=True, check=read_only)
        except BaseException:
            if self._writer is not None:
                self._writer.close()
            raise
        if read_only:
            try:
                self._epoch = _to_epoch(self.get_meta("epoch"), path)
            except BaseException:
                self._reader.close()
                raise

    @property
    def epoch(self) -> int:
        """How often this run was opened for writing. A process with an older number can no longer write."""
        return self._epoch

    def close(self) -> None:
        """Write what is queued and close. A second call does nothing."""
        # The reader first: the last connection to close folds the WAL file in and removes it.
        with self._lock:
            self._reader.close()
        if self._writer is not None:
            self._writer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def flush(self) -> None:
        """Wait until everything queued so far is on disk.

        Raises:
            StoreError: A write failed.
        """
        self._submit(lambda db: None).result()

    # Items and rows: the core's RecordStore.

    def register_items(self, items: Iterable[tuple[str, int, str]]) -> None:
        """Record which items the run has, before the first is worked on.

        Args:
            items: Id, position and source id of each. Rows are ordered by position, not by completion. Known items
                keep their state and take the new position.
        """
        wanted = list(items)

        def apply(db: sqlite3.Connection) -> None:
            db.executemany(
                "INSERT INTO item (id, position, source) VALUES (?, ?, ?) "
                "ON CONFLICT (id) DO UPDATE SET position = excluded.position, source = excluded.source",
                wanted,
            )

        self._submit(apply).result()

    def registered_items(self) -> dict[str, str]:
        """Return the source id of every item of the run, finished or not, in order."""
        return dict(self._all("SELECT id, source FROM item ORDER BY position"))

    def finished(self, item: str) -> dict[str, Any] | None:
        found = self._one("SELECT state, state_sha256 FROM item WHERE id = ? AND state IS NOT NULL", item)
        if found is None:
            return None
        state: dict[str, Any] = json.loads(_intact(found[0], found[1], f"the state of item {item!r}", self.path))
        return state

    def finish(self, item: str, state: dict[str, Any], example: Example | None) -> bool:
        return self.submit_finish(item, state, example).result()

    def submit_finish(self, item: str, state: Mapping[str, Any], example: Example | None) -> Future[bool]:
        """Do what `finish` does, without waiting. An item that is finished already stays as it is."""
        text = canonical_json(state)
        digest = _sha256(text)
        source = example.source.id if example else ""
        body = _row_text(example) if example else ""
        body_digest = _sha256(body)

        def apply(db: sqlite3.Connection) -> bool:
            known = db.execute("SELECT state IS NOT NULL, duplicate_of FROM item WHERE id = ?", (item,)).fetchone()
            if known is not None and known[0]:
                return known[1] is None
            holder = None
            if example is not None:
                holder = db.execute("SELECT item FROM row WHERE id = ?", (example.id,)).fetchone()
            duplicate_of = example.id if example is not None and holder is not None else None
            db.execute(
                "INSERT INTO item (id, position, source, state, state_sha256, duplicate_of) "
                "VALUES (?1, (SELECT coalesce(max(position), -1) + 1 FROM item), ?2, ?3, ?4, ?5) ON CONFLICT (id) "
                "DO UPDATE SET state = ?3, state_sha256 = ?4, duplicate_of = ?5",
                (item, source, text, digest, duplicate_of),
            )
            if example is not None and holder is None:
                db.execute("INSERT INTO row VALUES (?, ?, ?, ?)", (example.id, item, body, body_digest))
            return duplicate_of is None

        return self._submit(apply)

    def examples(self) -> Sequence[Example]:
        return tuple(
            Example.from_json(json.loads(row.body if row.intact else _damaged(f"row {row.id!r}", self.path)))
            for row in self.rows()
        )

    def rows(self) -> Iterator[StoredRow]:
        """Yield the accepted rows in the order of their items, damaged ones too."""
        for id, item, body, digest in self._pages(
            "SELECT item.position, item.id, row.id, row.item, row.body, row.body_sha256 "
            "FROM item JOIN row ON row.item = item.id"
        ):
            yield StoredRow(id, item, body, _sha256(body) == digest)

    def finished_items(self) -> Iterator[FinishedItem]:
        """Yield the finished items in order.

        Raises:
            StoreError: A state does not fit its hash.
        """
        for id, source, state, digest, duplicate_of in self._pages(
            "SELECT position, id, id, source, state, state_sha256, duplicate_of FROM item WHERE state IS NOT NULL"
        ):
            text = _intact(state, digest, f"the state of item {id!r}", self.path)
            yield FinishedItem(id, source, json.loads(text), duplicate_of)

    # The core's CallJournal. Per call: wait for `send`, ask the model, wait for `done` or `failed`.

    def lookup(self, key: str) -> ModelReply | None:
        """Return the recorded reply of a call, or None when it has none; an error is not a reply and is asked again.

        Raises:
            StoreError: The recorded text does not fit its hash.
        """
        found = self._one("SELECT reply, reply_sha256 FROM call WHERE key = ? AND state = 'done'", key)
        if found is None:
            return None
        return ModelReply.from_json(json.loads(_intact(found[0], found[1], f"the reply to call {key!r}", self.path)))

    def send(
        self,
        key: str,
        request: str | Mapping[str, Any],
        identity: str | Mapping[str, Any],
        reserved_usd: float,
    ) -> Future[bool]:
        """Announce a call before it is made.

        Args:
            key: Hash of everything that can change the reply.
            request: `ModelRequest.to_json()`, or its text; `role`, `item` and `step` are indexed.
            identity: `ModelIdentity.to_json()`, or its text.
            reserved_usd: The most this call may cost; counted as spent until the reply settles it.

        Returns:
            True when this call was announced before and never settled, so that it may be billed twice: the earlier
            reservation stays counted as spent. False otherwise.
        """
        facts = json.loads(request) if isinstance(request, str) else request
        asked = request if isinstance(request, str) else canonical_json(request)
        model = identity if isinstance(identity, str) else canonical_json(identity)
        names = tuple(_valid_unicode(str(facts.get(name, ""))) for name in ("role", "item", "step"))

        def apply(db: sqlite3.Connection) -> bool:
            known = db.execute("SELECT state FROM call WHERE key = ?", (key,)).fetchone()
            if known is None:
                db.execute(
                    "INSERT INTO call (key, state, role, item, step, request, identity, reserved_usd) "
                    "VALUES (?, 'sent', ?, ?, ?, ?, ?, ?)",
                    (key, *names, asked, model, reserved_usd),
                )
                return False
            if known[0] == "sent":
                db.execute(
                    "UPDATE call SET lost_sends = lost_sends + 1, lost_usd = lost_usd + reserved_usd, "
                    "reserved_usd = ? WHERE key = ?",
                    (reserved_usd, key),
                )
                return True
            if known[0] == "failed":
                db.execute("UPDATE call SET state = 'sent', reserved_usd = ? WHERE key = ?", (reserved_usd, key))
            return False

        return self._submit(apply, spends=True)

    def done(self, key: str, reply: ModelReply) -> Future[None]:
        """Record the reply and settle what it cost. The first reply of a call is the one that counts."""
        text = canonical_json(reply.to_json())
        digest = _sha256(text)
        usage = reply.usage

        def apply(db: sqlite3.Connection) -> None:
            db.execute(
                "UPDATE call SET state = 'done', reply = ?, reply_sha256 = ?, error = NULL, calls = calls + ?, "
                "input_tokens = input_tokens + ?, output_tokens = output_tokens + ?, cost_usd = cost_usd + ?, "
                "estimated = estimated OR ? WHERE key = ? AND state <> 'done'",
                (
                    text,
                    digest,
                    usage.calls,
                    usage.input_tokens,
                    usage.output_tokens,
                    usage.cost_usd,
                    usage.estimated,
                    key,
                ),
            )
            self._must_be_announced(db, key)

        return self._submit(apply)

    def failed(self, key: str, error: str, charged_usd: float = 0.0) -> Future[None]:
        """Record that no reply came. A later run may ask again.

        Args:
            key: The call.
            error: Why, for people.
            charged_usd: What it cost all the same, or may have cost (a timeout).
        """
        text = _valid_unicode(error)

        def apply(db: sqlite3.Connection) -> None:
            db.execute(
                "UPDATE call SET state = 'failed', error = ?, calls = calls + 1, cost_usd = cost_usd + ?2, "
                "estimated = estimated OR ?2 > 0 WHERE key = ?3 AND state = 'sent'",
                (text, charged_usd, key),
            )
            self._must_be_announced(db, key)

        return self._submit(apply)

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
                calls=calls, input_tokens=tokens_in, output_tokens=tokens_out, cost_usd=usd, estimated=bool(estimated)
            )
            for role, calls, tokens_in, tokens_out, usd, estimated in self._all(_SPENT)
        }

    def possibly_billed_twice(self) -> int:
        """Return how often a call was made again because a crash hid whether the first was answered."""
        found = self._one("SELECT coalesce(sum(lost_sends), 0) FROM call")
        return int(found[0]) if found else 0

    # Coverage claims, see `recorded_coverage`.

    def claim(self, ask: CoverageAsk, reply: CoverageReply) -> Future[None]:
        """Record a coverage decision. The first decision about an id is the one that counts."""
        id = _valid_unicode(ask.id)
        asked = canonical_json({"key": ask.key, "id": ask.id, "text": ask.text, "meta": dict(ask.meta)})
        text = canonical_json(reply.to_json())

        def apply(db: sqlite3.Connection) -> None:
            db.execute("INSERT INTO claim (id, ask, reply) VALUES (?, ?, ?) ON CONFLICT DO NOTHING", (id, asked, text))

        return self._submit(apply)

    def claims(self) -> list[tuple[CoverageAsk, CoverageReply]]:
        """Return the recorded decisions, in the order they were recorded."""
        found = self._all("SELECT ask, reply FROM claim ORDER BY seq")
        try:
            return [
                (CoverageAsk(**json.loads(ask)), CoverageReply.from_json(json.loads(reply))) for ask, reply in found
            ]
        except (ValueError, TypeError, RecordError) as error:
            _damaged(f"a coverage claim ({error})", self.path)

    # Meta and events.

    def get_meta(self, key: str) -> str | None:
        """Return a named text of the run, None when it is not set."""
        found = self._one("SELECT value FROM meta WHERE key = ?", key)
        return str(found[0]) if found else None

    def set_meta(self, key: str, value: str) -> Future[None]:
        """Set a named text of the run. `epoch` and `bound.*` are the store's own."""
        if key == "epoch" or key.startswith("bound."):
            raise StoreError(f"The name {key!r} is kept for the store itself. Choose another.")
        return self._submit(lambda db: _set_meta(db, key, value))

    def bind(
        self,
        recipe_hash: str,
        protocol_hash: str,
        sources_hash: str,
        recipe_json: str,
        parts: Mapping[str, str] | None = None,
    ) -> None:
        """Tie the run to its recipe at the first opening; later make sure that it is still the same.

        Args:
            recipe_hash: Of the recipe as the run started.
            protocol_hash: Of everything that measures.
            sources_hash: Of the documents.
            recipe_json: Kept at the first opening, for people.
            parts: Named hashes of what these are made of (`models.weak`, `policy`), so that the message can say
                which part changed.

        Raises:
            StoreError: Something differs; the message names it.
        """
        given = {"recipe": recipe_hash, "protocol": protocol_hash, "sources": sources_hash, **(parts or {})}

        def apply(db: sqlite3.Connection) -> list[str]:
            stored = dict(db.execute("SELECT substr(key, 7), value FROM meta WHERE key LIKE 'bound.%'").fetchall())
            if not stored:
                for name, value in given.items():
                    _set_meta(db, f"bound.{name}", value)
                _set_meta(db, "recipe_json", recipe_json)
                return []
            return [
                f"{name} ({_short(stored.get(name))} then, {_short(given.get(name))} now)"
                for name in dict.fromkeys([*given, *sorted(stored)])
                if stored.get(name) != given.get(name)
            ]

        if differing := self._submit(apply).result():
            raise StoreError(
                f"The run in {self.path.parent} was started with something else: {', '.join(differing)}. "
                "Undo the change to go on with it, or choose another folder for a new run."
            )

    def bound(self) -> dict[str, str]:
        """Return the named hashes that the run is tied to; empty before `bind`."""
        return dict(self._all("SELECT substr(key, 7), value FROM meta WHERE key LIKE 'bound.%' ORDER BY key"))

    def event(self, kind: str, item: str | None = None, payload: Mapping[str, Any] | None = None) -> Future[None]:
        """Note that something happened, for the report. Nothing is decided from events."""
        text = canonical_json(dict(payload or {}))

        def apply(db: sqlite3.Connection) -> None:
            db.execute("INSERT INTO event (kind, item, payload) VALUES (?, ?, ?)", (kind, item, text))

        return self._submit(apply)

    def events(self, kind: str | None = None) -> list[tuple[str, str | None, dict[str, Any]]]:
        """Return kind, item and payload of the events, oldest first."""
        found = self._all("SELECT kind, item, payload FROM event WHERE ?1 IS NULL OR kind = ?1 ORDER BY seq", kind)
        try:
            return [(name, item, json.loads(payload)) for name, item, payload in found]
        except ValueError as error:
            _damaged(f"an event ({error})", self.path)

    # Looking for damage.

    def problems(self) -> list[str]:
        """Return what is wrong with the file and with the texts in it, one sentence each; empty when all is well."""
        found = [
            f"run.db: {' '.join(line.split())}" for (line,) in self._all("PRAGMA integrity_check(20)") if line != "ok"
        ]
        found += [
            f"run.db: {table} refers to something that is not there."
            for table, *_ in self._all("PRAGMA foreign_key_check")
        ]
        for what, query in (
            ("row", "SELECT id, body, body_sha256 FROM row"),
            ("the state of item", "SELECT id, state, state_sha256 FROM item WHERE state IS NOT NULL"),
            ("the reply to call", "SELECT key, reply, reply_sha256 FROM call WHERE state = 'done'"),
        ):
            found += [
                f"run.db: {what} {id!r} was changed after it was written."
                for id, text, digest in self._all(query)
                if text is None or _sha256(text) != digest
            ]
        return found

    def _submit(self, apply: Callable[[sqlite3.Connection], T], *, spends: bool = False) -> Future[T]:
        if self._writer is None:
            raise StoreError(f"{self.path} was opened to look at, not to write.")
        return self._writer.submit(apply, spends=spends)

    def _one(self, query: str, *values: object) -> tuple[Any, ...] | None:
        with self._lock, store_errors(self.path):
            found: tuple[Any, ...] | None = self._reader.execute(query, values).fetchone()
            return found

    def _all(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        with self._lock, store_errors(self.path):
            return self._reader.execute(query, values).fetchall()

    def _pages(self, query: str) -> Iterator[tuple[Any, ...]]:
        """Yield what `query` finds in the order of items, a few at a time, without the leading position and item."""
        # Not one open cursor: that would hold an old view of the file and keep the WAL from being folded in.
        joint = "AND" if " WHERE " in query else "WHERE"
        last: tuple[int, str] = (-(2**63), "")
        order = "ORDER BY item.position, item.id LIMIT 500"
        while page := self._all(f"{query} {joint} (item.position, item.id) > (?, ?) {order}", *last):
            for position, item, *values in page:
                yield tuple(values)
                last = (position, item)

    @staticmethod
    def _must_be_announced(db: sqlite3.Connection, key: str) -> None:
        if db.execute("SELECT 1 FROM call WHERE key = ?", (key,)).fetchone() is None:
            raise LookupError(f"The call {key!r} was settled without being announced by send().")


def _bump_epoch(db: sqlite3.Connection, path: Path) -> int:
    db.execute("BEGIN IMMEDIATE")
    found = db.execute("SELECT value FROM meta WHERE key = 'epoch'").fetchone()
    epoch = _to_epoch(found[0] if found else None, path) + 1
    _set_meta(db, "epoch", str(epoch))
    db.execute("COMMIT")
    return epoch


def _to_epoch(text: str | None, path: Path) -> int:
    if text is not None and not text.isdecimal():
        _damaged("the epoch", path)
    return int(text or 0)


def _set_meta(db: sqlite3.Connection, key: str, value: str) -> None:
    db.execute("INSERT INTO meta VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value", (key, value))


def _row_text(example: Example) -> str:
    return json.dumps(example.to_json(), ensure_ascii=True, allow_nan=False)


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _intact(text: str, digest: str, what: str, path: Path) -> str:
    if _sha256(text) != digest:
        _damaged(what, path)
    return text


def _damaged(what: str, path: Path) -> NoReturn:
    raise StoreError(f"{path}: {what} was changed after it was written. Restore a copy of the run folder.")


def _short(digest: str | None) -> str:
    return "nothing" if digest is None else digest[:12]


def _valid_unicode(text: str) -> str:
    return text.encode("utf-8", "replace").decode("utf-8")
