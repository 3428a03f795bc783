"""Whether two questions ask the same: the rule for a pair, from words, numbers and their bindings. Which pairs are looked at
is decided elsewhere, by vectors.

A question that differs in a number, in a negation or in what stands for what is another question, however alike the two
look; wording, order of clauses, spelling and the frame of the question (`what is`, `name`, `calculate`) do not count.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

from autodata_adapters.coverage.folding import STOP_WORDS, is_exact, stem, tokens

__all__ = ["OTHER_QUESTION", "Shape", "conflict", "nearness", "shape_of"]

OTHER_QUESTION = 0.75
"""Ours: similarity that two questions have at most when a number, a negation or an opposite tells them apart."""
_EXCHANGED = 0.06
"""Ours: what a word in place of another takes off. One in 25 is a light edit, one in ten is another question."""
_ORDER = 0.85
"""Ours: similarity at most of texts with the same words in a wholly different order."""

_FRAME_WORDS = """
amount answer calculate compute convert describe determine evaluate explain express find following give identify indicate list
many much name number outline please provide quantity question report say show state tell take write work according assume
consider exactly approximately kindly briefly detail details explanation account
"""
_FRAME = frozenset(_FRAME_WORDS.split())
"""Words that ask rather than say what is asked about."""

_SAME_WORDS = """
cost price priced fee
total altogether overall combined
reason cause because
purpose aim goal
duration long
need needed require required
big large
little small
begin start commence
end finish conclude
buy purchase purchased bought
remove delete erase
change modify alter
fix repair resolve
happen occur
make produce create
kind type sort
way method approach procedure
difference differ distinguish distinction differentiate
effect influence impact affect
author written writer wrote
"""
_CONCEPTS = {stem(word): line.split()[0] for line in _SAME_WORDS.strip().splitlines() for word in line.split()}

_NEGATION_WORDS = "not no never none neither nor without cannot except unless n't nothing nobody fail fails failed"
_NEGATIONS = frozenset(_NEGATION_WORDS.split())
_OPPOSITES_TEXT = """
largest smallest|biggest smallest|highest lowest|longest shortest|most least|more less|more fewer|maximum minimum|max min
increase decrease|rise fall|gain lose|before after|first last|earliest latest|oldest newest|above below|over under|inside outside
true false|valid invalid|legal illegal|allowed forbidden|allow deny|accept reject|enable disable|add remove|add subtract
multiply divide|buy sell|win lose|open close|start stop|begin end|left right|north south|east west|hot cold|warm cool
import export|input output|encrypt decrypt|upload download|even odd|positive negative|advantage disadvantage|strong weak
ascending descending|minimize maximize|minimise maximise|arrive leave|arrival departure|cause effect|older younger
taller shorter|heavier lighter|faster slower|hotter colder|sum difference|numerator denominator|buyer seller|plaintiff defendant
"""
_OPPOSED = tuple(tuple(pair.split()) for pair in _OPPOSITES_TEXT.replace("\n", "|").split("|") if pair.strip())
_BINDERS = frozenset(
    ["to", "from", "than", "by", "before", "after", "per", "of", "into", "over", "under", "against", "for"]
)
"""Words that say which part the next one plays: from A to B is not from B to A."""


_UNITS = frozenset("%°$€£¥")
_AUXILIARIES = """
is are was were do does did can could may must shall should will would has have had isn't aren't
"""
_WHETHER = frozenset(_AUXILIARIES.split())
_DEGREES = "long often far old high tall deep fast big large wide heavy soon"
_MEASURES = {"many": "many", "much": "many"} | {word: word for word in _DEGREES.split()}
_CLAUSES = re.compile(r"[.,;:?!–—\n]+")
_LEADING = 3
"""Ours: a question word among the first three words of a clause asks; later it joins."""


@dataclass(frozen=True)
class Shape:
    """What a question asks, apart from how it is worded."""

    words: Mapping[str, int]
    """Content words, stemmed, as concepts where they have several names."""
    order: tuple[str, ...]
    """The same in the order of the text."""
    numbers: Mapping[str, int]
    """Numbers and operators, each with the word right behind it."""
    bare: tuple[str, ...]
    """The numbers alone, sorted."""
    negations: int
    asks: frozenset[str]
    """What kind of answer is asked for: `why`, `when`, `how many`, …; empty where only a frame says so."""
    bound: frozenset[tuple[str, str]]
    """Binding words with the word that they bind."""


@lru_cache(maxsize=20_000)
def shape_of(text: str) -> Shape:
    """Return the shape of a text."""
    found = tokens(text)
    plain = [_plain(token) for token in found]
    order = [word for token, word in zip(found, plain, strict=True) if _counts(token)]
    if not order:  # nothing but frame: then the frame is what is asked
        order = [word for token, word in zip(found, plain, strict=True) if not is_exact(token)]
    numbers: Counter[str] = Counter()
    for token, after in pairwise([*found, ""]):
        if is_exact(token):
            bare = not after or after in STOP_WORDS or (is_exact(after) and after not in _UNITS)
            numbers[token if bare else f"{token} {_plain(after)}"] += 1
    bound: set[tuple[str, str]] = set()
    waiting = ""
    for token in found:
        if token in _BINDERS:
            waiting = token
        elif waiting and _counts(token):
            bound.add((waiting, _plain(token)))
            waiting = ""
    return Shape(
        words=Counter(order),
        order=tuple(order),
        numbers=numbers,
        bare=tuple(sorted(token for token in found if is_exact(token))),
        negations=sum(token in _NEGATIONS or token.endswith("n't") for token in found),
        asks=_asks(text),
        bound=frozenset(bound),
    )


def nearness(one: Shape, two: Shape) -> float:
    """Return how nearly two questions ask the same, in [0, 1], by their words alone; symmetric."""
    if not one.words or not two.words:
        return 1.0 if (one.words, one.bare) == (two.words, two.bare) else 0.0
    common = Counter(one.words) & Counter(two.words)
    rest_one, rest_two = Counter(one.words) - common, Counter(two.words) - common
    size = len(one.order) + len(two.order)
    if 2 * common.total() > size / 2:  # slips are worth looking for only where most is the same
        rest_one, rest_two = _without_twins(rest_one, rest_two)
    similarity = 1 - (rest_one.total() + rest_two.total()) / size
    # On both sides something is left: one word stands for another, which is more than a word too many.
    similarity -= _EXCHANGED * min(rest_one.total(), rest_two.total())
    if conflict(one, two, opposites=(rest_one, rest_two)):
        return max(0.0, min(similarity, OTHER_QUESTION))
    if _reordered(one, two):
        similarity = min(similarity, _ORDER)
    return max(0.0, similarity)


def conflict(one: Shape, two: Shape, opposites: tuple[Counter[str], Counter[str]] | None = None) -> bool:
    """Return whether numbers, question words, negations, opposites or parts show that two questions are different ones."""
    if one.bare != two.bare or not _same_binding(one.numbers, two.numbers):
        return True
    common = Counter(one.words) & Counter(two.words)
    # On what grounds is why, but what beside when is something else where all other words are the same.
    vague = frozenset() if 4 * common.total() > len(one.order) + len(two.order) else frozenset({"what"})
    if one.negations % 2 != two.negations % 2 or (one.asks - two.asks - vague and two.asks - one.asks - vague):
        return True
    rest_one, rest_two = opposites or (Counter(one.words) - common, Counter(two.words) - common)
    if any(frozenset((a, b)) in _opposites() for a in rest_one for b in rest_two):
        return True
    return _exchanged_parts(one, two)


def _same_binding(one: Mapping[str, int], two: Mapping[str, int]) -> bool:
    """Return whether no number moved from one thing to another; it may stand without its thing on one side."""
    left, right = Counter(one) - Counter(two), Counter(two) - Counter(one)
    things_one, things_two = _things(left), _things(right)
    named_two = {thing for things in things_two.values() for thing in things}
    # Another word behind the same number is wording; two numbers that traded their words are another question.
    both = things_one.keys() & things_two.keys()
    return not any(things_one[number] & (named_two - things_two[number]) for number in both)


def _things(numbers: Mapping[str, int]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for bound in numbers:
        number, _, thing = bound.partition(" ")
        found.setdefault(number, set()).update({thing} if thing else set())
    return found


@lru_cache(maxsize=1)
def _opposites() -> frozenset[frozenset[str]]:
    return frozenset(frozenset(_plain(word) for word in pair) for pair in _OPPOSED)


def _asks(text: str) -> frozenset[str]:
    """Return what is asked for, by the question words; one that joins two clauses is not one."""
    found: set[str] = set()
    for clause in _CLAUSES.split(text):
        words = tokens(clause)
        if words and words[0] in _WHETHER:
            found.add("whether")
        for n, word in enumerate(words):
            after = words[n + 1] if n + 1 < len(words) else ""
            leads = n < _LEADING or words[n - 1] in _FRAME
            if word in ("reason", "cause", "duration"):
                found.add("why" if word != "duration" else "how long")
            elif word in ("how", "why") or (word in ("what", "which") and leads):
                kind = "when" if after in ("year", "date", "day", "time") and word != "how" else word
                measured = word == "how" and after in _MEASURES
                found.add(f"how {_MEASURES[after]}" if measured else "what" if kind == "which" else kind)
            elif leads and word in ("who", "whose", "whom", "when", "where"):
                found.add("who" if word.startswith("who") else word)
    return frozenset(found)


def _exchanged_parts(one: Shape, two: Shape) -> bool:
    """Return whether the same words play each other's parts: `from A to B` against `from B to A`."""
    only_one, only_two = one.bound - two.bound, two.bound - one.bound
    words_one = {word for _, word in only_one}
    return _exchanged_places(one.order, two.order) or any(
        binder == other
        and word != word_two
        and word_two in one.words
        and word in two.words
        and (word_two in words_one or binder in ("to", "than", "by", "against"))
        for binder, word in only_one
        for other, word_two in only_two
    )


def _exchanged_places(one: tuple[str, ...], two: tuple[str, ...]) -> bool:
    """Return whether two words traded places over others: who does it to whom. Moved clauses move more, lists neighbours."""
    if len(one) != len(two):
        return False
    moved = [n for n, (a, b) in enumerate(zip(one, two, strict=True)) if a != b]
    if len(moved) != 2 or moved[1] - moved[0] < 2:
        return False
    first, last = moved
    return one[first] == two[last] and one[last] == two[first]


def _reordered(one: Shape, two: Shape) -> bool:
    """Return whether nothing but the bag of words is the same: no two words stand side by side in both."""
    if len(one.order) < 3 or len(two.order) < 3:
        return False
    return not set(pairwise(one.order)) & set(pairwise(two.order))


def _without_twins(one: Counter[str], two: Counter[str]) -> tuple[Counter[str], Counter[str]]:
    """Take out words that differ by one slip of the keyboard."""
    for word in sorted(one):
        twin = next((other for other in sorted(two) if two[other] and _is_slip(word, other)), None)
        if twin is not None:
            one[word] -= 1
            two[twin] -= 1
    return +one, +two


def _is_slip(one: str, two: str) -> bool:
    """Return whether a letter is missing, doubled, wrong or exchanged with its neighbour, within a word of five or more."""
    if min(len(one), len(two)) < 5 or abs(len(one) - len(two)) > 1 or one[0] != two[0]:
        return False
    start = 0
    while start < min(len(one), len(two)) and one[start] == two[start]:
        start += 1
    a, b = one[start:], two[start:]
    return a[1:] == b[1:] or a[1:] == b or a == b[1:] or (a[:2] == b[1::-1] and a[2:] == b[2:])


def _counts(token: str) -> bool:
    return not is_exact(token) and token not in STOP_WORDS and token not in _FRAME and stem(token) not in _FRAME


@lru_cache(maxsize=20_000)
def _plain(token: str) -> str:
    found = stem(token)
    if found in _CONCEPTS:
        return _CONCEPTS[found]
    for ending in ("ing", "ed"):
        if found.endswith(ending) and len(found) > len(ending) + 3:
            found = found.removesuffix(ending)
            break
    found = found.removesuffix("e") if len(found) > 4 else found
    return _CONCEPTS.get(found, found)
