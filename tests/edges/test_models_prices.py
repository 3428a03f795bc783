"""The price table: dated, exact, never guessed."""

from __future__ import annotations

import json
import re
from datetime import date
from importlib.resources import files

import pytest

from autodata_adapters.models.prices import price_of

TABLE = json.loads(files("autodata_adapters.models").joinpath("prices.json").read_text("utf-8"))


def test_a_known_model_has_a_price_with_its_date_and_source() -> None:
    price = price_of("openai:gpt-5-mini")
    assert price is not None
    assert (price.price_in, price.price_out, price.as_of) == (0.25, 2.0, TABLE["as_of"])
    assert "check your provider" in price.source
    assert price.age_days(date.fromisoformat(price.as_of)) == 0
    assert price.age_days(date(2030, 1, 1)) > 0


@pytest.mark.parametrize(
    "spec",
    [
        "openai:gpt-5-mini-next",
        "openai:gpt-5-min",
        "OpenAI:gpt-5-mini",
        " openai:gpt-5-mini",
        "gpt-5-mini",
        "azure_openai:gpt-5-mini",
        "local:smollm2",
        "",
    ],
)
def test_a_similar_name_is_no_price(spec: str) -> None:
    assert price_of(spec) is None


def test_an_address_of_ones_own_has_prices_of_its_own() -> None:
    assert price_of("openai:gpt-5-mini", base_url="http://127.0.0.1:8000/v1") is None
    assert price_of("openai:gpt-5-mini", base_url="") is not None


def test_the_table_is_whole() -> None:
    assert set(TABLE) == {"as_of", "source", "models"}
    date.fromisoformat(TABLE["as_of"])
    assert len(TABLE["models"]) >= 20
    for spec, price in TABLE["models"].items():
        assert re.fullmatch(r"(openai|anthropic):[a-z0-9.\-]+", spec)
        assert set(price) == {"price_in", "price_out"}
        assert 0 < price["price_in"] < price["price_out"] < 1000, "output costs more than input everywhere in the table"
