"""What people read is true: examples run, README's code compiles, its picture is the graph's, its commands exist."""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from autodata_core import PRESETS, RecipeFile

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")


@pytest.mark.parametrize(
    "name",
    [
        "dspy_loop.py",
        "langgraph_subgraph.py",
        "langgraph_dataset.py",
        "langgraph_steered.py",
        "draw_graph.py",
        "code/verify_code.py",
        "langgraph_checkpointed.py",
    ],
)
def test_an_example_runs_offline(name):
    done = subprocess.run([sys.executable, ROOT / "examples" / name], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


def test_the_picture_in_the_readme_is_drawn_from_the_graph():
    drawn = subprocess.run(
        [sys.executable, ROOT / "examples" / "draw_graph.py"], capture_output=True, text=True, check=True
    ).stdout
    assert drawn.strip() in README


def test_the_code_of_the_readme_imports_only_what_exists():
    blocks = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert len(blocks) == 2
    for block in blocks:
        tree = ast.parse(block)
        assert len([line for line in block.splitlines() if line.strip()]) <= 12
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module.startswith("autodata"):
                module = __import__(node.module, fromlist=["*"])
                assert all(hasattr(module, name.name) for name in node.names)


@pytest.mark.parametrize("path", sorted(ROOT.glob("examples/*/recipe.toml")), ids=lambda p: p.parent.name)
def test_an_example_recipe_is_valid_and_its_documents_exist(path):
    file = RecipeFile.from_toml(path.read_text("utf-8"))
    assert file.rules().policy.name in PRESETS
    assert list(path.parent.glob(file.sources.files[0]))


def test_the_recipe_reference_names_every_preset_and_parses():
    page = (ROOT / "docs" / "recipe.md").read_text("utf-8")
    assert all(f"`{name}`" in page for name in PRESETS)
    block = re.search(r"```toml\n(name.*?)```", page, re.DOTALL)[1]
    file = RecipeFile.from_mapping(tomllib.loads(block))
    assert file.rules().protocol.weak_attempts == 4


def test_every_public_name_exists():
    for package in ("autodata_core", "autodata_langgraph", "autodata_dspy", "autodata_core.testing"):
        module = __import__(package, fromlist=["*"])
        assert all(hasattr(module, name) for name in module.__all__)


def test_importing_a_shell_does_not_import_the_other_host():
    program = "import sys, autodata_langgraph; print(sorted({'dspy', 'chromadb', 'langchain'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    program = "import sys, autodata_dspy; print(sorted({'langgraph', 'chromadb', 'litellm'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
