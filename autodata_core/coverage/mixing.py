"""Human rows among made ones, at a given share in every stratum: what keeps a data set from learning only from itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Generic, TypeVar

from autodata_core.errors import RecipeError
from autodata_core.records import fingerprint

__all__ = ["Mixed", "Stratum", "mix"]

Row = TypeVar("Row")


@dataclass(frozen=True)
class Stratum:
    """What one stratum got."""

    name: str
    made: int
    human: int
    short: int
    """Human rows that it lacks for its share, because there were no more."""

    @property
    def share(self) -> float:
        """Share of human rows, in [0, 1]; 0 of none."""
        return self.human / (self.made + self.human) if self.made + self.human else 0.0


@dataclass(frozen=True)
class Mixed(Generic[Row]):
    """A mixture, and how it came out."""

    rows: tuple[Row, ...]
    """In an order that the seed decides, the same for the same rows."""
    strata: tuple[Stratum, ...]

    @property
    def short(self) -> int:
        return sum(stratum.short for stratum in self.strata)


def mix(
    rows: Sequence[Row],
    human: Sequence[Row],
    share: float,
    *,
    strata: Callable[[Row], str] = lambda row: "",
    seed: int = 0,
    name: Callable[[Row], Any] = lambda row: row,
) -> Mixed[Row]:
    """Return all made rows with as many human ones as their share asks for, stratum by stratum.

    Args:
        rows: Made rows; all of them are kept.
        human: Human rows to draw from, without putting back; a stratum never takes another's.
        share: Of human rows in the mixture, in [0, 1).
        strata: Names the stratum of a row, such as its cell. A stratum of human rows alone gives none.
        seed: Chooses which human rows, and the order.
        name: Tells a row from others, as plain JSON; needed when rows are not plain JSON themselves.

    Raises:
        RecipeError: The share is not in [0, 1).
    """
    if not 0 <= share < 1:
        raise RecipeError(f"The share of human rows is 0 or more and below 1, got {share!r}.")
    part = Fraction(str(share))
    made_by, human_by = _by_stratum(rows, strata), _by_stratum(human, strata)
    chosen: list[Row] = list(rows)
    lines: list[Stratum] = []
    for stratum in sorted(made_by):
        made = made_by[stratum]
        # h / (m + h) = share, rounded to the nearest whole row
        wanted = int(part * len(made) / (1 - part) + Fraction(1, 2))
        pool = sorted(human_by.get(stratum, []), key=lambda row: fingerprint([seed, "human", name(row)]))
        taken = pool[:wanted]
        chosen += taken
        lines.append(Stratum(stratum, len(made), len(taken), wanted - len(taken)))
    chosen.sort(key=lambda row: fingerprint([seed, "order", name(row)]))
    return Mixed(tuple(chosen), tuple(lines))


def _by_stratum(rows: Sequence[Row], strata: Callable[[Row], str]) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(strata(row), []).append(row)
    return found
