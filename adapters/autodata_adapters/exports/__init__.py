"""Accepted rows as files that other tools read. JSONL is written by the stores, since a run folder always holds it."""

from autodata_adapters.exports.human import ORIGIN, human_rows, made_lines, made_row
from autodata_adapters.exports.parquet import write_parquet

__all__ = ["ORIGIN", "human_rows", "made_lines", "made_row", "write_parquet"]
