"""A better recipe in one call, with the gain on sources that the optimizer never saw, and whether it is significant."""

from world import MODELS, RECIPE, RULES, SOURCES, WRITER

from autodata_core.meta.splits import Shares
from autodata_dspy import optimize_recipe

how = {"protocol": RULES.protocol, "max_items": 50, "shares": Shares(train=0.3, validation=0.25, test=0.45)}
found = optimize_recipe(RECIPE, SOURCES, models=MODELS, reflection=WRITER, **how)
print(found.describe())
print("go on with:", found.best.version[:12], "from", found.before.version[:12])
