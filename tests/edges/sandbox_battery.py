"""Hostile acts, each with a way for the host to see that it worked. What contains them is tested elsewhere.

An act is the body of `solve(w)`; `w` names the things it may go for. It returns `HARM` when only it can know that it
worked; else the host looks: a file that is new or changed, the canary's token in what came back, a connection, a process
that was alive. `safe` acts are also run without walls, to show that the detector fires.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

PRELUDE = """
import ctypes, os, platform, resource, signal, socket, subprocess, sys, time
LIBC = ctypes.CDLL(None, use_errno=True)
X86 = platform.machine() == "x86_64"
def mark(w, name):
    with open(w["folder"] + "/" + name, "w") as file:
        file.write("x")
def number(*arguments):
    return LIBC.syscall(*[ctypes.c_long(a) if isinstance(a, int) else a for a in arguments])
def harm_if(worked):
    return "HARM" if worked else "refused"
"""


@dataclass(frozen=True)
class Act:
    """One thing that confined code must not be able to do."""

    name: str
    body: str
    safe: bool = True
    """Run without walls too; there it must be seen to work."""
    varies: bool = False
    """Some machines refuse it without walls too, such as to users other than root."""

    @property
    def code(self) -> str:
        lines = "\n".join("    " + line for line in self.body.strip().splitlines())
        return f"{PRELUDE}\ndef solve(w):\n{lines}\n"


class World:
    """Things on the host to go for, fresh for each act, and what happened to them."""

    def __init__(self) -> None:
        self.token, self.name = secrets.token_hex(12), secrets.token_hex(12)
        self.folder = Path(tempfile.mkdtemp(prefix="w-"))
        self.folder.chmod(0o777)
        (self.folder / "keep").write_text("kept")
        (self.folder / ".ssh").mkdir()
        for name in ("canary", ".ssh/id_ed25519"):
            (self.folder / name).write_text(self.token)
        os.utime(self.folder / "keep", (1_000_000_000, 1_000_000_000))
        self.tcp = socket.create_server(("127.0.0.1", 0))
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind(("127.0.0.1", 0))
        self.unix = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.unix.bind(str(self.folder / "unix"))
        self.abstract = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.abstract.bind("\0" + self.name)
        self.abstract.listen()
        for each in (self.tcp, self.udp, self.unix, self.abstract):
            each.setblocking(False)
        self.victim = subprocess.Popen(["/bin/sleep", "60"], env={"SECRET": self.token}, start_new_session=True)
        self._before = self._files()
        self._limits = self._victim_limits()

    def facts(self) -> dict[str, Any]:
        return {
            "folder": str(self.folder),
            "home": str(self.folder),
            "canary": str(self.folder / "canary"),
            "keep": str(self.folder / "keep"),
            "unix": str(self.folder / "unix"),
            "abstract": "\0" + self.name,
            "tcp": self.tcp.getsockname()[1],
            "udp": self.udp.getsockname()[1],
            "victim": self.victim.pid,
            "host": os.getpid(),
            "packages": str(Path(next(p for p in sys.path if p.endswith("site-packages")))),
        }

    def harm(self, said: str) -> list[str]:
        """Return what went wrong on the host."""
        found = []
        if "HARM" in said:
            found.append("it says so")
        if self.token in said:
            found.append("the token came back")
        if self._files() != self._before:
            found.append("files changed")
        for name, each in (("tcp", self.tcp), ("abstract", self.abstract)):
            with contextlib.suppress(BlockingIOError):
                each.accept()[0].close()
                found.append(f"{name} connection")
        for name, each in (("udp", self.udp), ("unix", self.unix)):
            with contextlib.suppress(BlockingIOError):
                each.recv(100)
                found.append(f"{name} message")
        state = Path(f"/proc/{self.victim.pid}/stat")
        if not state.exists() or state.read_text().rpartition(")")[2].split()[0] not in "SRD":
            found.append("the victim is stopped or gone")
        elif self._victim_limits() != self._limits:
            found.append("the victim has other limits")
        return found

    def _files(self) -> dict[str, tuple[int, int, int]]:
        return {str(p): ((s := p.lstat()).st_size, s.st_mode, s.st_mtime_ns) for p in sorted(self.folder.rglob("*"))}

    def _victim_limits(self) -> str:
        with contextlib.suppress(OSError):
            return Path(f"/proc/{self.victim.pid}/limits").read_text()
        return ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for each in (self.tcp, self.udp, self.unix, self.abstract):
            each.close()
        self.victim.kill()
        self.victim.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


ACTS = [
    # files
    Act("read_passwd", 'return harm_if("root:" in open("/etc/passwd").read())'),
    Act("read_canary", 'return open(w["canary"]).read()'),
    Act("read_home_key", 'return [open(w["home"] + "/.ssh/" + n).read() for n in os.listdir(w["home"] + "/.ssh")]'),
    Act("read_parent_environment", 'return open(f"/proc/{w[\'victim\']}/environ", "rb").read().decode()'),
    Act("read_first_process", 'return harm_if(len(open("/proc/1/cmdline").read()) > 0)'),
    Act("read_own_memory", 'return harm_if(open("/proc/self/mem", "rb").fileno() > 0)'),
    Act("list_open_files", 'return harm_if(len(os.listdir("/proc/self/fd")) > 0)'),
    Act("list_root", 'return harm_if("etc" in os.listdir("/"))'),
    Act("list_users_by_name", "import pwd\nreturn harm_if(pwd.getpwnam('root').pw_uid == 0)"),
    Act("open_by_path_only", 'fd = os.open(w["canary"], os.O_PATH)\nreturn open(f"/proc/self/fd/{fd}").read()'),
    Act("open_beside_a_folder_handle", 'fd = os.open("/", os.O_RDONLY)\n'
        'return os.read(os.open(w["canary"].lstrip("/"), os.O_RDONLY, dir_fd=fd), 99).decode()'),
    Act("walk_up_from_the_library", 'return open(os.path.dirname(os.__file__) + "/../" * 9 + w["canary"]).read()'),
    Act("map_a_file", 'import mmap\nwith open(w["canary"], "rb") as f:\n'
        '    return mmap.mmap(f.fileno(), 0, prot=mmap.PROT_READ)[:].decode()'),
    Act("import_installed_package", 'sys.path.append(w["packages"])\nimport annotated_types\nreturn "HARM"'),
    Act("read_by_fileinput", 'import linecache\nreturn linecache.getline(w["canary"], 1)'),
    Act("attach_database", 'import sqlite3\nc = sqlite3.connect(":memory:")\n'
        'c.execute("attach ? as d", (w["folder"] + "/new.db",))\nc.execute("create table d.t (a)")\nc.commit()\nreturn 0'),
    Act("write_temporary", 'mark(w, "new")\nreturn 0'),
    Act("write_current_folder", 'os.chdir(w["folder"])\nopen("new", "w").close()\nreturn 0'),
    Act("temporary_file", 'import tempfile\nwith tempfile.NamedTemporaryFile(dir=w["folder"], delete=False) as f:\n'
        '    f.write(b"x")\nreturn 0'),
    Act("fill_disk", 'with open(w["folder"] + "/big", "wb") as f:\n    for _ in range(50): f.write(bytes(100_000))\nreturn 0'),
    Act("symlink", 'os.symlink(w["canary"], w["folder"] + "/link")\nreturn open(w["folder"] + "/link").read()'),
    Act("hard_link", 'os.link(w["canary"], w["folder"] + "/hard")\nreturn 0'),
    Act("rename", 'os.rename(w["keep"], w["folder"] + "/moved")\nreturn 0'),
    Act("delete", 'os.unlink(w["keep"])\nreturn 0'),
    Act("truncate", 'os.truncate(w["keep"], 0)\nreturn 0'),
    Act("append", 'with open(w["keep"], "a") as f: f.write("more")\nreturn 0'),
    Act("change_mode", 'os.chmod(w["keep"], 0o777)\nreturn 0'),
    Act("change_times", 'os.utime(w["keep"], (0, 0))\nreturn 0'),
    Act("named_pipe", 'os.mkfifo(w["folder"] + "/pipe")\nreturn 0'),
    Act("unlinked_file", 'return harm_if(os.open(w["folder"], os.O_TMPFILE | os.O_RDWR) > 0)'),
    Act("bytecode_cache", 'import py_compile\nsrc = os.__file__\n'
        'py_compile.compile(src, cfile=w["folder"] + "/x.pyc", doraise=True)\nreturn 0'),
    Act("memory_file", 'return harm_if(os.memfd_create("x") > 0)'),
    # network
    Act("tcp", 'socket.create_connection(("127.0.0.1", w["tcp"]), 2).close()\nreturn 0'),
    Act("udp", 'socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", w["udp"]))\nreturn 0'),
    Act("unix", 'socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b"x", w["unix"])\nreturn 0'),
    Act("abstract", 'socket.socket(socket.AF_UNIX, socket.SOCK_STREAM).connect(w["abstract"])\nreturn 0'),
    Act("unix_from_a_pair", 'a, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)\n'
        'a.sendto(b"x", w["unix"])\nreturn 0'),
    Act("message_from_a_pair", 'a, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)\n'
        'a.sendmsg([b"x"], [], 0, w["unix"])\nreturn 0'),
    Act("listen", 's = socket.socket()\ns.bind(("127.0.0.1", 0))\ns.listen()\nreturn "HARM"'),
    Act("raw_socket", 'socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)\nreturn "HARM"', varies=True),
    Act("packet_socket", 'socket.socket(socket.AF_PACKET, socket.SOCK_RAW)\nreturn "HARM"', varies=True),
    Act("kernel_socket", 'socket.socket(16, socket.SOCK_RAW, 0)\nreturn "HARM"'),
    Act("crypto_socket", 'socket.socket(38, socket.SOCK_SEQPACKET)\nreturn "HARM"', safe=False),
    Act("look_up_names", 'return harm_if(socket.getaddrinfo("localhost", 80))'),
    Act("fetch", 'import urllib.request\nurllib.request.urlopen(f"http://127.0.0.1:{w[\'tcp\']}/", timeout=0.2)\nreturn 0'),
    # processes
    Act("fork", 'pid = os.fork()\nif pid == 0:\n    mark(w, "forked")\n    os._exit(0)\nos.waitpid(pid, 0)\nreturn 0'),
    Act("fork_bomb", 'while True: os.fork()', safe=False),
    Act("daemon", 'if os.fork() == 0:\n    os.setsid()\n    mark(w, "daemon")\n    os._exit(0)\nos.wait()\nreturn 0'),
    Act("execute", 'os.execv("/bin/sh", ["sh", "-c", "echo > " + w["folder"] + "/new"])'),
    Act("spawn", 'pid = os.posix_spawn("/bin/sh", ["sh", "-c", "echo > " + w["folder"] + "/new"], {})\n'
        'os.waitpid(pid, 0)\nreturn 0'),
    Act("subprocess", 'return subprocess.run(["/bin/cat", w["canary"]], capture_output=True, text=True).stdout'),
    Act("shell", 'os.system("echo > " + w["folder"] + "/new")\nreturn 0'),
    Act("pipe_to_shell", 'return os.popen("cat " + w["canary"]).read()'),
    Act("multiprocessing", 'import multiprocessing\n'
        'p = multiprocessing.get_context("fork").Process(target=mark, args=(w, "new"))\n'
        'p.start()\np.join()\nreturn 0'),
    Act("terminal", 'import pty\npid, fd = pty.fork()\nif pid == 0:\n    mark(w, "new")\n    os._exit(0)\n'
        'os.waitpid(pid, 0)\nreturn 0'),
    Act("clone_by_number", 'pid = number(56 if X86 else 220, 17, 0, 0, 0, 0)\nif pid == 0:\n'
        '    mark(w, "new")\n    os._exit(0)\nif pid > 0: os.waitpid(pid, 0)\nreturn 0'),
    Act("clone3_by_number", 'import struct\nargs = ctypes.create_string_buffer(struct.pack("8Q", 0, 0, 0, 0, 17, 0, 0, 0))\n'
        'pid = number(435, args, 64)\nif pid == 0:\n    mark(w, "new")\n    os._exit(0)\n'
        'if pid > 0: os.waitpid(pid, 0)\nreturn 0'),
    Act("x32_socket_by_number", 'return harm_if(number(0x40000000 + 41, 2, 1, 0) >= 0)', safe=False),
    Act("x32_execute_by_number", 'return harm_if(number(0x40000000 + 520, b"/bin/true", 0, 0) >= 0)', safe=False),
    Act("socket_by_number", 'return harm_if(number(41 if X86 else 198, 2, 1, 0) >= 0)'),
    Act("execute_from_memory", 'fd = os.memfd_create("x", 0)\nos.write(fd, b"#!/bin/sh\\n'
        'echo > " + w["folder"].encode() + b"/new\\n")\n'
        'os.execve(fd, ["x"], {})'),
    Act("pickle", 'import pickle\nclass Evil:\n'
        '    def __reduce__(self): return (os.system, ("echo > " + w["folder"] + "/new",))\n'
        'pickle.loads(pickle.dumps(Evil()))\nreturn 0'),
    # signals and other processes
    Act("kill_victim", 'os.kill(w["victim"], 9)\ntime.sleep(0.05)\nreturn 0'),
    Act("stop_group", 'os.killpg(w["victim"], signal.SIGSTOP)\ntime.sleep(0.05)\nreturn 0'),
    Act("reach_parent", 'os.kill(os.getppid(), 0)\nreturn "HARM"'),
    Act("reach_everybody", 'os.kill(-1, 0)\nreturn "HARM"'),
    Act("reach_own_group", 'os.kill(0, 0)\nreturn "HARM"'),
    Act("signal_by_handle", 'signal.pidfd_send_signal(os.pidfd_open(w["victim"]), 9)\ntime.sleep(0.05)\nreturn 0'),
    Act("queue_signal", 'info = ctypes.create_string_buffer(b"\\x0a\\0\\0\\0\\0\\0\\0\\0\\xff\\xff\\xff\\xff", 128)\n'
        'return harm_if(number(129 if X86 else 138, w["victim"], 0, info) == 0)', safe=False),
    Act("owner_of_signals", 'import fcntl\na, b = socket.socketpair()\nfcntl.fcntl(a, 8, w["victim"])\nreturn "HARM"'),
    Act("trace", 'return harm_if(LIBC.ptrace(16, w["victim"], 0, 0) == 0)', varies=True),
    Act("trace_me", 'return harm_if(LIBC.ptrace(0, 0, 0, 0) == 0)'),
    Act("read_other_memory", 'return harm_if(open(f"/proc/{w[\'victim\']}/mem", "rb").fileno() > 0)', varies=True),
    Act("copy_other_memory", 'b = ctypes.create_string_buffer(8)\n'
        'v = (ctypes.c_size_t * 2)(ctypes.addressof(b), 8)\n'
        'text = open(f"/proc/{w[\'victim\']}/maps").readline()\n'
        'r = (ctypes.c_size_t * 2)(int(text.split("-")[0], 16), 8)\n'
        'return harm_if(LIBC.process_vm_readv(w["victim"], v, 1, r, 1, 0) > 0)', varies=True),
    Act("limits_of_victim", 'resource.prlimit(w["victim"], resource.RLIMIT_NOFILE, (5, 5))\nreturn 0'),
    # limits and rights
    Act("raise_memory_limit", 'resource.setrlimit(resource.RLIMIT_AS, (-1, -1))\nreturn "HARM"', varies=True),
    Act("raise_processor_limit", 'resource.setrlimit(resource.RLIMIT_CPU, (999, 999))\nreturn "HARM"', varies=True),
    Act("become_root", 'os.setuid(0)\nreturn "HARM"', varies=True),
    Act("priority", 'os.nice(1)\nreturn "HARM"'),
    Act("pin_processor", 'os.sched_setaffinity(0, {0})\nreturn "HARM"', safe=False),
    Act("new_session", 'os.setsid()\nreturn "HARM"', safe=False),
    Act("umask", 'return harm_if(LIBC.umask(0) >= 0)'),
    Act("become_dumpable", 'return harm_if(LIBC.prctl(4, 1, 0, 0, 0) == 0)'),
    Act("outlive_parent", 'return harm_if(LIBC.prctl(1, 0, 0, 0, 0) == 0)'),
    # the kernel
    Act("new_namespace", 'return harm_if(LIBC.unshare(0x04000000) == 0)', varies=True),
    Act("new_user_namespace", 'return harm_if(LIBC.unshare(0x10000000) == 0)', safe=False),
    Act("mount", 'return harm_if(LIBC.mount(b"none", w["folder"].encode(), b"tmpfs", 0, None) == 0)', safe=False),
    Act("chroot", 'os.chroot(w["folder"])\nreturn "HARM"', varies=True),
    Act("watch_files", 'return harm_if(LIBC.inotify_init1(0) >= 0)'),
    Act("io_uring", 'return harm_if(number(425, 1, ctypes.create_string_buffer(120)) >= 0)', safe=False),
    Act("perf", 'import struct\na = ctypes.create_string_buffer(struct.pack("IIQ", 1, 128, 0), 128)\n'
        'return harm_if(number(298 if X86 else 241, a, 0, -1, -1, 0) >= 0)', safe=False),
    Act("keyring", 'return harm_if(number(250 if X86 else 219, 0, -3, 0) >= 0)', safe=False),
    Act("bpf", 'import struct\na = ctypes.create_string_buffer(struct.pack("IIII", 2, 4, 4, 1), 128)\n'
        'return harm_if(number(321 if X86 else 280, 0, a, 128) >= 0)', safe=False),
    Act("userfaultfd", 'return harm_if(number(323 if X86 else 282, 0) >= 0)', safe=False),
    Act("shared_memory", 'return harm_if(number(29 if X86 else 194, 0, 4096, 0o1600) >= 0)', safe=False),
    Act("message_queue", 'return harm_if(number(240 if X86 else 180, b"sandbox-test", 0o102, 0o600, 0) >= 0)', safe=False),
    Act("loosen_landlock", 'return harm_if(number(444, 0, 0, 1) > 0)', safe=False),
    Act("personality", 'return harm_if(LIBC.personality(0xffffffff) >= 0)'),
    Act("kernel_log", 'return harm_if(LIBC.klogctl(10, 0, 0) >= 0)', varies=True),
    Act("host_name", 'return harm_if(LIBC.sethostname(b"x", 0) == 0 and False)', safe=False),
    Act("set_clock", 'time.clock_settime(time.CLOCK_REALTIME, time.time())\nreturn "HARM"', safe=False),
    Act("type_into_terminal", 'import fcntl\nfcntl.ioctl(0, 0x5412, b"x")\nreturn "HARM"', safe=False),
    Act("grow_pipe", 'import fcntl\nr, w2 = os.pipe()\nfcntl.fcntl(w2, 1031, 1 << 20)\nreturn "HARM"'),
]  # fmt: skip

LEAKED = Act(
    "leaked_handles",
    """
found = []
for handle in range(3, 1024):
    try:
        os.fstat(handle)
        found.append(handle)
    except OSError:
        pass
return harm_if(len(found) != 1)
""",
    safe=False,
)
"""Looks for handles beside standard input, output, error and the one channel. The host leaves one open on purpose."""


@dataclass(frozen=True)
class Flood:
    """Code that does not stop by itself, and what must become of it."""

    name: str
    code: str
    kinds: frozenset[str]


def _flood(name: str, body: str, *kinds: str) -> Flood:
    lines = "\n".join("    " + line for line in body.splitlines())
    return Flood(name, f"def solve():\n{lines}\n", frozenset(kinds))


FLOODS = [
    _flood("loop", "while True: pass", "timeout"),
    _flood("sleep", "import time\nwhile True: time.sleep(10)", "timeout"),
    _flood("catch_everything", "while True:\n    try:\n        while True: pass\n    except BaseException: pass", "timeout"),
    _flood("ignore_signals", "import signal\nfor n in range(1, 64):\n    try: signal.signal(n, signal.SIG_IGN)\n"
           "    except (OSError, ValueError): pass\nwhile True: pass", "timeout"),
    _flood("close_and_wait", "import os, time\nos.closerange(0, 64)\nwhile True: time.sleep(1)", "timeout"),
    _flood("threads_that_stay", "import threading, time\n"
        "for _ in range(4): threading.Thread(target=time.sleep, args=(99,)).start()\n"
           "while True: time.sleep(1)", "timeout"),
    _flood("regular_expression", "import re\nreturn re.match('(a+)+$', 'a' * 60 + 'b') is None", "timeout", "returned"),
    _flood("power", "return len(str((7 ** 10 ** 7) % (7 ** 10 ** 7 - 1)))", "timeout", "memory", "raised"),
    _flood("huge_power", "return 9 ** 9 ** 9 > 1", "timeout", "memory"),
    _flood("sum_for_ever", "import itertools\nreturn sum(itertools.repeat(1))", "timeout"),
    _flood("memory", "held = []\nwhile True: held.append('x' * 1_000_000)", "memory"),
    _flood("one_block", "return len(bytearray(10 ** 10))", "memory"),
    _flood("mapping", "import mmap\nreturn len(mmap.mmap(-1, 10 ** 10))", "memory", "raised"),
    _flood("list_of_lists", "x = [0]\nwhile True: x = x + x", "memory"),
    _flood("width", "return len('%10000000000d' % 1)", "memory", "raised"),
    _flood("format", "return len('{:>{n}}'.format(1, n=10 ** 10))", "memory", "raised"),
    _flood("recursion", "return solve()", "raised"),
    _flood("deep_recursion", "import sys\nsys.setrecursionlimit(10 ** 9)\nclass A:\n"
        "    def __getattr__(self, n): return getattr(self, n)\n"
           "return A().x", "crashed", "memory", "raised", "timeout"),
    _flood("print", "while True: print('x' * 10_000)", "output"),
    _flood("write_handle", "import os\nwhile True: os.write(1, b'x' * 10_000)", "output"),
    _flood("write_error", "import sys\nwhile True: sys.stderr.write('x' * 10_000)", "output"),
    _flood("write_every_handle", "import os\nwhile True:\n    for n in range(64):\n        try: os.write(n, b'x' * 9_000)\n"
           "        except OSError: pass", "output", "forged", "timeout"),
    _flood("large_value", "return 'x' * 3_000_000", "output"),
    _flood("shared_value", "x = [0] * 10\nfor _ in range(12): x = [x] * 10\nreturn x", "output"),
    _flood("cyclic_value", "x = []\nx.append(x)\nreturn x", "raised"),
    _flood("threads", "import threading, time\nwhile True: threading.Thread(target=time.sleep, args=(99,)).start()",
           "raised", "memory", "timeout", "output", "crashed"),
    _flood("handles", "import os\nheld = []\nwhile True: held.append(os.pipe())", "raised"),
    _flood("alarm", "import signal, time\nsignal.alarm(1)\nsignal.setitimer(signal.ITIMER_REAL, 0.05)\n"
        "time.sleep(9)", "crashed"),
    _flood("exit_status", "import os\nos._exit(3)", "crashed"),
    _flood("abort", "import os\nos.abort()", "crashed"),
    _flood("null_pointer", "import ctypes\nreturn ctypes.string_at(0)", "crashed"),
    _flood("source_bomb", "return eval('(' * 50_000)", "raised", "memory", "crashed"),
]  # fmt: skip
