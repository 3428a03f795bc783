"""An app that is stopped in the middle of a row and goes on in another process: nothing is paid for twice. Offline."""

import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.graph import END, START, StateGraph
from typing_extensions import TypedDict

from autodata_adapters.stores import SqliteRunStore
from autodata_core import Recipe
from autodata_core.budget import Budget
from autodata_core.calls import JournaledModel
from autodata_core.errors import ModelAuthError
from autodata_core.testing import ScriptedModel, scripted_models
from autodata_langgraph import AutodataContext, create_autodata_graph
from autodata_langgraph.checkpointing import strict

MODELS = scripted_models()
REVOKED = ScriptedModel(lambda request: ModelAuthError("the key was revoked"), name="scripted/strong")
THREAD = {"configurable": {"thread_id": "drums"}}
SOURCE = {"id": "drums.md", "text": "Drum 13 of the amber gauge gives 1000.5 litres."}


class App(TypedDict, total=False):
    source: dict
    example: dict


def work(folder: Path, models, value):
    """What one process does: open everything, run or resume, close."""
    connection = sqlite3.connect(folder / "checkpoints.db", check_same_thread=False)
    with closing(connection), SqliteRunStore(folder / "calls.db") as journal:
        asked = {role: JournaledModel(model, journal, Budget(usd=1.0)) for role, model in models.items()}
        context = AutodataContext(models=asked, fence_key="keep-this-one-secret")
        app = StateGraph(App)
        app.add_node("make_row", create_autodata_graph(Recipe.for_domain("math_objects"), context=context).compile())
        app.add_edge(START, "make_row")
        app.add_edge("make_row", END)
        graph = app.compile(checkpointer=strict(SqliteSaver(connection)))
        try:
            return graph.invoke(value, THREAD)
        except ModelAuthError as error:
            waiting = graph.get_state(THREAD, subgraphs=True).tasks[0].state.next
            print(f"stopped: {error}; waiting at {', '.join(waiting)}")


with tempfile.TemporaryDirectory() as name:
    work(Path(name), {**MODELS, "strong": REVOKED}, {"source": SOURCE})
    made = work(Path(name), MODELS, None)
calls = [(r.step, r.attempt) for model in MODELS.values() for r in model.requests]
print(f"{len(calls)} calls, {len(calls) - len(set(calls))} of them twice:", made["example"]["question"])
