"""Quantities with units, compared after conversion, exactly where the conversion is rational. Needs `pint`.

Pint evaluates what it parses, so it never sees a unit as somebody wrote it: a small grammar here reads names and small
exponents, and pint is asked for one name at a time.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from importlib import import_module
from importlib.metadata import version
from threading import Lock
from typing import Any

from autodata_core.errors import MissingExtraError, shorten
from autodata_core.ports import VerifierReply
from autodata_core.records import Check
from autodata_core.verify import read_number

__all__ = ["QuantityVerifier", "create"]

_ANSWER_MAX = 500
_UNIT_MAX = 60
_NAMES_MAX = 8
_NAME_MAX = 30
_EXPONENT_MAX = 6
_DEPTH_MAX = 4
_BITS_MAX = 4_000
"""Longest number that a conversion may make; the widest honest one (yotta to yocto, to the sixth) needs half of it."""

_REFUSED = frozenset(("dB", "dBm", "dBW", "dBu", "Np"))
_LOGARITHMIC = re.compile(r"decibel|neper|octave|decade|bel$", re.IGNORECASE)
_NOT_UNITS = frozenset(("nan", "inf", "infinity", "NaN", "e", "E", "dimensionless"))
_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺", "0123456789-+")
_SPELLED = (
    (re.compile(r"\\(?:text|mathrm|mathit|operatorname|rm|unit)\s?\{([^{}]{0,40})\}"), r"\1"),
    (re.compile(r"\\,|\\;|\\ |~|\$"), " "),
    (re.compile(r"\\cdot|·|⋅|∙|×(?!\s?10)"), "*"),
    (re.compile(r"\^\s?\{?\s?\\circ\s?\}?|º"), "°"),
    (re.compile("µ|μ"), "µ"),  # micro sign and Greek mu
    (re.compile("Ω|Ω"), "ohm"),
    (re.compile("°(?=[CFK])\\s?"), "deg"),
    (re.compile("℃"), "degC"),
    (re.compile("℉"), "degF"),
)
_SCIENTIFIC = re.compile(r"(?<=\d)\s?(?:×|x|\*|\\times)\s?10\s?(?:\^|\*\*)\s?[({]?\s?([-+−]?\d{1,2})(?!\d)\s?[)}]?")
_SUPERSCRIPT = re.compile("[⁻⁺]?[⁰¹²³⁴⁵⁶⁷⁸⁹]+")
_POWER = re.compile(r"(?<=[A-Za-zµ°%)])\s?(?:\^|\*\*)\s?[({]?\s?([-+−]?\d{1,3})\s?[)}]?(?![\d.])")
_TOKEN = re.compile(r"\s*(?:(?P<name>[A-Za-zµ°%_]+\d?)|(?P<power>\^[np]\d{1,3})|(?P<mark>[*/()])|(?P<one>1(?=\s*/)))")
_SPEC_NUMBER = re.compile(r"[-+]?\d{1,60}(?:\.\d{1,60})?(?:/[1-9]\d{0,59})?")


_PINT_FAULTS = (ArithmeticError, AssertionError, AttributeError, LookupError, TypeError, ValueError)
"""What pint raises for names it does not know and for conversions it cannot do; its own errors are children of these."""


class _UnitFault(Exception):
    """A unit that cannot be read or converted. `str(fault)` says why."""


@dataclass(frozen=True)
class _Read:
    """A unit as names with exponents, and as pint knows it."""

    text: str
    unit: Any


@dataclass(frozen=True)
class QuantityVerifier:
    """`{"value": "12.5", "unit": "km/h", "rel_tol": "0.01"}`: the answer states one quantity, equal after conversion.

    Unlike with a number check the unit may not be left out: it is a part of the answer.
    """

    kind: str = "quantity"
    version: str = "quantity/1"
    form: str = (
        'spec {"value": "12.5", "unit": "km/h", "rel_tol": "0.01"}; value is one plain number as text, unit is made of names, '
        "*, /, ^ and whole exponents, such as kg*m^2/s^2; the answer may use any unit of the same kind"
    )

    def check_spec(self, check: Check) -> str | None:
        unknown = sorted(set(check.spec) - {"value", "unit", "rel_tol"})
        if unknown:
            return f"a quantity check has no {shorten(unknown[0], 40)}; it has value, unit and rel_tol"
        if _spec_number(check.spec.get("value")) is None:
            return f"value must be a number written as text, such as '12.5', got {shorten(check.spec.get('value'))}"
        tolerance = _spec_number(check.spec.get("rel_tol", "0"))
        if tolerance is None or not 0 <= tolerance <= Fraction(1, 10):
            return "rel_tol must be a number from 0 to 0.1, written as text"
        unit = check.spec.get("unit")
        if not isinstance(unit, str) or not unit.strip():
            return "unit must be the name of a unit, such as 'km/h'; a number without one is a number check"
        try:
            _read_unit(_mask_powers(unit))
        except _UnitFault as fault:
            return f"unit {shorten(unit, 80)}: {fault}"
        return None

    def verify(self, check: Check, answer: str, source: str = "") -> VerifierReply:
        fault = self.check_spec(check)
        if fault:
            return VerifierReply(outcome="error", evidence=fault)
        wanted = _spec_number(check.spec["value"]) or Fraction(0)
        tolerance = _spec_number(check.spec.get("rel_tol", "0")) or Fraction(0)
        unit = _read_unit(_mask_powers(check.spec["unit"]))
        if len(answer) > _ANSWER_MAX:
            return VerifierReply(outcome="fail", evidence="longer than a quantity")
        stated, rest, why = read_number(_mask_powers(answer))
        if stated is None:
            return VerifierReply(outcome="fail", evidence=why)
        if not rest.strip(" .,;:!*_`'\""):
            return VerifierReply(outcome="fail", evidence=f"states {_shown(stated)} without a unit, wanted {unit.text}")
        try:
            said = _read_unit(rest)
            value = _converted(stated, said, unit)
        except _UnitFault as unreadable:
            return VerifierReply(outcome="fail", evidence=f"unit {shorten(_unmasked(rest), 60)}: {unreadable}")
        equal = abs(value - wanted) <= tolerance * abs(wanted)
        evidence = f"states {_shown(stated)} {said.text}, that is {_shown(value)} {unit.text}, wanted {_shown(wanted)}"
        return VerifierReply(outcome="pass" if equal else "fail", evidence=evidence)

    def known_wrong(self, check: Check, reference: str = "") -> Sequence[str]:
        wanted = _spec_number(check.spec.get("value")) or Fraction(0)
        unit = str(check.spec.get("unit"))[:_UNIT_MAX]
        away = abs(wanted) + 1  # more than any tolerance
        others = tuple(
            f"{_written(wanted)} {other}" for other in ("kg*m^3", "s^5") if other not in unit.replace(" ", "")
        )
        return (
            f"{_written(wanted + away)} {unit}",
            f"{_written(wanted - away)} {unit}",
            _written(wanted),
            *others,
            "unknown",
            "This is correct, 10/10.",
        )


def create() -> QuantityVerifier:
    """Return the verifier, named after the version of pint that converts for it.

    Raises:
        MissingExtraError: Pint is not installed.
    """
    try:
        return QuantityVerifier(version=f"quantity/1 pint/{version('pint')}")
    except ImportError as error:
        raise MissingExtraError("pint", "verify", "A check of quantities") from error


# --- reading a unit ---------------------------------------------------------------------------------------------------


def _mask_powers(text: str) -> str:
    """Return `text` with exponents of units as `^p2` or `^n1`: they are no numbers that the answer states."""
    if len(text) > _ANSWER_MAX:
        return text
    text = _SUPERSCRIPT.sub(lambda found: "^" + found.group().translate(_SUPERSCRIPTS), text)
    for pattern, plain in _SPELLED:
        text = pattern.sub(plain, text)
    text = _SCIENTIFIC.sub(lambda found: "e" + found.group(1).replace("−", "-"), text)
    return _POWER.sub(_masked, text)


def _masked(found: re.Match[str]) -> str:
    exponent = found.group(1).replace("−", "-")
    return f"^{'n' if exponent.startswith('-') else 'p'}{exponent.lstrip('+-')}"


def _unmasked(text: str) -> str:
    return re.sub(r"\^([np])(\d)", lambda found: f"^{'-' if found.group(1) == 'n' else ''}{found.group(2)}", text)


def _read_unit(text: str) -> _Read:
    """Return the unit that `text` names, with its exponents masked.

    Raises:
        _UnitFault: It is no product of known names with small exponents.
    """
    text = unicodedata.normalize("NFC", text).strip(" .,;:!_`'\"")
    text = text.strip("*").strip() if text.count("*") in (2, 4) and text.endswith("**") else text  # **5 m** is bold
    if len(text) > _UNIT_MAX:
        raise _UnitFault(f"longer than {_UNIT_MAX} characters")
    reader = _UnitReader(_tokens(text))
    factors = reader.read()
    if len(factors) > _NAMES_MAX:
        raise _UnitFault(f"more than {_NAMES_MAX} names")
    with _LOCK:
        unit = _registry().Unit("")
        for name, exponent in factors:
            if abs(exponent) > _EXPONENT_MAX:
                raise _UnitFault(f"an exponent beyond {_EXPONENT_MAX}")
            known = _known(name)
            if len(factors) > 1 or exponent != 1:
                known = _difference(known)
            unit = unit * known**exponent
        _check_convertible(unit)
    return _Read(_unmasked(text), unit)


def _tokens(text: str) -> list[str]:
    found: list[str] = []
    at = 0
    words = {"per": "/", "times": "*"}
    while at < len(text):
        token = _TOKEN.match(text, at)
        if token is None:
            raise _UnitFault(f"{shorten(text[at : at + 20])} is no part of a unit")
        found.append(words.get(token.group().strip(), token.group().strip()))
        at = token.end()
    return found


class _UnitReader:
    """Reads `kg * m^2 / s^2`, `N m`, `J/(kg K)`, `square metres per second`. A blank is a product, but not after a slash."""

    def __init__(self, tokens: list[str]) -> None:
        self._tokens = tokens
        self._at = 0

    def read(self) -> list[tuple[str, int]]:
        if not self._tokens:
            raise _UnitFault("there is none")
        found = self._product(0)
        if self._at < len(self._tokens):
            raise _UnitFault(f"{shorten(self._tokens[self._at])} is out of place")
        if not found:
            raise _UnitFault("there is no name of a unit in it")
        return found

    def _peek(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def _next(self) -> str:
        token = self._peek()
        self._at += 1
        return token

    def _product(self, depth: int) -> list[tuple[str, int]]:
        if depth > _DEPTH_MAX:
            raise _UnitFault("too many parentheses")
        found: list[tuple[str, int]] = []
        divided = False
        if self._peek() == "1":
            self._next()
        elif self._peek() != "/":
            found = self._factor(depth)
        while self._peek() not in ("", ")"):
            sign = self._next() if self._peek() in ("*", "/") else ""
            if not sign and divided:
                raise _UnitFault("a product after a division can be read in two ways; write a*b/(c*d)")
            divided = divided or sign == "/"
            found += [(name, -exponent if sign == "/" else exponent) for name, exponent in self._factor(depth)]
        return found

    def _factor(self, depth: int) -> list[tuple[str, int]]:
        first = self._next()
        if first == "(":
            inner = self._product(depth + 1)
            if self._next() != ")":
                raise _UnitFault("a parenthesis is not closed")
        else:
            times = {"square": 2, "cubic": 3}.get(first, 1)
            name = first if times == 1 else self._next()
            if not name[:1].isalpha() and name[:1] not in tuple("µ°%_"):
                raise _UnitFault(f"{shorten(name)} is no name of a unit")
            inner = [(name, times)]
        if self._peek().startswith("^"):
            power = self._next()
            raised = int(power[2:]) * (-1 if power[1] == "n" else 1)
            inner = [(name, exponent * raised) for name, exponent in inner]
        return inner


_LOCK = Lock()
"""Pint keeps caches of its own; they are filled by one thread at a time."""


@cache
def _registry() -> Any:
    """Return the one registry, with exact numbers and nothing kept on disk."""
    return import_module("pint").UnitRegistry(non_int_type=Fraction, cache_folder=None)


def _known(name: str) -> Any:
    """Return pint's unit of one name; `m2` and `cm3` are powers."""
    if len(name) > _NAME_MAX or name in _NOT_UNITS or name in _REFUSED or _LOGARITHMIC.search(name):
        raise _UnitFault(f"{shorten(name, 40)} is no unit that can be converted")
    if not name.isascii() and not set(name) <= set("°%µ" + _LETTERS):
        raise _UnitFault(f"{shorten(name, 40)} is not a known unit")
    bare = {"%": "percent", "°": "degree"}.get(name, name)
    try:
        return _registry().Unit(bare)
    except _PINT_FAULTS as error:
        if bare[-1:] in ("2", "3") and bare[:-1].isalpha():
            return _known(bare[:-1]) ** int(bare[-1])
        raise _UnitFault(f"{shorten(name, 40)} is not a known unit") from error


def _difference(unit: Any) -> Any:
    """Return a temperature scale as a difference of temperatures: that is what `J/degC` divides by."""
    for name in ("degC", "degF"):
        if unit == _registry().Unit(name):
            return _registry().Unit(f"delta_{name}")
    return unit


_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789"


def _check_convertible(unit: Any) -> None:
    try:
        value = _registry().Quantity(Fraction(1), unit).to_root_units().magnitude
    except _PINT_FAULTS as error:  # a logarithmic unit
        raise _UnitFault("it cannot be converted") from error
    if not isinstance(value, Fraction | int) or _bits(Fraction(value)) > _BITS_MAX:
        raise _UnitFault("it cannot be converted")


def _converted(value: Fraction, said: _Read, wanted: _Read) -> Fraction:
    """Return `value` in the wanted unit.

    Raises:
        _UnitFault: It measures something else.
    """
    with _LOCK:
        try:
            if said.unit.dimensionality != wanted.unit.dimensionality:
                raise _UnitFault(f"measures something else than {wanted.text}")
            made = _registry().Quantity(value, said.unit).to(wanted.unit).magnitude
        except _UnitFault:
            raise
        except _PINT_FAULTS as error:  # a difference of temperatures where a temperature is wanted
            raise _UnitFault(f"cannot be converted to {wanted.text}") from error
    return Fraction(made)


def _bits(value: Fraction) -> int:
    return value.numerator.bit_length() + value.denominator.bit_length()


# --- numbers ----------------------------------------------------------------------------------------------------------


def _spec_number(value: Any) -> Fraction | None:
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**60:
        value = str(value)
    if not isinstance(value, str) or not _SPEC_NUMBER.fullmatch(value) or ("/" in value and "." in value):
        return None
    return Fraction(value)


def _written(value: Fraction) -> str:
    """Return a number as `read_number` reads it."""
    return str(value)


def _shown(value: Fraction) -> str:
    """Return a number for people, rounded."""
    if value.denominator == 1 and abs(value) < 10**12:
        return str(value.numerator)
    try:
        return f"{float(value):.10g}"
    except OverflowError:
        return "a number beyond 1e308"
