"""What to do about what is found: the rules that a recipe's owner sets for sources and rows. Applied in `screens`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, StrictStr, field_validator

from autodata_core.records import Record
from autodata_core.safety.personal_data import PersonalDataKind
from autodata_core.safety.terms import usable_term

__all__ = ["Action", "SafetyRules"]

Action = Literal["flag", "mask", "refuse", "ignore"]
"""`flag` says so and goes on, `mask` replaces it, `refuse` takes the whole text out, `ignore` does not look."""

_REFUSED_UNLESS_SAID: tuple[PersonalDataKind, ...] = ("card", "secret")


class SafetyRules(Record):
    """Every rule has a default that changes no text: what is found is flagged; secrets and payment cards are refused."""

    personal_data: dict[PersonalDataKind, Action] = Field(default_factory=dict)
    """By kind. A kind that is not named is flagged, `secret` and `card` are refused. Names and postal addresses are no
    kind: nothing here finds them."""
    instructions: Literal["flag", "refuse"] = "flag"
    """What is done about text that reads like an instruction to a model, plain or encoded. Prose about such texts is
    flagged now and then, so refusing costs some honest documents."""
    negative_list: tuple[StrictStr, ...] = Field(default=(), max_length=5_000)
    """Terms that no text may hold, as whole words whatever their case, accents and hyphens; `*` at the end stands for any
    ending. A text with one is refused."""
    licences: tuple[StrictStr, ...] | None = None
    """SPDX names of licences that sources may have; None allows all. With a list, an unknown licence is refused."""
    attributes: dict[StrictStr, dict[StrictStr, tuple[StrictStr, ...]]] = Field(default_factory=dict)
    """Lists of words whose frequency is reported: `{"gender": {"female": ["she", "woman*"], "male": ["he", "man"]}}`."""

    @field_validator("negative_list")
    @classmethod
    def _terms_can_match(cls, terms: tuple[str, ...]) -> tuple[str, ...]:
        for term in terms:
            if not usable_term(term) or len(term) > 200:
                raise ValueError(f"term {term[:40]!r} needs a letter or digit and has at most 200 characters")
        return terms

    @field_validator("attributes")
    @classmethod
    def _words_can_match(
        cls, attributes: dict[str, dict[str, tuple[str, ...]]]
    ) -> dict[str, dict[str, tuple[str, ...]]]:
        for values in attributes.values():
            for words in values.values():
                cls._terms_can_match(words)
        return attributes

    def action(self, kind: PersonalDataKind) -> Action:
        """Return what is done about a kind of personal data."""
        return self.personal_data.get(kind, "refuse" if kind in _REFUSED_UNLESS_SAID else "flag")
