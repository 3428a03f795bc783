"""Show rows of a data set as a person reads them: `python show_rows.py DATASET.jsonl [COUNT]`."""

import json
import sys
from pathlib import Path

path, count = Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 3
rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
for row in sorted(rows, key=lambda row: -row["round"])[:count]:  # those the loop had to search longest for
    print(f"\n{row['source']['id']}  {row['question_type']}  round {row['round']}")
    print("  " + row["context"].strip().replace("\n", "\n  "))
    print(f"\n  Question: {row['question']}\n  Answer:   {row['reference_answer']}")
    print(f"  weak {row['scores']['weak']}  strong {row['scores']['strong']}")
