"""Exports hold what the rows hold, in types that other tools read."""

from __future__ import annotations

import json
from pathlib import Path

import autodata_test_worlds as w
import pytest

from autodata_adapters.exports import write_parquet
from autodata_core.errors import StoreError

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
