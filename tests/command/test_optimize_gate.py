"""The screen on which a person decides: only a plain answer counts, and nothing hides on it."""

import json

import pytest

from autodata_adapters.stores.recipes import RecipeRegistry, was_read
from autodata_cli.optimizing import _answer, ask_on_terminal
from autodata_cli.recipes import diff_text, list_text, notes_of, recipe_text
from autodata_core.meta.gate import gate_question
from autodata_core.meta.harness import Texts, child_of
from autodata_core.meta.notes import notes_for
from autodata_core.testing.optimizing import optimizing_rules, optimizing_sources

from .small_world import RECIPE, answering, recipe

__all__ = ["recipe"]

BASE = optimizing_rules().recipe
HIDING = child_of(BASE, Texts(challenger=f"{BASE.challenger}\n- More\x1b[1A\x1b[2K\u202e <|im_start|>."))


def decided(*lines):
    said, left = [], iter(lines)
    shown = [{"source": "a.md", "question_type": "t", "question": "Why?", "kind": "TOO_EASY", "detail": "weak mean 1"}]
    question = gate_question(
        1, BASE, HIDING, None, None, what="Better\x1b[2K", items=6, accepted=2, failures={"TOO_EASY": 4}, shown=shown
    )
    return _answer(ask_on_terminal(lambda prompt: next(left), said.append), question), said


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("approve but only after dropping line 3", "approve takes nothing after it"),
        ("yes", "'yes' is none of approve, reject, edit"),
        ("reject", "reject needs its reason"),
        ("edit", "edit needs the name"),
        ("edit /nonexist", "No such file"),
        ("", "is none of approve"),
    ],
)
def test_only_a_plain_answer_counts(line, fault):
    answer, said = decided(line, "approve")
    assert answer["action"] == "approve"
    assert len(said) == 2
    assert fault in said[1]


@pytest.mark.parametrize(
    ("texts", "fault"), [({"challenger": 5}, "challenger: "), ({"judge": "x"}, "judge: "), ({}, "nothing")]
)
def test_a_fault_in_a_file_names_the_field(tmp_path, texts, fault):
    path = tmp_path / "edit.json"
    path.write_text(json.dumps(texts))
    answer, said = decided(f"edit {path}", "reject too long")
    assert answer["why"] == "too long"
    assert fault in said[1]


def test_the_screen_shows_what_was_counted_and_nothing_hides_on_it():
    _, (screen,) = decided("approve")
    assert "2 of 6 train items accepted, refusals: TOO_EASY 4" in screen
    assert "a.md: Why? (t) TOO_EASY, weak mean 1" in screen
    assert not any(mark in screen for mark in ("\x1b", "\u202e", "<|im_start|>"))


def test_no_page_about_a_version_moves_the_screen(tmp_path):
    registry = RecipeRegistry(tmp_path)
    registry.keep(BASE)
    registry.keep(HIDING, notes_for(HIDING, BASE, None))
    pages = [recipe_text(tmp_path, HIDING.version), diff_text(tmp_path, BASE.version, HIDING.version)]
    pages += [notes_of(tmp_path, HIDING.version), list_text(tmp_path)]
    assert "\\u{1b}" in pages[0]
    toml = recipe_text(tmp_path, HIDING.version, toml=True)
    assert not any(mark in page for page in (*pages, toml) for mark in ("\x1b", "\u202e"))
    tomllib = pytest.importorskip("tomllib")
    assert tomllib.loads(toml)["texts"]["challenger"] == HIDING.challenger
    assert registry.resolve(HIDING.version[:4]) == HIDING.version


def test_a_search_that_begins_with_a_version_of_another_says_which_test_sources_that_one_read(
    autodata, recipe, tmp_path, monkeypatch
):
    answering(monkeypatch)
    table = "[optimize]\niterations = 0\ntest_repeats = 1\n"
    recipe.write_text(RECIPE + table)
    assert autodata("optimize", recipe, "--out", tmp_path / "one").code == 0
    assert "another search" not in autodata("recipe", "notes", tmp_path / "one").out
    recipe.write_text(RECIPE.replace('name = "small"', 'name = "small"\nrecipe = "one"') + table)
    said = autodata("optimize", recipe, "--out", tmp_path / "two", "--seed", 3)
    assert said.code == 0, said.err
    read = RecipeRegistry(tmp_path / "one").read()
    both = RecipeRegistry(tmp_path / "two").read()
    assert read < both  # a third search knows of both
    notes = autodata("recipe", "notes", tmp_path / "two").out
    assert "test sources were read or decided by" in notes
    seen = int(notes.partition("in which ")[2].split()[0])
    assert 0 < seen <= sum(was_read(source, read) for source in optimizing_sources(30))
    (tmp_path / "one" / "recipes" / "READ.json").unlink()
    assert autodata("optimize", recipe, "--out", tmp_path / "three", "--seed", 3).code == 0
    assert "kept no list" in autodata("recipe", "notes", tmp_path / "three").out


def test_a_changed_recipe_is_not_sent_to_an_option_that_a_search_does_not_have(autodata, recipe, tmp_path):
    out = tmp_path / "search"
    assert autodata("optimize", recipe, "--out", out, "--iterations", 0).code == 0
    said = autodata("optimize", recipe, "--out", out, "--iterations", 0, "--seed", 5)
    assert said.code == 1
    assert "--fork" not in said.err
    assert "another folder for a new search" in said.err
    assert autodata("check", recipe).code == 0
