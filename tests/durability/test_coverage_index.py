"""P8: whatever happens to the coverage index between a stop and the next session, the data set is the same."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from autodata_adapters.coverage.sealing import is_sealed, seal

from .conftest import METERED, RECIPE, Nursery, World

pytest.importorskip("chromadb")

ALIKE = (
    METERED.partition("made = scripted_models()")[0]
    + '''
import hashlib, json
from autodata_core.testing import ScriptedModel, scripted_candidate

def number(request):
    """Few, so that later items write the questions of earlier ones again, and only the index knows."""
    return int(hashlib.sha256(request.item.encode()).hexdigest(), 16) % 3

def answer(request):
    return json.dumps({"answer": f"{number(request) + 1000}.5"})

challenger = ScriptedModel(lambda r: scripted_candidate(number(r), round_=r.round), name="scripted/challenger")
check = ScriptedModel({**dict.fromkeys(("grounded", "self_contained", "no_leak", "answer_correct", "overall"), True),
    "feedback": "fine"}, name="scripted/check")
weak = ScriptedModel(lambda r: json.dumps({"answer": str(r.attempt + 1)}), name="scripted/weak")
CHALLENGER, CHECK, WEAK = Metered(challenger), Metered(check), Metered(weak)
STRONG = Metered(ScriptedModel(answer, name="scripted/strong"))
'''
)
COVERED = RECIPE.replace('embedder = "none"', 'embedder = "hashing"')
ONE_AT_ONCE = ("--concurrency", 1)
"""Which of two items with one question is first must not depend on threads here."""


def gone(folder: Path, world: Sessions) -> None:
    shutil.rmtree(folder)


def scribbled(folder: Path, world: Sessions) -> None:
    chance = random.Random(8)
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        damaged = bytearray(path.read_bytes())
        for _ in range(len(damaged) // 100):
            damaged[chance.randrange(len(damaged))] ^= 0xFF
        path.write_bytes(damaged)


def emptied(folder: Path, world: Sessions) -> None:
    for path in [path for path in folder.rglob("*") if path.is_file()]:
        path.write_bytes(b"")


def a_file(folder: Path, world: Sessions) -> None:
    shutil.rmtree(folder)
    folder.write_text("no index")


def behind(folder: Path, world: Sessions) -> None:
    shutil.rmtree(folder)
    shutil.copytree(world.early, folder)


def ahead(folder: Path, world: Sessions) -> None:
    shutil.rmtree(folder)
    shutil.copytree(world.golden.out / "coverage", folder)


class Sessions:
    """A run that nobody disturbed, and one that stopped on the way, with its index as it was before."""

    def __init__(self, path: Path, nursery: Nursery) -> None:
        world = World.create(path, 9, ALIKE, COVERED).raised_by(nursery)
        self.nursery, self.golden, self.early = nursery, world, path / "early"
        assert world.run(*ONE_AT_ONCE).code == 0
        self.stopped = world.beside("stopped").raised_by(nursery)
        assert self.stopped.run(*ONE_AT_ONCE, "--limit", 2).code == 0
        shutil.copytree(self.stopped.out / "coverage", self.early)
        assert self.stopped.run(*ONE_AT_ONCE, "--limit", 4).code == 0

    def copy(self, name: str) -> World:
        world = self.golden.beside(name).raised_by(self.nursery)
        shutil.copytree(self.stopped.out, world.out)
        shutil.copy(self.stopped.meter, world.meter)
        return world


@pytest.fixture(scope="module")
def sessions(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sessions]:
    with Nursery("chromadb", "sklearn.decomposition") as nursery:
        yield Sessions(tmp_path_factory.mktemp("covered") / "world", nursery)


def duplicates(world: World) -> int:
    lines = (world.out / "refused.jsonl").read_text().splitlines()
    return sum("DUPLICATE" in json.dumps(json.loads(line)["reasons"]) for line in lines)


@pytest.mark.parametrize("damage", [gone, scribbled, emptied, a_file, behind, ahead])
def test_whatever_became_of_the_index_the_next_session_gives_the_same_data_set(
    sessions: Sessions, damage: Callable[[Path, Sessions], None]
) -> None:
    golden, world = sessions.golden, sessions.copy(damage.__name__)
    before = duplicates(world)
    assert duplicates(golden) > before, "some decisions are left for which the index is needed"
    damage(world.out / "coverage", sessions)
    ended = world.run(*ONE_AT_ONCE)
    assert ended.code == 0, ended.err
    assert world.dataset() == golden.dataset()
    assert (world.out / "refused.jsonl").read_bytes() == (golden.out / "refused.jsonl").read_bytes()
    assert max(world.billed().values()) == 1


def test_an_index_that_is_whole_is_opened_and_not_made_anew(sessions: Sessions) -> None:
    """Vectors of a provider cost money."""
    world = sessions.copy("whole")
    # Chroma keeps the vectors of a collection in a folder with a random name.
    before = {path.name for path in (world.out / "coverage").iterdir() if path.is_dir()}
    assert before
    assert world.run(*ONE_AT_ONCE).code == 0
    assert {path.name for path in (world.out / "coverage").iterdir() if path.is_dir()} == before
    assert world.dataset() == sessions.golden.dataset()


@pytest.mark.parametrize("change", ["more", "fewer", "other", "link", "note"])
def test_a_seal_is_of_every_file(tmp_path: Path, change: str) -> None:
    folder = tmp_path / "index"
    (folder / "inner").mkdir(parents=True)
    (folder / "inner" / "a.bin").write_bytes(b"vectors")
    (folder / "b.db").write_bytes(b"texts")
    assert not is_sealed(folder)
    seal(folder)
    assert is_sealed(folder)
    match change:
        case "more":
            (folder / "c").touch()
        case "fewer":
            (folder / "b.db").unlink()
        case "other":
            (folder / "inner" / "a.bin").write_bytes(b"vectorz")
        case "link":
            (folder / "link").symlink_to(tmp_path)
            seal(folder)
        case "note":
            (folder / "autodata.seal.json").write_text("[" * 100_000)
    assert not is_sealed(folder)
