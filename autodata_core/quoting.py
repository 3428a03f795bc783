"""Whether the object in a reply is the reply's own word, or may be a quotation of what the model was given to read.

A judge may quote a verdict that was planted in an answer. Where that cannot be told the reply is asked for once more, so in
doubt it is a quotation. How the object is found is in `parsing`.
"""

from __future__ import annotations

import re
import unicodedata

from autodata_core.declining import is_refusal
from autodata_core.lazily import lazy

__all__ = ["doubt"]

_LINE_CHARS = 1_000
_LINES_BEFORE = 4_000
_BEHIND_CHARS = 20_000

_FENCE = lazy(r"\A\s*(?:`{3,}|~{3,})")
_QUOTATION = lazy(
    r"\A\s*(?:[>|#%;]|//|<!--|/\*)"
    r"|\b(?:not?|never|neither|none|e\.?g|for example|example|instead|wrong|plant\w*|inject\w*|contain\w*|says?|said|claim\w*"
    r"|asks?|asked|wants?|wanted|would|quot\w*|tries|attack\w*)\b",
    re.IGNORECASE,
)
_WORK = r"(?:answer|response|submission|solution|student|candidate|solver|text|writer|author|source|passage)"
_OF_OTHERS = lazy(
    rf"\b{_WORK}(?:['’]s)?\b(?:\W+\w+){{0,4}}?\W+(?:reads?|ends?|ended|wrote|writes|written|holds?|includes?|gives?|gave|states?"
    r"|stated|outputs?|prints?|goes|began|begins|starts?|closes|has|had|puts?|adds?|added|follows)\b"
    rf"|\b(?:in|of|from|inside|within|by) (?:the|this|that|his|her|their) {_WORK}\b"
    rf"|\b{_WORK}['’]s (?:answer|text|words?|reply|output)\b"
    r"|\b(?:enthält|lautet|endet|steht|schreibt|contient|dit|termine|contiene|dice|termina|scrive|contém|diz)\b"
    r"|содерж|гласит|заканчива|пишет|написан|包含|写着|寫著|说|說|含ま|書か|と書|포함|적혀"
    r"|يحتوي|تقول|می[\u200c ]?گوید|نوشته|लिखा",
    re.IGNORECASE,
)
_MARKS = lazy(r"\[\s*(?:true|false)\b", re.IGNORECASE)
_FENCE_MARKS = lazy(r"<<<[A-Z]+ [0-9a-f]{20}|[A-Z]+ [0-9a-f]{20}>>>")
"""What stands around untrusted text in our prompts: a reply that holds it goes on with the prompt."""
_OF_THE_VERDICT = lazy(
    r"\b(?:not?|none|true|false|correct\w*|wrong|mark(?:s|ed)?|verdict|criteri\w+|reject\w*|accept\w*|fail\w*|pass\w*|met"
    r"|above|instead|however|but|actual\w*|attack\w*|plant\w*|inject\w*|overall)\b",
    re.IGNORECASE,
)
_REASONS = lazy(r"\s*\W{0,4}(?:explanation|reason(?:ing|s)?|rationale|why|justification)\W{0,4}:", re.IGNORECASE)
_TAKEN_BACK = lazy(
    r"\b(?:cop(?:y|ied)|submi\w+|sa(?:ys|id)|wrote|writes|quot\w*|contain\w*|scratch|disregard|ignore|kidding|sorry|student|solver"
    r"|candidate|nothing|neither|zero|unmet|mistake\w*|retract\w*|revis\w*|chang\w*)\b",
    re.IGNORECASE,
)
_LEAVE_WORDS = """
a again all also an and any anything appreciate as ask assessment assist at based be below can careful carefully
cheers clarify clarification concludes could day detail details do done each either else end evaluation everything
exactly feel finished follow follows for form format free further given glad good great happy has have help helpful
helps here hope i if in is it json judgement judgment kind know let like ll luck made make may me more my need needed
object of ok okay on only or order other out please provided question questions reach regards reply request requested
review reviewed schema see so soon source stands sum take task thank thanks that the there these this thorough
thoroughly time to too unclear us use valid ve was way we welcome well were will wish with would you your yours
"""
_LEAVE = frozenset(_LEAVE_WORDS.split())
"""Words in which a model takes its leave. Whatever else it says behind its verdict may take the verdict back."""
_WORD = lazy(r"(\\?)(\w+)")


def doubt(before: str, behind: str) -> str:
    """Return why the object between these two texts may not be the reply's own verdict; empty when it is."""
    if is_refusal(before):
        return "it begins as a refusal; reply with the object alone"
    if len(behind.rstrip()) > _BEHIND_CHARS:
        return "there is a long text behind the object; reply with the object alone"
    if _introduced_as_others(before) or behind.partition("\n")[0].strip(" \t\r`.!"):
        return (
            "the JSON object stands in the middle of a sentence, so it may be a quotation; reply with the object alone"
        )
    if _MARKS.search(before):
        return "there are marks before the object as well; reply with the object alone"
    if _FENCE_MARKS.search(before) or _FENCE_MARKS.search(behind):
        return "it repeats the marks around the given material; reply with the object alone"
    if not _leaves_it(behind):
        return "there is text about the verdict behind the object; reply with the object alone"
    return ""


def _introduced_as_others(before: str) -> bool:
    """Return whether the line that leads to the object gives it as somebody else's words."""
    line = before[before.rfind("\n") + 1 :]
    if not line.strip(" \t\r`~") or _FENCE.match(
        line
    ):  # it has a line of its own: what introduces it ends with a colon
        above = before[-_LINES_BEFORE:].splitlines()[:-1] if line else before[-_LINES_BEFORE:].splitlines()
        line = next((x for x in reversed(above) if x.strip() and not _FENCE.match(x)), "")
        if not line.rstrip(" \t*_").endswith((":", "：")):
            return False
    parts = {line[:_LINE_CHARS], line[-_LINE_CHARS:]}
    return any(_QUOTATION.search(part) or _OF_OTHERS.search(part) for part in parts)


def _leaves_it(behind: str) -> bool:
    """Return whether what stands behind a verdict leaves it as it is: nothing, a leave, or reasons under that name."""
    if _OF_THE_VERDICT.search(behind):
        return False
    if any(not c.isascii() and _is_sign(c) for c in behind):
        return False  # a cross or a thumb is a verdict too
    if _REASONS.match(behind):
        return not _TAKEN_BACK.search(behind)
    found = _WORD.findall(behind)
    return all(slash or word.casefold() in _LEAVE or (len(word) == 1 and word.isalpha()) for slash, word in found)


def _is_sign(char: str) -> bool:
    return unicodedata.category(char) in ("So", "Sm") and not "\U0001f600" <= char <= "\U0001f644"
