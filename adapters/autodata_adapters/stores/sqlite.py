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
from autodata_adapters.stores.refusals import refused_rounds, refused_text
from autodata_adapters.stores.schema import connect, create_tables
from autodata_adapters.stores.writer import Writer
from autodata_core.calls import Written
from autodata_core.crashpoints import crashpoint
from autodata_core.errors import RecordError, StoreError
from autodata_core.ports import CoverageAsk, CoverageReply, ModelReply
from autodata_core.records import Example, Source, Usage, canonical_json

__all__ = ["FinishedItem", "RecordedCall", "SqliteRunStore", "StoredRow"]

T = TypeVar("T")

_SPENT = """
SELECT role,
       sum(calls + lost_sends + (state = 'sent')),
       sum(input_tokens + lost_tokens + CASE WHEN state = 'sent' THEN reserved_tokens ELSE 0 END),
       sum(output_tokens),
       sum(cost_usd + lost_usd + CASE WHEN state = 'sent' THEN reserved_usd ELSE 0 END),
       max(estimated OR lost_sends > 0 OR state = 'sent')
FROM call GROUP BY role ORDER BY role
"""

_SEALED_CALL = (
    "key, state, role, item, step, reserved_usd, reserved_tokens, lost_sends, lost_usd, lost_tokens, calls, "
    "input_tokens, output_tokens, cost_usd, estimated, error, reply_sha256"
)
_MONEY = frozenset(n for n, name in enumerate(_SEALED_CALL.split(", ")) if name.endswith("_usd"))
_SETTLE_ONCE = (
    "UPDATE call SET state = 'done', reply = ?, reply_sha256 = ?, calls = ?, input_tokens = ?, output_tokens = ?, "
    "cost_usd = ?, estimated = ?, seal = ? WHERE key = ? AND seal = ?"
)
"""Settles a call that is as it was announced, which its seal shows; nearly every call is, and this is half the work."""
_SEALED_ITEM = "id, source, status, recipe, duplicate_of, state_sha256"
"""Columns that the seal of a line is the hash of, so that an edited cost is found like an edited text."""

_STATE_FORM = {"history": list, "note": str, "usage": dict}

_CHAINS = {"claim": "id, ask, reply", "event": "kind, item, payload"}
"""By table: what each link of its chain is the hash of, besides the link before."""


class FinishedItem(NamedTuple):
    """An item that is done, with what became of its row."""

    id: str
    source: str
    state: dict[str, Any]
    duplicate_of: str | None
    """Id of the row that another item had accepted first; None otherwise."""
    recipe: str | None
    """Version of the recipe that was in force; None when nobody said."""


class StoredRow(NamedTuple):
    """An accepted row as the text that a projection writes."""

    id: str
    item: str
    body: str
    """`Example.to_json()` as ASCII JSON."""
    intact: bool
    """False when the text does not fit its hash."""


class RecordedCall(NamedTuple):
    """A call that was answered."""

    key: str
    role: str
    item: str
    step: str
    request: str
    """What was asked, without its view; canonical JSON."""
    identity: str
    reply: str


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
        self._fresh: dict[str, ModelReply] = {}
        """Replies that are on their way to the disk."""
        self._answered: set[int] | None = None
        """Hashes of the keys that have a reply; None where only the file knows."""
        self._models: dict[str, int] = {}
        """Identities that the file has, with their numbers."""
        self._sent: dict[str, tuple[tuple[Any, ...], str]] = {}
        """What the file says about calls in flight that were announced for the first time, with their seals."""
        self._is_bound = False
        self._recipe: str | None = None
        """Version in force, noted with every item that is finished."""
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
        if not read_only:
            try:
                keys = self._each("SELECT key FROM call WHERE state = 'done'")
                self._answered = {hash(key) for (key,) in keys}
            except BaseException:
                self.close()
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
        found = self._one("SELECT state, state_sha256, status FROM item WHERE id = ? AND status IS NOT NULL", item)
        if found is None:
            return None
        return self._state(_intact(found[0], found[1], f"the state of item {item!r}", self.path), found[2], item)

    def finish(self, item: str, state: dict[str, Any], example: Example | None) -> bool:
        return self.submit_finish(item, state, example).result()

    def submit_finish(self, item: str, state: Mapping[str, Any], example: Example | None) -> Future[bool]:
        """Do what `finish` does, without waiting. An item that is finished already stays as it is."""
        text = canonical_json(state)
        digest, status, recipe = _sha256(text), str(state.get("status", "")), self._recipe
        refused = list(refused_rounds(state))
        body = _row_text(example) if example else ""
        body_digest = _sha256(body)

        def apply(db: sqlite3.Connection) -> bool:
            known = db.execute(
                "SELECT status IS NOT NULL, duplicate_of, source FROM item WHERE id = ?", (item,)
            ).fetchone()
            if known is not None and known[0]:
                return known[1] is None
            source = known[2] if known is not None else str(state.get("source_id", ""))
            if known is None and example is not None:
                source = example.source.id
            holder = None
            if example is not None:
                holder = db.execute("SELECT item FROM row WHERE id = ?", (example.id,)).fetchone()
            duplicate_of = example.id if example is not None and holder is not None else None
            lines = refused_text(item, source, refused, state, duplicate_of)
            seal = _seal((item, source, status, recipe, duplicate_of, digest))
            db.execute(
                "INSERT INTO item (id, position, source, status, recipe, duplicate_of, state_sha256, seal, refused, state) "
                "VALUES (?1, (SELECT coalesce(max(position), -1) + 1 FROM item), ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) "
                "ON CONFLICT (id) DO UPDATE SET status = ?3, recipe = ?4, duplicate_of = ?5, state_sha256 = ?6, "
                "seal = ?7, refused = ?8, state = ?9",
                (item, source, status, recipe, duplicate_of, digest, seal, lines, text),
            )
            if example is not None and holder is None:
                db.execute("INSERT INTO row VALUES (?, ?, ?, ?)", (example.id, item, body, body_digest))
            crashpoint("accept.commit")
            return duplicate_of is None

        return _then(self._submit(apply), "accept.committed")

    def use_recipe(
        self,
        version: str,
        recipe_json: str,
        *,
        planned: int | None = None,
        ended: Mapping[str, Any] | None = None,
    ) -> Future[None]:
        """Note with every item that is finished from now on that this recipe is in force.

        Args:
            version: Of the recipe.
            recipe_json: The recipe.
            planned: Items behind it, where a batch was studied; an event `batch` keeps it.
            ended: What the batch gave, kept in the same event.
        """
        self._recipe = version
        event = canonical_json({"planned": planned, "version": version, **(ended or {})})

        def apply(db: sqlite3.Connection) -> None:
            db.execute("INSERT INTO recipe VALUES (?, ?) ON CONFLICT DO NOTHING", (version, recipe_json))
            _set_meta(db, "recipe_last", version)
            if planned is not None:
                _link(db, "event", ("batch", None, event))

        return self._submit(apply, patient=True)

    def recipes(self) -> dict[str, str]:
        """Return every recipe that was in force, as JSON by version."""
        return dict(self._all("SELECT version, body FROM recipe ORDER BY rowid"))

    def keep_sources(self, sources: Iterable[Source]) -> None:
        """Keep what the run is grounded in, so that it can be decided again from its folder alone."""
        texts = [(source.id, canonical_json(source.to_json())) for source in sources]
        lines = [(id, text, _sha256(text)) for id, text in texts]
        self._submit(
            lambda db: db.executemany("INSERT INTO source VALUES (?, ?, ?) ON CONFLICT DO NOTHING", lines)
        ).result()

    def source(self, id: str) -> Source | None:
        """Return a source of the run, None when it has none of that name."""
        found = self._one("SELECT body, body_sha256 FROM source WHERE id = ?", id)
        if found is None:
            return None
        return Source.from_json(json.loads(_intact(found[0], found[1], f"the source {id!r}", self.path)))

    def sources(self) -> dict[str, str]:
        """Return the hash of every source's text by its id."""
        return dict(self._all("SELECT id, json_extract(body, '$.sha256') FROM source ORDER BY rowid"))

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
        for id, source, state, digest, status, duplicate_of, recipe in self._pages(
            "SELECT position, id, id, source, state, state_sha256, status, duplicate_of, recipe "
            "FROM item WHERE status IS NOT NULL"
        ):
            text = _intact(state, digest, f"the state of item {id!r}", self.path)
            yield FinishedItem(id, source, self._state(text, status, id), duplicate_of, recipe)

    def refused_lines(self) -> Iterator[str]:
        """Yield the lines of `refused.jsonl` in the order of their items, without line ends."""
        for (text,) in self._pages("SELECT position, id, refused FROM item WHERE refused <> ''"):
            yield from text.split("\n")

    def first_open_item(self) -> int:
        """Return the position of the first item that is not finished; of all that come after the last where all are."""
        found = self._one("SELECT min(position) FROM item WHERE status IS NULL")
        if found is None or found[0] is None:
            found = self._one("SELECT coalesce(max(position) + 1, 0) FROM item")
        return int(found[0]) if found else 0

    def counts(self, before: int = 2**62) -> dict[str, int]:
        """Return how many items are finished, by status; `duplicate_row` for those whose row was there already.

        Args:
            before: Only items in front of this position.
        """
        return dict(
            self._all(
                "SELECT CASE WHEN duplicate_of IS NULL THEN status ELSE 'duplicate_row' END AS name, count(*) "
                "FROM item WHERE status IS NOT NULL AND position < ? GROUP BY name ORDER BY name",
                before,
            )
        )

    # The core's CallJournal. Per call: wait for `send`, ask the model, wait for `done` or `failed`.

    def lookup(self, key: str) -> ModelReply | None:
        """Return the recorded reply of a call, or None when it has none; an error is not a reply and is asked again.

        Raises:
            StoreError: The recorded text does not fit its hash.
        """
        fresh = self._fresh.get(key)
        if fresh is not None:
            return fresh
        if self._answered is not None and hash(key) not in self._answered:
            return None  # most calls are new; asking the file costs more than all else that is done here
        found = self._one("SELECT reply, reply_sha256 FROM call WHERE key = ? AND state = 'done'", key)
        if found is None:
            return None
        return ModelReply.from_json(json.loads(_intact(found[0], found[1], f"the reply to call {key!r}", self.path)))

    def error_of(self, key: str) -> str | None:
        """Return why a call has no reply, None when it has one or was never made."""
        found = self._one("SELECT error FROM call WHERE key = ? AND state = 'failed'", key)
        return str(found[0]) if found else None

    def send(
        self,
        key: str,
        request: str | Mapping[str, Any],
        identity: str | Mapping[str, Any],
        reserved_usd: float,
        reserved_tokens: int = 0,
    ) -> Future[bool]:
        """Announce a call before it is made.

        Args:
            key: Hash of everything that can change the reply.
            request: `ModelRequest.to_json()`, or its text; `role`, `item` and `step` have columns of their own.
            identity: `ModelIdentity.to_json()`, or its text.
            reserved_usd: The most this call may cost; counted as spent until the reply settles it.
            reserved_tokens: The same in tokens.

        Returns:
            True when this call was announced before and never settled, so that it may be billed twice: the earlier
            reservation stays counted as spent. False otherwise.
        """
        facts = json.loads(request) if isinstance(request, str) else request
        asked, model = _text_of(request), _text_of(identity)
        role, item, step = (_valid_unicode(str(facts.get(name, ""))) for name in ("role", "item", "step"))
        reserved_usd = float(reserved_usd)  # the column's type, so that the seal is of what will be read

        sent = (key, "sent", role, item, step, reserved_usd, reserved_tokens)
        seal = _call_seal((*sent, 0, 0.0, 0, 0, 0, 0, 0.0, 0, None, None))
        number = self._models.get(model)
        if self._writer is not None:
            self._sent[key] = sent, seal

        def apply(db: sqlite3.Connection) -> bool:
            made = db.execute(
                "INSERT INTO call (key, state, role, item, step, reserved_usd, reserved_tokens, seal) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
                (*sent, seal),
            )
            if made.rowcount:
                db.execute("INSERT INTO asked VALUES (?, ?, ?)", (made.lastrowid, number or _model(db, model), asked))
                return False
            lost: bool = db.execute("SELECT state = 'sent' FROM call WHERE key = ?", (key,)).fetchone()[0] == 1
            _change_call(
                db,
                "state = 'sent', lost_sends = lost_sends + ?1, lost_usd = lost_usd + ?1 * reserved_usd, "
                "lost_tokens = lost_tokens + ?1 * reserved_tokens, reserved_usd = ?2, reserved_tokens = ?3 "
                "WHERE key = ?4 AND state <> 'done'",
                (int(lost), reserved_usd, reserved_tokens, key),
            )
            return lost

        announced = self._submit(apply, spends=True)
        if number is None:
            # Only after the commit: a number of a transaction that is rolled back must not be remembered.
            announced.add_done_callback(lambda done: self._remember_model(done, model))
        return announced

    def _remember_model(self, done: Future[bool], identity: str) -> None:
        if done.exception() is None and (found := self._one("SELECT id FROM model WHERE identity = ?", identity)):
            self._models[identity] = int(found[0])

    def done(self, key: str, reply: ModelReply, charged: Usage | None = None) -> Future[None]:
        """Record the reply and settle what it cost. The first reply of a call is the one that counts.

        Args:
            key: The call.
            reply: What came.
            charged: With what earlier tries of the call may have cost; None is what the reply says.
        """
        text = canonical_json(reply.to_json())
        digest = _sha256(text)
        usage = reply.usage if charged is None else charged
        settled = _settled_once(self._sent.pop(key, None), text, digest, _figures(usage))

        def apply(db: sqlite3.Connection) -> None:
            if settled and db.execute(_SETTLE_ONCE, settled).rowcount:
                return
            changed = _change_call(
                db,
                "state = 'done', reply = ?, reply_sha256 = ?, error = NULL, calls = calls + ?, "
                "input_tokens = input_tokens + ?, output_tokens = output_tokens + ?, cost_usd = cost_usd + ?, "
                "estimated = estimated OR ? WHERE key = ? AND state <> 'done'",
                (text, digest, *_figures(usage), key),
            )
            if not changed:
                self._must_be_announced(db, key)

        if self._writer is not None and self._answered is not None:
            self._fresh[key] = reply
            self._answered.add(hash(key))
        recorded = self._submit(apply, patient=True)
        recorded.add_done_callback(lambda _: self._fresh.pop(key, None))
        return _then(recorded, "call.done")

    def failed(self, key: str, error: str, charged_usd: float = 0.0, charged: Usage | None = None) -> Future[None]:
        """Record that no reply came. A later run may ask again.

        Args:
            key: The call.
            error: Why, for people.
            charged_usd: What it cost all the same, or may have cost (a timeout).
            charged: The same with calls and tokens; goes before `charged_usd`.
        """
        text = _valid_unicode(error)
        usage = charged or Usage(calls=1, cost_usd=charged_usd, estimated=charged_usd > 0)
        self._sent.pop(key, None)

        def apply(db: sqlite3.Connection) -> None:
            changed = _change_call(
                db,
                "state = 'failed', error = ?, calls = calls + ?, input_tokens = input_tokens + ?, "
                "output_tokens = output_tokens + ?, cost_usd = cost_usd + ?, estimated = estimated OR ? "
                "WHERE key = ? AND state = 'sent'",
                (text, *_figures(usage), key),
            )
            if not changed:
                self._must_be_announced(db, key)

        return self._submit(apply, patient=True)

    def answered_calls(self) -> Iterator[RecordedCall]:
        """Yield every call that has a reply, in the order in which they were asked."""
        last = -1
        query = (
            "SELECT seq, key, role, item, step, request, identity, reply FROM call JOIN asked ON asked.call = seq "
            "JOIN model ON model.id = asked.model WHERE state = 'done' AND seq > ? ORDER BY seq LIMIT 500"
        )
        while page := self._all(query, last):
            for seq, *values in page:
                yield RecordedCall(*values)
                last = seq

    def take_over(self, calls: Iterable[RecordedCall]) -> int:
        """Record calls that another run has paid for: they are answered from here and cost this run nothing.

        Returns:
            How many were taken.
        """
        taken = 0
        batch: list[RecordedCall] = []

        def write(lines: list[RecordedCall]) -> None:
            def apply(db: sqlite3.Connection) -> None:
                for call in lines:
                    digest = _sha256(call.reply)
                    facts = (call.key, "done", call.role, call.item, call.step, 0.0, 0, 0, 0.0, 0, 0, 0, 0, 0.0, 0)
                    made = db.execute(
                        "INSERT INTO call (key, state, role, item, step, reserved_usd, reserved_tokens, reply_sha256, seal, "
                        "reply) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
                        (*facts[:7], digest, _call_seal((*facts, None, digest)), call.reply),
                    )
                    if made.rowcount:
                        model = _model(db, call.identity)
                        db.execute("INSERT INTO asked VALUES (?, ?, ?)", (made.lastrowid, model, call.request))

            self._submit(apply).result()
            if self._answered is not None:
                self._answered.update(hash(call.key) for call in lines)

        for call in calls:
            batch.append(call)
            taken += 1
            if len(batch) == 500:
                write(batch)
                batch = []
        write(batch)
        return taken

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
            _link(db, "claim", (id, asked, text))

        return self._submit(apply, patient=True)

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
        explain: Callable[[], str] = lambda: "",
    ) -> None:
        """Tie the run to its recipe at the first opening; later make sure that it is still the same.

        Args:
            recipe_hash: Of the recipe as the run started.
            protocol_hash: Of everything that measures.
            sources_hash: Of the documents.
            recipe_json: Kept at the first opening, for people.
            parts: Named hashes of what these are made of (`models.weak`, `policy`), so that the message can say
                which part changed.
            explain: Called where something differs, for a message that shows the values and not their hashes.

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
            shown = explain()
            raise StoreError(
                f"The run in {self.path.parent} was started with something else: {', '.join(differing)}. "
                f"{shown and shown + '. '}Undo the change to go on with it, take --fork NEWDIR to go on in another folder "
                "with what is paid for, or choose another folder for a new run."
            )

    def bound(self) -> dict[str, str]:
        """Return the named hashes that the run is tied to; empty before `bind`."""
        return dict(self._all("SELECT substr(key, 7), value FROM meta WHERE key LIKE 'bound.%' ORDER BY key"))

    def event(self, kind: str, item: str | None = None, payload: Mapping[str, Any] | None = None) -> Future[None]:
        """Note that something happened, for the report. Nothing is decided from events."""
        text = canonical_json(dict(payload or {}))

        def apply(db: sqlite3.Connection) -> None:
            _link(db, "event", (kind, item, text))

        return self._submit(apply)

    def events(self, kind: str | None = None) -> list[tuple[str, str | None, dict[str, Any]]]:
        """Return kind, item and payload of the events, oldest first."""
        found = self._all("SELECT kind, item, payload FROM event WHERE ?1 IS NULL OR kind = ?1 ORDER BY seq", kind)
        try:
            events = [(name, item, json.loads(payload)) for name, item, payload in found]
        except ValueError as error:
            _damaged(f"an event ({error})", self.path)
        if not all(isinstance(payload, dict) for _, _, payload in events):
            _damaged("an event", self.path)
        return events

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
            ("the state of item", "SELECT id, state, state_sha256 FROM item WHERE status IS NOT NULL"),
            ("the reply to call", "SELECT key, reply, reply_sha256 FROM call WHERE state = 'done'"),
            ("the source", "SELECT id, body, body_sha256 FROM source"),
        ):
            found += [
                f"run.db: {what} {id!r} was changed after it was written."
                for id, text, digest in self._each(query)
                if text is None or _sha256(text) != digest
            ]
        found += [
            f"run.db: what call {key!r} cost was changed after it was written."
            for seal, key, *rest in self._each(f"SELECT seal, {_SEALED_CALL} FROM call")  # noqa: S608 - names of ours
            if _call_seal((key, *rest)) != seal
        ]
        found += [
            f"run.db: what became of item {id!r} was changed after it was written."
            for seal, id, *rest in self._each(f"SELECT seal, {_SEALED_ITEM} FROM item WHERE status IS NOT NULL")  # noqa: S608 - names of ours
            if _seal((id, *rest)) != seal
        ]
        for table in _CHAINS:
            found += self._broken_links(table)
        return found + self._changed_requests()

    def _broken_links(self, table: str) -> Iterator[str]:
        """Yield where a chain does not hold. A line that was taken out shows at the one behind it, and at its number."""
        before, number = "", 0
        for seq, chain, *values in self._each(f"SELECT seq, chain, {_CHAINS[table]} FROM {table} ORDER BY seq"):  # noqa: S608 - names of ours
            number += 1
            if seq != number:
                yield f"run.db: {table} {number} was taken out."
            elif chain != _chain(before, values):
                yield f"run.db: {table} {number} ({values[0]}) was changed after it was written."
            before, number = chain, seq

    def _changed_requests(self) -> list[str]:
        """Return which calls were not asked what the journal says: a key is the hash of what was asked."""
        found = []
        for key, request, identity in self._each(
            "SELECT key, request, identity FROM call JOIN asked ON call = seq JOIN model ON model.id = model"
        ):
            if len(key) != 64:
                continue  # not one of the core's
            try:
                model, content = json.loads(identity), json.loads(request)
                model.pop("served", None), content.pop("view", None)
                intact = _sha256(canonical_json([content, model])) == key
            except (ValueError, AttributeError, RecursionError):
                intact = False
            if not intact:
                found.append(f"run.db: the request of call {key!r} was changed after it was written.")
        return found

    def _each(self, query: str) -> Iterator[tuple[Any, ...]]:
        """Yield what a query finds, a few lines in memory at a time. For a run that nobody works on."""
        with self._lock, store_errors(self.path):
            cursor = self._reader.execute(query)
        while True:
            with self._lock, store_errors(self.path):
                lines = cursor.fetchmany(500)
            if not lines:
                return
            yield from lines

    def _state(self, text: str, status: str, item: str) -> dict[str, Any]:
        """Return an item's state in form: somebody may have put another text and its hash in its place."""
        state = json.loads(text)
        if not isinstance(state, dict) or str(state.get("status", "")) != status:
            _damaged(f"the state of item {item!r}", self.path)
        if not self._is_bound:
            self._is_bound = bool(self.bound())
        # A run that is tied to a recipe holds states of the core, and its readers rely on that.
        if (
            status
            and self._is_bound
            and not all(isinstance(state.get(name), kind) for name, kind in _STATE_FORM.items())
        ):
            _damaged(f"the state of item {item!r}", self.path)
        return state

    def _submit(
        self, apply: Callable[[sqlite3.Connection], T], *, spends: bool = False, patient: bool = False
    ) -> Future[T]:
        if self._writer is None:
            raise StoreError(f"{self.path} was opened to look at, not to write.")
        return self._writer.submit(apply, spends=spends, patient=patient)

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


def _model(db: sqlite3.Connection, identity: str) -> int:
    """Return the number of an identity, which is given one when it has none."""
    db.execute("INSERT INTO model (identity) VALUES (?) ON CONFLICT DO NOTHING", (identity,))
    return int(db.execute("SELECT id FROM model WHERE identity = ?", (identity,)).fetchone()[0])


def _change_call(db: sqlite3.Connection, change: str, values: tuple[Any, ...]) -> bool:
    """Change one call and seal it; return False when there was none to change."""
    found = db.execute(f"UPDATE call SET {change} RETURNING {_SEALED_CALL}", values).fetchone()  # noqa: S608 - names of ours
    if found is None:
        return False
    db.execute("UPDATE call SET seal = ? WHERE key = ?", (_call_seal(found), found[0]))
    return True


def _figures(usage: Usage) -> tuple[int, int, int, float, int]:
    return usage.calls, usage.input_tokens, usage.output_tokens, usage.cost_usd, int(usage.estimated)


def _settled_once(
    announced: tuple[tuple[Any, ...], str] | None, reply: str, digest: str, figures: tuple[int, int, int, float, int]
) -> tuple[Any, ...] | None:
    """Return the values of `_SETTLE_ONCE`; None for a call that this process did not announce."""
    if announced is None:
        return None
    (key, _, *facts), before = announced
    seal = _call_seal((key, "done", *facts, 0, 0.0, 0, *figures, None, digest))
    return (reply, digest, *figures, seal, key, before)


def _text_of(value: str | Mapping[str, Any]) -> str:
    if isinstance(value, str):
        return value
    return value.text if isinstance(value, Written) else canonical_json(value)


def _link(db: sqlite3.Connection, table: str, values: tuple[str | None, ...]) -> None:
    """Add a line to a chain: its hash holds the hash of the line before."""
    if table == "claim" and db.execute("SELECT 1 FROM claim WHERE id = ?", values[:1]).fetchone():
        return  # the first decision is the one that counts
    last = db.execute(f"SELECT seq, chain FROM {table} ORDER BY seq DESC LIMIT 1").fetchone() or (0, "")  # noqa: S608 - names of ours
    db.execute(
        f"INSERT INTO {table} (seq, {_CHAINS[table]}, chain) VALUES (?, ?, ?, ?, ?)",  # noqa: S608 - names of ours
        (last[0] + 1, *values, _chain(last[1], values)),
    )


def _chain(before: str, values: Iterable[str | None]) -> str:
    return _seal((before, *values))


def _seal(values: Iterable[Any]) -> str:
    return _sha256(canonical_json(list(values)))


def _call_seal(values: Iterable[Any]) -> str:
    # SQLite gives a whole number back as one here and as a float there.
    return _seal(float(value) if n in _MONEY else value for n, value in enumerate(values))


def _then(future: Future[T], point: str) -> Future[T]:
    """Let a test kill the process right after the commit."""
    future.add_done_callback(lambda _: crashpoint(point))
    return future


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
