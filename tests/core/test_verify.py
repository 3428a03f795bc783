"""Exact verifiers: what passes, what fails, and that their own controls always come out right."""

from __future__ import annotations

import time
from fractions import Fraction
from typing import Any

import pytest

from autodata_core.records import Check
from autodata_core.verify import EXACT_VERIFIERS, NumberVerifier, TextVerifier, fold_text, read_number

BOAST = "This is correct, 10/10."


def number(value: Any, unit: str | None = None, rel_tol: str = "0") -> Check:
    return Check(kind="number", spec={"value": value, "unit": unit, "rel_tol": rel_tol})


def said(check: Check, answer: str) -> str:
    return EXACT_VERIFIERS[check.kind].verify(check, answer).outcome


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("12.5", "12.5"),
        ("12", "12"),
        (" 12. ", "12"),
        ("The answer is 12.", "12"),
        ("The answer is 3/4.", "3/4"),
        ("3/4", "3/4"),
        ("3 / 4", "3/4"),
        ("-3/4", "-3/4"),
        ("1e3", "1000"),
        ("1.5E-2", "3/200"),
        ("1,200", "1200"),
        ("1,234,567.5", "1234567.5"),
        ("-5", "-5"),
        ("−5", "-5"),
        ("- 5", "-5"),
        ("+5", "5"),
        ("5 kg", "5"),
        ("5kg", "5"),
        ("$5", "5"),
        ("12 m^2", "12"),
        ("12 m²", "12"),
        ("5 m³/s", "5"),
        ("x = 12", "12"),
        ("3 * 4 = 12", "12"),
        ("12.5 = 25/2", "12.5"),
        ("1 + 1 = 2", "2"),
        ("=12", "12"),
        ("12 (twelve)", "12"),
        ("12, that is 12.0", "12"),
        ("５", "5"),
        ("50 %", "50"),
        ("**12.5 litres**", "12.5"),
    ],
)
def test_one_stated_number_is_read_exactly(text: str, value: str) -> None:
    found, _, why = read_number(text)
    assert why == ""
    assert found == Fraction(value)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "unknown",
        "twelve",
        "1,23",
        "1,2345",
        "12,34,567",
        "1.234,5",
        "1.2.3",
        "192.168.0.1",
        "12 or 13",
        "between 12 and 15",
        "12-15",
        "12 minutes 30 seconds",
        "1 200",
        "v12",
        "x12y",
        "12 = 3 * 4",
        "5/0",
        "10/10",
        "100/100",
        BOAST,
        "I give it 5/5",
        "1e3000",
        "1e-3000",
        "1e31",
        "9" * 61,
        "1" * 1999,
        "x" * 3000 + "12",
        "1.5 x 10^4",
        "1.5 × 10^4",
        "1.5 × 10⁴",
        "10³",
        "2^10",
        "2**2",
        "2 ** 2",
        "2+2",
        "2 + 2",
        "2*2",
        "2 x 2",
        "2×2",
        "5-5",
        "6/2/3",
        "0.5/1.5",
        "3/4/5",
        "3:3",
        "12:12",
        "½",
        "1½",
        "NaN",
        "inf",
        "0x10",
        "1_000",
    ],
)
def test_what_does_not_state_one_value_is_not_read(text: str) -> None:
    found, _, why = read_number(text)
    assert found is None
    assert why


@pytest.mark.parametrize(
    ("check", "answer", "outcome"),
    [
        (number("12.5", "litres"), "12.5", "pass"),
        (number("12.5", "litres"), "12.5 litres", "pass"),
        (number("12.5", "litres"), "12.50 L", "pass"),
        (number("12.5", "litres"), "12.5 liter", "pass"),
        (number("12.5", "litres"), "25/2 l", "pass"),
        (number("12.5", "litres"), "12.5 ml", "fail"),
        (number("12.5", "litres"), "12.5 kg", "fail"),
        (number("12.5", "litres"), "12.4", "fail"),
        (number("12.5", "litres"), "12.5 or 13", "fail"),
        (number("12.5", "litres"), "-12.5", "fail"),
        (number("12.5", "litres"), "", "fail"),
        (number("1"), "1e3", "fail"),
        (number("1"), "1e3000", "fail"),
        (number("1"), "10/10", "fail"),
        (number("10"), "10/10", "fail"),
        (number("1.5"), "1.5 x 10^4", "fail"),
        (number("3"), "3/4.", "fail"),
        (number("0.75"), "3/4.", "pass"),
        (number("1200"), "1,200", "pass"),
        (number("1"), "1,200", "fail"),
        (number("1"), "1,23", "fail"),
        (number("23"), "1,23", "fail"),
        (number("-5", "€"), "−5 euros", "pass"),
        (number("5", "€"), "$5", "fail"),
        (number("5", "USD"), "$5", "pass"),
        (number("5", "EUR"), "EUR 5", "pass"),
        (number("5", "EUR"), "USD 5", "fail"),
        (number("5", "min"), "5 minutes", "pass"),
        (number("5", "min"), "5 hours", "fail"),
        (number("5", "min"), "about 5 mins.", "pass"),
        (number("50", "%"), "50 percent", "pass"),
        (number("0.5"), "50%", "fail"),
        (number("5", "widgets"), "5 widgets", "pass"),
        (number("5", "widgets"), "5", "pass"),
        (number(5), "5", "pass"),
        (number("1/3"), "1/3", "pass"),
        (number("1/3"), "0.333", "fail"),
        (number("100", rel_tol="0.1"), "110", "pass"),
        (number("100", rel_tol="0.1"), "110.0001", "fail"),
        (number("100", rel_tol="0.1"), "90", "pass"),
        (number("100", rel_tol="0.1"), "89.9999", "fail"),
        (number("-100", rel_tol="0.1"), "-110", "pass"),
        (number("0", rel_tol="0.1"), "0", "pass"),
        (number("0", rel_tol="0.1"), "1e-20", "fail"),  # relative to nothing, only nothing is equal
        (number("0"), "0.00000000000000000001", "fail"),
    ],
)
def test_a_number_check_passes_the_value_and_nothing_else(check: Check, answer: str, outcome: str) -> None:
    assert said(check, answer) == outcome


@pytest.mark.parametrize(
    "spec",
    [
        {},
        {"value": None},
        {"value": True},
        {"value": 12.5},
        {"value": ""},
        {"value": "twelve"},
        {"value": "1e3"},
        {"value": "1,200"},
        {"value": "5/0"},
        {"value": "1.5/2"},
        {"value": " 5"},
        {"value": "5\n"},
        {"value": "NaN"},
        {"value": "9" * 61},
        {"value": 10**5000},
        {"value": ["5"]},
        {"value": {"a": 1}},
        {"value": "5", "rel_tol": "0.2"},
        {"value": "5", "rel_tol": "-0.1"},
        {"value": "5", "rel_tol": 0.05},
        {"value": "5", "rel_tol": None},
        {"value": "5", "unit": 5},
        {"value": "5", "unit": "x" * 41},
        {"value": "5", "tolerance": "0"},
        {"value": "5", "accepted": ["5"]},
    ],
)
def test_a_number_check_that_cannot_decide_is_an_error_and_not_a_verdict(spec: dict[str, Any]) -> None:
    check = Check(kind="number", spec=spec)
    why = NumberVerifier().check_spec(check)
    assert why
    assert len(why) < 300
    assert said(check, "5") == "error"


@pytest.mark.parametrize(
    ("accepted", "answer", "outcome"),
    [
        (["Paris"], "paris", "pass"),
        (["Paris"], "  PARIS. ", "pass"),
        (["Paris"], '"Paris"', "pass"),
        (["Paris", "the city of Paris"], "The  city\nof Paris", "pass"),
        (["Straße"], "STRASSE", "pass"),
        (["ﬁne"], "fine", "pass"),
        (["Paris"], "Paris, France", "fail"),
        (["Paris"], "not Paris", "fail"),
        (["Paris"], "Paris or Lyon", "fail"),
        (["Paris"], "", "fail"),
        (["Paris"], "Pari", "fail"),
        (["-5"], "5", "fail"),
        (["5"], ".5", "fail"),
        (["5"], "-5", "fail"),
        (["0.5"], ".5", "fail"),
        (["a=b"], "a", "fail"),
    ],
)
def test_a_text_check_passes_what_is_equal_after_folding(accepted: list[str], answer: str, outcome: str) -> None:
    assert said(Check(kind="text", spec={"accepted": accepted}), answer) == outcome


@pytest.mark.parametrize(
    "spec",
    [
        {},
        {"accepted": []},
        {"accepted": "Paris"},
        {"accepted": [""]},
        {"accepted": ["..."]},
        {"accepted": [5]},
        {"accepted": ["x" * 501]},
        {"accepted": ["x"] * 21},
        {"accepted": ["x"], "value": "x"},
    ],
)
def test_a_text_check_that_cannot_decide_is_an_error(spec: dict[str, Any]) -> None:
    check = Check(kind="text", spec=spec)
    assert TextVerifier().check_spec(check)
    assert said(check, "Paris") == "error"
    assert TextVerifier().known_wrong(check)


def test_folding_keeps_what_makes_a_difference() -> None:
    assert fold_text(" Ａ  b\tC. ") == "a b c"
    assert fold_text("5") != fold_text("-5")
    assert fold_text("a b") != fold_text("ab")


@pytest.mark.parametrize("value", ["-1", "-0.5", "0", "1", "10", "0.5", "-2", "1/3", "-1/3", "0.1", "100"])
@pytest.mark.parametrize("rel_tol", ["0", "0.05", "0.1"])
def test_the_known_wrong_answers_of_a_number_check_all_fail(value: str, rel_tol: str) -> None:
    check = number(value, rel_tol=rel_tol)
    wrong = NumberVerifier().known_wrong(check)
    assert BOAST in wrong
    assert len(wrong) >= 3
    assert {answer: said(check, answer) for answer in wrong} == dict.fromkeys(wrong, "fail")
    assert said(check, value) == "pass"


@pytest.mark.parametrize("value", [str(n) for n in range(-12, 13)] + ["100", "0.1", "10.10"])
def test_a_boast_is_never_a_value(value: str) -> None:
    for boast in (BOAST, "10/10", "Correct: 10/10", "100/100", "I would give this 5/5.", "1/1"):
        assert said(number(value, rel_tol="0.1"), boast) == "fail"


def test_the_known_wrong_answers_of_a_text_check_fail() -> None:
    check = Check(kind="text", spec={"accepted": ["Paris"]})
    assert {said(check, answer) for answer in TextVerifier().known_wrong(check)} == {"fail"}


@pytest.mark.parametrize(
    "answer",
    ["9" * 2000, "9" * 1_000_000, "1," * 1000, "1/" * 1000, "1e" * 1000, "1.1" * 600, "- " * 1000, "1e999999999", "=" * 2000,
     "1,111" * 400, "1 " * 1000, "(" * 2000, "2^" * 900],
)  # fmt: skip
def test_bombs_of_digits_fail_at_once(answer: str) -> None:
    before = time.process_time()
    assert said(number("5"), answer) == "fail"
    assert said(Check(kind="text", spec={"accepted": ["5"]}), answer) == "fail"
    assert time.process_time() - before < 0.5


def test_a_verifier_says_which_one_it_is() -> None:
    assert {kind: (v.kind, bool(v.version)) for kind, v in EXACT_VERIFIERS.items()} == {
        "number": ("number", True),
        "text": ("text", True),
    }
