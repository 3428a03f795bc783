"""GEPA rewrites the challenger's instructions; it reads why questions were refused, never what the sources say."""

import dspy
from world import MODELS, RULES, TRAIN, VAL, WRITER

from autodata_core.meta.objective import Objective
from autodata_dspy import AutoData, acceptance_metric_for, recipe_from_program

metric = acceptance_metric_for(Objective())
gepa = dspy.GEPA(metric=metric, max_metric_calls=60, reflection_lm=WRITER, track_stats=True, num_threads=1)
best = gepa.compile(AutoData(RULES, MODELS), trainset=TRAIN, valset=VAL)

print("scores on validation:", [round(score, 2) for score in best.detailed_results.val_aggregate_scores])
print("new recipe", recipe_from_program(best).version[:12], "says:", best.challenger.signature.instructions)
