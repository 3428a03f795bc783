"""From what providers return to the fields of a `ModelReply`: text, finish reason, tokens, money. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from autodata_core.errors import RecipeError
from autodata_core.records import FinishReason, Message, Usage

__all__ = ["Prices", "clean_text", "finish_reason", "text_of", "usage_of"]

_MOST_TOKENS = 10**9
"""More than any call can have: a provider that says so is not believed."""

_FINISH: dict[str, FinishReason] = {
    "stop": "stop",
    "stop_sequence": "stop",
    "end_turn": "stop",
    "eos": "stop",
    "eos_token": "stop",
    "complete": "stop",
    "completed": "stop",
    "length": "length",
    "max_tokens": "length",
    "max_output_tokens": "length",
    "model_length": "length",
    "incomplete": "length",
    "content_filter": "content_filter",
    "refusal": "content_filter",
    "safety": "content_filter",
    "recitation": "content_filter",
    "blocklist": "content_filter",
    "prohibited_content": "content_filter",
    "guardrail_intervened": "content_filter",
}


@dataclass(frozen=True)
class Prices:
    """USD per million tokens; None where nobody gave a price, which costs 0 here (a budget refuses that elsewhere)."""

    price_in: float | None = None
    price_out: float | None = None

    def __post_init__(self) -> None:
        for name, value in (("price_in", self.price_in), ("price_out", self.price_out)):
            if value is not None and not 0 <= value < float("inf"):
                raise RecipeError(f"{name} is USD per million tokens, 0 or more; got {value!r}.")

    def cost_usd(self, input_tokens: int, output_tokens: int) -> float:
        return (input_tokens * (self.price_in or 0.0) + output_tokens * (self.price_out or 0.0)) / 1e6


def finish_reason(value: object) -> FinishReason:
    """Return why a model stopped, `unknown` for anything that is not one of the known words."""
    return _FINISH.get(value.lower(), "unknown") if isinstance(value, str) else "unknown"


def clean_text(text: str) -> str:
    """Return `text` as valid Unicode: a lone surrogate cannot be stored or sent."""
    return text.encode("utf-8", "replace").decode("utf-8")


def text_of(content: object) -> str:
    """Return the answer in a message's content: the text blocks, joined. Reasoning is not the answer and is left out."""
    if isinstance(content, str):
        return clean_text(content)
    parts: list[str] = []
    for block in content if isinstance(content, (list, tuple)) else ():
        if isinstance(block, str):
            parts.append(block)
        elif isinstance(block, dict) and block.get("type") in ("text", "output_text"):
            value = block.get("text")
            parts.append(value if isinstance(value, str) else "")
    return clean_text("".join(parts))


def usage_of(
    input_tokens: object, output_tokens: object, *, asked: Iterable[Message], text: str, prices: Prices
) -> Usage:
    """Return the usage of one call.

    Args:
        input_tokens: What the provider said; anything but a sane count means it did not say.
        output_tokens: The same for the reply.
        asked: The messages, to estimate what the provider did not say.
        text: The reply, likewise.
        prices: For the cost.
    """
    said_in, said_out = _count(input_tokens), _count(output_tokens)
    # A provider that did not count a non-empty reply did not count at all.
    if said_out == 0 and text.strip():
        said_out = None
    if said_in is None:
        said_in = sum(_estimate(message.content) + 4 for message in asked)
        estimated = True
    else:
        estimated = False
    if said_out is None:
        said_out, estimated = _estimate(text), True
    return Usage(
        calls=1,
        input_tokens=said_in,
        output_tokens=said_out,
        cost_usd=prices.cost_usd(said_in, said_out),
        estimated=estimated,
    )


def _count(value: Any) -> int | None:
    usable = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MOST_TOKENS
    return value if usable else None


def _estimate(text: str) -> int:
    from autodata_adapters.tokens.estimate import estimate_tokens

    return estimate_tokens(text)
