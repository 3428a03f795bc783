"""From the paths, folders and globs of a recipe to sources. How one file is read is in `reading` and `jsonl`."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from autodata_adapters.sources.chunks import add_chunks
from autodata_adapters.sources.jsonl import add_lines
from autodata_adapters.sources.loaded import LoadedSources, Shelf, fit_id
from autodata_adapters.sources.reading import NotTextError, decode_text, read_bytes
from autodata_core.errors import SourceError

__all__ = ["SUFFIXES", "load_sources"]

SUFFIXES = (".txt", ".md", ".jsonl")
"""Kinds of files that are read."""

_LICENCE_FILES = tuple(stem + end for stem in ("LICENCE", "LICENSE") for end in ("", ".txt", ".md"))
"""The first that is there names the licence of its folder. Folders and globs never take one for a document."""


@dataclass(frozen=True)
class _Found:
    """A file that a pattern names."""

    path: Path
    named: bool
    """True when the pattern names this very file; what is wrong with it is then an error rather than a skip."""


def load_sources(
    patterns: Sequence[str], *, base_dir: Path, licence: str | None = None, chunk_tokens: int | None = None
) -> LoadedSources:
    """Return the documents that `patterns` name, in the order of their ids.

    A `.txt` or `.md` file is one source, each line of a `.jsonl` file is one (`id`, `text`, `meta`, `licence`).
    A document without text or that is not text is skipped and reported.

    Args:
        patterns: Files, folders (read with their sub-folders) and globs (`corpus/**/*.md`), relative to `base_dir`.
        base_dir: The recipe's folder. Ids of files are their paths relative to it.
        licence: Licence of every document that names none itself. Without it the first line of a LICENCE or
            LICENSE file beside the document is taken.
        chunk_tokens: Longer documents are cut into parts of at most this many tokens, with ids `a.md#1`, `a.md#2`.
            None keeps each whole.

    Raises:
        SourceError: A pattern matches nothing; a named file is missing, unreadable or of an unknown kind; a line is
            malformed; an id stands for two texts; or nothing usable is left.
    """
    if not patterns:
        raise SourceError("No sources are named. Give [sources] files at least one file, folder or pattern.")
    base = Path(os.path.abspath(base_dir))
    shelf = Shelf()
    for name, found in sorted(_collect(patterns, base).items()):
        licence_here = licence or _licence_beside(found.path)
        try:
            _add_file(found, name, licence_here, chunk_tokens, shelf)
        except NotTextError as error:
            shelf.skip(name, str(error))
    return shelf.close(f"the sources {', '.join(repr(p) for p in patterns[:3])}")


def _collect(patterns: Sequence[str], base: Path) -> dict[str, _Found]:
    """Return each file once, by id. Two names of one file (links, overlapping patterns) count as the first of them."""
    by_file: dict[str, tuple[str, _Found]] = {}
    for pattern in patterns:
        for found in _match(pattern, base):
            name = fit_id(Path(os.path.relpath(found.path, base)).as_posix())
            real = os.path.realpath(found.path)
            old = by_file.get(real)
            if old is None:
                by_file[real] = (name, found)
            else:
                by_file[real] = (min(old[0], name), _Found(found.path, found.named or old[1].named))
    return dict(by_file.values())


def _match(pattern: str, base: Path) -> list[_Found]:
    path = Path(os.path.abspath(base / pattern))
    if path.is_dir():
        found = [_Found(file, named=False) for file in _walk(path)]
        if not found:
            kinds = ", ".join(SUFFIXES)
            raise SourceError(f"The folder {pattern!r} (in {base}) holds no file of a known kind ({kinds}).")
        return found
    if os.path.lexists(path) or not glob.has_magic(pattern):
        if path.suffix.lower() not in SUFFIXES:
            raise SourceError(
                f"Source {pattern!r} is of an unknown kind {path.suffix!r}; known are {', '.join(SUFFIXES)}. "
                "Convert it to text, or write a loader."
            )
        return [_Found(path, named=True)]
    matches = [Path(match) for match in glob.glob(str(path), recursive=True)]
    found = [
        _Found(file, named=False)
        for match in matches
        for file in (_walk(match) if match.is_dir() else (match,))
        if _is_document(file)
    ]
    if not found:
        why = f"; it matches only files of unknown kinds, such as {matches[0].name!r}" if matches else ""
        raise SourceError(f"No source matches {pattern!r} in {base}{why}. Check the pattern under [sources] files.")
    return found


def _walk(folder: Path) -> Iterator[Path]:
    """Yield the documents under `folder`. Linked folders are entered, each once, so that a loop of links ends."""
    seen: set[str] = set()
    for here, folders, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(here)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            if not name.startswith(".") and _is_document(Path(here, name)):
                yield Path(here, name)


def _is_document(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and path.name not in _LICENCE_FILES and path.is_file()


def _add_file(found: _Found, name: str, licence: str | None, chunk_tokens: int | None, shelf: Shelf) -> None:
    content = read_bytes(found.path, name)
    if found.path.suffix.lower() == ".jsonl":
        add_lines(content, name=name, licence=licence, chunk_tokens=chunk_tokens, shelf=shelf)
        return
    text = decode_text(content, name)
    add_chunks(text, id=name, licence=licence, meta={"file": name}, place=name, chunk_tokens=chunk_tokens, shelf=shelf)


def _licence_beside(path: Path) -> str | None:
    for name in _LICENCE_FILES:
        file = path.parent / name
        # The document itself may be such a file, when it is named.
        if not file.is_file() or file == path:
            continue
        try:
            text = decode_text(read_bytes(file, name), name)
        except SourceError:
            continue
        for line in text.splitlines():
            if line.strip():
                return line.strip()[:200]
    return None
