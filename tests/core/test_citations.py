"""Quotes: found however they are typeset, never when a number, a negation or a word differs."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autodata_core.citations import CitationVerifier, find_quote
from autodata_core.records import Check
from autodata_core.verify import control

CITATION = CitationVerifier()

TYPESET = (
    "The plant—built in 1990—did not use −5 °C water; it “ran” at 10³ Pa. "
    "Café au lait was ﬁne, an exam\u00adple of soft\u00ad\n  ware. Ａ  b.\u00a0End… 5\u00ad6"
)


@pytest.mark.parametrize(
    ("quote", "stands"),
    [
        ("The plant-built in 1990-did not", "The plant—built in 1990—did not"),
        ("use -5 °C water", "use −5 °C water"),
        ("use –5 °C water", "use −5 °C water"),
        ('it "ran" at', "it “ran” at"),
        ("it «ran» at", "it “ran” at"),
        ("10³ Pa", "10³ Pa"),
        ("Cafe\u0301 au lait", "Café au lait"),
        ("was fine,", "was ﬁne,"),
        ("an example of", "an exam\u00adple of"),
        ("of software.", "of soft\u00ad\n  ware."),
        ("A b. End...", "Ａ  b.\u00a0End…"),
        ("lait\nwas\tfine", "lait was ﬁne"),
    ],
)
def test_a_quote_is_found_however_it_is_typeset_and_its_span_is_that_of_the_source(quote: str, stands: str) -> None:
    span = find_quote(quote, TYPESET)
    assert span is not None
    assert TYPESET[slice(*span)] == stands


@pytest.mark.parametrize(
    "quote",
    ["103 Pa", "10^3 Pa", "10 3 Pa", "Cafe au lait", "café au lait", "the plant-built", "did use -5", "did not use 5", "use 5 °C",
     "in 1990 did", "in 1991-did", "ine, an", "an exam-ple of", "56", "5 6", "5-6", " ", ""],
)  # fmt: skip
def test_a_quote_that_says_something_else_is_not_found(quote: str) -> None:
    assert find_quote(quote, TYPESET) is None


@pytest.mark.parametrize(
    ("text", "quote"),
    [("a ≠ b", "a = b"), ("a ≠", "a ="), ("x² is", "x2 is"), ("H₂O is", "H2O is"), ("1½ cups", "11⁄2 cups"),
     ("1½ cups", "112 cups"), ("① first", "1 first"), ("⒈5 kg", "1.5 kg"), ("㏠ of", "1日 of"),
     ("5\u200b0 kg", "50 kg"), ("10\u00ad000", "10000"),
     ("\u00ad5 kg", "-5 kg"), ("x \u00ad5 kg", "x  5 kg"), ("the ﬁnal", "the f"), ("ex\u00ad5", "ex5")],
)  # fmt: skip
def test_folding_never_makes_another_number_or_drops_a_stroke(text: str, quote: str) -> None:
    assert find_quote(quote, text) is None


def test_digits_of_another_width_are_the_same_digits() -> None:
    assert find_quote("15 kg", "about １５\u00a0kg") == (6, 11)


def test_the_verbatim_place_goes_before_one_that_differs_in_typesetting() -> None:
    assert find_quote("a “b”", 'a "b" and a “b”') == (10, 15)


# Words of letters, digits and what typesetting changes, with no combining marks: a slice may begin within a character then.
TEXT = st.text(st.sampled_from("aAbnot 0123456789.,-−–—“”\"'’\n\u00a0éﬁ³½"), min_size=1, max_size=120)


@given(TEXT, st.data())
def test_every_slice_of_a_text_is_found_where_it_stands(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text) - 1))
    end = data.draw(st.integers(start + 1, len(text)))
    piece = text[start:end]
    span = find_quote(piece, text)
    if not piece.strip():
        assert span is None
    else:
        assert span is not None
        assert text[slice(*span)] == piece
        assert span[0] <= start


RETYPESET = str.maketrans(
    {"−": "-", "–": "-", "—": "-", "“": '"', "”": '"', "’": "'", "\n": " ", "\u00a0": " ", "ﬁ": "fi"}
)


WORD = st.sampled_from(["word", "“quoted”", "not", "−5", "10³", "ﬁne", "1,000", "é", "a–b"])


@given(st.lists(WORD, min_size=1, max_size=20), st.data())
def test_every_run_of_words_is_found_after_typesetting_it_anew(words: list[str], data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(words) - 1))
    end = data.draw(st.integers(start + 1, len(words)))
    text = "\u00a0\n".join(words)
    span = find_quote("  ".join(words[start:end]).translate(RETYPESET), text)
    assert span is not None
    assert text[slice(*span)].split() == words[start:end]


@given(TEXT, st.data())
def test_a_slice_with_one_digit_changed_is_found_only_where_it_really_stands(text: str, data: st.DataObject) -> None:
    digits = [at for at, c in enumerate(text) if c in "0123456789"]
    if not digits:
        return
    at = data.draw(st.sampled_from(digits))
    start, end = data.draw(st.integers(0, at)), data.draw(st.integers(at + 1, len(text)))
    other = str((int(text[at]) + data.draw(st.integers(1, 9))) % 10)
    changed = text[start:at] + other + text[at + 1 : end]
    span = find_quote(changed, text)
    if span is not None:
        numbers = [c for c in text[slice(*span)] if c.isnumeric()]
        assert numbers == [c for c in changed if c.isnumeric()]


@given(TEXT, TEXT)
def test_what_is_found_has_the_numbers_signs_and_words_of_the_quote(quote: str, text: str) -> None:
    span = find_quote(quote, text)
    if span is not None:
        found = text[slice(*span)]
        for kept in (str.isnumeric, lambda c: c in "-−–—", str.isupper):
            wanted = [c.translate(RETYPESET) for c in quote if kept(c)]
            assert [c.translate(RETYPESET) for c in found if kept(c)] == wanted


@given(st.text(max_size=40), st.text(max_size=200))
def test_nothing_makes_a_search_raise_and_a_span_lies_in_the_text(quote: str, text: str) -> None:
    span = find_quote(quote, text)
    assert span is None or 0 <= span[0] < span[1] <= len(text)


@pytest.mark.parametrize(
    "text",
    ["é" * 100_000, "e\u0301" * 50_000, "a “b” — " * 12_500, "x" * 200_000, "ﷺ" * 10_000, "e" + "\u0301\u0316" * 100_000,
     " " * 200_000, "\u00ad " * 50_000, "not 5 −5 " * 22_000, "中" * 200_000],
)  # fmt: skip
def test_long_texts_are_searched_in_linear_time(text: str) -> None:
    before = time.process_time()
    for quote in ("x" * 4_000 + "ÿ", "é" * 3_000 + "—", "صلى"):
        find_quote(quote, text)
    assert time.process_time() - before < 3


# --- the verifier -----------------------------------------------------------------------------------------------------

SOURCE = (
    "In 1969 the crew of three landed on the Moon. It was not the first probe that reached it, but 12 people walked there "
    "at −5 degrees. The non-linear terms don't vanish at 3.5 kPa. Costs rose by 12% in 2,000 towns; see COVID-19 wards for more."
)


def cited(**spec: Any) -> Check:
    return Check(kind="citation", spec=spec)


def outcome(answer: str, **spec: Any) -> str:
    return CITATION.verify(cited(**spec), answer, SOURCE).outcome


@pytest.mark.parametrize(
    "answer",
    [
        "In 1969 the crew of three landed",
        "It was not the first probe that reached it",
        '"It was not the first probe that reached it"',
        "The source says “the crew of three landed on the Moon” plainly.",
        'He calls it «the crew of three landed on» and "first".',
        "walked there at -5 degrees.",
        "terms don’t vanish at 3.5 kPa",
        "The non-linear terms don't vanish",
        "rose by 12% in 2,000 towns",
        SOURCE,
    ],
)
def test_a_passage_of_the_source_passes_alone_or_in_quotation_marks(answer: str) -> None:
    assert outcome(answer) == "pass"


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ("In 1968 the crew of three landed", "a number differs: the source has '1969', the quote has '1968'"),
        ("walked there at 5 degrees. The non-linear", "a number differs: the source has '-5', the quote has '5'"),
        ("but 12 people walked there at 50 degrees", "a number differs: the source has '-5', the quote has '50'"),
        ("It was the first probe that reached it", "a negation differs: the source has 'not', the quote has none"),
        (
            "the crew of three never landed on the Moon",
            "a negation differs: the source has none, the quote has 'never'",
        ),
        ("It was not not the first probe that", "a negation differs"),
        ("In 1969 the crew of four landed", "words differ: the source has 'three', the quote has 'four'"),
        ("crew the of three landed on the Moon", "words differ"),
        ("in 1969 the crew of three landed", "words differ"),
        ("he crew of three landed on", "words differ: the source has 'the', the quote has 'he'"),
        ("5 degrees. The non-linear terms don't", "a number differs"),
        ("linear terms don't vanish at 3.5", "words differ: the source has 'non-linear'"),
        ("The non-linear terms don", "words"),
        ("non-linear terms don't vanish at 3", "a number differs: the source has '3.5', the quote has '3'"),
        ("5 kPa. Costs rose by 12%", "a number differs"),
        ("kPa. Costs rose by 12", "a number differs: the source has '12%', the quote has '12'"),
        ("crew of three, landed on the Moon", "otherwise punctuated"),
        ("towns; see COVID-19 ward", "words"),
        ("19 wards for more.", "words"),
        ("words that nobody ever wrote anywhere", "does not stand in the source"),
        ("the Moon", "at least"),
        ("", "at least"),
        ('"In 1968 the crew of three landed" and "the crew of three landed on"', "1969"),
        (" ".join(['"nobody wrote these words here"'] * 21), "at most 20"),
        ("x" * 20_001 + " a b c d e", "longer than"),
    ],
)
def test_anything_else_fails_and_the_evidence_names_the_difference(answer: str, why: str) -> None:
    found = CITATION.verify(cited(), answer, SOURCE)
    assert found.outcome == "fail"
    assert why in found.evidence
    assert len(found.evidence) < 400


@pytest.mark.parametrize(("words", "least", "wanted"), [(4, 5, "fail"), (5, 5, "pass"), (6, 5, "pass"), (3, 3, "pass")])
def test_a_citation_has_a_least_length(words: int, least: int, wanted: str) -> None:
    assert outcome(" ".join(SOURCE.split()[:words]), min_words=least) == wanted


@pytest.mark.parametrize(
    "spec",
    [{"min_words": 2}, {"min_words": 51}, {"min_words": "5"}, {"min_words": True}, {"min_words": None}, {"words": 5}],
)
def test_a_spec_that_cannot_decide_is_an_error(spec: dict[str, Any]) -> None:
    assert CITATION.check_spec(cited(**spec))
    assert CITATION.verify(cited(**spec), SOURCE, SOURCE).outcome == "error"
    assert CITATION.known_wrong(cited(**spec), SOURCE)


def test_without_a_source_it_cannot_tell() -> None:
    assert CITATION.verify(cited(), "In 1969 the crew of three landed").outcome == "error"
    assert CITATION.check_spec(cited(min_words=3)) is None
    assert CITATION.check_spec(cited(min_words=50)) is None


@pytest.mark.parametrize(
    "reference",
    [
        "In 1969 the crew of three landed on the Moon.",
        "It was not the first probe that reached it, but 12 people walked there",
        'As it says: "the crew of three landed on the Moon"',
        "The non-linear terms don't vanish at 3.5 kPa.",
    ],
)
def test_the_controls_change_a_number_a_negation_and_the_order_and_all_fail(reference: str) -> None:
    found = control(CITATION, cited(), reference, SOURCE)
    assert (found.fault, found.evidence) == ("", found.evidence)
    assert found.controls >= 5


def test_the_controls_hold_what_the_reference_says_otherwise() -> None:
    wrong = CITATION.known_wrong(cited(), "It was not the 1st probe")
    assert "It was not the 2st probe" in wrong
    assert "It was the 1st probe" in wrong
    assert "It not was not the 1st probe" in wrong
    assert "was It not the 1st probe" in wrong
    assert control(CITATION, cited(), "It was the first probe that reached it", SOURCE).fault == "reference"


@given(st.data())
def test_every_run_of_whole_words_passes_and_its_mutants_fail(data: st.DataObject) -> None:
    words = SOURCE.split()
    start = data.draw(st.integers(0, len(words) - 5))
    end = data.draw(st.integers(start + 5, len(words)))
    reference = " ".join(words[start:end])
    found = control(CITATION, cited(), reference, SOURCE)
    assert (found.fault, found.evidence) == ("", found.evidence)


@given(st.text(max_size=80), st.text(max_size=120))
def test_no_answer_makes_it_raise(answer: str, source: str) -> None:
    found = CITATION.verify(cited(min_words=3), answer, source)
    assert (found.outcome == "error") is (not source.strip())
    for wrong in CITATION.known_wrong(cited(), answer):
        CITATION.verify(cited(), wrong, source)


@pytest.mark.parametrize(
    ("answer", "source"),
    [
        ("the " * 5_000, "the a " * 33_000),
        ('"' + "a b c d e " * 390 + '" ' * 4, "a b c d e f " * 16_000),
        ("“the way of it all” " * 900, "the way of it " * 14_000),
        ("é “b” — c d e f " * 1_000, "é “b” — c d e " * 14_000),
        ('"' * 20_000, "a b c " * 33_000),
        ("“" * 20_000, "a b c " * 33_000),
        ("1.1.1.1 " * 2_500, "1.1.1 " * 33_000),
    ],
)
def test_long_answers_against_long_sources_end_soon(answer: str, source: str) -> None:
    before = time.process_time()
    assert CITATION.verify(cited(), answer, source).outcome == "fail"
    assert time.process_time() - before < 3
