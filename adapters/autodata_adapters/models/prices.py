"""What known models cost, from a dated table that is shipped beside this file. A model that is not in it has no price here.

Nothing is guessed: neither from a similar name nor from an address of one's own. Counting what was spent is elsewhere.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from importlib.resources import files

__all__ = ["Price", "price_of"]


@dataclass(frozen=True)
class Price:
    """US dollars per million tokens, with the day they were looked up."""

    price_in: float
    price_out: float
    as_of: str
    """ISO date of the table."""
    source: str
    """Where the table comes from, in words."""

    def age_days(self, today: date) -> int:
        """Return how old the price is on `today`, for a report that says so."""
        return (today - date.fromisoformat(self.as_of)).days


def price_of(spec: str, *, base_url: str | None = None) -> Price | None:
    """Return the price of a model, None when the table does not name exactly this one.

    Args:
        spec: As in a recipe: `openai:gpt-5-mini`.
        base_url: The recipe's own address for it, if any: whoever answers there has prices of its own, so none is known.
    """
    return None if base_url else _table().get(spec)


@functools.cache
def _table() -> Mapping[str, Price]:
    read = json.loads(files(__package__).joinpath("prices.json").read_text("utf-8"))
    return {
        spec: Price(price["price_in"], price["price_out"], read["as_of"], read["source"])
        for spec, price in read["models"].items()
    }
