"""The recipe file: every wrong key or value is one line that helps, and a secret never goes through."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from autodata_core.errors import RecipeError
from autodata_core.recipe_file import RecipeFile

GOOD: dict[str, Any] = {
    "name": "units",
    "domain": "math_objects",
    "policy": "exact_counts",
    "seed": 7,
    "sources": {"files": ["corpus/*.md"]},
    "models": {
        "challenger": "openai:m",
        "weak": "local:smollm2",
        "strong": "openai:m",
        "judge": "openai:m",
        "options": {"weak": {"temperature": 1.0, "max_tokens": 100, "api_key_env": "MY_KEY", "price_in": 1}},
    },
    "attempts": {"weak": 3, "strong": 3},
    "budget": {"usd": 5.0, "rounds": 8},
    "coverage": {"embedder": "hashing", "near_duplicate": 0.9},
}

TOML = """
name = "units"
domain = "math_objects"
policy = "exact_counts"
[sources]
files = ["corpus/*.md"]
[models]
challenger = "openai:m"
weak = "local:smollm2"
strong = "openai:m"
judge = "openai:m"
[models.options.weak]
temperature = 1.0
[attempts]
weak = 3
strong = 3
[budget]
usd = 5.0
rounds = 8
[coverage]
embedder = "hashing"
near_duplicate = 0.90
"""

GONE = object()


def with_(path: str, value: Any) -> dict[str, Any]:
    made = copy.deepcopy(GOOD)
    table = made
    *above, last = path.split("/")
    for key in above:
        table = table.setdefault(key, {})
    if value is GONE:
        del table[last]
    else:
        table[last] = value
    return made


def refused(found: dict[str, Any]) -> str:
    with pytest.raises(RecipeError) as caught:
        RecipeFile.from_mapping(found).rules()
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 600
    return message


def test_the_recipe_of_the_design_is_read() -> None:
    found = RecipeFile.from_toml(TOML)
    rules = found.rules()
    assert rules.policy.name == "exact_counts"
    assert (rules.protocol.weak_attempts, rules.protocol.strong_attempts, rules.protocol.rounds) == (3, 3, 8)
    assert found.roles() == {
        "challenger": "openai:m",
        "weak": "local:smollm2",
        "strong": "openai:m",
        "judge": "openai:m",
        "check": "openai:m",
    }


def test_a_whole_recipe_is_read() -> None:
    rules = RecipeFile.from_mapping(GOOD).rules()
    assert rules.protocol.seed == 7
    assert rules.protocol.quality_check


@pytest.mark.parametrize(
    ("path", "near"),
    [
        ("nmae", "name"),
        ("polcy", "policy"),
        ("source", "sources"),
        ("model", "models"),
        ("atempts", "attempts"),
        ("budgets", "budget"),
        ("sources/file", "files"),
        ("sources/licens", "licence"),
        ("models/challanger", "challenger"),
        ("models/week", "weak"),
        ("models/option", "options"),
        ("attempts/wek", "weak"),
        ("budget/usdd", "usd"),
        ("budget/round", "rounds"),
        ("coverage/embeder", "embedder"),
        ("coverage/near_duplicates", "near_duplicate"),
        ("texts/challengr", "challenger"),
        ("models/options/week", "weak"),
        ("models/options/weak/temprature", "temperature"),
        ("models/options/weak/max_token", "max_tokens"),
        ("models/options/weak/api_key_envv", "api_key_env"),
    ],
)
def test_an_unknown_key_is_answered_by_the_nearest(path: str, near: str) -> None:
    value: Any = {} if path.count("/") == 0 and path not in ("nmae", "polcy") else "x"
    message = refused(with_(path, {} if path == "models/options/week" else value))
    assert f"Did you mean '{near}'?" in message
    assert path.rsplit("/", maxsplit=1)[-1] in message


def test_a_misspelt_key_is_named_rather_than_the_missing_one() -> None:
    found = with_("models/weak", GONE)
    found["models"]["week"] = "local:smollm2"
    assert "Did you mean 'weak'?" in refused(found)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("name", GONE),
        ("name", ""),
        ("name", "a b"),
        ("name", "../x"),
        ("name", 5),
        ("name", "x" * 65),
        ("domain", GONE),
        ("domain", 5),
        ("domain", ""),
        ("domain", "math_object"),
        ("policy", 5),
        ("policy", ""),
        ("policy", {}),
        ("policy", "prose"),
        ("policy", {"gap": 0.2}),
        ("policy", {"gap_min": 2, "weak_mean_max": 0.5}),
        ("seed", -1),
        ("seed", 1.5),
        ("seed", "1"),
        ("seed", 2**31),
        ("sources", GONE),
        ("sources", []),
        ("sources", {}),
        ("sources/files", "corpus/*.md"),
        ("sources/files", []),
        ("sources/files", [5]),
        ("sources/loader", "package:OBJECT"),  # beside files
        ("sources/examples_per_source", 0),
        ("sources/chunk_tokens", 99),
        ("models", GONE),
        ("models", "openai:m"),
        ("models/weak", GONE),
        ("models/weak", ""),
        ("models/weak", 5),
        ("models/strong", None),
        ("models/options", []),
        ("models/options/weak", "x"),
        ("models/options/weak/temperature", -1),
        ("models/options/weak/temperature", "1"),
        ("models/options/weak/temperature", True),
        ("models/options/weak/temperature", float("nan")),
        ("models/options/weak/temperature", float("inf")),
        ("models/options/weak/timeout_s", float("inf")),
        ("models/options/weak/price_in", float("nan")),
        ("models/options/weak/price_in", float("inf")),
        ("models/options/weak/price_out", "free"),
        ("models/options/weak/max_tokens", 0),
        ("models/options/weak/max_tokens", 1.5),
        ("models/options/weak/max_tokens", True),
        ("models/options/weak/max_concurrency", 0),
        ("models/options/weak/retries", -1),
        ("models/options/weak/retries", 1.5),
        ("models/options/weak/base_url", 5),
        ("models/options/weak/api_key_env", 5),
        ("models/options/weak/api_key_env", ""),
        ("models/options/check", {"temperature": "x"}),
        ("attempts/weak", 0),
        ("attempts/weak", 65),
        ("attempts/strong", "3"),
        ("budget/usd", -1),
        ("budget/usd", "5"),
        ("budget/usd", float("nan")),
        ("budget/usd", float("inf")),
        ("budget/usd", True),
        ("budget/rounds", 0),
        ("budget/calls", 0),
        ("budget/tokens", 0),
        ("budget/minutes", -1),
        ("coverage/near_duplicate", 0),
        ("coverage/near_duplicate", 1.1),
        ("coverage/embedder", 5),
        ("texts/challenger", ""),
        ("texts/check", 5),
    ],
)
def test_a_wrong_value_is_one_line_that_names_the_key(path: str, value: Any) -> None:
    message = refused(with_(path, value))
    assert path.split("/", maxsplit=1)[0] in message or path.rsplit("/", maxsplit=1)[-1] in message


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("models/options/weak/temperature", 0),
        ("models/options/weak/retries", 0),
        ("budget/usd", 0),
        ("coverage/near_duplicate", 1),
        ("models/judge", GONE),
        ("models/check", "openai:other"),
        ("policy", GONE),
        ("policy", {"gap_min": 0.2}),
        ("attempts", GONE),
        ("sources", {"loader": "package.module:OBJECT"}),
        ("texts/challenger", "Write one question."),
    ],
)
def test_a_value_at_its_bound_is_taken(path: str, value: Any) -> None:
    RecipeFile.from_mapping(with_(path, value)).rules()


SECRET = "sk-proj-0123456789abcdefghij"


@pytest.mark.parametrize(
    "path",
    [
        "models/options/weak/api_key",
        "models/options/weak/API_KEY",
        "models/options/weak/apikey",
        "models/options/weak/api-key",
        "models/options/weak/token",
        "models/options/weak/headers/Authorization",
        "models/options/weak/password",
        "models/options/weak/api_key_env",  # the key itself where its variable's name belongs
        "models/api_key",
        "api_key",
        "sources/token",
        "texts/secret",
        "models/options/weak/base_url",
    ],
)
def test_a_secret_in_the_file_is_refused_and_not_repeated(path: str) -> None:
    value = f"https://user:{SECRET}@host/v1" if path.endswith("base_url") else SECRET
    message = refused(with_(path, value))
    assert SECRET not in message


def test_a_program_may_have_options_of_its_own_but_no_secrets() -> None:
    found = with_("models/weak", "program:exact")
    found["models"]["options"]["weak"] = {"noise": 0.2}
    RecipeFile.from_mapping(found)
    for key in ("api_key", "api-key", "Authorization"):
        found["models"]["options"]["weak"] = {key: SECRET}
        assert SECRET not in refused(found)


def test_options_for_a_role_that_nobody_plays_are_refused() -> None:
    found = with_("models/judge", GONE)
    found["models"]["options"]["judge"] = {"temperature": 0}
    assert "no model plays 'judge'" in refused(found)


def test_a_rubric_domain_needs_a_judge_and_a_checked_one_does_without() -> None:
    found = with_("models/judge", GONE)
    assert RecipeFile.from_mapping(found).rules().protocol.quality_check is False
    assert "judge" in refused({**found, "domain": "cs_research", "policy": "deployed_c1"})


@pytest.mark.parametrize(
    "text", ["name = ", "[", "name = 'a'\nname = 'b'", "a = 1\n[a]\nb = 2", "\x00", "= 1", "[models]\n[models]", '"""']
)
def test_what_is_no_toml_is_one_line(text: str) -> None:
    with pytest.raises(RecipeError, match="not valid TOML") as caught:
        RecipeFile.from_toml(text)
    assert "\n" not in str(caught.value)


def test_an_empty_file_names_what_it_lacks() -> None:
    with pytest.raises(RecipeError, match="lacks 'name'"):
        RecipeFile.from_toml("")
