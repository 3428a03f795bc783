"""No six words of a source pass whatever stands around them, and what is kept depends on nothing but the batches."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from autodata_core.learnings import Kept, Learning, StudySettings, Try, count, fault_of, keep, lessons_from, select
from autodata_core.learnings.record import MAX_ADVICE_CHARS
from autodata_core.records import ReasonKind

WORDS = st.lists(st.sampled_from(["ale", "birch", "corn", "dove", "elm", "fern", "goat", "hazel", "iris"]), max_size=8)
SOURCE = st.lists(st.text("abcdefghijklmnopqrstuvwxyzäß", min_size=3, max_size=9), min_size=12, max_size=40)
KINDS = st.frozensets(
    st.sampled_from([ReasonKind.TOO_EASY, ReasonKind.FAILED_STRONG, ReasonKind.DUPLICATE]), max_size=2
)
TRIES = st.lists(
    st.builds(Try, st.sampled_from(["sum", "ratio", "look_up"]), KINDS, st.just(("reading",))), min_size=1, max_size=8
)
BATCHES = st.lists(st.lists(TRIES, min_size=1, max_size=5), min_size=1, max_size=5)


@given(SOURCE, st.integers(0, 33), WORDS, WORDS, st.sampled_from([" ", "-", ", ", " / ", "\n"]), st.booleans())
def test_six_words_in_a_row_never_pass(
    words: list[str], at: int, before: list[str], behind: list[str], between: str, shout: bool
) -> None:
    at = min(at, len(words) - 6)
    taken = between.join(words[at : at + 6])
    text = " ".join([*before, taken.upper() if shout else taken, *behind])
    assert fault_of(text, [" ".join(words)]) is not None


@given(st.integers(13, 10**9), st.sampled_from(["{}", "{}.0", "{:,}", "about {} m"]))
def test_no_uncommon_number_of_a_source_passes(number: int, form: str) -> None:
    assert fault_of(f"Ask for values near {form.format(number)} always.", [f"It holds {number} litres."]) is not None


@given(st.text(max_size=MAX_ADVICE_CHARS))
@settings(max_examples=40)
def test_any_text_is_judged_without_an_exception(text: str) -> None:
    fault = fault_of(text, ["A source with words and 904 lamps."])
    assert fault is None or (fault and "\n" not in fault)


def kept_after(batches: list[list[list[Try]]], turned: bool) -> Kept:
    kept, items = Kept(), []
    for number, batch in enumerate(batches, start=1):
        new = [(f"it-{number}-{n}", tries) for n, tries in enumerate(batch)]
        items += new
        order = -1 if turned else 1
        kept = keep(kept, (), batch=number, so_far=count(items[::order]), in_batch=count(new[::order]))
    return kept


@given(BATCHES)
@settings(max_examples=40)
def test_what_is_kept_depends_on_the_batches_and_not_on_the_order_within(batches: list[list[list[Try]]]) -> None:
    kept = kept_after(batches, turned=False)
    assert kept == kept_after(batches, turned=True)
    assert kept == Kept(
        *[tuple(type(x).from_json(x.to_json()) for x in part) for part in (kept.learnings, kept.retired)]
    )


@given(BATCHES)
@settings(max_examples=40)
def test_every_counted_lesson_in_force_is_one_that_the_figures_give_or_gave(batches: list[list[list[Try]]]) -> None:
    kept = kept_after(batches, turned=False)
    every = [(str(n), tries) for n, tries in enumerate(tries for batch in batches for tries in batch)]
    found = {lesson.key for lesson in lessons_from(count(every))}
    held = {lesson.key for lesson in kept.learnings}
    assert held == found
    assert all(1 <= lesson.first <= lesson.last <= len(batches) for lesson in kept.learnings)
    assert all(gone.detail for gone in kept.retired)


@given(
    st.lists(st.builds(Learning, question_type=st.sampled_from("abc"), tokens=st.integers(1, 60)), max_size=12),
    st.integers(0, 120),
    st.lists(st.sampled_from("abcd"), max_size=3),
)
def test_a_selection_fits_and_leaves_out_nothing_that_would(held: list[Learning], most: int, types: list[str]) -> None:
    chosen = select(held, most, question_types=types)
    used = sum(lesson.tokens for lesson in chosen)
    assert used <= most
    assert select(held, most, question_types=types) == chosen
    if not types:
        left = [lesson for lesson in held if not any(lesson is x for x in chosen)]
        assert all(lesson.tokens > most - used for lesson in left)


@given(st.integers(50, 4_000), st.integers(1, 1_000))
def test_settings_survive_the_way_to_disk(most: int, stale: int) -> None:
    made = StudySettings(mode="model", max_tokens=most, stale_batches=stale)
    assert StudySettings.from_json(made.to_json()) == made
