"""A run in real processes: scripted models that note every call in a file beside the run, as a provider would bill it."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

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

CONCURRENCY = 4
IN_FLIGHT = CONCURRENCY * 4
"""Items at once times attempts at once: so many calls may be made again after a kill."""


@dataclass
class World:
    """A folder with documents, a recipe and scripted models; `out` is the run."""

    path: Path
    out: Path
    meter: Path

    @classmethod
    def create(cls, path: Path, documents: int) -> World:
        (path / "docs").mkdir(parents=True)
        for n in range(documents):
            (path / "docs" / f"d{n:05d}.md").write_text(
                f"# Station {n}\n\nIt measured {n * 7 + 3} litres on drum {n}.\n"
            )
        (path / "metered.py").write_text(METERED)
        (path / "recipe.toml").write_text(RECIPE)
        return cls(path, path / "run", path / "meter")

    def beside(self, name: str) -> World:
        """Return the same recipe with another run folder and meter."""
        return World(self.path, self.path / name, self.path / f"{name}.meter")

    def environment(self, fault: str = "", **more: str) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if k != "AUTODATA_FAULT"}
        return {
            **kept,
            "SOURCE_DATE_EPOCH": "1767225600",
            "METER": str(self.meter),
            **({"AUTODATA_FAULT": fault} if fault else {}),
            **more,
        }

    def start(self, *arguments: object, fault: str = "", **environment: str) -> subprocess.Popen[str]:
        """Start `autodata run` as a real process."""
        command = [sys.executable, "-m", "autodata_cli", "run", str(self.path / "recipe.toml")]
        command += ["--out", str(self.out), "--concurrency", str(CONCURRENCY), *map(str, arguments)]
        return subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=self.environment(fault, **environment),
        )

    def run(self, *arguments: object, fault: str = "", **environment: str) -> Ended:
        """Run to the end, whatever that is."""
        process = self.start(*arguments, fault=fault, **environment)
        out, err = process.communicate(timeout=120)
        return Ended(process.returncode, out, err)

    def command(self, *arguments: object, **environment: str) -> Ended:
        """Run another command."""
        done = subprocess.run(
            [sys.executable, "-m", "autodata_cli", *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            env=self.environment(**environment),
        )
        return Ended(done.returncode, done.stdout, done.stderr)

    def billed(self) -> Counter[str]:
        """Return how often each call arrived at the provider."""
        return Counter(self.meter.read_text().split()) if self.meter.exists() else Counter()

    def dataset(self) -> bytes:
        return (self.out / "dataset.jsonl").read_bytes()

    def ids(self) -> list[str]:
        return [json.loads(line)["id"] for line in self.dataset().splitlines()]

    def recorded(self) -> set[str]:
        """Return the keys of the calls whose reply is on disk."""
        if not (self.out / "run.db").exists() or not (self.out / "run.db").stat().st_size:
            return set()
        with closing(sqlite3.connect(self.out / "run.db")) as db:
            try:
                return {key for (key,) in db.execute("SELECT key FROM call WHERE state = 'done'")}
            except sqlite3.OperationalError:  # killed before there were tables
                return set()

    def killed_when(self, calls: int) -> Ended:
        """Run, and kill the process when the provider has heard so many calls more."""
        before = sum(self.billed().values())
        process = self.start()
        while process.poll() is None and sum(self.billed().values()) < before + calls:
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        out, err = process.communicate(timeout=60)
        return Ended(process.returncode, out, err)


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

    def note(self, ended: Ended) -> None:
        """Take up a kill. A process that ended otherwise shows that the fault never struck."""
        assert ended.killed, (ended.code, ended.err)
        self.kills += 1
        billed = self.world.billed()
        for key in self.world.recorded():
            self.recorded.setdefault(key, billed[key])
        self.readable()

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
def golden(tmp_path_factory: pytest.TempPathFactory) -> World:
    """A run that nobody disturbed."""
    world = World.create(tmp_path_factory.mktemp("durable"), documents=18)
    ended = world.run()
    assert ended.code == 0, ended.err
    assert len(world.ids()) == 18
    assert max(world.billed().values()) == 1
    return world
