"""A passage of a source does not get into what other sources are asked, however it is dressed up."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autodata_core.demonstrations import Demonstration, described_reply
from autodata_core.domains import DOMAINS
from autodata_core.passages import Passages
from autodata_core.prompts import Fence, render_challenger
from autodata_core.recipe import Recipe
from autodata_core.views import ChallengerView

SOURCE = (
    "The amber gauge of the northern station is read at dawn, and every reading is written on drum thirteen.\n"
    "Floods are rare here. The keeper of the station adds two litres for each hour of heavy rain."
)
LONG = "the keeper of the station adds two litres for each hour"


@pytest.mark.parametrize(
    "text",
    [
        f"Ask about this: {LONG}!",
        f"Ask about this: {LONG.upper()}",
        LONG.replace(" ", "\n"),
        LONG.replace(" ", "_"),
        LONG.replace(" ", " * "),
        LONG.replace("keeper", "kee\u200bper"),
        LONG.replace("station", "\uff53\uff54\uff41\uff54\uff49\uff4f\uff4e"),
        f"word{LONG}"[4:],
        "Floods are rare here.",  # a whole sentence, though a short one
    ],
)
def test_a_quotation_is_replaced_by_its_length_whatever_it_looks_like(text):
    known = Passages(SOURCE)
    shown = known.without(text)
    assert "words of a source]" in shown
    assert "litres" not in shown.casefold()
    assert "floods" not in shown.casefold()
    assert known.without(shown) == shown


@pytest.mark.parametrize(
    "text", ["", "Ask for two steps.", "keeper of the station adds two litres", "drum thirteen", "rare here"]
)
def test_up_to_seven_words_of_a_longer_sentence_may_be_said(text):
    assert Passages(SOURCE).without(text) == text
    assert not Passages(SOURCE).quoted_in(text)


def test_what_stands_around_a_quotation_stays():
    assert Passages(SOURCE).without(f"Before, {LONG}, behind.") == "Before, [11 words of a source], behind."


def test_what_one_began_with_may_be_said():
    assert Passages(SOURCE).without(LONG, keep=f"Write of how {LONG} of rain.") == LONG
    assert Passages(SOURCE).without(f"{LONG} of heavy rain", keep=LONG) != f"{LONG} of heavy rain"


def test_signs_without_spaces_between_them_are_words_of_their_own():
    text = "\u6c34\u4f4d\u8a08\u306e\u8aad\u307f\u306f\u6bce\u671d\u8a18\u9332\u3055\u308c\u308b"
    assert Passages(text).quoted_in("\u4f8b: " + text[2:12])


@given(st.text(max_size=200), st.text(max_size=200))
def test_any_text_comes_back_without_what_is_known_and_only_once(source, text):
    known = Passages(source)
    shown = known.without(text)
    assert known.without(known.without(shown)) == known.without(shown)
    if not known.quoted_in(text):
        assert shown == text


@given(st.lists(st.sampled_from(SOURCE.split()), max_size=40).map(" ".join))
def test_no_eight_words_in_a_row_of_the_source_are_left(text):
    left = Passages(SOURCE).without(text).casefold().split()
    plain = " ".join(SOURCE.casefold().split())
    assert not any(" ".join(left[n : n + 8]) in plain for n in range(len(left) - 7))


CANDIDATE = {
    "question_type": "two_step",
    "skills": ["reading"],
    "context": "At the northern station it rained for three hours.",
    "question": f"If {LONG} of heavy rain, what is added?",
    "reference_answer": "6 litres",
    "quote": "adds two litres for each hour of heavy rain",
}


def test_a_reply_is_described_without_context_quote_and_passages():
    shown = json.loads(described_reply(json.dumps(CANDIDATE), SOURCE))
    assert shown["context"] == "[9 words]"
    assert shown["quote"] == "[9 words]"
    assert shown["question"] == "If [14 words of a source], what is added?"
    assert (shown["reference_answer"], shown["skills"]) == ("6 litres", ["reading"])
    again = {**CANDIDATE, "question": "Why: at the northern station it rained for three hours?"}
    assert json.loads(described_reply(json.dumps(again), "Another."))["question"] == "Why: [9 words of a source]?"
    assert described_reply(f"Sorry: {LONG}.", SOURCE) == "Sorry: [11 words of a source]."


def test_demonstrations_are_part_of_a_recipes_version_and_none_is_what_it_was():
    plain = Recipe.for_domain("math_objects")
    with_one = Recipe.from_json({**plain.to_json(), "demonstrations": [{"reply": "{}"}]})
    assert with_one.version != plain.version
    assert Recipe.from_json({**with_one.to_json(), "demonstrations": []}).version == plain.version
    old = plain.to_json()
    del old["demonstrations"]  # a recipe that was stored before there were any
    assert Recipe.from_json(old).version == plain.version


def test_demonstrations_stand_in_fences_behind_the_source():
    view, fence = ChallengerView(source_text="text", round=1), Fence("0123456789abcdef", "call")
    shown = (Demonstration(reply="ignore this \u202e"), Demonstration(reply="{}"))
    domain = DOMAINS["math_objects"]
    asked = render_challenger("Write.", domain, view, fence, {}, [demo.reply for demo in shown])[1].content
    assert asked.count(f"<<<EXAMPLE {fence.nonce}\n") == 2
    assert asked.index("<<<SOURCE") < asked.index("<<<EXAMPLE") < asked.index("Write the question now.")
    assert "\u202e" not in asked
    plain = render_challenger("Write.", domain, view, fence, {})
    assert plain == render_challenger("Write.", domain, view, fence, {}, [])
    assert "EXAMPLE" not in plain[1].content
