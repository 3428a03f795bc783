"""llama.cpp in this process: one server per weights file, a queue in front of it, and a clean end.

It speaks chat-completions dictionaries. LangChain's side is in `local`.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import functools
import os
import queue
import secrets
import threading
import time
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from autodata_core.errors import MissingExtraError, ModelError

__all__ = ["SLOTS", "ContextLengthError", "LlamaError", "LlamaServer", "server_for"]

SLOTS = 2
"""Answers written side by side."""

_QUEUE = 10_000
"""Jobs that may wait; more is a caller without a bound of its own."""

_END_S = 20.0
"""How long the end of the program waits for a prompt that is being read: that part cannot be interrupted."""


class LlamaError(Exception):
    """The server refused or failed; `status_code` as in HTTP."""

    def __init__(self, message: str, status_code: int) -> None:
        super().__init__(message)
        self.status_code = status_code


class ContextLengthError(LlamaError, ValueError):
    """The messages are longer than the context of the model."""


@dataclass
class _Job:
    body: dict[str, Any]
    ends: float
    """Monotonic time after which nobody waits for it."""
    future: Future[dict[str, Any]] = field(default_factory=Future)
    stopped: threading.Event = field(default_factory=threading.Event)

    def over(self) -> bool:
        return self.stopped.is_set() or time.monotonic() > self.ends


class LlamaServer:
    """One model in memory with its worker threads. Loaded at the first job."""

    def __init__(self, weights: Path, n_ctx: int) -> None:
        self._weights = weights
        self._n_ctx = n_ctx
        self._jobs: queue.Queue[_Job | None] = queue.Queue(_QUEUE)
        self._lock = threading.Lock()
        self._server: Any = None
        self._threads: list[threading.Thread] = []
        self._running: set[int] = set()
        self._current: dict[int, _Job] = {}
        self._closed = False

    def complete(self, body: dict[str, Any], timeout_s: float) -> dict[str, Any]:
        """Return the answer to a chat-completions request.

        Raises:
            ContextLengthError: The messages do not fit.
            TimeoutError: It took longer than `timeout_s`; the answer is abandoned.
            LlamaError: Anything else the server says.
        """
        job = self._submit(body, timeout_s)
        try:
            return job.future.result()
        finally:
            job.stopped.set()  # after Ctrl-C nobody wants the rest

    async def acomplete(self, body: dict[str, Any], timeout_s: float) -> dict[str, Any]:
        """The same without blocking the event loop. When cancelled, the answer is abandoned."""
        job = self._submit(body, timeout_s)
        try:
            return await asyncio.wrap_future(job.future)
        finally:
            job.stopped.set()

    def close(self) -> None:
        """Abandon all jobs and free the model."""
        with self._lock:
            self._closed = True
            for job in self._current.values():
                job.stopped.set()
        with contextlib.suppress(queue.Empty):
            while True:
                job_or_none = self._jobs.get_nowait()
                if job_or_none is not None:
                    job_or_none.future.cancel()
        for _ in self._threads:
            self._jobs.put(None)
        ends = time.monotonic() + _END_S
        for thread in self._threads:
            thread.join(max(0.0, ends - time.monotonic()))
        if not any(thread.is_alive() for thread in self._threads):
            self._server = None

    def _submit(self, body: dict[str, Any], timeout_s: float) -> _Job:
        job = _Job(body, time.monotonic() + timeout_s)
        with self._lock:
            if self._closed:
                raise LlamaError("The local model was closed.", 503)
            if not self._threads:
                # Daemons, since the interpreter waits for others before it calls our `atexit` hook, which ends them.
                self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(SLOTS)]
                for thread in self._threads:
                    thread.start()
        try:
            self._jobs.put_nowait(job)
        except queue.Full:
            raise LlamaError(f"More than {_QUEUE} requests wait for the local model.", 429) from None
        return job

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            if not job.future.set_running_or_notify_cancel():
                continue
            with self._lock:
                self._current[id(job)] = job
            try:
                job.future.set_result(self._answer(job))
            except BaseException as error:  # noqa: BLE001 - raised again where the result is waited for
                job.future.set_exception(error)
            finally:
                with self._lock:
                    del self._current[id(job)]

    def _answer(self, job: _Job) -> dict[str, Any]:
        if self._closed or job.over():
            raise TimeoutError("the local model was busy until the deadline")
        answer = _Collected(job)
        # A stream, because only its callback can stop an answer that nobody waits for any more.
        body = {**job.body, "stream": True, "stream_options": {"include_usage": True}}
        server = self._loaded()
        try:
            server.handle_chat_completions(body, answer.add)
        except (ValueError, TypeError) as error:
            raise LlamaError(f"the local model cannot take this request: {error}", 400) from error
        return answer.result()

    def _loaded(self) -> Any:
        with self._lock:
            if self._server is None:
                self._server = _load(self._weights, self._n_ctx)
            return self._server


class _Collected:
    """Puts the pieces of one streamed answer together. Called from llama.cpp's thread."""

    def __init__(self, job: _Job) -> None:
        self._job = job
        self._pieces: list[str] = []
        self._finish: str | None = None
        self._usage: dict[str, Any] = {}
        self._error: dict[str, Any] | None = None

    def add(self, chunk: dict[str, Any]) -> bool:
        """Take one piece; True stops the answer. Must not raise: an exception would be lost in the server."""
        self._error = chunk.get("error") or self._error
        self._usage = chunk.get("usage") or self._usage
        for choice in chunk.get("choices") or ():
            self._pieces.append((choice.get("delta") or {}).get("content") or "")
            self._finish = choice.get("finish_reason") or self._finish
        return self._job.over()

    def result(self) -> dict[str, Any]:
        if self._error is not None:
            message, status = str(self._error.get("message")), int(self._error.get("code") or 500)
            if self._error.get("type") == "exceed_context_size_error":
                raise ContextLengthError(message, status)
            raise LlamaError(message, status)
        if self._finish is None:
            raise TimeoutError("the answer of the local model was abandoned at the deadline")
        return {"text": "".join(self._pieces), "finish_reason": self._finish, "usage": self._usage}


def _load(weights: Path, n_ctx: int) -> Any:
    try:
        import xllamacpp
    except ImportError as error:
        raise MissingExtraError("xllamacpp", "local", "The local model") from error
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    params = xllamacpp.CommonParams()
    params.model.path = str(weights)
    params.n_ctx = n_ctx * SLOTS
    params.n_parallel = SLOTS
    params.n_gpu_layers = 0
    params.cpuparams.n_threads = cores
    params.cpuparams_batch.n_threads = cores
    params.verbosity = -1
    params.warmup = False
    params.cache_ram_mib = 0
    params.ui = False
    params.endpoint_slots = False
    # llama.cpp also opens a port on the loopback address. A key that nobody knows closes it to other users of the machine.
    params.api_keys = [secrets.token_hex(32)]
    try:
        return xllamacpp.Server(params)
    except RuntimeError as error:
        raise ModelError(
            f"The weights {str(weights)!r} cannot be loaded. They may be damaged: run: autodata models pull smollm2"
        ) from error


_servers: dict[tuple[str, int], LlamaServer] = {}
_servers_lock = threading.Lock()


def server_for(weights: Path, n_ctx: int) -> LlamaServer:
    """Return this process's server for a weights file."""
    with _servers_lock:
        _at_exit()
        return _servers.setdefault((str(weights.resolve()), n_ctx), LlamaServer(weights, n_ctx))


@functools.lru_cache(maxsize=1)
def _at_exit() -> None:
    atexit.register(_close_all)
    if hasattr(os, "register_at_fork"):
        # A child has the memory of the server and none of its threads: a call there would wait for ever.
        os.register_at_fork(after_in_child=_forget)


def _close_all() -> None:
    for server in list(_servers.values()):
        server.close()
    _servers.clear()


def _forget() -> None:
    global _servers_lock  # noqa: PLW0603 - the lock may have been held when the process forked
    _servers_lock = threading.Lock()
    _abandoned.extend(_servers.values())
    _servers.clear()


_abandoned: list[LlamaServer] = []
"""Keeps a forked child from running the destructor, which would wait for threads that are not there."""
