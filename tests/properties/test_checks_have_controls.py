"""For every value: the check passes its reference, fails what is known to be wrong, and never raises."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from autodata_core.records import Check
from autodata_core.verify import NumberVerifier, TextVerifier, fold_text, read_number

NUMBER, TEXT = NumberVerifier(), TextVerifier()

DECIMAL = st.decimals(-(10**9), 10**9, allow_nan=False, places=4).map(lambda d: f"{d:f}")
SMALL = st.integers(-20, 20).map(str)
SHARE = st.fractions(-50, 50, max_denominator=40).map(str)
VALUE = st.one_of(SMALL, DECIMAL, SHARE)
TOLERANCE = st.sampled_from(["0", "0.01", "0.05", "0.1"])
WORDS = st.text(st.characters(categories=["L", "N", "P", "Z"]), min_size=1, max_size=40).filter(
    lambda t: bool(fold_text(t))
)


def check(value: str, rel_tol: str = "0", unit: str | None = None) -> Check:
    return Check(kind="number", spec={"value": value, "rel_tol": rel_tol, "unit": unit})


@given(VALUE, TOLERANCE)
def test_the_controls_of_a_number_check_come_out_right(value: str, rel_tol: str) -> None:
    made = check(value, rel_tol)
    assert NUMBER.check_spec(made) is None
    reference = str(Fraction(value)) if "/" in value else value
    assert NUMBER.verify(made, reference).outcome == "pass"
    assert NUMBER.verify(made, f"The answer is {reference}.").outcome == "pass"
    for wrong in NUMBER.known_wrong(made):
        assert NUMBER.verify(made, wrong).outcome == "fail", wrong


@given(VALUE, VALUE)
def test_two_numbers_pass_one_check_exactly_when_they_are_equal(one: str, two: str) -> None:
    assert (NUMBER.verify(check(one), two).outcome == "pass") is (Fraction(one) == Fraction(two))


@given(VALUE, VALUE)
def test_hedging_between_two_numbers_never_passes(one: str, two: str) -> None:
    if Fraction(one) != Fraction(two):
        for answer in (f"{one} or {two}", f"{one}, perhaps {two}", f"{one} ({two})"):
            assert NUMBER.verify(check(one), answer).outcome == "fail"
            assert NUMBER.verify(check(two), answer).outcome == "fail"


@given(st.text(max_size=60), VALUE)
def test_no_answer_makes_a_number_check_raise(answer: str, value: str) -> None:
    assert NUMBER.verify(check(value), answer).outcome in ("pass", "fail")
    found, _, why = read_number(answer)
    assert (found is None) is bool(why)


@given(st.lists(WORDS, min_size=1, max_size=4), st.text(max_size=40))
def test_no_answer_makes_a_text_check_raise_and_its_own_texts_pass(accepted: list[str], answer: str) -> None:
    made = Check(kind="text", spec={"accepted": accepted})
    assert TEXT.check_spec(made) is None
    assert all(TEXT.verify(made, text).outcome == "pass" for text in accepted)
    known = {fold_text(text) for text in accepted}
    assert (TEXT.verify(made, answer).outcome == "pass") is (fold_text(answer) in known)


@given(st.dictionaries(st.sampled_from(["value", "unit", "rel_tol", "accepted", "x"]), st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8), st.lists(st.text(max_size=4), max_size=3),
)))  # fmt: skip
def test_no_spec_makes_a_verifier_raise(spec: dict[str, object]) -> None:
    for verifier in (NUMBER, TEXT):
        made = Check(kind=verifier.kind, spec=spec)
        outcome = verifier.verify(made, "5").outcome
        assert (outcome == "error") is (verifier.check_spec(made) is not None)
        assert verifier.known_wrong(made)
