"""The outer loop as a graph, in the scripted world: it finds the rules that matter, and nothing is decided by test."""

import asyncio
import json

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command
from pydantic import ValidationError

from autodata_core.budget import Budget
from autodata_core.calls import JournaledModel, NoJournal
from autodata_core.errors import ModelUnreachableError, RecipeError, StoreError
from autodata_core.meta.history import MemoryLog
from autodata_core.meta.search import SearchSettings
from autodata_core.meta.splits import Finalist, split_sources
from autodata_core.ports import ModelReply
from autodata_core.recipe import Recipe
from autodata_core.testing import ScriptedModel
from autodata_core.testing.optimizing import (
    GOOD,
    RULES,
    optimizing_models,
    optimizing_rules,
    optimizing_sources,
    proposal_of,
)
from autodata_langgraph.checkpointing import strict
from autodata_langgraph.optimize_graph import OptimizeContext, create_optimize_graph, report_of

KEY = "0123456789abcdef"


class Meter:
    """Notes every event and version of a search."""

    def __init__(self):
        self.events, self.versions = [], {}

    def version(self, recipe, notes):
        self.versions[recipe.version] = notes

    def of(self, kind):
        return [event for event in self.events if event["kind"] == kind]


def context_for(count=60, models=None, log=None, **settings):
    meter = Meter()
    chosen = SearchSettings(**settings)
    log = log or MemoryLog()
    context = OptimizeContext(
        models=models or optimizing_models(),
        splits=split_sources(optimizing_sources(count), seed=chosen.seed, opened_for=log.finalist()),
        settings=chosen,
        log=log,
        fence_key=KEY,
        run="opt",
        on_event=meter.events.append,
        on_version=meter.version,
    )
    return context, meter


def run(context, *, saver=None, given=None):
    graph = create_optimize_graph(optimizing_rules()).compile(checkpointer=saver or False)
    config = {"recursion_limit": 100_000, "configurable": {"thread_id": "t"}}
    return asyncio.run(graph.ainvoke({} if given is None else given, config, context=context))


def all_good(request):
    """Propose the four rules at once, and then nothing readable."""
    challenger, check = request.view["challenger"], request.view["check"]
    if RULES["specific"] in challenger:
        return "Nothing more."
    made = proposal_of("positive", challenger, check)
    rest = "".join(f"\n- {RULES[name]}" for name in GOOD if name != "positive")
    return {**made, "challenger": made["challenger"] + rest}


def quick_models():
    return {**optimizing_models(), "implementer": ScriptedModel(all_good, name="scripted/implementer")}


QUICK = {"iterations": 1, "concurrent_iterations": 1, "minibatch": 2, "controls": 2, "test_repeats": 1}


@pytest.fixture(scope="module")
def searched():
    """One whole search, which several tests look at."""
    context, meter = context_for(48, iterations=40, minibatch=4, target=0.6, test_repeats=2)
    state = run(context)
    return context, meter, state


def test_the_search_finds_the_rules_that_matter(searched):
    context, meter, state = searched
    report = report_of(state)
    print(report.sentence(), f"{state['iteration']} iterations, {len(context.log.evaluations())} evaluations")
    assert state["iteration"] <= 40
    assert report.baseline_accepted <= 0.15
    assert report.chosen_accepted >= 0.6
    assert report.acceptance.low > 0
    assert report.significant
    best = Recipe.from_json(state["best"])
    assert sum(RULES[name] in best.challenger for name in GOOD) >= 2
    assert not any(RULES[name] in best.challenger + best.check for name in ("general", "soften"))
    assert meter.versions[best.version].final == report
    assert "Test, which no decision saw" not in str(meter.versions[context.log.outcomes()[0].parent].to_json())


def test_nothing_that_softens_the_check_and_nothing_unreadable_ever_joins(searched):
    context, _, _ = searched
    outcomes = context.log.outcomes()
    assert {o.result for o in outcomes} >= {"joined", "not better", "invalid"}
    for outcome in outcomes:
        assert outcome.reason
        if "'soften'" in outcome.what:
            assert outcome.result in ("vetoed", "invalid")
        if outcome.result == "joined":
            assert outcome.comparison.decision == "better"
            assert outcome.comparison.child > outcome.comparison.parent
            assert not outcome.controls.worse


def test_no_request_before_the_end_holds_a_word_of_a_test_source(searched):
    context, _, _ = searched
    finalist = context.log.finalist()
    texts = [source.text for source in context.parts.test.open(finalist)]
    ids = {source.id for source in context.parts.test.open(finalist)}
    assert not any(e.source in ids for e in context.log.evaluations() if e.part != "test")
    for role in ("analyzer", "implementer"):
        for request in context.models[role].requests:
            assert not any(text in m.content for text in texts for m in request.messages)
    challenged = [r.view["source_text"] for r in context.models["challenger"].requests]
    before = [n for n, text in enumerate(challenged) if text in texts]
    assert before
    assert min(before) > max(n for n, text in enumerate(challenged) if text not in texts)


def test_parent_and_child_met_the_same_sources_and_seeds(searched):
    context, _, _ = searched
    done = [e for e in context.log.evaluations() if e.part == "validation"]
    slots = {}
    for one in done:
        slots.setdefault(one.slot, {}).setdefault(one.recipe, set()).add(one.source)
    assert all(len(pair) == 2 and len({frozenset(s) for s in pair.values()}) == 1 for pair in slots.values())


def test_the_same_again_from_its_log_asks_nobody_and_says_the_same(searched):
    context, _, state = searched
    again, _ = context_for(48, log=context.log, iterations=40, minibatch=4, target=0.6, test_repeats=2)
    assert run(again)["report"] == state["report"]
    assert sum(len(m.requests) for m in again.models.values()) == 0


def test_more_iterations_after_the_test_was_read_are_refused(searched):
    context, _, _ = searched
    again, _ = context_for(48, log=context.log, iterations=50, minibatch=4, target=0.6, test_repeats=2)
    with pytest.raises(RecipeError, match="read already"):
        run(again)


def test_a_search_that_broke_off_goes_the_same_way_and_makes_no_evaluation_twice():
    settings = {"iterations": 3, "concurrent_iterations": 2, "minibatch": 2, "controls": 2, "test_repeats": 1}
    whole, _ = context_for(36, seed=3, **settings)
    golden = run(whole)
    log = MemoryLog()
    for stop in (4, 30):

        class Dying(MemoryLog):
            left = stop

            def keep_evaluation(self, evaluation, log=log):
                if self.left == 0:
                    raise StoreError("the disk is gone")
                self.left -= 1
                log.keep_evaluation(evaluation)

        dying = Dying()
        dying.evaluation, dying.evaluations = log.evaluation, log.evaluations
        dying.outcomes, dying.keep_outcome = log.outcomes, log.keep_outcome
        broken, _ = context_for(36, seed=3, log=dying, **settings)
        with pytest.raises(StoreError):
            run(broken)
    again, _ = context_for(36, seed=3, log=log, **settings)
    assert run(again)["report"] == golden["report"]
    assert [o.to_json() for o in log.outcomes()] == [o.to_json() for o in whole.log.outcomes()]
    assert {e.key for e in log.evaluations()} == {e.key for e in whole.log.evaluations()}


@pytest.mark.parametrize(
    ("answer", "result"),
    [
        ({"action": "approve"}, "joined"),
        ({"action": "reject", "why": "too narrow"}, "declined"),
    ],
)
def test_a_person_decides_with_the_diff_and_the_evidence_before_them(answer, result):
    context, _ = context_for(40, quick_models(), **QUICK)
    context.ask = True
    saver = strict(InMemorySaver())
    waiting = run(context, saver=saver)["__interrupt__"][0]
    assert "+- " + RULES["specific"] in waiting.value["diff"]
    assert waiting.value["measured"]["decision"] == "better"
    assert waiting.value["controls"]["asked"] == 4
    paid = len(context.models["challenger"].requests)
    with pytest.raises(ValidationError):
        run(context, saver=saver, given=Command(resume={waiting.id: {"action": "reject"}}))
    run(context, saver=saver, given=Command(resume={waiting.id: answer}))
    outcome = context.log.outcomes()[0]
    assert (outcome.result, outcome.by) == (result, "person")
    assert outcome.said == answer.get("why", "")
    assert len(context.models["challenger"].requests) > paid


def test_what_a_person_writes_is_measured_before_it_joins():
    context, _ = context_for(40, quick_models(), **QUICK)
    context.ask = True
    saver = strict(InMemorySaver())
    waiting = run(context, saver=saver)["__interrupt__"][0]
    worse = {
        "action": "edit",
        "texts": {"challenger": optimizing_rules().recipe.challenger + "\n- " + RULES["general"]},
    }
    state = run(context, saver=saver, given=Command(resume={waiting.id: worse}))
    outcome = context.log.outcomes()[0]
    assert (outcome.result, outcome.by) == ("not better", "person")
    assert report_of(state).finalist.chosen == optimizing_rules().recipe.version


@pytest.mark.parametrize(
    "named", ["multi step", "Every reading was taken at noon"]
)  # the latter stands in every source of the world
def test_what_is_adopted_names_no_question_type_after_a_source(named):
    made = optimizing_models()

    def easy(request):
        reply = json.loads(made["challenger"].complete(request).text)
        return {**reply, "question_type": named}

    script = {
        "challenger": easy,
        "weak": made["strong"].complete,
        "implementer": {"what": "Adopt.", "learnings": "adopt"},
    }
    models = {**made, **{role: ScriptedModel(answer, name=f"scripted/{role}") for role, answer in script.items()}}
    context, _ = context_for(40, models, **{**QUICK, "minibatch": 4})
    run(context)
    (outcome,) = context.log.outcomes()
    assert outcome.failures
    assert (outcome.reason == "nothing was changed") == (named != "multi step")
    assert bool(outcome.comparison) == (named == "multi step")


def test_a_gain_that_may_be_chance_is_called_so():
    context, _ = context_for(40, **{**QUICK, "iterations": 0})
    report = report_of(run(context))
    assert not report.significant
    assert "No recipe was better" in report.sentence()
    other = report.model_copy(update={"finalist": Finalist(baseline="a", chosen="b", iterations=1, asked=1)})
    assert "NOT SIGNIFICANT" in other.sentence()


def test_models_that_give_no_answer_end_the_search_and_are_no_difficulty():
    models = {**optimizing_models(), "challenger": ScriptedModel(ModelReply(error="timeout"), name="gone")}
    context, _ = context_for(40, models, **QUICK)
    with pytest.raises(ModelUnreachableError):
        run(context)
    assert not context.log.evaluations()


def test_a_budget_keeps_enough_back_for_the_test():
    limits = {**QUICK, "iterations": 30, "max_evaluations": 200}
    context, _ = context_for(40, **limits)
    state = run(context)
    assert state["stopped"] == "evaluations"
    assert report_of(state) is not None
    assert len(context.log.evaluations()) <= 200


def test_a_budget_that_runs_out_ends_in_good_order_without_the_test():
    budget = Budget(calls=120)
    models = {role: JournaledModel(m, NoJournal(), budget) for role, m in optimizing_models().items()}
    context, _ = context_for(40, models, **QUICK)
    state = run(context)
    assert state["stopped"] == "budget"
    assert "not read" in state["note"]
    assert context.log.finalist() is None
    assert budget.spent.calls <= 120


def test_the_graph_can_be_seen_and_run_without_an_event_loop():
    graph = create_optimize_graph(optimizing_rules()).compile(checkpointer=False)
    nodes = set(graph.get_graph().nodes)
    assert nodes >= {
        "select", "run_minibatch", "analyze", "implement", "evaluate", "decide", "gate", "record", "finish_on_test",
    }  # fmt: skip
    context, _ = context_for(40, **{**QUICK, "iterations": 0})
    assert graph.invoke({}, context=context)["report"]["sources"] == len(context.parts.test)


def test_a_limit_under_which_nothing_can_be_measured_is_refused_before_anything_is_paid():
    context, _ = context_for(40, **{**QUICK, "max_evaluations": 10})
    with pytest.raises(RecipeError, match="max_evaluations = 10 is too small"):
        run(context)
    assert not context.log.evaluations()
    test = context.settings.evaluations_of_test(len(context.parts.test))
    need = test + context.settings.evaluations_of_wave(len(context.parts.validation)) + 2
    context, _ = context_for(40, **{**QUICK, "max_evaluations": need})
    run(context)
    assert len(context.log.evaluations()) <= need


def test_what_models_claim_repeats_no_passage_of_a_source_in_notes_and_later_prompts():
    passage = "Every reading was taken at noon and entered by hand in the log of the station"

    def propose(request):
        return {**all_good(request), "what": f"Add rules. {passage}.", "why": passage, "could_regress": passage}

    analyzer = {"causes": [{"cause": f"{passage}.", "items": [], "evidence": "", "rule": ""}], "advice": ""}
    models = {**quick_models(), "implementer": ScriptedModel(propose, name="p")}
    models["analyzer"] = ScriptedModel(lambda request: analyzer, name="a")
    context, meter = context_for(48, models, **{**QUICK, "iterations": 1})
    run(context)
    (outcome,) = context.log.outcomes()
    assert outcome.result == "joined"
    assert passage not in outcome.line() + str(outcome.causes) + outcome.why + outcome.could_regress
    assert "[16 words of a source]" in outcome.what
    assert passage not in str([(n.change, n.learned, n.why, n.could_regress) for n in meter.versions.values()])


def test_a_person_sees_the_counted_failures_and_a_refused_question():
    context, _ = context_for(40, quick_models(), **QUICK)
    context.ask = True
    waiting = run(context, saver=strict(InMemorySaver()))["__interrupt__"][0]
    counted = waiting.value["counted"]
    assert counted["items"] == 2
    assert sum(counted["failures"].values()) > 0
    assert counted["shown"][0]["question"]
