"""How a label of a document is named within an English sentence. Where grammar cannot be told, the label is quoted."""

from __future__ import annotations

import re

__all__ = ["attribute_of", "heads_measure", "is_plural", "plural", "substance", "thing", "word_set"]


def word_set(text: str) -> frozenset[str]:
    """Return the words of a text, for lists that are read as prose."""
    return frozenset(text.split())


_MEASURES = word_set(
    "amount ascent capacity charge climb cost deposit depth descent diameter distance duration fare fee height length "
    "load mass price quantity rate rent route size spacing surcharge thickness time volume weight width"
)
# Words that no article may stand before, or that show the label to be no noun.
_NO_NOUN = word_set(
    "a after all an any at before behind below between by each every for from in no on one over per the this to two three "
    "under until up with without"
)
_PROPER = word_set(
    "american arabic austrian belgian british chinese danish dutch english french german greek indian irish italian "
    "japanese mexican nordic norwegian polish scottish spanish swedish swiss turkish "
    "monday tuesday wednesday thursday friday saturday sunday january february march april may june july august september "
    "october november december"
)
_LINKS = re.compile(r" (?:of|in|with|for|from|without|to|on|at|and) ")
_WORD = r"[^\W\d_]+(?:['’-][^\W\d_]+)*['’]?"
_WORDS = re.compile(rf"{_WORD}(?: {_WORD})*")
_GERUND = re.compile(r"[a-z]{3,}ing (?:\w+ )?(?:the|a|an) ")


def thing(label: str) -> str:
    """Return a label as the subject or object of a sentence: `the rye bread`, `changing the tyre`, `“Stage 2”`."""
    words = label.split()
    lower = _lowered(words)
    if len(words) < 2 or len(words) > 7 or lower is None or words[0].lower() in _NO_NOUN:
        return f"“{label}”"
    return lower if _GERUND.match(lower + " ") else f"the {lower}"


def substance(label: str) -> str:
    """Return a label that names a material: `cement`, `rye flour`."""
    lower = _lowered(label.split())
    return f"“{label}”" if lower is None or label.split(maxsplit=1)[0].lower() in _NO_NOUN else lower


def _lowered(words: list[str]) -> str | None:
    """Return the words without the capital that begins a line; None when other capitals or signs show more than a noun."""
    if not words or not _WORDS.fullmatch(" ".join(words)) or any(w != w.lower() for w in words[1:]):
        return None
    first = words[0]
    if first[1:] != first[1:].lower() or len(first) == 1:
        return None
    return " ".join([first if first.lower() in _PROPER else first.lower(), *words[1:]])


def is_plural(phrase: str) -> bool:
    """Whether a verb after the phrase takes no `s`: `the white rolls`, not `the bag of rolls` or `the glass`."""
    if phrase.startswith("“"):
        return False
    if re.search(r" and ", phrase):
        return True
    head = _LINKS.split(phrase)[0].split()[-1]
    return head.endswith("s") and not head.endswith(("ss", "us", "is"))


def plural(attribute: str) -> str:
    """Return the attribute of several things: `prices per hour`, `amounts of water`."""
    head, link, rest = re.fullmatch(r"(.*?)((?: (?:per|of|given)\b)|$)(.*)", attribute).groups()  # type: ignore[union-attr]
    many = head[:-1] + "ies" if head.endswith("ity") else head + ("es" if head.endswith("ss") else "s")
    return many + link + rest


def heads_measure(name: str) -> bool:
    """Whether a name says what is measured: `baking time`, `price per hour`, not `water`."""
    words = re.split(r" per ", name.lower())[0].split()
    return bool(words) and words[-1] in _MEASURES


def attribute_of(name: str, quantity: str) -> str:
    """Return the column title or heading `name` as what is measured: `price`, `amount of water`, `wash time`."""
    words = name.split()
    lower = " ".join(w if w.isupper() and len(w) > 1 else w.lower() for w in words)
    if heads_measure(name):
        return lower
    if quantity in ("mass", "volume"):
        return f"amount of {lower}"
    return {"time": f"{lower} time", "money": f"{lower} price"}.get(quantity, lower)
