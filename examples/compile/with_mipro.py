"""MIPROv2 chooses among instructions and demonstrations together. It needs `pip install optuna`."""

import dspy
from world import MODELS, RULES, TRAIN, VAL, WRITER

from autodata_dspy import AutoData, acceptance_metric, recipe_from_program

models = {"prompt_model": WRITER, "task_model": WRITER}
few = {"auto": None, "num_candidates": 3, "max_bootstrapped_demos": 1, "max_labeled_demos": 0, "num_threads": 1}
with dspy.context(lm=WRITER):
    mipro = dspy.MIPROv2(metric=acceptance_metric, **models, **few)
    best = mipro.compile(AutoData(RULES, MODELS), trainset=TRAIN, valset=VAL, num_trials=4, minibatch=False)

recipe = recipe_from_program(best)
print("score:", best.score, "with", len(recipe.demonstrations), "demonstration(s)")
print("new recipe", recipe.version[:12], "says:", recipe.challenger)
