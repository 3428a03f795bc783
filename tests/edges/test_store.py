"""The run's database: nothing acknowledged is lost, nothing is written twice, and damage is an error, never an answer."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from autodata_adapters.stores import (
    RecordedCoverage,
    RunFolder,
    RunLock,
    SqliteRunStore,
    open_run,
    verify_run,
    write_dataset,
    write_jsonl,
)
from autodata_core.errors import RunLockedError, StoreError
from autodata_core.ports import CoverageAsk, CoverageMap, CoverageReply, ModelReply, NoCoverage, RecordStore
from autodata_core.records import (
    Attempt,
    Candidate,
    Criterion,
    Example,
    Provenance,
    Reason,
    ReasonKind,
    Round,
    Scores,
    SourceRef,
    Usage,
    Verdict,
    fingerprint,
)

REPLY = ModelReply(text="answer – ü", usage=Usage(calls=1, input_tokens=10, output_tokens=5, cost_usd=0.5))
REQUEST = {"role": "weak", "item": "i-1", "step": "r1.weak.0", "messages": []}
CANDIDATE = Candidate(
    question_type="fact",
    skills=("reading",),
    context="",
    question="What is it\u2028?",
    reference_answer="This.",
    rubric=(Criterion(criterion="says this", weight=2), Criterion(criterion="names that", weight=1)),
)


def example(name: str, item: str) -> Example:
    return Example(
        id=f"ex-{name}",
        domain="d",
        question_type="fact",
        skills=(),
        context="",
        question=f"Question {name} ü\u2028?",
        reference_answer="This.",
        rubric=CANDIDATE.rubric,
        check=None,
        scores=Scores(weak=(0.0,), strong=(1.0,), gap=1.0),
        verdict=Verdict(policy="p"),
        round=1,
        source=SourceRef(id="s", sha256="0" * 64, licence=None, span=None),
        provenance=Provenance(
            run="r",
            item=item,
            created="",
            recipe="a",
            protocol="b",
            models={},
            prompts={},
            verifiers=(),
            controls={},
            critics={},
            agreement=None,
            flags=(),
            usage={},
            cost_usd=0.0,
        ),
    )


def refused_round(number: int = 1) -> Round:
    reason = Reason(kind=ReasonKind.TOO_EASY, stage="decide", detail="weak mean 1")
    weak = (Attempt(index=0, outcome="scored", answer="a", marks=(True, False)), Attempt(index=1, outcome="infra"))
    return Round(number=number, candidate=CANDIDATE, weak=weak, verdict=Verdict(policy="p", reasons=(reason,)))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteRunStore]:
    with SqliteRunStore(tmp_path / "run.db") as opened:
        yield opened


def reopened(store: SqliteRunStore) -> SqliteRunStore:
    store.close()
    return SqliteRunStore(store.path)


def as_record_store(store: SqliteRunStore) -> RecordStore:
    """Fails in the type checker when the store does not fit the core's protocol."""
    return store


# The call journal.


def test_a_recorded_reply_is_given_again_and_never_asked_again(store: SqliteRunStore) -> None:
    assert store.lookup("k") is None
    assert store.send("k", REQUEST, {"name": "m"}, 1.0).result() is False
    assert store.lookup("k") is None
    store.done("k", REPLY).result()
    with reopened(store) as again:
        assert again.lookup("k") == REPLY
        again.done("k", ModelReply(text="other", usage=REPLY.usage)).result()
        assert again.lookup("k") == REPLY
        assert again.spent() == REPLY.usage


def test_a_call_without_an_answer_counts_as_spent_and_is_flagged_when_repeated(store: SqliteRunStore) -> None:
    store.send("k", json.dumps(REQUEST), "{}", 0.25).result()
    with reopened(store) as again:
        assert again.spent() == Usage(calls=1, cost_usd=0.25, estimated=True)
        assert again.send("k", REQUEST, {}, 0.125).result() is True
        again.done("k", REPLY).result()
        assert again.spent() == Usage(calls=2, input_tokens=10, output_tokens=5, cost_usd=0.75, estimated=True)
        assert again.spent_by_role() == {"weak": again.spent()}
        assert again.possibly_billed_twice() == 1


def test_an_error_is_no_reply_and_may_be_asked_again(store: SqliteRunStore) -> None:
    store.send("k", REQUEST, {}, 0.25).result()
    store.failed("k", "timeout \ud800", charged_usd=0.25).result()
    assert store.lookup("k") is None
    assert store.spent().cost_usd == 0.25
    assert store.send("k", REQUEST, {}, 0.25).result() is False
    store.done("k", REPLY).result()
    assert store.lookup("k") == REPLY
    assert store.spent().cost_usd == 0.75


def test_settling_what_was_never_announced_fails_alone(store: SqliteRunStore) -> None:
    wrong = store.done("nobody", REPLY)
    fine = store.event("kind", "item \ud800", {"a": "\ud800"})
    other = store.event("kind", "item", {"a": "\ud800"})
    with pytest.raises(LookupError, match="nobody"):
        wrong.result()
    with pytest.raises(UnicodeEncodeError):
        fine.result()
    other.result()
    assert store.events() == [("kind", "item", {"a": "\ud800"})]


async def test_futures_can_be_awaited_and_a_cancelled_wait_still_writes(store: SqliteRunStore) -> None:
    keys = [f"k{n}" for n in range(200)]
    sent = await asyncio.gather(*(asyncio.wrap_future(store.send(key, REQUEST, {}, 0.0)) for key in keys))
    assert sent == [False] * 200
    waiting = asyncio.ensure_future(asyncio.wrap_future(store.done("k0", REPLY)))
    waiting.cancel()
    await asyncio.to_thread(store.flush)
    assert store.lookup("k0") == REPLY


def test_many_threads_may_write_at_once(store: SqliteRunStore) -> None:
    def work(n: int) -> None:
        store.send(f"k{n}", REQUEST, {}, 1.0).result()
        store.done(f"k{n}", REPLY).result()

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(work, range(200)))
    assert store.spent().calls == 200


# Items and rows.


def test_rows_come_in_the_order_of_their_items(store: SqliteRunStore) -> None:
    store.register_items([("i-1", 0, "s"), ("i-2", 1, "s"), ("i-3", 2, "s")])
    for item in ("i-3", "i-1", "late"):
        assert as_record_store(store).finish(item, {"item": item}, example(item, item))
    store.register_items([("i-1", 0, "s"), ("i-3", 1, "s"), ("i-2", 2, "s")])
    assert [row.provenance.item for row in store.examples()] == ["i-1", "i-3", "late"]
    with reopened(store) as again:
        assert again.examples()[0] == example("i-1", "i-1")
        assert again.finished("i-1") == {"item": "i-1"}
        assert again.finished("i-2") is None
        assert again.finished("nobody") is None


def test_the_same_row_of_another_item_is_not_stored_twice(store: SqliteRunStore) -> None:
    assert store.finish("i-1", {}, example("same", "i-1"))
    assert not store.finish("i-2", {"two": 2}, example("same", "i-2"))
    assert store.finish("i-1", {"changed": 1}, example("same", "i-1"))
    assert not store.finish("i-2", {}, example("same", "i-2"))
    assert store.finished("i-1") == {}
    assert store.finished("i-2") == {"two": 2}
    assert [row.provenance.item for row in store.examples()] == ["i-1"]


def test_more_rows_than_one_page(store: SqliteRunStore) -> None:
    store.register_items((f"i-{n}", n // 3, "s") for n in range(1203))
    for n in range(1203):
        store.submit_finish(f"i-{n}", {}, example(str(n), f"i-{n}"))
    store.flush()
    assert len({row.id for row in store.rows()}) == 1203
    assert len(list(store.finished_items())) == 1203


# What a run is tied to.


def test_a_run_goes_on_only_with_what_it_was_started_with(store: SqliteRunStore) -> None:
    store.bind("r" * 64, "p" * 64, "s" * 64, "{}", {"models.weak": "w"})
    with reopened(store) as again:
        again.bind("r" * 64, "p" * 64, "s" * 64, "{}", {"models.weak": "w"})
        with pytest.raises(StoreError, match=r"protocol \(pppppppppppp then, x now\), models\.weak \(w then, v now\)"):
            again.bind("r" * 64, "x", "s" * 64, "{}", {"models.weak": "v"})
        assert again.bound()["protocol"] == "p" * 64
        assert again.get_meta("recipe_json") == "{}"


def test_names_of_the_store_itself_cannot_be_set(store: SqliteRunStore) -> None:
    store.set_meta("host", "here").result()
    assert store.get_meta("host") == "here"
    with pytest.raises(StoreError, match="kept for the store"):
        store.set_meta("epoch", "9")


# Coverage.


class CountingMap:
    def __init__(self) -> None:
        self.inner = NoCoverage()
        self.asked: list[str] = []

    def claim(self, ask: CoverageAsk) -> CoverageReply:
        self.asked.append(ask.id)
        return self.inner.claim(ask)


def test_a_coverage_decision_is_made_once_for_ever(store: SqliteRunStore) -> None:
    first = RecordedCoverage(CountingMap(), store)
    asks = [CoverageAsk("k", f"i-{n}/r1", text, {"cell": "a"}) for n, text in enumerate(["x", "X", "y \ud800"])]
    replies = [first.claim(ask) for ask in asks]
    store.flush()
    with reopened(store) as again:
        inner = CountingMap()
        second: CoverageMap = RecordedCoverage(inner, again)
        assert inner.asked == [ask.id for ask in asks]
        assert [second.claim(ask) for ask in reversed(asks)] == replies[::-1]
        assert len(inner.asked) == 3
        assert second.claim(CoverageAsk("k", "i-9/r1", "x")).nearest == "i-0/r1"


# Two processes, crashes, full disks, damage.


def test_files_are_their_owners_only(tmp_path: Path) -> None:
    folder = open_run(tmp_path / "run")
    with SqliteRunStore(folder.database) as store:
        store.event("kind").result()
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.path.iterdir()}
    assert set(modes.values()) == {0o600}
    assert {"run.db", "run.db-wal", "run.db-shm", "reserve"} <= set(modes)
    assert stat.S_IMODE(folder.path.stat().st_mode) == 0o700


def test_a_process_whose_run_was_taken_over_can_no_longer_write(tmp_path: Path) -> None:
    old = SqliteRunStore(tmp_path / "run.db")
    with SqliteRunStore(tmp_path / "run.db") as new:
        assert new.epoch == old.epoch + 1
        for _ in range(2):
            with pytest.raises(StoreError, match="taken over"):
                old.event("kind").result()
        new.event("kind").result()
        assert len(new.events()) == 1
    old.close()


def python(code: str, *args: object) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", code, *map(str, args)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


WRITE_FOR_EVER = """
import sys
from pathlib import Path
from autodata_adapters.stores import SqliteRunStore
from autodata_core.ports import ModelReply
from autodata_core.records import Usage
store = SqliteRunStore(Path(sys.argv[1]))
run = sys.argv[2]
pending = []
for n in range(10**9):
    store.send(f"{run}-{n}", {"role": "weak"}, {}, 0.5)
    pending.append((n, store.done(f"{run}-{n}", ModelReply(text=str(n), usage=Usage(calls=1)))))
    store.submit_finish(f"{run}-{n}", {"n": n}, None)
    if len(pending) > 20:
        n, future = pending.pop(0)
        future.result()
        print(n, flush=True)
"""


def test_nothing_acknowledged_is_lost_when_the_process_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    for run in range(3):
        child = python(WRITE_FOR_EVER, path, run)
        assert child.stdout is not None
        lines = [child.stdout.readline() for _ in range(40 * (run + 1))]
        child.send_signal(signal.SIGKILL)
        rest, errors = child.communicate()
        acknowledged = [int(line) for line in [*lines, *rest.splitlines()] if line.strip()]
        assert acknowledged, errors
        # The last line may have been cut by the kill, but not changed: look at all that were whole.
        with SqliteRunStore(path, read_only=True) as looked:
            assert looked.problems() == []
        with SqliteRunStore(path) as store:
            for n in acknowledged[:-1]:
                assert store.lookup(f"{run}-{n}") == ModelReply(text=str(n), usage=Usage(calls=1))
            assert store.problems() == []


HOLD_LOCK = """
import sys, time
from pathlib import Path
from autodata_adapters.stores import RunLock
with RunLock(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_the_second_process_is_refused_at_once_and_the_lock_is_free_after_a_kill(tmp_path: Path) -> None:
    child = python(HOLD_LOCK, tmp_path)
    assert child.stdout is not None
    assert child.stdout.readline() == "held\n"
    started = time.monotonic()
    with pytest.raises(RunLockedError, match=f"in use by process {child.pid}") as caught:
        RunLock(tmp_path).acquire()
    assert time.monotonic() - started < 1
    assert caught.value.exit_code == 75
    child.kill()
    child.communicate()
    with RunLock(tmp_path), pytest.raises(RunLockedError, match=str(os.getpid())):
        RunLock(tmp_path).acquire()
    RunLock(tmp_path).acquire().release()


def test_of_many_racing_processes_one_gets_the_lock(tmp_path: Path) -> None:
    race = HOLD_LOCK.replace("time.sleep(60)", "time.sleep(3)")
    children = [python(race, tmp_path) for _ in range(4)]
    outcomes = [child.communicate() for child in children]
    assert [out for out, _ in outcomes].count("held\n") == 1
    assert sum("RunLockedError" in errors for _, errors in outcomes) == 3


def test_a_lock_is_not_taken_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "run.lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StoreError, match="cannot be opened"):
        RunLock(tmp_path).acquire()


def test_a_full_disk_stops_new_calls_first_and_keeps_what_was_paid_for(tmp_path: Path) -> None:
    freed: list[bool] = []
    path = tmp_path / "run.db"

    def free_a_little() -> bool:
        store._writer._db.execute("PRAGMA max_page_count = 120")  # type: ignore[union-attr]
        freed.append(True)
        return True

    store = SqliteRunStore(path, max_bytes=300_000, free_space=free_a_little)
    big = {**REQUEST, "messages": ["x" * 20_000]}
    errors = [store.send(f"k{n}", big, {}, 0.0).exception() for n in range(100)]
    assert errors[0] is None
    assert "disk is full" in str(errors[-1])
    assert freed == [True]
    store.done("k0", REPLY).result()
    with pytest.raises(StoreError, match="disk is full"):
        store.send("small", REQUEST, {}, 0.0).result()
    store.close()
    with SqliteRunStore(path) as again:
        assert again.lookup("k0") == REPLY
        assert again.problems() == []


def test_after_a_failed_write_every_later_write_fails_and_nothing_is_half_written(tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    store = SqliteRunStore(path, max_bytes=200_000)
    kept = 0
    while store.submit_finish(f"i-{kept}", {"text": "x" * 9000}, example(str(kept), f"i-{kept}")).exception() is None:
        kept += 1
    assert kept > 0
    with pytest.raises(StoreError, match="disk is full"):
        store.event("small").result()
    store.close()
    with SqliteRunStore(path) as again:
        assert len(list(again.rows())) == len(list(again.finished_items())) == kept


def test_a_really_full_disk_loses_nothing(tmp_path: Path) -> None:
    mounted = tmp_path / "small"
    mounted.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(mounted)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("mounting a small disk is not allowed here")
    try:
        folder = RunFolder(mounted)
        folder.keep_reserve()
        store = SqliteRunStore(folder.database, free_space=folder.release_reserve)
        acknowledged: list[int] = []
        while (mounted / "reserve").exists() and len(acknowledged) < 1000:
            store.submit_finish(f"i-{len(acknowledged)}", {"text": "x" * 20_000}, None).result()
            acknowledged.append(len(acknowledged))
        with pytest.raises(StoreError, match="disk is full"):
            store.send("k", REQUEST, {}, 0.0).result()
        store.event("paid replies still fit").result()
        store.close()
        with SqliteRunStore(folder.database, read_only=True) as again:
            assert again.problems() == []
            assert [item.id for item in again.finished_items()] == [f"i-{n}" for n in acknowledged]
    finally:
        subprocess.run(["umount", "-l", str(mounted)], check=False)


def filled(path: Path) -> None:
    with SqliteRunStore(path) as store:
        for n in range(60):
            store.send(f"k{n}", REQUEST, {}, 0.0)
            store.done(f"k{n}", ModelReply(text="reply " * 40))
            store.finish(f"i-{n}", {"history": [], "n": n}, example(str(n), f"i-{n}"))


def read_everything(path: Path) -> None:
    with SqliteRunStore(path) as store:
        store.examples()
        list(store.finished_items())
        for n in range(60):
            store.lookup(f"k{n}")
        store.spent()
        store.event("still works").result()


def test_flipped_bytes_are_errors_of_ours_and_never_other_answers(tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    filled(path)
    good = path.read_bytes()
    with SqliteRunStore(path, read_only=True) as store:
        expected = store.examples()
    messages: list[str] = []
    for at in range(0, len(good), max(1, len(good) // 60)):
        damaged = bytearray(good)
        damaged[at] ^= 0x5A
        for name in ("run.db-wal", "run.db-shm"):
            (tmp_path / name).unlink(missing_ok=True)
        path.write_bytes(damaged)
        try:
            read_everything(path)
            with SqliteRunStore(path, read_only=True) as store:
                assert store.examples() == expected
        except StoreError as error:
            messages.append(str(error))
    assert len(messages) > 10
    assert not [message for message in messages if "\n" in message]


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"not a database at all, only text " * 200, "not a database"), (b"SQLite format 3\0" + b"\xff" * 5000, "run.db")],
)
def test_another_file_is_not_taken_for_a_run(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "run.db").write_bytes(content)
    for read_only in (False, True):
        with pytest.raises(StoreError, match=message):
            SqliteRunStore(tmp_path / "run.db", read_only=read_only)


def test_a_newer_file_and_a_foreign_database_are_refused(tmp_path: Path) -> None:
    filled(tmp_path / "run.db")
    with closing(sqlite3.connect(tmp_path / "run.db")) as db, db:
        db.execute("PRAGMA user_version = 99")
    with pytest.raises(StoreError, match=r"newer version \(schema 99, this one reads up to 2\)"):
        SqliteRunStore(tmp_path / "run.db")
    with closing(sqlite3.connect(tmp_path / "other.db")) as db, db:
        db.execute("CREATE TABLE t (a)")
    with pytest.raises(StoreError, match="another program"):
        SqliteRunStore(tmp_path / "other.db")
    with pytest.raises(StoreError, match="no run at"):
        SqliteRunStore(tmp_path / "nothing.db", read_only=True)
    (tmp_path / "link.db").symlink_to(tmp_path / "run.db")
    with pytest.raises(StoreError, match="cannot be opened"):
        SqliteRunStore(tmp_path / "link.db")


def test_a_database_that_is_locked_by_another_program_is_named(tmp_path: Path) -> None:
    store = SqliteRunStore(tmp_path / "run.db")
    store._writer._db.execute("PRAGMA busy_timeout = 50")  # type: ignore[union-attr]
    other = sqlite3.connect(tmp_path / "run.db")
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match="another program holds it open"):
        store.event("kind").result()
    other.close()
    store.close()
    with pytest.raises(StoreError, match="is closed"):
        store.event("kind").result()


# The folder.


def test_an_unusable_folder_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("x")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(StoreError, match="not a folder"):
            open_run(path)
    monkeypatch.setenv("AUTODATA_MIN_FREE_MB", "999999999")
    with pytest.raises(StoreError, match=r"Only .* MB are free"):
        open_run(tmp_path / "run")
    monkeypatch.setenv("AUTODATA_MIN_FREE_MB", "much")
    with pytest.raises(StoreError, match="whole number"):
        open_run(tmp_path / "run")


def test_a_data_set_without_its_database_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "dataset.jsonl").write_text("{}\n")
    with pytest.raises(StoreError, match=r"run\.db is missing"):
        open_run(tmp_path)


def test_the_reserve_can_be_given_free_once(tmp_path: Path) -> None:
    folder = open_run(tmp_path)
    assert (tmp_path / "reserve").stat().st_size == 1024 * 1024
    assert folder.release_reserve()
    assert not folder.release_reserve()


# Projections.


@pytest.fixture
def run(tmp_path: Path) -> Path:
    history = [refused_round().to_json(), Round(number=2, candidate=CANDIDATE, verdict=Verdict(policy="p")).to_json()]
    with SqliteRunStore(tmp_path / "run.db") as store:
        store.register_items((f"i-{n}", n, f"s-{n}") for n in range(4))
        store.bind("r" * 64, "p" * 64, "s" * 64, "{}")
        for n in (2, 0, 1):
            store.finish(f"i-{n}", {"history": history}, example(str(n), f"i-{n}"))
        store.finish("i-3", {"history": history}, example("0", "i-3"))
        write_dataset(store, tmp_path)
    return tmp_path


def json_lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().split(b"\n")[:-1]]


def test_the_data_set_is_written_from_the_database(run: Path) -> None:
    rows = json_lines(run / "dataset.jsonl")
    assert rows == [example(str(n), f"i-{n}").to_json() for n in range(3)]
    assert (run / "dataset.jsonl").read_bytes().isascii()
    refused = json_lines(run / "refused.jsonl")
    assert [(line["item"], line["round"], line["reasons"][0]["kind"]) for line in refused] == [
        ("i-0", 1, "TOO_EASY"),
        ("i-1", 1, "TOO_EASY"),
        ("i-2", 1, "TOO_EASY"),
        ("i-3", 1, "TOO_EASY"),
        ("i-3", 2, "DUPLICATE"),
    ]
    assert refused[0]["scores"] == {"weak": [pytest.approx(2 / 3), None], "strong": []}
    assert refused[0]["source"] == "s-0"
    manifest = json.loads((run / "manifest.json").read_text())
    assert (manifest["rows"], manifest["refused"], manifest["recipe"]) == (3, 5, "r" * 64)
    assert verify_run(run) == []


def test_writing_the_data_set_again_gives_the_same_bytes(run: Path) -> None:
    names = ("dataset.jsonl", "refused.jsonl", "manifest.json")
    before = [(run / name).read_bytes() for name in names]
    with SqliteRunStore(run / "run.db", read_only=True) as store:
        write_dataset(store, run)
    assert [(run / name).read_bytes() for name in names] == before
    assert not [path.name for path in run.iterdir() if path.name.startswith(".")]


def lines_of(run: Path) -> list[bytes]:
    return (run / "dataset.jsonl").read_bytes().split(b"\n")[:-1]


def rewrite(run: Path, lines: list[bytes], end: bytes = b"\n") -> None:
    (run / "dataset.jsonl").write_bytes(b"\n".join(lines) + end)


def test_verify_names_what_was_changed_in_the_data_set(run: Path) -> None:
    good = lines_of(run)
    rewrite(run, [good[0], good[1].replace(b"This.", b"That."), good[2]])
    assert verify_run(run)[0] == "dataset.jsonl line 2: row 'ex-1' was edited."
    rewrite(run, good[:2])
    assert verify_run(run)[0].startswith("dataset.jsonl: row 'ex-2' is missing.")
    rewrite(run, [*good, good[0].replace(b"ex-0", b"ex-9")])
    assert verify_run(run)[0] == "dataset.jsonl line 4: row 'ex-9' is not of this run."
    rewrite(run, [*good, good[0]])
    assert verify_run(run)[0] == "dataset.jsonl line 4: row 'ex-0' stands there twice."
    rewrite(run, good[::-1])
    assert "not in the order" in verify_run(run)[0]
    rewrite(run, [*good, b"{"])
    assert verify_run(run)[0] == "dataset.jsonl line 4: not a row."
    rewrite(run, good, end=b"")
    assert verify_run(run)[0] == "dataset.jsonl: the last line is cut off."
    (run / "dataset.jsonl").unlink()
    assert verify_run(run)[0].startswith("dataset.jsonl is missing.")


def test_verify_names_a_row_that_was_changed_in_the_database(run: Path) -> None:
    with closing(sqlite3.connect(run / "run.db")) as db, db:
        db.execute("UPDATE row SET body = replace(body, 'This.', 'That.') WHERE id = 'ex-1'")
    assert verify_run(run)[0] == "run.db: row 'ex-1' was changed after it was written."
    with SqliteRunStore(run / "run.db") as store, pytest.raises(StoreError, match="row 'ex-1' was changed"):
        write_dataset(store, run)


def test_verify_of_no_run_at_all_says_so(tmp_path: Path) -> None:
    assert "no run at" in verify_run(tmp_path)[0]


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    digest = write_jsonl(path, [{"a": "ü\u2028"}])
    assert (path.read_bytes(), len(digest)) == (b'{"a": "\\u00fc\\u2028"}\n', 64)

    def breaking() -> Iterator[dict[str, Any]]:
        yield {"a": 1}
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        write_jsonl(path, breaking())
    with pytest.raises(StoreError, match="cannot be written"):
        write_jsonl(tmp_path / "nowhere" / "rows.jsonl", [])
    assert path.read_bytes() == b'{"a": "\\u00fc\\u2028"}\n'
    assert [entry.name for entry in tmp_path.iterdir()] == ["rows.jsonl"]


def test_a_fingerprint_names_the_key_of_a_call(store: SqliteRunStore) -> None:
    key = fingerprint(REQUEST)
    store.send(key, REQUEST, {}, 0.0).result()
    store.done(key, REPLY).result()
    assert store.lookup(key) == REPLY
