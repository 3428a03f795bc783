"""Quantities: what converts and passes, what fails, and that no unit anybody writes is evaluated."""

from __future__ import annotations

import sys
import threading
import time
from typing import Any

import pytest

pytest.importorskip("pint")

from autodata_adapters.verifiers.quantity import create
from autodata_core.records import Check
from autodata_core.verify import control

QUANTITY = create()


def quantity(value: Any, unit: Any, rel_tol: Any = "0") -> Check:
    return Check(kind="quantity", spec={"value": value, "unit": unit, "rel_tol": rel_tol})


@pytest.mark.parametrize(
    ("value", "unit", "answer"),
    [
        ("12.5", "km/h", "12.5 km/h"),
        ("12.5", "km/h", "125/36 m/s"),
        ("12.5", "km/h", "v = 12.5 km/h"),
        ("12.5", "km/h", "**12.5 km/h**"),
        ("12.5", "km/h", "The speed is 12.5 kilometres per hour."),
        ("12.5", "km/h", "12,500 m/h"),
        ("1", "mile per hour", "1 mph"),
        ("9.81", "m/s^2", "9.81 m s^-2"),
        ("9.81", "m/s^2", "9.81 m s⁻²"),
        ("9.81", "m/s**2", "9.81 m/s²"),
        ("9.81", "m/s^2", r"$9.81\,\text{m/s}^{2}$"),
        ("3", "m^2", "3 square metres"),
        ("3", "m^2", "30000 cm2"),
        ("1", "l", "1 dm^3"),
        ("5", "J/(kg K)", "5 J/kg/K"),
        ("5", "J/(kg*degC)", "5 J/(kg K)"),
        ("1", "N*m", "1 N m"),
        ("1", "N*m", "1 J"),
        ("1", "kWh", "3.6 MJ"),
        ("5", "1/s", "5 Hz"),
        ("5", "Hz", "5/s"),
        ("5", "µm", "5e-6 m"),
        ("300000", "km/s", "3 × 10^8 m/s"),
        ("300000", "km/s", "3 × 10⁸ m/s"),
        ("300000", "km/s", r"3 \times 10^{8} m/s"),
        ("1", "kohm", "1000 Ω"),
        ("50", "%", "50 percent"),
        ("1", "turn", "360°"),
        ("25", "degC", "25 °C"),
        ("25", "degC", "77 °F"),
        ("25", "degC", "298.15 K"),
        ("25", "°C", "25 celsius"),
        ("0", "degC", "273.15 K"),
        ("-40", "degF", "−40 °C"),
        ("0", "K", "-273.15 degC"),
        ("5", "K", "5 delta_degC"),
        ("0", "kg", "0 g"),
    ],
)
def test_a_quantity_passes_in_every_unit_of_its_kind_exactly(value: str, unit: str, answer: str) -> None:
    found = QUANTITY.verify(quantity(value, unit), answer)
    assert (found.outcome, found.evidence) == ("pass", found.evidence)


@pytest.mark.parametrize(
    ("value", "unit", "answer", "why"),
    [
        ("12.5", "km/h", "12.5", "without a unit"),
        ("12.5", "km/h", "12.5.", "without a unit"),
        ("50", "percent", "0.5", "without a unit"),
        ("12.5", "km/h", "12.5 kg", "measures something else"),
        ("12.5", "km/h", "12.5 km", "measures something else"),
        ("12.5", "km/h", "12.5 m/h", "wanted 12.5"),
        ("12.5", "km/h", "-12.5 km/h", "wanted 12.5"),
        ("12.5", "km/h", "12.5 km/h or 13 km/h", "different numbers"),
        ("12.5", "km/h", "12.5 km/h approximately", "two ways"),
        ("12.5", "km/h", "12.5 foos", "not a known unit"),
        ("12.5", "km/h", "", "no number"),
        ("12.5", "km/h", "fast", "no number"),
        ("5", "J/(kg K)", "5 J/kg K", "two ways"),
        ("25", "degC", "25 K", "wanted 25"),
        ("25", "degC", "25 °F", "wanted 25"),
        ("5", "delta_degC", "5 degC", "cannot be converted"),
        ("0", "degC", "0 K", "wanted 0"),
        ("210", "m", "2 × 105 m", "calculation"),
        ("200000", "m", "2 × 105 m", "calculation"),
        ("1000", "m", "10³ m", "calculation"),
        ("5", "m", "5 m^7", "exponent"),
        ("5", "m", "5 m" + "*m" * 8, "more than"),
        ("5", "m", "5 ((((((m))))))", "parentheses"),
        ("5", "m", "5 (m", "not closed"),
        ("5", "m", "5 m)", "out of place"),
        ("5", "m", "5 dB", "no unit that can be converted"),
        ("5", "m", "5 nan", "no unit that can be converted"),
        ("5", "m", "5 " + "m " * 40, "longer than"),
        ("5", "m", "5 m" + " " * 600, "longer than"),
    ],
)
def test_everything_else_fails_and_the_evidence_says_why(value: str, unit: str, answer: str, why: str) -> None:
    found = QUANTITY.verify(quantity(value, unit), answer)
    assert found.outcome == "fail"
    assert why in found.evidence


@pytest.mark.parametrize(
    ("value", "rel_tol", "answer", "outcome"),
    [
        ("100", "0.1", "110 km", "pass"),
        ("100", "0.1", "110000 m", "pass"),
        ("100", "0.1", "110000.001 m", "fail"),
        ("100", "0.1", "90 km", "pass"),
        ("100", "0.1", "89.9999 km", "fail"),
        ("100", "0", "100 km", "pass"),
        ("100", "0", "100.0000000000000000001 km", "fail"),
        ("12.5", "0.0001", "12.5 km", "pass"),
        ("0", "0.1", "0 m", "pass"),
        ("0", "0.1", "1e-20 m", "fail"),
        ("1/3", "0", "1000/3 m", "pass"),
        ("1/3", "0", "333.333333333 m", "fail"),
    ],
)
def test_a_tolerance_is_relative_and_exact_at_its_edge(value: str, rel_tol: str, answer: str, outcome: str) -> None:
    assert QUANTITY.verify(quantity(value, "km", rel_tol), answer).outcome == outcome


def test_a_rounded_speed_passes_within_its_tolerance_only() -> None:
    assert QUANTITY.verify(quantity("12.5", "km/h", "0.01"), "3.4722 m/s").outcome == "pass"
    assert QUANTITY.verify(quantity("12.5", "km/h", "0"), "3.4722 m/s").outcome == "fail"


@pytest.mark.parametrize(
    "spec",
    [
        {},
        {"value": "5"},
        {"value": "5", "unit": ""},
        {"value": "5", "unit": None},
        {"value": "5", "unit": 5},
        {"value": "5", "unit": "foos"},
        {"value": "5", "unit": "dB"},
        {"value": "5", "unit": "m*degC^2^2"},
        {"value": "5", "unit": "m**9999999"},
        {"value": "5", "unit": "x" * 10_000},
        {"value": "5", "unit": "m", "rel_tol": "0.1001"},
        {"value": "5", "unit": "m", "rel_tol": "-0.1"},
        {"value": "5", "unit": "m", "rel_tol": 0.1},
        {"value": 5.5, "unit": "m"},
        {"value": True, "unit": "m"},
        {"value": "five", "unit": "m"},
        {"value": "9" * 61, "unit": "m"},
        {"value": 10**5000, "unit": "m"},
        {"value": "5", "unit": "m", "extra": 1},
    ],
)
def test_a_spec_that_cannot_decide_is_an_error_and_not_a_verdict(spec: dict[str, Any]) -> None:
    check = Check(kind="quantity", spec=spec)
    why = QUANTITY.check_spec(check)
    assert why
    assert len(why) < 300
    assert QUANTITY.verify(check, "5 m").outcome == "error"
    assert QUANTITY.known_wrong(check)


HOSTILE = [
    "m**9999999", "m^9999999", "m**-9999999", "m**m", "m**(2**2**2**2)", "m^^2", "m**2**2", "m***2", "(" * 5000, "m*" * 5000,
    "__import__('os').system('true')", "().__class__", "m.__class__", "m[0]", "m{0}", "m if 1 else s", "lambda: m", "m@s",
    "m + s", "m - s", "m // s", "m % s", "m or s", "m;s", "m\ns\n;", "m\0", "m\ud800", "ｍ", "м", "k" * 60, "yotta" * 12, "%s%s",
    "9" * 400, "1e999 m", "m^1e9", "m^0.5", "m^(1/2)", "m^-", "/", "//", "*", "/ /m", "m/0", "1/1/1/m", "per per", "square",
    "cubic", "square square m", "°°", "µ", "_", "__", "degC*degC", "degC^2", "inf", "NaN m", "[length]", "m #", "'m'", '"m"',
    "€", "$", "delta_", "Δ°C", "K\u0301" * 30,
]  # fmt: skip


@pytest.mark.parametrize("unit", HOSTILE)
def test_hostile_units_never_raise_hang_or_pass(unit: str) -> None:
    before = time.process_time()
    for answer in (f"5 {unit}", f"{unit} 5", unit):
        assert QUANTITY.verify(quantity("4711", "kg"), answer).outcome == "fail"
    assert QUANTITY.verify(quantity("5", unit), "4711 m").outcome in ("error", "fail")
    assert time.process_time() - before < 0.5


def test_pint_is_asked_for_single_names_only(monkeypatch: pytest.MonkeyPatch) -> None:
    from autodata_adapters.verifiers import quantity as module

    asked: list[str] = []
    registry = module._registry()
    genuine = registry.Unit

    def watched(unit: Any) -> Any:
        asked.extend([unit] if isinstance(unit, str) else [])  # pint itself asks with objects
        return genuine(unit)

    monkeypatch.setattr(registry, "Unit", watched)
    for unit in ("km/h", "kg*m^2/s^2", *HOSTILE):
        QUANTITY.verify(quantity("5", "m"), f"5 {unit}")
    assert "km" in asked
    assert all(set(name) <= set(module._LETTERS + "µ°%") and len(name) <= 36 for name in asked)


@pytest.mark.parametrize(
    ("value", "unit", "rel_tol", "reference"),
    [
        ("12.5", "km/h", "0.1", "12.5 km/h"),
        ("12.5", "km/h", "0.0001", "3.4722 m/s"),
        ("0", "m", "0.1", "0 m"),
        ("-40", "degF", "0.1", "-40 °C"),
        ("1/3", "kg", "0", "1/3 kg"),
        ("5", "s^5", "0", "5 s^5"),
        ("5", "kg*m^3", "0", "5 kg*m^3"),
        ("-1", "%", "0.1", "-1 %"),
    ],
)
def test_the_controls_of_a_quantity_come_out_right(value: str, unit: str, rel_tol: str, reference: str) -> None:
    check = quantity(value, unit, rel_tol)
    found = control(QUANTITY, check, reference)
    assert (found.fault, found.evidence) == ("", found.evidence)
    assert found.controls >= 5
    assert "This is correct, 10/10." in QUANTITY.known_wrong(check)


def test_a_reference_in_another_unit_is_refused_by_the_controls() -> None:
    assert control(QUANTITY, quantity("12.5", "km/h"), "12.5 m/s").fault == "reference"
    assert control(QUANTITY, quantity("12.5", "km/h"), "12.5").fault == "reference"


def test_many_threads_get_the_same_answers() -> None:
    answers = ["3.6 MJ", "1 kWh", "1 J", "1 m", "860 kcal", "3600000 W s"]
    wanted = [QUANTITY.verify(quantity("1", "kWh"), answer).outcome for answer in answers]
    found: list[list[str]] = []

    def ask() -> None:
        found.append([QUANTITY.verify(quantity("1", "kWh"), answer).outcome for answer in answers])

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [wanted] * 8


def test_it_says_which_library_converts_and_keeps_nothing_on_disk() -> None:
    from autodata_adapters.verifiers import quantity as module

    assert QUANTITY.version.startswith("quantity/1 pint/")
    assert "pint" in sys.modules
    assert not hasattr(module._registry(), "_diskcache") or module._registry()._diskcache is None
