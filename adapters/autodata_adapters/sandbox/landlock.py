"""Landlock: the kernel's promise that this process reads the named files and nothing else, for good.

Runs inside a sandboxed child, so it imports nothing but the standard library. Which files are named does not live here.
"""

from __future__ import annotations

import ctypes
import functools
import os
import struct
from collections.abc import Sequence

__all__ = ["abi", "restrict"]

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # the same on every architecture
_VERSION_QUERY = 1
_PATH_BENEATH = 1

_READ_FILE, _READ_DIR = 1 << 2, 1 << 3
_FILE_RIGHTS = {1: (1 << 13) - 1, 2: 1 << 13, 3: 1 << 14, 5: 1 << 15}
"""Rights over files by the ABI that brought them: all of the first, then refer, truncate, ioctl on devices."""
_NET_RIGHTS = 0b11  # bind and connect of TCP, since ABI 4
_SCOPES = 0b11  # abstract Unix sockets and signals to others, since ABI 6


def abi() -> int:
    """Return the version of Landlock that the kernel offers; 0 when there is none."""
    found = int(_syscall(_CREATE_RULESET, None, 0, _VERSION_QUERY))
    return max(found, 0)


def restrict(folders: Sequence[str], listings: Sequence[str], files: Sequence[str]) -> None:
    """Give up everything but reading the named paths. Every right that the kernel's ABI knows is handled, so refused.

    Args:
        folders: Readable with all they hold.
        listings: May be listed; what they hold is readable only when named otherwise.
        files: Readable. A path that is gone is left out, which grants less.

    Raises:
        OSError: The kernel has no Landlock, or refuses.
    """
    version = abi()
    if version < 1:
        raise OSError("this kernel has no Landlock")
    rights = 0
    for since, bits in _FILE_RIGHTS.items():
        rights |= bits if version >= since else 0
    ruleset = struct.pack(
        "=QQQ", rights, _NET_RIGHTS if version >= 4 else 0, _SCOPES if version >= 6 else 0
    )  # fields of later ABIs must not be sent to a kernel that does not know them
    ruleset = ruleset[: 8 if version < 4 else 16 if version < 6 else 24]
    handle = _checked("landlock_create_ruleset", _syscall(_CREATE_RULESET, ruleset, len(ruleset), 0))
    try:
        for paths, allowed in ((folders, _READ_FILE | _READ_DIR), (listings, _READ_DIR), (files, _READ_FILE)):
            for path in paths:
                _allow(handle, path, allowed)
        _checked("landlock_restrict_self", _syscall(_RESTRICT_SELF, handle, 0))
    finally:
        os.close(handle)


def _allow(handle: int, path: str, allowed: int) -> None:
    try:
        target = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        rule = struct.pack("=Qi", allowed, target)
        _checked("landlock_add_rule", _syscall(_ADD_RULE, handle, _PATH_BENEATH, rule, 0))
    finally:
        os.close(target)


def _checked(what: str, result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def _syscall(number: int, *arguments: int | bytes | None) -> int:
    return int(_library().syscall(*[ctypes.c_long(a) if isinstance(a, int) else a for a in (number, *arguments)]))


@functools.cache
def _library() -> ctypes.CDLL:
    library = ctypes.CDLL(None, use_errno=True)
    library.syscall.restype = ctypes.c_long
    return library
