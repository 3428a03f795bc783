"""Quiet DSPy, and the scripted worlds as a module whatever folder pytest was started in.

DSPy's cache folder is set in `tests/conftest.py`, before DSPy is imported.
"""

import importlib.util
import os
import sys
from pathlib import Path

os.environ["TQDM_DISABLE"] = "1"

_NAME = "autodata_test_worlds"
if _NAME not in sys.modules:
    _spec = importlib.util.spec_from_file_location(_NAME, Path(__file__).parents[1] / "worlds.py")
    sys.modules[_NAME] = importlib.util.module_from_spec(_spec)
    _spec.loader.exec_module(sys.modules[_NAME])
