"""The item graph in somebody's checkpointed app: killed anywhere, it ends as the unbroken run, and nothing is paid twice."""

import contextlib
import json
import os
import pickle
import sqlite3
import subprocess
import sys
import traceback
from fractions import Fraction
from pathlib import Path

import autodata_test_worlds as w
import ormsgpack
import pytest
from langchain_core.callbacks import BaseCallbackHandler
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.serde.encrypted import EncryptedSerializer
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.graph import END, START, StateGraph
from typing_extensions import TypedDict

from autodata_adapters.stores import SqliteRunStore
from autodata_core.bridges import installed_verifiers
from autodata_core.budget import Budget
from autodata_core.calls import JournaledModel
from autodata_core.errors import RecordError, StoreError
from autodata_core.item import PHASES
from autodata_langgraph import AutodataContext, create_autodata_graph
from autodata_langgraph.checkpointing import StrictSerializer, strict

CONFIG = {"configurable": {"thread_id": "1"}, "recursion_limit": 1000}
INPUT = {"source": w.SOURCE.to_json(), "item_id": w.ITEM, "wanted": 1}
NEEDS_SQLITE = "langgraph-checkpoint-sqlite is not installed"


class KilledError(RuntimeError):
    """What ends a run in these tests."""


class Killer(BaseCallbackHandler):
    """Raises at the `at`-th time that a node of the item graph begins, has ended, or has ended and is about to be saved."""

    raise_error = True
    run_inline = True

    def __init__(self, at=None, die=None):
        self.at, self.die, self.count, self.names = at, die, 0, {}
        self.node, self.began = None, False
        """Where it raised, and whether that node had only begun."""

    def on_chain_start(self, serialized, inputs, *, run_id, parent_run_id=None, name="", **kwargs):
        if name in PHASES:
            self.names[run_id] = name
            if parent_run_id not in self.names:  # the node's function has the node's name
                self._reached(name, began=True)

    def on_chain_end(self, outputs, *, run_id, **kwargs):
        if run_id in self.names:
            self._reached(self.names.pop(run_id), began=False)

    def _reached(self, name, began):
        self.count += 1
        if self.count == self.at:
            self.node, self.began = name, began
            if self.die is not None:
                self.die()
            raise KilledError(name)


class App(TypedDict, total=False):
    source: dict
    item_id: str
    wanted: int
    item: dict
    status: str
    example: dict | None
    saved: int


def app_with(world, checkpointer, journal, provider=lambda model: model):
    """Return somebody's app with the item graph as a node, and the models that count what is paid."""
    rules, _, models = w.WORLDS[world]()
    asked = {role: provider(model) for role, model in models.items()}
    if journal is not None:
        asked = {role: JournaledModel(model, journal, Budget(usd=9.0)) for role, model in asked.items()}
    context = AutodataContext(models=asked, verifiers=installed_verifiers(), run=w.RUN, fence_key=w.FENCE_KEY)
    app = StateGraph(App)
    app.add_node("make_row", create_autodata_graph(rules, context=context).compile())
    app.add_node("save", lambda state: {"saved": 1 if state["example"] else 0})
    app.add_edge(START, "make_row")
    app.add_edge("make_row", "save")
    app.add_edge("save", END)
    return app.compile(checkpointer=checkpointer), models


def unbroken(world):
    app, models = app_with(world, InMemorySaver(), None)
    killer = Killer()
    found = app.invoke(INPUT, {**CONFIG, "callbacks": [killer]})
    return found, sorted((r.step, r.attempt) for m in models.values() for r in m.requests), killer.count


def paid(models):
    return sorted((r.step, r.attempt) for m in models.values() for r in m.requests)


@contextlib.contextmanager
def memory_saver(path):
    yield strict(InMemorySaver())


@contextlib.contextmanager
def sqlite_saver(path):
    sqlite = pytest.importorskip("langgraph.checkpoint.sqlite", reason=NEEDS_SQLITE)
    with sqlite.SqliteSaver.from_conn_string(str(path)) as saver:
        yield strict(saver)


@pytest.mark.parametrize("step", [2, pytest.param(1, marks=pytest.mark.long)])
@pytest.mark.parametrize(("world", "open_saver"), [("exact", memory_saver), ("lone_surrogate", sqlite_saver)])
def test_killed_at_every_node_it_resumes_there_and_ends_as_the_unbroken_run(world, open_saver, step, tmp_path):
    wanted, calls, events = unbroken(world)
    assert wanted["status"] == w.EXPECTED[world]
    assert events >= 12
    for at in range(1, events + 1, step):  # a node makes three events, so that a step of two misses none
        with SqliteRunStore(tmp_path / f"{at}.db") as journal:
            with open_saver(tmp_path / f"{at}.checkpoints") as saver:
                app, models = app_with(world, saver, journal)
                killer = Killer(at)
                with pytest.raises(KilledError):
                    app.invoke(INPUT, {**CONFIG, "callbacks": [killer]}, durability="sync")
            if open_saver is memory_saver:
                found = resumed(app, killer)
            else:  # as another process does: everything is opened anew
                with open_saver(tmp_path / f"{at}.checkpoints") as saver:
                    again, more = app_with(world, saver, journal)
                    found = resumed(again, killer)
                models = {role: _both(models[role], more[role]) for role in models}
            assert found == wanted
            assert paid(models) == calls
            assert journal.possibly_billed_twice() == 0


def resumed(app, killer):
    state = app.get_state(CONFIG, subgraphs=True)
    assert state.next == ("make_row",)
    next_nodes = state.tasks[0].state.next
    # One that has ended may be saved already; before the first begins the sub-graph has no checkpoint of its own.
    assert next_nodes == (killer.node,) or (next_nodes == () and (killer.at == 1 or not killer.began))
    return app.invoke(None, CONFIG, durability="sync")


def _both(one, other):
    one.requests.extend(other.requests)
    return one


def test_without_a_journal_a_node_that_was_not_saved_is_paid_again():
    """So the counts above show what the journal does."""
    _, calls, events = unbroken("exact")
    counts = []
    for at in range(1, events + 1, 4):
        app, models = app_with("exact", strict(InMemorySaver()), None)
        with pytest.raises(KilledError):
            app.invoke(INPUT, {**CONFIG, "callbacks": [Killer(at)]}, durability="sync")
        app.invoke(None, CONFIG, durability="sync")
        counts.append(len(paid(models)) - len(calls))
    assert min(counts) == 0
    assert max(counts) > 0


async def test_the_async_saver_resumes_as_well(tmp_path):
    aio = pytest.importorskip("langgraph.checkpoint.sqlite.aio", reason=NEEDS_SQLITE)
    wanted, calls, events = unbroken("exact")
    for at in range(2, events + 1, 5):
        with SqliteRunStore(tmp_path / f"{at}.db") as journal:
            async with aio.AsyncSqliteSaver.from_conn_string(str(tmp_path / f"{at}.checkpoints")) as saver:
                app, models = app_with("exact", strict(saver), journal)
                with pytest.raises(KilledError):
                    await app.ainvoke(INPUT, {**CONFIG, "callbacks": [Killer(at)]}, durability="sync")
                assert await app.ainvoke(None, CONFIG) == wanted
            assert paid(models) == calls


# A real kill.


_CHILD = """
import importlib.util, runpy, sys
spec = importlib.util.spec_from_file_location("autodata_test_worlds", sys.argv[1])
sys.modules[spec.name] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(sys.modules[spec.name])
runpy.run_path(sys.argv[2])["kill_everywhere"](sys.argv[3], *(int(number) for number in sys.argv[4:]))
"""


@pytest.mark.parametrize("step", [9, pytest.param(1, marks=pytest.mark.long)])
def test_killed_for_good_at_nodes_and_in_calls_it_ends_as_the_unbroken_run(step, tmp_path):
    """SIGKILL; the model writes what it is asked into a file, as a provider does. Only what is flagged is paid twice."""
    pytest.importorskip("langgraph.checkpoint.sqlite", reason=NEEDS_SQLITE)
    wanted, calls, events = unbroken("exact")
    done = subprocess.run(
        [sys.executable, "-c", _CHILD, w.__file__, __file__, tmp_path, str(events), str(len(calls)), str(step)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "AUTODATA_MIN_FREE_MB": "0"},
    )
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(lines) >= (events + len(calls)) // step
    assert {line["found"] for line in lines} == {json.dumps(wanted, sort_keys=True)}
    for line in lines:
        metered = sorted((step, attempt) for step, attempt in line["metered"])
        assert line["killed"]
        assert sorted(set(metered)) == calls
        assert len(metered) - len(calls) <= line["flagged"], line["point"]
        assert line["flagged"] <= 4, "more calls than were in flight or just answered"
    assert any(line["flagged"] for line in lines), "no kill came while a call was unanswered"


def kill_everywhere(folder, events, calls, step):
    """Kill a child at each point, resume in another, and print what came of it; one process that imports only once."""
    unbroken("exact")  # what is built at the first run need not be built by every child
    for kind, last in (("node", events), ("call", calls)):
        for at in range(1, last + 1, step):
            place = Path(folder) / f"{kind}{at}"
            place.mkdir()
            first = fork(lambda place=place, kind=kind, at=at: live(place, kind, at))
            fork(lambda place=place: live(place, "", 0))
            with SqliteRunStore(place / "run.db") as journal:
                flagged = journal.possibly_billed_twice()
            metered = [json.loads(line) for line in (place / "meter").read_text().splitlines()]
            found = (place / "found").read_text() if (place / "found").exists() else ""
            line = {"point": f"{kind} {at}", "killed": first == -9, "flagged": flagged, "metered": metered}
            print(json.dumps({**line, "found": found}), flush=True)


def fork(work):
    """Return how a child that does `work` ended: 0, or the negative number of the signal."""
    child = os.fork()
    if child == 0:
        try:
            work()
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def live(place, kind, at):
    from langgraph.checkpoint.sqlite import SqliteSaver

    def die():
        os.kill(os.getpid(), 9)

    class Metered:
        """A model whose provider bills every request that reaches it."""

        def __init__(self, model):
            self.model = model

        @property
        def identity(self):
            return self.model.identity

        def complete(self, request):
            handle = os.open(place / "meter", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            os.write(handle, json.dumps([request.step, request.attempt]).encode() + b"\n")
            os.close(handle)
            if kind == "call" and len((place / "meter").read_bytes().splitlines()) >= at:
                die()  # billed, and the answer never came
            return self.model.complete(request)

    with SqliteRunStore(place / "run.db") as journal, SqliteSaver.from_conn_string(str(place / "checkpoints")) as saver:
        app, _ = app_with("exact", strict(saver), journal, Metered)
        known = app.get_state(CONFIG).values
        killer = Killer(at if kind == "node" else None, die)
        found = app.invoke(None if known else INPUT, {**CONFIG, "callbacks": [killer]})
    (place / "found").write_text(json.dumps(found, sort_keys=True))


# What a checkpoint gives back.

PLAIN = {
    "constructor": {"lc": 1, "type": "constructor", "id": ["langchain_core", "messages", "AIMessage"], "kwargs": {}},
    "secret": {"lc": 1, "type": "secret", "id": ["PATH"]},
    "envelope": {"lc": 2, "type": "constructor", "id": ["builtins", "eval"], "args": ["1"]},
    "constructor beside half a character": [
        {"lc": 1, "type": "constructor", "id": ["langchain_core", "messages", "AIMessage"], "kwargs": {"content": ""}},
        {"lc": 2, "type": "constructor", "id": ["datetime", "date"], "args": [2026, 1, 1]},
        "\ud800",
    ],
    "surrogate": ["half \ud800 a character", {"\udfff": "\ud83d\ude00"}],
    "pair": "\U0001f600",
    "great": [2**64, -(2**63) - 1, 10**400],
    "edges": [2**64 - 1, -(2**63), 2**63, 0, -0.0, 1e308, 5e-324],
    "texts": ["a\x00b", "\u2028", "", "x" * 1_000_000],
    "empty": [{}, [], None, True, False],
}


@pytest.mark.parametrize("name", PLAIN)
@pytest.mark.parametrize("serializer", [StrictSerializer(), StrictSerializer([Path])])
def test_a_plain_value_comes_back_as_it_was(name, serializer):
    back = serializer.loads_typed(serializer.dumps_typed({"value": PLAIN[name]}))
    assert json.dumps(back) == json.dumps({"value": PLAIN[name]})
    assert type(back["value"]) is type(PLAIN[name])


def test_the_hosts_own_serializer_changes_half_a_character():
    """So a resumed run would quote another fault to the model than the unbroken one."""
    usual = JsonPlusSerializer()
    assert usual.loads_typed(usual.dumps_typed("half \ud800")) == "half ?"


def test_values_of_the_host_come_back_beside_odd_texts():
    from langchain_core.messages import AIMessage
    from langgraph.types import Send

    serializer = StrictSerializer()
    for value in (AIMessage("hi"), Send("node", {"x": 1}), {"m": [AIMessage("hi")], "keys": {1: 2}}):
        assert serializer.loads_typed(serializer.dumps_typed(value)) == value
    beside = {1: "\ud800", "m": AIMessage("hi")}  # not plain JSON: as the host writes it
    assert serializer.loads_typed(serializer.dumps_typed(beside)) == {**beside, 1: "?"}
    assert serializer.loads_typed(serializer.dumps_typed({1: "\ud800"})) == {1: "?"}


HOSTILE = {
    "one argument": (0, lambda path: ("os", "makedirs", path)),
    "arguments": (1, lambda path: ("os", "makedirs", [path])),
    "names": (2, lambda path: ("os", "makedirs", {"name": path})),
    "method": (3, lambda path: ("os", "path", path, "os.makedirs")),
    "model": (4, lambda path: ("os", "makedirs", {"name": path})),
    "model of two": (5, lambda path: ("os", "makedirs", {"name": path}, "__call__")),
}


class Reduced:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.makedirs, (self.path,)


def hostile(kind, path):
    """Return a tag and bytes that make a folder when they are read without care."""
    if kind == "pickle":
        return "pickle", pickle.dumps(Reduced(path))
    if kind == "json":
        envelope = {"lc": 2, "type": "constructor", "id": ["os", "makedirs"], "kwargs": {"name": path}}
        return "json", json.dumps(envelope).encode()
    code, make = HOSTILE[kind]
    return "msgpack", ormsgpack.packb({"x": ormsgpack.Ext(code, ormsgpack.packb(make(path)))})


@pytest.mark.parametrize("kind", [*HOSTILE, "json", "pickle"])
def test_a_hostile_checkpoint_executes_nothing(kind, tmp_path):
    path = str(tmp_path / "executed")
    with contextlib.suppress(StoreError):
        StrictSerializer().loads_typed(hostile(kind, path))
    assert not os.path.exists(path)


@pytest.mark.parametrize("kind", ["one argument", "arguments", "names", "pickle"])
def test_the_hostile_checkpoint_works_where_nobody_is_careful(kind, tmp_path):
    path = str(tmp_path / "executed")
    JsonPlusSerializer(allowed_msgpack_modules=True, pickle_fallback=True).loads_typed(hostile(kind, path))
    assert os.path.exists(path)


@pytest.mark.parametrize("strictly", [True, False])
def test_a_file_that_somebody_tampered_with_executes_nothing(strictly, tmp_path):
    sqlite = pytest.importorskip("langgraph.checkpoint.sqlite", reason=NEEDS_SQLITE)
    file, marker = tmp_path / "checkpoints", tmp_path / "executed"
    with sqlite.SqliteSaver.from_conn_string(str(file)) as saver:
        app, _ = app_with("exact", strict(saver), None)
        app.invoke(INPUT, CONFIG)
        kind, content = saver.conn.execute("SELECT type, checkpoint FROM checkpoints LIMIT 1").fetchone()
        value = StrictSerializer().loads_typed((kind, content))
    value["channel_values"]["source"] = ormsgpack.Ext(0, ormsgpack.packb(("os", "makedirs", str(marker))))
    with contextlib.closing(sqlite3.connect(file)) as db, db:
        db.execute("UPDATE checkpoints SET type = 'msgpack', checkpoint = ?", (ormsgpack.packb(value),))
    with sqlite.SqliteSaver.from_conn_string(str(file)) as saver:
        if strictly:
            app, _ = app_with("exact", strict(saver), None)
        else:
            saver.serde = JsonPlusSerializer(allowed_msgpack_modules=True)
            app, _ = app_with("exact", saver, None)
        with contextlib.suppress(Exception):
            app.get_state(CONFIG)
    assert marker.exists() is not strictly


def test_a_saver_is_made_strict_whatever_the_environment_says(tmp_path):
    code = (
        "import ormsgpack, os, sys\n"
        "from langgraph.checkpoint.memory import InMemorySaver\n"
        "from autodata_langgraph.checkpointing import strict\n"
        "bad = 'msgpack', ormsgpack.packb(ormsgpack.Ext(0, ormsgpack.packb(('os', 'makedirs', sys.argv[1]))))\n"
        "saver = InMemorySaver()\n"
        "strict(saver).serde.loads_typed(bad); print(os.path.exists(sys.argv[1]))\n"
        "saver.serde.loads_typed(bad); print(os.path.exists(sys.argv[1]))\n"
    )
    env = {**os.environ, "LANGGRAPH_STRICT_MSGPACK": "false"}
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "executed"], capture_output=True, text=True, check=True, env=env
    )
    assert done.stdout.split() == ["False", "True"]


def test_only_the_types_that_the_app_names_are_made():
    half = "msgpack", ormsgpack.packb(ormsgpack.Ext(0, ormsgpack.packb(("fractions", "Fraction", "1/2"))))
    assert StrictSerializer([Fraction]).loads_typed(half) == Fraction(1, 2)
    assert StrictSerializer().loads_typed(half) == "1/2"


def test_one_that_encrypts_goes_on_encrypting():
    class Reversed:
        def encrypt(self, plaintext):
            return "reversed", plaintext[::-1]

        def decrypt(self, ciphername, ciphertext):
            return ciphertext[::-1]

    saver = strict(InMemorySaver(serde=EncryptedSerializer(Reversed(), JsonPlusSerializer())))
    assert isinstance(saver.serde.serde, StrictSerializer)
    for value in PLAIN.values():
        kind, content = saver.serde.dumps_typed(value)
        assert kind.endswith("+reversed")
        assert json.dumps(saver.serde.loads_typed((kind, content))) == json.dumps(value)
    app, _ = app_with("exact", saver, None)
    assert app.invoke(INPUT, CONFIG)["status"] == "accepted"


def test_what_is_no_checkpointer_or_has_a_serializer_of_its_own_is_refused():
    class Own:
        def dumps_typed(self, obj):
            return "pickle", pickle.dumps(obj)

        def loads_typed(self, data):
            return pickle.loads(data[1])

    with pytest.raises(RecordError, match="takes a checkpointer"):
        strict(None)
    with pytest.raises(RecordError, match="not LangGraph's own"):
        strict(InMemorySaver(serde=Own()))
    saver = InMemorySaver()
    assert strict(strict(saver)).storage is saver.storage
    assert isinstance(strict(saver).serde, StrictSerializer)
