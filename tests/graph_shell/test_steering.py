"""A data set that goes where it lacks: batches planned from gaps, kept once planned, taken up again without reading an item."""

import itertools

import pytest

from autodata_adapters.coverage import create_steering
from autodata_core import MemoryStore, Recipe
from autodata_core.coverage import Cell, CollapseMonitor, Limit
from autodata_core.errors import RecipeError
from autodata_core.ports import NoCoverage
from autodata_core.recipe import EvaluationProtocol, Rules
from autodata_core.records import Aim, Source
from autodata_core.testing import ScriptedModel, scripted_candidate, scripted_models
from autodata_langgraph import AutodataContext, Progress, create_autodata_graph, generate
from autodata_langgraph.dataset_context import Behind

RECIPE = Recipe.for_domain("math_objects")
RULES = Rules(RECIPE, EvaluationProtocol.create(RECIPE.domain, rounds=2))
TYPES = ("comparison", "definition", "exception")
SUBJECTS = {
    "bread": "dough flour yeast oven loaf baker crust",
    "rail": "train platform timetable locomotive signal junction",
    "tides": "tide moon harbour wave current estuary",
}


def sources(count=12):
    made = []
    for n in range(count):
        subject = (*SUBJECTS, "rail", "rail", "rail")[n % 6]
        words = SUBJECTS[subject].split()
        text = " ".join(
            f"The {words[k % len(words)]} and the {words[(k + n) % len(words)]} of part {k}." for k in range(9)
        )
        made.append(Source.create(text, id=f"{subject}-{n:02d}"))
    return made


def world(*, obeys=True, only=None):
    """Models of which the challenger writes definitions, unless it is told what is lacking and obeys."""
    models = dict(scripted_models(too_easy_rounds=0))
    inner = models["challenger"]

    def challenger(request):
        made = scripted_candidate(int.from_bytes(request.item.encode()[-3:], "big") % 1728, round_=request.round)
        aim = request.view["aim"] or {}
        kind = aim.get("question_type") or "definition"
        made["question_type"] = kind if obeys and (only is None or kind in only) else "definition"
        return made

    models["challenger"] = ScriptedModel(challenger, name=inner.identity.name)
    return models


def steering(made, total=None, **more):
    return create_steering(made, total=total or len(made), targets="uniform", topics=3, types=TYPES, **more)


def run(made, models, **options):
    events = []
    options = {"concurrency": 1, "fence_key": "k" * 16, "on_event": events.append, "learn": False, **options}
    return generate(RULES, made, models=models, **options), events


def filled(dataset, steered):
    cells = set(steered.targets)
    topics = steered.topics
    got = {Cell(topic=topics.topic_of(row.source.id), question_type=row.question_type) for row in dataset.examples}
    return len(cells & got) / len(cells)


def test_the_next_batch_goes_where_the_data_set_lacks():
    made = sources(36)
    plain, _ = run(made, world())
    steered, events = run(made, world(), steering=(plan := steering(made)))
    assert filled(plain, plan) <= 1 / 3
    assert filled(steered, plan) == 1
    assert plain.counts == steered.counts == {"accepted": 36}
    plans = [event for event in events if event["kind"] == "plan"]
    assert [len(event["items"]) for event in plans] == [16, 16, 4]
    assert plans[0]["closing"] is None
    assert plans[1]["closing"]["filled_before"] == 0
    assert plans[1]["closing"]["filled_after"] > 0.3


def test_what_is_wanted_is_told_in_the_prompt_and_kept_with_the_item():
    made = sources()
    store = MemoryStore()
    models = world()
    run(made, models, steering=steering(made), store=store)
    asked = next(r for r in models["challenger"].requests if "of type 'exception'" in str(r.messages))
    state = store.finished(asked.item)
    assert state["aim"]["question_type"] == "exception"
    told = next(m.content for m in asked.messages if m.role == "user")
    assert told.index("<<<PLAN") < told.index("Lacking: a question of type 'exception'") < told.rindex("PLAN ")
    solver = next(r for r in models["weak"].requests if r.item == asked.item)
    assert "exception" not in str(solver.messages)


def test_a_cell_that_nothing_fills_falls_behind_those_that_can_be_filled():
    made = sources(36)
    plan = steering(made, total=90, exploration=0.0)
    run(made, world(only=("definition", "comparison")), steering=plan, examples_per_source=3)
    by_type = {kind: sum(n for cell, n in plan.counts.items() if cell.question_type == kind) for kind in TYPES}
    assert by_type["exception"] == 0
    assert by_type["comparison"] >= 25  # with its cells first in every batch, what cannot be filled would starve these
    assert all(gap.vain >= 4 for gap in plan.gaps if gap.cell.question_type == "exception")


@pytest.mark.parametrize("concurrency", [1, 5])
def test_the_same_run_plans_the_same_batches(concurrency):
    def plans():
        made = sources(20)
        _, events = run(made, world(), steering=steering(made), concurrency=concurrency)
        return [event for event in events if event["kind"] == "plan"]

    assert plans() == plans()


def behind_of(events, planned):
    """What a durable store would give a later process."""
    batches = {e["planned"]: e for e in events if e["kind"] == "batch"}
    plans = {e["first"]: e for e in events if e["kind"] == "plan"}
    return Behind(planned, Recipe.from_json(batches[planned]["recipe"]) if planned else RECIPE, batches, plans)


class Watched(MemoryStore):
    """Notes which items are read."""

    def __init__(self):
        super().__init__()
        self.read = []

    def finished(self, item):
        self.read.append(item)
        return super().finished(item)


@pytest.mark.parametrize("learn", [True, False])
def test_a_run_that_goes_on_plans_what_the_unbroken_one_plans_and_reads_nothing_that_lies_behind(learn):
    made = sources(48)
    whole, all_events = run(made, world(), steering=steering(made), learn=learn)
    store, progress, coverage = Watched(), Progress(), NoCoverage()
    finished = itertools.count(1)

    def stop(event):
        events.append(event)
        if event["kind"] == "finished" and next(finished) == 37:
            progress.stop("interrupted")

    events = []
    first, _ = run(
        made,
        world(),
        steering=steering(made),
        store=store,
        progress=progress,
        on_event=stop,
        learn=learn,
        coverage=coverage,
    )
    assert first.stopped == "interrupted"
    store.read.clear()
    behind = behind_of(events, 32)
    again, later = run(
        made, world(), steering=steering(made), store=store, behind=behind, learn=learn, coverage=coverage
    )
    assert [row.id for row in again.examples] == [row.id for row in whole.examples]
    assert again.recipe == whole.recipe
    recorded = [e for e in later if e["kind"] == "plan"]
    assert [e["recorded"] for e in recorded] == [True]
    assert [e["items"] for e in recorded] == [e["items"] for e in all_events if e["kind"] == "plan"][2:]
    early = {
        line["planned"]["source"] for e in events if e["kind"] == "plan" and e["first"] < 32 for line in e["items"]
    }
    assert early
    assert len(set(store.read)) <= 16


def test_a_run_that_collapses_is_warned_of_or_stopped():
    made = sources(40)
    limits = (Limit(figure="distinct_2", side="below", warn=0.99, stop=0.98),)
    said, events = run(made, world(), monitor=CollapseMonitor(limits=limits))
    assert said.stopped is None
    assert [(e["figure"], e["level"]) for e in events if e["kind"] == "alarm"] == [("distinct_2", "stop")]
    stopped, _ = run(made, world(), monitor=CollapseMonitor(limits=limits, stops=True))
    assert stopped.stopped == "collapse"
    assert stopped.counts["accepted"] == 32  # the batch in which there was enough to say
    assert "distinct_2" in stopped.note
    varied, events = run(made, world(), monitor=CollapseMonitor(limits=(), stops=True))
    assert varied.counts == {"accepted": 40}


def test_what_one_item_is_wanted_for_does_not_stay_in_a_checkpointed_thread():
    from langgraph.checkpoint.memory import InMemorySaver

    models = world()
    graph = create_autodata_graph(RULES).compile(checkpointer=InMemorySaver())
    context = AutodataContext(models=models, fence_key="k" * 16)
    config = {"configurable": {"thread_id": "t"}}
    aim = Aim(topic="x", question_type="comparison", text="Lacking: a comparison.")
    one = graph.invoke(
        {"source": {"text": "One document."}, "aim": aim.to_json(), "item_id": "it-one"}, config, context=context
    )
    two = graph.invoke({"source": {"text": "Another document."}}, config, context=context)
    assert one["example"]["question_type"] == "comparison"
    assert two["example"]["question_type"] == "definition"
    assert two["item"]["aim"] is None
    assert two["item"]["item"] != "it-one"


def test_a_steering_of_another_run_is_refused():
    made = sources()
    used = steering(made)
    run(made, world(), steering=used)
    with pytest.raises(RecipeError, match="planned a run already"):
        run(made, world(), steering=used)
    with pytest.raises(RecipeError, match="other sources"):
        run(made[:3], world(), steering=steering(made))


def test_a_run_ends_where_everything_it_could_ask_repeats_what_exists():
    made = sources(60)
    models = world()
    same = {**scripted_candidate(1), "question_type": "definition"}
    models["challenger"] = ScriptedModel(lambda request: same, name="repeats itself")
    found, _ = run(made, models, steering=steering(made))
    assert found.stopped == "saturated"
    assert sum(found.counts.values()) < 60


def test_few_rows_raise_no_alarm():
    made = sources(16)
    limits = (Limit(figure="cell_entropy", side="below", warn=2.0, stop=1.5),)
    few, events = run(made, world(), steering=steering(made), monitor=CollapseMonitor(limits=limits, stops=True))
    assert few.stopped is None
    assert not [event for event in events if event["kind"] == "alarm"]
    many, _ = run(
        sources(40), world(), steering=steering(sources(40)), monitor=CollapseMonitor(limits=limits, stops=True)
    )
    assert many.stopped == "collapse"
