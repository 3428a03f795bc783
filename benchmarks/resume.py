"""What it costs to go on with a large run: 10,000 rows, 170,000 recorded calls, and the same command again.

Once with nothing left to do, once with the last 16 items open, which are then made while files and card are written anew; each
without an embedder, and steered with the default one. Gate: 5 s of CPU, imports included, to go on where nothing is left, and
to begin the first new item where something is, in the thread that begins it: the index of questions is taken up beside it, and
the first question waits for that. What is written at the end reads every row and is shown apart, as is the report that the
command prints. The rows are copies of one that was really made.
"""

import asyncio
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from autodata_adapters.stores import RunLock, SqliteRunStore, open_run, write_dataset
from autodata_adapters.stores.sqlite import RecordedCall
from autodata_cli.binding import bind
from autodata_cli.covering import rebuild_coverage
from autodata_cli.workspace import open_workspace
from autodata_core import Ports, adrive, start
from autodata_core.budget import Budget
from autodata_core.calls import JournaledModel, NoJournal
from autodata_core.coverage import Planned, digest_of
from autodata_core.learnings import tries_of
from autodata_core.ports import CoverageAsk, CoverageReply
from autodata_core.records import Aim, Example, canonical_json, fingerprint
from autodata_core.rows import example_from
from autodata_langgraph.dataset_context import BATCH, assignments_for

ITEMS = 10_000
LIMIT_S = 5.0

SCRIPTED = """
from autodata_core.records import Source
from autodata_core.testing import scripted_models

class Loaded:
    def sources(self):
        return [Source.create(f"Station {n} measured {n * 7 + 3} litres on drum {n}. " * 20, id=f"d{n}") for n in range(ITEMS)]

LOAD = Loaded().sources
MADE = scripted_models()
CHALLENGER, CHECK, WEAK, STRONG = (MADE[role] for role in ("challenger", "check", "weak", "strong"))
"""

RECIPE = """
name = "large"
domain = "math_objects"
policy = "exact_counts"
[sources]
loader = "scripted:LOAD"
[models]
challenger = "scripted:CHALLENGER"
check = "scripted:CHECK"
weak = "scripted:WEAK"
strong = "scripted:STRONG"
[budget]
rounds = 3
[coverage]
{coverage}
"""
VARIANTS = {"no embedder": 'embedder = "none"', "steered": "topics = 20"}


def fill(recipe: Path, out: Path, open_items: int) -> None:
    """Write a run as if all but the last items had been made."""
    workspace = open_workspace(recipe)
    folder = open_run(out)
    with RunLock(folder.path), SqliteRunStore(folder.database) as store:
        bind(workspace, store)
        rules, sources = workspace.rules, workspace.sources.sources
        items = assignments_for(sources, 1)
        store.register_items((a.item, a.position, a.source.id) for a in items)
        models = {role: JournaledModel(model, NoJournal(), Budget()) for role, model in workspace.models.items()}
        first = start(sources[0], item=items[0].item, run=store.get_meta("run_id") or "", fence_key="k" * 32)
        made = asyncio.run(adrive(rules, sources[0], first, Ports(models, verifiers=workspace.verifiers)))
        row, state = example_from(rules, sources[0], made).to_json(), made.to_json()
        store.use_recipe(rules.recipe.version, json.dumps(rules.recipe.to_json())).result()
        asked = [r for model in workspace.models.values() for r in getattr(model, "requests", [])]

        def calls() -> Iterator[RecordedCall]:
            identity, reply = canonical_json({"name": "scripted"}), canonical_json({"text": "x" * 300})
            for item in items[: ITEMS - open_items]:
                for request in asked:
                    text = canonical_json({**request.to_json(), "item": item.item, "view": {}})
                    yield RecordedCall(
                        fingerprint([item.item, request.step]),
                        request.role,
                        item.item,
                        request.step,
                        text,
                        identity,
                        reply,
                    )

        store.take_over(calls())
        for n, item in enumerate(items[: ITEMS - open_items]):
            provenance = {**row["provenance"], "item": item.item}
            source = {**row["source"], "id": item.source.id, "sha256": item.source.sha256}
            example = Example.from_json({**row, "id": f"ex-{n:020d}", "source": source, "provenance": provenance})
            kept = {**state, "item": item.item, "source_id": item.source.id, "source_sha256": item.source.sha256}
            number = f"{row['question']} {n}"
            store.claim(
                CoverageAsk("r1.coverage", f"{item.item}/r1", number, {"source": item.source.id}), CoverageReply()
            )
            store.submit_finish(item.item, kept, example)
            if (n + 1) % BATCH == 0:
                batch = items[n + 1 - BATCH : n + 1]
                tries = [[t.question_type, sorted(t.kinds), list(t.skills)] for t in tries_of(made.history)]
                digest = digest_of(made)
                ended = {
                    "digests": [
                        digest.model_copy(update={"item": a.item, "source": a.source.id}).to_json() for a in batch
                    ],
                    "tries": {a.item: tries for a in batch},
                    "alarms": [],
                }
                store.use_recipe(rules.recipe.version, json.dumps(rules.recipe.to_json()), planned=n + 1, ended=ended)
        for first in range(0, ITEMS if workspace.file.coverage.steers else 0, BATCH):
            lines = [
                {"planned": Planned(source=a.source.id, slot=0).to_json(), "aim": Aim(text="x" * 300).to_json()}
                for a in items[first : first + BATCH]
            ]
            store.event("plan", payload={"first": first, "items": lines, "open": 0, "gaps": [], "closing": None})
        store.event("run", payload={"state": "ended", "at": "", "seconds": 0, "stopped": None}).result()
        write_dataset(store, folder.path)
    rebuild_coverage(out)


AGAIN = """
import sys, time
from pathlib import Path
from autodata_cli.reporting import read_report, report_text
from autodata_cli.running import Run, run_recipe
from autodata_cli.workspace import open_workspace
begun = []
def hear(event):
    if event["kind"] == "started" and not begun:
        begun.append(time.thread_time())
run_recipe(Run(open_workspace(Path(sys.argv[1])), Path(sys.argv[2]), on_event=hear))
ended = time.process_time()
report_text(read_report(Path(sys.argv[2])))
print(begun[0] if begun else ended, ended, time.process_time() - ended)
"""


def resumed(recipe: Path, out: Path) -> tuple[float, float, float]:
    """Do what the command does; return seconds of CPU to the first new item or the end, to the end, and for the report."""
    command = [sys.executable, "-c", AGAIN, str(recipe), str(out)]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    return float(said[-3]), float(said[-2]), float(said[-1])


def main() -> None:
    held = True
    for name, coverage in VARIANTS.items():
        with tempfile.TemporaryDirectory() as folder:
            place = Path(folder)
            (place / "scripted.py").write_text(SCRIPTED.replace("ITEMS", str(ITEMS)))
            (place / "recipe.toml").write_text(RECIPE.replace("{coverage}", coverage))
            for open_items, what in ((0, "nothing left"), (BATCH, f"{BATCH} items left")):
                out = place / f"run-{open_items}"
                fill(place / "recipe.toml", out, open_items)
                size = (out / "run.db").stat().st_size / 1e6
                resumed(place / "recipe.toml", out) if not open_items else None  # writes what people read
                begun, ended, reported = resumed(place / "recipe.toml", out)
                rows = (out / "dataset.jsonl").read_bytes().count(b"\n")
                print(
                    f"{name:<13}{what:<15}{begun:6.2f} s CPU to go on, {ended - begun:6.2f} s to the end, "
                    f"{reported:.2f} s for the report  ({rows} rows, {size:.0f} MB)"
                )
                held = held and begun <= LIMIT_S
    if not held:
        sys.exit(f"FAILED: more than {LIMIT_S} s of CPU to go on with {ITEMS} rows")


if __name__ == "__main__":
    main()
