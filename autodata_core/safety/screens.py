"""The rules applied: to a source before anybody reads it, to a candidate's texts before anybody is paid to answer.

Nothing here quotes what it found: flags and reasons go to logs, rows and prompts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from autodata_core.records import Source
from autodata_core.safety.instructions import find_instructions
from autodata_core.safety.licences import allows_licence
from autodata_core.safety.personal_data import KINDS, find_personal_data, mask
from autodata_core.safety.rules import SafetyRules
from autodata_core.safety.terms import TermText

__all__ = ["Screened", "ScreenedSource", "screen_source", "screen_texts"]

_NAMES = {
    "secret": "a key or password",
    "email": "an e-mail address",
    "iban": "a bank account number",
    "card": "a payment card number",
    "national_id": "a national identity or tax number",
    "us_ssn": "a US social security number",
    "ip": "an IP address",
    "phone": "a telephone number",
}


@dataclass(frozen=True)
class ScreenedSource:
    """What became of a source."""

    source: Source | None
    """The source itself, or a new one with masked text and the hash of that; None when it is refused."""
    flags: tuple[str, ...] = ()
    """Sorted: `personal_data:email`, `masked:email`, and the names that `find_instructions` gives."""
    reason: str = ""
    """Why it is refused, in one line; empty when it is not."""


@dataclass(frozen=True)
class Screened:
    """What became of the texts of a candidate."""

    texts: dict[str, str]
    """By field, in the given order; masked where the rules say so, else as they were."""
    flags: tuple[str, ...] = ()
    """Sorted, as in `ScreenedSource`."""
    reasons: tuple[str, ...] = ()
    """One sentence for each field and kind that the rules refuse; empty when nothing is refused."""


def screen_source(source: Source, rules: SafetyRules) -> ScreenedSource:
    """Return the source as the rules let it pass. Looks at text and licence, not at id and meta."""
    reasons = []
    if rules.licences is not None and not allows_licence(source.licence, rules.licences):
        named = f"the licence {source.licence[:80]!r} is" if source.licence else "no licence is named, so it is"
        reasons.append(f"{named} not on the list of allowed licences")
    screened = screen_texts({"source": source.text}, rules)
    reasons += screened.reasons
    if reasons:
        return ScreenedSource(None, screened.flags, "; ".join(reasons))
    text = screened.texts["source"]
    if text != source.text:
        source = Source.create(text, id=source.id, licence=source.licence, meta=source.meta)
    return ScreenedSource(source, screened.flags)


def screen_texts(texts: Mapping[str, str], rules: SafetyRules) -> Screened:
    """Return the texts as the rules let them pass, with what was found in them and what is refused."""
    shown: dict[str, str] = {}
    flags: set[str] = set()
    reasons: list[str] = []
    for name, text in texts.items():
        shown[name] = _screened(name, text, rules, flags, reasons)
        odd = find_instructions(text)
        flags.update(odd)
        if rules.instructions == "refuse" and {"instructions", "encoded_text"} & set(odd):
            reasons.append(f"the {name} holds text that reads like an instruction to a model")
        listed = TermText(text).holds(rules.negative_list) if rules.negative_list else ()
        reasons += [f"the {name} holds {term!r}, which is on the negative list" for term in listed]
    return Screened(shown, tuple(sorted(flags)), tuple(reasons))


def _screened(name: str, text: str, rules: SafetyRules, flags: set[str], reasons: list[str]) -> str:
    """Return one text with its personal data treated; add to `flags` and `reasons`."""
    found = [x for x in find_personal_data(text) if rules.action(x.kind) != "ignore"]
    counts = Counter(x.kind for x in found)
    for kind in KINDS:
        action = rules.action(kind)
        if not counts[kind]:
            continue
        flags.add(f"masked:{kind}" if action == "mask" else f"personal_data:{kind}")
        if action == "refuse":
            often = f" in {counts[kind]} places" if counts[kind] > 1 else ""
            reasons.append(f"the {name} holds {_NAMES[kind]}{often}")
    return mask(text, [x for x in found if rules.action(x.kind) == "mask"])
