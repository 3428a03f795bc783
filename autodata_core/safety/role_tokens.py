"""Marks by which chat templates say who speaks. In a document they can make a model take text for a turn of the chat."""

from __future__ import annotations

import re

from autodata_core.lazily import lazy

__all__ = ["break_marks", "break_role_tokens", "has_role_tokens"]

_NAMES = (
    "start_of_turn|end_of_turn|start_of_image|tool_calls?|tool_response|function_calls?|think|system_prompt|"
    "system[-_]reminder|assistant"
)
_CERTAIN = (
    r"<[|｜][\w▁/-]{1,40}[|｜]>"  # ChatML, Llama 3, Phi, Command R; DeepSeek with wide bars
    rf"|</?(?:{_NAMES})>"  # Gemma, tool calls, reasoning
    r"|\[/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS)\]"  # Mistral, Llama 2
    r"|<</?SYS>>"
)
_TOKEN = lazy(_CERTAIN, re.IGNORECASE)
# Ordinary markup too, so no flag; broken up all the same.
_PERHAPS = lazy(_CERTAIN + r"|<\|[^|<>\n‹›]{1,40}\|>|</?(?:s|system|user|bos|eos)>", re.IGNORECASE)
_HEADING = lazy(r"^(#{2,4}[ \t]*)(Instruction|Response|Human|Assistant|System|User|Input)(:)", re.I | re.M)
_TURN = lazy(r"^([ \t]*)(Human|User|System|Assistant|AI)([ \t]*:)", re.MULTILINE)
_ASKS, _ANSWERS = {"Human", "User", "System"}, {"Assistant", "AI"}


def has_role_tokens(text: str) -> bool:
    """Return whether `text` holds a chat template's mark, an instruction heading, or turns of a chat."""
    if ("<" in text or "[" in text) and _TOKEN.search(text):
        return True
    return ("#" in text and any(m[2].lower() != "input" for m in _HEADING.finditer(text))) or _has_turns(text)


def break_role_tokens(text: str) -> str:
    """Return `text` in which neither such a mark nor a chat's turns and headings are left whole."""
    text = _HEADING.sub(r"\1‹\2›\3", break_marks(text))
    return _TURN.sub(r"\1‹\2›\3", text) if _has_turns(text) else text


def break_marks(text: str) -> str:
    """Return `text` in which no mark of a chat template is left whole: `<|im_start|>` becomes `‹|im_start|›`."""
    return _PERHAPS.sub(lambda m: m[0].replace("<", "‹").replace(">", "›").replace("[", "‹").replace("]", "›"), text)


def _has_turns(text: str) -> bool:
    """Return whether both sides of a chat begin lines; one alone is a word with a colon."""
    if "Assistant" not in text and "AI" not in text:
        return False
    sides = {m[2] for m in _TURN.finditer(text)}
    return bool(sides & _ASKS and sides & _ANSWERS)
