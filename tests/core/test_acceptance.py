"""Every inequality of every preset at, below and above its boundary; what shadows and tables say."""

from __future__ import annotations

from fractions import Fraction
from itertools import permutations

import pytest

from autodata_core.acceptance import PRESETS, AcceptancePolicy, Bound, policy_from, shadow_verdicts
from autodata_core.errors import RecipeError, RecordError
from autodata_core.records import ReasonKind

F = Fraction
EPS = F(1, 10**12)

# One well-accepted pair of attempts for each preset: every case below moves one figure of it to a boundary.
INSIDE: dict[str, tuple[list[Fraction], list[Fraction]]] = {
    "prose_s31": ([F("0.3")] * 3, [F("0.8")] * 3),
    "deployed_c1": ([F("0.3")] * 3, [F("0.8")] * 3),
    "meta_s4": ([F("0.3")] * 3, [F("0.8")] * 3),
    "exact_counts": ([F(0)] * 4, [F(1)] * 4),
    "majority": ([F(0)] * 3, [F(1)] * 3),
    "interactive": ([F("0.2")] * 3, [F("0.9")] * 3),
}

TOO_EASY, FAILED_STRONG, QUALITY = ReasonKind.TOO_EASY, ReasonKind.FAILED_STRONG, ReasonKind.FAILED_QUALITY


def flat(value: str | Fraction, n: int = 3) -> list[Fraction]:
    return [F(value)] * n


def ones(right: int, of: int) -> list[Fraction]:
    return [F(1)] * right + [F(0)] * (of - right)


# policy, weak, strong, reasons wanted
BOUNDARIES = [
    # prose_s31: weak mean < 0.50
    ("prose_s31", flat("0.5"), flat("0.9"), {TOO_EASY}),
    ("prose_s31", flat(F("0.5") - EPS), flat("0.9"), set()),
    ("prose_s31", flat(F("0.5") + EPS), flat("0.9"), {TOO_EASY}),
    ("prose_s31", [F("0.4"), F("0.5"), F("0.6")], flat("0.9"), {TOO_EASY}),
    # strong mean ≥ 0.65
    ("prose_s31", flat("0.1"), flat("0.65"), set()),
    ("prose_s31", flat("0.1"), flat(F("0.65") - EPS), {FAILED_STRONG}),
    ("prose_s31", flat("0.1"), flat(F("0.65") + EPS), set()),
    # gap ≥ 0.20
    ("prose_s31", flat("0.45"), flat("0.65"), set()),
    ("prose_s31", flat(F("0.45") + EPS), flat("0.65"), {FAILED_STRONG}),
    ("prose_s31", flat(F("0.45") - EPS), flat("0.65"), set()),
    # deployed_c1: weak mean ≤ 0.65
    ("deployed_c1", flat("0.65"), flat("0.90"), set()),
    ("deployed_c1", flat(F("0.65") + EPS), flat("0.90"), {TOO_EASY}),
    ("deployed_c1", flat(F("0.65") - EPS), flat("0.90"), set()),
    # weak max ≤ 0.75
    ("deployed_c1", [F("0.75"), F("0.1"), F("0.1")], flat("0.8"), set()),
    ("deployed_c1", [F("0.75") + EPS, F("0.1"), F("0.1")], flat("0.8"), {TOO_EASY}),
    ("deployed_c1", [F("0.75") - EPS, F("0.1"), F("0.1")], flat("0.8"), set()),
    # no weak attempt is 0
    ("deployed_c1", [F(0), F("0.3"), F("0.3")], flat("0.8"), {QUALITY}),
    ("deployed_c1", [EPS, F("0.3"), F("0.3")], flat("0.8"), set()),
    # strong 0.60 ≤ mean < 0.95, none is 0
    ("deployed_c1", flat("0.3"), flat("0.60"), set()),
    ("deployed_c1", flat("0.3"), flat(F("0.60") - EPS), {FAILED_STRONG}),
    ("deployed_c1", flat("0.3"), flat(F("0.60") + EPS), set()),
    ("deployed_c1", flat("0.3"), flat("0.95"), {FAILED_STRONG}),
    ("deployed_c1", flat("0.3"), flat(F("0.95") - EPS), set()),
    ("deployed_c1", flat("0.3"), flat(F("0.95") + EPS), {FAILED_STRONG}),
    ("deployed_c1", flat("0.3"), [F(0), F(1), F(1)], {FAILED_STRONG}),
    ("deployed_c1", flat("0.3"), [EPS, F(1), F(1)], set()),
    # gap: .60 − .40 ≥ .20 holds, which binary floats get wrong
    ("deployed_c1", flat("0.40"), flat("0.60"), set()),
    ("deployed_c1", flat(F("0.40") + EPS), flat("0.60"), {FAILED_STRONG}),
    ("deployed_c1", flat(F("0.40") - EPS), flat("0.60"), set()),
    # meta_s4
    ("meta_s4", flat("0.65"), flat("0.90"), set()),
    ("meta_s4", flat(F("0.65") + EPS), flat("0.90"), {TOO_EASY}),
    ("meta_s4", flat(F("0.65") - EPS), flat("0.90"), set()),
    ("meta_s4", [F("0.75"), F(0), F(0)], flat("0.8"), set()),
    ("meta_s4", [F("0.75") + EPS, F(0), F(0)], flat("0.8"), {TOO_EASY}),
    ("meta_s4", [F("0.75") - EPS, F(0), F(0)], flat("0.8"), set()),
    ("meta_s4", flat("0.3"), flat("0.60"), set()),
    ("meta_s4", flat("0.3"), flat(F("0.60") - EPS), {FAILED_STRONG}),
    ("meta_s4", flat("0.3"), flat(F("0.60") + EPS), set()),
    ("meta_s4", flat("0.3"), flat("0.95"), set()),
    ("meta_s4", flat("0.3"), flat(F("0.95") + EPS), {FAILED_STRONG}),
    ("meta_s4", flat("0.3"), flat(F("0.95") - EPS), set()),
    ("meta_s4", flat("0.40"), flat("0.60"), set()),
    ("meta_s4", flat(F("0.40") + EPS), flat("0.60"), {FAILED_STRONG}),
    ("meta_s4", flat(F("0.40") - EPS), flat("0.60"), set()),
    # exact_counts: at most 1 of 4, at least 3 of 4
    ("exact_counts", ones(0, 4), ones(3, 4), set()),
    ("exact_counts", ones(1, 4), ones(3, 4), set()),
    ("exact_counts", ones(2, 4), ones(3, 4), {TOO_EASY}),
    ("exact_counts", ones(1, 4), ones(2, 4), {FAILED_STRONG}),
    ("exact_counts", ones(1, 4), ones(4, 4), set()),
    ("exact_counts", [1 - EPS] * 4, ones(4, 4), set()),  # nearly right is not correct
    ("exact_counts", ones(0, 4), [1 - EPS] * 4, {FAILED_STRONG}),
    # majority
    ("majority", ones(1, 3), ones(2, 3), set()),
    ("majority", ones(2, 3), ones(2, 3), {TOO_EASY}),
    ("majority", ones(1, 3), ones(1, 3), {FAILED_STRONG}),
    ("majority", ones(2, 5), ones(3, 5), set()),
    ("majority", ones(3, 5), ones(3, 5), {TOO_EASY}),
    ("majority", ones(2, 5), ones(2, 5), {FAILED_STRONG}),
    ("majority", ones(1, 2), ones(2, 2), {TOO_EASY}),  # half is no minority
    ("majority", ones(0, 2), ones(1, 2), {FAILED_STRONG}),
    # interactive
    ("interactive", flat("0.40"), flat("0.9"), set()),
    ("interactive", flat(F("0.40") + EPS), flat("0.9"), {TOO_EASY}),
    ("interactive", flat(F("0.40") - EPS), flat("0.9"), set()),
    ("interactive", flat("0.1"), flat("0.70"), set()),
    ("interactive", flat("0.1"), flat(F("0.70") - EPS), {FAILED_STRONG}),
    ("interactive", flat("0.1"), flat(F("0.70") + EPS), set()),
]


@pytest.mark.parametrize(("policy", "weak", "strong", "wanted"), BOUNDARIES)
def test_each_inequality_decides_at_below_and_above_its_boundary(
    policy: str, weak: list[Fraction], strong: list[Fraction], wanted: set[ReasonKind]
) -> None:
    assert {r.kind for r in PRESETS[policy].decide(weak, strong)} == wanted


def test_the_battery_meets_the_boundary_of_every_bound_of_every_preset() -> None:
    """A control: a bound added to a preset without a case here fails this test."""
    for name, policy in PRESETS.items():
        for bound in policy.bounds:
            decided = {bound.holds(weak, strong) for p, weak, strong, _ in BOUNDARIES if p == name}
            assert decided == {True, False}, (name, bound)
            nearest = min(abs(bound.measured(w, s) - bound.limit) for p, w, s, _ in BOUNDARIES if p == name)
            counted = bound.figure.endswith(".correct")  # shares of a few attempts come no nearer than this
            assert nearest <= (F(1, 6) if counted else EPS), (name, bound)


@pytest.mark.parametrize("name", PRESETS)
def test_a_pair_well_inside_is_accepted(name: str) -> None:
    assert PRESETS[name].decide(*INSIDE[name]) == ()


def test_the_gap_of_sixty_and_forty_is_twenty_although_floats_say_less() -> None:
    assert 0.60 - 0.40 < 0.20  # what the exact arithmetic is for
    assert not PRESETS["meta_s4"].decide(flat("0.40"), flat("0.60"))


def test_the_paper_s_presets_are_all_there() -> None:
    assert set(PRESETS) == {"prose_s31", "deployed_c1", "meta_s4", "exact_counts", "majority", "interactive"}
    assert {name: p.attempts for name, p in PRESETS.items()} == {
        "prose_s31": (3, 3),
        "deployed_c1": (3, 3),
        "meta_s4": (3, 3),
        "exact_counts": (4, 4),
        "majority": (3, 3),
        "interactive": (3, 3),
    }
    assert [name for name, p in PRESETS.items() if p.odd] == ["majority"]


@pytest.mark.parametrize("name", PRESETS)
def test_the_order_of_attempts_does_not_matter(name: str) -> None:
    weak, strong = [F(0), F("0.4"), F("0.7")], [F("0.5"), F("0.9"), F(1)]
    said = {tuple(r.kind for r in PRESETS[name].decide(w, s)) for w in permutations(weak) for s in permutations(strong)}
    assert len(said) == 1


@pytest.mark.parametrize("name", PRESETS)
def test_no_attempts_are_an_error_and_never_zeros(name: str) -> None:
    with pytest.raises(RecordError, match="weak"):
        PRESETS[name].check_weak([])
    with pytest.raises(RecordError, match="weak"):
        PRESETS[name].decide([], flat(1))
    with pytest.raises(RecordError, match="strong"):
        PRESETS[name].decide(flat(0), [])


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("weak", [flat(0), flat("0.3"), flat("0.5"), flat("0.65"), flat("0.76"), flat(1), ones(1, 3)])
def test_the_weak_gate_gives_the_weak_reasons_of_the_full_decision(name: str, weak: list[Fraction]) -> None:
    policy = PRESETS[name]
    gate, full = policy.check_weak(weak), policy.decide(weak, flat("0.8"))
    assert gate == tuple(r for r in full if r.stage == "attempt_weak")


def test_a_reason_says_what_was_measured_and_what_was_wanted() -> None:
    (reason,) = PRESETS["prose_s31"].check_weak(flat("0.75"))
    assert reason.stage == "attempt_weak"
    assert "weak.mean" in reason.detail
    assert "0.750" in reason.detail
    assert "< 0.500" in reason.detail


# --- shadows ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PRESETS)
def test_every_other_preset_gives_a_shadow_verdict_of_the_same_attempts(name: str) -> None:
    weak, strong = flat("0.45"), flat("0.70")
    shadow = shadow_verdicts(PRESETS[name], weak, strong)
    assert set(shadow) == set(PRESETS) - {name}
    for other, said in shadow.items():
        reasons = PRESETS[other].decide(weak, strong)
        assert said.accepted is (not reasons)
        assert set(said.reasons) == {r.kind for r in reasons}


def test_without_strong_attempts_a_shadow_refuses_or_does_not_know_but_never_accepts() -> None:
    shadow = shadow_verdicts(PRESETS["prose_s31"], flat("0.60"), [])
    assert shadow["deployed_c1"].accepted is None
    assert shadow["meta_s4"].accepted is None
    assert shadow["exact_counts"].accepted is None
    assert shadow["interactive"].accepted is False
    assert shadow["interactive"].reasons == (TOO_EASY,)


def test_a_table_policy_has_every_preset_as_shadow() -> None:
    policy = policy_from({"weak_mean_max": 0.5, "strong_mean_min": 0.6})
    assert set(shadow_verdicts(policy, flat("0.1"), flat("0.9"))) == set(PRESETS)


# --- tables -----------------------------------------------------------------------------------------------------------

# key, weak and strong where it just holds, and where it just fails
TABLE = [
    ("weak_mean_max", flat("0.3"), flat(1), flat(F("0.3") + EPS), flat(1)),
    ("weak_mean_below", flat(F("0.3") - EPS), flat(1), flat("0.3"), flat(1)),
    ("weak_max_max", [F("0.3"), F(0)], flat(1), [F("0.3") + EPS, F(0)], flat(1)),
    ("weak_min_above", [F("0.3") + EPS, F(1)], flat(1), [F("0.3"), F(1)], flat(1)),
    ("weak_correct_max", ones(3, 10), flat(1), ones(4, 10), flat(1)),
    ("strong_mean_min", flat(0), flat("0.3"), flat(0), flat(F("0.3") - EPS)),
    ("strong_mean_max", flat(0), flat("0.3"), flat(0), flat(F("0.3") + EPS)),
    ("strong_mean_below", flat(0), flat(F("0.3") - EPS), flat(0), flat("0.3")),
    ("strong_min_above", flat(0), [F("0.3") + EPS, F(1)], flat(0), [F("0.3"), F(1)]),
    ("strong_correct_min", flat(0), ones(3, 10), flat(0), ones(2, 10)),
    ("gap_min", flat("0.5"), flat("0.8"), flat("0.5"), flat(F("0.8") - EPS)),
]


@pytest.mark.parametrize(("key", "weak", "strong", "bad_weak", "bad_strong"), TABLE)
def test_every_threshold_of_a_table_holds_at_what_was_written(
    key: str, weak: list[Fraction], strong: list[Fraction], bad_weak: list[Fraction], bad_strong: list[Fraction]
) -> None:
    # Beside it a bound on the other side that everything meets, since a table must look at both solvers.
    always = {"weak_mean_max": 1} if key.startswith("strong") else {"strong_mean_min": 0}
    policy = policy_from({key: 0.3, **always})
    assert policy.decide(weak, strong) == ()
    assert len(policy.decide(bad_weak, bad_strong)) == 1


def test_a_table_s_decimal_is_the_one_that_was_written() -> None:
    policy = policy_from({"gap_min": 0.1, "strong_mean_min": 1e-05})
    assert [b.limit for b in policy.bounds] == [F(1, 10), F(1, 100_000)]


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("prose_s3", "prose_s31"),
        ("exact_count", "exact_counts"),
        ("majorty", "majority"),
        ({"weak_mean_maximum": 0.5, "gap_min": 0.2}, "weak_mean_max"),
        ({"gapmin": 0.5}, "gap_min"),
        ({"strong_mean_mn": 0.5, "gap_min": 0.2}, "strong_mean_min"),
    ],
)
def test_an_unknown_name_is_answered_by_the_nearest_one(value: object, says: str) -> None:
    with pytest.raises(RecipeError, match=f"Did you mean '{says}'") as caught:
        policy_from(value)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("limit", [-0.1, 1.1, 50, True, False, "0.5", None, [], float("nan"), float("inf"), 10**400])
def test_a_threshold_outside_zero_to_one_is_refused(limit: object) -> None:
    with pytest.raises(RecipeError, match=r"policy\.gap_min"):
        policy_from({"gap_min": limit})


@pytest.mark.parametrize(
    ("table", "says"),
    [({}, "empty"), ({"strong_mean_min": 0.5}, "weak solver"), ({"weak_mean_max": 0.5}, "strong solver")],
)
def test_a_table_that_does_not_look_at_both_solvers_is_refused(table: dict[str, float], says: str) -> None:
    with pytest.raises(RecipeError, match=says):
        policy_from(table)


def test_a_policy_s_json_says_every_bound_exactly() -> None:
    policy = AcceptancePolicy("mine", (Bound("gap", ">=", F(1, 3)),), (3, 5), odd=True)
    assert policy.to_json() == {"name": "mine", "bounds": [["gap", ">=", "1/3"]], "attempts": [3, 5], "odd": True}
