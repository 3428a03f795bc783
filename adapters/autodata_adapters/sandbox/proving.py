"""Proof that a tier holds, before anything is trusted to it: acts that must fail in the expected way, and work that must not.

A probe that fails for another reason than a wall proves nothing, so each names the refusal it wants; and a tier that cannot
do harmless work has contained nothing. Each is also harmless where it succeeds: attaching a debugger to the host, say, would
stop the host for good. This shows that the walls stand on this machine, not that they have no gap.
"""

from __future__ import annotations

import os
import secrets
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from autodata_adapters.sandbox.running import Job, Limits, Outcome, Sandbox
from autodata_adapters.sandbox.tagging import tagged, untagged

__all__ = ["fault_of_interpreter", "fault_of_process"]

_QUICK = Limits(wall_s=10, cpu_s=10, memory_mb=256, output_bytes=100_000)

_ACTS = """
import ctypes, errno, os, resource, socket, sqlite3

def refused(act):
    try:
        act()
    except OSError as error:
        return errno.errorcode.get(error.errno, "?")
    except MemoryError:
        return "MEMORY"
    except Exception as error:
        return "broken " + repr(error)
    return "done"

def fork():
    if os.fork() == 0:
        os._exit(0)

def raw(name, *arguments):
    library = ctypes.CDLL(None, use_errno=True)
    if getattr(library, name)(*arguments) == -1:
        raise OSError(ctypes.get_errno(), name)

def solve(canary, folder, host):
    return {
        "read": refused(lambda: open(canary).read()),
        "write": refused(lambda: open(folder + "/written", "w")),
        "environment": len(os.environ),
        "network": refused(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM)),
        "unix": refused(lambda: socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)),
        "fork": refused(fork),
        "execute": refused(lambda: os.execv(canary, [canary])),
        "signal": refused(lambda: os.kill(host, 0)),
        "trace": refused(lambda: raw("ptrace", 7, host, 0, 0)),
        "namespace": refused(lambda: raw("unshare", 0x10000000)),
        "limits": refused(lambda: resource.prlimit(0, resource.RLIMIT_CPU, (1, 1))),
        "memory": refused(lambda: bytearray(2**30)),
        "harmless": sqlite3.connect(":memory:").execute("select 6 * 7").fetchall(),
    }
"""
_NO = {"EPERM"}
_WANTED: dict[str, set[Any]] = {
    "read": {"EACCES", "ENOENT"}, "write": {"EPERM", "EACCES"}, "network": _NO, "unix": _NO, "fork": _NO, "execute": _NO,
    "signal": _NO, "trace": _NO, "namespace": _NO, "limits": _NO, "memory": {"MEMORY"}, "environment": {0},
}  # fmt: skip

_HARMLESS = "def solve(n):\n    return [i * i for i in range(n)], {'text': 1.5, 'none': None}\n"
_LOOP = "def solve():\n    while True:\n        pass\n"
_FLOOD = "def solve():\n    for _ in range(20):\n        print('x' * 10_000)\n"
_HOARD = "def solve():\n    held = []\n    while True:\n        held.append('x' * 1_000_000)\n"
_DEEP = "def solve():\n    return solve()\n"


def fault_of_process(sandbox: Sandbox) -> str | None:
    """Return what a tier that runs a whole Python failed at, or None when it holds."""
    with tempfile.TemporaryDirectory() as folder:
        token = secrets.token_hex(16)
        canary = Path(folder, "canary")
        canary.write_text(token)
        canary.chmod(0o777)
        outcome = sandbox.run(_job(_ACTS, [str(canary), folder, os.getpid()]))
        if outcome.kind != "returned":
            return f"the probes did not run: {_said(outcome)}"
        found = untagged(outcome.values[0])
        if type(found) is not dict or found.pop("harmless", None) != [(42,)]:
            return "harmless work failed"
        failed = [name for name, wanted in _WANTED.items() if found.get(name) not in wanted]
        if failed or Path(folder, "written").exists():
            return "not contained: " + ", ".join(f"{name} ({found.get(name)})" for name in failed or ["write"])
    return _fault_of_limits(sandbox)


def fault_of_interpreter(sandbox: Sandbox) -> str | None:
    """Return what a tier with an interpreter of its own failed at, or None when it holds."""
    with tempfile.TemporaryDirectory() as folder:
        canary = Path(folder, "canary")
        canary.write_text(secrets.token_hex(16))
        acts = {
            "read": (f"def solve():\n    return open({str(canary)!r}).read()\n", "PermissionError"),
            "write": (f"def solve():\n    return open({folder + '/written'!r}, 'w')\n", "PermissionError"),
            "list": (f"import os\ndef solve():\n    return os.listdir({folder!r})\n", "PermissionError"),
            "command": ("import os\ndef solve():\n    return os.system('true')\n", "no attribute 'system'"),
            "network": ("import socket\ndef solve():\n    return 1\n", "No module named 'socket'"),
            "native": ("import ctypes\ndef solve():\n    return 1\n", "No module named 'ctypes'"),
            "environment": ("import os\ndef solve():\n    return os.environ['PATH']\n", "not supported"),
            "recursion": (_DEEP, "RecursionError"),
        }
        for name, (code, wanted) in acts.items():
            outcome = sandbox.run(_job(code, []))
            if outcome.kind not in ("raised", "unsupported") or wanted not in outcome.detail:
                return f"not contained: {name} ({_said(outcome)})"
        if Path(folder, "written").exists():
            return "not contained: write"
    return _fault_of_limits(sandbox)


def _fault_of_limits(sandbox: Sandbox) -> str | None:
    """Return which limit does not hold, or None; last comes work that must succeed after all of that."""
    brief = {"wall_s": 0.15, "cpu_s": 1.0}
    for name, code, limits, wanted in (
        ("time", _LOOP, brief, ["timeout"]),
        ("output", _FLOOD, {"output_bytes": 1_000}, ["output"]),
        ("memory", _HOARD, {"memory_mb": 64, "output_bytes": 1_000}, ["memory"]),
    ):
        outcome = sandbox.run(_job(code, [], _QUICK.model_copy(update=limits)))
        if outcome.kind not in wanted:
            return f"the limit on {name} does not hold ({_said(outcome)})"
    wanted_value = tagged(([0, 1, 4], {"text": 1.5, "none": None}))
    outcome = sandbox.run(_job(_HARMLESS, [3]))
    return None if outcome.kind == "returned" and outcome.values == (wanted_value,) else "harmless work failed"


def _job(code: str, arguments: Sequence[Any], limits: Limits = _QUICK) -> Job:
    return Job(code=code, function="solve", calls=(tuple(arguments),), limits=limits)


def _said(outcome: Outcome) -> str:
    return f"{outcome.kind}: {outcome.detail}" if outcome.detail else outcome.kind
