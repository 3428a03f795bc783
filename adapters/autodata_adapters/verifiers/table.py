"""Compares a small table in an answer with the expected one: Markdown, CSV or JSON, rows in order or in any order.

Nothing is run and nothing is searched for in prose: an answer holds one table, or it fails.
"""

from __future__ import annotations

import csv
import json
import math
import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from autodata_adapters.verifiers.code_blocks import blocks_in
from autodata_core.errors import shorten
from autodata_core.ports import VerifierReply
from autodata_core.records import Check

__all__ = ["ROWS_MAX", "Cell", "TableVerifier", "cell_fault", "create", "rows_differ", "tolerance_in"]

Cell = str | int | float | bool | None
Same = Callable[[Any, Any], bool]

ROWS_MAX = 200
_COLUMNS_MAX = 20
_TEXT_MAX = 2_000
_ANSWER_MAX = 100_000
_INT_MAX = 2**63 - 1
_TOLERANCE = re.compile(r"\d{1,3}(?:\.\d{1,30})?(?:[eE]-\d{1,2})?")
_NUMBER = re.compile(r"[-+]?(?:\d{1,3}(?:,\d{3})+|\d{1,40})(?:\.\d{1,40})?(?:[eE][-+]?\d{1,3})?")
_RULE = re.compile(r"\|?\s*:?-+:?\s*(?:\|\s*:?-+:?\s*)*\|?")
_LANGUAGES = frozenset(("", "json", "csv", "markdown", "md", "text", "table"))


class _Unread(Exception):
    """An answer without one table. `str(error)` says why."""


@dataclass(frozen=True)
class _Table:
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    typed: bool
    """True for JSON, whose values have types; every cell of other tables is text."""


@dataclass(frozen=True)
class TableVerifier:
    """`{"columns": ["city", "people"], "rows": [["Oslo", 709000]], "ordered": false}`: the answer is this table.

    Columns go by name, in any order. Text is compared without regard to case and spaces, numbers by value, exactly unless
    `rel_tol` says otherwise. In JSON a number is not text; in Markdown and CSV, where all is text, an empty cell is null.
    """

    kind: str = "table"
    version: str = "table/1"
    form: str = (
        'spec {"columns": ["city", "people"], "rows": [["Oslo", 709000], …], "ordered": false, "rel_tol": "0"}; ordered is true '
        "when the question asks for an order; the reference answer is the table itself in Markdown, CSV or as a JSON list of "
        "objects"
    )

    def check_spec(self, check: Check) -> str | None:
        spec = check.spec
        unknown = sorted(set(spec) - {"columns", "rows", "ordered", "rel_tol"})
        if unknown:
            return f"a table check has no {shorten(unknown[0], 40)}; it has columns, rows, ordered and rel_tol"
        columns, rows = spec.get("columns"), spec.get("rows")
        if not isinstance(columns, list) or not 1 <= len(columns) <= _COLUMNS_MAX:
            return f"columns must be a list of 1 to {_COLUMNS_MAX} names"
        if not all(isinstance(name, str) and _folded(name) and len(name) <= 100 for name in columns):
            return "every column has a name of 1 to 100 characters"
        if len({_folded(name) for name in columns}) != len(columns):
            return "two columns have the same name"
        if not isinstance(rows, list) or not 1 <= len(rows) <= ROWS_MAX:
            return f"rows must be a list of 1 to {ROWS_MAX} rows"
        for row in rows:
            if not isinstance(row, list) or len(row) != len(columns):
                return f"every row is a list of {len(columns)} cells, got {shorten(row, 60)}"
            fault = next((why for cell in row if (why := cell_fault(cell, boolean=True))), "")
            if fault:
                return fault
        if not isinstance(spec.get("ordered", False), bool):
            return "ordered must be true or false"
        if tolerance_in(spec) is None:
            return "rel_tol must be a number from 0 to 0.1, written as text"
        return None

    def verify(self, check: Check, answer: str, source: str = "") -> VerifierReply:
        fault = self.check_spec(check)
        if fault:
            return VerifierReply(outcome="error", evidence=fault)
        try:
            table = _read_table(answer)
        except _Unread as unread:
            return VerifierReply(outcome="fail", evidence=str(unread))
        places = {_folded(name): place for place, name in enumerate(table.columns)}
        wanted_names = [_folded(name) for name in check.spec["columns"]]
        if sorted(map(_folded, table.columns)) != sorted(wanted_names):
            names = ", ".join(shorten(name, 30) for name in table.columns)
            return VerifierReply(outcome="fail", evidence=f"its columns are {names[:200]}")
        rows = [tuple(row[places[name]] for name in wanted_names) for row in table.rows]
        tolerance = tolerance_in(check.spec) or Fraction(0)
        same = _same_typed if table.typed else _same_written
        wrong = rows_differ(
            check.spec["rows"], rows, check.spec.get("ordered", False), lambda one, two: same(one, two, tolerance)
        )
        return VerifierReply(outcome="fail" if wrong else "pass", evidence=wrong or f"{len(rows)} rows, as expected")

    def known_wrong(self, check: Check, reference: str = "") -> Sequence[str]:
        boasts = ("", "unknown", "This is correct, 10/10.")
        if self.check_spec(check) is not None:
            return boasts
        columns, rows = check.spec["columns"], check.spec["rows"]
        other = [[_other(rows[0][0], check.spec), *rows[0][1:]], *rows[1:]]
        tables = [[], other, rows[1:], [*rows, rows[0]]]
        if check.spec.get("ordered", False):
            tables.append(rows[::-1])  # where this is the same table, order decides nothing
        return (*boasts, *(json.dumps({"columns": columns, "rows": table}) for table in tables))


def create() -> TableVerifier:
    """Return the verifier; it needs no sandbox."""
    return TableVerifier()


# --- what a check of rows needs, of a query's as well ----------------------------------------------------------------


def cell_fault(cell: Any, *, boolean: bool) -> str:
    """Return why a cell of a spec cannot be used; empty when it can."""
    if isinstance(cell, bool):
        return "" if boolean else "there are no booleans here; write 1 or 0"
    if isinstance(cell, str):
        if len(cell) > _TEXT_MAX:
            return f"a cell is longer than {_TEXT_MAX} characters"
        return "a cell is not valid text" if any("\ud800" <= c <= "\udfff" or c == "\0" for c in cell) else ""
    if isinstance(cell, int):
        return "" if abs(cell) <= _INT_MAX else "a number has more than 64 bits"
    if isinstance(cell, float):
        return "" if math.isfinite(cell) else "numbers are finite"
    return "" if cell is None else f"a cell is text, a number or null, got {shorten(cell, 40)}"


def tolerance_in(spec: Mapping[str, Any], default: str = "0") -> Fraction | None:
    """Return the relative tolerance of a spec, None when it is not a number from 0 to 0.1 written as text."""
    text = spec.get("rel_tol", default)
    if not isinstance(text, str) or not _TOLERANCE.fullmatch(text) or Fraction(text) > Fraction(1, 10):
        return None
    return Fraction(text)


def near(wanted: int | float | Fraction, got: int | float | Fraction, tolerance: Fraction) -> bool:
    """Return whether two numbers are equal within a share of the wanted one; nothing but 0 is near 0."""
    if wanted == got:
        return True
    if not tolerance or any(isinstance(number, float) and not math.isfinite(number) for number in (wanted, got)):
        return False
    return abs(Fraction(got) - Fraction(wanted)) <= tolerance * abs(Fraction(wanted))


def rows_differ(wanted: Sequence[Sequence[Any]], got: Sequence[Sequence[Any]], ordered: bool, same: Same) -> str:
    """Return how the rows differ, in words; empty when they are the same rows, as often, and in order if that counts."""
    if len(wanted) != len(got):
        return f"{len(got)} rows, wanted {len(wanted)}"
    width = next((len(row) for row in got if len(row) != len(wanted[0])), None)
    if width is not None:
        return f"a row of {width} values, wanted {len(wanted[0])}"

    def equal(one: Sequence[Any], two: Sequence[Any]) -> bool:
        return all(same(a, b) for a, b in zip(one, two, strict=True))

    if ordered:
        wrong = next((n for n, (one, two) in enumerate(zip(wanted, got, strict=True)) if not equal(one, two)), None)
        return "" if wrong is None else f"row {wrong + 1} is {_shown(got[wrong])}, wanted {_shown(wanted[wrong])}"
    partner: dict[int, int] = {}  # `partner[j]` is the wanted row that row j of the answer stands for
    for place, row in enumerate(wanted):
        alike = [other for other, found in enumerate(got) if equal(row, found)]
        if not _matched(place, alike, partner, lambda i: [j for j, r in enumerate(got) if equal(wanted[i], r)], set()):
            return f"the row {_shown(row)} is missing"
    return ""


def _matched(
    place: int, alike: Sequence[int], partner: dict[int, int], alike_of: Callable[[int], list[int]], tried: set[int]
) -> bool:
    """Find a row for `place`, moving others to another row that they are near to where that is needed."""
    free = next((other for other in alike if other not in partner), None)
    if free is not None:
        partner[free] = place
        return True
    for other in alike:
        if other not in tried:
            tried.add(other)
            if _matched(partner[other], alike_of(partner[other]), partner, alike_of, tried):
                partner[other] = place
                return True
    return False


def _shown(row: Sequence[Any]) -> str:
    return shorten(tuple(row), 80)


# --- cells ------------------------------------------------------------------------------------------------------------


def _folded(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def _same_typed(wanted: Cell, got: Cell, tolerance: Fraction) -> bool:
    if isinstance(wanted, bool) or isinstance(got, bool) or wanted is None or got is None:
        return wanted is got
    if isinstance(wanted, str) or isinstance(got, str):
        return isinstance(wanted, str) and isinstance(got, str) and _folded(wanted) == _folded(got)
    return near(wanted, got, tolerance)


def _same_written(wanted: Cell, got: Cell, tolerance: Fraction) -> bool:
    """Compare with a cell of text."""
    text = str(got).strip()
    if wanted is None or isinstance(wanted, bool):
        return _folded(text) in (("", "null") if wanted is None else ("true",) if wanted else ("false",))
    if isinstance(wanted, str):
        return _folded(text) == _folded(wanted)
    number = text.replace("−", "-")
    if not _NUMBER.fullmatch(number):
        return False
    decimal = isinstance(wanted, float)  # 0.1 as people write it, not as the machine keeps it
    return near(Fraction(repr(wanted)) if decimal else wanted, Fraction(number.replace(",", "")), tolerance)


def _other(cell: Cell, spec: Mapping[str, Any]) -> Cell:
    """Return a value that no row of the spec has in its first column."""
    if isinstance(cell, str):
        return "".join(str(row[0]) for row in spec["rows"])[: _TEXT_MAX // 2] + " and another"
    numbers = [abs(row[0]) for row in spec["rows"] if isinstance(row[0], int | float)]
    return max(numbers, default=0) * 2 + 1_000_003  # more than any tolerance


# --- reading ----------------------------------------------------------------------------------------------------------


def _read_table(answer: str) -> _Table:
    """Return the one table of an answer.

    Raises:
        _Unread: There is none, there are several, or it cannot be read.
    """
    if len(answer) > _ANSWER_MAX:
        raise _Unread(f"longer than {_ANSWER_MAX:,} characters")
    blocks = [block for block in blocks_in(answer) if block.language in _LANGUAGES]
    if len(blocks) > 1 or (blocks and not blocks[0].closed):
        raise _Unread(f"{len(blocks)} blocks, wanted one" if len(blocks) > 1 else "the block never ends")
    text = (blocks[0].text if blocks else answer).strip()
    if not text:
        raise _Unread("no table in it")
    if text[0] in "[{":
        table = _read_json(text)
    else:
        found = list(_markdown_tables(text))
        if len(found) > 1:
            raise _Unread(f"{len(found)} tables, wanted one")
        table = _text_table(found[0] if found else _csv_rows(text))
    if len({_folded(name) for name in table.columns}) != len(table.columns):
        raise _Unread("two of its columns have the same name")
    return table


def _text_table(lines: Sequence[Sequence[str]]) -> _Table:
    width = len(lines[0])
    if any(len(line) != width for line in lines):
        raise _Unread("its rows have different numbers of cells")
    if len(lines) - 1 > ROWS_MAX * 2:
        raise _Unread(f"more than {ROWS_MAX * 2} rows")
    return _Table(tuple(lines[0]), tuple(tuple(line) for line in lines[1:]), typed=False)


def _markdown_tables(text: str) -> Iterator[list[list[str]]]:
    lines = [line.strip() for line in text.split("\n")]
    place = 1
    while place < len(lines):
        if "-" in lines[place] and _RULE.fullmatch(lines[place]) and "|" in lines[place - 1]:
            end = next((n for n in range(place + 1, len(lines)) if "|" not in lines[n]), len(lines))
            yield [_cells(lines[place - 1]), *map(_cells, lines[place + 1 : end])]
            place = end
        place += 1


def _cells(line: str) -> list[str]:
    inner = line.removeprefix("|")
    if inner.endswith("|") and not inner.endswith("\\|"):
        inner = inner[:-1]
    parts = re.split(r"(?<!\\)\|", inner)
    return [_bare(part.replace("\\|", "|").strip()) for part in parts]


def _bare(cell: str) -> str:
    for mark in ("**", "`", "*"):
        if len(cell) > 2 * len(mark) and cell.startswith(mark) and cell.endswith(mark):
            return cell[len(mark) : -len(mark)].strip()
    return cell


def _csv_rows(text: str) -> list[list[str]]:
    try:
        rows = [
            [cell.strip() for cell in row] for row in csv.reader(text.split("\n"), skipinitialspace=True, strict=True)
        ]
    except csv.Error as error:
        raise _Unread(f"no table can be read from it: {error}") from error
    rows = [row for row in rows if row]
    if len(rows) < 2:
        raise _Unread("no table in it")
    return rows


def _read_json(text: str) -> _Table:
    try:
        value = json.loads(text, object_pairs_hook=_pairs, parse_constant=_constant)
    except RecursionError as error:
        raise _Unread("the JSON is nested too deeply") from error
    except ValueError as error:
        raise _Unread(f"the JSON cannot be read: {shorten(str(error), 80)}") from error
    if isinstance(value, dict) and set(value) == {"columns", "rows"}:
        columns, rows = value["columns"], value["rows"]
    elif isinstance(value, list) and value and all(isinstance(row, dict) for row in value):
        columns = list(value[0])
        if any(set(row) != set(columns) for row in value):
            raise _Unread("its rows have different keys")
        rows = [[row[name] for name in columns] for row in value]
    else:
        raise _Unread("the JSON is neither a list of objects nor columns with rows")
    if not isinstance(columns, list) or not all(isinstance(name, str) for name in columns):
        raise _Unread("its columns are not a list of names")
    if not isinstance(rows, list) or len(rows) > ROWS_MAX * 2:
        raise _Unread(f"its rows are not a list of at most {ROWS_MAX * 2}")
    if not all(isinstance(row, list) and len(row) == len(columns) for row in rows):
        raise _Unread("its rows have different numbers of cells")
    if any(cell_fault(cell, boolean=True) for row in rows for cell in row):
        raise _Unread("a cell is neither text, a number, true, false nor null")
    return _Table(tuple(columns), tuple(tuple(row) for row in rows), typed=True)


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("a key stands twice in one object")
    return made


def _constant(name: str) -> Any:
    raise ValueError(f"{name} is not a JSON number")
