"""Every optimizer compiles `AutoData` in a handful of lines, offline, and what comes out runs where DSPy is not installed."""

import ast
import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "examples" / "compile"
EXAMPLES = {
    "with_gepa": "scores on validation: [0.28, 0.8",
    "with_mipro": "new recipe",
    "with_simba": "with 1 demonstration(s)",
    "with_bootstrap": "before: refused | after: accepted",
    "with_gepa_through_langgraph": "the recipe in plain LangGraph: accepted",
    "optimize_recipe": ": significant.",
}


def test_every_example_is_named_here():
    assert {path.stem for path in FOLDER.glob("*.py")} == {*EXAMPLES, "world"}


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_compiles_offline(name, tmp_path):
    if name == "with_mipro" and find_spec("optuna") is None:
        pytest.skip("MIPROv2 needs optuna")
    environment = {**os.environ, "TQDM_DISABLE": "1", "DSPY_CACHEDIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-W", "error", FOLDER / f"{name}.py"],
        capture_output=True,
        text=True,
        env=environment,
        cwd=tmp_path,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert EXAMPLES[name] in done.stdout


@pytest.mark.parametrize("name", [name for name in EXAMPLES if name.startswith("with_")])
def test_a_users_code_has_at_most_15_lines(name):
    tree = ast.parse((FOLDER / f"{name}.py").read_text("utf-8"))
    lines = {
        line
        for node in tree.body[1:]
        if not isinstance(node, ast.Import | ast.ImportFrom | ast.ClassDef) and "print" not in ast.unparse(node)
        for line in range(node.lineno, node.end_lineno + 1)
    }
    assert len(lines) <= 15


PLAIN = """
import json, sys
sys.modules["dspy"] = sys.modules["gepa"] = sys.modules["litellm"] = None
from autodata_core import Recipe
from autodata_core.testing import scripted_models
from autodata_langgraph import AutodataContext, create_autodata_graph, generate
recipe = Recipe.from_json(json.loads(open(sys.argv[1]).read()))
models = scripted_models(too_easy_rounds=0)
graph = create_autodata_graph(recipe).compile()
made = graph.invoke({"source": {"id": "a", "text": "A new source."}}, context=AutodataContext(models=models))
assert made["status"] == "accepted", made
assert made["example"]["provenance"]["recipe"] == recipe.version
system, user = (message.content for message in models["challenger"].requests[0].messages)
assert system.startswith("Ask for two steps."), system
assert user.count("<<<EXAMPLE") == 1, user
assert len(generate(recipe, [{"id": "b", "text": "Another one."}], models=models).examples) == 1
print(recipe.version)
"""


def test_a_compiled_recipe_runs_in_plain_langgraph_without_dspy(tmp_path):
    import dspy

    from autodata_core import Recipe
    from autodata_core.testing import scripted_models
    from autodata_dspy import AutoData, acceptance_metric, recipe_from_program

    train = [dspy.Example(source={"id": "t", "text": "Drum 13 is full."}).with_inputs("source")]
    program = AutoData(Recipe.for_domain("math_objects"), scripted_models(too_easy_rounds=0))
    best = dspy.BootstrapFewShot(metric=acceptance_metric, max_labeled_demos=0).compile(program, trainset=train)
    best.challenger.signature = best.challenger.signature.with_instructions("Ask for two steps.")
    recipe = recipe_from_program(best)
    file = tmp_path / "recipe.json"
    file.write_text(json.dumps(recipe.to_json()), "utf-8")
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", PLAIN, file],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        cwd=tmp_path,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.strip() == recipe.version
