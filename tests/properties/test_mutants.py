"""Wrong programs are wrong in one place, the same for the same code; and values are equal only with their types."""

from __future__ import annotations

import ast
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autodata_adapters.sandbox import Job, Outcome
from autodata_adapters.sandbox.tagging import canonical, tagged
from autodata_adapters.verifiers.code_blocks import blocks_in, code_in
from autodata_adapters.verifiers.mutants import MUTANTS_MAX, NEIGHBOURS_MAX, constants_in, mutants, neighbours, stubs
from autodata_adapters.verifiers.python import create
from autodata_adapters.verifiers.table import rows_differ
from autodata_core.records import Check, canonical_json

PROGRAM = '''
def grade(score: int = 5, bonus: float = 0.5) -> str:
    """Not to be changed: 90."""
    total = score + bonus if bonus > 0 else score
    while total > 100 and score != 3:
        total -= 1
    if total >= 90:
        return "A"
    return -[x for x in "BC" if x != "B"].index("C") * True
'''

STATEMENTS = """x = 1|x += n|if n < 2:|    return n|return -n|while x:|def f(n):|    x = n % 3|return n and x|    pass
f = lambda n: n or 0|return 'a' if n in (1, 2) else 'b'|'doc'|x = f'{n + 1}!'|""".replace("\n", "|").split("|")
LINES = st.lists(st.sampled_from(STATEMENTS), max_size=8).map("\n".join)
NUMBERS = st.integers(-(10**6), 10**6) | st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**6), 10**6)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", max_size=3), inner, max_size=3),
    max_leaves=6,
)


def test_a_program_has_many_kinds_of_mutants() -> None:
    made = mutants(PROGRAM, limit=100)
    assert len(made) > 20
    changes = (
        "score - bonus", "bonus >= 0", "bonus <= 0", "total >= 91", "total >= 89", "total += 1", "or score", "score == 3",
        "if False:", "if True:", "'A?'", "for x in 'BC']", "while False", "return -(",
    )  # fmt: skip
    for part in changes:
        assert any(part in text for text in made), part
    assert all("Not to be changed: 90." in text and "score: int" in text for text in made)
    assert len(mutants(PROGRAM)) == MUTANTS_MAX
    assert mutants(PROGRAM) == made[:MUTANTS_MAX]


@given(LINES)
def test_mutants_are_other_programs_and_the_same_every_time(code: str) -> None:
    made = mutants(code)
    assert made == mutants(code)
    assert len(made) == len(set(made)) <= MUTANTS_MAX
    for text in made:
        assert text != ast.unparse(ast.parse(code))
        ast.parse(text)


@given(st.text(max_size=60))
def test_any_text_has_mutants_or_none(text: str) -> None:
    for made in mutants(text):
        ast.parse(made)
    assert isinstance(constants_in(text), tuple)


DEEP = ["(" * 9_000, "-" * 9_000 + "1", "1+" * 9_000 + "1", "a" + ".a" * 9_000, "not " * 4_000 + "1", "x = [" * 4_000]


@pytest.mark.parametrize("code", DEEP)
def test_deep_code_has_no_mutants_and_does_no_harm(code: str) -> None:
    assert isinstance(mutants(code), tuple)
    assert isinstance(constants_in(code), tuple)


def test_stubs_know_nothing() -> None:
    made = stubs("f", ["3", "'x'", "None"], 6)
    found = []
    for text in made:
        space: dict[str, Any] = {}
        exec(text, space)
        try:
            found.append(space["f"](*range(10, 16)))
        except ValueError as error:
            found.append(str(error))
    assert found == [None, 3, "x", 10, 11, 12, 13, "not written"]


@given(
    st.lists(st.lists(JSON, max_size=3), min_size=1, max_size=4),
    st.lists(st.integers() | st.text(max_size=4), max_size=4),
)
def test_neighbours_are_other_calls(calls: list[list[Any]], constants: list[Any]) -> None:
    made = neighbours(calls, constants)
    texts = [canonical_json(list(call)) for call in made]
    assert len(set(texts)) == len(texts) <= NEIGHBOURS_MAX
    assert not set(texts) & {canonical_json(call) for call in calls}
    assert {len(call) for call in made} <= {len(call) for call in calls}


def test_neighbours_lie_on_both_sides_of_what_the_code_mentions() -> None:
    made = neighbours([[5], [7]], constants_in("def f(n):\n    return n > 90 or n == -3\n"))
    assert {(89,), (90,), (91,), (-2,), (-3,), (-4,), (4,), (6,), (8,)} <= set(made)


class Echo:
    """Returns what it was made with, in the order of the cases, however often they are asked for."""

    tier = "echo/1"

    def __init__(self, *values: Any) -> None:
        self.values = tuple(tagged(value) for value in values)

    def run(self, job: Job) -> Outcome:
        return Outcome(kind="returned", values=self.values * (len(job.calls) // len(self.values)), tier=self.tier)

    def close(self) -> None:
        return None


def outcome(expected: Any, got: Any) -> str:
    cases = [{"args": [n], "expected": value} for n, value in enumerate((expected, 1, 2))]
    check = Check(kind="python", spec={"function": "f", "cases": cases})
    return create(Echo(got, 1, 2)).verify(check, "code").outcome


@given(JSON, JSON)
def test_a_value_passes_exactly_when_type_and_value_are_equal(one: Any, two: Any) -> None:
    equal = canonical(tagged(one)).replace('"-0.0"', '"0.0"') == canonical(tagged(two)).replace('"-0.0"', '"0.0"')
    assert (outcome(one, two) == "pass") is equal
    assert outcome(one, one) == "pass"
    if isinstance(one, list):
        assert outcome(one, tuple(one)) == "fail"


@given(st.text("`~ \npython", max_size=60))
def test_code_is_found_or_refused_with_a_reason(text: str) -> None:
    found = code_in(text, frozenset(("python",)))
    assert bool(found.code) is not bool(found.fault)
    if not list(blocks_in(text)) and found.code:
        assert found.code == text


@given(st.lists(st.integers(0, 3), max_size=6), st.lists(st.integers(0, 3), max_size=6), st.booleans())
def test_rows_are_compared_as_a_multiset_or_a_list(one: list[int], two: list[int], ordered: bool) -> None:
    differ = rows_differ([[n] for n in one], [[n] for n in two], ordered, lambda a, b: bool(a == b))
    assert (not differ) is ((one == two) if ordered else (sorted(one) == sorted(two)))


@given(st.permutations([10, 11, 12, 13, 14]), st.integers(0, 2))
def test_rows_near_several_others_find_their_partners(got: list[int], near: int) -> None:
    differ = rows_differ([[n] for n in range(10, 15)], [[n] for n in got], False, lambda a, b: abs(a - b) <= near)
    assert not differ
