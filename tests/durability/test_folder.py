"""P4, P5, P7, P13, P14: full disks, second processes, signals, hostile and damaged run folders."""

from __future__ import annotations

import json
import os
import pickle
import random
import re
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest

from autodata_adapters.stores import RunLock, SqliteRunStore
from autodata_cli.running import Run, RunResult, run_recipe
from autodata_cli.workspace import open_workspace
from autodata_core import crashpoints
from autodata_core.errors import AutodataError, RunLockedError, StoreError

from .conftest import Ended, Ledger, Nursery, World


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., RunResult]]:
    """Run in this process, with a fault; for tests of many runs."""
    old = os.umask(0o022)
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1767225600")
    monkeypatch.setenv("DELAY_S", "0")

    def run(world: World, fault: str = "", **options: Any) -> RunResult:
        monkeypatch.setenv("METER", str(world.meter))
        monkeypatch.setattr(crashpoints, "_fault", crashpoints._read(fault) if fault else None)
        try:
            return run_recipe(
                Run(open_workspace(world.path / "recipe.toml"), world.out, **{"concurrency": 1, **options})
            )
        finally:
            monkeypatch.setattr(crashpoints, "_fault", None)

    yield run
    os.umask(old)


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory, nursery: Nursery) -> World:
    """A finished run of two documents."""
    world = World.create(tmp_path_factory.mktemp("small"), documents=2).raised_by(nursery)
    ended = world.run()
    assert ended.code == 0, ended.err
    return world


# P4: a full disk.


@pytest.mark.parametrize("again", ["", "+"], ids=["once", "from then on"])
def test_a_disk_that_is_full_at_any_write_tears_no_line_and_loses_no_row(
    small: World, here: Callable[..., RunResult], again: str
) -> None:
    stopped = 0
    for nth in range(1, 41, 2 if again else 1):
        world = small.beside(f"full-{nth}{again}")
        with SuppressedStoreError() as full:
            here(world, fault=f"write:{nth}{again}:enospc")
        stopped += full.caught
        ledger = Ledger(world)
        ledger.readable()
        recorded = world.recorded()
        before = world.billed()
        assert here(world).exit_code == 0
        assert world.dataset() == small.dataset()
        assert all(world.billed()[key] == before[key] for key in recorded)
        # A reply that cannot be written at all is asked for again, as after a kill; else the reserve makes room for it.
        assert sum(world.billed().values()) - len(world.billed()) <= (4 if again else 0)
        shutil.rmtree(world.out)
    assert stopped >= (15 if again else 1)


class SuppressedStoreError:
    """Lets one clear store error pass, and nothing else."""

    caught = False

    def __enter__(self) -> SuppressedStoreError:
        return self

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> bool:
        self.caught = isinstance(error, StoreError)
        if self.caught:
            assert "\n" not in str(error)
            assert any(words in str(error) for words in ("is full", "No space", "Free some space"))
        return self.caught


def test_a_full_disk_in_a_real_process_is_one_line_and_can_be_resumed(small: World) -> None:
    world = small.beside("full")
    ended = world.run(fault="write:25+:enospc")
    assert ended.code == 1
    assert "the disk is full" in ended.one_line()
    assert world.run().code == 0
    assert world.dataset() == small.dataset()


# P5: one process.


def test_a_second_process_is_refused_at_once_and_after_a_kill_the_folder_is_free(small: World) -> None:
    world = small.beside("two")
    first = world.alone().start(DELAY_S="5")
    while not world.billed() and first.poll() is None:
        time.sleep(0.01)
    began = time.monotonic()
    with pytest.raises(RunLockedError, match=str(first.pid)):
        RunLock(world.out).acquire()
    assert time.monotonic() - began < 1
    second = world.run()
    assert second.code == 75
    assert str(first.pid) in second.one_line()
    first.kill()
    first.communicate()
    assert world.run().code == 0
    assert world.dataset() == small.dataset()


def test_a_process_whose_folder_was_taken_over_writes_nothing_more(small: World) -> None:
    """Even without the lock, as on a file system that forgets it."""
    world = small.beside("stale")
    process = world.start(DELAY_S="0.3")
    while not world.billed() and process.poll() is None:
        time.sleep(0.01)
    with SqliteRunStore(world.out / "run.db") as taken:
        taken.event("taken over").result()
    out, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "taken over" in Ended(process.returncode, out, err).one_line()
    assert world.run().code == 0
    assert world.dataset() == small.dataset()


def test_folder_and_files_are_their_owners_only(small: World) -> None:
    assert stat.S_IMODE(small.out.stat().st_mode) == 0o700
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in small.out.rglob("*") if path.is_file()}
    assert set(modes.values()) == {0o600}, modes


# P7: signals.


@pytest.mark.parametrize(
    ("number", "code", "delay_s"), [(signal.SIGINT, 130, "60"), (signal.SIGTERM, 143, "0.05")], ids=["slow", "quick"]
)
def test_a_signal_ends_the_run_within_ten_seconds_with_a_readable_data_set(
    golden: World, number: signal.Signals, code: int, delay_s: str
) -> None:
    world = golden.beside(f"signal-{code}")
    assert world.run("--limit", 3).code == 0
    before = sum(world.billed().values())
    process = world.start(DELAY_S=delay_s)
    while process.poll() is None and sum(world.billed().values()) < before + 1:
        time.sleep(0.01)
    began = time.monotonic()
    process.send_signal(number)
    err = process.communicate(timeout=20)[1]
    assert time.monotonic() - began < 10
    assert process.returncode == code, err
    assert "Traceback" not in err
    assert len(world.ids()) >= 3
    ledger = Ledger(world)
    ledger.readable()
    ledger.kills = 1
    assert world.run().code == 0
    ledger.check(golden)


def test_a_second_signal_ends_it_at_once(golden: World) -> None:
    world = golden.beside("signal-twice")
    process = world.start(DELAY_S="60")
    while process.poll() is None and not world.billed():
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    began = time.monotonic()
    process.communicate(timeout=20)
    assert time.monotonic() - began < 1.5
    assert process.returncode == 130


# P13: what lies in a run folder is never run.

TOUCH = "open({marker!r}, 'w').close()\n"


class Hostile:
    """Runs a command when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> Any:
        return (os.system, (f"touch '{self.marker}'",))


def test_hostile_files_in_a_run_folder_execute_nothing(small: World, tmp_path: Path) -> None:
    marker = tmp_path / "executed"
    poison = pickle.dumps(Hostile(marker))
    pickle.loads(poison)
    assert marker.exists(), "the poison works"
    marker.unlink()
    folder = tmp_path / "run"
    shutil.copytree(small.out, folder)
    code = TOUCH.format(marker=str(marker))
    for name in ("sitecustomize.py", "usercustomize.py", "conftest.py", "json.py", "autodata_core.py", "metered.py"):
        (folder / name).write_text(code)
    (folder / "evil.pth").write_text(f"import os; os.system('touch {marker}')\n")
    for name in (
        "checkpoint.pkl",
        "cache.pkl",
        "cache.db",
        "index_metadata.pickle",
        ".checkpoint",
        "checkpoints.sqlite",
    ):
        (folder / name).write_bytes(poison)
    for name in (".dspy_cache", "coverage", "__pycache__"):
        (folder / name).mkdir(exist_ok=True)
        (folder / name / "index_metadata.pickle").write_bytes(poison)
        (folder / name / "cache.db").write_bytes(poison)
    environment = {**small.environment(), "METER": str(tmp_path / "meter")}
    commands = (
        ["run", small.path / "recipe.toml", "--out", folder],
        ["run", small.path / "recipe.toml", "--out", folder, "--replay"],
        ["verify", folder],
        ["report", folder],
        ["export", folder, "--out", tmp_path / "rows.jsonl"],
    )
    for command in commands:
        # -P: the working folder is not on the path, as for the installed command.
        done = subprocess.run(
            [sys.executable, "-P", "-m", "autodata_cli", *map(str, command)],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert not marker.exists(), command


# P14: damaged and edited folders.


def sql(*statements: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        with closing(sqlite3.connect(folder / "run.db")) as db, db:
            for statement in statements:
                db.execute(statement)

    return change


def write(name: str, content: bytes) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / name).write_bytes(content)

    return change


def instead_a_folder(name: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        with suppress(FileNotFoundError):
            (folder / name).unlink()
        (folder / name).mkdir()

    return change


def cut(folder: Path) -> None:
    path = folder / "run.db"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def forged(value: str) -> Callable[[Path], None]:
    """Put another text in place of an item's state, its hash in order."""
    import hashlib

    digest = hashlib.sha256(value.encode()).hexdigest()
    return sql(f"UPDATE item SET state = '{value}', state_sha256 = '{digest}' WHERE position = 0")


MUTATIONS: dict[str, Callable[[Path], None]] = {
    "database cut": cut,
    "database empty": write("run.db", b""),
    "database is text": write("run.db", b"no database at all " * 300),
    "database gone": lambda folder: (folder / "run.db").unlink(),
    "database is a folder": instead_a_folder("run.db"),
    "newer schema": sql("PRAGMA user_version = 99"),
    "older schema": sql("PRAGMA user_version = 1"),
    "table gone": sql("PRAGMA foreign_keys = OFF", "DROP TABLE asked", "DROP TABLE call"),
    "state is a list": forged("[]"),
    "state is empty": forged("{}"),
    "state of another form": forged('{"history": 3, "note": [], "status": 1}'),
    "claim is no JSON": sql("UPDATE claim SET reply = '{'"),
    "event is no JSON": sql("UPDATE event SET payload = '['"),
    "event is a list": sql("UPDATE event SET payload = '[]'"),
    "protocol is no JSON": sql("UPDATE meta SET value = '{' WHERE key = 'protocol_json'"),
    "recipe is a list": sql("UPDATE meta SET value = '[]' WHERE key = 'recipe_json'"),
    "epoch is a word": sql("UPDATE meta SET value = 'soon' WHERE key = 'epoch'"),
    "fence key gone": sql("DELETE FROM meta WHERE key = 'fence_key'"),
    "meta gone": sql("DELETE FROM meta"),
    "reply is no JSON": sql("UPDATE call SET reply = 'x', reply_sha256 = 'y' WHERE seq = 1"),
    "row is no JSON": sql("UPDATE row SET body = '{'"),
    "data set is a folder": instead_a_folder("dataset.jsonl"),
    "refused is a folder": instead_a_folder("refused.jsonl"),
    "data set is binary": write("dataset.jsonl", bytes(range(256))),
    "refused is binary": write("refused.jsonl", bytes(range(256))),
    "manifest is a list": write("manifest.json", b"[]"),
    "manifest is deep": write("manifest.json", b"[" * 100_000),
    "recipe is binary": write("recipe.json", b"\xff\xfe"),
    "lock is a folder": instead_a_folder("run.lock"),
}
HARMLESS = {"lock is a folder"}
"""Nothing that `verify` looks at is touched."""


@pytest.fixture
def autodata(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, small: World) -> Callable[..., Ended]:
    """Run the command in this process; anything but an exit with a code is an error of the test."""
    monkeypatch.setenv("METER", str(small.path / "unused"))
    monkeypatch.setenv("DELAY_S", "0")

    def run(*arguments: object) -> Ended:
        from autodata_cli.main import main

        monkeypatch.setattr(sys, "argv", ["autodata", *map(str, arguments)])
        old = os.umask(0o022)
        try:
            main()
            code = 0
        except SystemExit as leave:
            code = leave.code if isinstance(leave.code, int) else 1
        finally:
            os.umask(old)
        said = capsys.readouterr()
        return Ended(code, said.out, said.err)

    return run


def every_command(autodata: Callable[..., Ended], small: World, folder: Path, tmp_path: Path) -> dict[str, Ended]:
    """Look at a folder with every command, the run itself last."""
    recipe = small.path / "recipe.toml"
    return {
        "verify": autodata("verify", folder),
        "report": autodata("report", folder),
        "export": autodata("export", folder, "--out", tmp_path / "rows.jsonl"),
        "replay": autodata("run", recipe, "--out", folder, "--replay"),
        "run": autodata("run", recipe, "--out", folder),
    }


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_damaged_folder_is_an_error_with_an_exit_code_for_every_command(
    autodata: Callable[..., Ended], small: World, tmp_path: Path, name: str
) -> None:
    folder = tmp_path / "run"
    shutil.copytree(small.out, folder)
    MUTATIONS[name](folder)
    found = every_command(autodata, small, folder, tmp_path)
    for command, ended in found.items():
        assert ended.code in (0, 1), (command, ended)
        assert "Traceback" not in ended.err + ended.out
        if ended.code:
            assert ended.one_line()
    assert (found["verify"].code == 0) == (name in HARMLESS)


def test_flipped_bytes_anywhere_in_the_database_are_errors_or_change_nothing(
    autodata: Callable[..., Ended], small: World, tmp_path: Path
) -> None:
    chance, good = random.Random(14), (small.out / "run.db").read_bytes()
    found = 0
    for n in range(25):
        folder = tmp_path / f"run-{n}"
        shutil.copytree(small.out, folder)
        damaged = bytearray(good)
        for _ in range(chance.choice((1, 1, 8))):
            damaged[chance.randrange(len(good))] ^= 1 << chance.randrange(8)
        (folder / "run.db").write_bytes(damaged)
        for ended in every_command(autodata, small, folder, tmp_path).values():
            assert ended.code in (0, 1)
            assert "Traceback" not in ended.err + ended.out
            found += ended.code
        with suppress(AutodataError, OSError):
            if (folder / "dataset.jsonl").read_bytes() != small.dataset():
                pytest.fail(f"flip {n} changed the data set")
    assert found > 20


def test_the_fault_of_a_test_must_be_spelt_right(small: World) -> None:
    ended = small.beside("misspelt").run(fault="call.snet:1:kill")
    assert ended.code == 1
    assert "AUTODATA_FAULT is written" in ended.one_line()


def test_a_disabled_fault_costs_nothing() -> None:
    def seconds(times: int) -> float:
        began = time.process_time()
        for _ in range(times):
            crashpoints.crashpoint("call.sent")
        return (time.process_time() - began) / times

    assert min(seconds(100_000) for _ in range(3)) < 0.3e-6
    assert json.dumps(crashpoints.POINTS)


def test_every_test_that_the_page_names_exists() -> None:
    root = Path(__file__).parents[2]
    page = (root / "docs" / "durability.md").read_text("utf-8")
    named = set(re.findall(r"`(test_\w+?)(?:\.py)?`", page))
    files = list((root / "tests").rglob("test_*.py"))
    there = {path.stem for path in files} | {
        n for p in files for n in re.findall(r"def (test_\w+)", p.read_text("utf-8"))
    }
    assert len(named) > 15
    assert named <= there
