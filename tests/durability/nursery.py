"""A process that has `autodata` imported and forks one that runs it for every line it reads. Run as a script by `conftest`,
with the names of more modules to import.

A run that is killed after a second should not spend another one on imports. What is killed is a process of its own all the
same, with its own files, memory and threads, and it is reaped here as any parent would.
"""

from __future__ import annotations

import importlib
import json
import os
import random
import sys
from typing import Any, NoReturn

import autodata_cli.main
import autodata_cli.progress
import autodata_cli.reporting
import autodata_cli.running
import autodata_cli.verifying
import autodata_cli.workspace
import autodata_core.testing  # noqa: F401 - every import here is only for the forks
from autodata_core import crashpoints


def become(order: dict[str, Any]) -> NoReturn:
    """Be `autodata` with the arguments, environment and output files of the order."""
    os.environ.clear()
    os.environ.update(order["environment"])
    for number, path in ((0, os.devnull), (1, order["out"]), (2, order["err"])):
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(handle, number)
        os.close(handle)
    random.seed()
    # Read at import, which was before this environment.
    crashpoints._fault = crashpoints._first if os.environ.get("AUTODATA_FAULT") else None
    sys.argv = ["autodata", *order["arguments"]]
    code: Any = 1
    try:
        autodata_cli.main.main()
        code = 0
    except SystemExit as leave:
        code = leave.code
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code if isinstance(code, int) else int(code is not None))


def main() -> None:
    for name in sys.argv[1:]:
        importlib.import_module(name)
    tasks = os.listdir("/proc/self/task") if os.path.isdir("/proc/self/task") else ["only"]
    if len(tasks) > 1:
        sys.exit(f"a process with {len(tasks)} threads cannot be forked safely")
    for line in sys.stdin:
        pid = os.fork()
        if not pid:
            become(json.loads(line))
        print(pid, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)


if __name__ == "__main__":
    main()
