"""What failures teach: counted, the same in any order, and never with text of a source."""

from __future__ import annotations

from itertools import permutations

import pytest

from autodata_core.learnings import SharedNames, Try, count, lessons_from, study
from autodata_core.records import Candidate, Check, Reason, ReasonKind, Round, Source, Verdict

SECRET = "nine hundred and four lamps stand in the lighthouse ledger"


def tried(question_type: str, *kinds: ReasonKind, number: int = 1) -> Round:
    candidate = Candidate(
        question_type=question_type,
        skills=("a",),
        context=SECRET,
        question=f"{SECRET}?",
        reference_answer=SECRET,
        check=Check(kind="judge"),
        quote=SECRET,
    )
    reasons = tuple(Reason(kind=kind, stage="check", detail=SECRET) for kind in kinds)
    return Round(number=number, candidate=candidate, verdict=Verdict(policy="p", reasons=reasons))


EASY, STRONG, QUALITY = ReasonKind.TOO_EASY, ReasonKind.FAILED_STRONG, ReasonKind.FAILED_QUALITY
ITEMS = [
    ("it-1", (tried("sum", EASY), tried("sum", EASY), tried("sum"))),
    ("it-2", (tried("sum", EASY), tried("sum", STRONG))),
    ("it-3", (tried("ratio", QUALITY, QUALITY), tried("ratio", QUALITY), tried("ratio", QUALITY))),
    ("it-4", (tried("ratio", EASY), tried("rare", EASY), tried("rare", EASY), tried("rare", EASY))),
]


def test_lessons_count_the_share_of_tries_that_failed_one_way() -> None:
    lessons = study(ITEMS)
    assert [(x.question_type, x.kind, x.share, x.tries, x.items) for x in lessons] == [
        ("ratio", QUALITY, 0.75, 4, ("it-3",)),
        ("sum", EASY, 0.6, 5, ("it-1", "it-2")),
    ]


def test_any_order_of_items_gives_the_same_lessons() -> None:
    assert len({study(order) for order in permutations(ITEMS)}) == 1


def test_no_lesson_holds_text_of_a_source_or_question() -> None:
    for lesson in study(ITEMS):
        text = lesson.text + str(lesson.view()) + str(lesson.to_json())
        words = SECRET.split()
        assert not [n for n in range(len(words) - 2) if " ".join(words[n : n + 3]) in text]


def test_few_tries_few_failures_and_rounds_without_candidate_teach_nothing() -> None:
    assert study([]) == ()
    assert study([("it", (tried("a", EASY),) * 3)]) == ()
    assert study([("it", (tried("a", EASY), *(tried("a"),) * 3))]) == ()
    unread = Round(number=1, verdict=Verdict(policy="p", reasons=(Reason(kind=EASY, stage="s", detail="d"),)))
    assert study([("it", (unread,) * 9)]) == ()


def test_the_bounds_are_met_exactly() -> None:
    two_of_four = (tried("a", EASY), tried("a", EASY), tried("a"), tried("a"))
    (lesson,) = study([("it", two_of_four)])
    assert (lesson.share, lesson.tries) == (0.5, 4)
    assert "50% of 4 tries were TOO_EASY" in lesson.text


def test_trouble_of_the_world_teaches_nothing() -> None:
    for kind in (ReasonKind.INFRA, ReasonKind.BUDGET, ReasonKind.UNSAFE):
        assert study([("it", (tried("a", kind),) * 8)]) == ()


def test_at_most_eight_lessons_and_five_items_each() -> None:
    many = [(f"it-{n:02d}", tuple(tried(f"type {t}", EASY) for t in range(12))) for n in range(9)]
    lessons = study(many)
    assert len(lessons) == 8
    assert lessons[0].items == ("it-00", "it-01", "it-02", "it-03", "it-04")


def of(id: str, text: str, *items: tuple[str, tuple[Try, ...]], shared: SharedNames | None = None) -> SharedNames:
    """Return the names that are shared, with those of the items of one source."""
    shared = SharedNames() if shared is None else shared
    for _, tries in items:
        shared.add(Source.create(text, id=id), tries)
    return shared


def named(item: str, *types: str, skills: tuple[str, ...] = ()) -> tuple[str, tuple[Try, ...]]:
    return item, tuple(Try(name, frozenset({EASY}), skills) for name in types)


def test_a_name_that_one_source_has_is_told_to_nobody_and_one_of_two_is() -> None:
    items = [
        named("it-1", *["tumour of the left lung"] * 6, "two_step", skills=("severance", "reading")),
        named("it-2", "two_step", skills=("reading",)),
        named("it-3", *["look_up"] * 4),
    ]
    shared = SharedNames()
    for item, tries in items:
        of(f"{item}.md", f"Text of {item}.", (item, tries), (item, tries), shared=shared)
    found = count(items, shared, known=["look_up"])
    assert {name: tries for name, tries in found.tries.items() if name} == {"two_step": 2, "look_up": 4}
    assert found.skills["two_step", EASY] == ("reading",)
    assert "tumour" not in str(lessons_from(found))
    assert count(items).tries["tumour of the left lung"] == 6  # where nobody says whose they are


@pytest.mark.parametrize(
    ("id", "text", "told"),
    [("doc-1.md#2", "Other.", False), ("copy.md", "One.", False), ("doc-2.md", "Other.", True)],
)
def test_parts_of_one_document_and_equal_texts_are_one_source(id: str, text: str, told: bool) -> None:
    items = [named("it-1", "greylock"), named("it-2", "greylock")]
    shared = of(id, text, items[1], shared=of("doc-1.md#1", "One.", items[0]))
    assert bool(count(items, shared).tries) is told


def test_a_name_that_was_shared_before_is_told_of_a_batch_with_one_source() -> None:
    shared = of("b.md", "B.", named("it-2", "sum"), shared=of("a.md", "A.", named("it-1", "sum")))
    assert count([named("it-3", "sum")], shared).tries["sum"] == 1
