"""Where an answer is given away, and where a quote stands."""

from __future__ import annotations

import time
from typing import Any

import pytest

from autodata_core.citations import find_quote
from autodata_core.domains import DOMAINS, Domain
from autodata_core.leaks import find_leaks
from autodata_core.records import Candidate, Check, Criterion

MATH, CS = DOMAINS["math_objects"], DOMAINS["cs_research"]
STRICT = MATH.model_copy(update={"context_may_hold_answer": False})
LONG = "the valve closes because the pressure behind it falls below the spring force"


def checked(value: str = "12.5", **texts: str) -> Candidate:
    return made(check=Check(kind="number", spec={"value": value}), reference_answer=value, **texts)


def texted(*accepted: str, **texts: str) -> Candidate:
    return made(check=Check(kind="text", spec={"accepted": list(accepted)}), reference_answer=accepted[0], **texts)


def made(**changes: Any) -> Candidate:
    plain = {"question_type": "t", "skills": ("a",), "context": "", "question": "What?", "reference_answer": "x"}
    return Candidate(**{**plain, **changes})


@pytest.mark.parametrize(
    "question",
    [
        "Is it 12.5 litres?",
        "Is it 12.50?",
        "Is it 12.5?",
        "Show that the sum is 12.5.",
        "Is it 12.5l or less?",
        "Is it (12.5)?",
        "Is it ＝１２.５?",
        "Is it 25/2?",
        "Is it 1.25e1?",
        "Why 12.5",
    ],
)
def test_the_number_of_the_answer_never_stands_in_the_question(question: str) -> None:
    assert find_leaks(checked(question=question), MATH) == ("the answer stands in the question",)


@pytest.mark.parametrize(
    "question",
    ["Is it 12 or 5?", "Is it 112.5?", "Is it 12.55?", "What is drum 12.5.1?", "Is it 1,250?", "In v12.5b?", "What?"],
)
def test_another_number_is_no_leak(question: str) -> None:
    assert find_leaks(checked(question=question), MATH) == ()


@pytest.mark.parametrize(
    ("value", "question", "leaks"),
    [
        ("3/4", "Is 3/4 of it gone?", True),
        ("3/4", "Is it 0.75?", True),
        ("3/4", "Are 3 of 4 gone?", False),
        ("3", "Is 3/4 of it gone?", False),
        ("1200", "Is it 1,200?", True),
        ("-5", "Did it fall to −5 degrees?", True),
        ("5", "Did it fall to -5 degrees?", False),
        ("12", "Is it 5-12 litres?", True),
        ("12", "How much is 20 - 12?", True),
        ("10", "Is 10/10 full marks?", False),
    ],
)
def test_fractions_signs_and_ranges_are_read_as_numbers(value: str, question: str, leaks: bool) -> None:
    assert bool(find_leaks(checked(value, question=question), MATH)) is leaks


@pytest.mark.parametrize(("domain", "leaks"), [(MATH, False), (STRICT, True)])
def test_the_context_may_hold_the_answer_only_where_the_domain_says_so(domain: Domain, leaks: bool) -> None:
    found = find_leaks(checked(context="The drum holds 12.5 litres."), domain)
    assert found == (("the answer stands in the context",) if leaks else ())


@pytest.mark.parametrize(
    ("candidate", "leaks"),
    [
        (texted("copper sulphate", question="Is it Copper  Sulphate?"), True),
        (texted("copper sulphate", question="Is it copper or sulphate?"), False),
        (texted("copper", question="Is it coppery?"), False),
        (texted("x", "copper", question="Is it copper?"), True),
        (texted("yes", question="Is it so, yes or no?"), False),  # too short to prove anything
        (made(check=Check(kind="judge"), reference_answer="copper sulphate", question="Is it copper sulphate?"), True),
        (made(check=Check(kind="judge"), reference_answer="copper sulphate", question="What is it?"), False),
    ],
)
def test_a_text_answer_leaks_as_whole_words(candidate: Candidate, leaks: bool) -> None:
    assert bool(find_leaks(candidate, MATH)) is leaks


@pytest.mark.parametrize("place", ["question", "context"])
def test_eight_words_in_a_row_of_the_reference_are_a_leak(place: str) -> None:
    rubric = (Criterion(criterion="Names the spring force", weight=3),)
    eight, seven = " ".join(LONG.split()[:8]), " ".join(LONG.split()[:7])
    for text, leaks in ((eight, True), (seven, False), (eight.upper().replace(" ", ", "), True)):
        candidate = made(rubric=rubric, reference_answer=LONG, **{place: f"Suppose that {text} here."})
        assert bool(find_leaks(candidate, CS)) is leaks, text
        if leaks:
            assert place in find_leaks(candidate, CS)[0]


def test_a_criterion_that_stands_in_the_question_is_a_leak_and_a_fault_is_not() -> None:
    line = "Names the spring force"
    for weight, leaks in ((3, True), (-3, False)):
        rubric = (Criterion(criterion=line, weight=weight), Criterion(criterion="Other", weight=1))
        for place in ("question", "context"):
            found = find_leaks(made(rubric=rubric, **{place: f"Explain. It {line.lower()}!"}), CS)
            assert bool(found) is leaks
    assert find_leaks(made(rubric=(Criterion(criterion="a", weight=1),), question="a b c"), CS) == ()


def test_a_check_that_cannot_be_read_leaks_nothing_and_raises_nothing() -> None:
    for spec in ({}, {"value": None}, {"value": "x"}, {"accepted": "x"}, {"accepted": [1]}):
        for kind in ("number", "text"):
            find_leaks(made(check=Check(kind=kind, spec=spec), question="Is it 5?"), MATH)


def test_a_long_context_is_searched_quickly() -> None:
    before = time.process_time()
    for context in (
        "1," * 10_000,
        "9" * 20_000,
        "1 " * 10_000,
        "a " * 10_000,
        "- " * 10_000,
        "1/" * 10_000,
        "." * 20_000,
    ):
        find_leaks(checked(context=context), STRICT)
        find_leaks(
            made(rubric=(Criterion(criterion="a a", weight=1),), context=context, reference_answer="a " * 9_000), CS
        )
    assert time.process_time() - before < 2


# --- quotes -----------------------------------------------------------------------------------------------------------

TEXT = "One drum.\nTwo  drums\tand three. Two drums again."


@pytest.mark.parametrize(
    ("quote", "span"),
    [
        ("One drum.", (0, 9)),
        ("Two  drums", (10, 20)),
        ("Two drums", (32, 41)),  # verbatim where it stands verbatim
        ("drum. Two drums and", (4, 24)),
        ("  Two   drums and  ", (10, 24)),
        ("drums\n\nagain.", (36, 48)),
        ("Four drums", None),
        ("two drums and", None),
        ("One drum.Two", None),
        ("", None),
        ("   ", None),
        ("\n", None),
        (".*", None),
        ("(", None),
    ],
)
def test_a_quote_is_found_with_any_white_space_and_nothing_else(quote: str, span: tuple[int, int] | None) -> None:
    assert find_quote(quote, TEXT) == span


def test_the_first_of_several_places_is_given() -> None:
    assert find_quote("ab", "ab ab ab") == (0, 2)
    assert find_quote("a b", "a\nb a\tb") == (0, 3)


def test_a_long_quote_in_a_repetitive_text_is_searched_quickly() -> None:
    before = time.process_time()
    assert find_quote("a " * 1_999 + "b", "a " * 50_000) is None
    assert find_quote("a" * 4_000, "a " * 50_000) is None
    assert time.process_time() - before < 2
