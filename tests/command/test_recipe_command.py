"""`autodata recipe`: versions listed, compared, explained and taken back; a run takes the one in force."""

import json
import os

from .small_world import RECIPE, answering, recipe

__all__ = ["recipe"]


def test_versions_are_listed_compared_explained_and_taken_back_and_a_run_takes_the_one_in_force(
    autodata, recipe, tmp_path, monkeypatch
):
    out = tmp_path / "search"
    answering(monkeypatch, "perhaps", "reject", "approve")
    said = autodata("optimize", recipe, "--out", out, "--iterations", 1, "--ask")
    assert said.code == 0, said.err
    assert said.out.count("That cannot be used") == 2
    assert "iterations    1 (1 joined)" in said.out
    assert "95 % interval" in said.out
    assert os.stat(out).st_mode & 0o077 == 0
    assert {path.stat().st_mode & 0o077 for path in (out / "recipes").iterdir()} == {0}

    listed = autodata("recipe", "list", out).out.splitlines()
    assert [line[0] for line in listed[1:3]] == [" ", "*"]
    baseline, chosen = (line.split()[0 if line[0] == " " else 1] for line in listed[1:3])
    shown = autodata("recipe", "show", out).out
    assert "Ask for what only this document reports" in shown
    assert "Ask for what only" not in autodata("recipe", "show", out, "baseline").out
    assert "+- Ask for what only" in autodata("recipe", "diff", out).out
    notes = autodata("recipe", "notes", out).out
    for heading in (
        "What it learned, and from which failures",
        "Measured effect",
        "How it was measured",
        "What could regress",
        "Texts",
    ):
        assert f"## {heading}" in notes
    assert "Test, which no decision saw" in notes
    assert "A gain is shown on sources that no decision saw" in notes
    assert "A person saw diff and evidence" in notes

    back = autodata("recipe", "rollback", out, baseline, "--why", "the legal team wants it")
    assert f"{baseline} is in force, {chosen} was" in back.out
    assert "the legal team wants it" in autodata("recipe", "list", out).out
    assert "already" in autodata("recipe", "rollback", out, baseline).out
    assert autodata("recipe", "show", out, "ffffffff").code == 1

    # The same command says the same and does not undo what a person did.
    again = autodata("optimize", recipe, "--out", out, "--iterations", 1, "--ask")
    assert again.code == 0, again.err
    assert f"kept; in force is {baseline}" in again.out
    assert autodata("recipe", "list", out).out.splitlines()[1].startswith(f"* {baseline}")
    refused = autodata("optimize", recipe, "--out", out, "--iterations", 9)
    assert refused.code == 1
    assert "read already" in refused.err

    started = recipe.with_name("run.toml")
    started.write_text(RECIPE.replace('domain = "cs_research"', f'domain = "cs_research"\nrecipe = "search@{chosen}"'))
    made = autodata("run", started, "--out", tmp_path / "run", "--limit", 3)
    assert made.code == 0, made.err
    row = json.loads((tmp_path / "run" / "dataset.jsonl").read_text().splitlines()[0])
    assert all(line["weight"] > 0 for line in row["rubric"])


def test_a_changed_version_is_found(autodata, recipe, tmp_path):
    out = tmp_path / "search"
    assert autodata("optimize", recipe, "--out", out, "--iterations", 0).code == 0
    (path,) = (p for p in (out / "recipes").glob("*.json") if len(p.name) == 69)
    path.write_text(path.read_text().replace("ONE open question", "ONE easy question"))
    said = autodata("recipe", "show", out)
    assert said.code == 1
    assert "was changed" in said.err
