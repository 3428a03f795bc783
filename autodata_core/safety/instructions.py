"""Whether text speaks to a model or a judge instead of a reader, openly or in disguise. A flag, never a proof.

Plain rules over known forms in ten languages. What is said in other words passes, and a text about prompt injection may be
flagged: fences, controls and the parity of prompts protect the loop; this only says where to look.
"""

from __future__ import annotations

import re

from autodata_core.lazily import lazy
from autodata_core.safety.decoding import decoded
from autodata_core.safety.folding import fold, fold_shown, look_alikes
from autodata_core.safety.hidden import tag_text, without_hidden
from autodata_core.safety.phrases import addressed, verdict_key
from autodata_core.safety.role_tokens import break_role_tokens, has_role_tokens

__all__ = ["find_instructions", "neutralise"]

_SPREAD = lazy(r"(?<!\w)\w(?:[ .\-_*·]\w){4,}(?!\w)")
_MAYBE_SPREAD = lazy(r"[ .\-_*·]\w[ .\-_*·]\w[ .\-_*·]\w[ .\-_*·]\w(?!\w)")
"""Part of every such run, and quicker to look for."""
_WITH_CASES = lazy("[a-z\u0370-\u058f]")


def find_instructions(text: str) -> tuple[str, ...]:
    """Return what in a text is addressed to a model or tries to hide.

    Returns:
        Sorted names out of `encoded_text` (decoded once, it reads as instructions), `hidden_characters`, `instructions`
        (also when disguised by hidden characters, look-alike letters, digits for letters or blanks between letters) and
        `role_tokens`. Empty when nothing was found, which does not mean that nothing is there.
    """
    flags = set()
    shown = without_hidden(text)
    if shown != text:
        flags.add("hidden_characters")
    if has_role_tokens(shown) or has_role_tokens(text):
        flags.add("role_tokens")
    if _reads_as_instructions(fold_shown(shown)) or _reads_as_instructions(fold(tag_text(text))):
        flags.add("instructions")
    hidden = "\n".join(decoded(text))
    if hidden and (_reads_as_instructions(fold(hidden)) or has_role_tokens(hidden)):
        flags.add("encoded_text")
    return tuple(sorted(flags))


def neutralise(text: str) -> str:
    """Return text for a row: hidden characters gone, chat role tokens broken up, everything else as it was.

    What the text says is left alone; instructions in plain words stay readable.
    """
    return break_role_tokens(without_hidden(text))


def _reads_as_instructions(folded: str) -> bool:
    if verdict_key(folded) or addressed(folded):
        return True
    if _MAYBE_SPREAD.search(folded):
        together = _SPREAD.sub(lambda m: m[0][::2], folded)
        if together != folded and addressed(re.sub(r" {2,}", " ", together)):
            return True
    if not _WITH_CASES.search(folded):
        return False
    alike = look_alikes(folded)
    return alike != folded and addressed(alike)
