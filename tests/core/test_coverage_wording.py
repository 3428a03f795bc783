"""The gap report says why a gap is there and what to do about it, in words that need no knowledge of the machinery."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autodata_core.coverage import (
    Alarm,
    Asked,
    Cell,
    Closing,
    Course,
    Figures,
    Outcome,
    Topic,
    TopicMap,
    coverage_report,
    gaps,
    report_text,
)
from autodata_core.coverage.advising import KINDS, advise, kinds_text
from autodata_core.coverage.asking import count_asked
from autodata_core.coverage.reporting import BatchLine, CoverageReport, Pointed
from autodata_core.coverage.wording import asked_words, cell_words, closing_words, figure_lines, pointed_words, short
from autodata_core.records import Example, ReasonKind
from autodata_core.testing import sample_example

RAIL, BREAD = Cell(topic="rail", question_type="cause"), Cell(topic="bread", question_type="cause")
TOPICS = TopicMap(
    topics=(Topic(name="rail", terms=("train",)), Topic(name="bread", terms=("loaf",))),
    of={"rail.md#1": "rail", "rail.md#2": "rail", "bread.md": "bread"},
)


def row(n: int, source: str = "rail.md#1", weak: tuple[float, ...] = (0.0,)) -> Example:
    made = sample_example(f"it-{n}", f"row {n}")
    scores = {"weak": list(weak), "strong": [1.0], "gap": 1.0 - weak[0]}
    where = {"id": source, "sha256": "0" * 64, "licence": None, "span": None}
    return type(made).from_json({**made.to_json(), "question_type": "cause", "scores": scores, "source": where})


def report(rows: int = 0, targets: dict[Cell, int] | None = None, **more: object) -> CoverageReport:
    return coverage_report([row(n) for n in range(rows)], TOPICS, targets or {RAIL: 4}, **more)  # type: ignore[arg-type]


def cause(have: int, refused: dict[str, int], saturated: bool = False) -> str:
    full = {RAIL} if saturated else frozenset()
    (advice,) = advise(gaps({RAIL: have}, {RAIL: 9}, full), {RAIL: refused})
    return advice.cause


def test_the_cause_of_a_gap_is_what_refused_most_of_its_questions() -> None:
    assert cause(0, {}) == "not_asked"
    assert cause(3, {}) == "too_few"
    assert cause(0, {"TOO_EASY": 2, "FORMAT": 1}) == "TOO_EASY"
    assert cause(2, {"TOO_EASY": 2}) == "too_few"  # half was kept: more questions would fill it
    assert cause(2, {"TOO_EASY": 3}) == "TOO_EASY"
    assert cause(5, {"TOO_EASY": 1}, saturated=True) == "DUPLICATE"
    assert cause(0, {"SOMETHING_NEW": 3}) == "too_few"


def test_gaps_with_one_cause_are_one_thing_to_do_and_the_largest_comes_first() -> None:
    other = Cell(topic="rail", question_type="definition")
    found = advise(gaps({}, {RAIL: 2, BREAD: 3, other: 4}), {BREAD: {"LEAK": 2}, other: {"LEAK": 1}}, steered=True)
    assert [(one.cause, one.missing) for one in found] == [("LEAK", 7), ("not_asked", 2)]
    assert set(found[0].cells) == {other, BREAD}
    assert "by itself" in found[1].text
    assert "steer = true" in advise(gaps({}, {RAIL: 2}), {})[0].text


EASY = Cell(topic="rail", question_type="cause", band="easy")
OTHER = Cell(topic="rail", question_type="definition")
HARD = Cell(topic="rail", question_type="cause", band="hard")


def outcomes() -> list[Outcome]:
    return [
        Outcome(wanted=HARD, status="accepted", came=(HARD,)),
        Outcome(wanted=HARD, status="accepted", came=(RAIL, EASY)),
        Outcome(wanted=HARD, status="accepted", came=(OTHER,)),
        Outcome(wanted=HARD, status="refused", came=(OTHER, OTHER), reason="TOO_EASY"),
        Outcome(wanted=HARD, status="refused", came=(OTHER, RAIL), reason="TOO_EASY"),
        Outcome(wanted=HARD, status="accepted", came=(HARD,), reason="DUPLICATE"),
        Outcome(wanted=HARD, status="refused", reason="FORMAT"),
        Outcome(wanted=HARD, status="skipped"),
        Outcome(wanted=HARD),
    ]


def test_every_item_that_was_asked_for_a_cell_is_counted_once_by_what_became_of_it() -> None:
    asked = count_asked(outcomes())[HARD]
    assert asked == Asked(
        items=9,
        kept=1,
        other_type={"definition": 2},
        other_band={"easy": 1},
        skipped=1,
        refused={"TOO_EASY": 1, "DUPLICATE": 1, "FORMAT": 1},
        pending=1,
    )
    words = asked_words(asked)
    assert words.startswith("9 items asked: 2 came as definition, ")
    for part in ("1 came out easy", "1 kept", "1 skipped by the challenger", "1 not readable", "1 not done yet"):
        assert part in words
    assert asked_words(Asked()) == "not asked for yet"
    assert asked_words(Asked(), finished=True) == "no item was asked for it"


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (Asked(items=4, other_type={"definition": 3}, refused={"FORMAT": 1}), "other_type"),
        (Asked(items=3, skipped=3), "skipped"),
        (Asked(items=3, refused={"FORMAT": 2}, skipped=1), "FORMAT"),
        (Asked(items=3, other_band={"easy": 3}), "other_band"),
        (Asked(items=2, kept=1, skipped=1), "too_few"),
        (Asked(items=2, pending=2), "waiting"),
        (Asked(), "not_asked"),
    ],
)
def test_advice_of_a_steered_run_follows_from_what_became_of_the_items(asked: Asked, expected: str) -> None:
    (advice,) = advise(gaps({}, {RAIL: 9}), {}, steered=True, asked={RAIL: asked})
    assert advice.cause == expected


def test_a_finished_run_promises_no_batch_and_names_what_took_its_items() -> None:
    def said(course: Course, asked: Asked) -> str:
        return advise(gaps({}, {RAIL: 9}), {}, steered=True, asked={RAIL: asked}, course=course)[0].text

    assert "next batch" in said(Course(items=64), Asked())
    for asked in (Asked(), Asked(items=2, kept=2)):
        text = said(Course(items=64, finished=True, exploring=32), asked)
        assert "next batch" not in text
        assert "64 items of this run are used up. 32 of them were left to their documents: lower exploration" in text
    full = Course(items=64, finished=True, most_per_source=1, used_up=("rail",))
    assert "Raise most_per_source" in said(full, Asked(items=1, kept=1))


def test_a_report_tells_items_from_questions_and_shares_from_targets() -> None:
    refusals = [("rail.md#2", None, "FORMAT"), ("rail.md#2", None, "FORMAT")]
    found = report(
        1,
        {RAIL: 4, OTHER: 2},
        refusals=refusals,
        steered=True,
        questions=3,
        outcomes=[Outcome(wanted=RAIL, status="refused", reason="FORMAT")],
        course=Course(items=5, done={"accepted": 1, "refused": 1, "skipped": 2}),
    )
    text = report_text(found)
    assert text.startswith(
        "3 questions tried, 1 kept; 2 not readable.\n4 of 5 items done: 1 kept, 1 refused, 2 skipped"
    )
    assert "1 item asked: 1 not readable" in text
    assert "not asked for yet" in text
    assert [line.refused for line in found.documents if line.document == "rail.md"] == [2]
    left = report_text(report(1, {RAIL: 4}, steered=True, outcomes=[], course=Course(items=1, finished=True)))
    assert "no item was asked for it; 1 question came to lie there" in left
    assert "next batch" not in left
    plain = report_text(report(1))
    assert "No targets were set." in plain
    assert "reached" not in plain
    assert "0 of 1 target reached" in report_text(report(1, wanted_by="recipe"))


def test_every_kind_of_refusal_has_words_and_something_to_do() -> None:
    assert set(KINDS) == set(ReasonKind)
    for kind in ReasonKind:
        (advice,) = advise(gaps({}, {RAIL: 1}), {RAIL: {kind.value: 1}})
        assert advice.cause == kind.value
        assert advice.text.endswith(".")


def test_refusals_are_counted_in_words() -> None:
    assert kinds_text({}) == ""
    assert kinds_text({"TOO_EASY": 1, "DUPLICATE": 12}) == (
        "12 repeating a question that exists, 1 too easy for the weak model"
    )
    assert kinds_text({"LEAK": 4, "FORMAT": 3, "UNSAFE": 2, "INFRA": 1}, 2).endswith(
        "3 not readable, 3 for other reasons"
    )


def test_a_report_counts_refusals_by_cell_and_document() -> None:
    refusals = [("rail.md#2", RAIL, "TOO_EASY"), ("bread.md", BREAD, "LEAK"), ("bread.md", BREAD, "LEAK")]
    found = report(2, {RAIL: 4, BREAD: 1}, refusals=refusals)
    assert {str(line.cell): (line.have, line.tried, line.refused) for line in found.cells} == {
        "rail · cause": (2, 3, {"TOO_EASY": 1}),
        "bread · cause": (0, 2, {"LEAK": 2}),
    }
    assert [(d.document, d.parts, d.rows, d.refused) for d in found.documents] == [
        ("bread.md", 1, 0, 2),
        ("rail.md", 2, 2, 1),
    ]
    assert (found.document_count, found.documents_without_row) == (2, 1)
    assert found.refused == {"TOO_EASY": 1, "LEAK": 2}
    assert CoverageReport.from_json(found.to_json()) == found
    text = report_text(found)
    assert "0 questions tried, 2 kept; 2 giving their answer away, 1 too easy for the weak model." in text
    assert "1 of 2 documents have at least one row." in text
    assert "  cause questions about bread     0       1  2 tried: 2 giving their answer away" in text


def test_difficulty_makes_no_cells_where_nobody_asked_for_it() -> None:
    rows = [row(0), row(1, weak=(0.9,)), row(2, "bread.md", weak=(0.9,))]
    plain = coverage_report(rows, TOPICS, {RAIL: 4})
    assert [(str(line.cell), line.have) for line in plain.cells] == [("rail · cause", 2), ("bread · cause", 1)]
    hard = Cell(topic="rail", question_type="cause", band="hard")
    banded = coverage_report(rows, TOPICS, {hard: 4})
    assert [(str(line.cell), line.have) for line in banded.cells] == [
        ("rail · cause · hard", 1),
        ("bread · cause · easy", 1),
        ("rail · cause · easy", 1),
    ]


def test_where_a_batch_was_sent_and_what_came_of_it() -> None:
    cells = [Cell(topic=f"t{n}", question_type="cause") for n in range(5)]
    batch = BatchLine(
        first=0,
        items=16,
        exploring=2,
        pointed=tuple(Pointed(cell=cell, items=5 - n) for n, cell in enumerate(cells)),
        closing=Closing(closed=(cells[0],), unchanged=(cells[1],), filled_before=0.1, filled_after=0.25),
        filled_before=0.2,
        filled_after=0.3,
    )
    assert pointed_words(batch) == [
        "5 for cause questions about t0",
        "4 for cause questions about t1",
        "3 for cause questions about t2",
        "3 for 2 other gaps",
        "2 left to their documents",
    ]
    # Of all rows wanted, not of the gaps that happened to be open then: one batch compares with another.
    assert closing_words(batch) == "gaps: 1 closed, 1 as before; 20% → 30% of all rows wanted are there"
    assert closing_words(batch.model_copy(update={"filled_before": None})) == "gaps: 1 closed, 1 as before"
    assert closing_words(batch.model_copy(update={"closing": None})) == ""
    text = report_text(report(1).model_copy(update={"batches": (batch,) * 12, "steered": True}))
    assert "  2 earlier ones\n  3. 16 items: 5 for cause questions about t0" in text


def test_figures_say_where_they_begin_to_worry() -> None:
    found = Figures(texts=30, vendi=0.1, compression=2.0)
    lines = figure_lines(found, [Alarm(level="warn", figure="vendi", value=0.1, limit=0.2)])
    assert [tuple(line) for line in lines] == [
        ("questions that are really different", "10%", "worrying below 20%", "warn"),
        ("repetition (compression)", "2.0 ×", "", ""),
    ]
    assert figure_lines(None) == []
    assert "12 rows; from 20 on" in report_text(report(12, figures=Figures(texts=12)))


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        (RAIL, "cause questions about rail"),
        (Cell(topic="rail"), "questions about rail"),
        (Cell(topic="rail", question_type="cause", band="hard"), "hard cause questions about rail"),
        (Cell(topic="rail", band="easy"), "easy questions about rail"),
    ],
)
def test_a_cell_in_words(cell: Cell, words: str) -> None:
    assert cell_words(cell) == words


@given(st.text(max_size=300), st.integers(1, 80))
def test_text_of_others_stays_on_one_line_and_within_its_room(text: str, most: int) -> None:
    shown = short(text, most)
    assert len(shown) <= most
    assert shown.isprintable() or not shown
    assert len(shown.splitlines()) <= 1
