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
from autodata_adapters.models.word_problems.forms import FORMS, style_of
from autodata_adapters.models.word_problems.phrases import is_plural, plural, thing
from autodata_adapters.models.word_problems.problems import LEVELS, answer_of, draw, write_number
from autodata_core.citations import find_quote
from autodata_core.errors import ModelError
from autodata_core.ports import ModelRequest
from autodata_core.records import Check, Message, ReasonKind
from autodata_core.verify import NumberVerifier, numbers_in
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
        assert problem.quote in text
        assert find_quote(problem.quote, text)
        assert problem.answer not in numbers_in(problem.question)
        assert level == "look_up" or problem.answer not in numbers_in(problem.context)
        assert NumberVerifier().check_spec(Check(kind="number", spec={"value": write_number(problem.answer)})) is None
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
        assert "together" not in problem.question
        assert " times" not in problem.question


def questions_about(text, level, tries=80):
    sections, seen, random = read_sections(text), set(), Random(3)
    for _ in range(tries):
        problem = draw(sections, level, random, frozenset(seen))
        if problem is None:
            break
        seen.add(problem.question)
    return seen


def test_depths_and_places_on_a_line_are_compared_but_never_added_or_multiplied():
    texts = (
        "# Pool\n\n| Basin | Depth (cm) |\n|---|---|\n| Diving basin | 380 |\n| Small basin | 60 |\n",
        "# Times from the pier\n\n- Fish market: 6 minutes\n- Town hall: 14 minutes\n",
        "# Growing times\n\n- Red radish: 28 days\n- Early carrot: 98 days\n",
    )
    for text in texts:
        asked = questions_about(text, "one_step") | questions_about(text, "two_step")
        assert asked
        assert not any(word in q for q in asked for word in ("together", " times the ", "add up", "Multiply", " plus "))


def test_only_prices_are_paid_and_only_figures_of_one_kind_meet_in_a_question():
    text = "# Stall\n\n| Item | Weight (g) | Price (EUR) |\n|--|--|--|\n| Red apple | 180 | 0.45 |\n| Green pear | 210 | 0.65 |\n"
    for level in LEVELS:
        for question in questions_about(text, level):
            assert not ("weight" in question and any(word in question for word in ("price", " pay", "cost", "euros")))


def test_a_line_that_says_what_is_measured_takes_its_subject_from_the_heading():
    facts = [
        f for s in read_sections("## Rye loaf\n\n- Baking time: 35 minutes\n- **Price**: €4.20\n") for f in s.facts
    ]
    assert [f.name for f in facts] == ["the baking time for the rye loaf", "the price of the rye loaf"]
    assert [f.unit for f in facts] == ["minutes", "euros"]
    alone = [f.name for s in read_sections("## Prices\n\n- Annual fee: 80 EUR\n") for f in s.facts]
    assert alone == ["the annual fee"]


def test_a_figure_knows_where_it_stands():
    for path in CORPUS:
        text = path.read_text()
        for section in read_sections(text):
            assert section.text in text
            for fact in section.facts:
                assert Fraction(text[slice(*fact.span)].replace(",", "")) == fact.value


@pytest.mark.parametrize(
    ("label", "named"),
    [
        ("Rye bread", "the rye bread"),
        ("Changing the paper", "changing the paper"),
        ("Evening ticket", "the evening ticket"),
        ("Children's basin", "the children's basin"),
        ("French press", "the French press"),
        ("Stage 2", "“Stage 2”"),
        ("Adult", "“Adult”"),
        ("Town Hall", "“Town Hall”"),
        ("Up to the hut", "“Up to the hut”"),
    ],
)
def test_a_label_is_named_as_a_person_would_or_quoted(label, named):
    assert thing(label) == named


def test_verbs_and_attributes_follow_the_number():
    assert [is_plural(t) for t in ("the white rolls", "the bag of rolls", "the glass", "“Rolls”")] == [
        True,
        False,
        False,
        False,
    ]
    assert [plural(a) for a in ("price per hour", "amount of water", "mass", "capacity", "amount given")] == [
        "prices per hour",
        "amounts of water",
        "masses",
        "capacities",
        "amounts given",
    ]


def test_every_kind_of_figure_has_at_least_four_ways_to_be_asked_about():
    for path in CORPUS:
        for fact in (f for s in read_sections(path.read_text()) for f in s.facts):
            for level in ("look_up", "one_step", "conversion"):
                ways = {f.text for f in FORMS if f.level == level and style_of(fact) in f.styles}
                assert len(ways) >= 4, (fact.name, level)


def test_a_name_that_stands_twice_is_not_asked_about():
    text = "- Ticket: 3 EUR\n- Ticket: 5 EUR\n- Towel: 2 EUR\n"
    assert {f.subject for section in read_sections(text) for f in section.facts} == {"Towel"}


def test_figures_are_read_exactly_with_their_units():
    text = "# Times\n\n- Rye: 1,250 g\n| Item | Price (€) | Time |\n|--|--|--|\n| Roll | 0.35 | 18 min |\n| x | n/a | 12:30 |\n"
    facts = {(f.subject, f.attribute, f.value, f.unit) for section in read_sections(text) for f in section.facts}
    assert facts == {
        ("Rye", "amount given", Fraction(1250), "grams"),
        ("Roll", "price", Fraction(35, 100), "euros"),
        ("Roll", "time", Fraction(18), "minutes"),
    }


@given(st.text(max_size=400), st.sampled_from(LEVELS))
def test_reading_never_fails_whatever_the_text(text, level):
    draw(read_sections(text), level, Random(1), frozenset())


LABELS = st.text(st.characters(exclude_characters="\n|", exclude_categories=("Cs",)), min_size=1, max_size=12)


@given(
    st.lists(st.tuples(LABELS, st.integers(1, 999), st.sampled_from(["g", "km", "EUR", "min", "days"])), max_size=6),
    LABELS,
)
def test_labels_of_any_kind_give_problems_that_can_be_read_back(rows, heading):
    text = f"# {heading}\n\n" + "\n".join(f"- {label}: {value} {unit}" for label, value, unit in rows)
    for level in LEVELS:
        problem = draw(read_sections(text), level, Random(1), frozenset())
        if problem is not None:
            assert problem.quote in text
            solved = [answer_of(section, problem.question) for section in read_sections(problem.context)]
            assert (problem.answer, problem.unit) in solved


def test_a_long_document_is_read_in_bounded_work():
    text = "\n".join(f"- Item number {chr(97 + n % 26)}{'x' * (n % 40)}: {n} g" for n in range(20_000))
    assert sum(len(section.facts) for section in read_sections(text)) <= 400


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
