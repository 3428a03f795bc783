"""Which files make up the running Python: what confined code may read, and nothing else.

Found by asking a bare interpreter once, not by guessing: where the standard library is, and which shared libraries its
extension modules bring (SQLite, OpenSSL). Installed packages are not among them.
"""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

__all__ = ["HERE", "Interpreter", "find_interpreter"]

HERE = str(Path(__file__).resolve().parent)
"""The folder that a child imports its own program from."""

_FOREIGN = {"site-packages", "dist-packages", "sitecustomize.py", "usercustomize.py"}
_FLAGS = ("-P", "-s", "-S", "-B", "-X", "utf8")
"""Like `-I`, which would also ignore the fixed hash seed: no script folder, no user folder, no site, no bytecode."""

_QUESTION = """
import importlib, json, os, sys
for place in sys.path:
    for name in sorted(os.listdir(place)) if os.path.isdir(place) else ():
        stem, _, rest = name.partition(".")
        if rest.endswith("so") and "test" not in stem and not stem.startswith(("xx", "_xx", "_tkinter")):
            try:
                importlib.import_module(stem)
            except ImportError:
                pass
maps = list(open("/proc/self/maps")) if os.path.exists("/proc/self/maps") else []
mapped = {line.split(None, 5)[5].strip() for line in maps if "/" in line}
print(json.dumps({"path": sys.path, "mapped": sorted(path for path in mapped if os.path.isfile(path))}))
"""


@dataclass(frozen=True)
class Interpreter:
    """A Python and the files it is made of."""

    command: tuple[str, ...]
    """Starts it bare; what to run comes after."""
    folders: tuple[str, ...]
    """Parts of the standard library that are folders."""
    listings: tuple[str, ...]
    """Folders that the importer lists."""
    files: tuple[str, ...]
    """Modules of the standard library and shared libraries."""
    mapped: tuple[str, ...]
    """Shared libraries alone, by their real path."""


@functools.cache
def find_interpreter() -> Interpreter:
    """Return the Python that runs here, past a virtual environment.

    Raises:
        OSError: It cannot be started bare.
    """
    command = (os.path.realpath(sys.executable), *_FLAGS)
    try:
        asked = subprocess.run(  # noqa: S603 - our own interpreter and program
            [*command, "-c", _QUESTION], capture_output=True, check=True, env={}, timeout=30, cwd="/"
        )
        answer = json.loads(asked.stdout)
    except (subprocess.SubprocessError, ValueError) as error:
        raise OSError(f"the interpreter {command[0]} does not start bare: {error}") from error
    folders: list[str] = []
    files = [path for path in answer["path"] if os.path.isfile(path)]  # the library as an archive
    places = [place for place in answer["path"] if os.path.isdir(place)]
    for place in places:
        entries = list(os.scandir(place))
        if not any(entry.name in _FOREIGN or entry.is_symlink() for entry in entries):
            folders.append(place)  # one rule for all of it
            continue
        for entry in entries:
            if entry.name not in _FOREIGN and os.path.realpath(entry.path).startswith(os.path.realpath(place) + "/"):
                (folders if entry.is_dir() else files).append(entry.path)
    within = tuple(os.path.realpath(folder) + "/" for folder in folders)
    files += [path for path in (*answer["mapped"], "/etc/ld.so.cache") if not path.startswith(within)]
    return Interpreter(command, tuple(folders), tuple(places), tuple(files), tuple(answer["mapped"]))
