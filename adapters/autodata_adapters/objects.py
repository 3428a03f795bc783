"""Finds what a recipe names as `package.module:OBJECT`. What the object must be able to do is checked elsewhere."""

from __future__ import annotations

import importlib
import re
import sys
import threading
from pathlib import Path
from typing import Any

__all__ = ["ObjectNotFoundError", "is_object_path", "load_object"]

_PATH = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*")
_lock = threading.Lock()


class ObjectNotFoundError(Exception):
    """The path leads nowhere; whoever asked turns this into an error of its own kind."""


def is_object_path(spec: str, base_dir: Path) -> bool:
    """Tell whether `spec` means an object rather than `provider:model`.

    An object's module has a dot in its name or lies beside the recipe; anything else before the colon is a provider.
    """
    if not _PATH.fullmatch(spec):
        return False
    module = spec.split(":", 1)[0]
    return "." in module or (base_dir / f"{module}.py").is_file() or (base_dir / module / "__init__.py").is_file()


def load_object(path: str, base_dir: Path) -> Any:
    """Import and return the object at `package.module:OBJECT`; modules beside the recipe come after installed ones.

    Raises:
        ObjectNotFoundError: The path is malformed, the module cannot be imported, or it has no such object.
    """
    if not _PATH.fullmatch(path):
        raise ObjectNotFoundError(f"expected 'package.module:OBJECT', got {path!r}.")
    module_name, _, names = path.partition(":")
    folder = str(base_dir.resolve())
    with _lock:
        # At the end, so that a stray file beside a recipe cannot replace an installed package, and it stays there:
        # the user's module may import its neighbours later.
        if folder not in sys.path:
            sys.path.append(folder)
        importlib.invalidate_caches()
        try:
            found: Any = importlib.import_module(module_name)
        except Exception as error:  # importing runs foreign code, which may raise anything
            raise ObjectNotFoundError(
                f"the module {module_name!r} of {path!r} cannot be imported: {type(error).__name__}: {error}"
            ) from error
    for name in names.split("."):
        try:
            found = getattr(found, name)
        except AttributeError as error:
            raise ObjectNotFoundError(f"the module {module_name!r} has no {names!r}.") from error
    return found
