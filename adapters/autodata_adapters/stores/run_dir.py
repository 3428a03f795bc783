"""A run's folder: that it is there, private, writable and has room. What is in its files lives elsewhere."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path

from autodata_core.crashpoints import crashpoint
from autodata_core.errors import StoreError

__all__ = ["RunFolder", "open_run"]

_RESERVE_BYTES = 1024 * 1024
_MIN_FREE_MB = 50
"""Ours; `AUTODATA_MIN_FREE_MB` sets another."""

_NETWORK_FILE_SYSTEMS = frozenset({"nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "ceph", "lustre", "fuse.sshfs"})
"""Where SQLite's WAL is unsafe, for it needs memory shared between processes. `AUTODATA_ALLOW_NETWORK_FS=1` insists."""


@dataclass(frozen=True)
class RunFolder:
    """Names of the files in a run folder, and its reserve of disk space."""

    path: Path

    @property
    def database(self) -> Path:
        """The truth of the run."""
        return self.path / "run.db"

    @property
    def coverage(self) -> Path:
        """The coverage index, a projection."""
        return self.path / "coverage"

    def check_space(self) -> None:
        """Make sure that there is room to go on.

        Raises:
            StoreError: There is not; the message says how much there is.
        """
        wanted = _min_free_mb()
        free = shutil.disk_usage(self.path).free // (1024 * 1024)
        if free < wanted:
            raise StoreError(
                f"Only {free} MB are free on the disk of {self.path}, {wanted} MB are needed. Free some space, or set "
                "AUTODATA_MIN_FREE_MB lower."
            )

    def keep_reserve(self) -> None:
        """Set a little space aside, unless it is; without room for it nothing happens."""
        reserve = self.path / "reserve"
        with contextlib.suppress(OSError):
            if reserve.is_file() and reserve.stat().st_size == _RESERVE_BYTES:
                return
            handle = os.open(reserve, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            try:
                # Written rather than truncated to size, so that the blocks are really ours.
                crashpoint("write")
                os.write(handle, bytes(_RESERVE_BYTES))
            finally:
                os.close(handle)

    def release_reserve(self) -> bool:
        """Give the reserve free, so that a last commit fits on a full disk. Return False when there is none."""
        try:
            (self.path / "reserve").unlink()
        except OSError:
            return False
        return True


def open_run(run_dir: Path) -> RunFolder:
    """Make the folder of a run ready to be written, its owner's only.

    Raises:
        StoreError: It is no folder, cannot be written, lies on a network file system, has no room, or holds a
            data set whose database is gone.
    """
    path = Path(os.path.abspath(run_dir))
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        # A folder with other things in it keeps its mode: it is not ours alone.
        if (path / "run.db").exists() or not any(path.iterdir()):
            _make_private(path)
        probe = path / f".probe-{os.getpid()}"
        os.close(os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        probe.unlink()
    except (FileExistsError, NotADirectoryError) as error:
        raise StoreError(f"{path} is not a folder. Choose another --out.") from error
    except OSError as error:
        raise StoreError(
            f"The run folder {path} cannot be written: {error.strerror}. Check its permissions."
        ) from error
    _refuse_network(path)
    _refuse_lost_database(path)
    folder = RunFolder(path)
    folder.check_space()
    folder.keep_reserve()
    return folder


def _make_private(path: Path) -> None:
    facts = path.stat()
    if stat.S_IMODE(facts.st_mode) & 0o077 and facts.st_uid == os.geteuid():
        path.chmod(0o700)


def _refuse_lost_database(path: Path) -> None:
    database, dataset = path / "run.db", path / "dataset.jsonl"
    lost = not database.exists() or database.stat().st_size == 0
    if lost and dataset.is_file() and dataset.stat().st_size > 0:
        raise StoreError(
            f"{path} holds a data set but its run.db is missing or empty. A new run would overwrite the data set: "
            "restore run.db, or choose another folder."
        )


def _refuse_network(path: Path) -> None:
    if os.environ.get("AUTODATA_ALLOW_NETWORK_FS") == "1":
        return
    kind = _file_system(path)
    if kind in _NETWORK_FILE_SYSTEMS:
        raise StoreError(
            f"{path} lies on a network file system ({kind}), where a run's database can be damaged. Choose a local "
            "folder, or set AUTODATA_ALLOW_NETWORK_FS=1 to insist."
        )


def _file_system(path: Path) -> str:
    """Return the type of the mount that holds `path`, empty when the system does not say."""
    real = os.path.realpath(path)
    best, kind = "", ""
    try:
        lines = Path("/proc/self/mounts").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    for line in lines:
        fields = line.split(" ")
        if len(fields) < 3:
            continue
        mount = fields[1].replace("\\040", " ")
        inside = real == mount or real.startswith(mount.rstrip("/") + "/")
        if inside and len(mount) >= len(best):
            best, kind = mount, fields[2]
    return kind


def _min_free_mb() -> int:
    given = os.environ.get("AUTODATA_MIN_FREE_MB", "")
    if not given:
        return _MIN_FREE_MB
    if not given.isdecimal():
        raise StoreError(f"AUTODATA_MIN_FREE_MB must be a whole number of megabytes, got {given!r}.")
    return int(given)
