"""`autodata optimize` with scripted models: what it writes, who is asked, and what a kill costs."""

import json
import signal
import sqlite3
import time
from collections import Counter
from contextlib import closing

from .conftest import start_process
from .small_world import RECIPE, answering, recipe


def test_killed_and_repeated_it_pays_for_nothing_twice_and_ends(recipe, tmp_path):
    out, meter, concurrency = tmp_path / "search", tmp_path / "meter", 4
    command = ("optimize", recipe, "--out", out, "--iterations", 1, "--concurrency", concurrency)

    def billed():
        return Counter(meter.read_text().split()) if meter.exists() else Counter()

    recorded, kills = {}, 0
    for calls in (700,):
        process = start_process(*command, METER=str(meter))
        while process.poll() is None and sum(billed().values()) < calls:
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=60)
        assert process.returncode == -signal.SIGKILL
        kills += 1
        before = billed()
        with closing(sqlite3.connect(out / "run.db")) as db:
            for (key,) in db.execute("SELECT key FROM call WHERE state = 'done'"):
                recorded.setdefault(key, before[key])
    process = start_process(*command, METER=str(meter))
    said = process.communicate(timeout=120)
    assert process.returncode == 0, said
    after = billed()
    assert recorded
    assert not [key for key, count in recorded.items() if after[key] != count]
    repeats = sum(count - 1 for count in after.values())
    assert repeats <= kills * concurrency * 3  # three attempts at once
    with closing(sqlite3.connect(out / "run.db")) as db:
        keys = [key for (key,) in db.execute("SELECT item FROM event WHERE kind = 'optimize.evaluation'")]
        outcomes = [n for (n,) in db.execute("SELECT item FROM event WHERE kind = 'optimize.outcome'")]
    assert len(keys) == len(set(keys)) > 50
    assert outcomes == ["1"]
    report = json.loads((out / "optimize.json").read_text())
    assert report["report"]["significant"]
    assert report["report"]["chosen_accepted"] >= 0.6
    assert report["report"]["acceptance"]["low"] > 0
    print(f"{kills} kills, {sum(after.values())} calls, {repeats} made again, {len(keys)} evaluations")


def test_nobody_to_ask_is_said_and_what_is_paid_stays(autodata, recipe, tmp_path, monkeypatch):
    answering(monkeypatch)
    said = autodata("optimize", recipe, "--out", tmp_path / "search", "--iterations", 1, "--ask")
    assert said.code == 1
    assert "nobody answers" in said.err


def test_another_recipe_or_seed_in_the_same_folder_is_refused(autodata, recipe, tmp_path):
    out = tmp_path / "search"
    assert autodata("optimize", recipe, "--out", out, "--iterations", 0).code == 0
    said = autodata("optimize", recipe, "--out", out, "--iterations", 0, "--seed", 5)
    assert said.code == 1
    assert "optimize" in said.err


def test_the_table_of_the_recipe_file_counts_and_options_go_before_it(autodata, recipe, tmp_path):
    table = "[optimize]\niterations = 0\ntest_repeats = 1\nseed = 3\n"
    recipe.write_text(RECIPE + table)
    out = tmp_path / "search"
    said = autodata("optimize", recipe, "--out", out)
    assert said.code == 0, said.err
    found = json.loads((out / "optimize.json").read_text())
    assert found["report"]["finalist"]["asked"] == 0
    assert found["report"]["repeats"] == 1
    assert autodata("optimize", recipe, "--out", out, "--seed", 4).code == 1
    again = autodata("optimize", recipe, "--out", tmp_path / "other", "--iterations", 1)
    assert again.code == 0, again.err
    assert json.loads((tmp_path / "other" / "optimize.json").read_text())["report"]["finalist"]["asked"] == 1


def test_a_recipe_file_names_a_shipped_recipe_or_says_what_there_is(autodata, recipe):
    recipe.write_text(
        RECIPE.replace('domain = "cs_research"', 'domain = "cs_research"\nrecipe = "cs_research/discoverd"')
    )
    said = autodata("check", recipe)
    assert said.code == 1
    assert "cs_research/discovered" in said.err


__all__ = ["recipe"]
