"""The `autodata` command and its folder, as the tests of the command have them."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

_PATH = Path(__file__).parents[1] / "command" / "conftest.py"
_SPEC = importlib.util.spec_from_file_location("autodata_test_command", _PATH)
assert _SPEC is not None
assert _SPEC.loader is not None
command = importlib.util.module_from_spec(_SPEC)
sys.modules[_SPEC.name] = command
_SPEC.loader.exec_module(command)

autodata, loopback, Place = command.autodata, command.loopback, command.Place
