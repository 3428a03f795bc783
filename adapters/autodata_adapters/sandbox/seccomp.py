"""The system calls that confined code may make, as a seccomp filter. What is not listed fails with EPERM.

An allow-list, because a kernel grows new calls. Number tables for x86_64 and aarch64; on another machine there is no
filter, so no confined tier. Runs inside a sandboxed child, so it imports nothing but the standard library.
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys
from collections.abc import Sequence

__all__ = ["filter_for", "install", "supported"]

_PLAIN = """
    read write close fstat lseek mmap mprotect munmap brk mremap madvise readv writev pread64 dup dup3
    rt_sigaction rt_sigprocmask rt_sigreturn sigaltstack restart_syscall
    newfstatat statx getdents64 getcwd faccessat pipe2
    pselect6 ppoll epoll_create1 epoll_ctl epoll_pwait getsockname getsockopt shutdown recvfrom
    nanosleep clock_nanosleep clock_gettime clock_getres gettimeofday times getitimer setitimer
    getpid gettid getuid geteuid getgid getegid uname sysinfo getrusage getrlimit getrandom
    futex set_robust_list set_tid_address rseq sched_yield sched_getaffinity exit exit_group
"""
"""Calls that need no look at their arguments: Landlock and the limits bound what they reach."""

_PLAIN_X86 = " stat lstat poll access select dup2 alarm time epoll_wait"
"""Older forms of the same, which only x86_64 has."""

_X86_64 = """
    read=0 write=1 open=2 close=3 stat=4 fstat=5 lstat=6 poll=7 lseek=8 mmap=9 mprotect=10 munmap=11 brk=12
    rt_sigaction=13 rt_sigprocmask=14 rt_sigreturn=15 ioctl=16 pread64=17 readv=19 writev=20 access=21 select=23
    sched_yield=24 mremap=25 madvise=28 dup=32 dup2=33 nanosleep=35 getitimer=36 alarm=37 setitimer=38 getpid=39
    sendto=44 recvfrom=45 shutdown=48 getsockname=51 socketpair=53 getsockopt=55 clone=56 exit=60 kill=62 uname=63
    fcntl=72 getcwd=79 gettimeofday=96 getrlimit=97 getrusage=98 sysinfo=99 times=100 getuid=102 getgid=104
    geteuid=107 getegid=108 sigaltstack=131 prctl=157 gettid=186 time=201 futex=202 sched_getaffinity=204
    getdents64=217 set_tid_address=218 restart_syscall=219 clock_gettime=228 clock_getres=229 clock_nanosleep=230
    exit_group=231 epoll_wait=232 epoll_ctl=233 tgkill=234 openat=257 newfstatat=262 faccessat=269 pselect6=270
    ppoll=271 set_robust_list=273 epoll_pwait=281 epoll_create1=291 dup3=292 pipe2=293 prlimit64=302 seccomp=317
    getrandom=318 statx=332 rseq=334 clone3=435 openat2=437 faccessat2=439
"""

_AARCH64 = """
    getcwd=17 epoll_create1=20 epoll_ctl=21 epoll_pwait=22 dup=23 dup3=24 fcntl=25 ioctl=29 faccessat=48 openat=56
    close=57 pipe2=59 getdents64=61 lseek=62 read=63 write=64 readv=65 writev=66 pread64=67 pselect6=72 ppoll=73
    newfstatat=79 fstat=80 exit=93 exit_group=94 set_tid_address=96 futex=98 set_robust_list=99 nanosleep=101
    getitimer=102 setitimer=103 clock_gettime=113 clock_getres=114 clock_nanosleep=115 sched_getaffinity=123
    sched_yield=124 restart_syscall=128 kill=129 tgkill=131 sigaltstack=132 rt_sigaction=134 rt_sigprocmask=135
    rt_sigreturn=139 times=153 uname=160 getrlimit=163 getrusage=165 prctl=167 gettimeofday=169 getpid=172
    getuid=174 geteuid=175 getgid=176 getegid=177 gettid=178 sysinfo=179 socketpair=199 getsockname=204 sendto=206
    recvfrom=207 getsockopt=209 shutdown=210 brk=214 munmap=215 mremap=216 clone=220 mmap=222 mprotect=226
    madvise=233 prlimit64=261 seccomp=277 getrandom=278 statx=291 rseq=293 clone3=435 openat2=437 faccessat2=439
"""


def _table(text: str) -> dict[str, int]:
    return {name: int(number) for name, _, number in (word.partition("=") for word in text.split())}


_MACHINES = {
    "x86_64": (0xC000003E, _table(_X86_64), (_PLAIN + _PLAIN_X86).split()),
    "aarch64": (0xC00000B7, _table(_AARCH64), _PLAIN.split()),
}
"""By machine: what the kernel calls the architecture, its numbers, the calls allowed without a look."""

_X32_BIT = 0x40000000  # calls of the x32 ABI share the x86_64 architecture, with this bit in their number

_ALLOW, _KILL, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_EPERM, _ENOSYS = 1, 38
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16  # offsets in what the filter is shown

_LOAD, _EQUAL, _ANY_BIT, _AND, _RETURN = 0x20, 0x15, 0x45, 0x54, 0x06

_WRITING = (
    os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND | (0o20000000 if sys.platform == "linux" else 0)
)
"""Flags of `open` that could change a file; the last is O_TMPFILE without O_DIRECTORY, which reading a folder needs."""

_THREAD = 0x3D0F00
"""Flags with which the C library starts a thread: shared memory, files, signals; no new process and no namespace."""
_DETACHED = 0x400000  # the same from musl, long without a meaning

_Instruction = tuple[int, int, int, int]


def supported() -> bool:
    """Return whether there is a number table for this machine and this interpreter's word size."""
    return sys.platform == "linux" and sys.maxsize > 2**32 and os.uname().machine in _MACHINES


def filter_for(machine: str, pid: int) -> bytes:
    """Return the filter's instructions for a process with this id.

    Args:
        machine: `x86_64` or `aarch64`.
        pid: The only process that signals may be sent to.
    """
    architecture, numbers, plain = _MACHINES[machine]
    program: list[_Instruction] = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_EQUAL, 1, 0, architecture),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER),
    ]
    if machine == "x86_64":
        program += [(_ANY_BIT, 0, 1, _X32_BIT), (_RETURN, 0, 0, _KILL)]
    for name in plain:
        program += [(_EQUAL, 0, 1, numbers[name]), (_RETURN, 0, 0, _ALLOW)]
    for name in ("clone3", "openat2", "faccessat2"):  # "not there" makes the C library fall back to the older call
        program += [(_EQUAL, 0, 1, numbers[name]), (_RETURN, 0, 0, _ERRNO | _ENOSYS)]
    for name, conditions in _conditional(pid).items():
        if name in numbers:
            block = [step for condition in conditions for step in condition] + [(_RETURN, 0, 0, _ALLOW)]
            program += [(_EQUAL, 0, len(block), numbers[name]), *block]
    program.append((_RETURN, 0, 0, _ERRNO | _EPERM))
    return b"".join(struct.pack("=HBBI", *step) for step in program)


def install() -> None:
    """Put the filter on this process and all its threads, for good. Needs no-new-privileges first.

    Raises:
        OSError: The machine has no table, or the kernel refuses.
    """
    if not supported():
        raise OSError(f"no table of system calls for {os.uname().machine}")
    machine = os.uname().machine
    text = filter_for(machine, os.getpid())
    held = ctypes.create_string_buffer(text, len(text))

    class _Program(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))

    program = _Program(len(text) // 8, ctypes.addressof(held))
    call = ctypes.CDLL(None, use_errno=True).syscall
    call.restype = ctypes.c_long
    set_filter, all_threads = 1, 1
    number = _MACHINES[machine][1]["seccomp"]
    if call(ctypes.c_long(number), ctypes.c_long(set_filter), ctypes.c_long(all_threads), ctypes.byref(program)):
        raise OSError(ctypes.get_errno(), "the kernel refused the filter of system calls")


def _conditional(pid: int) -> dict[str, list[list[_Instruction]]]:
    """Return the calls that are allowed only with these arguments."""
    return {
        "open": [_masked(1, _WRITING, [0])],
        "openat": [_masked(2, _WRITING, [0])],
        "clone": [_masked(0, 0xFFFFFFFF & ~_DETACHED, [_THREAD])],
        "kill": [_masked(0, 0xFFFFFFFF, [pid])],
        "tgkill": [_masked(0, 0xFFFFFFFF, [pid])],
        "prlimit64": [_masked(0, 0xFFFFFFFF, [0, pid]), _null(2)],  # reading a limit, never setting one
        "ioctl": [_masked(1, 0xFFFFFFFF, [0x5401, 0x5413, 0x5421, 0x5450, 0x5451])],  # is it a terminal, close-on-exec
        "fcntl": [_masked(1, 0xFFFFFFFF, [0, 1, 2, 3, 1030])],  # duplicate, flags; no owner, no leases, no pipe size
        "prctl": [_masked(0, 0xFFFFFFFF, [15, 16])],  # name of a thread
        "socketpair": [_masked(0, 0xFFFFFFFF, [1])],  # event loops talk to themselves over one
        "sendto": [_null(4)],  # only to the other end of a pair
    }


def _masked(argument: int, mask: int, values: Sequence[int]) -> list[_Instruction]:
    """Return steps that go on when the argument's low half, under the mask, is one of the values."""
    steps = [(_LOAD, 0, 0, _ARGUMENTS + 8 * argument), (_AND, 0, 0, mask)]
    steps += [(_EQUAL, len(values) - at, 0, value) for at, value in enumerate(values)]
    return [*steps, (_RETURN, 0, 0, _ERRNO | _EPERM)]


def _null(argument: int) -> list[_Instruction]:
    """Return steps that go on when the whole argument, a pointer, is null."""
    steps: list[_Instruction] = []
    for half in (0, 4):
        steps += [
            (_LOAD, 0, 0, _ARGUMENTS + 8 * argument + half),
            (_EQUAL, 1, 0, 0),
            (_RETURN, 0, 0, _ERRNO | _EPERM),
        ]
    return steps
