"""The tier `none`: a plain process with limits on time, memory and output, and no walls at all.

Only for machines that are thrown away, and only when asked for by name: what it ran is stamped `none`.
"""

from __future__ import annotations

from autodata_adapters.sandbox.interpreter import find_interpreter
from autodata_adapters.sandbox.running import Sandbox
from autodata_adapters.sandbox.supervising import ChildSandbox

__all__ = ["create_plain"]


def create_plain() -> Sandbox:
    """Return a sandbox that confines nothing.

    Raises:
        OSError: The interpreter cannot be started bare.
    """
    return ChildSandbox("none", find_interpreter().command, lambda: None)
