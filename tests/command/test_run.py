"""`autodata run` against a scripted OpenAI-compatible server: rows, resume after a kill, locks, signals."""

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing

import pytest

from .conftest import loopback, start_process

ROW_KEYS = {
    "id", "domain", "question_type", "skills", "context", "question", "reference_answer", "rubric", "check", "scores",
    "verdict", "round", "source", "provenance",
}  # fmt: skip


def rows(place):
    return [json.loads(line) for line in (place.out / "dataset.jsonl").read_text().splitlines()]


def test_a_run_gives_rows_with_every_key_and_a_folder_that_verifies(autodata, place):
    place.documents(3)
    said = autodata("run", place.recipe(), "--out", place.out)
    assert said.code == 0, said.err
    found = rows(place)
    assert [row["source"]["id"] for row in found] == ["docs/d00.md", "docs/d01.md", "docs/d02.md"]
    for row in found:
        assert set(row) == ROW_KEYS
        assert row["round"] == 2
        assert row["verdict"]["reasons"] == []
        assert set(row["verdict"]["shadow"]) == {"prose_s31", "meta_s4", "exact_counts", "majority", "interactive"}
        assert row["provenance"]["prompts"]["weak"] == row["provenance"]["prompts"]["strong"]
        assert row["provenance"]["models"]["weak"]["endpoint"].startswith("http://127.0.0.1")
    refused = [json.loads(line) for line in (place.out / "refused.jsonl").read_text().splitlines()]
    assert {line["reasons"][0]["kind"] for line in refused} == {"TOO_EASY"}
    assert autodata("verify", place.out).code == 0
    assert "TOO_EASY" in autodata("report", place.out).out
    out = place.path / "rows.jsonl"
    assert autodata("export", place.out, "--format", "jsonl", "--out", out).code == 0
    assert out.read_bytes() == (place.out / "dataset.jsonl").read_bytes()
    assert os.stat(place.out).st_mode & 0o077 == 0


def test_the_same_command_again_asks_nothing(autodata, place, server):
    place.documents(2)
    autodata("run", place.recipe(), "--out", place.out)
    asked, before = server.calls, (place.out / "dataset.jsonl").read_bytes()
    assert autodata("run", place.recipe(), "--out", place.out).code == 0
    assert server.calls == asked
    assert (place.out / "dataset.jsonl").read_bytes() == before


def test_limit_and_then_on(autodata, place):
    place.documents(4)
    assert autodata("run", place.recipe(), "--out", place.out, "--limit", 2).code == 0
    assert len(rows(place)) == 2
    assert autodata("run", place.recipe(), "--out", place.out).code == 0
    assert len(rows(place)) == 4


@pytest.mark.long  # tests/durability kills at every named place, in less time
def test_killed_half_way_and_repeated_the_run_gives_the_same_rows_and_pays_no_recorded_call_twice(place, tmp_path):
    concurrency = 4
    with loopback.LoopbackServer(delay_s=0.01) as server:
        place.url = server.url
        place.documents(8)
        recipe = place.recipe()
        whole = start_process("run", recipe, "--out", tmp_path / "whole", "--concurrency", concurrency)
        said = whole.communicate(timeout=120)
        assert whole.returncode == 0, said
        golden, unbroken = (tmp_path / "whole" / "dataset.jsonl").read_bytes(), server.calls
        server.meter.clear()
        kills = 0
        for share in (0.2, 0.5, 0.8):
            process = start_process("run", recipe, "--out", place.out, "--concurrency", concurrency)
            while process.poll() is None and server.calls < share * unbroken:
                time.sleep(0.005)
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
                kills += 1
            process.communicate()
        assert kills == 3, "the run ended before it was killed"
        last = start_process("run", recipe, "--out", place.out, "--concurrency", concurrency)
        said = last.communicate(timeout=120)
        assert last.returncode == 0, said
    assert (place.out / "dataset.jsonl").read_bytes() == golden
    repeated = sum(count - 1 for count in server.meter.values())
    in_flight = concurrency * 3  # items at once × attempts at once
    assert repeated <= kills * in_flight
    assert server.calls <= unbroken + kills * in_flight
    with closing(sqlite3.connect(place.out / "run.db")) as db, db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_a_second_process_on_the_folder_is_refused_with_75(autodata, place):
    with loopback.LoopbackServer(delay_s=0.2) as server:
        place.url = server.url
        place.documents(4)
        process = start_process("run", place.recipe(), "--out", place.out)
        while process.poll() is None and not server.calls:
            time.sleep(0.01)
        said = autodata("run", place.recipe(), "--out", place.out)
        assert said.code == 75
        assert str(process.pid) in said.err
        process.kill()
        process.communicate()
    assert autodata("report", place.out).code == 0


@pytest.mark.long  # tests/durability sends the same signals
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_leaves_a_readable_data_set(place, number, code):
    with loopback.LoopbackServer(delay_s=0.05) as server:
        place.url = server.url
        place.documents(30)
        process = start_process("run", place.recipe(), "--out", place.out, "--concurrency", 2)
        while process.poll() is None and server.calls < 60:
            time.sleep(0.01)
        process.send_signal(number)
        began = time.monotonic()
        err = process.communicate(timeout=15)[1]
        assert time.monotonic() - began < 10
    assert process.returncode == code, err
    assert "Traceback" not in err
    assert 1 <= len(rows(place)) < 30
    assert all(set(row) == ROW_KEYS for row in rows(place))


def test_a_second_signal_leaves_at_once(place):
    with loopback.LoopbackServer(delay_s=3) as server:
        place.url = server.url
        place.documents(4)
        process = start_process("run", place.recipe(), "--out", place.out)
        while process.poll() is None and not server.calls:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        began = time.monotonic()
        process.communicate(timeout=15)
        assert time.monotonic() - began < 2
    assert process.returncode == 130


def test_a_key_from_the_environment_reaches_the_server_and_no_file(autodata, place, monkeypatch):
    secret = "sk-canary-4f9d2b7e61"
    monkeypatch.setenv("MY_TEST_KEY", secret)
    with loopback.LoopbackServer(key=secret) as server:
        place.url = server.url
        place.documents(1)
        recipe = place.recipe()
        recipe.write_text(recipe.read_text().replace("timeout_s", 'api_key_env = "MY_TEST_KEY"\ntimeout_s'))
        said = autodata("run", recipe, "--out", place.out)
        assert said.code == 0, said.err
        assert server.keys == {f"Bearer {secret}"}
    files = [path for path in place.out.rglob("*") if path.is_file()]
    assert files
    assert not any(secret.encode() in path.read_bytes() for path in files)


def test_preview_shows_rows_and_writes_nothing(autodata, place):
    place.documents(3)
    said = autodata("run", place.recipe(), "--out", place.out, "--preview", 2)
    assert said.code == 0, said.err
    assert said.out.count("question ") == 2
    assert not place.out.exists()
    calls = int(re.search(r"(\d+) calls", said.out).group(1))
    assert f"about 3 rows, {calls * 3 / 2:,.0f} calls and $" in said.out
    assert "for 3 items at the rate of these 2" in said.out


TWICE = """
import sys
from langchain_openai import ChatOpenAI
from autodata_core import Recipe
from autodata_langgraph import generate
models = {role: ChatOpenAI(model=role, base_url=sys.argv[1], api_key="x") for role in ("challenger", "weak", "strong", "judge")}
for n in range(3):
    made = generate(Recipe.for_domain("cs_research"), [{"text": f"Document {n}, {m}."} for m in range(4)], models=models)
    print(dict(made.counts))
"""


def test_generate_several_times_with_the_same_chat_models(server):
    """A chat model keeps connections of the first call's event loop, which is gone at the second."""
    done = subprocess.run([sys.executable, "-c", TWICE, server.url], capture_output=True, text=True, check=False)
    assert done.stdout.split("\n")[:3] == ["{'accepted': 4}"] * 3, done.stderr


def test_check_spends_at_most_one_call_per_model(autodata, place, server):
    place.documents(2)
    said = autodata("check", place.recipe())
    assert said.code == 0, said.out
    assert server.calls <= 4
