"""Runs an answer's one SELECT on a small SQLite database inside a sandbox, and compares its rows here on the host.

The database is made from the check for every run and lives in memory. Expected rows never enter it; the program around the
query is ours, and how it is confined does not live here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from autodata_adapters.sandbox import Job, Limits, Outcome, Sandbox
from autodata_adapters.sandbox.tagging import TagError, untagged
from autodata_adapters.verifiers.code_blocks import code_in
from autodata_adapters.verifiers.table import ROWS_MAX, cell_fault, near, rows_differ, tolerance_in
from autodata_core.errors import shorten
from autodata_core.ports import VerifierReply
from autodata_core.records import Check

__all__ = ["RUNNER", "SqlVerifier", "create"]

_LANGUAGES = frozenset(("sql", "sqlite", "sqlite3"))
_SETUP_MAX = 20_000
_COLUMNS_MAX = 20
_TABLES_MAX = 8
_CHANGED_MAX = 24
_TOLD_WANTED = 4
"""Changed copies of the reference that the check is seen to refuse. More show no more."""
_REL_TOL = "1e-9"
"""Sums of floats depend on the order of rows in their last digits, and SQL promises no order."""

RUNNER = """
import sqlite3

ROWS_MAX = 1000
READING = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE}
OUTSIDE = {sqlite3.SQLITE_ATTACH, sqlite3.SQLITE_DETACH, sqlite3.SQLITE_PRAGMA, sqlite3.SQLITE_CREATE_VTABLE}
REFUSED = {"load_extension", "random", "randomblob"}
FAULTS = (sqlite3.Error, sqlite3.Warning, ValueError, OverflowError)


def refuses_function(action, name):
    return action == sqlite3.SQLITE_FUNCTION and (name or "").lower() in REFUSED


def while_made(action, one, two, database, trigger):
    return sqlite3.SQLITE_DENY if action in OUTSIDE or refuses_function(action, two) else sqlite3.SQLITE_OK


def while_asked(action, one, two, database, trigger):
    return sqlite3.SQLITE_OK if action in READING and not refuses_function(action, two) else sqlite3.SQLITE_DENY


def names(database, kind):
    found = database.execute("SELECT name FROM sqlite_master WHERE type = ? AND name NOT LIKE 'sqlite!_%' ESCAPE '!'", (kind,))
    return [name for name, in found]


def quoted(name):
    return '"' + name.replace('"', '""') + '"'


def made(setup, way):
    database = sqlite3.connect(":memory:", isolation_level=None)
    database.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 2_000_000)
    database.execute("PRAGMA temp_store = MEMORY")
    database.execute("PRAGMA foreign_keys = OFF")
    database.set_authorizer(while_made)
    database.executescript(setup)
    database.set_authorizer(None)
    for listing in ("json_each", "json_tree"):  # once read, they need no more than the right to read
        try:
            database.execute("SELECT * FROM " + listing + "('[]')")
        except sqlite3.Error:
            pass
    if way == "reversed":
        database.execute("PRAGMA reverse_unordered_selects = ON")
    if way == "emptied":
        for name in names(database, "trigger"):
            database.execute("DROP TRIGGER " + quoted(name))
        for name in names(database, "table"):
            database.execute("DELETE FROM " + quoted(name))
    return database


def first_word(query):
    rest = query.lstrip()
    while rest.startswith(("--", "/*")):
        rest = rest.partition("\\n" if rest.startswith("--") else "*/")[2].lstrip()
    word = ""
    for character in rest:
        if not character.isalpha():
            break
        word += character
    return word.upper()


def run_query(setup, query, way):
    try:
        database = made(setup, way)
    except FAULTS as error:
        return ["setup", str(error)]
    try:
        if first_word(query) not in ("SELECT", "WITH"):
            return ["query", "no SELECT or WITH statement"]
        database.set_authorizer(while_asked)
        cursor = database.execute(query)
        if cursor.description is None:
            return ["query", "it gives no rows"]
        rows = cursor.fetchmany(ROWS_MAX + 1)
        if len(rows) > ROWS_MAX:
            return ["query", "more than 1,000 rows"]
        return ["rows", [column[0] for column in cursor.description], [list(row) for row in rows]]
    except FAULTS as error:
        return ["query", str(error)]
    finally:
        database.close()


def table_names(setup):
    try:
        database = made(setup, "plain")
    except FAULTS:
        return []
    return names(database, "table")
"""
"""The program around a query. It knows nothing of what is expected."""


@dataclass(frozen=True)
class _Result:
    """What one query gave."""

    kind: str
    """`rows`, `query` when the query is at fault, `setup` when the database cannot be made."""
    detail: str = ""
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[Any, ...], ...] = ()


@dataclass(frozen=True)
class SqlVerifier:
    """`{"setup": "CREATE TABLE …; INSERT …;", "expected": {"columns": null, "rows": [["Oslo", 3]]}, "ordered": false}`.

    The answer is one SELECT or WITH statement whose rows are these; text is compared exactly, numbers by value, floats within
    `rel_tol`. It is run three times: as the database is, with tables read backwards, and with every table empty. What depends
    on the order in which rows happen to be kept fails, and so does what gives the same rows without any data.
    """

    sandbox: Sandbox
    limits: Limits = field(default_factory=Limits)
    kind: str = "sql"
    form: str = (
        'spec {"setup": "CREATE TABLE …; INSERT INTO …;", "expected": {"columns": null, "rows": [["Oslo", 3], …]}, "ordered": '
        "false}; SQLite; setup makes the tables with rows that tell a right query from nearly right ones, expected.rows is what "
        "the right query gives, columns null unless the question names them, ordered true when the question asks for an order; "
        "the reference answer is the query alone"
    )

    @property
    def version(self) -> str:
        return f"sql/1 {self.sandbox.tier or 'no sandbox'}"

    def check_spec(self, check: Check) -> str | None:
        spec = check.spec
        unknown = sorted(set(spec) - {"setup", "expected", "ordered", "rel_tol"})
        if unknown:
            return f"a sql check has no {shorten(unknown[0], 40)}; it has setup, expected, ordered and rel_tol"
        setup = spec.get("setup")
        if not isinstance(setup, str) or not setup.strip() or len(setup) > _SETUP_MAX:
            return f"setup must be SQL of 1 to {_SETUP_MAX:,} characters"
        if any("\ud800" <= c <= "\udfff" or c == "\0" for c in setup):
            return "setup is not valid text"
        if not isinstance(spec.get("ordered", False), bool):
            return "ordered must be true or false"
        if tolerance_in(spec, _REL_TOL) is None:
            return "rel_tol must be a number from 0 to 0.1, written as text"
        return _expected_fault(spec.get("expected"))

    def verify(self, check: Check, answer: str, source: str = "") -> VerifierReply:
        fault = self.check_spec(check)
        if fault:
            return VerifierReply(outcome="error", evidence=fault)
        found = code_in(answer, _LANGUAGES)
        if found.fault or "\0" in found.code:
            return VerifierReply(outcome="fail", evidence=found.fault or "not valid text")
        ways = ("plain", "reversed", "emptied")
        ran = self._run("run_query", tuple((check.spec["setup"], found.code, way) for way in ways))
        if ran.kind == "unsupported":
            return VerifierReply(outcome="error", evidence=f"no sandbox here can run it: {ran.detail[:200]}")
        if ran.kind != "returned":
            return VerifierReply(
                outcome="fail", evidence=f"the query ended without rows: {ran.kind} {ran.detail[:200]}"
            )
        plain, backwards, emptied = _results(ran, len(ways))
        if "setup" in (plain.kind, backwards.kind, emptied.kind):
            return VerifierReply(
                outcome="error", evidence=f"setup cannot be run: {plain.detail or emptied.detail}"[:300]
            )
        if plain.kind != "rows":
            return VerifierReply(outcome="fail", evidence=f"the query cannot be run: {plain.detail}"[:300])
        wrong = _difference(check, plain)
        if not wrong and (backwards.kind != "rows" or _difference(check, backwards)):
            wrong = "its rows depend on the order in which the tables keep theirs"
        if not wrong and check.spec["expected"]["rows"] and emptied.kind == "rows" and not _difference(check, emptied):
            wrong = "it gives the same rows when every table is empty"
        count = len(plain.rows)
        return VerifierReply(
            outcome="fail" if wrong else "pass", evidence=wrong or f"{count} rows as expected, {ran.tier}"
        )

    def known_wrong(self, check: Check, reference: str = "") -> Sequence[str]:
        """Return queries that ignore the question, and copies of the reference with a clause or operator changed.

        Copies that give other rows are taken, up to four. Where none does although some can be made, one that gives the same
        rows is taken: it passes, because the data tell nothing apart.
        """
        plain = ("SELECT 1 WHERE 0", "SELECT NULL")
        if self.check_spec(check) is not None:
            return plain
        setup, rows = check.spec["setup"], check.spec["expected"]["rows"]
        ran = self._run("table_names", ((setup,),))
        tables = untagged(ran.values[0]) if ran.kind == "returned" else []
        whole = [f"SELECT * FROM {_quoted(name)}" for name in tables[:_TABLES_MAX]]  # noqa: S608 - runs in the sandbox, to fail
        stated = [_literal(rows, check.spec["expected"].get("columns"))] if rows else []
        found = code_in(reference, _LANGUAGES)
        told = [] if found.fault else self._told_apart(check, found.code)
        return (*plain, *whole, *stated, *told)

    def _told_apart(self, check: Check, reference: str) -> list[str]:
        ordered = check.spec.get("ordered", False)
        changed = dict(_changed(reference))
        queries = [query for query, sorts in changed.items() if ordered or not sorts][:_CHANGED_MAX]
        if not queries:
            return []
        ran = self._run("run_query", tuple((check.spec["setup"], query, "plain") for query in queries))
        if ran.kind != "returned":
            return []
        told: list[str] = []
        passing: list[str] = []
        for query, result in zip(queries, _results(ran, len(queries)), strict=True):
            if result.kind == "rows":
                (told if _difference(check, result) else passing).append(query)
        return told[:_TOLD_WANTED] or passing[:1]

    def _run(self, function: str, calls: tuple[tuple[Any, ...], ...]) -> Outcome:
        return self.sandbox.run(Job(code=RUNNER, function=function, calls=calls, limits=self.limits))


def create(sandbox: Sandbox) -> SqlVerifier:
    """Return the verifier that runs queries in `sandbox`."""
    return SqlVerifier(sandbox)


# --- the spec and the result ------------------------------------------------------------------------------------------


def _expected_fault(expected: Any) -> str | None:
    if not isinstance(expected, dict) or not {"rows"} <= set(expected) <= {"columns", "rows"}:
        return f"expected has 'rows' and perhaps 'columns', got {shorten(expected, 60)}"
    rows, columns = expected["rows"], expected.get("columns")
    if not isinstance(rows, list) or len(rows) > ROWS_MAX or not all(isinstance(row, list) for row in rows):
        return f"expected.rows must be a list of at most {ROWS_MAX} lists"
    widths = {len(row) for row in rows} | ({len(columns)} if isinstance(columns, list) else set())
    if len(widths) > 1 or not all(1 <= width <= _COLUMNS_MAX for width in widths):
        return f"expected has rows of equal length, 1 to {_COLUMNS_MAX} values, and as many columns"
    if columns is not None and not (isinstance(columns, list) and all(isinstance(name, str) for name in columns)):
        return "expected.columns must be a list of names or null"
    return next((why for row in rows for cell in row if (why := cell_fault(cell, boolean=False))), None)


def _results(ran: Outcome, count: int) -> list[_Result]:
    """Return what each query of a job gave."""
    try:
        values = [untagged(value) for value in ran.values]
    except TagError:
        values = []
    if len(values) != count:
        return [_Result("query", detail="it gave nothing that can be read")] * count
    return [
        _Result("rows", columns=tuple(value[1]), rows=tuple(tuple(row) for row in value[2]))
        if value[0] == "rows"
        else _Result(value[0], detail=value[1])
        for value in values
    ]


def _difference(check: Check, result: _Result) -> str:
    """Return how a result differs from the expected one, in words; empty when it does not."""
    columns, rows = check.spec["expected"].get("columns"), check.spec["expected"]["rows"]
    if columns is not None and [name.casefold() for name in columns] != [name.casefold() for name in result.columns]:
        return f"its columns are {shorten(list(result.columns), 120)}"
    tolerance = tolerance_in(check.spec, _REL_TOL) or Fraction(0)
    ordered = check.spec.get("ordered", False)
    return rows_differ(rows, result.rows, ordered, lambda one, two: _same(one, two, tolerance))


def _same(wanted: Any, got: Any, tolerance: Fraction) -> bool:
    numbers = isinstance(wanted, int | float) and isinstance(got, int | float)
    if not numbers:
        return type(wanted) is type(got) and bool(wanted == got)
    return near(wanted, got, tolerance if isinstance(wanted, float) or isinstance(got, float) else Fraction(0))


# --- wrong queries ----------------------------------------------------------------------------------------------------


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _literal(rows: Sequence[Sequence[Any]], columns: Sequence[str] | None) -> str:
    """Return a query that states the rows instead of asking for them."""
    names = columns or [f"c{place}" for place in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [f"{_written(cell)} AS {_quoted(name)}" for cell, name in zip(row, names, strict=True)]
        lines.append("SELECT " + ", ".join(cells))
    return " UNION ALL ".join(lines)


def _written(cell: Any) -> str:
    if cell is None:
        return "NULL"
    return "'" + cell.replace("'", "''") + "'" if isinstance(cell, str) else repr(cell)


_TOKEN = re.compile(
    r"--[^\n]*|/\*.*?(?:\*/|\Z)|'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|`[^`]*`|\[[^\[\]]*\]|\w+|<=|>=|<>|!=|==|\|\||\s+|.",
    re.DOTALL,
)
_CLAUSES = frozenset(("WHERE", "GROUP", "HAVING", "ORDER", "LIMIT", "WINDOW"))
_ENDS = _CLAUSES | frozenset(("UNION", "INTERSECT", "EXCEPT"))
_SWAPS = {
    "DISTINCT": "", "DESC": "ASC", "LEFT": "", "AND": "OR", "OR": "AND", "NOT": "", "SUM": "MAX", "AVG": "MAX",
    "MAX": "MIN", "MIN": "MAX", ">": ">=", "<": "<=", ">=": ">", "<=": "<", "=": "<>", "==": "<>", "<>": "=", "!=": "=",
}  # fmt: skip


def _changed(query: str) -> Iterator[tuple[str, bool]]:
    """Yield copies of a query with one clause left out or one word changed, and whether only the order of rows can differ."""
    parts = _TOKEN.findall(query[:_SETUP_MAX])
    words = [part.upper() for part in parts]
    depths, depth = [], 0
    for word in words:
        depth -= word == ")"
        depths.append(depth)
        depth += word == "("
    limited = "LIMIT" in words
    for start, word in enumerate(words):
        if word in _CLAUSES:
            end = _clause_end(words, depths, start)
            yield "".join((*parts[:start], *parts[end:])), word == "ORDER" and depths[start] == 0 and not limited
    for place, word in enumerate(words):
        if word in _SWAPS:
            sorts = word == "DESC" and not limited and depths[place] == 0
            yield "".join((*parts[:place], _SWAPS[word], *parts[place + 1 :])), sorts


def _clause_end(words: Sequence[str], depths: Sequence[int], start: int) -> int:
    for place in range(start + 1, len(words)):
        if depths[place] < depths[start] or (depths[place] == depths[start] and words[place] in (*_ENDS, ";")):
            return place
    return len(words)
