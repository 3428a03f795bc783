"""Whatever is wrong, the command says it in one line with the right exit code, and loses nothing."""

import json
import os
import shutil
import sqlite3
from contextlib import closing

import pytest

from .conftest import loopback


def one_line(said, *words, code=1):
    assert said.code == code, said.err
    lines = said.err.strip().splitlines()
    assert len(lines) == 1, said.err
    assert lines[0].startswith("autodata: ")
    for word in words:
        assert word in lines[0]


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("rounds = 3", "ronds = 3", ["budget.ronds", "'rounds'"]),
        ('"deployed_c1"', '"deployd_c1"', ["deployed_c1"]),
        ('"cs_research"', '"cs_reserch"', ["cs_research"]),
        ("docs/*.md", "nothing/*.md", ["nothing/*.md"]),
        ("docs/*.md", "docs/missing.md", ["missing.md"]),
        ('judge = "openai:judge"', "", ["judge"]),
        ("openai:weak", "opnai:weak", ["opnai"]),
        ("openai:weak", "program:nothing", ["nothing"]),
        ("openai:weak", "no.such.module:MODEL", ["no.such.module"]),
        ("openai:weak", "weak", ["provider:model"]),
        ('name = "cs"', "name = cs", ["TOML"]),
        ("timeout_s = 20", 'api_key = "sk-123"', ["api_key_env"]),
        ("rounds = 3", "rounds = 3\nusd = 1.0", ["price_in"]),
    ],
)
def test_a_wrong_recipe_is_one_clear_line(autodata, place, server, before, after, words):
    place.documents(1)
    recipe = place.recipe()
    text = recipe.read_text()
    assert before in text
    recipe.write_text(text.replace(before, after, 1))
    one_line(autodata("run", recipe, "--out", place.out), *words)
    assert server.calls == 0


def test_a_missing_recipe_is_one_line(autodata, tmp_path):
    one_line(autodata("run", tmp_path / "none.toml", "--out", tmp_path / "o"), "none.toml")


def test_wrong_use_is_exit_code_2(autodata):
    assert autodata("run").code == 2
    assert autodata("frobnicate").code == 2


def test_an_empty_or_binary_document_costs_no_call_and_is_reported(autodata, place, server):
    (place.path / "docs" / "empty.md").write_text("  \n")
    (place.path / "docs" / "binary.md").write_bytes(b"\x00\x01\xff\xfe")
    one_line(autodata("run", place.recipe(), "--out", place.out), "no usable text")
    assert server.calls == 0
    place.documents(1)
    said = autodata("run", place.recipe(), "--out", place.out)
    assert said.code == 0
    assert "skipped docs/empty.md" in said.err
    assert "skipped docs/binary.md" in said.err
    assert {json.loads(x)["source"]["id"] for x in (place.out / "dataset.jsonl").read_text().splitlines()} == {
        "docs/d00.md"
    }


def test_an_unreachable_model_is_one_line(autodata, place):
    place.documents(2)
    place.url = "http://127.0.0.1:9/v1"
    one_line(autodata("run", place.recipe(), "--out", place.out), "no answer")


def test_an_unauthorised_model_is_one_line_after_a_few_calls(autodata, place):
    with loopback.LoopbackServer(status=401) as server:
        place.url = server.url
        place.documents(30)
        one_line(autodata("run", place.recipe(), "--out", place.out), "credentials")
        assert server.calls <= 8


@pytest.mark.parametrize(
    ("name", "text", "kind"),
    [
        ("garbage", "%%% no json here {{{", "FORMAT"),
        ("empty", "", "FORMAT"),
        ("refusal", "I'm sorry, but I can't help with that.", "FORMAT"),
        ("truncated", '{"question_type": "recall", "skills": ["a"', "FORMAT"),
    ],
)
def test_a_challenger_that_gives_nothing_usable_is_a_typed_refusal(autodata, place, name, text, kind):
    def reply(model, messages):
        return text if loopback.role_of(messages) == "challenger" else loopback.cs_reply(model, messages)

    with loopback.LoopbackServer(reply) as server:
        place.url = server.url
        place.documents(1)
        said = autodata("run", place.recipe(), "--out", place.out)
    assert said.code == 0, said.err
    refused = [json.loads(line) for line in (place.out / "refused.jsonl").read_text().splitlines()]
    assert [line["reasons"][0]["kind"] for line in refused] == [kind] * 3


@pytest.mark.parametrize("text", ["", "I cannot help with that request."])
def test_weak_answers_that_say_nothing_are_not_difficulty(autodata, place, text):
    def reply(model, messages):
        return text if model == "weak" else loopback.cs_reply(model, messages)

    with loopback.LoopbackServer(reply) as server:
        place.url = server.url
        place.documents(1)
        assert autodata("run", place.recipe(), "--out", place.out).code == 0
    refused = [json.loads(line) for line in (place.out / "refused.jsonl").read_text().splitlines()]
    assert {reason["kind"] for line in refused for reason in line["reasons"]} == {"FORMAT"}


def test_an_unwritable_folder_is_one_line(autodata, place, tmp_path):
    place.documents(1)
    (tmp_path / "file").write_text("")
    one_line(autodata("run", place.recipe(), "--out", tmp_path / "file"), "not a folder")


def test_no_space_is_one_line_before_any_call(autodata, place, server, monkeypatch):
    monkeypatch.setenv("AUTODATA_MIN_FREE_MB", "999999999")
    place.documents(1)
    one_line(autodata("run", place.recipe(), "--out", place.out), "MB")
    assert server.calls == 0


def test_another_recipe_on_the_folder_is_refused_with_what_differs(autodata, place):
    place.documents(2)
    recipe = place.recipe()
    autodata("run", recipe, "--out", place.out)
    kept = (place.out / "dataset.jsonl").read_bytes()
    recipe.write_text(recipe.read_text().replace("deployed_c1", "prose_s31"))
    one_line(autodata("run", recipe, "--out", place.out), "policy")
    assert (place.out / "dataset.jsonl").read_bytes() == kept


@pytest.mark.parametrize("command", ["report", "verify"])
def test_a_folder_that_is_no_run_is_one_line(autodata, tmp_path, command):
    one_line(autodata(command, tmp_path), "run.db")


def test_an_edited_row_is_named(autodata, place):
    place.documents(2)
    autodata("run", place.recipe(), "--out", place.out)
    path = place.out / "dataset.jsonl"
    lines = path.read_text().splitlines()
    row = json.loads(lines[1])
    row["reference_answer"] = "something else"
    path.write_text("\n".join([lines[0], json.dumps(row)]) + "\n")
    said = autodata("verify", place.out)
    assert said.code == 1
    assert row["id"] in said.out
    assert json.loads(lines[0])["id"] not in said.out


def test_a_verdict_that_does_not_follow_from_the_marks_is_named(autodata, place):
    place.documents(1)
    autodata("run", place.recipe(), "--out", place.out)
    with closing(sqlite3.connect(place.out / "run.db")) as db, db:
        (state,) = db.execute("SELECT state FROM item").fetchone()
        forged = json.loads(state)
        for attempt in forged["history"][-1]["weak"]:
            attempt["marks"] = [mark or n < 7 for n, mark in enumerate(attempt["marks"])]
        text = json.dumps(forged, sort_keys=True, separators=(",", ":"))
        import hashlib

        db.execute("UPDATE item SET state = ?, state_sha256 = ?", (text, hashlib.sha256(text.encode()).hexdigest()))
    said = autodata("verify", place.out)
    assert said.code == 1
    assert "its marks do not" in said.out


def test_a_damaged_database_is_one_line(autodata, place):
    place.documents(1)
    autodata("run", place.recipe(), "--out", place.out)
    (place.out / "run.db").write_bytes(b"this is not a database at all" * 100)
    for extra in ("run.db-wal", "run.db-shm"):
        (place.out / extra).unlink(missing_ok=True)
    one_line(autodata("run", place.recipe(), "--out", place.out), "run.db")


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_read_only_folder_is_one_line(autodata, place):
    place.documents(1)
    place.out.mkdir()
    place.out.chmod(0o500)
    one_line(autodata("run", place.recipe(), "--out", place.out), "cannot be written")
    shutil.rmtree(place.out)
