"""Recipe versions in files: one JSON a version under its hash, its release notes beside it, and which one is in force.

    recipes/HEAD.json            the version in force, and every move of it with its reason
    recipes/READ.json            which sources were read to find them, as hashes
    recipes/<version>.json       the recipe; the name is its hash and is checked
    recipes/<version>.notes.json the notes as figures       recipes/<version>.md   the same for people

A version is never changed; going back moves the head and nothing else.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from autodata_core.crashpoints import crashpoint
from autodata_core.errors import RecordError, StoreError
from autodata_core.learnings.counting import document_of
from autodata_core.meta.notes import ReleaseNotes
from autodata_core.meta.notes_page import notes_text
from autodata_core.recipe import Recipe
from autodata_core.records import Source, fingerprint

__all__ = ["Move", "RecipeRegistry", "was_read"]

_SHORTEST = 4


@dataclass(frozen=True)
class Move:
    """One time that another version came into force."""

    version: str
    at: str
    """UTC, ISO 8601."""
    why: str


class RecipeRegistry:
    """The recipe versions of one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "recipes"

    # --- writing ---

    def keep(self, recipe: Recipe, notes: ReleaseNotes | None = None) -> None:
        """Keep a version, and its notes in place of earlier ones. Doing it twice changes nothing."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._path(recipe.version, ".json")
        if not path.is_file():
            _write(path, _json(recipe.to_json()))
        if notes is not None:
            _write(self._path(recipe.version, ".md"), notes_text(notes))
            _write(self._path(recipe.version, ".notes.json"), _json(notes.to_json()))

    def put_in_force(self, version: str, why: str) -> bool:
        """Make a version the one in force; False when it is already.

        Raises:
            StoreError: There is no such version, or it was changed.
        """
        recipe = self.load(version)
        moves = self.moves()
        if moves and moves[-1].version == recipe.version:
            return False
        at = _now()
        entries = [{"version": m.version, "at": m.at, "why": m.why} for m in (*moves, Move(recipe.version, at, why))]
        _write(self.folder / "HEAD.json", _json({"version": recipe.version, "moves": entries}))
        return True

    def keep_read(self, sources: Iterable[Source], before: Iterable[str] = ()) -> None:
        """Keep which sources the search reads or decides by, and those that the searches before it did."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        names = {name for source in sources for name in _names_of(source)}
        _write(self.folder / "READ.json", _json({"sources": sorted(names | set(before))}))

    # --- reading ---

    def read(self) -> frozenset[str] | None:
        """Return the hashes of the sources that were read to find these versions, None where nobody kept them.

        Raises:
            StoreError: They cannot be read.
        """
        path = self.folder / "READ.json"
        if not path.is_file():
            return None
        try:
            return frozenset(map(str, json.loads(path.read_text("utf-8"))["sources"]))
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise StoreError(f"{path} cannot be read: {error}.") from error

    def versions(self) -> tuple[str, ...]:
        """Return every version by the iteration that made it, the baseline first.

        Raises:
            StoreError: There is no registry.
        """
        if not self.folder.is_dir():
            raise StoreError(
                f"{str(self.folder.parent)!r} holds no recipes. Give the --out folder of `autodata optimize`."
            )
        found = [p.name.removesuffix(".json") for p in self.folder.glob("*.json") if len(p.name) == 64 + len(".json")]
        return tuple(sorted(found, key=lambda version: (self._iteration(version), version)))

    def resolve(self, name: str) -> str:
        """Return the version that a name stands for: `head`, `baseline`, or the first characters of a hash.

        Raises:
            StoreError: None, or several.
        """
        versions = self.versions()
        if name.lower() == "head":
            return self.head()
        if name.lower() == "baseline" and versions:
            return versions[0]
        found = [version for version in versions if len(name) >= _SHORTEST and version.startswith(name.lower())]
        if len(found) != 1:
            known = ", ".join(version[:12] for version in versions) or "none"
            what = f"{len(found)} versions begin" if found else "No version begins"
            raise StoreError(f"{what} with {name!r} (at least {_SHORTEST} characters). Versions: {known}.")
        return found[0]

    def load(self, name: str) -> Recipe:
        """Return a version.

        Raises:
            StoreError: There is none of that name, or its text is not what its hash says.
        """
        version = self.resolve(name)
        path = self._path(version, ".json")
        try:
            recipe = Recipe.from_json(json.loads(path.read_text("utf-8")))
        except (OSError, ValueError, RecordError) as error:
            raise StoreError(f"Recipe {version[:12]} cannot be read from {path}: {error}.") from error
        if recipe.version != version:
            raise StoreError(
                f"{path} was changed: its content has the hash {recipe.version[:12]}. Restore it; a version is never edited."
            )
        return recipe

    def notes(self, name: str) -> ReleaseNotes | None:
        """Return the notes of a version, None where there are none.

        Raises:
            StoreError: They cannot be read.
        """
        path = self._path(self.resolve(name), ".notes.json")
        if not path.is_file():
            return None
        try:
            return ReleaseNotes.from_json(json.loads(path.read_text("utf-8")))
        except (OSError, ValueError, RecordError) as error:
            raise StoreError(f"{path} cannot be read: {error}.") from error

    def head(self) -> str:
        """Return the version in force; the baseline where none was ever put in force."""
        moves = self.moves()
        versions = self.versions()
        if not moves and not versions:
            raise StoreError(f"{self.folder} holds no version.")
        return moves[-1].version if moves else versions[0]

    def moves(self) -> tuple[Move, ...]:
        """Return every change of the version in force, oldest first."""
        path = self.folder / "HEAD.json"
        if not path.is_file():
            return ()
        try:
            found: dict[str, Any] = json.loads(path.read_text("utf-8"))
            return tuple(Move(m["version"], m["at"], m["why"]) for m in found["moves"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise StoreError(f"{path} cannot be read: {error}.") from error

    def lineage(self, name: str) -> Iterator[str]:
        """Return the versions from one back to the first that is here."""
        here, at = set(self.versions()), self.resolve(name)
        seen: set[str] = set()
        while at in here and at not in seen:
            seen.add(at)
            yield at
            at = self.load(at).parent or ""

    def _iteration(self, version: str) -> int:
        try:
            found = json.loads(self._path(version, ".notes.json").read_text("utf-8"))
            return int(found["iteration"])
        except (OSError, ValueError, KeyError, TypeError):
            return 10**9  # kept without notes: last

    def _path(self, version: str, ending: str) -> Path:
        return self.folder / f"{version}{ending}"


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2) + "\n"


def was_read(source: Source, read: frozenset[str]) -> bool:
    """Return whether a source, its document or its text is among those that were read."""
    return not read.isdisjoint(_names_of(source))


def _names_of(source: Source) -> tuple[str, str]:
    """Return the hashes of a source's text and document."""
    return source.sha256, fingerprint(["document", document_of(source.id)])


def _now() -> str:
    epoch = os.environ.get("SOURCE_DATE_EPOCH", "")
    at = datetime.fromtimestamp(int(epoch), UTC) if epoch.isdecimal() else datetime.now(UTC)
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def _write(path: Path, text: str) -> None:
    """Replace a file in one step: after a crash there is the old one or the new one, whole."""
    content = text.encode("utf-8", "replace")
    if path.is_file() and path.read_bytes() == content:
        return
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    half = path.with_name(f".{path.name}.{os.getpid()}")
    handle = os.open(half, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            crashpoint("write")
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        half.replace(path)
    except OSError as error:
        half.unlink(missing_ok=True)
        raise StoreError(f"{path} cannot be written: {error}.") from error
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
