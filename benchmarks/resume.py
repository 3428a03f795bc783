"""What it costs to go on with a large run: 10,000 rows, 170,000 recorded calls, and the same command again.

Gate: 5 s of CPU, imports included, until everything is done and written. The second line, without a gate, is the same with the
last 16 items still open: they are made, the study reads all items once, and card and files are written anew. The report that the
command prints at the end reads every item and is shown apart. The rows are copies of one that was really made.
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
from autodata_cli.workspace import open_workspace
from autodata_core import Ports, adrive, start
from autodata_core.budget import Budget
from autodata_core.calls import JournaledModel, NoJournal
from autodata_core.records import Example, canonical_json, fingerprint
from autodata_core.rows import example_from
from autodata_langgraph.dataset_graph import BATCH, assignments_for

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
embedder = "none"
"""


def fill(recipe: Path, out: Path, open_items: int) -> None:
    """Write a run as if all but the last items had been made."""
    workspace = open_workspace(recipe)
    folder = open_run(out)
    with RunLock(folder.path), SqliteRunStore(folder.database) as store:
        bind(workspace, store)
        rules, sources = workspace.rules, workspace.sources.sources
        items = assignments_for(sources, 1)
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
            store.submit_finish(item.item, kept, example)
            if (n + 1) % BATCH == 0:
                store.use_recipe(rules.recipe.version, json.dumps(rules.recipe.to_json()), planned=n + 1)
        store.event("run", payload={"state": "ended", "at": "", "seconds": 0, "stopped": None}).result()
        write_dataset(store, folder.path)


AGAIN = """
import sys, time
from pathlib import Path
from autodata_cli.main import app
from autodata_cli.reporting import read_report, report_text
from autodata_cli.running import Run, run_recipe
from autodata_cli.workspace import open_workspace
run_recipe(Run(open_workspace(Path(sys.argv[1])), Path(sys.argv[2])))
went_on = time.process_time()
report_text(read_report(Path(sys.argv[2])))
print(went_on, time.process_time() - went_on)
"""


def resumed(recipe: Path, out: Path) -> tuple[float, float]:
    """Do what the command does; return the seconds of CPU to go on to the end, and those for the report behind it."""
    command = [sys.executable, "-c", AGAIN, str(recipe), str(out)]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    return float(said[-2]), float(said[-1])


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        (place / "scripted.py").write_text(SCRIPTED.replace("ITEMS", str(ITEMS)))
        (place / "recipe.toml").write_text(RECIPE)
        held = True
        for open_items, what in ((0, "nothing left"), (BATCH, f"{BATCH} items left")):
            out = place / f"run-{open_items}"
            fill(place / "recipe.toml", out, open_items)
            size = (out / "run.db").stat().st_size / 1e6
            resumed(place / "recipe.toml", out) if not open_items else None  # writes what people read
            went_on, reported = resumed(place / "recipe.toml", out)
            rows = (out / "dataset.jsonl").read_bytes().count(b"\n")
            print(
                f"{what:<16}{went_on:6.2f} s CPU to the end, {reported:.2f} s for the report  ({rows} rows, {size:.0f} MB)"
            )
            held = held and (went_on <= LIMIT_S or open_items > 0)
        if not held:
            sys.exit(f"FAILED: more than {LIMIT_S} s of CPU to go on with {ITEMS} rows")


if __name__ == "__main__":
    main()
