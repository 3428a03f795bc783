"""A data set that goes where it lacks: the same challenger, unsteered and steered, offline in seconds.

The scripted challenger likes definitions; told what the data set lacks, it writes that.
"""

from collections import Counter

from autodata_adapters.coverage import create_steering
from autodata_core import Recipe
from autodata_core.records import Source
from autodata_core.testing import ScriptedModel, scripted_candidate, scripted_models
from autodata_langgraph import generate

TYPES = ("definition", "comparison", "exception")
SUBJECTS = {
    "rail": "train platform timetable signal",
    "bread": "dough flour oven loaf",
    "tides": "tide moon harbour estuary",
}


def document(subject: str, n: int) -> Source:
    words = SUBJECTS[subject].split()
    text = " ".join(f"The {words[k % 4]} and the {words[(k + n) % 4]} of part {k} are described." for k in range(8))
    return Source.create(text, id=f"{subject}-{n}")


def challenger(request):
    made = scripted_candidate(int.from_bytes(request.item.encode()[-3:], "big") % 1728, round_=request.round)
    return {**made, "question_type": (request.view["aim"] or {}).get("question_type") or "definition"}


documents = [document(subject, n) for subject in SUBJECTS for n in range(12)]
for steered in (False, True):
    models = {**scripted_models(), "challenger": ScriptedModel(challenger, name="likes definitions")}
    steering = create_steering(documents, total=len(documents), topics=3, types=TYPES) if steered else None

    def hear(event):
        if event["kind"] == "plan" and event["closing"]:
            print("  next batch:", event["closing"]["text"])

    print("steered" if steered else "unsteered")
    made = generate(
        Recipe.for_domain("math_objects"), documents, models=models, steering=steering, on_event=hear, concurrency=1
    )
    print(" ", dict(Counter(row.question_type for row in made.examples)), "of", dict(made.counts))
