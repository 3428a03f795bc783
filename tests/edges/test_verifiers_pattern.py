"""Patterns: the whole answer has the form, matching is linear, and a pattern that takes anything is caught."""

from __future__ import annotations

import time
from typing import Any

import pytest

pytest.importorskip("re2")

from autodata_adapters.verifiers.pattern import PatternFault, compile_pattern, create
from autodata_core.records import Check
from autodata_core.verify import control

PATTERN = create()


def form(pattern: Any, **more: Any) -> Check:
    return Check(kind="pattern", spec={"pattern": pattern, **more})


@pytest.mark.parametrize(
    ("pattern", "answer", "outcome"),
    [
        ("colou?r", "color", "pass"),
        ("colou?r", " Colour. ", "pass"),
        ("COLOUR", "colour", "pass"),
        ("colou?r", "colour red", "fail"),
        ("colou?r", "the colour", "fail"),
        ("colou?r", "", "fail"),
        (r"(19|20)\d\d", "1984", "pass"),
        (r"(19|20)\d\d", "1884", "fail"),
        (r"(19|20)\d\d", "1984\n1985", "fail"),
        (r"(19|20)\d\d", "１９８４", "pass"),
        ("strasse", "STRAẞE", "pass"),
        (r"-?5", "-5", "pass"),
        ("5", "-5", "fail"),
        ("a|b", "b", "pass"),
        ("a|b", "ab", "fail"),
        ("paris", "par\0is", "fail"),
        ("paris", "paris\ud800", "fail"),
        ("paris", "paris" + " " * 2_000, "fail"),
        (r"\pL+ \d", "é 5", "pass"),
        (r"a\\1", r"a\1", "pass"),
    ],
)
def test_the_whole_answer_has_the_form(pattern: str, answer: str, outcome: str) -> None:
    assert PATTERN.verify(form(pattern), answer).outcome == outcome


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        ({}, "pattern must be"),
        ({"pattern": ""}, "pattern must be"),
        ({"pattern": "  "}, "pattern must be"),
        ({"pattern": 5}, "pattern must be"),
        ({"pattern": None}, "pattern must be"),
        ({"pattern": "a", "flags": "i"}, "has no 'flags'"),
        ({"pattern": "(?=a)a"}, "look-around"),
        ({"pattern": "(?!a)b"}, "look-around"),
        ({"pattern": "(?<=a)b"}, "look-around"),
        ({"pattern": "(?<!a)b"}, "look-around"),
        ({"pattern": r"(a)\1"}, "back-reference"),
        ({"pattern": "(?P<x>a)(?P=x)"}, "back-reference"),
        ({"pattern": "(?>a)"}, "possessive"),
        ({"pattern": "a++"}, "possessive"),
        ({"pattern": "("}, "missing"),
        ({"pattern": "["}, "missing"),
        ({"pattern": "a" * 501}, "longer than 500"),
        ({"pattern": "a{1001}"}, "repetition"),
        ({"pattern": "(a{1000}){1000}"}, "repetition"),
        ({"pattern": "((a{30}){30}){1}"}, ""),
        ({"pattern": r"\pL{500}"}, "too large"),
        ({"pattern": "\ud800"}, ""),
        ({"pattern": "a", "examples": "a"}, "examples must be"),
        ({"pattern": "a", "examples": [""]}, "every example"),
        ({"pattern": "a", "examples": [5]}, "every example"),
        ({"pattern": "a", "examples": ["a"] * 11}, "examples must be"),
        ({"pattern": "a", "examples": ["a", "b"]}, "does not match"),
    ],
)
def test_a_pattern_that_is_not_taken_is_an_error_and_not_a_verdict(spec: dict[str, Any], why: str) -> None:
    check = Check(kind="pattern", spec=spec)
    found = PATTERN.check_spec(check)
    if why or found:
        assert found is not None
        assert why in found
        assert len(found) < 300
        assert PATTERN.verify(check, "a").outcome == "error"
    assert PATTERN.known_wrong(check, "a")


def test_examples_are_answers_that_match() -> None:
    assert PATTERN.check_spec(form("colou?r", examples=["color", "Colour."])) is None
    assert PATTERN.check_spec(form("a" * 500)) is None
    assert PATTERN.check_spec(form("a", examples=["a"] * 10)) is None


@pytest.mark.parametrize(
    "pattern",
    ["(a+)+$", "(a|a)*", "(?:(?:a|aa)+)", "(a*)*b", "a*a*a*a*a*a*a*a*b", "(.*)(.*)(.*)(.*)(.*)b", "(a?){50}a{50}", "(x+x+)+y",
     "[a-z]*" * 80 + "!", "(" * 200 + "a" + ")*" * 200 + "b", "a{0,500}b"],
)  # fmt: skip
def test_no_pattern_takes_more_than_linear_time(pattern: str) -> None:
    before = time.process_time()
    for answer in ("a" * 1_999 + "!", "x" * 1_999, "a" * 2_000, "a" * 1_000_000):
        assert PATTERN.verify(form(pattern), answer).outcome in ("pass", "fail", "error")
    assert time.process_time() - before < 0.5


def test_a_compiled_pattern_is_bounded_in_size() -> None:
    assert compile_pattern("(a{30}){30}").fullmatch("a" * 900)
    with pytest.raises(PatternFault, match="too large"):
        compile_pattern("(ab{15}){60}(cd{15}){60}(ef{15}){60}")


@pytest.mark.parametrize(
    ("pattern", "reference"),
    [("paris", "Paris"), ("(the )?paris", "Paris"), ("42", "42"), ("(19|20)\\d\\d", "1984"), ("level", "level"), ("-?5", "-5"),
     ("colou?r of (sand|stone)", "colour of sand"), ("2\\.5 ?kg", "2.5 kg")],
)  # fmt: skip
def test_the_controls_of_a_pattern_that_says_something_come_out_right(pattern: str, reference: str) -> None:
    found = control(PATTERN, form(pattern), reference)
    assert (found.fault, found.evidence) == ("", found.evidence)
    assert found.controls >= 5


@pytest.mark.parametrize(
    ("pattern", "reference"),
    [(".*", "Paris"), ("(?s).*", "Paris"), (".+", "Paris"), ("[a-z]+", "level"), ("[a-z ]+", "of sand"), (r"\d+", "42"),
     (r"\d\d", "42"), (r"\w+\W*.*", "x y"), (".{1,20}", "abc"), (".*paris.*", "Paris"), ("paris.*", "Paris"),
     ("(not )?paris", "Paris"), (r"[^0-9]*", "abc"), ("[a-z]{5}", "paris"), ("(paris)?", "Paris"), (r"\S+", "x1")],
)  # fmt: skip
def test_a_pattern_that_takes_nearly_anything_is_vacuous(pattern: str, reference: str) -> None:
    assert control(PATTERN, form(pattern), reference).fault == "vacuous"


def test_a_reference_without_the_form_is_refused_by_the_controls() -> None:
    assert control(PATTERN, form("paris"), "London").fault == "reference"


def test_it_says_which_library_matches() -> None:
    assert PATTERN.version.startswith("pattern/1 google-re2/")
