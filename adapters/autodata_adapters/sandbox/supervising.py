"""One child process under the eye of the host: start it, count what it says, end it in time, read its one record.

A record that is not exactly in the one form, a second one, or an exit that is not clean is never a value. Which walls the
child puts up does not live here.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import secrets
import selectors
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from autodata_adapters.sandbox.child import framed
from autodata_adapters.sandbox.interpreter import HERE
from autodata_adapters.sandbox.running import Job, Outcome
from autodata_adapters.sandbox.tagging import TagError, untagged

__all__ = ["ChildSandbox"]

_START = (
    "import sys,types;"
    "package=types.ModuleType('sandbox');package.__path__=[{here!r}];sys.modules['sandbox']=package;"
    "from sandbox.child import main;main({channel})"
)
_ENVIRONMENT = {"PYTHONHASHSEED": "0", "LC_ALL": "C.UTF-8", "TZ": "UTC0", "MALLOC_ARENA_MAX": "1"}
_ROOM = 1_024  # bytes of a record's frame and detail, on top of the output that a job may make
_FORMS = {
    "returned": {"kind", "values"},
    **{kind: {"kind", "detail"} for kind in ("raised", "unsupported", "memory", "output", "broken")},
}


class ChildSandbox:
    """Runs each job in a new process of the same Python. One of its tiers is made by giving it a command and walls."""

    def __init__(self, tier: str, command: Sequence[str], walls: Callable[[], dict[str, Any] | None]) -> None:
        """Create it; processes start with the jobs.

        Args:
            tier: Name and version for outcomes.
            command: Starts a bare Python; the program is appended.
            walls: Called once for each job, returns what the child confines itself to; None for no walls.
        """
        self._tier = tier
        self._command = tuple(command)
        self._walls = walls
        self._places = threading.BoundedSemaphore(max(2, os.cpu_count() or 2))  # a wall clock means little in a crowd
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[bytes]] = set()
        self._spawner: ThreadPoolExecutor | None = None
        self._owner = 0
        self._closed = False

    @property
    def tier(self) -> str:
        return self._tier

    def run(self, job: Job) -> Outcome:
        nonce = secrets.token_hex(16)
        asked = {
            "nonce": nonce,
            "code": job.code,
            "function": job.function,
            "calls": job.calls,
            "confine": self._walls(),
            "limits": {"cpu_s": math.ceil(job.limits.cpu_s), "memory_bytes": job.limits.memory_mb << 20},
        }
        text = json.dumps(asked).encode("ascii")
        with self._places, contextlib.ExitStack() as opened:
            try:
                watch = _Watch(opened, text, job)
                child = self._spawn(watch)
            except OSError as error:
                return self._outcome("unsupported", f"no process could be started: {error}")
            try:
                watch.follow(child)
            finally:
                self._end(child)
            return self._judge(watch, nonce, len(job.calls), child.returncode)

    def close(self) -> None:
        with self._lock:
            self._closed = True
            spawner, self._spawner = self._spawner, None
            running = list(self._running)
        for child in running:
            _kill(child)
        if spawner is not None:
            spawner.shutdown(wait=True)

    def _spawn(self, watch: _Watch) -> subprocess.Popen[bytes]:
        """Start the child from a thread that lives as long as the sandbox: the kernel ends a child with the thread."""
        with self._lock:
            if self._closed:
                raise OSError("the sandbox is closed")
            if self._spawner is None or self._owner != os.getpid():  # a forked copy has no threads of ours
                self._spawner, self._owner = ThreadPoolExecutor(1, "sandbox"), os.getpid()
            child = self._spawner.submit(watch.start, self._command).result()
            self._running.add(child)
            return child

    def _end(self, child: subprocess.Popen[bytes]) -> None:
        _kill(child)
        child.wait()
        with self._lock:
            self._running.discard(child)

    def _judge(self, watch: _Watch, nonce: str, calls: int, status: int) -> Outcome:
        if watch.ended:
            return self._outcome(watch.ended, watch.why)
        number = (
            -status if status < 0 else status - 128 if status > 128 else 0
        )  # a wrapper reports signals the second way
        if number == signal.SIGXCPU:
            return self._outcome("timeout", "the limit on CPU time")
        if number:
            return self._outcome("crashed", f"ended by signal {number}")
        if status:
            return self._outcome("crashed", f"ended with status {status}: {_last_line(watch.said)}")
        if not watch.record:
            return self._outcome("crashed", "ended without a record")
        try:
            record = _read_record(bytes(watch.record), nonce)
            if record["kind"] == "broken":
                return self._outcome("unsupported", f"the process could not be confined: {record['detail']}")
            if record["kind"] != "returned":
                return self._outcome(record["kind"], record["detail"])
            if len(record["values"]) != calls:
                raise TagError(f"{calls} values were expected")
            for value in record["values"]:
                untagged(value)
        except (ValueError, RecursionError) as error:
            return self._outcome("forged", f"the record does not have its form: {error}")
        return Outcome(kind="returned", values=tuple(record["values"]), tier=self._tier)

    def _outcome(self, kind: Any, detail: str) -> Outcome:
        return Outcome(kind=kind, detail=detail[:1_000], tier=self._tier)


class _Watch:
    """The pipes of one child, and what came through them so far."""

    def __init__(self, opened: contextlib.ExitStack, text: bytes, job: Job) -> None:
        self.record = bytearray()
        self.said = bytearray()
        self.ended: str = ""
        """Why the host ended it: `timeout` or `output`; empty when it ended by itself."""
        self.why = ""
        self._limits = job.limits
        self._left = memoryview(text)
        self._heard = 0
        self._deadline = 0.0
        self._ends: dict[str, int] = {}
        for name in ("job", "record", "speech"):
            for end, handle in zip(("out", "in"), os.pipe(), strict=True):
                self._ends[f"{name} {end}"] = handle
                opened.callback(self._close, f"{name} {end}")

    def start(self, command: Sequence[str]) -> subprocess.Popen[bytes]:
        """Start the child; its ends of the pipes are closed here."""
        self._deadline = time.monotonic() + self._limits.wall_s
        channel = self._ends["record in"]
        child = subprocess.Popen(  # noqa: S603 - our own interpreter and program
            [*command, "-c", _START.format(here=HERE, channel=channel)],
            stdin=self._ends["job out"],
            stdout=self._ends["speech in"],
            stderr=self._ends["speech in"],
            pass_fds=(channel,),
            env=_ENVIRONMENT,
            cwd="/",
            start_new_session=True,
        )
        for name in ("job out", "record in", "speech in"):
            self._close(name)
        return child

    def follow(self, child: subprocess.Popen[bytes]) -> None:
        """Send the job and read until the child ends, or must."""
        with selectors.DefaultSelector() as ready:
            os.set_blocking(self._ends["job in"], False)
            ready.register(self._ends["job in"], selectors.EVENT_WRITE, self._send)
            ready.register(self._ends["record out"], selectors.EVENT_READ, self._hear_record)
            ready.register(self._ends["speech out"], selectors.EVENT_READ, self._hear_speech)
            while ready.get_map() and not self.ended:
                left = self._deadline - time.monotonic()
                for key, _ in ready.select(max(left, 0.0)):
                    if key.data(key.fd):
                        ready.unregister(key.fd)
                        if key.data == self._send:
                            self._close("job in")
                if time.monotonic() >= self._deadline:
                    self._stop("timeout", f"not done within {self._limits.wall_s:g} s")
        try:
            child.wait(max(self._deadline - time.monotonic(), 0.0) if not self.ended else 0.0)
        except subprocess.TimeoutExpired:
            if not self.ended:
                self._stop("timeout", f"not done within {self._limits.wall_s:g} s")

    def _send(self, handle: int) -> bool:
        try:
            self._left = self._left[os.write(handle, self._left[: 1 << 16]) :]
        except BlockingIOError:
            return False
        except BrokenPipeError:
            return True
        return not self._left

    def _hear_record(self, handle: int) -> bool:
        part = os.read(handle, 1 << 16)
        self.record += part
        if len(self.record) > self._limits.output_bytes + _ROOM:
            self._stop("output", f"values of more than {self._limits.output_bytes:,} bytes")
        return not part

    def _hear_speech(self, handle: int) -> bool:
        part = os.read(handle, 1 << 16)
        self._heard += len(part)
        self.said = (self.said + part)[-2_000:]
        if self._heard > self._limits.output_bytes:
            self._stop("output", f"more than {self._limits.output_bytes:,} bytes printed")
        return not part

    def _stop(self, kind: str, why: str) -> None:
        self.ended, self.why = kind, why

    def _close(self, name: str) -> None:
        handle = self._ends.pop(name, None)
        if handle is not None:
            os.close(handle)


def _read_record(text: bytes, nonce: str) -> dict[str, Any]:
    """Return the record in `text`, which holds exactly one.

    Raises:
        ValueError: Anything else is in it.
    """
    head, _, rest = text.partition(b"\n")
    if text != framed(nonce, rest[:-1]) or len(head) > 100:
        raise ValueError("one frame was expected")
    record = json.loads(rest, parse_int=_no_number, parse_float=_no_number, parse_constant=_no_number)
    if type(record) is not dict or _FORMS.get(str(record.get("kind"))) != set(record):
        raise ValueError("no known kind")
    if type(record.get("detail", "")) is not str or type(record.get("values", [])) is not list:
        raise ValueError("text and values were expected")
    if json.dumps(record, separators=(",", ":")).encode("ascii") != rest[:-1]:  # double keys, spaces
        raise ValueError("the one text of a record was expected")
    return record


def _no_number(text: str) -> Any:
    raise ValueError(f"a bare number: {text[:20]}")


def _kill(child: subprocess.Popen[bytes]) -> None:
    """End the child and what is in its group. Not yet waited for, so its id belongs to nobody else."""
    if child.returncode is None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, signal.SIGKILL)
        with contextlib.suppress(ProcessLookupError):
            child.kill()


def _last_line(said: bytes | bytearray) -> str:
    lines = bytes(said).decode("utf-8", "replace").strip().splitlines()
    return lines[-1][:300] if lines else "nothing said"
