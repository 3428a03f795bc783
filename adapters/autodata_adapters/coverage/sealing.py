"""Whether the files of an index are as its last clean close left them. What is in them is Chroma's.

A damaged file can end the process that reads it: Chroma's compiled part aborts, and no `except` sees that. So files that are not
known to be whole are not opened; the run has what it takes to make them again.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from pathlib import Path

__all__ = ["is_sealed", "seal"]

_NAME = "autodata.seal.json"


def seal(folder: Path) -> None:
    """Note what the files of a folder are, now that nobody writes to them. Without a note it is made anew next time."""
    with contextlib.suppress(OSError):
        handle = os.open(folder / _NAME, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(handle, "w", encoding="ascii") as file:
            json.dump(_digests(folder), file)


def is_sealed(folder: Path) -> bool:
    """Return whether every file is as it was noted, with none more and none less."""
    try:
        noted = json.loads((folder / _NAME).read_text("ascii"))
        found = _digests(folder)
    except (OSError, ValueError, RecursionError):
        return False
    return bool(noted == found and "link" not in found.values())


def _digests(folder: Path) -> dict[str, str]:
    """Return the hash of every file by its path in the folder; a link has none, since what it shows is elsewhere."""
    files = sorted(path for path in folder.rglob("*") if path.name != _NAME and (path.is_symlink() or path.is_file()))
    return {str(path.relative_to(folder)): "link" if path.is_symlink() else _sha256(path) for path in files}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
