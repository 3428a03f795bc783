"""Files for people and trainers, made from the run's database, and the check that they still agree with it."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Iterable, Mapping
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple

from autodata_adapters.stores.faults import to_store_error
from autodata_adapters.stores.refusals import refused_rounds, refused_text
from autodata_adapters.stores.sqlite import SqliteRunStore, StoredRow
from autodata_core.crashpoints import crashpoint
from autodata_core.errors import AutodataError, RecordError, StoreError
from autodata_core.records import Example

__all__ = ["Manifest", "is_current", "verify_run", "write_dataset", "write_jsonl"]

_MOST_PROBLEMS = 50


class Manifest(NamedTuple):
    """What `manifest.json` says about the data set beside it."""

    rows: int
    refused: int
    """Lines of `refused.jsonl`."""
    dataset_sha256: str
    refused_sha256: str
    recipe_sha256: str
    """Of `recipe.json`."""
    finished: int
    """Items that are done, with or without a row."""
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
    """Write `dataset.jsonl`, `refused.jsonl`, `recipe.json` and `manifest.json` from the database, each atomically.

    The same database gives the same bytes.

    Raises:
        StoreError: A row or state in the database is damaged, or a file cannot be written.
    """
    finished = sum(store.counts().values())
    dataset = _replace(run_dir / "dataset.jsonl", (_intact(row, store.path) + "\n" for row in store.rows()))
    refused = _replace(run_dir / "refused.jsonl", (line + "\n" for line in store.refused_lines()))
    recipe = _replace(run_dir / "recipe.json", [_recipe_text(store)])
    bound = store.bound()
    manifest = Manifest(
        rows=dataset.lines,
        refused=refused.lines,
        dataset_sha256=dataset.sha256,
        refused_sha256=refused.sha256,
        recipe_sha256=recipe.sha256,
        finished=finished,
        recipe=bound.get("recipe"),
        protocol=bound.get("protocol"),
        sources=bound.get("sources"),
    )
    _replace(run_dir / "manifest.json", [json.dumps(manifest._asdict(), indent=2) + "\n"])
    return manifest


def is_current(store: SqliteRunStore, run_dir: Path) -> bool:
    """Return whether the files are those that `write_dataset` would write, as far as counts and hashes tell."""
    try:
        manifest = json.loads((run_dir / "manifest.json").read_bytes())
        found = [manifest[key] for key in ("finished", "dataset_sha256", "refused_sha256", "recipe_sha256")]
        digests = [_digest(run_dir / name) for name in ("dataset.jsonl", "refused.jsonl")]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return False
    recipe = hashlib.sha256(_recipe_text(store).encode("ascii")).hexdigest()
    return found == [sum(store.counts().values()), *digests, recipe] and _is(run_dir / "recipe.json", recipe)


def _is(path: Path, digest: str) -> bool:
    return path.is_file() and _digest(path) == digest


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _recipe_text(store: SqliteRunStore) -> str:
    """Return `recipe.json`: the recipe in force last, the protocol, and their hashes."""
    bound, protocol = store.bound(), store.get_meta("protocol_json")
    version = store.get_meta("recipe_last") or bound.get("recipe")
    recipe = store.recipes().get(version or "") or store.get_meta("recipe_json")
    try:
        content = {
            "version": version,
            "recipe": json.loads(recipe or "null"),
            "protocol_hash": bound.get("protocol"),
            "protocol": json.loads(protocol or "null"),
        }
    except ValueError as error:
        raise StoreError(f"{store.path}: the recipe or protocol was changed after it was written.") from error
    return json.dumps(content, indent=2, ensure_ascii=True) + "\n"


def verify_run(run_dir: Path) -> list[str]:
    """Return what is wrong with a run folder, one sentence each; empty when everything agrees.

    The database is checked (structure; hashes of rows, states, requests, replies, costs and sources; the chains of claims
    and events), then `dataset.jsonl` and `refused.jsonl` line by line against it, then `recipe.json` and the manifest.
    Whether the verdicts follow from the replies is not looked at here.
    """
    try:
        store = SqliteRunStore(run_dir / "run.db", read_only=True)
    except StoreError as error:
        return [str(error)]
    with store:
        problems: list[str] = []
        try:
            problems += store.problems()
            for row in store.rows():
                if row.intact:
                    problems += _row_problems(row)
            problems += _dataset_problems(run_dir / "dataset.jsonl", [(row.id, row.body) for row in store.rows()])
            problems += _refused_problems(store, run_dir / "refused.jsonl")
            problems += _recipe_problems(store, run_dir / "recipe.json")
            problems += _manifest_problems(store, run_dir)
        except AutodataError as error:  # what cannot be read keeps the rest from being looked at
            problems.append(str(error))
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
            crashpoint("write")
            for line in lines:
                content = line.encode("ascii")
                file.write(content)
                digest.update(content)
                written += 1
            file.flush()
            os.fsync(file.fileno())
        crashpoint("projection.rename")
        os.replace(temporary, path)
        crashpoint("projection.renamed")
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


def _refused_problems(store: SqliteRunStore, path: Path) -> list[str]:
    """Make the refused rounds again from the items and compare them line by line."""
    problems = []
    wanted: list[str] = []
    for item in store.finished_items():
        try:
            text = refused_text(item.id, item.source, list(refused_rounds(item.state)), item.state, item.duplicate_of)
        except RecordError as error:
            return [f"run.db: item {item.id!r} holds a round that cannot be read: {error}"]
        wanted += text.split("\n") if text else []
    if wanted != list(store.refused_lines()):
        problems.append("run.db: the refused rounds were changed after they were written.")
    try:
        lines = path.read_text("ascii").split("\n")
    except FileNotFoundError:
        return [*problems, "refused.jsonl is missing. Run the same command again to write it anew."]
    except (OSError, UnicodeDecodeError) as error:
        return [*problems, f"refused.jsonl cannot be read: {error}."]
    if lines.pop() != "":
        problems.append("refused.jsonl: the last line is cut off.")
    for number, (line, right) in enumerate(zip_longest(lines, wanted), 1):
        if line != right:
            what = "is missing" if line is None else "is not of this run" if right is None else "was edited"
            problems.append(f"refused.jsonl line {number} {what}.")
    return problems


def _recipe_problems(store: SqliteRunStore, path: Path) -> list[str]:
    try:
        found = path.read_bytes()
    except FileNotFoundError:
        return ["recipe.json is missing. Run the same command again to write it anew."]
    except OSError as error:
        return [f"recipe.json cannot be read: {error.strerror}."]
    return [] if found == _recipe_text(store).encode("ascii") else ["recipe.json was edited."]


def _manifest_problems(store: SqliteRunStore, run_dir: Path) -> list[str]:
    try:
        manifest = json.loads((run_dir / "manifest.json").read_bytes())
    except FileNotFoundError:
        return ["manifest.json is missing."]
    except (OSError, ValueError, RecursionError) as error:
        return [f"manifest.json cannot be read: {error}."]
    if not isinstance(manifest, dict):
        return ["manifest.json was edited."]
    files = {f"{name}_sha256": run_dir / f for name, f in (("dataset", "dataset.jsonl"), ("refused", "refused.jsonl"))}
    problems = [
        f"manifest.json: its hash does not fit {path.name}."
        for key, path in {**files, "recipe_sha256": run_dir / "recipe.json"}.items()
        if path.is_file() and manifest.get(key) != _digest(path)
    ]
    bound = store.bound()
    problems += [
        f"manifest.json: {key!r} was edited."
        for key in ("recipe", "protocol", "sources")
        if manifest.get(key) != bound.get(key)
    ]
    counts = {"rows": sum(1 for _ in store.rows()), "refused": sum(1 for _ in store.refused_lines())}
    counts["finished"] = sum(store.counts().values())
    return problems + [f"manifest.json: {key!r} was edited." for key, n in counts.items() if manifest.get(key) != n]
