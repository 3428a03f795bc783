"""Where a quoted passage stands in its source: `find_quote` finds it, `CitationVerifier` is a check made of it.

Folding forgives what typesetting changes (white space, dashes, quotation marks, Unicode form), never what a number, a
negation or a word says: whatever folding would turn into another digit stays as it is.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import Match, SequenceMatcher
from functools import cached_property, lru_cache

from autodata_core.errors import shorten
from autodata_core.ports import VerifierReply
from autodata_core.records import Check

__all__ = ["CitationVerifier", "find_quote"]

_MARKS_MAX = 8
"""Combining marks on one letter that are folded; longer runs are no writing, and ordering them takes quadratic time."""
_PLACES_TRIED = 64
"""Places that are looked at when the first ones cut a character in two."""

_DASHES = "‐‑‒–—―−﹘﹣－"
_LOOKALIKES = str.maketrans(
    {**dict.fromkeys(_DASHES, "-"), **dict.fromkeys("‘’‚‛′`´", "'"), **dict.fromkeys("“”„‟″«»", '"')}
)
_SIGNS = f"+-±{_DASHES}\xad"
_MARK = r"\u0300-\u036f\u0483-\u0487\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f"
# Runs are copied whole; their last letter goes to the next piece when a mark follows it.
_PIECE = re.compile(
    rf"""(?P<ascii>[!-&(-_a-~]+(?![{_MARK}]))
    |(?P<word>[^\W\d_]+(?![{_MARK}]))
    |(?P<blank>\s+)
    |(?P<soft>(?<=[^\W\d_])\xad\s{{0,8}}(?=[^\W\d_]))  # inside a word only: before a digit it may stand for a minus
    |(?P<other>.[{_MARK}]*)""",
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True)
class _Folded:
    """Folded text, and where each piece of it came from."""

    text: str
    starts: tuple[int, ...]
    """Where each piece starts in `text`."""
    raw: tuple[tuple[int, int], ...]
    """`raw[i]` is the span of piece `i` in the text before folding."""
    plain: tuple[bool, ...]
    """Whether piece `i` was copied, so that its inner places have places before folding."""

    def place(self, start: int, end: int) -> tuple[int, int] | None:
        """Return the span before folding, None when it begins or ends within one character."""
        first, last = bisect_right(self.starts, start) - 1, bisect_right(self.starts, end - 1) - 1
        after = self.starts[last + 1] if last + 1 < len(self.starts) else len(self.text)
        if not self.plain[first] and start != self.starts[first]:
            return None
        if not self.plain[last] and end != after:
            return None
        begin = self.raw[first][0] + (start - self.starts[first] if self.plain[first] else 0)
        return begin, (self.raw[last][0] + end - self.starts[last] if self.plain[last] else self.raw[last][1])


def find_quote(quote: str, text: str) -> tuple[int, int] | None:
    """Return start and end of `quote` in `text`, None when it does not stand there.

    Verbatim where it stands verbatim; else the first place that differs in white space, dashes, quotation marks, soft
    hyphens or Unicode form alone. Case, digits, signs and superscripts are kept: `10³` is not `103`. Time is linear.
    """
    return next(_places(quote, _Text(text)), None)


class _Text:
    """A text that is folded once, when somebody asks."""

    def __init__(self, raw: str) -> None:
        self.raw = raw

    @cached_property
    def folded(self) -> _Folded:
        return _fold(self.raw)


def _places(quote: str, text: _Text) -> Iterator[tuple[int, int]]:
    """Yield the spans of `quote`: the verbatim ones, then those after folding; only the first ones where there are many."""
    if not quote.strip():
        return
    at = -1
    for _ in range(_PLACES_TRIED):
        at = text.raw.find(quote, at + 1)
        if at < 0:
            break
        yield at, at + len(quote)
    wanted = _fold(quote.strip()).text
    at = -1
    for _ in range(_PLACES_TRIED):
        at = text.folded.text.find(wanted, at + 1)
        if at < 0:
            return
        span = text.folded.place(at, at + len(wanted))
        if span is not None:
            yield span


def _fold(text: str) -> _Folded:
    parts: list[str] = []
    starts: list[int] = []
    raw: list[tuple[int, int]] = []
    plain: list[bool] = []
    length = 0

    def add(part: str, span: tuple[int, int], copied: bool) -> None:
        nonlocal length
        parts.append(part)
        starts.append(length)
        raw.append(span)
        plain.append(copied)
        length += len(part)

    for found in _PIECE.finditer(text):
        kind, part, span = found.lastgroup, found.group(), found.span()
        if kind == "ascii" or (kind == "word" and unicodedata.is_normalized("NFKD", part)):
            add(part, span, True)
        elif kind == "word":
            for at, letter in enumerate(part, span[0]):
                add(_fold_cluster(letter), (at, at + 1), False)
        elif kind == "blank":
            add(" ", span, False)
        elif kind == "other":
            add(_fold_cluster(part), span, False)
    return _Folded("".join(parts), tuple(starts), tuple(raw), tuple(plain))


@lru_cache(maxsize=4096)
def _fold_cluster(cluster: str) -> str:
    """Return one character with its marks in the one form in which all of its ways of writing are equal."""
    if len(cluster) > _MARKS_MAX + 1:
        return cluster
    alike = cluster.translate(_LOOKALIKES)
    kind = unicodedata.decomposition(alike[0]).partition(" ")[0]
    folded = unicodedata.normalize("NFKD", alike)
    new_digit = not alike[0].isdecimal() and any(c.isdecimal() for c in folded)
    if kind in ("<super>", "<sub>", "<fraction>") or new_digit or folded[:1].isspace():
        return alike
    return folded.translate(_LOOKALIKES)


# --- the check --------------------------------------------------------------------------------------------------------

_WORDS_MAX = 120
"""Words of a quote that are compared with the nearest passage: comparing takes the square of it."""
_NEAR = 0.6
"""Share of equal words from which a passage is named as the near one. Our number."""
_ANSWER_MAX = 20_000

_QUOTES_MAX = 20
_UNSPACED = re.compile(r"[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff]")  # Thai, kana, Han
_ONLY_BEFORE = frozenset(_SIGNS) | {"."}
_MARKED = re.compile(f"[{_MARK}]")
_QUOTED = re.compile(r'"([^"“”«»]{1,4000})"|“([^“”]{1,4000})”|«([^«»]{1,4000})»|„([^„“”]{1,4000})[“”]')
_NUMBER = re.compile(r"[-+−]?(?:\d[\d.,/:]*)?\d")
_NEGATIONS = frozenset(
    [
        "not",
        "no",
        "never",
        "none",
        "nobody",
        "nothing",
        "nowhere",
        "neither",
        "nor",
        "cannot",
        "without",
        "hardly",
        "isn't",
        "aren't",
        "wasn't",
        "weren't",
        "don't",
        "doesn't",
        "didn't",
        "won't",
        "wouldn't",
        "can't",
        "couldn't",
        "shouldn't",
        "mustn't",
        "hasn't",
        "haven't",
        "hadn't",
    ]
)


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
        text, whole = _Text(source), answer.strip()
        if _count(whole) < least:
            evidence = f"quotes {_count(whole)} words, at least {least} are wanted"
            return VerifierReply(outcome="fail", evidence=evidence)
        if _stands(whole, text):
            return VerifierReply(outcome="pass", evidence=f"stands in the source, {_count(whole)} words")
        quotes = [quote for quote in _quoted(answer) if _count(quote) >= least] or [whole]
        if len(quotes) > _QUOTES_MAX:
            return VerifierReply(
                outcome="fail", evidence=f"quotes {len(quotes)} passages, at most {_QUOTES_MAX} are read"
            )
        for quote in quotes:
            if not _stands(quote, text):
                return VerifierReply(outcome="fail", evidence=_difference(quote, text))
        return VerifierReply(outcome="pass", evidence=f"{len(quotes)} quoted passages stand in the source")

    def known_wrong(self, check: Check, reference: str) -> Sequence[str]:
        least = (self.check_spec(check) is None and check.spec.get("min_words", 5)) or 5
        quote = next((q for q in _quoted(reference) if _count(q) >= least), reference.strip())[:_ANSWER_MAX]
        made = [
            *_mutants(quote),
            "",
            "This is correct, 10/10.",
            f"nothing of this kind stands there {'at all ' * least}",
        ]
        return tuple(dict.fromkeys(made))


def _count(text: str) -> int:
    """Return the number of words; two characters of a script without blanks count as one."""
    return max(len(text.split()), len(_UNSPACED.findall(text)) // 2)


def _quoted(text: str) -> Iterator[str]:
    for found in _QUOTED.finditer(text):
        yield next(part for part in found.groups() if part is not None).strip()


def _stands(quote: str, text: _Text) -> bool:
    return any(not _cuts(text.raw, *span) for span in _places(quote, text))


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
    negated = next((n for n, word in enumerate(words) if _bare(word) in _NEGATIONS), 0)
    if 0 < negated < len(words) - 1:  # without its first or last word it would still stand there
        yield " ".join(words[:negated] + words[negated + 1 :])
    if len(words) > 1:
        yield " ".join([*words[:1], "not", *words[1:]])
        pair = next((n for n in range(len(words) - 1) if _bare(words[n]) != _bare(words[n + 1])), None)
        if pair is not None:
            yield " ".join([*words[:pair], words[pair + 1], words[pair], *words[pair + 2 :]])


def _difference(quote: str, text: _Text) -> str:
    """Return what differs between a quote and the nearest passage of the source, numbers and negations first."""
    wanted = _tokens(_fold(quote))[:_WORDS_MAX]
    passage, blocks = _nearest(wanted, _tokens(text.folded))
    if sum(block.size for block in blocks) < _NEAR * max(1, len(wanted)):
        return f"does not stand in the source: {shorten(quote, 80)}"
    near = shorten(" ".join(passage), 100)
    changes = [
        (passage[a:b], wanted[c:d], a == 0 or b == len(passage))
        for kind, a, b, c, d in SequenceMatcher(None, passage, wanted, autojunk=False).get_opcodes()
        if kind != "equal"
    ]
    for name, is_one in (("number", _has_number), ("negation", _is_negation)):
        for there, here, at_edge in changes:
            stated, quoted = [w for w in there if is_one(w)], [w for w in here if is_one(w)]
            if stated != quoted and (quoted or not at_edge):  # what stands beside the quote is not left out of it
                return (
                    f"a {name} differs: the source has {_listed(stated)}, the quote has {_listed(quoted)}, near {near}"
                )
    if not changes:
        return (
            f"stands in the source only in part, with a word or number cut in two, or otherwise punctuated; near {near}"
        )
    there, here, _ = changes[0]
    return f"words differ: the source has {_listed(there)}, the quote has {_listed(here)}, near {near}"


def _listed(words: Sequence[str]) -> str:
    return shorten(" ".join(words), 60) if words else "none"


def _has_number(word: str) -> bool:
    return bool(_NUMBER.search(word)) or any(c.isnumeric() for c in word)


def _is_negation(word: str) -> bool:
    return word.casefold() in _NEGATIONS


def _bare(word: str) -> str:
    return word.translate(_LOOKALIKES).strip(".,:;!?\"'()[]").casefold()


def _tokens(folded: _Folded) -> list[str]:
    return [bare for word in folded.text.split() if (bare := word.strip(".,:;!?\"'()[]"))]


def _nearest(wanted: Sequence[str], words: Sequence[str]) -> tuple[list[str], list[Match]]:
    """Return the passage of the source that shares most words with the quote, and what they share. Linear in the source."""
    width = len(wanted) + 4
    missing = Counter(wanted)
    shared = best = at = 0
    for n, word in enumerate(words):
        if word in missing:
            shared += missing[word] > 0
            missing[word] -= 1
        gone = words[n - width] if n >= width else None
        if gone is not None and gone in missing:
            missing[gone] += 1
            shared -= missing[gone] > 0
        if shared > best:
            best, at = shared, n
    window = list(words[max(0, at - width + 1) : at + width + 1])
    blocks = SequenceMatcher(None, window, list(wanted), autojunk=False).get_matching_blocks()[:-1]
    if not best or not blocks:
        return [], []
    end = blocks[-1].a + len(wanted) - blocks[-1].b
    return window[max(0, blocks[0].a - blocks[0].b) : end], blocks
