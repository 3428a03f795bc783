"""Quoted passages: where one stands in its source, and a check made of that."""

from autodata_core.citations.finding import find_quote
from autodata_core.citations.verifier import CitationVerifier

__all__ = ["CitationVerifier", "find_quote"]
