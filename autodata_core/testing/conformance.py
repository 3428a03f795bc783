"""What every record store and call journal must do, as checks that an adapter's author runs.

    @pytest.mark.parametrize("check", checks_for(MyStore), ids=lambda check: check.__name__)
    def test_it_keeps_the_contract(check, tmp_path):
        check(lambda: MyStore(tmp_path / "rows.db"))

A check takes a function that opens one and the same place, empty at first, as often as the check wants; it closes what it
opened. It raises `AssertionError` with what was expected and what came. No test framework is needed.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache, partial
from typing import Any, Literal

from autodata_core.budget import Budget
from autodata_core.calls import JournaledModel
from autodata_core.driver import Ports, drive
from autodata_core.errors import AutodataError, RecordError, shorten
from autodata_core.item import start
from autodata_core.ports import Model, ModelReply, ModelRequest
from autodata_core.recipe import EvaluationProtocol, Recipe, Rules
from autodata_core.records import Check as AnswerCheck
from autodata_core.records import Example, Message, Source, Usage
from autodata_core.rows import example_from
from autodata_core.testing.scripted import ScriptedModel, scripted_models

__all__ = ["Capability", "Check", "OpenStore", "capabilities", "checks_for", "sample_example", "sample_state"]

OpenStore = Callable[[], Any]
"""Opens the store at one place; every call opens the same place again."""
Check = Callable[[OpenStore], None]
Capability = Literal["records", "plan", "journal", "reopening", "fencing"]
"""`records`: `RecordStore`. `plan`: items have a position, given by `register_items`. `journal`: `CallJournal`. `reopening`:
what is closed can be opened again with all that was in it. `fencing`: of two openings (`epoch`) only one writes."""

_METHODS: dict[Capability, tuple[str, ...]] = {
    "records": ("finished", "finish", "examples"),
    "plan": ("finished", "finish", "examples", "register_items"),
    "journal": ("lookup", "send", "done", "failed", "spent"),
    "reopening": ("close",),
    "fencing": ("close", "epoch"),
}
_REFUSALS = (AutodataError, ValueError)
"""How a store says that it cannot keep a value: in words of ours, or as Python does (`UnicodeEncodeError`)."""
_WAIT_S = 60.0
_THREADS = 12

_HOSTILE: dict[str, Any] = {
    "nul": "a\x00b",
    "constructor": {"lc": 1, "type": "constructor", "id": ["os", "system"], "kwargs": {"command": "true"}},
    "secret": {"lc": 1, "type": "secret", "id": ["PATH"]},
    "envelope": {"lc": 2, "type": "constructor", "id": ["builtins", "eval"], "args": ["1"], "method": [None]},
    "surrogate": "half \ud800 a character",
    "long": "x–" * 500_000,
    "great": {"n": 2**200, "negative": -(2**63) - 1},
    "floats": [1e308, 5e-324, 0.1],
    "deep": json.loads("[" * 200 + "]" * 200),
    "lines": "\u2028 \u0085 \r\n \ufeff \u202e",
    "sql": "'; DROP TABLE item; -- %s {x} $1 ?1 \\",
    "names": {"": 1, "__class__": 2, "a\x00": 3, "\ud800": 4, "$ref": 5},
}
_HOSTILE_NAMES = (
    "'; DROP TABLE item; --",
    "%s %(a)s {x} $1 ?1 \\",
    "",
    " ",
    "a\nb",
    "a\x00b",
    "\ud800",
    "x" * 100_000,
)


def capabilities(store: type[Any] | object) -> frozenset[Capability]:
    """Return what a store, or its class, has the methods for."""
    return frozenset(name for name, methods in _METHODS.items() if all(hasattr(store, method) for method in methods))


def checks_for(store: type[Any] | object) -> tuple[Check, ...]:
    """Return the checks that a store, or its class, must pass.

    Raises:
        RecordError: It is neither a record store nor a call journal, so that there is nothing to check.
    """
    able = capabilities(store)
    if not able & {"records", "journal"}:
        raise RecordError(
            f"{shorten(store)} is neither a RecordStore ({', '.join(_METHODS['records'])}) nor a CallJournal "
            f"({', '.join(_METHODS['journal'])}); there is nothing to check."
        )
    return tuple(check for check, needed in _CHECKS if needed <= able)


def sample_example(item: str, name: str = "") -> Example:
    """Return a row as the loop makes it.

    Args:
        item: The item it comes from.
        name: Rows with different names have different ids; by default the item's.
    """
    made = _scripted()[1]
    name = name or item
    provenance = made.provenance.model_copy(update={"item": item})
    id = "ex-" + "".join(f"{ord(c):x}-" for c in name[:40])
    return made.model_copy(update={"id": id, "question": f"Question {name}?", "provenance": provenance})


def sample_state(item: str, note: str = "") -> dict[str, Any]:
    """Return the JSON of a finished `ItemState` as the loop makes it.

    Args:
        item: Its id.
        note: Makes it another state.
    """
    return {**json.loads(_scripted()[0]), "item": item, "note": note}


@cache
def _scripted() -> tuple[str, Example]:
    recipe = Recipe.for_domain("math_objects")
    models: dict[str, Model] = dict(scripted_models(too_easy_rounds=0).items())
    ports = Ports(models=models)
    rules = ports.measured(Rules(recipe, EvaluationProtocol.create(recipe.domain)))
    source = Source.create("Drum 13 of the amber gauge gives 1000.5 litres.", id="drums.md")
    state = drive(
        rules, source, start(source, item="it-001", run="run-conformance", fence_key="0123456789abcdef"), ports
    )
    return json.dumps(state.to_json()), example_from(rules, source, state)


# Records.


def an_item_nobody_finished_is_none(open_store: OpenStore) -> None:
    """An unknown item is None, and a new store has no rows."""
    with _opened(open_store) as store:
        _equal(store.finished("nobody"), None, "finished('nobody') in a new store")
        _equal(tuple(store.examples()), (), "examples() of a new store")


def a_finished_item_and_its_row_come_back_as_they_were(open_store: OpenStore) -> None:
    """State and row are equal to what was given, field by field."""
    state, row = sample_state("it-1", "ü – 1 \u2028"), sample_example("it-1")
    with _opened(open_store) as store:
        _equal(store.finish("it-1", state, row), True, "finish() of a new item with a new row")
        _equal(store.finished("it-1"), state, "finished()")
        _equal(tuple(store.examples()), (row,), "examples()")


def an_item_without_a_row_is_kept(open_store: OpenStore) -> None:
    """A refused item is finished all the same."""
    with _opened(open_store) as store:
        _equal(store.finish("it-1", sample_state("it-1"), None), True, "finish() without a row")
        _equal(store.finished("it-1"), sample_state("it-1"), "finished()")
        _equal(tuple(store.examples()), (), "examples()")


def finishing_twice_is_finishing_once(open_store: OpenStore) -> None:
    """The same item given again, as after a crash that hid the answer, gives the same answer and no second row."""
    row = sample_example("it-1")
    with _opened(open_store) as store:
        for turn in ("first", "second"):
            _equal(store.finish("it-1", sample_state("it-1", "1"), row), True, f"the {turn} finish() of one item")
        _equal(tuple(store.examples()), (row,), "examples()")


def the_first_finish_of_an_item_counts(open_store: OpenStore) -> None:
    """An item has one state and at most one row, whatever comes later."""
    first, later = sample_example("it-1", "first"), sample_example("it-1", "later")
    with _opened(open_store) as store:
        store.finish("it-1", sample_state("it-1", "1"), first)
        store.finish("it-1", sample_state("it-1", "2"), later)
        _equal(store.finished("it-1"), sample_state("it-1", "1"), "the state after a second finish() with another one")
        _equal(tuple(store.examples()), (first,), "the rows after a second finish() with another one")


def a_row_of_another_item_is_refused_and_the_item_kept(open_store: OpenStore) -> None:
    """Row ids are unique: the second item is finished without its row, and stays so when it is given again."""
    first, second = sample_example("it-1", "same"), sample_example("it-2", "same")
    with _opened(open_store) as store:
        _equal(store.finish("it-1", sample_state("it-1", "1"), first), True, "finish() with a new row")
        for turn in ("first", "second"):
            _equal(
                store.finish("it-2", sample_state("it-2", "2"), second),
                False,
                f"the {turn} finish() with a row of another item",
            )
        _equal(store.finished("it-2"), sample_state("it-2", "2"), "the state of the item whose row was there already")
        _equal(store.finish("it-1", sample_state("it-1", "1"), first), True, "finish() of the first item again")
        _equal(tuple(store.examples()), (first,), "examples()")


def changing_a_state_afterwards_changes_nothing(open_store: OpenStore) -> None:
    """What the caller does to the dictionary it gave, or got, stays with the caller."""
    state = sample_state("it-1")
    with _opened(open_store) as store:
        store.finish("it-1", state, None)
        state["history"].clear()
        _equal(store.finished("it-1"), sample_state("it-1"), "the state after the caller changed the one it gave")
        (store.finished("it-1") or {})["history"].clear()
        _equal(store.finished("it-1"), sample_state("it-1"), "the state after the caller changed the one it got")


def rows_without_a_plan_come_in_the_order_they_were_finished(open_store: OpenStore) -> None:
    """Items that nobody registered are ordered by when they were finished."""
    items = [f"it-{n}" for n in (5, 1, 9, 3)]
    with _opened(open_store) as store:
        for item in items:
            store.finish(item, sample_state(item), sample_example(item))
        _equal([row.provenance.item for row in store.examples()], items, "the items of examples()")


def what_cannot_be_kept_is_refused_whole(open_store: OpenStore) -> None:
    """A state that is no JSON leaves neither item nor row, or both."""
    for n, value in enumerate((float("nan"), object(), {1, 2})):
        item = f"it-{n}"
        bad = {**sample_state(item), "prompts": {"weak": value}}
        with _opened(open_store) as store:
            try:
                store.finish(item, bad, sample_example(item))
            except (*_REFUSALS, TypeError):
                _equal(store.finished(item), None, f"the item whose state {shorten(value)} was refused")
                _equal([e for e in store.examples() if e.provenance.item == item], [], "its rows")
            else:
                _true(store.finished(item) is not None, f"finish() took {shorten(value)} but the item is not there.")
            _equal(
                store.finish(f"{item}-next", sample_state(f"{item}-next"), None),
                True,
                "finish() after a state that is no JSON",
            )


def hostile_texts_come_back_as_they_were_or_are_refused(open_store: OpenStore) -> None:
    """No value of a state is changed, revived into an object, cut or executed."""
    with _opened(open_store) as store:
        for name, value in _HOSTILE.items():
            state = sample_state(name, value if isinstance(value, str) else json.dumps(value))
            state["candidate"]["check"]["spec"] = {"value": value}
            if _kept(partial(store.finish, name, state, None)):
                _same_json(store.finished(name), state, f"the state with {name}")
            else:
                _equal(store.finished(name), None, f"the refused item {name!r}")
        _equal(store.finish("plain", sample_state("plain"), None), True, "finish() after hostile texts")


def hostile_rows_come_back_as_they_were_or_are_refused(open_store: OpenStore) -> None:
    """The same for rows, whose fields a model wrote."""
    wanted: list[Any] = []
    with _opened(open_store) as store:
        for name, value in _HOSTILE.items():
            row = sample_example(f"it-{name}", name)
            text = value if isinstance(value, str) else json.dumps(value)
            row = row.model_copy(
                update={
                    "question": f"Q {text}",
                    "reference_answer": text,
                    "check": AnswerCheck(kind="number", spec={"value": value}),
                }
            )
            if _kept(partial(store.finish, row.provenance.item, sample_state(row.provenance.item), row)):
                wanted.append(row)
            else:
                _equal(store.finished(f"it-{name}"), None, f"the item whose row was refused ({name})")
        found = list(store.examples())
        _equal([row.id for row in found], [row.id for row in wanted], "the ids of examples()")
        for given, got in zip(wanted, found, strict=True):
            _equal(got, given, f"row {given.id}")
            _same_json(got.check.spec, given.check.spec, f"the check of row {given.id}")


def hostile_names_are_kept_apart_or_refused(open_store: OpenStore) -> None:
    """Whatever an item is called, its state is found under that name and no other."""
    with _opened(open_store) as store:
        kept = [
            name
            for name in _HOSTILE_NAMES
            if _kept(partial(store.finish, name, sample_state("it-1", f"is called {name}"), None))
        ]
        _true("'; DROP TABLE item; --" in kept, "An item id of plain characters was refused.")
        for name in _HOSTILE_NAMES:
            found = store.finished(name) if name in kept else _refused_or_none(store, name)
            _same_json(
                found,
                sample_state("it-1", f"is called {name}") if name in kept else None,
                f"the item {shorten(name, 40)}",
            )


def many_threads_may_finish_items_at_once(open_store: OpenStore) -> None:
    """Every item is kept once; of many with one row, exactly one has it."""
    items = [f"it-{n:03d}" for n in range(60)]
    with _opened(open_store) as store:

        def own(item: str) -> bool:
            return bool(store.finish(item, sample_state(item), sample_example(item)))

        def shared(item: str) -> bool:
            other = f"{item}-same"
            return bool(store.finish(other, sample_state(other), sample_example(other, "same")))

        _equal(sum(_at_once(own, [*items, *items])), 2 * len(items), "finish() that kept the row, each item twice")
        _equal(sum(_at_once(shared, items)), 1, "finish() that kept the one row of many items")
        _equal([store.finished(item) for item in items], [sample_state(item) for item in items], "the states")
        rows = [row.id for row in store.examples()]
        _equal(len(rows), len(items) + 1, "the number of rows")
        _equal(len(set(rows)), len(rows), "the number of different rows")


def rows_come_in_the_order_of_the_plan(open_store: OpenStore) -> None:
    """A registered item has its place whenever it is finished; one that is not registered comes last."""
    plan = [f"it-{n}" for n in (3, 1, 2)]
    with _opened(open_store) as store:
        store.register_items([(item, place, "s") for place, item in enumerate(plan)])
        for item in ("it-2", "late", "it-1", "it-3"):
            store.finish(item, sample_state(item), sample_example(item))
        _equal([row.provenance.item for row in store.examples()], [*plan, "late"], "the items of examples()")
        _equal(store.finished("it-9"), None, "an item that is neither registered nor finished")
        store.register_items([(item, place, "s") for place, item in enumerate(reversed(plan))])
        _equal(
            [row.provenance.item for row in store.examples()][:3], plan[::-1], "the items after another registration"
        )


def a_reopened_store_gives_the_same(open_store: OpenStore) -> None:
    """Everything acknowledged is there after closing, twice."""
    items = [f"it-{n}" for n in (2, 0, 1)]
    with _opened(open_store) as store:
        for item in items:
            store.finish(item, sample_state(item, "\x00\u2028"), sample_example(item))
        store.finish("it-3", sample_state("it-3", "3"), sample_example("it-3", "it-0"))
        before = tuple(store.examples())
    for _ in range(2):
        with _opened(open_store) as store:
            _equal(tuple(store.examples()), before, "examples() after opening again")
            for item in items:
                _equal(store.finished(item), sample_state(item, "\x00\u2028"), f"{item} after opening again")
            _equal(
                store.finish("it-3", sample_state("it-3", "3"), sample_example("it-3", "it-0")),
                False,
                "a duplicate given again",
            )


def of_two_openings_only_one_writes(open_store: OpenStore) -> None:
    """A second opening is refused, or the first can no longer write: two processes never work on one run."""
    first = open_store()
    try:
        first.finish("it-1", sample_state("it-1", "by the first"), None)
        try:
            second = open_store()
        except AutodataError:
            _equal(
                first.finish("it-2", sample_state("it-2", "by the first"), None),
                True,
                "finish() after another opening was refused",
            )
            return
        try:
            _equal(second.finished("it-1"), sample_state("it-1", "by the first"), "what the second opening finds")
            try:
                first.finish("it-2", sample_state("it-2", "by the first"), sample_example("it-2"))
            except AutodataError:
                _equal(second.finished("it-2"), None, "the item of the opening that was taken over")
            else:
                raise AssertionError("Two openings of one run write; the older one must be refused.")
            _equal(
                second.finish("it-2", sample_state("it-2", "by the second"), None),
                True,
                "finish() in the later opening",
            )
        finally:
            _close(second)
    finally:
        _close(first)


# The call journal.

_REPLY = ModelReply(
    text="answer – ü\x00\u2028",
    finish_reason="stop",
    usage=Usage(calls=1, input_tokens=10, output_tokens=5, cost_usd=0.5),
    served="m-1",
)
_IDENTITY = {"name": "scripted", "params": {"max_tokens": 9}}


def a_call_has_no_reply_until_it_is_done(open_store: OpenStore) -> None:
    """Announced is not answered; an answer is found again as it was, and the first one counts."""
    with _opened(open_store) as journal:
        _equal(journal.lookup("k"), None, "lookup() of an unknown call")
        _equal(_send(journal, "k"), False, "send() of a new call")
        _equal(journal.lookup("k"), None, "lookup() of a call that is only sent")
        _wait(journal.done("k", _REPLY))
        _equal(journal.lookup("k"), _REPLY, "lookup() of a finished call")
        _wait(journal.done("k", _REPLY.model_copy(update={"text": "other"})))
        _equal(journal.lookup("k"), _REPLY, "lookup() after a second reply")
        _equal(journal.spent(), _REPLY.usage, "spent() after two replies to one call")


def a_lost_send_is_flagged_and_stays_counted(open_store: OpenStore) -> None:
    """A call that is sent again without an answer may be billed twice: send() says True, and both are counted."""
    with _opened(open_store) as journal:
        _equal(_send(journal, "k", usd=0.25), False, "the first send()")
        _equal(journal.spent(), Usage(calls=1, cost_usd=0.25, estimated=True), "spent() of an unanswered call")
        _equal(_send(journal, "k", usd=0.125), True, "send() of a call that was never answered")
        _wait(journal.done("k", _REPLY))
        total = Usage(calls=2, input_tokens=10, output_tokens=5, cost_usd=0.75, estimated=True)
        _equal(journal.spent(), total, "spent() after a lost send and a reply")


def a_reply_is_found_before_it_is_on_the_disk(open_store: OpenStore) -> None:
    """Nobody need wait for `done` to ask again: the reply is found at once, and what is written later comes after it."""
    with _opened(open_store) as journal:
        for n in range(20):
            _send(journal, f"k{n}")
            recorded = journal.done(f"k{n}", _REPLY)
            _equal(journal.lookup(f"k{n}"), _REPLY, "lookup() right after done()")
        _send(journal, "later")
        _true(recorded.done(), "A later send() is on the disk before the reply that was given earlier.")
        _equal(journal.spent().calls, 21, "spent().calls after the later send()")


def what_is_charged_goes_before_what_the_reply_says(open_store: OpenStore) -> None:
    """Several tries of one call cost more than its reply says; reserved tokens count until they are settled."""
    charged = Usage(calls=3, input_tokens=50, output_tokens=7, cost_usd=1.5, estimated=True)
    request = {"role": "weak", "item": "it-1", "step": "s"}
    with _opened(open_store) as journal:
        for key in ("done", "failed", "free", "open", "open"):
            _wait(journal.send(key, request, _IDENTITY, 0.25, 100))
        _wait(journal.done("done", _REPLY, charged))
        _wait(journal.failed("failed", "timeout", 0.125, charged))
        _wait(journal.failed("free", "refused", charged=Usage()))
        _equal(journal.lookup("done"), _REPLY, "the reply of a call that is charged more")
        lost = Usage(calls=2, input_tokens=200, cost_usd=0.5, estimated=True)
        _equal(journal.spent(), charged.plus(charged).plus(lost), "spent()")


def a_failed_call_may_be_asked_again(open_store: OpenStore) -> None:
    """An error is no reply; what it may have cost is counted, and asking again is not a lost send."""
    with _opened(open_store) as journal:
        _send(journal, "k", usd=1.0)
        _wait(journal.failed("k", "timeout \x00 \ud800", 0.25))
        _equal(journal.lookup("k"), None, "lookup() of a failed call")
        _equal(journal.spent().cost_usd, 0.25, "the cost of a failed call")
        _equal(_send(journal, "k", usd=1.0), False, "send() after failed()")
        _wait(journal.done("k", _REPLY))
        _equal(journal.lookup("k"), _REPLY, "lookup() after the second attempt")
        _wait(journal.failed("k", "too late", 9.0))
        _equal(journal.lookup("k"), _REPLY, "lookup() after failed() of a finished call")
        _equal(journal.spent().cost_usd, 0.75, "the cost of both attempts")


def a_failure_that_cost_nothing_counts_nothing(open_store: OpenStore) -> None:
    """The reservation of a call that was refused is free again."""
    with _opened(open_store) as journal:
        _send(journal, "k", usd=1.0)
        _wait(journal.failed("k", "no rights"))
        _equal(journal.spent().cost_usd, 0.0, "the cost of a refused call")


def settling_what_was_never_announced_is_refused(open_store: OpenStore) -> None:
    """A reply to a call that nobody sent is a fault of the program, and hurts no other call."""
    with _opened(open_store) as journal:
        for what, settle in (
            ("done", partial(journal.done, "k", _REPLY)),
            ("failed", partial(journal.failed, "k", "x")),
        ):
            try:
                _wait(settle())
            except (AutodataError, LookupError):
                pass
            else:
                raise AssertionError(f"{what}() of a call that was never sent was taken; it must raise.")
        _equal(_send(journal, "k"), False, "send() after that")
        _wait(journal.done("k", _REPLY))


def what_was_spent_is_the_sum_of_all_calls(open_store: OpenStore) -> None:
    """Settled calls count what they used, unsettled ones what is reserved."""
    with _opened(open_store) as journal:
        _equal(journal.spent(), Usage(), "spent() of an empty journal")
        for n in range(4):
            for role in ("weak", "judge"):
                _send(journal, f"{role}{n}", usd=0.5, role=role)
                used = Usage(calls=1, input_tokens=n, output_tokens=2 * n, cost_usd=n / 4)
                _wait(journal.done(f"{role}{n}", ModelReply(text="x", usage=used)))
        settled = Usage(calls=8, input_tokens=12, output_tokens=24, cost_usd=3.0)
        _equal(journal.spent(), settled, "spent() of settled calls")
        _send(journal, "open", usd=0.25)
        total = settled.plus(Usage(calls=1, cost_usd=0.25, estimated=True))
        _equal(journal.spent(), total, "spent() with an unsettled call")


def hostile_replies_come_back_as_they_were_or_are_refused(open_store: OpenStore) -> None:
    """Texts of models and requests are never changed, revived or executed."""
    with _opened(open_store) as journal:
        for name, value in _HOSTILE.items():
            text = value if isinstance(value, str) else json.dumps(value)
            reply = ModelReply(text=text, served=text[:1000], usage=Usage(calls=1))
            request = {"role": "weak", "item": "it", "step": "s", "view": {"value": value}, "text": text}
            kept = _settled(journal.send, name, request, {"params": request}, 0.0)
            if kept and _settled(journal.done, name, reply):
                _equal(journal.lookup(name), reply, f"the reply with {name}")
            else:
                _equal(journal.lookup(name), None, f"the refused reply with {name}")
        _send(journal, "plain")
        _wait(journal.done("plain", _REPLY))
        _equal(journal.lookup("plain"), _REPLY, "a reply after hostile ones")


def many_threads_may_call_at_once(open_store: OpenStore) -> None:
    """Each reply is found under its key; of many that send one call, all but one are told that it was sent before."""
    keys = [f"k{n:03d}" for n in range(80)]
    with _opened(open_store) as journal:

        def call(key: str) -> bool:
            flagged = _send(journal, key, usd=0.25)
            _wait(journal.done(key, _REPLY.model_copy(update={"text": key})))
            return flagged

        _equal(sum(_at_once(call, keys)), 0, "lost sends of different calls")
        _equal([journal.lookup(k).text for k in keys], keys, "the replies")
        _equal(journal.spent().calls, len(keys), "spent().calls")
        _equal(sum(_at_once(lambda n: _send(journal, "one"), range(20))), 19, "lost sends of one call")


def writes_can_be_awaited(open_store: OpenStore) -> None:
    """The futures work in an event loop, and a cancelled wait still writes a reply that was paid for."""
    keys = [f"k{n}" for n in range(40)]

    async def main(journal: Any) -> None:
        sent = (asyncio.wrap_future(journal.send(key, {"role": "weak"}, _IDENTITY, 0.0)) for key in keys)
        _equal(await asyncio.gather(*sent), [False] * len(keys), "awaited send()")
        waiting = asyncio.ensure_future(asyncio.wrap_future(journal.done(keys[0], _REPLY)))
        waiting.cancel()
        await asyncio.gather(*(asyncio.wrap_future(journal.done(key, _REPLY)) for key in keys[1:]))
        await asyncio.gather(waiting, return_exceptions=True)

    with _opened(open_store) as journal:
        asyncio.run(main(journal))
        _equal([k for k in keys if journal.lookup(k) != _REPLY], [], "calls without their reply")


def a_reopened_journal_asks_nobody_again(open_store: OpenStore) -> None:
    """A recorded call is replayed after closing, and only what was lost is asked and flagged."""
    model = ScriptedModel("an answer")
    request = ModelRequest(
        role="weak", item="it", round=1, step="s", messages=(Message(role="user", content="?"),), seed=1
    )
    for _ in range(3):
        with _opened(open_store) as journal:
            asked = JournaledModel(model, journal, Budget(usd=1.0))
            _equal(asked.complete(request).text, "an answer", "the reply")
            spent = journal.spent()
    _equal(len(model.requests), 1, "calls that reached the model in three openings")
    with _opened(open_store) as journal:
        _equal(journal.spent(), spent, "spent() after opening again")
        _send(journal, "lost", usd=0.25)
    with _opened(open_store) as journal:
        _equal(_send(journal, "lost", usd=0.25), True, "send() of a call that an earlier opening sent")


def _needs(*names: Capability) -> frozenset[Capability]:
    return frozenset(names)


_CHECKS: tuple[tuple[Check, frozenset[Capability]], ...] = (
    (an_item_nobody_finished_is_none, _needs("records")),
    (a_finished_item_and_its_row_come_back_as_they_were, _needs("records")),
    (an_item_without_a_row_is_kept, _needs("records")),
    (finishing_twice_is_finishing_once, _needs("records")),
    (the_first_finish_of_an_item_counts, _needs("records")),
    (a_row_of_another_item_is_refused_and_the_item_kept, _needs("records")),
    (changing_a_state_afterwards_changes_nothing, _needs("records")),
    (rows_without_a_plan_come_in_the_order_they_were_finished, _needs("records")),
    (what_cannot_be_kept_is_refused_whole, _needs("records")),
    (hostile_texts_come_back_as_they_were_or_are_refused, _needs("records")),
    (hostile_rows_come_back_as_they_were_or_are_refused, _needs("records")),
    (hostile_names_are_kept_apart_or_refused, _needs("records")),
    (many_threads_may_finish_items_at_once, _needs("records")),
    (rows_come_in_the_order_of_the_plan, _needs("plan")),
    (a_reopened_store_gives_the_same, _needs("records", "reopening")),
    (of_two_openings_only_one_writes, _needs("records", "fencing")),
    (a_call_has_no_reply_until_it_is_done, _needs("journal")),
    (a_lost_send_is_flagged_and_stays_counted, _needs("journal")),
    (a_reply_is_found_before_it_is_on_the_disk, _needs("journal")),
    (what_is_charged_goes_before_what_the_reply_says, _needs("journal")),
    (a_failed_call_may_be_asked_again, _needs("journal")),
    (a_failure_that_cost_nothing_counts_nothing, _needs("journal")),
    (settling_what_was_never_announced_is_refused, _needs("journal")),
    (what_was_spent_is_the_sum_of_all_calls, _needs("journal")),
    (hostile_replies_come_back_as_they_were_or_are_refused, _needs("journal")),
    (many_threads_may_call_at_once, _needs("journal")),
    (writes_can_be_awaited, _needs("journal")),
    (a_reopened_journal_asks_nobody_again, _needs("journal", "reopening")),
)


@contextmanager
def _opened(open_store: OpenStore) -> Iterator[Any]:
    store = open_store()
    try:
        yield store
    finally:
        _close(store)


def _close(store: Any) -> None:
    if hasattr(store, "close"):
        store.close()


def _send(journal: Any, key: str, *, usd: float = 0.0, role: str = "weak") -> bool:
    request = {"role": role, "item": "it-1", "step": "r1.weak.0", "messages": []}
    return bool(_wait(journal.send(key, request, _IDENTITY, usd)))


def _wait(future: Future[Any]) -> Any:
    return future.result(_WAIT_S)


def _at_once(work: Callable[[Any], bool], values: Sequence[Any]) -> list[bool]:
    with ThreadPoolExecutor(_THREADS) as pool:
        return list(pool.map(work, values))


def _kept(write: Callable[[], object]) -> bool:
    try:
        write()
    except _REFUSALS:
        return False
    return True


def _settled(write: Callable[..., Future[Any]], *values: Any) -> bool:
    return _kept(lambda: _wait(write(*values)))


def _refused_or_none(store: Any, name: str) -> Any:
    try:
        return store.finished(name)
    except _REFUSALS:
        return None


def _true(holds: bool, message: str) -> None:
    if not holds:
        raise AssertionError(message)


def _equal(got: object, wanted: object, what: str) -> None:
    _true(got == wanted, f"{what}: expected {shorten(wanted, 300)}, got {shorten(got, 300)}.")


def _same_json(got: object, wanted: object, what: str) -> None:
    """As `_equal`, and 1 is not 1.0, True is not 1."""
    _equal(got, wanted, what)
    _equal(json.dumps(got, sort_keys=True), json.dumps(wanted, sort_keys=True), f"{what}, as JSON")
