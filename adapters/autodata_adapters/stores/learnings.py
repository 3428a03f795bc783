"""The library of learnings: one JSON file beside a recipe, shared by many runs. What is in it is the core's business.

A file that is damaged, edited or something else is an error and stays as it is: nobody's learnings are replaced in silence.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from autodata_core.crashpoints import crashpoint
from autodata_core.errors import RecordError, RunLockedError, StoreError
from autodata_core.learnings import Library
from autodata_core.records import canonical_json

__all__ = ["LearningLibrary"]

_WAIT_S = 20.0
"""For another run that is writing; that takes milliseconds."""
_LOOK_AGAIN_S = 0.02
_MOST_BYTES = 16 * 1024 * 1024


class LearningLibrary:
    """The library in one file. Safe to use from many processes.

    Args:
        path: Of the file; a link is followed. Its lock is a file beside it that ends in `.lock`.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(os.path.realpath(path))

    def read(self) -> Library:
        """Return what the file holds; an empty library when there is no file.

        Raises:
            StoreError: It cannot be read, is damaged or edited, is no library, or was written by a newer version.
        """
        try:
            with self.path.open("rb") as file:
                text = file.read(_MOST_BYTES + 1)
        except FileNotFoundError:
            return Library()
        except OSError as error:
            raise StoreError(f"The library of learnings {self.path} cannot be read: {error.strerror}.") from error
        return self._parsed(text)

    def update(self, change: Callable[[Library], Library]) -> Library:
        """Put `change(what is there)` into the file, atomically, and return it.

        Raises:
            RunLockedError: Another process holds the lock for too long.
            StoreError: As `read`; or the file cannot be written. It stays as it was.
        """
        with self._locked():
            before = self.read()
            after = change(before)
            if after != before:
                self._write(after)
            return after

    def _parsed(self, text: bytes) -> Library:
        if len(text) > _MOST_BYTES:
            raise self._foreign(f"it has more than {_MOST_BYTES // (1024 * 1024)} MB")
        try:
            found = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise self._damaged("it is not JSON") from error
        if not isinstance(found, dict) or found.get("format") != "autodata-learnings":
            raise self._foreign("it is another kind of file")
        if found.get("version") != 1:
            raise self._foreign(f"it has version {str(found.get('version'))[:20]!r}, this program reads 1")
        digest = found.pop("sha256", None)
        try:
            if digest != _digest(found):
                raise self._damaged("its content does not fit its hash")
            return Library.from_json(found)
        except (RecordError, ValueError) as error:
            raise self._damaged("its content has another form") from error

    def _damaged(self, why: str) -> StoreError:
        return StoreError(
            f"The library of learnings {self.path} is damaged or was edited: {why}. Nothing was changed. Restore a copy, move "
            "it away, or name another file under [learnings] library."
        )

    def _foreign(self, why: str) -> StoreError:
        return StoreError(
            f"{self.path} is no library of learnings that can be read: {why}. Nothing was changed. Name another file under "
            "[learnings] library."
        )

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        path = self.path.with_name(self.path.name + ".lock")
        try:
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StoreError(f"The lock file {path} cannot be opened: {error.strerror}.") from error
        try:
            until = time.monotonic() + _WAIT_S
            while True:
                try:
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError as error:
                    if time.monotonic() >= until:
                        raise RunLockedError(
                            f"The library of learnings {self.path} has been in use by another process for {_WAIT_S:g} s. "
                            "Run the same command again when it is free."
                        ) from error
                    time.sleep(_LOOK_AGAIN_S)
                except OSError as error:
                    raise StoreError(f"{path} cannot be locked: {error.strerror}. Keep it on a local disk.") from error
            yield
        finally:
            os.close(handle)  # the file stays, since removing it would race with the next

    def _write(self, library: Library) -> None:
        content = library.to_json()
        text = json.dumps({**content, "sha256": _digest(content)}, indent=1, ensure_ascii=True, allow_nan=False) + "\n"
        made = self.path.with_name(f".{self.path.name}.{os.getpid()}.new")
        try:
            handle = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            with os.fdopen(handle, "wb") as file:
                if self.path.exists():
                    os.fchmod(file.fileno(), self.path.stat().st_mode & 0o777)
                crashpoint("write")
                file.write(text.encode("ascii"))
                file.flush()
                os.fsync(file.fileno())
            crashpoint("projection.rename")
            made.replace(self.path)
            folder = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as error:
            with contextlib.suppress(OSError):
                made.unlink()
            raise StoreError(
                f"The library of learnings {self.path} cannot be written: {error.strerror}. It is as it was."
            ) from error


def _digest(content: dict[str, Any]) -> str:
    return hashlib.sha256(canonical_json(content).encode("ascii")).hexdigest()
