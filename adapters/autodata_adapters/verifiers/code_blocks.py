"""Takes the code out of an answer: its one fenced block, or the whole text when nothing is fenced.

Nothing is guessed: two blocks that could be meant are a fault, not a choice. Whether the code is any good is not asked here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["CODE_MAX", "Block", "CodeFound", "blocks_in", "code_in"]

CODE_MAX = 50_000
"""Characters of an answer that is read."""

_FENCE = re.compile(r"^( {0,3})(`{3,}|~{3,})[ \t]*([^`\r\n]*?)[ \t]*$")


@dataclass(frozen=True)
class Block:
    """One fenced block."""

    language: str
    """First word behind the opening fence, lower case; empty when there is none."""
    text: str
    closed: bool
    """False when the answer ends before the block does."""


@dataclass(frozen=True)
class CodeFound:
    """The code of an answer, or why there is none. Exactly one of both is not empty."""

    code: str = ""
    fault: str = ""


def blocks_in(text: str) -> Iterator[Block]:
    """Yield the fenced blocks of a text as CommonMark reads them, those inside lists and quotations apart."""
    language, fence, indent = "", "", 0
    held: list[str] = []
    for line in text.replace("\r\n", "\n").split("\n"):
        found = _FENCE.match(line)
        if not fence:
            if found:
                fence, indent, held = found[2], len(found[1]), []
                language = next(iter(found[3].lower().split()), "").strip("{}.")
        elif found and not found[3] and found[2].startswith(fence):
            yield Block(language, "\n".join(held), closed=True)
            fence = ""
        else:
            held.append(line[min(indent, len(line) - len(line.lstrip(" "))) :])
    if fence:
        yield Block(language, "\n".join(held), closed=False)


def code_in(answer: str, languages: frozenset[str]) -> CodeFound:
    """Return the code of an answer.

    Args:
        answer: As a solver wrote it, perhaps with prose around one fenced block.
        languages: What a block of this code may call itself, lower case. A block without a name counts only when none has
            one of these; blocks of other languages are passed over.
    """
    if len(answer) > CODE_MAX:
        return CodeFound(fault=f"longer than {CODE_MAX:,} characters")
    try:
        answer.encode()
    except UnicodeEncodeError:
        return CodeFound(fault="not valid Unicode")
    blocks = list(blocks_in(answer))
    if not blocks:
        return CodeFound(code=answer) if answer.strip() else CodeFound(fault="no code in it")
    named = [block for block in blocks if block.language in languages]
    meant = named or [block for block in blocks if not block.language]
    if len(meant) != 1:
        return CodeFound(fault=f"{len(meant)} blocks of code, wanted one")
    if not meant[0].closed:
        return CodeFound(fault="the block of code never ends")
    return CodeFound(code=meant[0].text) if meant[0].text.strip() else CodeFound(fault="the block of code is empty")
