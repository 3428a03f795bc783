"""What the examples here compile against, offline: a challenger that asks too easily until it is told or shown better.

With models of your own none of this is needed: models={"challenger": dspy.LM("openai/..."), ...}, WRITER = dspy.LM("openai/...").
"""

import json
import re

import dspy

from autodata_adapters.models.dspy import lm_from_model
from autodata_core import EvaluationProtocol, Recipe, Rules
from autodata_core.testing import ScriptedModel, scripted_models

BETTER = "Ask for two steps, and let no single figure of the text be the answer."
SOURCES = [
    {
        "id": f"station-{n}.md",
        "text": f"The gauge of station {n} stood at {n + 3} litres on the day that drum {n} was full.",
    }
    for n in range(36)
]
TRAIN, VAL = (
    [dspy.Example(source=source).with_inputs("source") for source in part] for part in (SOURCES[:8], SOURCES[8:14])
)
RECIPE = Recipe.for_domain("math_objects")
RULES = Rules(RECIPE, EvaluationProtocol.create(RECIPE.domain, rounds=1))


def _models():
    script = scripted_models(too_easy_rounds=0)

    def challenger(request):
        made = json.loads(script["challenger"].complete(request).text)
        drum = int(re.search(r"drum (\d+)", request.view["source_text"])[1])
        hard = BETTER in request.messages[0].content or "<<<EXAMPLE" in request.messages[1].content or drum % 4 == 0
        return {**made, "skills": ["two steps" if hard else "one step"], "context": made["context"] + " ?" * hard}

    def weak(request):
        asked = script["weak" if request.view["context"].endswith("?") else "strong"]
        return asked.complete(request)

    made = {"challenger": challenger, "weak": weak}
    return {**script, **{role: ScriptedModel(answer, name=f"scripted/{role}") for role, answer in made.items()}}


def _write(request):
    """Answer whatever an optimizer asks its own model, in the form it asks for."""
    system = request.messages[0].content
    wanted = re.findall(r"^\d+\. `(\w+)`", system.partition("Your output fields are:")[2], re.MULTILINE)
    texts = {name: BETTER if "instruction" in name else "Ask more." for name in wanted}
    texts |= {"module_advice": {"challenger": BETTER, "check": ""}} if "module_advice" in wanted else {}
    if "[[ ## completed ## ]]" not in system:
        return json.dumps(texts)
    shown = {name: text if isinstance(text, str) else json.dumps(text) for name, text in texts.items()}
    return "\n\n".join([*(f"[[ ## {n} ## ]]\n{text}" for n, text in shown.items()), "[[ ## completed ## ]]"])


MODELS = _models()
WRITER = lm_from_model(ScriptedModel(_write, name="scripted/writer"))
