"""The connection to a Postgres run: its settings, its tables, and its errors in one line a user can act on."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from autodata_core.errors import MissingExtraError, RecordError, StoreError, shorten

if TYPE_CHECKING:
    import psycopg

__all__ = ["PG_SCHEMA_VERSION", "Place", "connect", "create_tables", "lock_number", "postgres_errors"]

PG_SCHEMA_VERSION = 1
"""Version of the tables. A newer one is refused; it may mean something else."""

_SETTINGS = {
    # Ours: far above what one commit takes, and short enough that a run does not hang for an hour on a dead server.
    "statement_timeout": "60s",
    "lock_timeout": "20s",
    "idle_in_transaction_session_timeout": "120s",
    # A server may be set to acknowledge before the disk has it; what is paid for must not be lost.
    "synchronous_commit": "on",
    # The server notices a dead client within a minute, and frees its lock.
    "tcp_keepalives_idle": "20",
    "tcp_keepalives_interval": "10",
    "tcp_keepalives_count": "3",
    "default_transaction_isolation": "read committed",
    "client_min_messages": "warning",
}
_CONNECT_TIMEOUT_S = 15

_TABLES = """
CREATE TABLE meta (
    key text PRIMARY KEY,
    value text NOT NULL
);
CREATE TABLE run (
    run text COLLATE "C" PRIMARY KEY,
    epoch bigint NOT NULL
);
CREATE TABLE call (
    run text COLLATE "C" NOT NULL REFERENCES run,
    key text COLLATE "C" NOT NULL,
    state text NOT NULL CHECK (state IN ('sent', 'done', 'failed')),
    role text COLLATE "C" NOT NULL,
    item text NOT NULL,
    step text NOT NULL,
    request text NOT NULL,
    identity text NOT NULL,
    reserved_usd double precision NOT NULL,
    reserved_tokens bigint NOT NULL,
    lost_sends bigint NOT NULL DEFAULT 0,
    lost_usd double precision NOT NULL DEFAULT 0,
    lost_tokens bigint NOT NULL DEFAULT 0,
    error text,
    reply text,
    reply_sha256 text,
    calls bigint NOT NULL DEFAULT 0,
    input_tokens bigint NOT NULL DEFAULT 0,
    output_tokens bigint NOT NULL DEFAULT 0,
    cost_usd double precision NOT NULL DEFAULT 0,
    estimated boolean NOT NULL DEFAULT false,
    PRIMARY KEY (run, key)
);
CREATE TABLE item (
    run text COLLATE "C" NOT NULL REFERENCES run,
    id text COLLATE "C" NOT NULL,
    position bigint NOT NULL,
    source text NOT NULL,
    state text,
    state_sha256 text,
    duplicate_of text,
    PRIMARY KEY (run, id)
);
CREATE INDEX item_by_position ON item (run, position, id);
CREATE TABLE example (
    run text COLLATE "C" NOT NULL,
    id text COLLATE "C" NOT NULL,
    item text COLLATE "C" NOT NULL,
    body text NOT NULL,
    body_sha256 text NOT NULL,
    PRIMARY KEY (run, id),
    UNIQUE (run, item),
    FOREIGN KEY (run, item) REFERENCES item (run, id)
);
"""

_SCHEMA_NAME = re.compile(r"[a-z_][a-z0-9_]{0,62}")


class Place(NamedTuple):
    """Where a run is kept."""

    conninfo: str
    """As libpq takes it; may hold a password, so it never stands in a message."""
    schema: str
    run: str

    def __str__(self) -> str:
        return f"The run {self.run!r} in Postgres (schema {self.schema!r})"


def connect(place: Place) -> psycopg.Connection:
    """Connect with the settings that every connection of a run needs; each statement is its own transaction.

    Raises:
        MissingExtraError: psycopg is not installed.
        StoreError: There is no server, it does not let us in, or the connection string cannot be read.
    """
    try:
        import psycopg
    except ImportError as error:
        raise MissingExtraError("psycopg", "postgres", "A run in Postgres") from error
    if not _SCHEMA_NAME.fullmatch(place.schema):
        raise StoreError(f"A schema's name has lower-case letters, digits and _, got {shorten(place.schema)}.")
    try:
        given = psycopg.conninfo.conninfo_to_dict(place.conninfo)
    except psycopg.Error:
        # libpq quotes the string, which may hold a password.
        raise StoreError("The connection string cannot be read. Write postgresql://user@host:5432/database.") from None
    with postgres_errors(place):
        db = psycopg.connect(
            place.conninfo,
            autocommit=True,
            client_encoding="utf8",
            connect_timeout=int(given.get("connect_timeout") or _CONNECT_TIMEOUT_S),
            application_name=str(given.get("application_name") or "autodata"),
        )
        try:
            for name, value in _SETTINGS.items():
                db.execute("SELECT set_config(%s, %s, false)", (name, value))
            # Temporary tables last: nothing can stand in for a table of the run.
            db.execute("SELECT set_config('search_path', %s, false)", (f'"{place.schema}", pg_temp',))
        except BaseException:
            db.close()
            raise
    return db


def create_tables(db: psycopg.Connection, place: Place) -> None:
    """Create schema and tables where there are none; refuse those of a newer version.

    Raises:
        StoreError: The tables are newer, or the user may not create them.
    """
    from psycopg import sql

    with postgres_errors(place), db.transaction():
        # Two first openings at once would both create.
        db.execute("SELECT pg_advisory_xact_lock(%s)", (lock_number(place.schema),))
        if db.execute("SELECT to_regclass(%s)", (f'"{place.schema}".meta',)).fetchone() == (None,):
            db.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(place.schema)))
            db.execute(_TABLES)
            db.execute("INSERT INTO meta VALUES ('schema_version', %s)", (str(PG_SCHEMA_VERSION),))
            return
        found = db.execute("SELECT value FROM meta WHERE key = 'schema_version'").fetchone()
    version = str(found[0]) if found else ""
    if not version.isdecimal():
        raise StoreError(f"The schema {place.schema!r} holds tables of another program. Choose another schema.")
    if int(version) > PG_SCHEMA_VERSION:
        raise StoreError(
            f"The schema {place.schema!r} was made by a newer version (schema {version}, this one reads up to "
            f"{PG_SCHEMA_VERSION}). Upgrade autodata-agents, or choose another schema."
        )


def lock_number(*names: str) -> int:
    """Return the number of an advisory lock for these names: 63 bits of their hash."""
    return int.from_bytes(hashlib.sha256("\0".join(names).encode("utf-8", "replace")).digest()[:8], "big") >> 1


@contextmanager
def postgres_errors(place: Place) -> Iterator[None]:
    """Turn what psycopg raises inside into a `StoreError`, or into a `RecordError` when a value cannot be kept."""
    import psycopg

    of_a_value = (psycopg.DataError, psycopg.IntegrityError, psycopg.errors.ProgramLimitExceeded, UnicodeEncodeError)
    try:
        yield
    except of_a_value as error:
        raise RecordError(f"{place} cannot keep a value: {_one_line(error)}.") from error
    except psycopg.Error as error:
        raise StoreError(f"{place} failed: {_one_line(error)}. {_advice(error)}") from error


def _advice(error: psycopg.Error) -> str:
    import psycopg

    state = error.sqlstate or ""
    if state.startswith("53"):
        return "The server has no room or no free connection. Free some, then run the same command again."
    if state.startswith("28") or "password" in str(error) or "authentication" in str(error):
        return "Check user and password (PGPASSWORD, ~/.pgpass)."
    if state.startswith("42"):
        return "Check the user's rights on the schema."
    if state in {"57014", "55P03"}:
        return "The server was too slow or the run is locked. Run the same command again."
    if isinstance(error, psycopg.OperationalError):
        return "Check that the server runs, then run the same command again; everything acknowledged is kept."
    return "Run the same command again."


def _one_line(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split()).rstrip('.')}"
