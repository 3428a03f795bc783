"""P3 at the command: a ceiling that cannot be kept is refused before the first call, and one that is kept ends the run."""

from __future__ import annotations

from pathlib import Path

import pytest

from .conftest import METERED, RECIPE, Nursery, World

PRICES = "".join(
    f"[models.options.{role}]\nprice_in = 10.0\nprice_out = 100.0\n"
    for role in ("challenger", "check", "weak", "strong")
)
BOUND = METERED.replace(
    "self.identity = model, model.identity",
    'self.identity = model, model.identity.model_copy(update={"params": {"max_tokens": 100}})',
)


def priced(path: Path, models: str, budget: str, *, prices: str = PRICES) -> World:
    recipe = RECIPE.replace("[budget]\n", f"[budget]\n{budget}\n").replace("[attempts]", f"{prices}[attempts]")
    return World.create(path / "world", 4, models, recipe)


@pytest.mark.parametrize(("budget", "unit"), [("usd = 1.0", "US dollars"), ("tokens = 100000", "tokens")])
def test_a_ceiling_that_cannot_be_kept_is_refused_before_the_first_call(tmp_path: Path, budget: str, unit: str) -> None:
    world = priced(tmp_path, METERED, budget)
    with Nursery() as nursery:
        for command in ("run", "check"):
            ended = world.raised_by(nursery).command(
                command, world.path / "recipe.toml", *(["--out", world.out] if command == "run" else [])
            )
            assert ended.code == 1
            told = ended.one_line() if command == "run" else ended.out
            assert f"A ceiling in {unit} needs a bound on every reply, and 'scripted/challenger' is told none" in told
            # A check asks each model once, whatever it finds.
            assert len(world.billed()) == (0 if command == "run" else 4)


def test_a_run_ends_at_its_ceiling_and_goes_on_with_a_higher_one(tmp_path: Path) -> None:
    world = priced(tmp_path, BOUND, "usd = 0.15")
    with Nursery() as nursery:
        world = world.raised_by(nursery)
        ended = world.run()
        assert ended.code == 0, ended.err
        assert "budget.usd = 0.15 is spent" in ended.out
        few, calls = len(world.dataset().splitlines()), world.heard()
        assert few < 4
        ended = world.run("--budget-usd", 50)
        assert (ended.code, len(world.ids())) == (0, 4)
    assert world.heard() > calls
    assert max(world.billed().values()) == 1
