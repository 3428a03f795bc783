"""Files for people and trainers, made from the run's database, and the check that they still agree with it."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple

from autodata_adapters.stores.faults import to_store_error
from autodata_adapters.stores.sqlite import FinishedItem, SqliteRunStore, StoredRow
from autodata_core.errors import AutodataError, RecordError, StoreError
from autodata_core.records import Example, Round
from autodata_core.scoring import attempt_score

__all__ = ["Manifest", "verify_run", "write_dataset", "write_jsonl"]

_MOST_PROBLEMS = 50


class Manifest(NamedTuple):
    """What `manifest.json` says about the data set beside it."""

    rows: int
    refused: int
    """Lines of `refused.jsonl`."""
    dataset_sha256: str
    recipe: str | None
    protocol: str | None
    sources: str | None
    """Hashes the run is tied to; None when it was never bound."""


def write_jsonl(path: Path, rows: Iterable[Mapping[str, Any]]) -> str:
    """Write one JSON object a line, ASCII only, so that no reader splits a line in two.

    Atomic: a reader, or a crash, sees the old file or the new one.

    Returns:
        SHA-256 of the file.

    Raises:
        StoreError: The file cannot be written.
    """
    return _replace(path, (json.dumps(row, ensure_ascii=True, allow_nan=False) + "\n" for row in rows)).sha256


def write_dataset(store: SqliteRunStore, run_dir: Path) -> Manifest:
    """Write `dataset.jsonl`, `refused.jsonl` and `manifest.json` from the database, each atomically.

    The same database gives the same bytes.

    Raises:
        StoreError: A row or state in the database is damaged, or a file cannot be written.
    """
    dataset = _replace(run_dir / "dataset.jsonl", (_intact(row, store.path) + "\n" for row in store.rows()))
    lines = (line for item in store.finished_items() for line in _refused_rounds(item))
    refused = _replace(run_dir / "refused.jsonl", (json.dumps(line, ensure_ascii=True) + "\n" for line in lines))
    bound = store.bound()
    manifest = Manifest(
        rows=dataset.lines,
        refused=refused.lines,
        dataset_sha256=dataset.sha256,
        recipe=bound.get("recipe"),
        protocol=bound.get("protocol"),
        sources=bound.get("sources"),
    )
    _replace(run_dir / "manifest.json", [json.dumps(manifest._asdict(), indent=2) + "\n"])
    return manifest


def verify_run(run_dir: Path) -> list[str]:
    """Return what is wrong with a run folder, one sentence each; empty when everything agrees.

    The database is checked (structure, hashes of rows, states and replies), then `dataset.jsonl` line by line
    against it, then the manifest. Whether the verdicts follow from the scores is not looked at here.
    """
    try:
        store = SqliteRunStore(run_dir / "run.db", read_only=True)
    except StoreError as error:
        return [str(error)]
    with store:
        try:
            problems = store.problems()
            for row in store.rows():
                if row.intact:
                    problems += _row_problems(row)
            problems += _dataset_problems(run_dir / "dataset.jsonl", [(row.id, row.body) for row in store.rows()])
            problems += _manifest_problems(run_dir)
        except AutodataError as error:
            return [str(error)]
    more = len(problems) - _MOST_PROBLEMS
    return problems if more <= 0 else [*problems[:_MOST_PROBLEMS], f"… and {more} more."]


class _Written(NamedTuple):
    lines: int
    sha256: str


def _replace(path: Path, lines: Iterable[str]) -> _Written:
    """Put ASCII `lines` in place of the file at `path`, so that it is never seen half-written."""
    digest = hashlib.sha256()
    written = 0
    temporary = ""
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(handle, "wb") as file:
            for line in lines:
                content = line.encode("ascii")
                file.write(content)
                digest.update(content)
                written += 1
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        _sync_folder(path.parent)
    except BaseException as error:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        if isinstance(error, OSError):
            raise StoreError(f"{path} cannot be written: {error.strerror}.") from error
        raise
    return _Written(written, digest.hexdigest())


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _intact(row: StoredRow, path: Path) -> str:
    if not row.intact:
        raise StoreError(f"{path}: row {row.id!r} was changed after it was written. Restore a copy of the run folder.")
    return row.body


def _refused_rounds(item: FinishedItem) -> Iterator[dict[str, Any]]:
    """Yield one line for each refused round, and one for an accepted row that another item had first."""
    rounds = [Round.from_json(value) for value in item.state.get("history", [])]
    for played in rounds:
        if not played.verdict.accepted:
            yield _refused_line(item, played, [reason.to_json() for reason in played.verdict.reasons])
    if item.duplicate_of is not None:
        detail = f"The row {item.duplicate_of} was accepted from another item already."
        reason = {"kind": "DUPLICATE", "stage": "finish", "detail": detail}
        if rounds and rounds[-1].verdict.accepted:
            yield _refused_line(item, rounds[-1], [reason])
        else:
            yield {"item": item.id, "source": item.source, "reasons": [reason]}


def _refused_line(item: FinishedItem, played: Round, reasons: list[dict[str, Any]]) -> dict[str, Any]:
    candidate = played.candidate
    return {
        "item": item.id,
        "source": item.source,
        "round": played.number,
        "question_type": candidate.question_type if candidate else None,
        "question": candidate.question if candidate else None,
        "reasons": reasons,
        "scores": {"weak": _scores(played, "weak"), "strong": _scores(played, "strong")},
    }


def _scores(played: Round, side: str) -> list[float | None]:
    """Return the scores in attempt order; None for an attempt that has none, which is not a zero."""
    if played.candidate is None:
        return []
    found: list[float | None] = []
    for attempt in played.weak if side == "weak" else played.strong:
        try:
            found.append(float(attempt_score(attempt, played.candidate.rubric)))
        except RecordError:
            found.append(None)
    return found


def _row_problems(row: StoredRow) -> list[str]:
    try:
        example = Example.from_json(json.loads(row.body))
    except (RecordError, ValueError) as error:
        return [f"run.db: row {row.id!r} is no example: {error}"]
    if (example.id, example.provenance.item) != (row.id, row.item):
        return [f"run.db: row {row.id!r} of item {row.item!r} says it is {example.id!r}, {example.provenance.item!r}."]
    return []


def _dataset_problems(path: Path, rows: list[tuple[str, str]]) -> list[str]:
    rebuild = "Run the same command again to write it anew."
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return [f"dataset.jsonl is missing. {rebuild}"]
    except OSError as error:
        return [str(to_store_error(error, path))]
    problems = []
    lines = content.split(b"\n")
    if lines.pop() != b"":
        problems.append("dataset.jsonl: the last line is cut off.")
        lines = content.split(b"\n")
    wanted = {body.encode("ascii"): id for id, body in rows}
    ids = {id for id, _ in rows}
    seen: set[str] = set()
    in_order = True
    for number, (line, row) in enumerate(zip_longest(lines, rows), 1):
        if line is None:
            break
        id = wanted.get(line)
        if id is None:
            named = _id_of(line)
            problems.append(f"dataset.jsonl line {number}: {_strange(named, ids)}")
            seen |= {named} if named in ids and named is not None else set()
        elif id in seen:
            problems.append(f"dataset.jsonl line {number}: row {id!r} stands there twice.")
        else:
            seen.add(id)
            in_order &= row is not None and row[0] == id
    missing = [id for id, _ in rows if id not in seen]
    problems += [f"dataset.jsonl: row {id!r} is missing. {rebuild}" for id in missing]
    if not problems and not in_order:
        problems.append(f"dataset.jsonl: the rows are not in the order of the run. {rebuild}")
    return problems


def _id_of(line: bytes) -> str | None:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return None
    id = value.get("id") if isinstance(value, dict) else None
    return id if isinstance(id, str) else None


def _strange(id: str | None, known: set[str]) -> str:
    if id is None:
        return "not a row."
    return f"row {id!r} was edited." if id in known else f"row {id!r} is not of this run."


def _manifest_problems(run_dir: Path) -> list[str]:
    try:
        manifest = json.loads((run_dir / "manifest.json").read_bytes())
        digest = hashlib.sha256((run_dir / "dataset.jsonl").read_bytes()).hexdigest()
    except FileNotFoundError:
        return [] if (run_dir / "manifest.json").exists() else ["manifest.json is missing."]
    except (OSError, ValueError, RecursionError) as error:
        return [f"manifest.json cannot be read: {error}."]
    if not isinstance(manifest, dict) or manifest.get("dataset_sha256") != digest:
        return ["manifest.json: its hash does not fit dataset.jsonl."]
    return []
