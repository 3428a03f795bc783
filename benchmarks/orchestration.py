"""What the loop costs beside the models: 200 sources, scripted models that answer at once.

Gates: 3 ms of CPU per model call for each shell; first accepted row within 5 % of the calls. The last line is the same with
the run store (SQLite, FULL, one file), which waits for the disk but should not cost much CPU.
"""

import asyncio
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from autodata_adapters.stores import SqliteRunStore
from autodata_core import EvaluationProtocol, Ports, Recipe, Rules, Source, adrive, start
from autodata_core.budget import Budget
from autodata_core.calls import JournaledModel
from autodata_core.testing import ScriptedModel, scripted_models
from autodata_langgraph import generate

SOURCES = [Source.create(f"Document number {n} about stations.", id=f"d{n}") for n in range(200)]
RECIPE = Recipe.for_domain("math_objects")
Models = Mapping[str, ScriptedModel]


def measured(name: str, run: Callable[[Models], None], limit_ms: float | None) -> bool:
    """Print CPU per call; return whether the gate holds."""
    models: Models = scripted_models()  # type: ignore[assignment]
    began = time.process_time()
    run(models)
    seconds = time.process_time() - began
    calls = sum(len(m.requests) for m in models.values())
    per_call_ms = seconds / calls * 1e3
    print(f"{name:<28}{per_call_ms:6.2f} ms CPU per call   {calls} calls")
    return limit_ms is None or per_call_ms <= limit_ms


def bare(models: Models) -> None:
    rules = Rules(RECIPE, EvaluationProtocol.create(RECIPE.domain))

    async def run() -> None:
        for n, source in enumerate(SOURCES):
            state = start(source, item=f"it-{n}", run="bench", fence_key="k" * 16)
            await adrive(rules, source, state, Ports(models))

    asyncio.run(run())


def langgraph(models: Models) -> None:
    first: list[int] = []

    def hear(event: Mapping[str, object]) -> None:
        if event.get("status") == "accepted" and not first:
            first.append(sum(len(m.requests) for m in models.values()))

    generate(RECIPE, SOURCES, models=models, on_event=hear)
    share = first[0] / sum(len(m.requests) for m in models.values())
    print(f"{'':<28}first accepted row after {share:.1%} of the calls")
    if share > 0.05:
        sys.exit("FAILED: the first row comes late")


def with_store(models: Models) -> None:
    with tempfile.TemporaryDirectory() as folder, SqliteRunStore(Path(folder) / "run.db") as store:
        journaled = {role: JournaledModel(model, store, Budget()) for role, model in models.items()}
        generate(RECIPE, SOURCES, models=journaled, store=store)


def dspy(models: Models) -> None:
    from autodata_dspy import AutoData

    program = AutoData(RECIPE, models=models)

    async def run() -> None:
        for n, source in enumerate(SOURCES):
            await program.acall(source=source.to_json(), item=f"it-{n}")

    asyncio.run(run())


def main() -> None:
    held = [
        measured("bare driver", bare, None),
        measured("LangGraph", langgraph, 3.0),
        measured("LangGraph + run store", with_store, 3.0),
        measured("DSPy", dspy, 3.0),
    ]
    if not all(held):
        sys.exit("FAILED: more than 3 ms CPU per call")


if __name__ == "__main__":
    main()
