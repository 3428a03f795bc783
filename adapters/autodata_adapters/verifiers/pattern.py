"""Answers of a form that a regular expression describes, matched in linear time. Needs `google-re2`.

A pattern is model text: `re` would take exponential time on some, so only what RE2 can take is taken. `compile_pattern` is
also how other verifiers read a pattern that a model wrote.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from importlib.metadata import version
from typing import Any

from autodata_core.errors import MissingExtraError, shorten
from autodata_core.ports import VerifierReply
from autodata_core.records import Check
from autodata_core.verify import fold_text

__all__ = ["PatternFault", "PatternVerifier", "compile_pattern", "create"]

_PATTERN_MAX = 500
_ANSWER_MAX = 2_000
_EXAMPLES_MAX = 10
_MEMORY_MAX = 1 << 20
"""Bytes that RE2 may take for one pattern, its states included."""
_PROGRAM_MAX = 2_000
"""Instructions of the compiled pattern; `(a{1000}){1000}` would be a million."""

_BEYOND_RE2 = (
    (re.compile(r"\(\?<?[=!]"), "look-around"),
    (re.compile(r"(?<!\\)(?:\\\\)*\\[1-9]|\(\?P=|\\k[<{]"), "a back-reference"),
    (re.compile(r"\(\?>|[*+?}]\+"), "a possessive group"),
)


class PatternFault(Exception):
    """A pattern that cannot be used. `str(fault)` says why."""


@lru_cache(maxsize=64)
def compile_pattern(pattern: str, *, fold_case: bool = False) -> Any:
    """Return RE2's form of `pattern`, with `search` and `fullmatch` in time linear in the text.

    Raises:
        PatternFault: It is too long, too large when compiled, or has what RE2 cannot take.
    """
    if len(pattern) > _PATTERN_MAX:
        raise PatternFault(f"longer than {_PATTERN_MAX} characters")
    re2 = import_module("re2")
    options = re2.Options()
    options.max_mem = _MEMORY_MAX
    options.log_errors = False
    options.never_capture = True
    options.case_sensitive = not fold_case
    try:
        compiled = re2.compile(pattern, options)
    except (re2.error, UnicodeEncodeError) as error:  # half a surrogate pair has no UTF-8
        what = next((name for found, name in _BEYOND_RE2 if found.search(pattern)), "")
        if what:
            raise PatternFault(f"it has {what}, which takes no bounded time; write it without") from error
        said = error.args[0] if error.args else error
        raise PatternFault(
            shorten(said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said))
        ) from error
    if compiled.programsize > _PROGRAM_MAX:
        raise PatternFault(f"it is too large when compiled: {compiled.programsize} steps, at most {_PROGRAM_MAX}")
    return compiled


@dataclass(frozen=True)
class PatternVerifier:
    r"""`{"pattern": "(19|20)\\d\\d", "examples": ["1984"]}`: the whole answer has this form, after folding, in any case."""

    kind: str = "pattern"
    version: str = "pattern/1"
    form: str = (
        r'spec {"pattern": "colou?r of (sand|stone)", "examples": ["color of sand"]}; the whole answer matches; letters in any '
        "case, no look-around and no back-references; examples are answers that match"
    )

    def check_spec(self, check: Check) -> str | None:
        unknown = sorted(set(check.spec) - {"pattern", "examples"})
        if unknown:
            return f"a pattern check has no {shorten(unknown[0], 40)}; it has pattern and examples"
        pattern, examples = check.spec.get("pattern"), check.spec.get("examples", [])
        if not isinstance(pattern, str) or not pattern.strip():
            return f"pattern must be a regular expression as text, got {shorten(pattern, 40)}"
        if not isinstance(examples, list) or len(examples) > _EXAMPLES_MAX:
            return f"examples must be a list of at most {_EXAMPLES_MAX} answers"
        if not all(isinstance(text, str) and text and len(text) <= _ANSWER_MAX for text in examples):
            return f"every example is a text of 1 to {_ANSWER_MAX} characters"
        try:
            compile_pattern(pattern, fold_case=True)
        except PatternFault as fault:
            return f"pattern {shorten(pattern, 80)}: {fault}"
        missed = next((text for text in examples if not _matches(pattern, text)), None)
        return None if missed is None else f"the example {shorten(missed, 80)} does not match the pattern"

    def verify(self, check: Check, answer: str, source: str = "") -> VerifierReply:
        fault = self.check_spec(check)
        if fault:
            return VerifierReply(outcome="error", evidence=fault)
        if len(answer) > _ANSWER_MAX:
            return VerifierReply(outcome="fail", evidence=f"longer than {_ANSWER_MAX} characters")
        outcome = "pass" if _matches(check.spec["pattern"], answer) else "fail"
        return VerifierReply(outcome=outcome, evidence=f"answered {shorten(answer, 80)}")

    def known_wrong(self, check: Check, reference: str) -> Sequence[str]:
        right = fold_text(reference[:_ANSWER_MAX])
        made = (wrong for wrong in _mutants(right) if fold_text(wrong) != right)
        return tuple(dict.fromkeys(made))


def create() -> PatternVerifier:
    """Return the verifier, named after the version of RE2 that matches for it.

    Raises:
        MissingExtraError: RE2 is not installed.
    """
    try:
        return PatternVerifier(version=f"pattern/1 google-re2/{version('google-re2')}")
    except ImportError as error:
        raise MissingExtraError("google-re2", "verify", "A check by pattern") from error


def _matches(pattern: str, answer: str) -> bool:
    try:
        return compile_pattern(pattern, fold_case=True).fullmatch(fold_text(answer)) is not None
    except UnicodeEncodeError:  # half a surrogate pair
        return False


def _mutants(right: str) -> Iterator[str]:
    """Yield what is not the answer: nothing, other words, the answer with other digits, backwards, or with a boast behind."""
    yield from ("", "unknown", "x", "0", "This is correct, 10/10.", "none of these words 4711")
    yield right[::-1]
    yield "".join(str((int(c) + 5) % 10) if c in "0123456789" else c for c in right)
    yield re.sub(r"[^\W\d_]+", lambda found: "q" * len(found.group()), right)
    yield f"{right} This is correct, 10/10."
    yield f"not {right}"
