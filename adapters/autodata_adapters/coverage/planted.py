"""Pairs of questions of which it is known whether they ask the same: to measure what a near-duplicate rule catches.

Made by rule from hand-written templates, so known by construction. A pair says nothing about paraphrases that share no word.
"""

from __future__ import annotations

import random
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

__all__ = ["Caught", "Pair", "caught", "distinct_pairs", "planted_pairs"]


@dataclass(frozen=True)
class Pair:
    """Two questions."""

    one: str
    two: str
    same: bool
    kind: str
    """How the second was made of the first."""


@dataclass(frozen=True)
class Caught:
    """What a rule made of pairs."""

    planted: int
    caught: int
    distinct: int
    refused: int
    """Different questions that the rule took for the same."""
    missed: tuple[Pair, ...]
    """Pairs on which it was wrong, of both sorts."""

    @property
    def recall(self) -> float:
        return self.caught / self.planted

    @property
    def false_refusals(self) -> float:
        return self.refused / self.distinct


def caught(same: Callable[[str, str], bool], pairs: Iterable[Pair]) -> Caught:
    """Return how a rule does."""
    found = [(pair, same(pair.one, pair.two)) for pair in pairs]
    return Caught(
        planted=sum(pair.same for pair, _ in found),
        caught=sum(pair.same and said for pair, said in found),
        distinct=sum(not pair.same for pair, _ in found),
        refused=sum(not pair.same and said for pair, said in found),
        missed=tuple(pair for pair, said in found if pair.same != said),
    )


# Each entry: the same question in several wordings, then values for {a} and {b}, then ranges for {n} and {m}. The first
# wording is the question, the second has its parts in another order, the others are other templates for it.
_NAMES = ("Lena", "Omar", "Priya", "Jonas", "Aiko", "Mateo")
_TEMPLATES: tuple[tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]], ...] = (
    (
        (
            "What do {n} {a} tickets to the {b} cost in total?",
            "In total, what do {n} {a} tickets to the {b} cost?",
            "Calculate the total price of {n} {a} tickets to the {b}.",
        ),
        ("adult", "child", "student", "senior"),
        ("harbour museum", "opera house", "wildlife park", "observatory"),
    ),
    (
        (
            "A train leaves {a} at {n}:15 and arrives in {b} at {m}:40. How long does the journey take?",
            "How long does the journey take when a train leaves {a} at {n}:15 and arrives in {b} at {m}:40?",
            "Find the duration of the journey: a train leaves {a} at {n}:15 and arrives in {b} at {m}:40.",
        ),
        ("Aachen", "Lyon", "Turin", "Porto"),
        ("Berlin", "Vienna", "Zurich", "Madrid"),
    ),
    (
        (
            "How many litres of {a} does {b} need for {n} batches of {m} jars each?",
            "For {n} batches of {m} jars each, how many litres of {a} does {b} need?",
            "State the number of litres of {a} that {b} needs for {n} batches of {m} jars each.",
        ),
        ("vinegar", "syrup", "brine", "stock"),
        _NAMES,
    ),
    (
        (
            "Why did the {a} court dismiss the appeal of the tenant in the {b} case?",
            "In the {b} case, why did the {a} court dismiss the appeal of the tenant?",
            "Explain the reason why the {a} court dismissed the tenant's appeal in the {b} case.",
        ),
        ("district", "federal", "regional", "supreme"),
        ("Hallam", "Norfolk", "Weiss", "Okafor"),
    ),
    (
        (
            "Which {a} carries oxygen from the lungs to the {b}?",
            "From the lungs to the {b}, which {a} carries oxygen?",
            "Name the {a} that carries oxygen from the lungs to the {b}.",
        ),
        ("protein", "vessel", "cell", "molecule"),
        ("muscles", "brain", "liver", "kidneys"),
    ),
    (
        (
            "What is the boiling point of {a} at a pressure of {n} kPa in the {b} table?",
            "At a pressure of {n} kPa, what is the boiling point of {a} in the {b} table?",
            "Give the boiling point of {a} at a pressure of {n} kPa in the {b} table.",
        ),
        ("ethanol", "benzene", "acetone", "toluene"),
        ("calibration", "reference", "laboratory", "safety"),
    ),
    (
        (
            "Write a function that returns the {a} of a list of {b} and ignores empty entries.",
            "Write a function that ignores empty entries and returns the {a} of a list of {b}.",
            "Create a function which returns the {a} of a list of {b}, ignoring empty entries.",
        ),
        ("median", "variance", "longest run", "mode"),
        ("integers", "timestamps", "strings", "prices"),
    ),
    (
        (
            "How does a customer cancel a {a} subscription that was bought through the {b} store?",
            "When a {a} subscription was bought through the {b} store, how does a customer cancel it?",
            "Describe how a customer cancels a {a} subscription bought through the {b} store.",
        ),
        ("family", "business", "yearly", "premium"),
        ("partner", "mobile", "web", "campus"),
    ),
    (
        (
            "If {a} reads {n} pages a day, after how many days has the {b} novel of {m} pages been read?",
            "After how many days has the {b} novel of {m} pages been read, if {a} reads {n} pages a day?",
            "Determine after how many days the {b} novel of {m} pages has been read if {a} reads {n} pages a day.",
        ),
        _NAMES,
        ("mystery", "historical", "gothic", "science"),
    ),
    (
        (
            "What is the main cause of {a} in {b} according to the survey?",
            "According to the survey, what is the main cause of {a} in {b}?",
            "Identify the main reason for {a} in {b} according to the survey.",
        ),
        ("soil erosion", "coral bleaching", "crop failure", "flooding"),
        ("coastal Kenya", "northern Peru", "southern Spain", "central Nepal"),
    ),
    (
        (
            "How does the {a} layer of the network differ from the {b} layer in what it stores?",
            "In what it stores, how does the {a} layer of the network differ from the {b} layer?",
            "Explain the difference between the {a} layer of the network and the {b} layer in what it stores.",
        ),
        ("embedding", "attention", "pooling", "routing"),
        ("output", "gating", "normalisation", "memory"),
    ),
    (
        (
            "A rectangle in the {b} plan is {n} cm long and {m} cm wide. What is the area of its {a}?",
            "What is the area of the {a} of a rectangle in the {b} plan that is {n} cm long and {m} cm wide?",
            "Compute the area of the {a} of a rectangle {n} cm long and {m} cm wide in the {b} plan.",
        ),
        ("inner frame", "shaded half", "border", "lower quarter"),
        ("garden", "kitchen", "garage", "atrium"),
    ),
    (
        (
            "Under which conditions may the {a} terminate the {b} contract without notice?",
            "Without notice, under which conditions may the {a} terminate the {b} contract?",
            "State the conditions under which the {a} may terminate the {b} contract without notice.",
        ),
        ("employer", "supplier", "insurer", "licensee"),
        ("service", "lease", "franchise", "maintenance"),
    ),
    (
        (
            "What share of the {a} workers in {b} joined a union after the strike of 19{n}?",
            "After the strike of 19{n}, what share of the {a} workers in {b} joined a union?",
            "Report the share of the {a} workers in {b} who joined a union after the strike of 19{n}.",
        ),
        ("dock", "textile", "railway", "mining"),
        ("Glasgow", "Rotterdam", "Genoa", "Gdansk"),
    ),
    (
        (
            "Which error does the {a} parser raise when the {b} field is missing from the header?",
            "When the {b} field is missing from the header, which error does the {a} parser raise?",
            "Name the error that the {a} parser raises when the {b} field is missing from the header.",
        ),
        ("invoice", "telemetry", "manifest", "ledger"),
        ("checksum", "version", "currency", "timestamp"),
    ),
    (
        (
            "How much {a} remains after {n} half-lives if the {b} sample held {m} grams?",
            "If the {b} sample held {m} grams, how much {a} remains after {n} half-lives?",
            "Calculate how much {a} remains after {n} half-lives if the {b} sample held {m} grams.",
        ),
        ("iodine", "radon", "cobalt", "caesium"),
        ("mineral", "medical", "reactor", "seawater"),
    ),
    (
        (
            "What role did the {a} play in the decline of the {b} trade route?",
            "In the decline of the {b} trade route, what role did the {a} play?",
            "Describe the role that the {a} played in the decline of the {b} trade route.",
        ),
        ("steamship", "plague", "canal", "customs union"),
        ("amber", "incense", "spice", "silk"),
    ),
    (
        (
            "Which assumption of the {a} model fails when the {b} samples are not independent?",
            "When the {b} samples are not independent, which assumption of the {a} model fails?",
            "Identify the assumption of the {a} model that fails when the {b} samples are not independent.",
        ),
        ("regression", "survival", "mixture", "queueing"),
        ("training", "sensor", "patient", "market"),
    ),
    (
        (
            "How often must the {a} of the {b} be inspected within the first {n} months?",
            "Within the first {n} months, how often must the {a} of the {b} be inspected?",
            "Indicate how often the {a} of the {b} must be inspected within the first {n} months.",
        ),
        ("pressure valve", "cable", "brake", "filter"),
        ("cable car", "turbine", "crane", "elevator"),
    ),
    (
        (
            "What speed in km/h does {a} reach on the {b} course when {n} km take {m} minutes?",
            "When {n} km take {m} minutes, what speed in km/h does {a} reach on the {b} course?",
            "Work out what speed in km/h {a} reaches on the {b} course when {n} km take {m} minutes.",
        ),
        _NAMES,
        ("mountain", "river", "desert", "indoor"),
    ),
    (
        (
            "Which {a} of the treaty gave {b} control over the northern fishing grounds?",
            "Control over the northern fishing grounds: which {a} of the treaty gave it to {b}?",
            "Name the {a} of the treaty that gave {b} control over the northern fishing grounds.",
        ),
        ("article", "annex", "protocol", "preamble"),
        ("Iceland", "Norway", "Scotland", "Denmark"),
    ),
    (
        (
            "How is the refund of a {a} order calculated when the {b} coupon was used on {n} items?",
            "When the {b} coupon was used on {n} items, how is the refund of a {a} order calculated?",
            "Explain how the refund of a {a} order is calculated when the {b} coupon was used on {n} items.",
        ),
        ("partial", "delayed", "bulk", "gift"),
        ("welcome", "loyalty", "holiday", "referral"),
    ),
    (
        (
            "What happens to the {a} of the enzyme when the {b} concentration doubles?",
            "When the {b} concentration doubles, what happens to the {a} of the enzyme?",
            "Describe what happens to the {a} of the enzyme when the {b} concentration doubles.",
        ),
        ("activity", "stability", "folding", "turnover"),
        ("salt", "substrate", "inhibitor", "calcium"),
    ),
    (
        (
            "Into how many {a} must the {b} team split {n} records so that none holds more than {m}?",
            "So that none holds more than {m} records, into how many {a} must the {b} team split {n} records?",
            "Determine into how many {a} the {b} team must split {n} records so that none holds more than {m}.",
        ),
        ("shards", "folders", "batches", "partitions"),
        ("archive", "billing", "genomics", "logistics"),
    ),
)
_OPPOSED = (
    ("Which planet of the {a} system is the largest?", "Which planet of the {a} system is the smallest?"),
    ("What is the maximum load of the {a} bridge?", "What is the minimum load of the {a} bridge?"),
    ("Is the {a} clause valid under the new law?", "Is the {a} clause not valid under the new law?"),
    ("Which steps come before the {a} test?", "Which steps come after the {a} test?"),
    ("Explain why the court allowed the {a} claim.", "Explain why the court dismissed the {a} claim."),
    ("Convert {n} km of {a} cable to miles.", "Convert {n} miles of {a} cable to km."),
    ("How far is it from {a} to the western gate?", "How far is it from the western gate to {a}?"),
    ("What is {n} + {m} in the {a} ledger?", "What is {n} - {m} in the {a} ledger?"),
    ("Why did sales of {a} boats increase?", "Why did sales of {a} boats decrease?"),
    ("Which {a} items can be sold?", "Which {a} items cannot be sold?"),
    ("Name an advantage of {a} storage.", "Name a disadvantage of {a} storage."),
    ("How many {a} shifts are {n} days and {m} nights?", "How many {a} shifts are {m} days and {n} nights?"),
)
_ASKED_OTHERWISE = (
    ("Why was the {a} bridge closed in {n}?", "When was the {a} bridge closed in {n}?"),
    ("Who closed the {a} bridge at noon?", "Where was the {a} bridge closed at noon?"),
    ("What does the {a} guild need for the spring fair?", "How long does the {a} guild need for the spring fair?"),
    ("What is the number of the {a} readings in the series?", "What is the sum of the {a} readings in the series?"),
    ("How many {a} ships pass the lock in May?", "How often do {a} ships pass the lock in May?"),
    ("Does the {a} council own the mill?", "Why does the {a} council own the mill?"),
    ("How was the {a} treaty signed?", "Why was the {a} treaty signed?"),
    ("What did the {a} keeper sell on Monday?", "When did the {a} keeper sell on Monday?"),
)
_SUBJECTS = ("outer", "Kepler", "steel", "lunar", "copper", "harbour", "winter", "granite", "village", "amber")


def planted_pairs(seed: int = 0) -> tuple[Pair, ...]:
    """Return more than 500 pairs that ask the same: edits, other order, other template, other case or Unicode form."""
    pairs: list[Pair] = []
    for at, (forms, firsts, seconds) in enumerate(_TEMPLATES):
        draw = random.Random(f"{seed} planted {at}")  # noqa: S311 – test data
        for n in range(3):
            values = _values(draw, firsts, seconds)
            question, moved, *others = (form.format(**values) for form in forms)
            pairs += [Pair(question, edit(question, draw), True, name) for name, edit in _EDITS.items()]
            pairs.append(Pair(question, moved, True, "order"))
            pairs += [Pair(question if n % 2 else moved, other, True, "template") for other in others]
    return tuple(pair for pair in pairs if pair.one != pair.two)


def distinct_pairs(seed: int = 0) -> tuple[Pair, ...]:
    """Return more than 1,500 pairs that ask different things, most of them in nearly the same words."""
    pairs: list[Pair] = []
    made: list[list[str]] = []
    for at, (forms, firsts, seconds) in enumerate(_TEMPLATES):
        draw = random.Random(f"{seed} distinct {at}")  # noqa: S311 – test data
        made.append([])
        for n in range(5):
            values = _values(draw, firsts, seconds)
            form = forms[n % len(forms)]
            made[-1].append(forms[0].format(**values))
            one = form.format(**values)
            for key, options in (("a", firsts), ("b", seconds)):
                others = [option for option in options if option != values[key]]
                pairs += [Pair(one, form.format(**{**values, key: x}), False, "other thing") for x in others[:3]]
                other = forms[(n + 1) % len(forms)].format(**{**values, key: others[0]})
                pairs.append(Pair(one, other, False, "other thing and template"))
            for key in ("n", "m"):
                if f"{{{key}}}" in form:
                    changed = {**values, key: str(int(values[key]) + draw.randint(1, 9))}
                    pairs.append(Pair(one, form.format(**changed), False, "other number"))
                    other = forms[(n + 1) % len(forms)].format(**changed)
                    pairs.append(Pair(one, other, False, "other number and template"))
    for one, two in _OPPOSED:
        for n, subject in enumerate(_SUBJECTS):
            values = {"a": subject, "n": str(12 + n), "m": str(31 + 2 * n)}
            pairs.append(Pair(one.format(**values), two.format(**values), False, "opposite"))
    for one, two in _ASKED_OTHERWISE:
        for n, subject in enumerate(_SUBJECTS):
            values = {"a": subject, "n": str(12 + n)}
            pairs.append(Pair(one.format(**values), two.format(**values), False, "other question word"))
    for at, group in enumerate(made):
        for step in (1, 5, 11):
            pairs += [
                Pair(a, b, False, "other subject") for a, b in zip(group, made[(at + step) % len(made)], strict=True)
            ]
    return tuple(pair for pair in pairs if pair.one != pair.two)


def _values(draw: random.Random, firsts: Sequence[str], seconds: Sequence[str]) -> dict[str, str]:
    return {
        "a": draw.choice(firsts),
        "b": draw.choice(seconds),
        "n": str(draw.randint(11, 19)),
        "m": str(draw.randint(21, 59)),
    }


def _upper(text: str, draw: random.Random) -> str:
    return text.upper() if draw.random() < 0.5 else text.lower()


def _unicode(text: str, draw: random.Random) -> str:
    wide = "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" and draw.random() < 0.2 else c for c in text)
    return unicodedata.normalize("NFD", wide).replace(" ", "\u00a0", 2).replace("e", "e\u200b", 1)


def _punctuation(text: str, draw: random.Random) -> str:
    return f"**{text.rstrip('.?')}** …" if draw.random() < 0.5 else text.replace(",", " –").rstrip(".?") + "?!"


def _slip(text: str, draw: random.Random) -> str:
    """Exchange two letters inside a long word, or leave one out."""
    words = text.split(" ")
    places = [n for n, word in enumerate(words) if len(word) >= 7 and word.isalpha()]
    if not places:
        return _punctuation(text, draw)
    at = draw.choice(places)
    word, cut = words[at], draw.randint(2, len(words[at]) - 3)
    words[at] = (
        word[:cut] + word[cut + 1] + word[cut] + word[cut + 2 :]
        if draw.random() < 0.5
        else word[:cut] + word[cut + 1 :]
    )
    return " ".join(words)


def _polite(text: str, draw: random.Random) -> str:
    before = draw.choice(("Please answer: ", "Consider the following. ", "Question: ", "Could you please tell us: "))
    return before + text[0].lower() + text[1:]


def _filler(text: str, draw: random.Random) -> str:
    """Add words without content."""
    return f"{text.rstrip('.?')}, {draw.choice(('exactly', 'please', 'if you would', 'in your answer'))}?"


_EDITS: dict[str, Callable[[str, random.Random], str]] = {
    "case": _upper,
    "unicode": _unicode,
    "punctuation": _punctuation,
    "slip": _slip,
    "polite": _polite,
    "filler": _filler,
}
