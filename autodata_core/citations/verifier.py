"""The check of a citation: the passage that an answer quotes stands in the source, whole words and whole numbers."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from autodata_core.citations.differing import difference
from autodata_core.citations.finding import Text, places
from autodata_core.citations.folding import DASHES, MARK
from autodata_core.citations.words import bare, count, is_negation
from autodata_core.errors import shorten
from autodata_core.lazily import lazy
from autodata_core.ports import VerifierReply
from autodata_core.records import Check

__all__ = ["CitationVerifier"]

_ANSWER_MAX = 20_000
"""Characters of an answer."""
_QUOTES_MAX = 20

_ONLY_BEFORE = frozenset(f"+-±{DASHES}\xad.")
"""What belongs to a number that follows it."""
_MARKED = lazy(f"[{MARK}]")
_QUOTED = lazy(r'"([^"“”«»]{1,4000})"|“([^“”]{1,4000})”|«([^«»]{1,4000})»|„([^„“”]{1,4000})[“”]')


@dataclass(frozen=True)
class CitationVerifier:
    """`{"min_words": 5}`: the passage that the answer quotes stands in the source, whole words and whole numbers.

    An answer without quotation marks is the passage itself. With several quoted passages every one must stand there;
    quoted words below the minimum are no citation and are passed over.
    """

    kind: str = "citation"
    version: str = "citation/1"
    form: str = (
        'spec {"min_words": 5}; the answer is a passage of the source, word for word, of at least so many words, alone or in '
        "quotation marks"
    )

    def check_spec(self, check: Check) -> str | None:
        unknown = sorted(set(check.spec) - {"min_words"})
        if unknown:
            return f"a citation check has no {shorten(unknown[0], 40)}; it has min_words"
        words = check.spec.get("min_words", 5)
        if not isinstance(words, int) or isinstance(words, bool) or not 3 <= words <= 50:
            return f"min_words must be a whole number from 3 to 50, got {shorten(words, 40)}"
        return None

    def verify(self, check: Check, answer: str, source: str = "") -> VerifierReply:
        fault = self.check_spec(check)
        if fault:
            return VerifierReply(outcome="error", evidence=fault)
        if not source.strip():
            return VerifierReply(outcome="error", evidence="there is no source to look in")
        if len(answer) > _ANSWER_MAX:
            return VerifierReply(outcome="fail", evidence="longer than a citation")
        least = check.spec.get("min_words", 5)
        text, whole = Text(source), answer.strip()
        words = count(whole)
        if words < least:
            return VerifierReply(outcome="fail", evidence=f"quotes {words} words, at least {least} are wanted")
        if _stands(whole, text):
            return VerifierReply(outcome="pass", evidence=f"stands in the source, {words} words")
        quotes = [quote for quote in _quoted(answer) if count(quote) >= least] or [whole]
        if len(quotes) > _QUOTES_MAX:
            evidence = f"quotes {len(quotes)} passages, at most {_QUOTES_MAX} are read"
            return VerifierReply(outcome="fail", evidence=evidence)
        for quote in quotes:
            if not _stands(quote, text):
                return VerifierReply(outcome="fail", evidence=difference(quote, text))
        return VerifierReply(outcome="pass", evidence=f"{len(quotes)} quoted passages stand in the source")

    def known_wrong(self, check: Check, reference: str) -> Sequence[str]:
        least = (self.check_spec(check) is None and check.spec.get("min_words", 5)) or 5
        quote = next((q for q in _quoted(reference) if count(q) >= least), reference.strip())[:_ANSWER_MAX]
        made = [
            *_mutants(quote),
            "",
            "This is correct, 10/10.",
            f"nothing of this kind stands there {'at all ' * least}",
        ]
        return tuple(dict.fromkeys(made))


def _quoted(text: str) -> Iterator[str]:
    for found in _QUOTED.finditer(text):
        yield next(part for part in found.groups() if part is not None).strip()


def _stands(quote: str, text: Text) -> bool:
    return any(not _cuts(text.raw, *span) for span in places(quote, text))


def _cuts(text: str, start: int, end: int) -> bool:
    """Return whether the span leaves out a part of its first or last word or number: a sign, a digit, `n't`, a mark."""
    before, first = text[max(0, start - 2) : start], text[start]
    last, after = text[end - 1], text[end : end + 2]
    if _joined(before[-1:], first) or _joined(last, after[:1]) or _MARKED.match(after):
        return True
    if first.isdigit() and (before[-1:] in _ONLY_BEFORE or (before[-1:] in tuple(".,/:") and before[:1].isdigit())):
        return True
    if last.isdigit() and (after[:1] in tuple("%‰") or (after[:1] in tuple(".,/:") and after[1:].isdigit())):
        return True
    hyphened = first.isalpha() and before[-1:] in tuple("-‐‑") and before[:1].isalpha()  # non-linear
    return hyphened or (last.isalpha() and after[:1] in tuple("'’") and after[1:].isalpha())  # don't


def _joined(one: str, two: str) -> bool:
    """Return whether two neighbours belong to one word; scripts without blanks say nothing about that."""
    return one.isalnum() and two.isalnum() and "Lo" not in (unicodedata.category(one), unicodedata.category(two))


def _mutants(quote: str) -> Iterator[str]:
    """Yield passages that say something else: a number changed, a negation put in or left out, two words swapped."""
    number = re.search(r"\d", quote)
    if number:
        at = number.start()
        yield f"{quote[:at]}{(int(quote[at]) + 1) % 10}{quote[at + 1 :]}"
    words = quote.split()
    negated = next((n for n, word in enumerate(words) if is_negation(bare(word))), 0)
    if 0 < negated < len(words) - 1:  # without its first or last word it would still stand there
        yield " ".join(words[:negated] + words[negated + 1 :])
    if len(words) > 1:
        yield " ".join([*words[:1], "not", *words[1:]])
        pair = next((n for n in range(len(words) - 1) if bare(words[n]) != bare(words[n + 1])), None)
        if pair is not None:
            yield " ".join([*words[:pair], words[pair + 1], words[pair], *words[pair + 2 :]])
