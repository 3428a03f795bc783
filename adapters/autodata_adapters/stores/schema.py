"""The tables of a run and the checks at opening. What is written into them, and when, is in `sqlite`."""

from __future__ import annotations

import os
import sqlite3
import stat
from pathlib import Path

from autodata_adapters.stores.faults import store_errors
from autodata_core.errors import StoreError

__all__ = ["DB_SCHEMA_VERSION", "connect", "create_tables"]

DB_SCHEMA_VERSION = 2
"""Version of the tables. A newer file is refused; it may mean something else."""

_APPLICATION_ID = 0x41444154
"""Marks the file as a run ('ADAT'), so that another program's database is not taken for one."""

_CHECKED_WHOLE_BYTES = 64 * 1024 * 1024
"""A larger file is not read through at every opening: its texts have their hashes, and `autodata verify` reads all of it."""

_TABLES = """
CREATE TABLE meta (
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT;
CREATE TABLE call (
    seq INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,
    state TEXT NOT NULL CHECK (state IN ('sent', 'done', 'failed')),
    role TEXT NOT NULL,
    item TEXT NOT NULL,
    step TEXT NOT NULL,
    reserved_usd REAL NOT NULL,
    reserved_tokens INTEGER NOT NULL,
    lost_sends INTEGER NOT NULL DEFAULT 0,
    lost_usd REAL NOT NULL DEFAULT 0,
    lost_tokens INTEGER NOT NULL DEFAULT 0,
    calls INTEGER NOT NULL DEFAULT 0,
    input_tokens INTEGER NOT NULL DEFAULT 0,
    output_tokens INTEGER NOT NULL DEFAULT 0,
    cost_usd REAL NOT NULL DEFAULT 0,
    estimated INTEGER NOT NULL DEFAULT 0,
    error TEXT,
    reply_sha256 TEXT,
    seal TEXT NOT NULL DEFAULT '',
    reply TEXT
) STRICT;
CREATE TABLE asked (
    call INTEGER PRIMARY KEY REFERENCES call (seq),
    model INTEGER NOT NULL REFERENCES model (id),
    request TEXT NOT NULL
) STRICT;
CREATE TABLE model (
    id INTEGER PRIMARY KEY,
    identity TEXT NOT NULL UNIQUE
) STRICT;
CREATE TABLE source (
    id TEXT PRIMARY KEY,
    body TEXT NOT NULL,
    body_sha256 TEXT NOT NULL
) STRICT;
CREATE TABLE recipe (
    version TEXT PRIMARY KEY,
    body TEXT NOT NULL
) STRICT;
CREATE TABLE item (
    id TEXT PRIMARY KEY,
    position INTEGER NOT NULL,
    source TEXT NOT NULL,
    status TEXT,
    recipe TEXT,
    duplicate_of TEXT,
    state_sha256 TEXT,
    seal TEXT,
    refused TEXT,
    state TEXT
) STRICT;
CREATE INDEX item_by_position ON item (position, id);
CREATE TABLE row (
    id TEXT PRIMARY KEY,
    item TEXT NOT NULL UNIQUE REFERENCES item (id),
    body TEXT NOT NULL,
    body_sha256 TEXT NOT NULL
) STRICT;
CREATE TABLE claim (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    ask TEXT NOT NULL,
    reply TEXT NOT NULL,
    chain TEXT NOT NULL
) STRICT;
CREATE TABLE event (
    seq INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    item TEXT,
    payload TEXT NOT NULL,
    chain TEXT NOT NULL
) STRICT;
"""


def connect(path: Path, *, read_only: bool, check: bool = True) -> sqlite3.Connection:
    """Open the file with the settings that every connection needs; a writer creates it, readable by its owner only.

    Args:
        path: The file.
        read_only: Refuse every write on this connection.
        check: Look for damage first; needless on a second connection.

    Raises:
        StoreError: It is no database, damaged, of a newer version, or cannot be opened.
    """
    _check_file(path, read_only)
    with store_errors(path):
        uri = f"{path.absolute().as_uri()}?mode={'ro' if read_only else 'rw'}"
        db = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False, cached_statements=64)
        try:
            db.execute("PRAGMA busy_timeout = 5000")
            db.execute("PRAGMA foreign_keys = ON")
            # A damaged schema must not make the file run SQL functions of its own choice.
            db.execute("PRAGMA trusted_schema = OFF")
            if check:
                _check_version(db, path, read_only)
            if not read_only:
                _set_durability(db, path)
        except BaseException:
            db.close()
            raise
    return db


def create_tables(db: sqlite3.Connection) -> None:
    """Create the tables in a new file, in one transaction; an existing run is left as it is."""
    db.execute("BEGIN IMMEDIATE")
    try:
        if _number(db, "user_version") == 0:
            for statement in _TABLES.split(";"):
                if statement.strip():
                    db.execute(statement)
            db.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
            db.execute(f"PRAGMA user_version = {DB_SCHEMA_VERSION}")
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


def _check_file(path: Path, read_only: bool) -> None:
    flags = os.O_RDONLY if read_only else os.O_RDWR | os.O_CREAT
    try:
        # Not through a link: a run folder that somebody else prepared must not make us write elsewhere.
        handle = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)
    except FileNotFoundError as error:
        raise StoreError(f"There is no run at {path}. Check the folder.") from error
    except OSError as error:
        raise StoreError(f"The run's database {path} cannot be opened: {error.strerror}.") from error
    try:
        facts = os.fstat(handle)
        if not stat.S_ISREG(facts.st_mode):
            raise StoreError(f"The run's database {path} is not a regular file.")
        if not read_only and stat.S_IMODE(facts.st_mode) & 0o077:
            os.fchmod(handle, 0o600)
    finally:
        os.close(handle)


def _check_version(db: sqlite3.Connection, path: Path, read_only: bool) -> None:
    version = _number(db, "user_version")
    tables = db.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
    if version == 0 and tables == 0:
        if read_only:
            raise StoreError(f"{path} is empty: the run never started. Run it first.")
        return
    if _number(db, "application_id") != _APPLICATION_ID:
        raise StoreError(f"{path} is a database of another program, not of a run. Choose another folder.")
    if version > DB_SCHEMA_VERSION:
        raise StoreError(
            f"{path} was written by a newer version (schema {version}, this one reads up to {DB_SCHEMA_VERSION}). "
            "Upgrade autodata-agents, or choose another folder."
        )
    if version < DB_SCHEMA_VERSION:
        raise StoreError(
            f"{path} was written by an earlier version (schema {version}, this one needs {DB_SCHEMA_VERSION}). "
            "Go on with that version, or choose another folder."
        )
    if path.stat().st_size > _CHECKED_WHOLE_BYTES:
        return
    broken = " ".join(db.execute("PRAGMA quick_check(1)").fetchone()[0].split())
    if broken != "ok":
        raise StoreError(f"{path} is damaged: {broken}. Restore a copy, or start again in another folder.")


def _set_durability(db: sqlite3.Connection, path: Path) -> None:
    mode = db.execute("PRAGMA journal_mode = WAL").fetchone()[0]
    if mode != "wal":
        raise StoreError(
            f"The file system of {path} cannot hold a run (no shared memory for SQLite's WAL, got {mode!r}). "
            "Choose a folder on a local disk."
        )
    db.execute("PRAGMA synchronous = FULL")
    # Fewer and larger folds of the WAL into the file: each costs two more waits for the disk.
    db.execute("PRAGMA wal_autocheckpoint = 4000")


def _number(db: sqlite3.Connection, pragma: str) -> int:
    return int(db.execute(f"PRAGMA {pragma}").fetchone()[0])
