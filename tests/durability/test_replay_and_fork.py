"""P9: a run can be made again from its journal alone, byte for byte; and what was edited, anywhere, is named."""

from __future__ import annotations

import hashlib
import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from autodata_cli.replaying import replay_run
from autodata_cli.verifying import verify_folder

from .conftest import World

NO_MODEL = """
raise RuntimeError("a model was built")
"""


@pytest.fixture
def copy(golden: World, tmp_path: Path) -> World:
    """A copy of the undisturbed run, to be edited."""
    shutil.copytree(golden.out, tmp_path / "run")
    return replace(golden, out=tmp_path / "run", meter=tmp_path / "meter")


def test_a_replay_gives_the_same_bytes_without_a_model_and_without_a_call(golden: World, tmp_path: Path) -> None:
    bare = replace(golden, path=tmp_path / "bare", meter=tmp_path / "meter")
    shutil.copytree(golden.path / "docs", bare.path / "docs")
    shutil.copy(golden.path / "recipe.toml", bare.path)
    (bare.path / "metered.py").write_text(NO_MODEL)
    said = bare.run("--replay")
    assert said.code == 0, said.err
    assert hashlib.sha256(golden.dataset()).hexdigest() in said.out
    assert not bare.billed()


def test_a_partial_run_is_replayed_as_far_as_it_came(golden: World) -> None:
    world = golden.beside("partial")
    assert world.run("--limit", 5).code == 0
    found = replay_run(world.path / "recipe.toml", world.out)
    assert (found.rows, found.differences) == (5, ())


def test_a_replay_by_another_recipe_is_refused_and_says_what_differs(golden: World, tmp_path: Path) -> None:
    recipe = golden.path / "recipe.toml"
    other = golden.path / "other.toml"
    other.write_text(recipe.read_text().replace("exact_counts", "majority").replace("= 4", "= 3"))
    said = golden.command("run", other, "--out", golden.out, "--replay")
    assert said.code == 1
    assert "protocol.policy.name was 'exact_counts' and is 'majority'" in said.one_line()


def test_a_replay_names_the_line_that_was_edited(copy: World) -> None:
    lines = copy.dataset().splitlines()
    row = json.loads(lines[3])
    lines[3] = lines[3].replace(b"litres", b"gallons")
    (copy.out / "dataset.jsonl").write_bytes(b"\n".join(lines) + b"\n")
    found = replay_run(copy.path / "recipe.toml", copy.out)
    assert found.differences == (f"dataset.jsonl line 4 differs ({row['id']}).",)


# What verify finds, after an edit that keeps every hash in order.


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def forged_state(change: Callable[[dict[str, Any]], None]) -> Callable[[sqlite3.Connection], None]:
    """Change an item's state and make every hash of it anew, as somebody would who knows how they are made."""

    def forge(db: sqlite3.Connection) -> None:
        columns = "id, source, status, recipe, duplicate_of, state"
        id, source, status, recipe, dup, text = db.execute(f"SELECT {columns} FROM item ORDER BY position").fetchone()
        state = json.loads(text)
        change(state)
        text = canonical(state)
        seal = sha(canonical([id, source, status, recipe, dup, sha(text)]))
        db.execute("UPDATE item SET state = ?, state_sha256 = ?, seal = ? WHERE id = ?", (text, sha(text), seal, id))

    return forge


def better_marks(state: dict[str, Any]) -> None:
    for attempt in state["history"][0]["weak"]:
        attempt["marks"] = [not mark for mark in attempt["marks"]]


def other_answer(state: dict[str, Any]) -> None:
    state["history"][-1]["strong"][0]["answer"] = "something else"


def no_reason(state: dict[str, Any]) -> None:
    state["history"][0]["verdict"]["reasons"] = []


def cheaper(state: dict[str, Any]) -> None:
    state["usage"]["weak"]["input_tokens"] = 1


def forged_reply(db: sqlite3.Connection) -> None:
    """Change a recorded reply, with its hash but not its seal."""
    key, text = db.execute("SELECT key, reply FROM call WHERE role = 'weak' ORDER BY seq").fetchone()
    text = text.replace('\\"answer\\"', '\\"Answer\\"')
    db.execute("UPDATE call SET reply = ?, reply_sha256 = ? WHERE key = ?", (text, sha(text), key))


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (forged_state(better_marks), ["Item it-", "does not follow from its recorded calls: history[0].weak[0].marks"]),
        (forged_state(other_answer), ["history[1].strong[0].answer"]),
        (forged_state(no_reason), ["history[0].verdict.reasons"]),
        (forged_state(cheaper), ["usage.weak.input_tokens", "Row ex-"]),
        (forged_reply, ["what call", "Item it-"]),
        (lambda db: db.execute("UPDATE call SET cost_usd = 0.5 WHERE seq = 7"), ["what call", "cost was changed"]),
        (lambda db: db.execute("UPDATE call SET estimated = 1 - estimated WHERE seq = 7"), ["cost was changed"]),
        (lambda db: db.execute("UPDATE claim SET reply = replace(reply, '0.0', '0.1') WHERE seq = 2"), ["claim 2"]),
        (lambda db: db.execute("DELETE FROM claim WHERE seq = 2"), ["claim 2 was taken out"]),
        (lambda db: db.execute("UPDATE event SET payload = '{}' WHERE seq = 2"), ["event 2", "changed"]),
        (lambda db: db.execute("DELETE FROM event WHERE seq = 2"), ["event 2 was taken out"]),
        (lambda db: db.execute("UPDATE asked SET request = replace(request, 'You', 'Thou')"), ["the request of call"]),
        (lambda db: db.execute("UPDATE source SET body = replace(body, 'drum', 'drums')"), ["the source"]),
        (lambda db: db.execute("UPDATE item SET status = 'refused' WHERE position = 0"), ["what became of item"]),
        (lambda db: db.execute("UPDATE item SET refused = '' WHERE position = 0"), ["refused rounds were changed"]),
        (lambda db: db.execute("UPDATE recipe SET body = replace(body, 'You', 'Thou')"), ["the recipe"]),
        (lambda db: db.execute("UPDATE meta SET value = replace(value, '0.9', '1.0') WHERE key = 'protocol_json'"), ["protocol"]),
        (lambda db: db.execute("DELETE FROM row WHERE item = (SELECT id FROM item WHERE position = 4)"), ["has no row"]),
    ],
)  # fmt: skip
def test_verify_names_what_was_edited_in_the_database(copy: World, edit: Any, words: list[str]) -> None:
    with closing(sqlite3.connect(copy.out / "run.db")) as db, db:
        edit(db)
    found = " ".join(verify_folder(copy.out).problems)
    for word in words:
        assert word in found


@pytest.mark.parametrize("name", ["dataset.jsonl", "refused.jsonl", "recipe.json", "manifest.json"])
def test_verify_names_the_file_that_was_edited(copy: World, name: str) -> None:
    path = copy.out / name
    text = path.read_bytes()
    path.write_bytes(
        text.replace(b"e", b"E", 1) if name != "manifest.json" else text.replace(b'"rows": 18', b'"rows": 19')
    )
    found = verify_folder(copy.out).problems
    assert found
    assert any(name in problem for problem in found)
    path.unlink()
    assert any(name in problem for problem in verify_folder(copy.out).problems)


def test_an_untouched_run_verifies(copy: World) -> None:
    assert verify_folder(copy.out) == ((), ())


# A fork.


def test_a_changed_recipe_is_refused_or_goes_on_as_a_fork_that_pays_only_what_is_new(golden: World) -> None:
    other = golden.path / "stricter.toml"
    other.write_text((golden.path / "recipe.toml").read_text().replace("rounds = 3", "rounds = 4"))
    before = golden.dataset()
    refused = golden.command("run", other, "--out", golden.out)
    assert refused.code == 1
    assert "protocol.rounds was 3 and is 4" in refused.one_line()
    assert "--fork NEWDIR" in refused.err
    world = golden.beside("fork")
    for _ in range(2):  # the same command again goes on
        said = golden.command("run", other, "--out", golden.out, "--fork", world.out, METER=str(world.meter))
        assert said.code == 0, said.err
    assert not world.billed()  # every question was asked before
    assert world.ids() == golden.ids()
    assert golden.dataset() == before
    with closing(sqlite3.connect(world.out / "run.db")) as db:
        (origin,) = db.execute("SELECT value FROM meta WHERE key = 'forked_from'").fetchone()
        assert db.execute("SELECT sum(calls), sum(cost_usd) FROM call").fetchone() == (0, 0.0)
    assert json.loads(origin)["folder"] == golden.out.name
    assert golden.command("verify", world.out).code == 0


def test_a_fork_into_a_folder_with_another_run_is_refused(golden: World) -> None:
    world = golden.beside("other-run")
    assert world.run("--limit", 1).code == 0
    said = golden.run("--fork", world.out)
    assert said.code == 1
    assert "holds a run already" in said.one_line()
