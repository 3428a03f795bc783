"""What holds for every score and every policy."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from autodata_core.acceptance import PRESETS, AcceptancePolicy, Bound, shadow_verdicts
from autodata_core.records import Criterion, Verdict
from autodata_core.scoring import score

WEIGHTS = st.lists(st.integers(-10, 10).filter(bool), min_size=1, max_size=12).filter(lambda ws: max(ws) > 0)
SCORE = st.fractions(0, 1, max_denominator=60)
# The neighbourhood of the bounds is where a wrong comparison shows.
NEAR = st.sampled_from([Fraction(n, 20) for n in range(21)])
SCORES = st.lists(st.one_of(SCORE, NEAR), min_size=1, max_size=5)
POLICY = st.sampled_from(sorted(PRESETS))


def rubric(weights: list[int]) -> list[Criterion]:
    return [Criterion(criterion=f"criterion {n}", weight=weight) for n, weight in enumerate(weights)]


@st.composite
def marked(draw: st.DrawFn) -> tuple[list[int], list[bool]]:
    weights = draw(WEIGHTS)
    return weights, draw(st.lists(st.booleans(), min_size=len(weights), max_size=len(weights)))


@given(marked())
def test_a_score_is_an_exact_share(case: tuple[list[int], list[bool]]) -> None:
    weights, marks = case
    found = score(rubric(weights), marks)
    best = sum(w for w in weights if w > 0)
    earned = sum(w for w, m in zip(weights, marks, strict=True) if m)
    assert type(found) is Fraction
    assert 0 <= found <= 1
    assert found == min(max(Fraction(earned, best), Fraction(0)), Fraction(1))


@given(marked(), st.data())
def test_one_more_mark_on_a_merit_never_lowers_and_on_a_fault_never_raises(
    case: tuple[list[int], list[bool]], data: st.DataObject
) -> None:
    weights, marks = case
    at = data.draw(st.integers(0, len(weights) - 1))
    without, given_ = list(marks), list(marks)
    without[at], given_[at] = False, True
    before, after = score(rubric(weights), without), score(rubric(weights), given_)
    assert after >= before if weights[at] > 0 else after <= before


@given(marked())
def test_the_order_of_criteria_does_not_matter(case: tuple[list[int], list[bool]]) -> None:
    weights, marks = case
    assert score(rubric(weights), marks) == score(rubric(weights[::-1]), marks[::-1])


@given(POLICY, SCORES, SCORES)
def test_rejected_exactly_when_there_are_reasons(name: str, weak: list[Fraction], strong: list[Fraction]) -> None:
    policy = PRESETS[name]
    reasons = policy.decide(weak, strong)
    assert Verdict(policy=name, reasons=reasons).accepted is all(b.holds(weak, strong) for b in policy.bounds)
    assert len(reasons) == sum(not b.holds(weak, strong) for b in policy.bounds)


@given(POLICY, SCORES, SCORES, st.data(), st.fractions(0, 1, max_denominator=50))
def test_a_stricter_policy_never_accepts_more(
    name: str, weak: list[Fraction], strong: list[Fraction], data: st.DataObject, by: Fraction
) -> None:
    policy = PRESETS[name]
    at = data.draw(st.integers(0, len(policy.bounds) - 1))
    bound = policy.bounds[at]
    tightened = replace(bound, limit=bound.limit - by if bound.comparison in ("<", "<=") else bound.limit + by)
    strict = {"<=": "<", ">=": ">", "<": "<", ">": ">"}[bound.comparison]
    for stricter in (tightened, replace(tightened, comparison=strict)):
        bounds = (*policy.bounds[:at], stricter, *policy.bounds[at + 1 :])
        other = AcceptancePolicy("stricter", bounds, policy.attempts)
        assert not (policy.decide(weak, strong) and not other.decide(weak, strong))


@given(POLICY, SCORES, SCORES, st.randoms(use_true_random=False))
def test_attempts_in_any_order_get_the_same_verdict(
    name: str, weak: list[Fraction], strong: list[Fraction], rng
) -> None:  # type: ignore[no-untyped-def]
    before = PRESETS[name].decide(weak, strong)
    rng.shuffle(weak)
    rng.shuffle(strong)
    assert PRESETS[name].decide(weak, strong) == before


@given(POLICY, SCORES, SCORES)
def test_what_the_weak_gate_refuses_no_strong_attempts_could_have_saved(
    name: str, weak: list[Fraction], strong: list[Fraction]
) -> None:
    if PRESETS[name].check_weak(weak):
        assert PRESETS[name].decide(weak, strong)


@given(POLICY, SCORES, SCORES)
def test_a_shadow_that_is_known_early_does_not_change_later(
    name: str, weak: list[Fraction], strong: list[Fraction]
) -> None:
    early, late = shadow_verdicts(PRESETS[name], weak, []), shadow_verdicts(PRESETS[name], weak, strong)
    assert set(early) == set(late) == set(PRESETS) - {name}
    for other, said in early.items():
        assert said.accepted is not True
        if said.accepted is False:
            assert late[other].accepted is False


@given(st.sampled_from(["<", "<=", ">", ">="]), SCORE, SCORES)
def test_a_bound_and_its_opposite_are_never_both_true(comparison: str, limit: Fraction, weak: list[Fraction]) -> None:
    opposite = {"<": ">=", "<=": ">", ">": "<=", ">=": "<"}[comparison]
    one, other = Bound("weak.mean", comparison, limit), Bound("weak.mean", opposite, limit)  # type: ignore[arg-type]
    assert one.holds(weak, ()) is not other.holds(weak, ())
