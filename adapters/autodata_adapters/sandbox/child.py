"""What runs inside a sandboxed process: lock the door, run the code, write one record, leave.

Started by `supervising.py` as a bare interpreter; imports the standard library and its neighbours only, by relative names,
because in the child this folder is a package of its own. Expected values are never here: somebody who takes this
program apart from within can choose which values are returned, as any code can, and learns nothing to compare them with.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import random
import resource
import signal
import struct
import sys
import types

from .landlock import restrict
from .seccomp import install
from .tagging import TagError, TooLargeError, tagged

TYPE_CHECKING = False  # as in `typing`, which would cost every job some milliseconds to import
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

__all__ = ["framed", "main"]

_DETAIL = 500  # characters of an exception's text that are kept

_PDEATHSIG, _SET_DUMPABLE, _NO_NEW_PRIVS = 1, 4, 38


def main(channel: int) -> None:
    """Read a job from standard input, run it, write its record to `channel` and end. Never returns."""
    leave = os._exit  # kept here, because the code may replace every name in every module
    job = json.loads(_read_all(0))
    send = _sender(channel, job["nonce"])
    full = _sender(channel, job["nonce"], {"kind": "memory", "detail": "MemoryError"})
    try:
        os.environ.clear()
        random.seed(0)
        if job["confine"] is None:
            _limit(job["limits"])
        else:
            _confine(job["confine"], job["limits"], channel)
    except BaseException as error:  # noqa: BLE001 - without its walls nothing may run, whatever the cause
        send({"kind": "broken", "detail": f"{type(error).__name__}: {error}"})
        leave(0)
    try:
        send(_run(job["code"], job["function"], job["calls"]))
    except BaseException:  # noqa: BLE001 - memory that the code still holds
        full()
    leave(0)


def framed(nonce: str, payload: bytes) -> bytes:
    """Return the one form in which a record crosses the channel."""
    return b"record %s %d\n%s\n" % (nonce.encode(), len(payload), payload)


def _run(code: str, function: str, calls: list[list[Any]]) -> dict[str, Any]:
    """Return the record of a job. Only the code's own exceptions and values are in it."""
    checked, memory, lost = tagged, MemoryError, ModuleNotFoundError
    too_large, unreadable = TooLargeError, TagError
    try:
        module = types.ModuleType("solution")
        sys.modules["solution"] = module  # where dataclasses and pickles look their class up
        exec(compile(code, "solution.py", "exec", dont_inherit=True), module.__dict__)  # noqa: S102 - what it is for
        called = module.__dict__[function] if function in module.__dict__ else _missing(function)
        # Tagged call by call, so that a later call cannot change what an earlier one returned.
        return {"kind": "returned", "values": [checked(called(*arguments)) for arguments in calls]}
    except too_large as error:
        return {"kind": "output", "detail": str(error)}
    except unreadable as error:
        return {"kind": "raised", "detail": str(error)}
    except memory:
        gc.collect()
        return {"kind": "memory", "detail": "MemoryError"}
    except lost as error:
        foreign = type(error.name) is str and error.name.partition(".")[0] not in sys.stdlib_module_names
        return {"kind": "unsupported" if foreign else "raised", "detail": _line(error)}
    except BaseException as error:  # noqa: BLE001 - also SystemExit: leaving early is no answer
        return {"kind": "raised", "detail": _line(error)}


def _missing(function: str) -> Any:
    raise NameError(f"the code defines no {function!r}")


def _line(error: BaseException) -> str:
    """Return the last line of a traceback. The text is the code's own, so getting it may fail."""
    name = str(type.__dict__["__name__"].__get__(type(error)))
    try:
        text = str(error)
    except BaseException:  # noqa: BLE001
        return name
    if isinstance(error, SyntaxError) and error.lineno:
        text = f"{error.msg} (line {error.lineno})"
    return f"{name}: {text}"[:_DETAIL].encode("utf-8", "replace").decode() if text else name


def _sender(channel: int, nonce: str, fixed: dict[str, str] | None = None) -> Callable[..., None]:
    """Return what writes the record, with everything it needs in its own cells.

    Args:
        channel: Where to.
        nonce: In the record's frame.
        fixed: Makes the bytes now, for a time without memory.
    """
    write, dumps, frame = os.write, json.JSONEncoder(separators=(",", ":")).encode, framed
    ready = frame(nonce, dumps(fixed).encode("ascii")) if fixed else b""

    def send(record: dict[str, Any] | None = None) -> None:
        left = memoryview(ready or frame(nonce, dumps(record).encode("ascii")))
        while left:
            left = left[write(channel, left) :]

    return send


def _read_all(handle: int) -> bytes:
    parts = []
    while part := os.read(handle, 1 << 20):
        parts.append(part)
    return b"".join(parts)


def _limit(limits: dict[str, Any]) -> None:
    """Set the limits that hold in every tier."""
    seconds = limits["cpu_s"]  # whole ones; the soft limit names the cause, the hard one cannot be caught
    _bound(resource.RLIMIT_CPU, seconds, seconds + 1)
    _bound(resource.RLIMIT_CORE, 0, 0)
    _bound(resource.RLIMIT_AS, limits["memory_bytes"], limits["memory_bytes"])


def _confine(walls: dict[str, Any], limits: dict[str, Any], channel: int) -> None:
    """Give up every right but computing. Each step is checked; order matters, because later ones forbid earlier ones."""
    _process_control(_PDEATHSIG, signal.SIGKILL)
    if walls["parent"] and os.getppid() != walls["parent"]:
        raise OSError("the process that started this one is gone")
    _process_control(_NO_NEW_PRIVS, 1)
    _process_control(_SET_DUMPABLE, 0)
    os.closerange(3, channel)
    os.closerange(channel + 1, 4_096)
    restrict(walls["folders"], walls["listings"], walls["files"])
    _drop_capabilities()
    _bound(resource.RLIMIT_FSIZE, 0, 0)
    _bound(resource.RLIMIT_NOFILE, 64, 64)
    _bound(resource.RLIMIT_NPROC, 4_096, 4_096)  # counts the whole user; new processes are refused outright below
    _bound(resource.RLIMIT_MEMLOCK, 0, 0)
    _limit(limits)
    install()


def _bound(kind: int, soft: int, hard: int) -> None:
    """Set a limit, never above the one in force."""
    ceiling = resource.getrlimit(kind)[1]
    if ceiling != resource.RLIM_INFINITY:
        soft, hard = min(soft, ceiling), min(hard, ceiling)
    resource.setrlimit(kind, (soft, hard))


def _process_control(option: int, value: int) -> None:
    library = ctypes.CDLL(None, use_errno=True)
    if library.prctl(option, ctypes.c_ulong(value), ctypes.c_ulong(0), ctypes.c_ulong(0), ctypes.c_ulong(0)):
        raise OSError(ctypes.get_errno(), f"prctl {option} is refused")


def _drop_capabilities() -> None:
    """Give up root's powers, but for reading the interpreter's files wherever they are; Landlock bounds those."""
    library = ctypes.CDLL(None, use_errno=True)
    header = ctypes.create_string_buffer(struct.pack("=Ii", 0x20080522, 0))
    held = ctypes.create_string_buffer(24)
    if library.capget(header, held):
        raise OSError(ctypes.get_errno(), "capabilities cannot be read")
    reading = struct.unpack("=6I", held.raw[:24])[1] & (1 << 2)
    kept = ctypes.create_string_buffer(struct.pack("=6I", reading, reading, 0, 0, 0, 0))
    if library.capset(header, kept):
        raise OSError(ctypes.get_errno(), "capabilities cannot be dropped")
