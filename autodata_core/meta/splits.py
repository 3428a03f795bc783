"""Which sources the search may learn from, compare on, and never see: train, validation and test, by hash of the source.

What is done with each is in `search`. The test part is a type of its own: only a search that has ended can open it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field, StrictInt, StrictStr, model_validator

from autodata_core.errors import RecipeError
from autodata_core.records import Record, Source, fingerprint

__all__ = ["FEWEST", "Finalist", "SealedSources", "Shares", "Splits", "split_sources"]

FEWEST = 6
"""Fewest sources for validation and for test: an exact paired test over five cannot come out below 0.03. Ours."""

_Share = Annotated[float, Field(gt=0, lt=1)]


class Shares(Record):
    """Expected share of the sources in each part; together 1."""

    train: _Share = 0.4
    validation: _Share = 0.3
    test: _Share = 0.3

    @model_validator(mode="after")
    def _whole(self) -> Shares:
        if abs(self.train + self.validation + self.test - 1) > 1e-9:
            raise ValueError("the shares of train, validation and test add up to 1")
        return self


class Finalist(Record):
    """The end of a search: what is measured on the test part, and that nothing is chosen any more."""

    baseline: StrictStr
    """Version of the recipe that the search began with."""
    chosen: StrictStr
    """Version of the recipe that it ended with; the baseline where nothing was better."""
    iterations: StrictInt
    """That were finished."""
    asked: StrictInt
    """That were asked for when it ended; more can be had in another folder only."""


class SealedSources:
    """The test sources. They show their number and hash; their texts only to a search that has ended, and only to one."""

    __slots__ = ("__opened", "__sources", "sha256")

    def __init__(self, sources: Sequence[Source], opened_for: Finalist | None = None) -> None:
        self.__sources = tuple(sources)
        self.__opened = opened_for
        self.sha256 = fingerprint([[s.id, s.sha256] for s in sources])

    def __len__(self) -> int:
        return len(self.__sources)

    def __repr__(self) -> str:
        return f"SealedSources({len(self)} sources, {self.sha256[:12]})"

    @property
    def opened_for(self) -> Finalist | None:
        """For whom they were opened, None while they are sealed."""
        return self.__opened

    def open(self, finalist: Finalist) -> tuple[Source, ...]:
        """Return the sources to measure a finalist on.

        Raises:
            RecipeError: They were opened for another finalist: a second choice would be made by what the test said.
        """
        if not isinstance(finalist, Finalist):
            raise RecipeError(
                "Test sources are opened by the finalist of a search that has ended, and by nothing else."
            )
        if self.__opened is not None and self.__opened != finalist:
            raise RecipeError(
                f"The test sources were read already, for recipe {self.__opened.chosen[:12]} after "
                f"{self.__opened.iterations} iterations. A gain measured on them again would be chosen by them. "
                "Start in another folder, with sources that this search has not seen."
            )
        self.__opened = finalist
        return self.__sources


@dataclass(frozen=True)
class Splits:
    """The sources of a search. No source, and no part of one document, is in two of them."""

    train: tuple[Source, ...]
    """Read in full by the analyzer."""
    validation: tuple[Source, ...]
    """Parent and child are compared on these; nobody reads them."""
    test: SealedSources


def split_sources(
    sources: Iterable[Source], shares: Shares | None = None, *, seed: int = 0, opened_for: Finalist | None = None
) -> Splits:
    """Return the sources in three parts.

    A source goes where the hash of its document says, so that adding sources moves none. Parts of one document (`id#n`) and
    equal texts stay together.

    Raises:
        RecipeError: A part is too small to say anything.
    """
    shares = shares or Shares()
    made = sorted(sources, key=lambda source: source.id)
    groups = _groups(made)
    parts: dict[str, list[Source]] = {"train": [], "validation": [], "test": []}
    for source in made:
        point = int(fingerprint([seed, groups[source.id]])[:13], 16) / 16**13
        name = "train" if point < shares.train else "validation" if point < shares.train + shares.validation else "test"
        parts[name].append(source)
    for name, fewest in (("train", 1), ("validation", FEWEST), ("test", FEWEST)):
        if len(parts[name]) < fewest:
            raise RecipeError(
                f"Only {len(parts[name])} of {len(made)} sources fall to {name}, at least {fewest} are needed to measure "
                f"anything ({_counts(parts)}). Give more sources, or another seed."
            )
    return Splits(tuple(parts["train"]), tuple(parts["validation"]), SealedSources(parts["test"], opened_for))


def _groups(sources: Sequence[Source]) -> dict[str, str]:
    """Return, by source id, the name of the group it belongs to: same document, or same text."""
    leader: dict[str, str] = {}

    def find(name: str) -> str:
        while leader.setdefault(name, name) != name:
            name = leader[name]
        return name

    for source in sources:
        document = f"d:{source.id.rpartition('#')[0] or source.id}"
        one, other = sorted((find(document), find(f"t:{source.sha256}")))
        leader[other] = one
    return {source.id: find(f"t:{source.sha256}") for source in sources}


def _counts(parts: dict[str, list[Source]]) -> str:
    return ", ".join(f"{name} {len(found)}" for name, found in parts.items())
