"""The tier `bwrap+confined`: the confined process inside namespaces of its own, where `bwrap` is installed and may make them.

Adds what Landlock does not cover: names and sizes of files outside, other processes' ids, the host's network names.
"""

from __future__ import annotations

import os
import shutil

from autodata_adapters.sandbox.confined import TIER as CONFINED
from autodata_adapters.sandbox.confined import missing, walls
from autodata_adapters.sandbox.interpreter import HERE, find_interpreter
from autodata_adapters.sandbox.running import Sandbox

__all__ = ["create_bubblewrap"]


def create_bubblewrap() -> Sandbox:
    """Return the sandbox; whether the machine lets it work is proved elsewhere.

    Raises:
        OSError: `bwrap` is not on the path, or the machine lacks a layer of `confined`.
    """
    lacking, program = missing(), shutil.which("bwrap")
    if lacking or program is None:
        raise OSError(lacking or "bwrap is not installed (package bubblewrap)")
    from autodata_adapters.sandbox.supervising import ChildSandbox

    command = [program, "--unshare-all", "--die-with-parent", "--clearenv", "--setenv", "PYTHONHASHSEED", "0"]
    command += ["--setenv", "MALLOC_ARENA_MAX", "1", "--setenv", "LC_ALL", "C.UTF-8", "--setenv", "TZ", "UTC0"]
    python = find_interpreter()
    shared = {*python.listings, HERE, *(os.path.dirname(path) for path in python.mapped)}
    for path in sorted({"/lib", "/lib64", python.command[0], *shared}):  # parents first
        command += ["--ro-bind-try", path, path]
    command += ["--ro-bind-try", "/etc/ld.so.cache", "/etc/ld.so.cache", "--chdir", "/", "--"]
    return ChildSandbox(f"bwrap+{CONFINED}", [*command, *python.command], lambda: walls(0))
