"""Autodata for LangGraph: the loop as a sub-graph, a tool or a background job."""

from autodata_langgraph.context import AutodataContext
from autodata_langgraph.dataset_context import DatasetContext
from autodata_langgraph.dataset_graph import create_dataset_graph
from autodata_langgraph.generate import Dataset, agenerate, create_autodata_tool, generate
from autodata_langgraph.item_graph import create_autodata_graph
from autodata_langgraph.optimize_graph import OptimizeContext, create_optimize_graph
from autodata_langgraph.runner import Progress

__all__ = [
    "AutodataContext",
    "Dataset",
    "DatasetContext",
    "OptimizeContext",
    "Progress",
    "agenerate",
    "create_autodata_graph",
    "create_autodata_tool",
    "create_dataset_graph",
    "create_optimize_graph",
    "generate",
]
