"""A sql check passes queries that ask the right question of the data, and a table check the right table."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from autodata_adapters.sandbox import Job, Limits, Outcome, Sandbox
from autodata_adapters.sandbox.ladder import create_sandbox
from autodata_adapters.verifiers import table
from autodata_adapters.verifiers.sql import SqlVerifier, create
from autodata_core.records import Check
from autodata_core.verify import control

SETUP = """
CREATE TABLE city (id INTEGER PRIMARY KEY, name TEXT, country TEXT, people INTEGER);
INSERT INTO city (name, country, people) VALUES
  ('Oslo', 'NO', 709), ('Bergen', 'NO', 289), ('Rome', 'IT', 2750), ('Milan', 'IT', 1371), ('Bari', 'IT', 315);
CREATE TABLE visit (city INTEGER, day TEXT, price REAL);
INSERT INTO visit VALUES (1, '2024-01-01', 10.1), (1, '2024-01-02', 20.2), (3, '2024-01-02', 30.3), (4, NULL, 0.5);
"""
REFERENCE = "SELECT country, SUM(people) AS total FROM city WHERE people > 300 GROUP BY country ORDER BY total DESC"
ROWS = [["IT", 4436], ["NO", 709]]


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    made = create_sandbox("confined")
    made = made if made.tier else create_sandbox("none")
    yield made
    made.close()


@pytest.fixture(scope="module")
def verifier(sandbox: Sandbox) -> SqlVerifier:
    return create(sandbox)


def check(rows: Any = ROWS, *, setup: str = SETUP, columns: Any = None, **more: Any) -> Check:
    return Check(kind="sql", spec={"setup": setup, "expected": {"columns": columns, "rows": rows}, **more})


class Recorded:
    """Writes down what goes in."""

    def __init__(self, inner: Sandbox) -> None:
        self.inner, self.tier = inner, inner.tier
        self.jobs: list[Job] = []

    def run(self, job: Job) -> Outcome:
        self.jobs.append(job)
        return self.inner.run(job)

    def close(self) -> None:
        self.inner.close()


def test_the_right_query_passes_however_it_is_written(verifier: SqlVerifier) -> None:
    for answer in (
        REFERENCE,
        f"```sql\n{REFERENCE};\n```",
        f"This sums them up:\n\n```SQLite\n-- by country\n{REFERENCE} ; -- done\n```\nDone.",
        "/* a */ with big as (select * from city where people > 300)\n"
        "select country, sum(people) from big group by 1 order by 2 desc",
    ):
        found = verifier.verify(check(ordered=True), answer)
        assert found.outcome == "pass", (answer, found)
    assert verifier.version == f"sql/1 {verifier.sandbox.tier}"


WRONG = {
    "SELECT country, SUM(people) FROM city GROUP BY country ORDER BY 2 DESC": "row 2",
    "SELECT country, SUM(people) FROM city WHERE people > 300 GROUP BY country ORDER BY 2": "row 1",
    "SELECT country FROM city WHERE people > 300 GROUP BY country ORDER BY SUM(people) DESC": "a row of 1 values",
    "SELECT SUM(people), country FROM city WHERE people > 300 GROUP BY country ORDER BY 1 DESC": "row 1",
    "SELECT 'IT', 4436 UNION ALL SELECT 'NO', 709": "every table is empty",
    "SELECT country, SUM(people) || '' FROM city WHERE people > 300 GROUP BY country ORDER BY 2 DESC": "row 1",
    REFERENCE + "; " + REFERENCE: "one statement",
    f"```sql\n{REFERENCE}\n```\n```sql\n{REFERENCE}\n```": "2 blocks",
    f"The query is {REFERENCE}": "no SELECT",
    "SELECT * FROM town": "no such table",
    "SELECT": "cannot be run",
    "-- nothing": "no SELECT",
    "VALUES ('IT', 4436), ('NO', 709)": "no SELECT",
    "EXPLAIN " + REFERENCE: "no SELECT",
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i, i FROM n": "1,000 rows",
    REFERENCE + "\0": "not valid",
    REFERENCE + " -- \ud800": "Unicode",
    "": "no code",
}


@pytest.mark.parametrize("answer", WRONG)
def test_a_wrong_query_fails_with_the_reason(verifier: SqlVerifier, answer: str) -> None:
    found = verifier.verify(check(ordered=True), answer)
    assert (found.outcome, WRONG[answer] in found.evidence) == ("fail", True), found


@pytest.mark.parametrize(
    "answer",
    [
        "ATTACH DATABASE '/etc/passwd' AS other",
        "PRAGMA writable_schema = ON",
        "SELECT * FROM pragma_table_info('city')",
        "SELECT load_extension('/tmp/x.so')",
        "DELETE FROM city",
        "WITH gone AS (SELECT 1) DELETE FROM city",
        "WITH more AS (SELECT 'IT', 4436) INSERT INTO city (country, people) SELECT * FROM more RETURNING country, people",
        "CREATE TABLE answer AS SELECT 'IT', 4436",
        "DROP TABLE city",
        "VACUUM INTO '/tmp/copy.db'",
        "SELECT country, abs(random()) FROM city",
        "SELECT readfile('/etc/passwd'), 1",
        "SELECT writefile('/tmp/x', 'x'), 1",
        "SELECT country, zeroblob(1000000000) FROM city",
    ],
)
def test_what_is_no_question_to_the_data_fails(verifier: SqlVerifier, answer: str) -> None:
    found = verifier.verify(check(), answer)
    assert found.outcome == "fail", found
    assert "cannot be run" in found.evidence


def test_a_query_without_end_fails(sandbox: Sandbox) -> None:
    verifier = SqlVerifier(sandbox, Limits(wall_s=1.5, cpu_s=1))
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i), 1 FROM n"
    found = verifier.verify(check(), endless)
    assert (found.outcome, "timeout" in found.evidence) == ("fail", True), found


def test_rows_whose_order_nobody_asked_for_fail(verifier: SqlVerifier) -> None:
    """With tables read backwards another city comes first."""
    found = verifier.verify(check([["Oslo"]]), "SELECT name FROM city LIMIT 1")
    assert (found.outcome, "depend on the order" in found.evidence) == ("fail", True), found
    unsorted = "SELECT name FROM city WHERE country = 'NO'"
    assert verifier.verify(check([["Oslo"], ["Bergen"]], ordered=True), unsorted).outcome == "fail"
    assert verifier.verify(check([["Bergen"], ["Oslo"]]), unsorted).outcome == "pass"


@pytest.mark.parametrize(
    ("rows", "answer", "outcome"),
    [
        ([["a", 1]], "SELECT 'a', 1.0 FROM city LIMIT 1", "pass"),
        ([["a", 1.0]], "SELECT 'a', 1 FROM city LIMIT 1", "pass"),
        ([["a", "1"]], "SELECT 'a', 1 FROM city LIMIT 1", "fail"),
        ([["a", 1]], "SELECT 'A', 1 FROM city LIMIT 1", "fail"),
        ([[None, 1]], "SELECT NULL, 1 FROM city LIMIT 1", "pass"),
        ([[None, 1]], "SELECT '', 1 FROM city LIMIT 1", "fail"),
        ([[None, 1]], "SELECT 0, 1 FROM city LIMIT 1", "fail"),
        ([["a", 0]], "SELECT 'a', 1e-20 FROM city LIMIT 1", "fail"),
        ([["a", 2]], "SELECT 'a', 9e999 FROM city LIMIT 1", "fail"),
        ([["a", 2]], "SELECT x'61', 2 FROM city LIMIT 1", "fail"),
        ([[60.6, 4.0]], "SELECT SUM(price), 4 FROM visit WHERE price > 1", "pass"),
        ([[60.60001, 4.0]], "SELECT SUM(price), 4 FROM visit WHERE price > 1", "fail"),
        ([["2024-01-02", 2], ["2024-01-01", 1], [None, 1]], "SELECT day, COUNT(*) FROM visit GROUP BY day", "pass"),
        ([["IT", 1], ["IT", 1], ["IT", 1]], "SELECT country, 1 FROM city WHERE country = 'IT'", "pass"),
        ([["IT", 1], ["IT", 1]], "SELECT country, 1 FROM city WHERE country = 'IT'", "fail"),
        ([["x", 2]], "SELECT value, 2 FROM json_each('[\"x\"]') WHERE (SELECT count(*) FROM city) > 1", "pass"),
    ],
)
def test_values_are_compared_as_sql_means_them(verifier: SqlVerifier, rows: Any, answer: str, outcome: str) -> None:
    found = verifier.verify(check(rows), answer)
    assert found.outcome == outcome, found


def test_names_of_columns_count_when_they_are_asked_for(verifier: SqlVerifier) -> None:
    named = check(columns=["Country", "TOTAL"])
    assert verifier.verify(named, REFERENCE).outcome == "pass"
    assert verifier.verify(named, REFERENCE.replace("total", "people")).outcome == "fail"


def test_expected_rows_never_enter_the_sandbox(sandbox: Sandbox) -> None:
    recorded = Recorded(sandbox)
    create(recorded).verify(check(), REFERENCE)
    assert len(recorded.jobs) == 1
    assert "4436" not in json.dumps(recorded.jobs[0].to_json())


def test_without_sqlite_the_answer_is_unverified() -> None:
    monty = create_sandbox("monty")
    found = create(monty).verify(check(), REFERENCE)
    monty.close()
    assert found.outcome == "error"


def test_a_setup_that_cannot_be_run_is_an_error_and_may_not_reach_outside(verifier: SqlVerifier) -> None:
    for setup in (
        "CREATE TABLE city (",
        SETUP + "ATTACH 'x.db' AS other;",
        SETUP + "PRAGMA foreign_keys = ON;",
        SETUP + "SELECT load_extension('x');",
        SETUP + "INSERT INTO visit VALUES (1, '', abs(random()));",
    ):
        found = verifier.verify(check(setup=setup), REFERENCE)
        assert (found.outcome, "setup" in found.evidence) == ("error", True), found
        assert control(verifier, check(setup=setup), REFERENCE).fault == "error"


def test_the_controls_of_a_sound_check_come_out_right(verifier: SqlVerifier) -> None:
    found = control(verifier, check(ordered=True), REFERENCE)
    assert found.fault == "", found
    assert found.controls >= 8
    wrong = verifier.known_wrong(check(ordered=True), REFERENCE)
    assert any("WHERE" not in query and "GROUP BY" in query for query in wrong)
    assert any("GROUP BY" not in query and "WHERE people" in query for query in wrong)
    assert 'SELECT * FROM "city"' in wrong


@pytest.mark.parametrize(
    ("rows", "reference"),
    [
        ([], "SELECT name FROM city WHERE people > 9000"),
        ([["Oslo", "NO"], ["Rome", "IT"]], "SELECT name, country FROM place WHERE people > 100"),  # true of every row
        ([[1, 2]], "SELECT * FROM pair"),
    ],
)
def test_a_check_that_decides_nothing_is_refused(verifier: SqlVerifier, rows: Any, reference: str) -> None:
    more = "CREATE TABLE place AS SELECT * FROM city WHERE name IN ('Oslo', 'Rome'); CREATE TABLE pair (a, b);"
    found = control(verifier, check(rows, setup=f"{SETUP}{more} INSERT INTO pair VALUES (1, 2);"), reference)
    assert found.fault == "vacuous", found


def test_a_reference_that_gives_other_rows_or_needs_no_data_is_named(verifier: SqlVerifier) -> None:
    assert control(verifier, check([["IT", 1]]), REFERENCE).fault == "reference"
    found = control(verifier, check([[0]]), "SELECT COUNT(*) FROM city WHERE people > 9000")
    assert (found.fault, "empty" in found.evidence) == ("reference", True)


@pytest.mark.parametrize(
    "changes",
    [
        {"setup": ""},
        {"setup": 5},
        {"setup": "x" * 30_000},
        {"setup": "SELECT '\0'"},
        {"expected": {}},
        {"expected": [["IT", 1]]},
        {"expected": {"rows": [["IT"], ["IT", 1]]}},
        {"expected": {"rows": [[]]}},
        {"expected": {"rows": [["IT", True]]}},
        {"expected": {"rows": [["IT", float("nan")]]}},
        {"expected": {"rows": [["IT", 2**70]]}},
        {"expected": {"rows": [["IT", [1]]]}},
        {"expected": {"rows": [["IT", 1]] * 201}},
        {"expected": {"rows": [["IT", 1]], "columns": ["a"]}},
        {"expected": {"rows": [["IT", 1]], "columns": [1, 2]}},
        {"ordered": "yes"},
        {"rel_tol": 0},
        {"dialect": "mysql"},
    ],
)
def test_a_spec_that_cannot_be_used_is_named(verifier: SqlVerifier, changes: Any) -> None:
    made = Check(kind="sql", spec={**check().spec, **changes})
    assert verifier.check_spec(made)
    assert verifier.verify(made, REFERENCE).outcome == "error"
    assert verifier.known_wrong(made, REFERENCE)


# --- tables -----------------------------------------------------------------------------------------------------------

TABLE = table.create()


def expected(**changes: Any) -> Check:
    spec = {"columns": ["City", "People"], "rows": [["Oslo", 709_000], ["Rome", None], ["Bari", 0.1]], **changes}
    return Check(kind="table", spec=spec)


MARKDOWN = "| city | people |\n|:--|--:|\n| Oslo | 709,000 |\n| **Rome** | |\n| `Bari` | 0.10 |"
RECORDS = [{"people": 709000, "city": "oslo"}, {"people": None, "city": "Rome"}, {"people": 0.1, "city": "Bari"}]


@pytest.mark.parametrize(
    "answer",
    [
        MARKDOWN,
        f"Here are the cities.\n\n{MARKDOWN}\n\nThat is all.",
        f"```markdown\n{MARKDOWN}\n```",
        "People|City\n---|---\n0.1|Bari\n709000|Oslo\nNULL|Rome",
        "city,people\nOslo,709000\nRome,\nBari,0.1",
        '```csv\ncity, people\n"Oslo", "709,000"\nRome, null\nBari, 1e-1\n```',
        json.dumps(RECORDS),
        f"```json\n{json.dumps(RECORDS)}\n```",
        json.dumps({"columns": ["City", "People"], "rows": [["Bari", 0.1], ["Rome", None], ["Oslo", 709_000.0]]}),
    ],
)
def test_the_right_table_passes_in_every_form(answer: str) -> None:
    found = TABLE.verify(expected(), answer)
    assert found.outcome == "pass", found


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "Oslo has 709000 people, Rome none known, Bari 0.1.",
        MARKDOWN.replace("709,000", "709,001"),
        MARKDOWN.replace("709,000", "about 709,000"),
        MARKDOWN.replace("Oslo", "Olso"),
        MARKDOWN.replace("| people |", "| inhabitants |"),
        MARKDOWN + "\n| Bari | 0.1 |",
        MARKDOWN.rsplit("\n", 1)[0],
        f"{MARKDOWN}\n\n{MARKDOWN}",
        f"```\n{MARKDOWN}\n```\n```\n{MARKDOWN}\n```",
        f"```\n{MARKDOWN}",
        MARKDOWN.replace("| **Rome** | |", "| **Rome** | | |"),
        MARKDOWN.replace("| **Rome** | |", "| **Rome** | 0 |"),
        json.dumps(RECORDS).replace("709000", '"709000"'),
        json.dumps(RECORDS).replace("null", "NaN"),
        json.dumps(RECORDS).replace('"people": null', '"people": null, "people": 5'),
        json.dumps(RECORDS).replace("null", "false"),
        json.dumps(RECORDS[:2]),
        json.dumps({"rows": RECORDS}),
        "[" * 50_000,
        "city,city\nOslo,709000",
        "x" * 200_000,
    ],
)
def test_another_table_fails(answer: str) -> None:
    found = TABLE.verify(expected(), answer)
    assert (found.outcome, bool(found.evidence)) == ("fail", True), found


def test_order_counts_when_it_is_asked_for_and_the_tolerance_is_relative() -> None:
    backwards = json.dumps(RECORDS[::-1])
    assert TABLE.verify(expected(ordered=True), backwards).outcome == "fail"
    assert TABLE.verify(expected(), backwards).outcome == "pass"
    near = MARKDOWN.replace("709,000", "709,001")
    assert TABLE.verify(expected(rel_tol="0.001"), near).outcome == "pass"


def test_the_controls_of_a_table_come_out_right() -> None:
    for changes in ({}, {"ordered": True}, {"rel_tol": "0.1"}, {"rows": [[1, 2.5]]}, {"rows": [[None, True]]}):
        found = control(TABLE, expected(**changes), _as_json(expected(**changes)))
        assert found.fault == "", (changes, found)
    same = expected(rows=[["a", 1], ["a", 1]], ordered=True)  # an order that decides nothing
    assert control(TABLE, same, _as_json(same)).fault == "vacuous"


def _as_json(check: Check) -> str:
    return json.dumps({"columns": check.spec["columns"], "rows": check.spec["rows"]})


@pytest.mark.parametrize(
    "changes",
    [
        {"columns": []},
        {"columns": ["a", "A "]},
        {"columns": ["a"]},
        {"columns": ["", "b"]},
        {"rows": []},
        {"rows": [["a"]]},
        {"rows": [["a", [1]]]},
        {"rows": [["a", float("inf")]]},
        {"rows": [["a", 1]] * 201},
        {"ordered": 1},
        {"rel_tol": "1"},
        {"sql": ""},
    ],
)
def test_a_table_spec_that_cannot_be_used_is_named(changes: Any) -> None:
    made = expected(**changes)
    assert TABLE.check_spec(made)
    assert TABLE.verify(made, MARKDOWN).outcome == "error"
    assert TABLE.known_wrong(made)
