"""`import autodata_core` loads no host and is quick; measured in a fresh process."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

HOSTS = [
    "langgraph",
    "langchain_core",
    "langchain",
    "dspy",
    "chromadb",
    "numpy",
    "tiktoken",
    "typer",
    "rich",
    "sqlite3",
]
ROOT = Path(__file__).resolve().parents[2]

PROBE = f"""
import json, sys, time
sys.path.insert(0, {str(ROOT)!r})
before = time.process_time()
import autodata_core
cpu_s = time.process_time() - before
print(json.dumps({{"cpu_s": cpu_s, "loaded": [name for name in {HOSTS} if name in sys.modules]}}))
"""

EVERYTHING = f"""
import importlib, json, pkgutil, sys
sys.path.insert(0, {str(ROOT)!r})
import autodata_core
for module in pkgutil.walk_packages(autodata_core.__path__, "autodata_core."):
    importlib.import_module(module.name)
print(json.dumps([name for name in {HOSTS} if name in sys.modules]))
"""


def probe(code: str) -> object:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stderr == ""
    return json.loads(done.stdout)


def test_the_core_loads_no_host_and_takes_little_time() -> None:
    found = [probe(PROBE) for _ in range(3)]
    best = min(run["cpu_s"] for run in found)  # type: ignore[index]
    print(f"import autodata_core: {best:.3f} s CPU, best of 3 (goal 0.3)")
    assert found[0]["loaded"] == []  # type: ignore[index]
    assert best < 0.6


def test_no_module_of_the_core_loads_a_host() -> None:
    assert probe(EVERYTHING) == []


def test_the_door_names_what_it_has() -> None:
    import autodata_core

    assert all(hasattr(autodata_core, name) for name in autodata_core.__all__)
    assert (Path(autodata_core.__file__).parent / "py.typed").exists()
