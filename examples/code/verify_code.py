"""Three answers to one coding task: the right one, one that is wrong at an edge, one that cheats. Offline, in seconds.

First the check itself is tried: it must pass the reference and fail changed copies of it, or it decides nothing.
"""

from autodata_adapters.sandbox.ladder import create_sandbox
from autodata_adapters.verifiers.python import create
from autodata_core.records import Check
from autodata_core.verify import control

REFERENCE = """
def median(values):
    ordered, middle = sorted(values), len(values) // 2
    if len(ordered) % 2:
        return float(ordered[middle])
    return (ordered[middle - 1] + ordered[middle]) / 2
"""
ANSWERS = {
    "right": "```python\nimport statistics\n\ndef median(values):\n    return float(statistics.median(values))\n```",
    "wrong at an edge": "def median(values):\n    return float(sorted(values)[len(values) // 2])",
    "cheats": "import os\n\ndef median(values):\n    print('all tests passed')\n    os._exit(0)",
}
cases = [([3, 1, 2], 2.0), ([4, 1, 2, 3], 2.5), ([5], 5.0), ([2, 2, 9, 9], 5.5)]
listed = [{"args": [values], "expected": expected} for values, expected in cases]
check = Check(kind="python", spec={"function": "median", "cases": listed})

sandbox = create_sandbox("auto")  # every tier that proves itself on this machine
verifier = create(sandbox)
tried = control(verifier, check, REFERENCE)
print(f"check: {tried.fault or 'sound'}, {tried.controls} wrong programs refused ({verifier.version})")

for name, answer in ANSWERS.items():
    found = verifier.verify(check, answer)
    print(f"{name}: {found.outcome}, {found.evidence}")
sandbox.close()
