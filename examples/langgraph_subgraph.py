"""The item graph as a node of an app's own graph, with scripted models: offline, in a second."""

from langgraph.graph import END, START, StateGraph
from typing_extensions import TypedDict

from autodata_core import Recipe
from autodata_core.testing import scripted_models
from autodata_langgraph import AutodataContext, create_autodata_graph


class App(TypedDict, total=False):
    source: dict
    example: dict
    saved: int


make_row = create_autodata_graph(
    Recipe.for_domain("math_objects"), context=AutodataContext(models=scripted_models())
).compile()

app = StateGraph(App)
app.add_node("make_row", make_row)
app.add_node("save", lambda state: {"saved": 1 if state["example"] else 0})
app.add_edge(START, "make_row")
app.add_edge("make_row", "save")
app.add_edge("save", END)

made = app.compile().invoke({"source": {"id": "drums.md", "text": "Drum 13 of the amber gauge gives 1000.5 litres."}})
print(made["saved"], made["example"]["question"])
