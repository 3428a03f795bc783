"""Runs an answer's Python on inputs that its author did not see, and compares what came back, here on the host.

The code gets inputs only. What is expected, and the comparison, stay outside of where it runs, so there is nothing in its
process that it could read, patch or print. How code is confined does not live here.
"""

from __future__ import annotations

import json
import keyword
import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from autodata_adapters.sandbox import Job, Limits, Outcome, Sandbox
from autodata_adapters.sandbox.tagging import MAX_DEPTH, TagError, canonical, tagged, untagged
from autodata_adapters.verifiers.code_blocks import code_in
from autodata_adapters.verifiers.mutants import constants_in, mutants, neighbours, stubs
from autodata_core.errors import shorten
from autodata_core.ports import VerifierReply
from autodata_core.records import Check, canonical_json

__all__ = ["PythonVerifier", "create"]

_LANGUAGES = frozenset(("python", "python3", "py", "py3"))
_CASES = (3, 50)
_ARGS_MAX = 10
_SPEC_MAX = 64_000
"""Characters of a spec as JSON."""
_DEPTH_MAX = 20
_INT_MAX = 10**300
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")
_TOLERANCE = re.compile(r"\d{1,3}(?:\.\d{1,30})?(?:[eE]-\d{1,2})?")

_MUTANT_LIMITS = Limits(wall_s=2.0, cpu_s=1.0)
"""A mutant may loop for ever; one that is slower than this shows nothing."""
_TOLD_SHOWN = 3
"""Changed copies, known to give a wrong value, that the whole way of an answer is shown to refuse."""
_SLOW_MAX = 3
"""Changed copies that do not end in time; no more are tried after them."""

_PROBE = "_value_or_nothing"
_PROBE_CODE = """


def {probe}(*args):
    try:
        return [{function}(*args)]
    except Exception:
        return None
"""
"""Calls on inputs that the reference may not be made for: one that raises must not end the others."""


@dataclass(frozen=True)
class PythonVerifier:
    """`{"function": "add", "cases": [{"args": [1, 2], "expected": 3}, …], "rel_tol": "0"}`: the function gives these values.

    Types count: `1`, `1.0` and `True` differ, and so do `[1]` and `(1,)`. JSON has no tuple, set or dict with other keys than
    text, so a spec writes `{"$tuple": [1, 2]}`, `{"$set": [1, 2]}` and `{"$dict": [[1, "one"]]}`. `rel_tol` is for floats
    alone, outside of sets and keys, and nothing but 0 is near 0.

    Every case is called twice in one run, and what passes is run again: a function must give equal values for equal arguments.
    """

    sandbox: Sandbox
    limits: Limits = field(default_factory=Limits)
    kind: str = "python"
    form: str = (
        'spec {"function": "add", "cases": [{"args": [1, 2], "expected": 3}, …], "rel_tol": "0"}; 3 to 50 cases that differ in '
        "args and in expected, with edge cases among them; the reference answer is the Python code of that function alone; "
        'types count (3 is not 3.0); write a tuple as {"$tuple": [1, 2]}, a set as {"$set": [1, 2]}, a dict whose keys are '
        'not text as {"$dict": [[1, "one"]]}'
    )

    @property
    def version(self) -> str:
        return f"python/1 {self.sandbox.tier or 'no sandbox'}"

    def check_spec(self, check: Check) -> str | None:
        read = _read_spec(check)
        return read if isinstance(read, str) else None

    def verify(self, check: Check, answer: str, source: str = "") -> VerifierReply:
        spec = _read_spec(check)
        if isinstance(spec, str):
            return VerifierReply(outcome="error", evidence=spec)
        found = code_in(answer, _LANGUAGES)
        if found.fault:
            return VerifierReply(outcome="fail", evidence=found.fault)
        job = Job(code=found.code, function=spec.function, calls=(*spec.calls, *spec.calls), limits=self.limits)
        first = self.sandbox.run(job)
        wrong = _wrong(spec, first)
        if wrong is not None:
            return wrong
        second = self.sandbox.run(job)
        if second.kind != "returned" or not _equal_runs(first, second):
            said = second.kind if second.kind != "returned" else "other values"
            return VerifierReply(
                outcome="error", evidence=f"two runs of the same code differ: right at first, then {said}"
            )
        again = _difference(spec, first.values[len(spec.calls) :])
        if again:
            return VerifierReply(outcome="fail", evidence=f"when it is called a second time, {again}")
        return VerifierReply(outcome="pass", evidence=f"{len(spec.calls)} cases in two runs, {first.tier}")

    def known_wrong(self, check: Check, reference: str = "") -> Sequence[str]:
        """Return stubs, and changed copies of the reference that the check must tell from it.

        A changed copy may behave as the reference does, so only those count that show another value: on a case, where the check
        tells them apart, or on inputs beside the cases, where it lets them pass. A check that lets more of them pass than it
        tells apart decides too little: one of the former is returned, and it will pass.
        """
        spec = _read_spec(check)
        if isinstance(spec, str):
            return ("This is correct, 10/10.", "pass")
        plain = stubs(spec.function, spec.constants(), max(len(call) for call in spec.calls))
        found = code_in(reference, _LANGUAGES)
        if found.fault:
            return plain
        told, passing = self._tried(spec, mutants(found.code))
        seen = self._seen(spec, found.code, passing) if len(passing) > len(told) else []
        return (*plain, *told[:_TOLD_SHOWN], *(seen[:1] if len(seen) > len(told) else ()))

    def _tried(self, spec: _Spec, changed: Sequence[str]) -> tuple[list[str], list[str]]:
        """Return copies that give a wrong value, until they are half of all, and those that pass.

        One that only raises shows no more than a stub that raises, and one that does not end shows nothing.
        """
        told: list[str] = []
        passing: list[str] = []
        slow = 0
        for code in changed:
            ran = self.sandbox.run(Job(code=code, function=spec.function, calls=spec.calls, limits=_MUTANT_LIMITS))
            slow += ran.kind == "timeout"
            if ran.kind == "returned":
                (told if _difference(spec, ran.values) else passing).append(code)
            if 2 * len(told) >= len(changed) or slow == _SLOW_MAX:
                break
        return told, passing

    def _seen(self, spec: _Spec, reference: str, passing: Sequence[str]) -> list[str]:
        """Return the copies that give another value than the reference on some input beside the cases."""
        beside = neighbours(spec.calls, constants_in(reference))
        probe = _PROBE_CODE.format(probe=_PROBE, function=spec.function)

        def values(code: str) -> tuple[Any, ...]:
            ran = self.sandbox.run(Job(code=code + probe, function=_PROBE, calls=beside, limits=_MUTANT_LIMITS))
            return ran.values if ran.kind == "returned" else ()

        known = values(reference) if beside else ()
        seen = []
        for code in passing if known else ():
            other = values(code)
            pairs = zip(known, other, strict=True) if len(other) == len(known) else ()
            if any(one is not None and two is not None and one != two for one, two in pairs):
                seen.append(code)
        return seen


def create(sandbox: Sandbox) -> PythonVerifier:
    """Return the verifier that runs answers in `sandbox`."""
    return PythonVerifier(sandbox)


# --- the spec ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Spec:
    """A spec that has been read."""

    function: str
    calls: tuple[tuple[Any, ...], ...]
    expected: tuple[Any, ...]
    """`expected[i]` is the tagged value of `calls[i]`."""
    rel_tol: Fraction

    def constants(self) -> tuple[str, ...]:
        """Return the first and the most frequent expected value as Python source."""
        texts = [canonical(tag) for tag in self.expected]
        wanted = (texts[0], Counter(texts).most_common(1)[0][0])
        return tuple(dict.fromkeys(repr(untagged(json.loads(text))) for text in wanted))


class _SpecFault(Exception):
    """A spec that cannot be used. `str(fault)` says why."""


def _read_spec(check: Check) -> _Spec | str:
    """Return what a spec asks for, or why it cannot be used."""
    spec = check.spec
    unknown = sorted(set(spec) - {"function", "cases", "rel_tol"})
    if unknown:
        return f"a python check has no {shorten(unknown[0], 40)}; it has function, cases and rel_tol"
    function, cases = spec.get("function"), spec.get("cases")
    if not isinstance(function, str) or not _NAME.fullmatch(function) or keyword.iskeyword(function):
        return f"function must be the name of a function, got {shorten(function, 60)}"
    if function == _PROBE:
        return f"function has a name that is kept for the controls: {_PROBE!r}"
    if not isinstance(cases, list) or not _CASES[0] <= len(cases) <= _CASES[1]:
        return f"cases must be a list of {_CASES[0]} to {_CASES[1]} cases"
    tolerance = spec.get("rel_tol", "0")
    if not isinstance(tolerance, str) or not _TOLERANCE.fullmatch(tolerance) or Fraction(tolerance) > Fraction(1, 10):
        return "rel_tol must be a number from 0 to 0.1, written as text"
    try:
        read = [_read_case(case) for case in cases]
        if len(canonical_json(spec)) > _SPEC_MAX:
            return f"the spec is longer than {_SPEC_MAX:,} characters"
    except _SpecFault as fault:
        return str(fault)
    wanted: dict[str, str] = {}
    for number, (call, tag) in enumerate(read, start=1):
        args = canonical(tagged(list(call)))
        if wanted.setdefault(args, canonical(tag)) != canonical(tag):
            return f"case {number} has the args of an earlier case and expects something else"
    calls, expected = tuple(call for call, _ in read), tuple(tag for _, tag in read)
    return _Spec(function, calls, expected, Fraction(tolerance))


def _read_case(case: Any) -> tuple[tuple[Any, ...], Any]:
    if not isinstance(case, dict) or set(case) != {"args", "expected"}:
        raise _SpecFault(f"a case has 'args' and 'expected' and nothing else, got {shorten(case, 80)}")
    args = case["args"]
    if not isinstance(args, list) or len(args) > _ARGS_MAX:
        raise _SpecFault(f"args must be a list of at most {_ARGS_MAX} arguments, got {shorten(args, 80)}")
    for part in _parts(args):
        if isinstance(part, dict) and any(key.startswith("$") for key in part):
            raise _SpecFault("args are plain JSON values; '$tuple' and the like are for 'expected'")
    for _ in _parts(case["expected"]):
        pass
    try:
        return tuple(args), tagged(_expected(case["expected"]))
    except (TagError, TypeError) as error:  # a list in a set
        raise _SpecFault(f"expected cannot be read: {shorten(str(error), 80)}") from error


def _parts(value: Any, depth: int = 0) -> Iterator[Any]:
    """Yield every value within `value`; raises `_SpecFault` at the first that is not plain JSON."""
    fault = "it is nested too deeply" if depth > _DEPTH_MAX else _not_plain(value)
    if fault:
        raise _SpecFault(f"a value of the spec cannot be used: {fault}")
    yield value
    inner = [*value, *value.values()] if isinstance(value, dict) else value if isinstance(value, list) else ()
    for part in inner:
        yield from _parts(part, depth + 1)


def _not_plain(value: Any) -> str:
    if isinstance(value, str):
        return "text that is not valid Unicode" if any("\ud800" <= c <= "\udfff" for c in value) else ""
    if isinstance(value, float):
        return "" if math.isfinite(value) else f"{value} is not a finite number"
    if isinstance(value, int):
        return "" if abs(value) <= _INT_MAX else "a number that is too large"
    if isinstance(value, dict) and not all(isinstance(key, str) for key in value):
        return "a key that is not text"
    return "" if value is None or isinstance(value, list | dict) else f"{shorten(value, 40)} is not plain JSON"


def _expected(value: Any) -> Any:
    """Return the Python value that `value` stands for."""
    if isinstance(value, list):
        return [_expected(part) for part in value]
    if not isinstance(value, dict):
        return value
    special = [key for key in value if key.startswith("$")]
    if not special:
        return {key: _expected(part) for key, part in value.items()}
    name, inner = special[0], value[special[0]]
    if len(value) != 1 or name not in ("$tuple", "$set", "$dict") or not isinstance(inner, list):
        raise _SpecFault('expected is written {"$tuple": […]}, {"$set": […]} or {"$dict": [[key, value], …]}')
    parts = [_expected(part) for part in inner]
    if name == "$tuple":
        return tuple(parts)
    if name == "$dict" and not all(isinstance(part, list) and len(part) == 2 for part in parts):
        raise _SpecFault('"$dict" holds pairs of key and value')
    made: dict[Any, Any] | set[Any] = dict(parts) if name == "$dict" else set(parts)
    if len(made) != len(parts):
        raise _SpecFault(f'"{name}" holds two equal {"keys" if name == "$dict" else "values"}')
    return made


# --- comparing --------------------------------------------------------------------------------------------------------

_FAILS: dict[str, str] = {
    "raised": "it raised",
    "timeout": "it did not end in time",
    "memory": "it used too much memory",
    "output": "it wrote too much",
    "crashed": "it ended without returning",
    "forged": "it did not return as a function does",
}


def _wrong(spec: _Spec, ran: Outcome) -> VerifierReply | None:
    """Return what is against an answer after its first run, None when nothing is."""
    if ran.kind == "unsupported":
        return VerifierReply(outcome="error", evidence=f"no sandbox here can run it: {ran.detail[:200]}")
    evidence = ""
    if ran.kind != "returned":
        evidence = f"{_FAILS[ran.kind]}: {ran.detail[:200]}" if ran.detail else _FAILS[ran.kind]
    elif len(ran.values) != 2 * len(spec.calls):
        return VerifierReply(outcome="error", evidence=f"{len(ran.values)} values for {2 * len(spec.calls)} calls")
    else:
        evidence = _difference(spec, ran.values[: len(spec.calls)])
    return VerifierReply(outcome="fail", evidence=evidence) if evidence else None


def _equal_runs(one: Outcome, two: Outcome) -> bool:
    return [canonical(tag) for tag in one.values] == [canonical(tag) for tag in two.values]


def _difference(spec: _Spec, values: Sequence[Any]) -> str:
    """Return the first case whose value is not the expected one, in words; empty when all are right."""
    if len(values) != len(spec.calls):
        return f"{len(values)} values came for {len(spec.calls)} calls"
    for number, (call, wanted, got) in enumerate(zip(spec.calls, spec.expected, values, strict=True), start=1):
        if not _same(wanted, got, spec.rel_tol):
            asked = f"{spec.function}({', '.join(shorten(argument, 40) for argument in call)})"
            return f"case {number}: {_cut(asked)} gave {_shown(got)}, wanted {_shown(wanted)}"
    return ""


def _cut(text: str, limit: int = 120) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _shown(tag: Any) -> str:
    try:
        return shorten(untagged(tag), 80)
    except TagError:
        return shorten(tag, 80)


def _same(wanted: Any, got: Any, rel_tol: Fraction, depth: int = MAX_DEPTH) -> bool:
    """Return whether two tagged values are of the same types and equal, floats within the tolerance."""
    if type(wanted) is not type(got):
        return False
    if not isinstance(wanted, list) or len(wanted) != len(got) or wanted[0] != got[0] or depth <= 0:
        return bool(wanted == got)
    if wanted[0] == "float":
        return _near(wanted[1], got[1], rel_tol)
    if wanted[0] in ("list", "tuple") and isinstance(got[1], list) and len(wanted[1]) == len(got[1]):
        return all(_same(one, two, rel_tol, depth - 1) for one, two in zip(wanted[1], got[1], strict=True))
    if wanted[0] == "dict" and isinstance(got[1], list) and len(wanted[1]) == len(got[1]):
        there = {canonical(key): part for key, part in got[1]}
        pairs = ((canonical(key), part) for key, part in wanted[1])
        return all(key in there and _same(part, there[key], rel_tol, depth - 1) for key, part in pairs)
    return bool(wanted == got)


def _near(wanted: str, got: Any, rel_tol: Fraction) -> bool:
    try:
        one, two = float(wanted), float(got)
    except (TypeError, ValueError):
        return False
    if not (math.isfinite(one) and math.isfinite(two)):
        return False
    return abs(Fraction(two) - Fraction(one)) <= rel_tol * abs(Fraction(one))
