"""Questions that earlier runs kept are not kept again: from their folders, and from a collection that many runs share."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from autodata_adapters.coverage import (
    NEAR_DUPLICATE,
    ChromaCoverage,
    ChromaServerCoverage,
    HashingEmbedder,
    collection,
    open_library,
)
from autodata_adapters.coverage.collection import ChromaServerCollection
from autodata_adapters.stores import RecordedCoverage, SqliteRunStore
from autodata_core.errors import RecipeError, StoreError
from autodata_core.ports import CoverageAsk
from autodata_core.records import Example
from autodata_core.testing import sample_example

chromadb = pytest.importorskip("chromadb")
pytest.importorskip("sklearn")

TICKETS = "What do 3 tickets for the tram cost in total?"
SAME = "In total, what do three tickets for the tram cost?"
OTHER = "What do 7 tickets for the tram cost in total?"


def ask(id: str, text: str) -> CoverageAsk:
    return CoverageAsk("r1.coverage", id, text, {"source": "s"})


def kept(question: str, n: int = 0) -> Example:
    row = sample_example(f"it-{n}", f"row {n}")
    return row.model_copy(update={"question": question})


def earlier_run(folder: Path, *questions: str) -> Path:
    folder.mkdir(parents=True)
    lines = [kept(question, n).to_json() for n, question in enumerate(questions)]
    (folder / "dataset.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def map_of(tmp_path: Path, *specs: str, name: str = "now") -> ChromaCoverage:
    embedder = HashingEmbedder()
    library = open_library(specs, tmp_path, embedder, without=tmp_path / "runs" / name)
    return ChromaCoverage(tmp_path / "runs" / name / "coverage", embedder, library.entries())


def test_a_question_that_an_earlier_run_kept_is_a_duplicate_and_nobody_is_told_what_it_says(tmp_path: Path) -> None:
    earlier_run(tmp_path / "runs" / "one", TICKETS)
    (tmp_path / "more.jsonl").write_text(json.dumps({"question": "Why is the sea salt?"}) + "\n")
    with map_of(tmp_path, "runs/*", "more.jsonl") as coverage:
        found = coverage.claim(ask("a/r1", SAME))
        assert found.similarity >= NEAR_DUPLICATE
        assert (found.nearest, found.text) == ("library:one/dataset.jsonl:1", "")
        assert coverage.claim(ask("b/r1", OTHER)).similarity < NEAR_DUPLICATE
        assert (
            coverage.claim(ask("c/r1", "Please: why is the sea salt")).nearest
            == f"library:{tmp_path.name}/more.jsonl:1"
        )
        assert len(coverage) == 3  # what the library holds is no entry of the run


def test_the_nearer_of_run_and_library_is_the_answer(tmp_path: Path) -> None:
    earlier_run(tmp_path / "runs" / "one", "How long does a tram of 3 carriages take to the harbour?")
    with map_of(tmp_path, "runs/*") as coverage:
        coverage.claim(ask("a/r1", TICKETS))
        assert coverage.claim(ask("b/r1", TICKETS)).nearest == "a/r1"


def test_a_run_is_not_its_own_library_and_a_pattern_may_fit_nothing_yet(tmp_path: Path) -> None:
    with map_of(tmp_path, "runs/*") as coverage:
        assert coverage.claim(ask("a/r1", TICKETS)).nearest is None
    (tmp_path / "runs" / "now" / "dataset.jsonl").write_text(json.dumps(kept(TICKETS).to_json()) + "\n")
    with map_of(tmp_path, "runs/*") as coverage:
        assert coverage.claim(ask("a/r1", TICKETS)).nearest is None


def test_what_was_decided_stays_decided_when_the_library_grows(tmp_path: Path) -> None:
    (tmp_path / "runs" / "now").mkdir(parents=True)
    for growing in (False, True):
        if growing:
            earlier_run(tmp_path / "runs" / "one", TICKETS)
        with SqliteRunStore(tmp_path / "run.db") as store, map_of(tmp_path, "runs/*") as coverage:
            recorded = RecordedCoverage(coverage, store)
            assert recorded.claim(ask("a/r1", TICKETS)).nearest is None
            assert recorded.claim(ask("b/r1", OTHER)).similarity < NEAR_DUPLICATE


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("nowhere", "there is no 'nowhere'"),
        ("ftp://host/x", "http://HOST:PORT"),
        ("http://user:word@host/x", "http://HOST:PORT"),
        ("http://host:8000/a/b", "letters, digits and dashes"),
    ],
)
def test_a_library_that_cannot_be_is_said(tmp_path: Path, spec: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        open_library([spec], tmp_path, HashingEmbedder()).entries()


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Let the client of a server speak to Chroma in this process; the real server is tested below."""

    def client(*_: object, settings: Any, **__: object) -> Any:
        return chromadb.PersistentClient(str(tmp_path / "server"), settings=settings)

    monkeypatch.setattr(chromadb, "HttpClient", client)
    monkeypatch.setattr(collection, "_servers", {})
    return "http://127.0.0.1:8000"


class OtherEmbedder(HashingEmbedder):
    name = "other-v1"


def check_shared(url: str, tmp_path: Path) -> None:
    """A run publishes, the next one finds it; publishing twice is once; another embedder is refused."""
    embedder = HashingEmbedder()
    library = open_library([f"{url}/team"], tmp_path, embedder)
    assert library.entries() == []
    assert library.publish("run-one", [kept(TICKETS), kept("Why is the sea salt?", 1)]) == 2
    library.publish("run-one", [kept(TICKETS), kept("Why is the sea salt?", 1)])
    entries = library.entries()
    assert len(entries) == 2
    assert library.entries(without_run="run-one") == []
    with ChromaCoverage(tmp_path / "two", embedder, entries) as coverage:
        found = coverage.claim(ask("a/r1", SAME))
        assert found.similarity >= NEAR_DUPLICATE
        assert found.nearest == f"library:run-one/{kept(TICKETS).id}"
    other = open_library([f"{url}/team"], tmp_path, OtherEmbedder())
    for use in (other.entries, lambda: other.publish("run-two", [kept(OTHER)])):
        with pytest.raises(StoreError, match=r"embedder 'hashing-v1', and this run uses 'other-v1'"):
            use()
    assert open_library([f"{url}/others"], tmp_path, OtherEmbedder()).entries() == []


def check_index(url: str) -> None:
    """The index of a run on a server is made to be the run, and collections beside it stay."""
    beside = ChromaServerCollection(url, "beside", HashingEmbedder.name)
    with ChromaServerCoverage(url, "run-one", HashingEmbedder()) as coverage:
        for n in range(120):
            coverage.claim(ask(f"i-{n}/r1", f"What do {n} tickets cost?"))
    with ChromaServerCoverage(url, "beside", HashingEmbedder()) as coverage:
        coverage.claim(ask("x/r1", TICKETS))
    with ChromaServerCoverage(url, "run-one", HashingEmbedder()) as coverage:
        coverage.preload([ask(f"i-{n}/r1", f"What do {n} tickets cost?") for n in range(100)])
        assert coverage.claim(ask("y/r1", "what do 7 tickets cost")).nearest == "i-7/r1"
    own = ChromaServerCollection(url, "run-one", HashingEmbedder.name)
    assert {entry.ask.id for entry in own.read()} == {f"i-{n}/r1" for n in range(100)} | {"y/r1"}
    own.rebuild([])
    assert own.read() == []
    assert [entry.ask.id for entry in beside.read()] == ["x/r1"]
    own.close()
    beside.close()


def test_many_runs_share_a_collection(server: str, tmp_path: Path) -> None:
    check_shared(server, tmp_path)


def test_the_index_of_a_run_may_lie_on_a_server(server: str) -> None:
    check_index(server)


def test_a_server_that_is_not_there_is_one_clear_error(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    library = open_library([f"http://127.0.0.1:{port}/team"], tmp_path, HashingEmbedder())
    with pytest.raises(StoreError, match=rf"'team' on the Chroma server 127.0.0.1:{port} cannot be used.*server runs"):
        library.entries()


def test_a_server_that_never_answers_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        waiting = ChromaServerCollection(url, "team", HashingEmbedder.name, timeout_s=0.3)
        began = time.monotonic()
        with pytest.raises(StoreError, match=r"no answer in 0\.3 s"):
            waiting.fetch()
        assert waiting.read() == []
        assert time.monotonic() - began < 20


@pytest.fixture
def real_server(tmp_path: Path) -> Iterator[tuple[str, Any]]:
    """Start Chroma's own server on loopback; yields its address and what starts it again."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    running: list[subprocess.Popen[bytes]] = []

    def begin() -> None:
        command = [str(Path(sys.executable).with_name("chroma")), "run", "--path", str(tmp_path / "data")]
        with (tmp_path / "server.log").open("ab") as log:
            place = ["--host", "127.0.0.1", "--port", str(port)]
            quiet = {**os.environ, "ANONYMIZED_TELEMETRY": "False"}
            running.append(subprocess.Popen([*command, *place], stdout=log, stderr=log, env=quiet))
        for _ in range(300):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    return
            time.sleep(0.1)
        raise AssertionError((tmp_path / "server.log").read_text())

    def again(kill: bool = True) -> None:
        running[-1].send_signal(signal.SIGKILL)
        running[-1].wait(20)
        if kill:
            begin()

    begin()
    yield f"http://127.0.0.1:{port}", again
    running[-1].terminate()
    running[-1].wait(20)


@pytest.mark.long
def test_a_real_server_does_the_same(real_server: tuple[str, Any], tmp_path: Path) -> None:
    url, again = real_server
    check_shared(url, tmp_path)
    check_index(url)
    library = open_library([f"{url}/team"], tmp_path, HashingEmbedder())
    before = sorted(entry.ask.id for entry in library.entries())
    again()
    assert sorted(entry.ask.id for entry in library.entries()) == before
    again(kill=False)
    with pytest.raises(StoreError, match="see that the server runs"):
        library.publish("run-three", [kept(OTHER)])
