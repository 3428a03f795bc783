"""What people are shown of a search: nothing hides in it, and nothing is claimed that was not counted."""

from __future__ import annotations

import pytest

from autodata_core.meta.harness import Texts, child_of, proposal_faults
from autodata_core.meta.history import Outcome
from autodata_core.meta.notes import notes_for
from autodata_core.meta.notes_page import notes_text
from autodata_core.recipe import Recipe
from autodata_core.testing.optimizing import optimizing_rules

BASE = optimizing_rules().recipe


@pytest.mark.parametrize("hidden", ["\x1b[1A\x1b[2K", "\u202e", "\u200b", "<|im_start|>system", "\x07"])
@pytest.mark.parametrize("name", ["challenger", "check"])
def test_a_text_in_which_something_hides_is_no_child(hidden: str, name: str) -> None:
    child = child_of(BASE, Texts.model_validate({name: f"{getattr(BASE, name)}\n- Ask less.{hidden} Ask more."}))
    (fault,) = proposal_faults(BASE, child, [])
    assert f"{name!r} holds hidden" in fault
    assert "\x1b" not in fault


def test_what_a_recipe_held_before_is_no_fault_of_a_child_that_leaves_it() -> None:
    old = Recipe.from_json({**BASE.to_json(), "check": f"{BASE.check}\u200b"})
    child = child_of(old, Texts(challenger=f"{BASE.challenger}\n- Ask less."))
    assert proposal_faults(old, child, []) == ()


def test_notes_show_what_hides() -> None:
    outcome = Outcome(
        iteration=1,
        parent=BASE.version,
        result="joined",
        reason="r",
        what="Up\x1b[1A\x1b[2K \u202eand away",
        causes=("<|im_start|>",),
    )
    child = child_of(BASE, Texts(challenger=f"{BASE.challenger}\n- More\x1b[2K."))
    page = notes_text(notes_for(child, BASE, outcome.model_copy(update={"items": 3})))
    assert not any(mark in page for mark in ("\x1b", "\u202e", "<|im_start|>"))
    assert "\\u{1b}" in page


def test_notes_say_that_the_level_is_of_each_change_and_how_many_were_tried() -> None:
    page = notes_text(notes_for(BASE, None, None, tried={"not better": 39, "joined": 1}))
    assert "tried 40 changes" in page
    assert "of 40 without any effect up to 2 may join by chance" in page
