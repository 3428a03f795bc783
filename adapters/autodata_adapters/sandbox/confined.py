"""The tier `confined`: a process that gives up every right but computing before the code runs. Linux, no root, no install.

Landlock leaves it the standard library to read; a filter of system calls leaves it no other process, no network and no
signal to others; limits bound the rest. Both layers are needed: each alone leaves what the other one holds.
"""

from __future__ import annotations

import os
import sys
from typing import Any

from autodata_adapters.sandbox.interpreter import find_interpreter
from autodata_adapters.sandbox.running import Sandbox
from autodata_adapters.sandbox.seccomp import supported

__all__ = ["TIER", "create_confined", "missing", "walls"]

TIER = "confined/1"


def missing() -> str | None:
    """Return which layer this machine lacks, or None."""
    if sys.platform != "linux":
        return "it needs Linux"
    if not supported():
        return f"no table of system calls for {os.uname().machine}"
    from autodata_adapters.sandbox.landlock import abi

    return None if abi() >= 1 else "the kernel has no Landlock (5.13 or newer, switched on)"


def create_confined() -> Sandbox:
    """Return the sandbox; whether it holds is proved elsewhere.

    Raises:
        OSError: The machine lacks a layer.
    """
    lacking = missing()
    if lacking:
        raise OSError(lacking)
    from autodata_adapters.sandbox.supervising import ChildSandbox

    return ChildSandbox(TIER, find_interpreter().command, lambda: walls(os.getpid()))


def walls(parent: int) -> dict[str, Any]:
    """Return what a child confines itself to.

    Args:
        parent: Id of the process that starts it, as the child sees it; 0 when something else watches over that.
    """
    python = find_interpreter()
    return {
        "parent": parent,
        "folders": list(python.folders),
        "listings": list(python.listings),
        "files": list(python.files),
    }
