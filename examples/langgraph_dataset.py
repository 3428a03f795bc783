"""A whole data set in one call, from several sources at once, with events: offline, in a second."""

from autodata_core import Recipe
from autodata_core.testing import scripted_models
from autodata_langgraph import generate

sources = [{"id": f"station-{n}", "text": f"Station {n} keeps its readings on drum {n}."} for n in range(6)]
made = generate(
    Recipe.for_domain("cs_research"),
    sources,
    models=scripted_models(rubric=True),
    limit=4,
    on_event=lambda event: print(event["kind"], event.get("source", ""), event.get("status", "")),
)
print(dict(made.counts), made.stopped)
for example in made.examples:
    print(example.source.id, example.round, example.scores.gap, example.question)
