"""The loop as a DSPy module: one source in, one row out that a weak model fails and a strong one does not. Runs offline.

For real data give models={"challenger": dspy.LM("openai/..."), "weak": ..., "strong": ..., "judge": ...} instead.
"""

from autodata_core import Recipe
from autodata_core.testing import scripted_models
from autodata_dspy import AutoData, acceptance_metric, recipe_from_program

program = AutoData(Recipe.for_domain("math_objects"), scripted_models())
made = program(source={"id": "drums.md", "text": "Drum 13 of the amber gauge gives 1000.5 litres."})

print("status:  ", made.status, "after", made.rounds, "rounds")
print("question:", made.example["question"])
print("verdict: ", made.verdict["policy"], "->", "accepted" if not made.verdict["reasons"] else made.verdict["reasons"])

# An optimizer reads this, rewrites the instructions, and they become the next recipe:
#   dspy.GEPA(metric=acceptance_metric, ...).compile(program, trainset=sources, valset=more_sources)
print(acceptance_metric(None, made).feedback.splitlines()[2])
program.challenger.signature = program.challenger.signature.append_instructions("Ask for two steps.")
print("new recipe:", recipe_from_program(program).version[:12], "from", recipe_from_program(program).parent[:12])
