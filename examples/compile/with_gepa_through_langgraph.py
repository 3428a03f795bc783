"""GEPA scores every candidate through the LangGraph item graph: the predictors are the program's, the nodes ask through them."""

import dspy
from world import MODELS, RULES, SOURCES, TRAIN, VAL, WRITER

from autodata_core import ItemState
from autodata_dspy import AutoData, acceptance_metric, recipe_from_program
from autodata_langgraph import AutodataContext, create_autodata_graph


class ThroughGraph(AutoData):
    def drive(self, rules, source, state, ports):
        graph = create_autodata_graph(rules).compile(checkpointer=False)
        context = AutodataContext(ports.models, ports.coverage, ports.verifiers, state.run, state.fence_key)
        made = graph.invoke({"source": source.to_json(), "item_id": state.item}, context=context)
        return ItemState.from_json(made["item"])


gepa = dspy.GEPA(metric=acceptance_metric, max_metric_calls=40, reflection_lm=WRITER, track_stats=True, num_threads=1)
best = gepa.compile(ThroughGraph(RULES, MODELS), trainset=TRAIN, valset=VAL)
print("scores on validation:", [round(score, 2) for score in best.detailed_results.val_aggregate_scores])

recipe = recipe_from_program(best)  # plain JSON from here on; no DSPy is needed to run it
graph = create_autodata_graph(recipe, RULES.protocol).compile()
made = graph.invoke({"source": SOURCES[19]}, context=AutodataContext(models=MODELS))
print("the recipe in plain LangGraph:", made["status"])
