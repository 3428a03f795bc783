"""Show what a run has learned, and the rounds a row took under each recipe version: `python show_learnings.py RUN`."""

import json
import sys
from pathlib import Path
from statistics import mean

from autodata_core import Recipe

run = Path(sys.argv[1])
recipe = Recipe.from_json(json.loads((run / "recipe.json").read_text("utf-8"))["recipe"])
for lesson in recipe.learnings:
    print(f"- {lesson.text}")
    print(f"  confidence {lesson.confidence}, batches {lesson.first} to {lesson.last}, {lesson.tokens} tokens")
    print(f"  from {', '.join(lesson.items)}")
for gone in recipe.retired:
    print(f"- retired ({gone.why}: {gone.detail}): {gone.learning.text}")
rounds: dict[str, list[int]] = {}
for line in (run / "dataset.jsonl").read_text("utf-8").splitlines():
    row = json.loads(line)
    rounds.setdefault(row["provenance"]["recipe"], []).append(row["round"])
for version, taken in rounds.items():
    print(f"recipe {version[:12]}: {len(taken)} rows, {mean(taken):.2f} rounds each")
