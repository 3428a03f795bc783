"""Documents from a user's own code: `loader = "package.module:OBJECT"` in a recipe."""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import count
from pathlib import Path
from typing import Any

from autodata_adapters.objects import ObjectNotFoundError, load_object
from autodata_adapters.sources.loaded import LoadedSources, Shelf, fit_id
from autodata_core.errors import AutodataError, SourceError, shorten
from autodata_core.records import Source

__all__ = ["load_from_object"]


def load_from_object(path: str, base_dir: Path, *, licence: str | None = None) -> LoadedSources:
    """Return the documents that a user's object yields, in its order.

    Args:
        path: `package.module:OBJECT`; a module beside the recipe is found. The object is a callable without
            arguments, an iterable, or a LangChain loader (anything with `lazy_load` or `load`). It yields strings,
            `Source`s, their JSON, or LangChain `Document`s.
        base_dir: The recipe's folder.
        licence: Licence of every document that names none.

    Raises:
        SourceError: The object cannot be found or called, yields something else, or nothing usable.
    """
    try:
        made = load_object(path, base_dir)
    except ObjectNotFoundError as error:
        raise SourceError(f"[sources] loader: {error}") from error
    shelf = Shelf()
    numbers = count(1)
    try:
        for value in _documents(made, path):
            _add(value, f"{path}, document {next(numbers)}", licence, shelf)
    except AutodataError:
        raise
    except Exception as error:  # foreign code may raise anything; here it becomes our error
        raise SourceError(f"The loader {path!r} failed: {type(error).__name__}: {error}") from error
    return shelf.close(f"what the loader {path!r} yields")


def _documents(made: Any, path: str) -> Iterable[Any]:
    if isinstance(made, type):
        made = made()
    for method in ("lazy_load", "load"):
        if callable(getattr(made, method, None)):
            made = getattr(made, method)
            break
    documents = made() if callable(made) else made
    if isinstance(documents, str | bytes | dict) or not isinstance(documents, Iterable):
        raise SourceError(f"The loader {path!r} must yield documents one by one, got {shorten(documents)}.")
    return documents


def _add(value: Any, place: str, licence: str | None, shelf: Shelf) -> None:
    if isinstance(value, Source):
        shelf.add(value.text, id=value.id, licence=value.licence or licence, meta=value.meta, place=place)
        return
    if isinstance(value, str):
        shelf.add(value, id="", licence=licence, meta={}, place=place)
        return
    if isinstance(getattr(value, "page_content", None), str):
        # Never the metadata's `source` as an id: every part of one file has the same.
        meta = _plain(dict(getattr(value, "metadata", None) or {}))
        id = str(getattr(value, "id", None) or meta.get("id") or "")
        own_licence = meta.get("licence") or meta.get("license") or licence
        own_licence = own_licence if isinstance(own_licence, str) else licence
        shelf.add(value.page_content, id=fit_id(id), licence=own_licence, meta=meta, place=place)
        return
    if isinstance(value, dict) and isinstance(value.get("text"), str):
        if not value["text"].strip():
            shelf.skip(str(value.get("id") or place), "It is empty.")
            return
        source = Source.from_input({**value, "meta": _plain(dict(value.get("meta") or {}))})
        shelf.add(source.text, id=source.id, licence=source.licence or licence, meta=source.meta, place=place)
        return
    raise SourceError(f"{place}: expected text, a mapping with a 'text', a Source or a Document; got {shorten(value)}.")


def _plain(value: Any) -> Any:
    """Return `value` as plain JSON; what JSON has no form for (dates, paths) as its text."""
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            return value if math.isfinite(value) else str(value)
        case dict():
            return {str(key): _plain(part) for key, part in value.items()}
        case list() | tuple():
            return [_plain(part) for part in value]
        case _:
            return str(value)
