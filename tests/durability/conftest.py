"""A run in real processes: scripted models that note every call in a file beside the run, as a provider would bill it."""

from __future__ import annotations

import json
import os
import select
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import pytest

METERED = '''
import asyncio, os
from autodata_core.calls import call_key
from autodata_core.testing import scripted_models

class Metered:
    """Notes a call when it arrives, before anything is answered: what is noted would be on the bill."""

    def __init__(self, model):
        self.model, self.identity = model, model.identity

    def note(self, request):
        handle = os.open(os.environ["METER"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        os.write(handle, call_key(request, self.identity).encode() + b"\\n")
        os.close(handle)

    def complete(self, request):
        self.note(request)
        return self.model.complete(request)

    async def acomplete(self, request):
        self.note(request)
        await asyncio.sleep(float(os.environ.get("DELAY_S", "0.001")))
        return self.model.complete(request)

made = scripted_models()
CHALLENGER, CHECK, WEAK, STRONG = (Metered(made[role]) for role in ("challenger", "check", "weak", "strong"))
'''

RECIPE = """
name = "durable"
domain = "math_objects"
policy = "exact_counts"
[sources]
files = ["docs/*.md"]
[models]
challenger = "metered:CHALLENGER"
check = "metered:CHECK"
weak = "metered:WEAK"
strong = "metered:STRONG"
[attempts]
weak = 4
strong = 4
[budget]
rounds = 3
[coverage]
embedder = "none"
"""

METER_LINE = 65
"""Bytes of a line: a key and a line end."""

CONCURRENCY = 4
IN_FLIGHT = CONCURRENCY * 4
"""Items at once times attempts at once: so many calls may be made again after a kill."""


@dataclass
class World:
    """A folder with documents, a recipe and scripted models; `out` is the run."""

    path: Path
    out: Path
    meter: Path
    nursery: Nursery | None = None
    """Forks the processes of this world, where starting them anew would be most of the test."""

    @classmethod
    def create(cls, path: Path, documents: int, models: str = METERED, recipe: str = RECIPE) -> World:
        (path / "docs").mkdir(parents=True)
        for n in range(documents):
            (path / "docs" / f"d{n:05d}.md").write_text(
                f"# Station {n}\n\nIt measured {n * 7 + 3} litres on drum {n}.\n"
            )
        (path / "metered.py").write_text(models)
        (path / "recipe.toml").write_text(recipe)
        return cls(path, path / "run", path / "meter")

    def beside(self, name: str) -> World:
        """Return the same recipe with another run folder and meter."""
        return replace(self, out=self.path / name, meter=self.path / f"{name}.meter")

    def environment(self, fault: str = "", **more: str) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if k != "AUTODATA_FAULT"}
        return {
            **kept,
            "SOURCE_DATE_EPOCH": "1767225600",
            "METER": str(self.meter),
            **({"AUTODATA_FAULT": fault} if fault else {}),
            **more,
        }

    def alone(self) -> World:
        """Return the same world, with every process started anew; they may be several at once."""
        return replace(self, nursery=None)

    def raised_by(self, nursery: Nursery) -> World:
        """Return the same world, with its processes forked."""
        return replace(self, nursery=nursery)

    def start(self, *arguments: object, fault: str = "", **environment: str) -> subprocess.Popen[str] | Forked:
        """Start `autodata run` as a real process."""
        run = ["run", str(self.path / "recipe.toml"), "--out", str(self.out), "--concurrency", str(CONCURRENCY)]
        return self._started([*run, *map(str, arguments)], self.environment(fault, **environment))

    def _started(self, arguments: list[str], environment: dict[str, str]) -> subprocess.Popen[str] | Forked:
        if self.nursery is not None:
            return self.nursery.start(arguments, environment)
        command = [sys.executable, "-m", "autodata_cli", *arguments]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)

    def run(self, *arguments: object, fault: str = "", **environment: str) -> Ended:
        """Run to the end, whatever that is."""
        process = self.start(*arguments, fault=fault, **environment)
        out, err = process.communicate(timeout=120)
        return Ended(process.returncode, out, err)

    def command(self, *arguments: object, **environment: str) -> Ended:
        """Run another command."""
        process = self._started([*map(str, arguments)], self.environment(**environment))
        out, err = process.communicate(timeout=120)
        return Ended(process.returncode, out, err)

    def billed(self) -> Counter[str]:
        """Return how often each call arrived at the provider."""
        return Counter(self.meter.read_text().split()) if self.meter.exists() else Counter()

    def heard(self) -> int:
        """Return how many calls arrived; for who asks often."""
        return self.meter.stat().st_size // METER_LINE if self.meter.exists() else 0

    def dataset(self) -> bytes:
        return (self.out / "dataset.jsonl").read_bytes()

    def ids(self) -> list[str]:
        return [json.loads(line)["id"] for line in self.dataset().splitlines()]

    def recorded(self, state: str = "done") -> set[str]:
        """Return the keys of the calls whose reply is on disk, or of those in another state."""
        if not (self.out / "run.db").exists() or not (self.out / "run.db").stat().st_size:
            return set()
        with closing(sqlite3.connect(self.out / "run.db")) as db:
            try:
                return {key for (key,) in db.execute("SELECT key FROM call WHERE state = ?", (state,))}
            except sqlite3.OperationalError:  # killed before there were tables
                return set()

    def killed_when(self, calls: int, wait_s: float = 0.0) -> Ended:
        """Run, and kill the process so long after the provider has heard so many calls more."""
        before = self.heard()
        process = self.start()
        while process.poll() is None and self.heard() < before + calls:
            time.sleep(0.002)
        time.sleep(wait_s)
        process.send_signal(signal.SIGKILL)
        out, err = process.communicate(timeout=60)
        return Ended(process.returncode, out, err)


class Nursery:
    """Forks `autodata` from a process that has it imported, and more modules by name; one child at a time."""

    def __init__(self, *modules: str) -> None:
        self._modules = modules

    def __enter__(self) -> Self:
        self._folder = tempfile.TemporaryDirectory(prefix="autodata-nursery-")
        self._count = 0
        # numpy's threads would make the fork unsafe, and nobody here multiplies matrices.
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("nursery.py")), *self._modules],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
        )
        return self

    def __exit__(self, *error: object) -> None:
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()
        self._process.wait(30)
        self._folder.cleanup()

    def start(self, arguments: list[str], environment: dict[str, str]) -> Forked:
        self._count += 1
        out, err = (Path(self._folder.name) / f"{self._count}.{name}" for name in ("out", "err"))
        order = {"arguments": arguments, "environment": environment, "out": str(out), "err": str(err)}
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order).encode() + b"\n")
        return Forked(self._read(60), self, out, err)

    def _read(self, timeout_s: float) -> int:
        """Return the next number that the process says.

        Raises:
            TimeoutError: It says none.
        """
        if not self.says_something(timeout_s):
            raise TimeoutError
        assert self._process.stdout is not None
        said = b""
        while not said.endswith(b"\n"):
            byte = self._process.stdout.read(1)
            assert byte, "the nursery is gone"
            said += byte
        return int(said)

    def says_something(self, timeout_s: float) -> bool:
        return bool(select.select([self._process.stdout], [], [], timeout_s)[0])

    def status(self, timeout_s: float) -> int:
        """Wait for the child's exit status, negative for a signal."""
        return self._read(timeout_s)


@dataclass
class Forked:
    """A forked process, as far as `subprocess.Popen` is needed here."""

    pid: int
    nursery: Nursery
    out: Path
    err: Path
    returncode: Any = None

    def poll(self) -> int | None:
        if self.returncode is None and self.nursery.says_something(0):
            self.returncode = self.nursery.status(1)
        return self.returncode  # type: ignore[no-any-return]

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def communicate(self, timeout: float) -> tuple[str, str]:
        if self.returncode is None:
            self.returncode = self.nursery.status(timeout)
        return self.out.read_text(), self.err.read_text()


@dataclass(frozen=True)
class Ended:
    """How a process ended."""

    code: int
    out: str
    err: str

    @property
    def killed(self) -> bool:
        return self.code == -signal.SIGKILL

    def one_line(self) -> str:
        """Return the message of a process that ended with an error of ours."""
        assert "Traceback" not in self.err, self.err
        lines = [line for line in self.err.splitlines() if line.startswith("autodata: ")]
        assert len(lines) == 1, self.err
        return lines[0]


class Ledger:
    """Watches one run folder over many kills: what must hold, and what was paid twice."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.kills = 0
        self.recorded: dict[str, int] = {}
        self.in_flight: set[str] = set()
        """Calls that were sent and not answered, by what was on disk after the last kill."""
        self.billed: Counter[str] = Counter()
        self.repeats: list[int] = []
        """Calls paid again after each kill."""
        self.most_in_flight = 0

    def note(self, ended: Ended) -> None:
        """Take up a kill. A process that ended otherwise shows that the fault never struck."""
        assert ended.killed, (ended.code, ended.err)
        self.account()
        self.kills += 1
        billed = self.world.billed()
        for key in self.world.recorded():
            self.recorded.setdefault(key, billed[key])
        self.in_flight = self.world.recorded("sent")
        self.most_in_flight = max(self.most_in_flight, len(self.in_flight))
        assert len(self.in_flight) <= IN_FLIGHT
        self.readable()

    def account(self) -> None:
        """What was paid again since the last kill was in flight when it struck."""
        billed = self.world.billed()
        again = {key for key, count in billed.items() if count > 1 and count > self.billed[key] > 0}
        if self.kills:
            assert again <= self.in_flight, f"{len(again - self.in_flight)} calls were repeated that were not in flight"
            assert all(billed[key] == self.billed[key] + 1 for key in again)
            self.repeats.append(len(again))
        self.billed = billed

    def readable(self) -> None:
        """Every line of the data set is whole at every moment."""
        path = self.world.out / "dataset.jsonl"
        if path.exists():
            text = path.read_bytes()
            assert text.endswith(b"\n") or not text
            assert all("id" in json.loads(line) for line in text.splitlines())

    def check(self, golden: World) -> None:
        """The run is finished: nothing lost, doubled or asked again once it was recorded."""
        world = self.world
        self.account()
        assert world.ids() == golden.ids()
        assert world.dataset() == golden.dataset()
        assert (world.out / "refused.jsonl").read_bytes() == (golden.out / "refused.jsonl").read_bytes()
        billed = world.billed()
        again = {key for key, count in self.recorded.items() if billed[key] != count}
        assert not again, f"{len(again)} calls were asked again although their replies were on disk"
        repeats = sum(count - 1 for count in billed.values())
        assert repeats <= self.kills * IN_FLIGHT
        with closing(sqlite3.connect(world.out / "run.db")) as db:
            assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            spent, lost = db.execute(
                "SELECT sum(calls + lost_sends + (state = 'sent')), sum(lost_sends) FROM call"
            ).fetchone()
        assert spent >= sum(billed.values())  # whatever arrived at the provider is charged
        assert lost >= repeats


@pytest.fixture(scope="session")
def nursery() -> Iterator[Nursery]:
    """Forks the processes of all worlds of this session; for two at once, `alone`."""
    with Nursery() as made:
        yield made


@pytest.fixture(scope="session")
def golden(tmp_path_factory: pytest.TempPathFactory, nursery: Nursery) -> World:
    """A run that nobody disturbed."""
    world = World.create(tmp_path_factory.mktemp("durable"), documents=18).raised_by(nursery)
    ended = world.run()
    assert ended.code == 0, ended.err
    assert len(world.ids()) == 18
    assert max(world.billed().values()) == 1
    return world
