"""SIMBA adds a rule or a demonstration where the same source went well once and badly once."""

import dspy
from world import MODELS, RULES, TRAIN, WRITER

from autodata_dspy import AutoData, acceptance_metric, recipe_from_program

simba = dspy.SIMBA(metric=acceptance_metric, bsize=8, num_candidates=2, max_steps=2, prompt_model=WRITER, num_threads=1)
with dspy.context(lm=WRITER):
    best = simba.compile(AutoData(RULES, MODELS), trainset=TRAIN)

recipe = recipe_from_program(best)
print("new recipe", recipe.version[:12], "with", len(recipe.demonstrations), "demonstration(s)")
