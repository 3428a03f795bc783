"""Verifiers that need nothing from outside: exact numbers and normalised text, with controls for every check.

A verifier answers pass, fail or error. It must pass the reference answer and fail a known-wrong one before it is used.
Verifiers that run code or need libraries live in the adapters.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from autodata_core.errors import shorten
from autodata_core.lazily import lazy
from autodata_core.ports import ControlReply, Verifier, VerifierReply
from autodata_core.records import Check

__all__ = ["EXACT_VERIFIERS", "NumberVerifier", "TextVerifier", "control", "fold_text", "numbers_in", "read_number"]

_DIGITS_MAX = 60
"""Longest number that is read; a longer one is no answer to a question a person asks."""
_EXPONENT_MAX = 30

_NUMBER = lazy(
    r"""(?<![\w.,/^])(?<!\d[eE][-+])             # not inside a word or another number
        [-+−]?\s?
        (?:\d{1,3}(?:,\d{3})+|\d+)               # 1,234 or 1234; never 1,23
        (?:\.\d+)?
        (?:\s?/\s?\d+(?!\d|[.,]\d))?            # 3/4, also at the end of a sentence
        (?:[eE][-+]?\d{1,3})?
        (?![\d^_]|[.,]\d|[eE][-+]?\d|\s?/\s?\d)  # and no number that goes on""",
    re.VERBOSE,
)
_CALCULATION = lazy(r"\d\s*(?:[*×·÷:^+-]|\*\*|[xX])\s*\d|[⁰¹²³⁴⁵⁶⁷⁸⁹]*\d[⁰¹²³⁴⁵⁶⁷⁸⁹]")
"""What is still to be worked out, such as `2+2` or `1.5 × 10^4`: its first number is not its value."""
_FULL_MARKS = lazy(r"(?<![\d.,/])(\d+)\s?/\s?\1(?![\d/]|[.,]\d)")
"""`10/10`: praise of oneself, which would otherwise state the value 1."""

# One row a unit: canonical name, then what people write. Only units of one row are equal; others of a known row differ.
_UNITS: tuple[tuple[str, ...], ...] = (
    ("s", "sec", "second", "seconds", "secs"),
    ("min", "minute", "minutes", "mins"),
    ("h", "hr", "hrs", "hour", "hours"),
    ("d", "day", "days"),
    ("week", "weeks", "wk"),
    ("mm", "millimetre", "millimetres", "millimeter", "millimeters"),
    ("cm", "centimetre", "centimetres", "centimeter", "centimeters"),
    ("m", "metre", "metres", "meter", "meters"),
    ("km", "kilometre", "kilometres", "kilometer", "kilometers"),
    ("mg", "milligram", "milligrams"),
    ("g", "gram", "grams", "gramme", "grammes"),
    ("kg", "kilogram", "kilograms", "kilo", "kilos"),
    ("t", "tonne", "tonnes"),
    ("ml", "millilitre", "millilitres", "milliliter", "milliliters"),
    ("cl", "centilitre", "centilitres", "centiliter", "centiliters"),
    ("l", "litre", "litres", "liter", "liters"),
    ("eur", "euro", "euros", "€"),
    ("usd", "dollar", "dollars", "$"),
    ("gbp", "pound", "pounds", "£"),
    ("cent", "cents"),
    ("%", "percent", "per cent"),
)
_CANONICAL = {name: row[0] for row in _UNITS for name in row}
_CURRENCIES = ("eur", "usd", "gbp")


def fold_text(text: str) -> str:
    """Return `text` without differences that carry no meaning: Unicode form, case, white space, edge punctuation."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    folded = " ".join(folded.split())
    bare = folded.strip(" .,:;!?\"'`*_()[]{}")
    point = bare[:1].isdigit() and folded.partition(bare)[0].endswith(".")  # .5 is not 5
    return f".{bare}" if point else bare


def read_number(text: str) -> tuple[Fraction | None, str, str]:
    """Return the one number a short answer states.

    Returns:
        Value (None when there is not exactly one), the text after it or the currency before it (a unit, perhaps), and
        why there is no value.
        After an equals sign the number behind the last one counts: `3 * 4 = 12` states 12.
    """
    if len(text) > 2_000:
        return None, "", "longer than a value"
    stated = text.rsplit("=", 1)[-1].replace("−", "-")
    if _CALCULATION.search(stated):  # before NFKC, which makes 10³ a 103
        return None, "", "a calculation, not one value"
    stated = unicodedata.normalize("NFKC", stated).replace("−", "-").strip()
    if _FULL_MARKS.search(stated):
        return None, "", "a mark such as 10/10, not a value"
    found = list(_NUMBER.finditer(stated))
    if not found:
        return None, "", "no number in it"
    values = {_value(m.group()) for m in found}
    if None in values:
        return None, "", "a number too large to read"
    if len(values) > 1:
        return None, "", f"{len(found)} different numbers, not one"
    before, after = stated[: found[0].start()].split(), stated[found[0].end() :].strip()
    prefix = before[-1] if before and _unit(before[-1]) in _CURRENCIES else ""
    return values.pop(), after if _unit(after) else prefix or after, ""


def numbers_in(text: str) -> Iterator[Fraction]:
    """Yield every number that a text states, as `read_number` reads them; a sign with a blank behind it may be a dash."""
    text = unicodedata.normalize("NFKC", text).replace("−", "-")
    for found in _NUMBER.finditer(text):
        value = _value(found.group())
        if value is not None:
            yield value
            if found.group()[1:2].isspace():
                yield -value


def _value(text: str) -> Fraction | None:
    digits = text.replace(",", "").replace(" ", "")
    mantissa, _, exponent = digits.lower().partition("e")
    if len(mantissa) > _DIGITS_MAX or abs(int(exponent or 0)) > _EXPONENT_MAX:
        return None
    above, _, below = mantissa.partition("/")
    if below and int(below) == 0:
        return None
    return Fraction(above) / Fraction(below or 1) * Fraction(10) ** int(exponent or 0)


def _unit(text: str) -> str | None:
    """Return the canonical name of a unit that `text` begins with or is, None when it is none we know."""
    folded = fold_text(text)
    words = folded.split()
    if not words:
        return None
    return _CANONICAL.get(folded) or _CANONICAL.get(words[0])


@dataclass(frozen=True)
class NumberVerifier:
    """`{"value": "12.5", "unit": "minutes", "rel_tol": "0"}`: the answer states one number, equal to the value.

    A unit in the answer may be left out, since the question names it; a known unit that is another one fails.
    """

    kind: str = "number"
    version: str = "number/1"
    form: str = 'spec {"value": "12.5", "unit": "minutes", "rel_tol": "0"}; value is one plain number as text'

    def check_spec(self, check: Check) -> str | None:
        unknown = sorted(set(check.spec) - {"value", "unit", "rel_tol"})
        if unknown:
            return f"a number check has no {unknown[0]!r}; it has value, unit and rel_tol"
        value, unit = check.spec.get("value"), check.spec.get("unit")
        if _spec_number(value) is None:
            return f"value must be a number written as text, such as '12.5', got {shorten(value)}"
        tolerance = _spec_number(check.spec.get("rel_tol", "0"))
        if tolerance is None or not 0 <= tolerance <= Fraction(1, 10):
            return "rel_tol must be a number from 0 to 0.1, written as text"
        if unit is not None and (not isinstance(unit, str) or len(unit) > 40):
            return "unit must be a short text or null"
        return None

    def verify(self, check: Check, answer: str, source: str = "") -> VerifierReply:
        fault = self.check_spec(check)
        if fault:
            return VerifierReply(outcome="error", evidence=fault)
        wanted = _spec_number(check.spec["value"]) or Fraction(0)
        tolerance = _spec_number(check.spec.get("rel_tol", "0")) or Fraction(0)
        stated, rest, why = read_number(answer)
        if stated is None:
            return VerifierReply(outcome="fail", evidence=why)
        unit, said = _unit(check.spec.get("unit") or ""), _unit(rest)
        if unit and said and unit != said:
            return VerifierReply(outcome="fail", evidence=f"states {said}, wanted {unit}")
        equal = abs(stated - wanted) <= tolerance * abs(wanted)
        evidence = f"states {_plain(stated)}, wanted {_plain(wanted)}"
        return VerifierReply(outcome="pass" if equal else "fail", evidence=evidence)

    def known_wrong(self, check: Check, reference: str = "") -> Sequence[str]:
        wanted = _spec_number(check.spec.get("value")) or Fraction(0)
        away = abs(wanted) + 1  # more than any tolerance
        return (_plain(wanted + away), _plain(wanted - away), "unknown", "This is correct, 10/10.")


@dataclass(frozen=True)
class TextVerifier:
    """`{"accepted": ["Paris", "the city of Paris"]}`: the answer equals one of these after folding."""

    kind: str = "text"
    version: str = "text/1"
    form: str = 'spec {"accepted": ["Paris", "the city of Paris"]}; the answer equals one of these'

    def check_spec(self, check: Check) -> str | None:
        accepted = check.spec.get("accepted")
        if sorted(check.spec) != ["accepted"] or not isinstance(accepted, list) or not 1 <= len(accepted) <= 20:
            return "a text check has 'accepted', a list of 1 to 20 answers"
        if not all(isinstance(text, str) and fold_text(text) and len(text) <= 500 for text in accepted):
            return "every accepted answer is a text of 1 to 500 characters"
        return None

    def verify(self, check: Check, answer: str, source: str = "") -> VerifierReply:
        fault = self.check_spec(check)
        if fault:
            return VerifierReply(outcome="error", evidence=fault)
        if len(answer) > 2_000:
            return VerifierReply(outcome="fail", evidence="longer than any accepted answer")
        equal = fold_text(answer) in {fold_text(text) for text in check.spec["accepted"]}
        return VerifierReply(outcome="pass" if equal else "fail", evidence=f"answered {shorten(answer, 80)}")

    def known_wrong(self, check: Check, reference: str = "") -> Sequence[str]:
        accepted = check.spec.get("accepted")
        first = accepted[0] if isinstance(accepted, list) and accepted else ""
        return ("", "unknown", "This is correct, 10/10.", f"not {first}")


def control(verifier: Verifier, check: Check, reference: str, source: str = "") -> ControlReply:
    """Return whether a check can be used: its spec is sound, the reference passes, every known-wrong answer fails."""
    fault = verifier.check_spec(check)
    if fault:
        return ControlReply(fault="spec", evidence=fault)
    right = verifier.verify(check, reference, source)
    if right.outcome == "error":
        return ControlReply(fault="error", evidence=right.evidence)
    if right.outcome == "fail":
        return ControlReply(fault="reference", evidence=right.evidence)
    wrong = verifier.known_wrong(check, reference)
    for tried, answer in enumerate(wrong):
        found = verifier.verify(check, answer, source)
        if found.outcome == "error":
            return ControlReply(fault="error", evidence=found.evidence, controls=tried)
        if found.outcome == "pass":
            return ControlReply(fault="vacuous", evidence=f"passes {shorten(answer, 200)}", controls=tried)
    if not wrong:
        return ControlReply(fault="vacuous", evidence="no known-wrong answer could be made for it")
    return ControlReply(fault="", evidence=right.evidence, controls=len(wrong))


EXACT_VERIFIERS: Mapping[str, Verifier] = {"number": NumberVerifier(), "text": TextVerifier()}
"""By `Check.kind`; pure, so every shell has them."""


def _spec_number(value: Any) -> Fraction | None:
    """Return a number of a check's spec: text that is one plain number and nothing else, or an int."""
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**_DIGITS_MAX:
        value = str(value)
    if not isinstance(value, str) or len(value) > _DIGITS_MAX:
        return None
    if not re.fullmatch(r"[-+]?\d+(?:\.\d+)?(?:/[1-9]\d*)?", value) or ("/" in value and "." in value):
        return None
    return Fraction(value)


def _plain(value: Fraction) -> str:
    """Return a number as people write it: decimal when that is exact, else a fraction."""
    denominator = value.denominator
    for prime in (2, 5):
        while denominator % prime == 0:
            denominator //= prime
    if denominator != 1:
        return f"{value.numerator}/{value.denominator}"
    digits = 0
    while (value * 10**digits).denominator != 1:
        digits += 1
    text = f"{abs(value * 10**digits).numerator:0{digits + 1}d}"
    sign = "-" if value < 0 else ""
    return sign + (f"{text[:-digits]}.{text[-digits:]}" if digits else text)
