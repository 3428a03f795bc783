"""Every shipped store keeps the contract, and the kit that says so finds the faults it is made for."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from autodata_adapters.stores import SqliteRunStore
from autodata_core.errors import RecordError
from autodata_core.item import ItemState
from autodata_core.ports import MemoryStore, ModelReply
from autodata_core.records import Example, Usage, canonical_json, fingerprint
from autodata_core.testing import conformance
from autodata_core.testing.conformance import Check, capabilities, checks_for, sample_example, sample_state

SENTENCE = {"ids": lambda check: check.__name__}


@pytest.mark.parametrize("check", checks_for(SqliteRunStore), **SENTENCE)
def test_the_file_of_a_run_keeps_the_contract(check: Check, tmp_path: Path) -> None:
    check(lambda: SqliteRunStore(tmp_path / "run.db"))


@pytest.mark.parametrize("check", checks_for(MemoryStore), **SENTENCE)
def test_the_store_in_memory_keeps_the_contract(check: Check) -> None:
    store = MemoryStore()
    check(lambda: store)


def test_capabilities_are_found_by_the_methods() -> None:
    assert capabilities(MemoryStore) == {"records"}
    assert capabilities(SqliteRunStore) == {"records", "plan", "journal", "reopening", "fencing"}
    with pytest.raises(RecordError, match="neither a RecordStore"):
        checks_for(dict)


def test_every_check_is_registered_and_says_what_it_checks() -> None:
    written = {n for n, value in vars(conformance).items() if hasattr(value, "__code__") and n.count("_") > 2}
    checks = {check.__name__: check for check, _ in conformance._CHECKS}
    assert set(checks) == {name for name in written if not name.startswith("_")}
    assert all(check.__doc__ for check in checks.values())


def test_the_kit_needs_no_test_framework() -> None:
    code = "import sys, autodata_core.testing.conformance; sys.exit('pytest' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


class Faulty(SqliteRunStore):
    """A correct store but for the methods that a fault replaces."""


def fault(check: Check, **methods: Any) -> Any:
    """Name a store whose methods are replaced, and the check that must find it."""
    return pytest.param(check, type("Faulty", (Faulty,), methods), id=check.__name__)


def done_at_once(value: Any) -> Future[Any]:
    future: Future[Any] = Future()
    future.set_result(value)
    return future


def finish_anything(self: SqliteRunStore, item: str, state: dict[str, Any], example: Example | None) -> bool:
    SqliteRunStore.finish(self, item, {**state, "note": "another"}, example)
    return True


def finish_row_first(self: SqliteRunStore, item: str, state: dict[str, Any], example: Example | None) -> bool:
    SqliteRunStore.finish(self, item, sample_state(item), example)
    return SqliteRunStore.finish(self, item, json.loads(json.dumps(state, allow_nan=False)), example)


def finish_under_a_clean_name(self: SqliteRunStore, item: str, state: dict[str, Any], example: Example | None) -> bool:
    return SqliteRunStore.finish(self, item.strip("\x00\n \ud800"), state, example)


def finish_without_surrogates(self: SqliteRunStore, item: str, state: dict[str, Any], example: Example | None) -> bool:
    text = json.dumps(state, ensure_ascii=False, allow_nan=False).encode("utf-8", "replace").decode()
    return SqliteRunStore.finish(self, item, json.loads(text), example)


def finish_twice(self: SqliteRunStore, item: str, state: dict[str, Any], example: Example | None) -> bool:
    known = self.finished(item) is not None
    return SqliteRunStore.finish(self, item, state, example) and not known


def finish_the_last(self: SqliteRunStore, item: str, state: dict[str, Any], example: Example | None) -> bool:
    kept = SqliteRunStore.finish(self, item, state, example)
    self._writer.submit(  # type: ignore[union-attr]
        lambda db: db.execute(
            "UPDATE item SET state = ?1, state_sha256 = ?2 WHERE id = ?3",
            (canonical_json(state), fingerprint(state), item),
        )
    ).result()
    return kept


def backwards(self: SqliteRunStore) -> Sequence[Example]:
    return SqliteRunStore.examples(self)[::-1]


def shortened(self: SqliteRunStore) -> Sequence[Example]:
    rows = SqliteRunStore.examples(self)
    return tuple(row.model_copy(update={"question": row.question[:1000]}) for row in rows)


def reply_cut(self: SqliteRunStore, key: str) -> ModelReply | None:
    found = SqliteRunStore.lookup(self, key)
    return found and found.model_copy(update={"text": found.text.replace("\x00", "")[:1000]})


def send_that_forgets(self: SqliteRunStore, *args: Any) -> Future[bool]:
    SqliteRunStore.send(self, *args).result()
    return done_at_once(False)


def done_for_anybody(self: SqliteRunStore, key: str, reply: ModelReply) -> Future[None]:
    SqliteRunStore.send(self, key, {}, {}, 0.0).result()
    return SqliteRunStore.done(self, key, reply)


def done_uncharged(self: SqliteRunStore, key: str, reply: ModelReply, charged: Usage | None = None) -> Future[None]:
    return SqliteRunStore.done(self, key, reply)


def failed_at_full_price(self: SqliteRunStore, key: str, error: str, charged_usd: float = 1.0) -> Future[None]:
    return SqliteRunStore.failed(self, key, error, charged_usd)


def failed_without_a_trace(self: SqliteRunStore, key: str, error: str, charged_usd: float = 0.0) -> Future[None]:
    return done_at_once(None)


def spent_of_the_weak(self: SqliteRunStore) -> Usage:
    return self.spent_by_role().get("weak", Usage())


class Unkept(MemoryStore):
    """Says that it can be opened again, and starts anew."""

    epoch = 1

    def close(self) -> None:
        """Forget everything."""


SHARED = Unkept()
c = conformance


@pytest.mark.parametrize(
    ("check", "store"),
    [
        fault(c.an_item_nobody_finished_is_none, finished=lambda self, item: {}),
        fault(c.a_finished_item_and_its_row_come_back_as_they_were, finish=finish_anything),
        fault(c.an_item_without_a_row_is_kept, finished=lambda self, item: None),
        fault(c.finishing_twice_is_finishing_once, finish=finish_twice),
        fault(c.the_first_finish_of_an_item_counts, finish=finish_the_last),
        fault(c.a_row_of_another_item_is_refused_and_the_item_kept, finish=finish_anything),
        fault(c.rows_without_a_plan_come_in_the_order_they_were_finished, examples=backwards),
        fault(c.what_cannot_be_kept_is_refused_whole, finish=finish_row_first),
        fault(c.hostile_texts_come_back_as_they_were_or_are_refused, finish=finish_without_surrogates),
        fault(c.hostile_rows_come_back_as_they_were_or_are_refused, examples=shortened),
        fault(c.hostile_names_are_kept_apart_or_refused, finish=finish_under_a_clean_name),
        fault(c.many_threads_may_finish_items_at_once, finish=finish_anything),
        fault(c.rows_come_in_the_order_of_the_plan, register_items=lambda self, items: None),
        fault(c.a_call_has_no_reply_until_it_is_done, lookup=lambda self, key: None),
        fault(c.a_lost_send_is_flagged_and_stays_counted, send=send_that_forgets),
        fault(c.a_reply_is_found_before_it_is_on_the_disk, lookup=lambda self, key: None),
        fault(c.what_is_charged_goes_before_what_the_reply_says, done=done_uncharged),
        fault(c.a_failed_call_may_be_asked_again, failed=failed_without_a_trace),
        fault(c.a_failure_that_cost_nothing_counts_nothing, failed=failed_at_full_price),
        fault(c.settling_what_was_never_announced_is_refused, done=done_for_anybody),
        fault(c.what_was_spent_is_the_sum_of_all_calls, spent=spent_of_the_weak),
        fault(c.hostile_replies_come_back_as_they_were_or_are_refused, lookup=reply_cut),
        fault(c.many_threads_may_call_at_once, send=send_that_forgets),
        fault(c.writes_can_be_awaited, done=lambda self, key, reply: done_at_once(None)),
        fault(c.a_reopened_journal_asks_nobody_again, lookup=lambda self, key: None),
    ],
)
def test_a_check_finds_the_fault_it_is_made_for(check: Check, store: type[SqliteRunStore], tmp_path: Path) -> None:
    with pytest.raises(AssertionError):
        check(lambda: store(tmp_path / "run.db"))


def test_a_store_that_forgets_or_that_two_may_write_is_found() -> None:
    with pytest.raises(AssertionError, match="after opening again"):
        conformance.a_reopened_store_gives_the_same(Unkept)
    with pytest.raises(AssertionError, match="the older one must be refused"):
        conformance.of_two_openings_only_one_writes(lambda: SHARED)


def test_a_store_that_keeps_the_callers_own_dictionary_is_found() -> None:
    class Aliased(MemoryStore):
        def __init__(self) -> None:
            super().__init__()
            self.given: dict[str, dict[str, Any]] = {}

        def finish(self, item: str, state: dict[str, Any], example: Example | None) -> bool:
            self.given[item] = state
            return True

        def finished(self, item: str) -> dict[str, Any] | None:
            return self.given.get(item)

    with pytest.raises(AssertionError, match="the caller changed"):
        conformance.changing_a_state_afterwards_changes_nothing(Aliased)


def test_the_sample_rows_are_rows_of_the_loop() -> None:
    one, other = sample_example("it-1"), sample_example("it-2")
    assert one.id != other.id
    assert Example.from_json(one.to_json()) == one
    assert one.provenance.item == "it-1"
    state = ItemState.from_json(sample_state("it-1", "why"))
    assert (state.item, state.status, state.note) == ("it-1", "accepted", "why")
