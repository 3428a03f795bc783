"""What holds of screening for every text."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from autodata_core.records import Source
from autodata_core.safety import (
    KINDS,
    SafetyRules,
    allows_licence,
    attribute_figures,
    decoded,
    find_instructions,
    find_personal_data,
    mask,
    neutralise,
    screen_source,
    screen_texts,
)

PIECES = st.sampled_from(
    [
        "jane@firm.org",
        "+49 30 1234567",
        "(212) 555-0123",
        "212-555-0123",
        "030/1234567",
        "4111 1111 1111 1111",
        "4242424242424242",
        "DE89370400440532013000",
        "GB29 NWBK 6016 1331 9268 19",
        "219-09-9999",
        "8.8.8.8",
        "2a00:1450:4001:81b::200e",
        "529.982.247-25",
        "IdNr 47036892816",
        "BSN 111222333",
        "phone ",
        "tel. ",
        "call me ",
        "123456",
        "0171 1234567",
        "://app:" + "n0tAW0rd" + "@",
        "[",
        "]",
        "(",
        "password = '" + "Tr0ub4dor&3" + "'",
        "-",
        ".",
        " ",
        ":",
        "/",
        "@",
        "+",
        "0",
        "1",
        "9",
        "a",
        "x@",
        "[email]",
        "[phone]",
        "\n",
    ]
)
COMPOSED = st.lists(PIECES, max_size=12).map("".join)
MARKS = st.sampled_from(
    [
        "<|",
        "|>",
        "im_start",
        "<|im_start|>",
        "[INST]",
        "[/INST]",
        "[",
        "]",
        "<<SYS>>",
        "<",
        ">",
        "### ",
        "Instruction",
        ":",
        "Human:",
        "Assistant:",
        "\n",
        "\u200b",
        "\u200d",
        "\u200c",
        "\u200e",
        "\u200f",
        "\ufe0f",
        "\ufeff",
        "👩",
        "💻",
        "❤",
        "א",
        "می",
        "क",
        "\u094d",
        "葛",
        "\U000e0100",
        "\U0001f3f4",
        "\U000e0067",
        "\U000e007f",
        "\ud800",
        "\x00",
        "a",
        " ",
        "1",
        "\u20e3",
        "s",
        "/",
        "｜",
        "‹",
        "›",
        "!",
    ]
)
MARKED = st.lists(MARKS, max_size=14).map("".join)
TEXTS = st.one_of(st.text(max_size=60), COMPOSED, MARKED)


@given(TEXTS)
def test_masking_leaves_nothing_that_is_found(text: str) -> None:
    found = find_personal_data(text)
    assert find_personal_data(mask(text, found)) == ()


@given(TEXTS)
def test_finds_lie_in_the_text_in_order_and_apart(text: str) -> None:
    end = 0
    for x in find_personal_data(text):
        assert end <= x.start < x.end <= len(text)
        assert x.kind in KINDS
        end = x.end


@given(TEXTS)
def test_neutral_text_is_neutral_already(text: str) -> None:
    once = neutralise(text)
    assert neutralise(once) == once
    assert not {"hidden_characters", "role_tokens"} & set(find_instructions(once))


@given(TEXTS)
def test_a_text_without_finds_is_never_changed(text: str) -> None:
    rules = SafetyRules(personal_data=dict.fromkeys(KINDS, "mask"))
    found = screen_texts({"question": text}, rules)
    masked = any(flag.startswith("masked:") for flag in found.flags)
    assert (found.texts["question"] != text) == masked
    assert masked == bool(find_personal_data(text))
    assert found.reasons == ()


@given(TEXTS)
def test_only_masking_changes_a_text(text: str) -> None:
    for action in ("flag", "refuse", "ignore"):
        found = screen_texts({"question": text}, SafetyRules(personal_data=dict.fromkeys(KINDS, action)))
        assert found.texts["question"] == text
        assert bool(found.reasons) == (action == "refuse" and bool(find_personal_data(text)))


@given(COMPOSED.filter(str.strip))
def test_a_source_is_refused_exactly_when_there_is_a_reason(text: str) -> None:
    source = Source.create(text)
    found = screen_source(source, SafetyRules())
    assert (found.source is None) == bool(found.reason)
    assert found.source in (None, source)


@given(TEXTS)
def test_no_text_makes_a_finder_fail(text: str) -> None:
    assert list(find_instructions(text)) == sorted(set(find_instructions(text)))
    assert all(plain.strip() for plain in decoded(text))
    assert allows_licence(text, ("MIT",)) in (True, False)


@given(
    st.lists(st.sampled_from(["she", "he", "a pump", "she he he"]), max_size=6),
    st.lists(st.sampled_from(["she", "he"])),
)
def test_shares_sum_to_one_and_skews_cancel_out(rows: list[str], sources: list[str]) -> None:
    words = {"gender": {"female": ["she"], "male": ["he"]}}
    values = attribute_figures({"v": rows}, sources, words).groups["v"]["gender"].values
    shares = [value.share for value in values.values() if value.share is not None]
    assert not shares or abs(sum(shares) - 1) < 1e-9
    skews = [value.skew for value in values.values() if value.skew is not None]
    assert not skews or abs(sum(skews)) < 1e-9
