"""Runs the `autodata` command: in this process where an error is expected, as a real process where signals are."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


def _load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"autodata_test_{name}", ROOT / "tests" / f"{name}.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


loopback = _load("loopback")


@dataclass(frozen=True)
class Said:
    """What a command said."""

    code: int
    out: str
    err: str


RECIPE = """
name = "cs"
domain = "cs_research"
policy = "deployed_c1"
[sources]
files = ["docs/*.md"]
examples_per_source = {per_source}
[models]
challenger = "openai:strong"
weak = "openai:weak"
strong = "openai:strong"
judge = "openai:judge"
{options}
[budget]
rounds = 3
[coverage]
embedder = "none"
"""


class Place:
    """A folder with documents and a recipe that asks a server on loopback."""

    def __init__(self, path: Path, url: str) -> None:
        self.path, self.url = path, url
        (path / "docs").mkdir()
        self.out = path / "run"

    def documents(self, count: int) -> None:
        for n in range(count):
            text = f"# Document {n}\n\nStation {n} measured an effect of size {n * 7 + 3} in the {n}-th series.\n"
            (self.path / "docs" / f"d{n:02d}.md").write_text(text)

    def recipe(self, *, per_source: int = 1, extra: str = "", timeout_s: float = 20, retries: int = 2) -> Path:
        options = "".join(
            f'[models.options.{role}]\nbase_url = "{self.url}"\ntimeout_s = {timeout_s}\nretries = {retries}\n'
            for role in ("challenger", "weak", "strong", "judge")
        )
        path = self.path / "recipe.toml"
        path.write_text(RECIPE.format(per_source=per_source, options=options) + extra)
        return path


@pytest.fixture
def server() -> Iterator[Any]:
    with loopback.LoopbackServer() as running:
        yield running


@pytest.fixture
def place(tmp_path: Path, server: Any) -> Place:
    return Place(tmp_path, server.url)


@pytest.fixture
def autodata(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Said]:
    """Run the command in this process."""

    def run(*arguments: object) -> Said:
        from autodata_cli.main import main

        monkeypatch.setattr(sys, "argv", ["autodata", *map(str, arguments)])
        old = os.umask(0o022)
        try:
            main()
            code = 0
        except SystemExit as leave:
            code = leave.code if isinstance(leave.code, int) else 1
        finally:
            os.umask(old)
        said = capsys.readouterr()
        assert "Traceback" not in said.out + said.err
        return Said(code, said.out, said.err)

    return run


def start_process(*arguments: object, **environment: str) -> subprocess.Popen[str]:
    """Start the command as a real process."""
    return subprocess.Popen(
        [sys.executable, "-m", "autodata_cli", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "SOURCE_DATE_EPOCH": "1767225600", **environment},
    )
