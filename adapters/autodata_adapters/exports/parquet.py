"""Rows as one Parquet file. What every row has in one form is a column; what differs from row to row is JSON text in one."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from autodata_adapters.exports.human import ORIGIN
from autodata_core.errors import MissingExtraError, StoreError

__all__ = ["write_parquet"]

_AS_JSON = ("check", "verdict", "provenance")
"""Their keys depend on the row: verifiers, policies and models have specs and names of their own."""


def write_parquet(path: Path, rows: Iterable[Mapping[str, Any]]) -> int:
    """Write rows in the form of `dataset.jsonl` to a Parquet file, atomically.

    Returns:
        The number of rows.

    Raises:
        MissingExtraError: pyarrow is not installed.
        StoreError: The file cannot be written.
    """
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise MissingExtraError("pyarrow", "parquet", "A Parquet file") from error
    flat = [_flat(row) for row in rows]
    schema = _schema(pa)
    if flat and ORIGIN in flat[0]:  # where rows of people stand among them
        schema = schema.append(pa.field(ORIGIN, pa.string()))
    table = pa.Table.from_pylist(flat, schema=schema)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(handle)
    try:
        pq.write_table(table, temporary)
        os.replace(temporary, path)
    except OSError as error:
        raise StoreError(f"{path} cannot be written: {error}.") from error
    finally:
        with suppress(FileNotFoundError):
            os.unlink(temporary)
    return int(table.num_rows)


def _flat(row: Mapping[str, Any]) -> dict[str, Any]:
    texts = {name: None if row[name] is None else json.dumps(row[name], ensure_ascii=True) for name in _AS_JSON}
    return {**row, **texts}


def _schema(pa: Any) -> Any:
    text, numbers = pa.string(), pa.list_(pa.float64())
    criterion = pa.struct([("criterion", text), ("weight", pa.int64())])
    return pa.schema(
        [
            ("id", text),
            ("domain", text),
            ("question_type", text),
            ("skills", pa.list_(text)),
            ("context", text),
            ("question", text),
            ("reference_answer", text),
            ("rubric", pa.list_(criterion)),
            ("check", text),
            ("scores", pa.struct([("weak", numbers), ("strong", numbers), ("gap", pa.float64())])),
            ("verdict", text),
            ("round", pa.int64()),
            (
                "source",
                pa.struct([("id", text), ("sha256", text), ("licence", text), ("span", pa.list_(pa.int64()))]),
            ),
            ("provenance", text),
        ]
    )
