"""Named places where a test makes the process die or its disk fail, so that durability is shown and not claimed.

Nothing happens unless `AUTODATA_FAULT=name:nth:action` is set: at the `nth` time that the place is reached the action is
taken. `nth+` means from then on. The variable is read once, at the first place that is reached.
"""

from __future__ import annotations

import errno
import os
import signal
import threading
import time
from collections.abc import Callable

from autodata_core.errors import AutodataError

__all__ = ["ACTIONS", "POINTS", "InjectedFaultError", "crashpoint"]

POINTS = (
    "lock.taken",
    "plan.recorded",
    "call.reserve",
    "call.reserved",
    "call.sent",
    "call.replied",
    "call.done",
    "claim.decided",
    "accept.commit",
    "accept.committed",
    "study.done",
    "projection.rename",
    "projection.renamed",
    "drain.begun",
    "write",
)
"""Every place, in the order of a run. `write` is each write to a disk: a commit, a file, the lock's text."""

_SLEEP_S = 30.0


class InjectedFaultError(AutodataError):
    """What the action `raise` raises."""


def _kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _fail(code: int) -> Callable[[], None]:
    def fail() -> None:
        raise OSError(code, os.strerror(code))

    return fail


def _raise() -> None:
    raise InjectedFaultError("A fault was injected by AUTODATA_FAULT.")


ACTIONS: dict[str, Callable[[], None]] = {
    "kill": _kill,
    "enospc": _fail(errno.ENOSPC),
    "eio": _fail(errno.EIO),
    "sleep": lambda: time.sleep(_SLEEP_S),
    "raise": _raise,
}


class _Fault:
    """Counts how often its place was reached. Any thread may reach it."""

    def __init__(self, name: str, nth: int, onwards: bool, act: Callable[[], None]) -> None:
        self._name, self._nth, self._onwards, self._act = name, nth, onwards, act
        self._reached = 0
        self._lock = threading.Lock()

    def __call__(self, name: str) -> None:
        if name != self._name:
            return
        with self._lock:
            self._reached += 1
            due = self._reached == self._nth or (self._onwards and self._reached > self._nth)
        if due:
            self._act()


def _read(text: str) -> _Fault:
    name, _, rest = text.partition(":")
    count, _, action = rest.partition(":")
    nth = count.removesuffix("+")
    # A misspelt place would make a test of durability pass without a fault.
    if name not in POINTS or action not in ACTIONS or not nth.isdecimal() or int(nth) < 1:
        raise AutodataError(
            f"AUTODATA_FAULT is written name:nth:action, got {text!r}. Names: {', '.join(POINTS)}; "
            f"actions: {', '.join(ACTIONS)}."
        )
    return _Fault(name, int(nth), count.endswith("+"), ACTIONS[action])


def _first(name: str) -> None:
    global _fault  # noqa: PLW0603 - read once for the whole process
    _fault = _read(os.environ["AUTODATA_FAULT"])
    _fault(name)


_fault: Callable[[str], None] | None = _first if os.environ.get("AUTODATA_FAULT") else None


def crashpoint(name: str) -> None:
    """Mark a place where a fault can be injected; does nothing unless one is.

    Args:
        name: One of `POINTS`.
    """
    if _fault is not None:
        _fault(name)
