"""For every verifier that is installed: no spec and no answer makes it raise, and its own controls come out right."""

from __future__ import annotations

import json
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autodata_adapters.verifiers import create_verifiers
from autodata_core.records import Check
from autodata_core.verify import EXACT_VERIFIERS, control

ROOT = Path(__file__).resolve().parents[2]
RUNS_CODE = ("python", "sql")
VERIFIERS = {kind: verifier for kind, verifier in create_verifiers().items() if kind not in RUNS_CODE}

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
KEYS = (
    "value",
    "unit",
    "rel_tol",
    "accepted",
    "expression",
    "variables",
    "schema",
    "pattern",
    "examples",
    "min_words",
    "x",
)
UNIT = st.text("mskgKCdegJN*/^()123 -²°·", max_size=20)
EXPRESSION = st.text("0123456789xye+-*/^().,!|{}[]= \\$sincorqtlgpab", max_size=30)
SPEC = st.one_of(
    st.dictionaries(st.sampled_from(KEYS), PLAIN, max_size=4),
    st.fixed_dictionaries({"value": st.sampled_from(["0", "5", "-1/3"]), "unit": UNIT}),
    st.fixed_dictionaries({"expression": EXPRESSION, "variables": st.sampled_from([[], ["x"], ["x", "y"]])}),
    st.fixed_dictionaries({"pattern": st.text(r"ab*+?.|()[]{}\12^$-", max_size=15)}),
    st.fixed_dictionaries(
        {"schema": st.dictionaries(st.sampled_from(["type", "enum", "const", "items", "pattern", "not", "anyOf", "$ref",
                                                    "properties", "required", "minimum"]), PLAIN, max_size=3)}
    ),
)  # fmt: skip
ANSWER = st.one_of(st.text(max_size=40), EXPRESSION, UNIT.map(lambda unit: f"5 {unit}"), PLAIN.map(json.dumps))


@settings(max_examples=25)
@given(SPEC, ANSWER)
def test_no_spec_and_no_answer_makes_a_verifier_raise(spec: dict[str, Any], answer: str) -> None:
    for verifier in VERIFIERS.values():
        check = Check(kind=verifier.kind, spec=spec)
        fault = verifier.check_spec(check)
        found = verifier.verify(check, answer, "a source of the answer")
        if fault is not None:
            assert fault
            assert len(fault) < 400
            assert found.outcome == "error"
        assert verifier.known_wrong(check, answer)
        assert control(verifier, check, answer, "a source of the answer").fault in (
            "",
            "spec",
            "reference",
            "vacuous",
            "error",
        )


def _check(kind: str, **spec: Any) -> Check:
    return Check(kind=kind, spec=spec)


NUMBER = st.one_of(st.integers(-50, 50).map(str), st.fractions(-20, 20, max_denominator=30).map(str))
METRES = {
    "m": Fraction(1),
    "km": Fraction(1000),
    "cm": Fraction(1, 100),
    "inch": Fraction(254, 10_000),
    "mile": Fraction(1609344, 1000),
}


@pytest.mark.skipif("quantity" not in VERIFIERS, reason="pint is not installed")
@settings(max_examples=30)
@given(NUMBER, st.sampled_from(sorted(METRES)), st.sampled_from(sorted(METRES)), NUMBER)
def test_two_lengths_pass_one_check_exactly_when_they_are_equal(value: str, unit: str, other: str, stated: str) -> None:
    verifier = VERIFIERS["quantity"]
    check = _check("quantity", value=value, unit=unit)
    assert verifier.verify(check, f"{Fraction(value) * METRES[unit] / METRES[other]} {other}").outcome == "pass"
    equal = Fraction(stated) * METRES[other] == Fraction(value) * METRES[unit]
    assert (verifier.verify(check, f"{stated} {other}").outcome == "pass") is equal
    assert control(verifier, check, f"{value} {unit}").fault == ""


@st.composite
def _expressions(draw: st.DrawFn, depth: int = 3) -> str:
    if depth == 0 or draw(st.booleans()):
        return draw(st.sampled_from(["x", "y", "2", "3", "1/7", "pi"]))
    one = draw(_expressions(depth - 1))
    name = draw(st.sampled_from(["+", "-", "*", "/", "sin", "exp", "atan", "sqrt", "^2"]))
    if name in ("+", "-", "*", "/"):
        return f"({one}){name}({draw(_expressions(depth - 1))})"
    return f"({one})^2" if name == "^2" else f"{name}({one})"


@pytest.mark.skipif("math" not in VERIFIERS, reason="mpmath is not installed")
@settings(max_examples=30)
@given(_expressions(), _expressions())
def test_an_expression_equals_itself_rearranged_and_nothing_a_little_beside_it(one: str, two: str) -> None:
    verifier = VERIFIERS["math"]
    check = _check("math", expression=f"({one})+({two})", variables=["x", "y"])
    if verifier.check_spec(check) is not None or verifier.verify(check, check.spec["expression"]).outcome != "pass":
        return  # has no value at enough points
    assert verifier.verify(check, f"({two})+({one})").outcome == "pass"
    assert verifier.verify(check, f"2*({one})-(({one})-({two}))").outcome == "pass"
    assert verifier.verify(check, f"({two})+({one})+1e-30").outcome == "fail"
    assert verifier.verify(check, f"({two})+({one})-1").outcome == "fail"


@pytest.mark.skipif("math" not in VERIFIERS, reason="mpmath is not installed")
@given(st.lists(st.integers(-9, 9), min_size=1, max_size=5), st.lists(st.integers(-9, 9), min_size=1, max_size=5))
def test_polynomials_are_equal_exactly_when_their_coefficients_are(one: list[int], two: list[int]) -> None:
    def written(coefficients: list[int]) -> str:
        return " + ".join(f"({c})*x^{n}" for n, c in enumerate(coefficients))

    def bare(coefficients: list[int]) -> list[int]:
        return bare(coefficients[:-1]) if coefficients and coefficients[-1] == 0 else coefficients

    found = VERIFIERS["math"].verify(_check("math", expression=written(one), variables=["x"]), written(two))
    assert (found.outcome == "pass") is (bare(one) == bare(two))


@pytest.mark.skipif("math" not in VERIFIERS, reason="mpmath is not installed")
@given(
    st.sampled_from(["sin", "cos", "atan", "exp", "ln", "sqrt"]), st.fractions(Fraction(1, 50), 50, max_denominator=999)
)
def test_an_interval_holds_the_value_that_more_digits_give(name: str, at: Fraction) -> None:
    from autodata_adapters.verifiers.mathematics.arithmetic import Work, sign
    from autodata_adapters.verifiers.mathematics.reading import read
    from autodata_adapters.verifiers.mathematics.values import evaluate

    form = read(f"{name}(x)", ("x",))
    loose, tight = (evaluate(form, {"x": at}, bits, Work()) for bits in (64, 1024))
    assert loose is not None
    assert tight is not None
    (low, high), (inner_low, inner_high) = (found.arithmetic.interval(found.parts[0]) for found in (loose, tight))
    subtracted = loose.arithmetic.mp.mpf_sub
    assert sign(subtracted(inner_low, low, 64, "d")) >= 0
    assert sign(subtracted(high, inner_high, 64, "d")) >= 0


SMALL_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-99, 99) | st.text("abc", max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", min_size=1, max_size=3), inner, max_size=3)
    ),
    max_leaves=6,
)


@pytest.mark.skipif("json_schema" not in VERIFIERS, reason="jsonschema is not installed")
@given(SMALL_JSON, SMALL_JSON)
def test_a_constant_takes_its_own_value_and_nothing_else(one: Any, two: Any) -> None:
    verifier = VERIFIERS["json_schema"]
    check = _check("json_schema", schema={"const": one})
    assert verifier.verify(check, json.dumps(one)).outcome == "pass"
    same = json.dumps(one, sort_keys=True) == json.dumps(two, sort_keys=True)
    assert (verifier.verify(check, json.dumps(two)).outcome == "pass") is same
    assert control(verifier, check, json.dumps(one)).fault == ""


@pytest.mark.skipif("pattern" not in VERIFIERS, reason="google-re2 is not installed")
@given(
    st.text("abcdefghi 123", min_size=1, max_size=20).filter(lambda text: bool(text.strip())),
    st.text("abc 123", max_size=20),
)
def test_a_literal_pattern_takes_its_own_text_and_nothing_else(text: str, other: str) -> None:
    verifier = VERIFIERS["pattern"]
    folded = " ".join(text.split())
    check = _check("pattern", pattern=folded)
    assert verifier.verify(check, text.upper()).outcome == "pass"
    assert (verifier.verify(check, other).outcome == "pass") is (" ".join(other.split()) == folded)
    if folded not in ("x", "0"):
        assert control(verifier, check, text).fault == ""


def test_every_kind_that_is_installed_is_made_with_its_version() -> None:
    made = create_verifiers("none")
    assert {*EXACT_VERIFIERS, "citation"} <= set(made)
    assert all(verifier.kind == kind and verifier.version.startswith(f"{kind}/") for kind, verifier in made.items())
    assert all(verifier.form for verifier in made.values())


PROBE = f"""
import json, sys
sys.path[:0] = [{str(ROOT)!r}, {str(ROOT / "adapters")!r}]
missing = sys.argv[1:]
import importlib.util
genuine = importlib.util.find_spec
importlib.util.find_spec = lambda name, package=None: None if name in missing else genuine(name, package)
import autodata_adapters.verifiers
at_import = [name for name in ("sympy", "mpmath", "pint", "jsonschema", "referencing", "re2") if name in sys.modules]
kinds = sorted(autodata_adapters.verifiers.create_verifiers())
after = [name for name in ("sympy", "mpmath", "pint", "jsonschema", "referencing", "re2") if name in sys.modules]
print(json.dumps([at_import, after, kinds]))
"""


def test_neither_import_nor_creation_loads_a_library_and_what_is_not_installed_is_left_out() -> None:
    def probe(*missing: str) -> list[list[str]]:
        done = subprocess.run(
            [sys.executable, "-c", PROBE, *missing], capture_output=True, text=True, timeout=60, check=True
        )
        found: list[list[str]] = json.loads(done.stdout)
        return found

    at_import, after, kinds = probe()
    assert at_import == after == []
    assert set(VERIFIERS) <= set(kinds)
    _, _, fewer = probe("re2", "pint", "mpmath")
    assert set(fewer) - set(RUNS_CODE) == {"number", "text", "citation", "table"}
