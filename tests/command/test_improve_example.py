"""The example whose weak solver is a local model: offline with a scripted one in its place, and once with the real one."""

import json
import re
import shutil

import pytest

from .conftest import ROOT

EXAMPLE = ROOT / "examples" / "improve"

WEAK = '''
from autodata_adapters.models.programs import create_program
from autodata_core.testing import ScriptedModel

exact = create_program("exact", {})


def answer(request):
    """Read single figures off the text, and fail at everything that has to be worked out."""
    plain = re.search("text|^What is the [a-z ]+, in [a-z]+[?]$", request.view["question"])
    return exact.complete(request) if plain else {"answer": "1"}


import re
WEAK = ScriptedModel(answer, name="scripted/weak")
'''


@pytest.fixture
def example(tmp_path):
    """The example in a folder of its own, and a function that changes its recipe file."""
    folder = tmp_path / "improve"
    shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns("__pycache__", "*.md"))
    path = folder / "search.toml"

    def change(*changes):
        text = path.read_text()
        for old, new in changes:
            assert re.search(old, text), old
            text = re.sub(old, new, text)
        path.write_text(text)
        return path

    return change


def test_offline_the_example_finds_that_reading_off_is_too_easy(autodata, example, tmp_path):
    recipe = example(
        ('weak = "local:smollm2"', 'weak = "readers:WEAK"'), (r"\[models.options.weak\]\n.*\n.*\n", ""),
        ("iterations = 8", "iterations = 2"), ("test_repeats = 2", "test_repeats = 1\nminibatch = 4"),
    )  # fmt: skip
    (recipe.parent / "readers.py").write_text(WEAK)
    out = tmp_path / "search"
    said = autodata("optimize", recipe, "--out", out)
    assert said.code == 0, said.err
    report = json.loads((out / "optimize.json").read_text())["report"]
    assert report["significant"]
    assert report["acceptance"]["low"] > 0
    notes = autodata("recipe", "notes", out).out
    assert "TOO_EASY" in notes
    assert re.search(r"^-- start with: look_up\n\+- start with: \w+$", notes, re.MULTILINE)
    assert "| rows by type of question |" in notes
    assert "no quality check takes part" in notes


@pytest.mark.real_model
def test_with_the_local_model_the_example_ends_with_a_measured_effect_whatever_it_is(autodata, example, tmp_path):
    recipe = example(
        ("iterations = 8", "iterations = 1\nconcurrent_iterations = 1"), ("test_repeats = 2", "test_repeats = 1\nminibatch = 4"),
        (r"leaflets:SOURCES", "leaflets:FEW"), ("concurrency = 4", "concurrency = 4\nalphas = [0.04]"),
    )  # fmt: skip
    with (recipe.parent / "leaflets.py").open("a") as file:
        file.write("\nFEW = SOURCES[:40]\n")
    out = tmp_path / "search"
    said = autodata("optimize", recipe, "--out", out)
    assert said.code == 0, said.err
    found = json.loads((out / "optimize.json").read_text())
    report = found["report"]
    recipes = {report["finalist"]["baseline"], report["finalist"]["chosen"]}
    assert found["evaluations"]["test"] == len(recipes) * report["sources"] > 0
    assert report["acceptance"]["low"] <= report["acceptance"]["gain"] <= report["acceptance"]["high"]
    assert report["before"]["calls"] > report["before"]["evaluations"]
    assert "weak local:smollm2" in autodata("recipe", "notes", out, report["finalist"]["chosen"]).out
