"""DSPy sync, DSPy async and the bare driver ask the same and record the same, in every scripted world."""

import dspy
import pytest
from autodata_test_worlds import AIM, EXPECTED, FENCE_KEY, ITEM, RUN, WORLDS, drive_bare, requests_of, row_of

from autodata_core.item import ItemState
from autodata_dspy import AutoData


def program_of(name):
    rules, source, models = WORLDS[name]()
    return AutoData(rules, models, fence_key=FENCE_KEY), source, models


def bare(name):
    rules, source, models = WORLDS[name]()
    return drive_bare(rules, source, models), requests_of(models), source


@pytest.mark.parametrize("name", WORLDS)
def test_a_sync_program_asks_and_records_what_the_driver_does(name):
    state, requests, source = bare(name)
    program, source, models = program_of(name)
    got = program(source=source, item=ITEM, run=RUN)
    assert_same(program, got, state, source)
    assert requests_of(models) == requests
    assert got.status == EXPECTED[name]


@pytest.mark.parametrize("name", WORLDS)
async def test_an_async_program_asks_and_records_what_the_driver_does(name):
    state, requests, source = bare(name)
    program, source, models = program_of(name)
    got = await program.acall(source=source.to_json(), item=ITEM, run=RUN)
    assert_same(program, got, state, source)
    assert requests_of(models) == requests


async def test_what_an_item_is_wanted_for_is_told_and_recorded_as_the_driver_does():
    rules, source, models = WORLDS["exact"]()
    state = drive_bare(rules, source, models, AIM)
    program, source, sync = program_of("exact")
    assert_same(program, program(source=source, item=ITEM, run=RUN, aim=AIM), state, source)
    program, source, awaited = program_of("exact")
    assert_same(program, await program.acall(source=source, item=ITEM, run=RUN, aim=AIM), state, source)
    assert requests_of(sync) == requests_of(awaited) == requests_of(models)


def assert_same(program, got, state, source):
    assert got.state == state.to_json()
    assert ItemState.from_json(got.state) == state
    assert (got.status, got.rounds) == (state.status, len(state.history))
    last = state.history[-1].verdict.to_json() if state.history else None
    assert got.verdict == last
    assert got.reasons == (last["reasons"] if last else [])
    row = row_of(program.rules, program._team.models, state) if state.status == "accepted" else None
    assert got.example == row


@pytest.mark.parametrize("name", ["rubric", "format_fault", "odd_texts", "lone_surrogate"])
def test_what_dspy_was_given_to_send_is_what_the_model_was_asked(name):
    program, source, models = program_of(name)
    with dspy.context(trace=[]):
        program(source=source, item=ITEM, run=RUN)
        traced = [(entry[0].signature.instructions, entry[2].reply) for entry in dspy.settings.trace]
    asked = [*models["challenger"].requests, *models["check"].requests]
    assert len(traced) == len(asked)
    assert {r.messages[0].content.startswith(text) for r in asked for text, _ in traced} == {True, False}
    sent = [entry["messages"] for predictor in program.predictors() for entry in predictor.history]
    assert sorted(map(repr, sent)) == sorted(repr([m.to_json() for m in r.messages]) for r in asked)


async def test_weak_attempts_are_awaited_at_the_same_time():
    import asyncio

    rules, source, models = WORLDS["exact"]()
    together = asyncio.Barrier(rules.protocol.weak_attempts)

    class Waiting:
        identity = models["weak"].identity

        def complete(self, request):
            raise AssertionError("an async program asks sync")

        async def acomplete(self, request):
            await asyncio.wait_for(together.wait(), 5)
            return models["weak"].complete(request)

    program = AutoData(rules, {**models, "weak": Waiting()})
    assert (await program.acall(source=source)).status == "accepted"


def test_weak_attempts_run_in_threads_that_see_the_callers_settings():
    import threading

    rules, source, models = WORLDS["exact"]()
    together = threading.Barrier(rules.protocol.weak_attempts, timeout=5)
    seen = []

    class Waiting:
        identity = models["weak"].identity

        async def acomplete(self, request):
            raise AssertionError("a sync program awaits")

        def complete(self, request):
            together.wait()
            seen.append(dspy.settings.rm)
            return models["weak"].complete(request)

    with dspy.context(rm="the caller's"):
        assert AutoData(rules, {**models, "weak": Waiting()})(source=source).status == "accepted"
    assert set(seen) == {"the caller's"}
