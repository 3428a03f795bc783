"""Counting tokens without a network. What a count is used for lives elsewhere."""

from autodata_adapters.tokens.counter import TokenCounter, TokenizerUnavailableError, Truncated

__all__ = ["TokenCounter", "TokenizerUnavailableError", "Truncated"]
