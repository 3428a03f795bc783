"""One process per run folder. The lock is the kernel's, so it is free as soon as its holder is gone."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import socket
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from autodata_core.crashpoints import crashpoint
from autodata_core.errors import RunLockedError, StoreError

__all__ = ["RunLock"]

_WAIT_FOR_NAME_S = 0.3
"""How long the loser waits for the winner to write who it is."""


class RunLock:
    """Holds `run.lock` in a run folder from `acquire` to `release`, or inside `with`.

    Raises:
        RunLockedError: Another process holds it; the message names that process. Known at once, never waited for.
        StoreError: The lock file cannot be opened.
    """

    def __init__(self, run_dir: Path) -> None:
        self._path = run_dir / "run.lock"
        self._handle: int | None = None

    def acquire(self) -> Self:
        """Take the lock, or raise."""
        if self._handle is not None:
            raise RunLockedError(f"The run folder {self._path.parent} is in use by this very process already.")
        while self._handle is None:
            handle = self._open()
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                os.close(handle)
                if not isinstance(error, BlockingIOError):
                    raise StoreError(
                        f"{self._path} cannot be locked: {error.strerror}. Choose a folder on a local disk."
                    ) from error
                raise RunLockedError(self._who_holds_it()) from error
            if self._is_current(handle):
                self._handle = handle
            else:
                # Somebody removed the file meanwhile: a lock on a file without a name keeps nobody out.
                os.close(handle)
        try:
            crashpoint("write")
            os.ftruncate(self._handle, 0)
            os.pwrite(self._handle, json.dumps(_whoami()).encode() + b"\n", 0)
        except OSError as error:
            self.release()
            raise StoreError(f"{self._path} cannot be written: {error.strerror}. Free some space.") from error
        crashpoint("lock.taken")
        return self

    def release(self) -> None:
        """Give the lock back. Without it does nothing. The file stays, since removing it would race with the next."""
        if self._handle is not None:
            handle, self._handle = self._handle, None
            with contextlib.suppress(OSError):  # the text is for people; what counts is that the lock is given back
                os.ftruncate(handle, 0)
            os.close(handle)

    def __enter__(self) -> Self:
        return self.acquire()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def _open(self) -> int:
        try:
            return os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StoreError(f"The lock file {self._path} cannot be opened: {error.strerror}.") from error

    def _is_current(self, handle: int) -> bool:
        try:
            return os.path.samestat(os.fstat(handle), os.stat(self._path, follow_symlinks=False))
        except FileNotFoundError:
            return False

    def _who_holds_it(self) -> str:
        folder = self._path.parent
        until = time.monotonic() + _WAIT_FOR_NAME_S
        while time.monotonic() < until:
            holder = _read(self._path)
            if holder is not None:
                here = "" if holder.get("host") == socket.gethostname() else f" on {holder.get('host')}"
                return (
                    f"The run folder {folder} is in use by process {holder.get('pid')}{here}. "
                    "Wait for it or stop it, or choose another folder."
                )
            time.sleep(0.02)
        return f"The run folder {folder} is in use by another process. Wait for it, or choose another folder."


def _whoami() -> dict[str, Any]:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        boot = ""
    return {"pid": os.getpid(), "host": socket.gethostname(), "boot_id": boot}


def _read(path: Path) -> dict[str, Any] | None:
    try:
        with path.open("rb") as file:
            holder = json.loads(file.read(1000))
    except (OSError, ValueError):
        return None
    return holder if isinstance(holder, dict) and isinstance(holder.get("pid"), int) else None
