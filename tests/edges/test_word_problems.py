"""The procedural challenger and its privileged solver: grounded, exact, harder when told so."""

import asyncio
import json
from fractions import Fraction
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autodata_adapters.models.word_problems import ExactSolver, WordProblemChallenger
from autodata_adapters.models.word_problems.facts import read_sections
from autodata_adapters.models.word_problems.problems import LEVELS, answer_of, draw, write_number
from autodata_core.errors import ModelError
from autodata_core.leaks import find_quote
from autodata_core.ports import ModelRequest
from autodata_core.records import Message, ReasonKind
from autodata_core.verify import NumberVerifier
from autodata_core.views import ChallengerView, FailureView, LearningView, SolverView

CORPUS = sorted((Path(__file__).parents[2] / "examples" / "units" / "corpus").glob("*.md"))
POOL = CORPUS[[p.stem for p in CORPUS].index("pool")].read_text()


def ask(model, role, view, seed=1):
    message = Message(role="user", content="-")
    request = ModelRequest(role=role, item="i", round=1, step="s", messages=(message,), seed=seed, view=view.to_json())
    return json.loads(model.complete(request).text)


def failure(kind, question="q", round_=1):
    return FailureView(kind=kind, round=round_, question=question, question_type="look_up", detail="d")


def propose(text=POOL, failures=(), learnings=(), seed=1, **options):
    view = ChallengerView(source_text=text, round=len(failures) + 1, failures=failures, learnings=learnings)
    return ask(WordProblemChallenger(**options), "challenger", view, seed)


def test_there_are_twelve_documents_under_a_licence():
    assert len(CORPUS) == 12
    assert (CORPUS[0].parent / "LICENSE").read_text().strip() == "CC0-1.0"


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("path", CORPUS, ids=lambda p: p.stem)
def test_every_document_yields_many_sound_problems_of_every_level(path, level):
    text, seen, random = path.read_text(), set(), Random(7)
    sections = read_sections(text)
    for _ in range(20):
        problem = draw(sections, level, random, frozenset(seen))
        assert problem is not None
        seen.add(problem.question)
        assert find_quote(problem.quote, text)
        assert all(line in text for line in problem.context.split("\n"))
        solved = [answer_of(section, problem.question) for section in read_sections(problem.context)]
        assert (problem.answer, problem.unit) in solved, problem.question
    assert len(seen) == 20


def test_the_solver_answers_what_the_challenger_asks_without_the_reference():
    solver, check = ExactSolver(), NumberVerifier()
    assert solver.identity.params["privileged"] is True
    for seed in range(60):
        made = propose(CORPUS[seed % 12].read_text(), seed=seed, start_level=LEVELS[seed % 4])
        view = SolverView(context=made["context"], question=made["question"], answer_format="value")
        answer = ask(solver, "strong", view)["answer"]
        from autodata_core.records import Check

        assert check.verify(Check(**made["check"]), answer).outcome == "pass", made["question"]


def test_the_solver_says_unknown_to_any_other_question():
    view = SolverView(context=POOL, question="Why is the pool blue?", answer_format="value")
    assert ask(ExactSolver(), "strong", view) == {"answer": "unknown"}


def test_it_asks_harder_after_each_question_that_was_too_easy():
    failures, types = [], []
    for n in range(5):
        made = propose(failures=tuple(failures), seed=n)
        types.append(made["question_type"])
        failures.append(failure(ReasonKind.TOO_EASY, made["question"], n + 1))
    assert types == ["look_up", "one_step", "conversion", "two_step", "two_step"]


def test_it_steps_back_when_the_strong_solver_failed_and_stays_after_a_duplicate():
    easy = failure(ReasonKind.TOO_EASY)
    assert propose(failures=(easy, easy, failure(ReasonKind.FAILED_STRONG)))["question_type"] == "one_step"
    assert propose(failures=(easy, failure(ReasonKind.DUPLICATE)))["question_type"] == "one_step"


def test_what_earlier_items_learned_raises_the_first_level():
    lesson = LearningView(text="t", kind=ReasonKind.TOO_EASY, question_type="one_step", share=0.8, tries=10)
    assert propose(learnings=(lesson,))["question_type"] == "conversion"


def test_a_failed_question_is_not_asked_again():
    failures = []
    for n in range(30):
        made = propose(failures=tuple(failures), seed=1)
        assert made["question"] not in {f.question for f in failures}
        failures.append(failure(ReasonKind.DUPLICATE, made["question"], n + 1))


def test_the_same_seed_asks_the_same_and_another_seed_something_else():
    assert propose(seed=3) == propose(seed=3)
    assert len({propose(seed=n)["question"] for n in range(20)}) > 10


@pytest.mark.parametrize("text", ["A text about nothing in particular.", "# Only a heading", "12 13 14", "| a | b |"])
def test_a_source_without_figures_is_skipped_with_the_reason(text):
    assert list(propose(text)) == ["skip"]


def test_an_unknown_level_is_refused_with_the_known_ones():
    with pytest.raises(ModelError, match="two_step"):
        WordProblemChallenger(start_level="hard")


def test_async_gives_the_same():
    view = ChallengerView(source_text=POOL, round=1)
    message = Message(role="user", content="-")
    request = ModelRequest(
        role="challenger", item="i", round=1, step="s", messages=(message,), seed=1, view=view.to_json()
    )
    model = WordProblemChallenger()
    assert asyncio.run(model.acomplete(request)) == model.complete(request)


def test_rates_are_not_added_up():
    text = "# Hire\n\n| Boat | Price per hour (EUR) |\n|---|---|\n| Canoe | 6.50 |\n| Kayak | 8.25 |\n"
    random = Random(1)
    for _ in range(50):
        problem = draw(read_sections(text), "one_step", random, frozenset())
        assert problem is not None
        assert "hours come to" in problem.question


def test_a_name_that_stands_twice_is_not_asked_about():
    text = "- Ticket: 3 EUR\n- Ticket: 5 EUR\n- Towel: 2 EUR\n"
    assert {f.subject for section in read_sections(text) for f in section.facts} == {"Towel"}


def test_figures_are_read_exactly_with_their_units():
    text = "# Times\n\n- Rye: 1,250 g\n| Item | Price (€) | Time |\n|--|--|--|\n| Roll | 0.35 | 18 min |\n| x | n/a | 12:30 |\n"
    facts = {(f.subject, f.attribute, f.value, f.unit) for section in read_sections(text) for f in section.facts}
    assert facts == {
        ("Rye", "weight", Fraction(1250), "g"),
        ("Roll", "price", Fraction(35, 100), "EUR"),
        ("Roll", "time", Fraction(18), "minutes"),
    }


@given(st.text(max_size=400))
def test_reading_never_fails_whatever_the_text(text):
    read_sections(text)


@given(
    st.lists(
        st.sampled_from(["| a | b (g) |", "|---|---|", "| x | 3 |", "- y: 4 kg", "# h", "", "| z | 5 | 6 |", "|"]),
        max_size=12,
    )
)
def test_odd_tables_give_only_sound_problems(lines):
    sections = read_sections("\n".join(lines))
    for level in LEVELS:
        problem = draw(sections, level, Random(1), frozenset())
        if problem is not None:
            assert write_number(problem.answer)
            assert any(answer_of(s, problem.question) for s in read_sections(problem.context))
