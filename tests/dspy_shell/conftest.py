"""Quiet DSPy. Its cache folder is set in `tests/conftest.py`, before DSPy is imported."""

import os

os.environ["TQDM_DISABLE"] = "1"
