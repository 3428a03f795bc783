"""BootstrapFewShot collects accepted questions as demonstrations; they enter the recipe without a passage of their sources."""

import dspy
from world import MODELS, RULES, SOURCES, TRAIN, WRITER

from autodata_dspy import AutoData, acceptance_metric, recipe_from_program

program = AutoData(RULES, MODELS)
with dspy.context(lm=WRITER):
    few = dspy.BootstrapFewShot(metric=acceptance_metric, max_bootstrapped_demos=2, max_labeled_demos=0)
    best = few.compile(program, trainset=TRAIN)

recipe = recipe_from_program(best)
print("before:", program(source=SOURCES[19]).status, "| after:", best(source=SOURCES[19]).status)
print(*(shown.reply for shown in recipe.demonstrations), sep="\n")
