"""From SQLite's errors to one line a user can act on."""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from autodata_core.errors import StoreError

__all__ = ["is_full", "store_errors", "to_store_error"]

_ADVICE = (
    (
        ("is full", "no space"),
        "the disk is full. Free some space and run the same command again; everything acknowledged is kept",
    ),
    (("readonly", "read-only", "unable to open", "permission"), "it cannot be written. Check the folder's permissions"),
    (("not a database",), "it is not a database. Move the file away, or choose another folder"),
    (("malformed", "corrupt", "could not decode"), "it is damaged. Restore a copy, or start again in another folder"),
    (("locked", "busy"), "another program holds it open for writing. Close that program and run the command again"),
    (("disk i/o",), "the disk reported an error. Check the disk, then run the same command again"),
)


def to_store_error(error: Exception, path: Path) -> StoreError:
    """Return the error a user sees for what went wrong with the database at `path`."""
    text = " ".join(str(error).split())
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        text = f"is full: {text}"
    for marks, advice in _ADVICE:
        if any(mark in text.lower() for mark in marks):
            return StoreError(f"The run's database {path}: {advice}. ({text})")
    return StoreError(f"The run's database {path} failed: {type(error).__name__}: {text}.")


def is_full(error: Exception) -> bool:
    """Tell whether `error` says that the disk, or the quota, is used up."""
    return "is full" in str(error) or (isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT))


@contextmanager
def store_errors(path: Path) -> Iterator[None]:
    """Turn what SQLite raises inside into a `StoreError`."""
    try:
        yield
    except (sqlite3.Error, OSError, UnicodeDecodeError) as error:
        raise to_store_error(error, path) from error
