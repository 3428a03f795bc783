"""Token counts of a text for one model. Where encodings come from is in `encodings`, the guess in `estimate`."""

from __future__ import annotations

from typing import NamedTuple

from autodata_adapters.tokens.encodings import (
    DEFAULT_ENCODING,
    LoadedEncoding,
    TokenizerUnavailableError,
    encoding_name,
    load_encoding,
)
from autodata_adapters.tokens.estimate import estimate_tokens

__all__ = ["TokenCounter", "TokenizerUnavailableError", "Truncated"]

_MOST_CHARS_PER_TOKEN = 256
"""No token of these encodings is longer (the longest is a run of 128 blanks); longer texts are cut first."""


class Truncated(NamedTuple):
    """A text that fits, and whether something was cut off its end."""

    text: str
    was_cut: bool


class TokenCounter:
    """Counts tokens of `model`, from files that are on this machine.

    Safe to use from many threads. Making the second counter of one encoding costs nothing.

    Args:
        model: As in a recipe: `openai:gpt-4o`, `gpt-4o`, `local:smollm2`. None counts in `o200k_base`.
        exact: Refuse to estimate.
        allow_network: Download the encoding when it is not on this machine.

    Raises:
        TokenizerUnavailableError: `exact` was asked for and the model's own encoding is unknown or not here.
    """

    def __init__(self, model: str | None = None, *, exact: bool = False, allow_network: bool = False) -> None:
        known = encoding_name(model) if model else DEFAULT_ENCODING
        if known is None and exact:
            raise TokenizerUnavailableError(
                f"The tokenizer of model {model!r} is not one of tiktoken's, so an exact count is not possible. "
                "Take exact=True out, or rely on the usage the provider reports."
            )
        self._loaded: LoadedEncoding | None
        try:
            self._loaded = load_encoding(known or DEFAULT_ENCODING, allow_network=allow_network)
        except TokenizerUnavailableError:
            if exact:
                raise
            self._loaded = None
        self._exact = self._loaded is not None and known is not None

    @property
    def exact(self) -> bool:
        """True when counts are those of the model's own encoding, not an approximation."""
        return self._exact

    @property
    def source(self) -> str:
        """Where counts come from: `o200k_base from package litellm`, or `estimate`."""
        return self._loaded.label if self._loaded else "estimate"

    def count(self, text: str) -> int:
        """Return the number of tokens of `text`; special tokens in it count as plain text. Never raises."""
        if self._loaded is None:
            return estimate_tokens(text)
        # Not `encode`: that raises on texts that happen to hold '<|endoftext|>'.
        return len(self._loaded.encoding.encode_ordinary(text))

    def truncate(self, text: str, max_tokens: int) -> Truncated:
        """Return the longest start of `text` that this counter counts as at most `max_tokens`."""
        if max_tokens <= 0:
            return Truncated("", bool(text))
        start = text[: max_tokens * _MOST_CHARS_PER_TOKEN]
        if self._loaded is None:
            fitting = self._longest_estimated(start, max_tokens)
        else:
            fitting = self._longest_encoded(self._loaded, start, max_tokens)
        return Truncated(fitting, len(fitting) < len(text))

    def _longest_encoded(self, loaded: LoadedEncoding, text: str, max_tokens: int) -> str:
        tokens = loaded.encoding.encode_ordinary(text)
        if len(tokens) <= max_tokens:
            return text
        keep = max_tokens
        while keep > 0:
            # A cut inside a multi-byte character leaves bytes that are no text; they are dropped.
            size = len(loaded.encoding.decode_bytes(tokens[:keep]).decode("utf-8", "ignore"))
            # The start of a text may tokenize worse than the whole did, so the count is taken again.
            if self.count(text[:size]) <= max_tokens:
                return text[:size]
            keep -= 1
        return ""

    def _longest_estimated(self, text: str, max_tokens: int) -> str:
        low, high = 0, len(text)
        while low < high:
            middle = (low + high + 1) // 2
            if estimate_tokens(text[:middle]) <= max_tokens:
                low = middle
            else:
                high = middle - 1
        return text[:low]
