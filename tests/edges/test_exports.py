"""Exports hold what the rows hold, in types that other tools read."""

from __future__ import annotations

import json
from pathlib import Path

import autodata_test_worlds as w
import pytest

from autodata_adapters.exports import human_rows, made_lines, made_row, write_parquet
from autodata_core.errors import RecordError, StoreError

pq = pytest.importorskip("pyarrow.parquet")


def row(name: str) -> dict[str, object]:
    rules, source, models = w.WORLDS[name]()
    return w.row_of(rules, models, w.drive_bare(rules, source, models))


def test_rows_with_rubrics_and_with_checks_stand_in_one_table_and_come_back(tmp_path: Path) -> None:
    rows = [row("exact"), row("reviewed"), row("odd_texts")]
    assert write_parquet(tmp_path / "rows.parquet", rows) == 3
    table = pq.read_table(tmp_path / "rows.parquet")
    assert table.column_names == list(rows[0])
    back = table.to_pylist()
    for wanted, found in zip(rows, back, strict=True):
        texts = {
            name: None if found[name] is None else json.loads(found[name])
            for name in ("check", "verdict", "provenance")
        }
        assert {**found, **texts} == wanted


def test_no_rows_make_a_table_with_every_column(tmp_path: Path) -> None:
    assert write_parquet(tmp_path / "rows.parquet", []) == 0
    assert "question" in pq.read_table(tmp_path / "rows.parquet").column_names


def test_a_folder_that_cannot_be_written_is_one_clear_error_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "rows.parquet").mkdir()
    with pytest.raises(StoreError, match="cannot be written"):
        write_parquet(tmp_path / "rows.parquet", [row("exact")])
    assert [p.name for p in tmp_path.iterdir()] == ["rows.parquet"]


def written(path: Path, *lines: object) -> Path:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def test_rows_of_people_have_every_key_and_say_who_made_them(tmp_path: Path) -> None:
    path = written(
        tmp_path / "people.jsonl",
        {"question": "What is a berth?", "answer": "A place for a ship.", "question_type": "definition"},
        {"messages": [{"role": "user", "content": "Why salt?"}, {"role": "assistant", "content": "For taste."}]},
        {"question": "What is a berth?", "answer": "A place for a ship.", "question_type": "definition"},
    )
    rows = human_rows(path)
    assert [list(one) for one in rows] == [[*row("exact"), "origin"]] * 3
    assert [one["question"] for one in rows] == ["What is a berth?", "Why salt?", "What is a berth?"]
    assert [one["source"]["id"] for one in rows] == ["people.jsonl:1", "people.jsonl:2", "people.jsonl:3"]
    assert {one["origin"] for one in rows} == {"human"}
    assert all(one[name] is None for one in rows for name in ("scores", "verdict", "provenance", "round"))
    assert len({one["id"] for one in rows}) == 3
    assert human_rows(path) == rows


def test_a_line_of_people_that_is_no_row_is_named(tmp_path: Path) -> None:
    path = written(tmp_path / "people.jsonl", {"question": "q", "answer": "a"}, {"prompt": "p"})
    with pytest.raises(RecordError, match=r"people.jsonl line 2: there is no"):
        human_rows(path)
    mapped = written(tmp_path / "other.jsonl", {"q": "What?", "best": "That."})
    assert human_rows(mapped, {"question": "q", "reference_answer": "best"})[0]["reference_answer"] == "That."


def test_rows_of_people_stand_in_one_table_with_made_ones(tmp_path: Path) -> None:
    people = human_rows(written(tmp_path / "people.jsonl", {"question": "q", "answer": "a"}))
    assert write_parquet(tmp_path / "rows.parquet", [made_row(row("exact")), *people]) == 2
    found = pq.read_table(tmp_path / "rows.parquet").to_pylist()
    assert [one["origin"] for one in found] == ["made", "human"]
    assert (found[1]["scores"], found[1]["verdict"], found[1]["question"]) == (None, None, "q")


def test_rows_that_a_run_made_are_no_rows_of_people(tmp_path: Path) -> None:
    exact = row("exact")
    path = written(
        tmp_path / "mixed.jsonl",
        {"question": "Who asks?", "answer": "A person.", "origin": "human"},
        {"question": "Who made this?", "answer": "A run.", "origin": " Made "},
        exact,  # exported without people, so without an origin
        {"question": "Known by its id.", "answer": "a", "id": "ex-1"},
        {"question": "What is not said?", "answer": "b"},
    )
    assert made_lines(path) == {2, 3}
    assert made_lines(path, {"ex-1"}) == {2, 3, 4}
    assert [one["question"] for one in human_rows(path, made_ids={"ex-1"})] == ["Who asks?", "What is not said?"]
    assert human_rows(written(tmp_path / "made.jsonl", exact)) == []
