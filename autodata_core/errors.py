"""Exceptions for a broken world: a wrong recipe, a dead provider, a damaged store.

A weak candidate, a wrong answer or an unreadable reply is not here: that is data, a `Verdict` with `Reason`s.

    AutodataError                 exit 1
    ├── RecipeError               the recipe file or object is wrong
    ├── SourceError               a document is missing, unreadable or empty
    ├── RecordError               a value breaks a record's contract
    ├── BudgetError               a budget cannot be kept (no price) or is spent
    ├── MissingExtraError         an optional package is not installed
    ├── ModelError                a model cannot be used at all
    │   ├── ModelAuthError        the key is missing, wrong or without rights
    │   ├── ModelQuotaError       the account has no money or quota left
    │   └── ModelUnreachableError no answer from the endpoint after every retry
    ├── StoreError                the run folder cannot be written, is full or damaged
    │   └── RunLockedError        another process works on it (exit 75)
    └── VerifierError             a verifier failed its own controls
"""

from __future__ import annotations

__all__ = [
    "AutodataError",
    "BudgetError",
    "MissingExtraError",
    "ModelAuthError",
    "ModelError",
    "ModelQuotaError",
    "ModelUnreachableError",
    "RecipeError",
    "RecordError",
    "RunLockedError",
    "SourceError",
    "StoreError",
    "VerifierError",
    "shorten",
]


class AutodataError(Exception):
    """Base of everything this package raises on purpose. The message is one line a user can act on."""

    exit_code = 1
    """Exit status of the command line for this error."""


class RecipeError(AutodataError):
    """The recipe is wrong; the message names the key, what was expected and the nearest known name."""


class SourceError(AutodataError):
    """A source is missing, not text, or empty."""


class RecordError(AutodataError):
    """A value breaks the contract of a record."""


class BudgetError(AutodataError):
    """A budget cannot be kept, or nothing is left of it."""


class MissingExtraError(AutodataError):
    """An optional package is needed and not installed; the message holds the pip line."""

    def __init__(self, package: str, extra: str, what: str) -> None:
        super().__init__(
            f"{what} needs the package {package!r}. Install it with: pip install 'autodata-agents[{extra}]'"
        )


class ModelError(AutodataError):
    """A model cannot be used at all; retrying the same call cannot help."""


class ModelAuthError(ModelError):
    """The provider refused the credentials."""


class ModelQuotaError(ModelError):
    """The provider says that money or quota is used up."""


class ModelUnreachableError(ModelError):
    """The endpoint gave no answer after every retry."""


class StoreError(AutodataError):
    """The run folder cannot be read or written."""


class RunLockedError(StoreError):
    """Another process works on this run folder."""

    exit_code = 75


class VerifierError(AutodataError):
    """A verifier failed its own controls, so nothing it says can be used."""


def shorten(value: object, limit: int = 120) -> str:
    """Return `repr(value)` cut to `limit` characters, for messages that quote what came."""
    try:
        text = repr(value)
    except ValueError:  # an integer with more digits than Python writes
        text = f"<{type(value).__name__} that is too long to show>"
    return text if len(text) <= limit else text[: limit - 1] + "…"
