"""A steered run that is killed: what was planned stays planned, and the data set is the unbroken run's."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from .conftest import CONCURRENCY, Ledger, Nursery, World

FAULTS = ("plan.recorded:1:kill", "accept.committed:5:kill", "study.done:1:kill", "plan.recorded:1:kill")


def steered(path: Path) -> World:
    world = World.create(path, 40)
    recipe = path / "recipe.toml"
    recipe.write_text(recipe.read_text() + 'steer = true\ntopics = 4\nquestion_types = ["two_step", "comparison"]\n')
    return world


@pytest.fixture(scope="module")
def learned() -> Iterator[Nursery]:
    """Forks processes that have what topics need."""
    with Nursery("sklearn.decomposition", "sklearn.cluster", "sklearn.feature_extraction") as made:
        yield made


def plans(world: World) -> list[dict[str, Any]]:
    with closing(sqlite3.connect(world.out / "run.db")) as db:
        return [json.loads(text) for (text,) in db.execute("SELECT payload FROM event WHERE kind = 'plan'")]


def test_killed_around_its_plans_it_plans_and_makes_the_same(tmp_path: Path, learned: Nursery) -> None:
    golden = steered(tmp_path).raised_by(learned)
    whole = golden.run()
    assert whole.code == 0, whole.err
    broken = golden.beside("broken")
    ledger = Ledger(broken)
    for fault in FAULTS:
        ledger.note(broken.run(fault=fault))
    ended = broken.run()
    assert ended.code == 0, ended.err
    ledger.check(golden)
    assert [plan["first"] for plan in plans(broken)] == [0, 16, 32]
    assert plans(broken) == plans(golden)
    told = [line["aim"]["text"] for plan in plans(broken) for line in plan["items"]]
    assert any("of type 'comparison'" in text for text in told)
    for command in (("verify", broken.out), ("run", broken.path / "recipe.toml", "--out", broken.out, "--replay")):
        said = broken.command(*command)
        assert said.code == 0, said.out + said.err


def test_an_aim_that_was_changed_in_the_folder_is_named(tmp_path: Path, learned: Nursery) -> None:
    world = steered(tmp_path).raised_by(learned)
    assert world.run("--limit", CONCURRENCY).code == 0
    with closing(sqlite3.connect(world.out / "run.db")) as db, db:
        text = db.execute("SELECT payload FROM event WHERE kind = 'plan'").fetchone()[0]
        db.execute("UPDATE event SET payload = ? WHERE kind = 'plan'", (text.replace("comparison", "definition"),))
    said = world.command("verify", world.out)
    assert said.code != 0
    assert "event" in said.out
