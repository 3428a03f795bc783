"""llama.cpp in this process: a pool of engines per weights file, a queue in front of it, and a clean end.

It speaks chat-completions dictionaries. LangChain's side is in `local`.

An engine has one thread and writes one answer at a time; the pool has two. Measured with SmolLM2-135M on two cores: two engines
wrote 110 tokens a second, one engine with two slots 55, and one with two threads stood still (5 a second) whenever something
else ran, since its threads spin for each other. Batching two answers also changes their numbers, hence their text.
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

__all__ = ["ContextLengthError", "LlamaError", "LlamaPool", "engines", "pool_for"]

_ENGINES = 2
"""Answers written side by side, if there are as many cores. Each costs about 200 MB besides the weights, which are shared."""

_QUEUE = 10_000
"""Jobs that may wait; more is a caller without a bound of its own."""

_PIECE = 128
"""Tokens of a prompt that are read at a time. Between two an answer can be abandoned; one takes about half a second."""

_END_S = 30.0
"""How long the end of the program waits for the engines at most. Leaving while one reads crashes the interpreter."""


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


class LlamaPool:
    """Engines for one weights file. Each is loaded by its worker thread at the first job."""

    def __init__(self, weights: Path, n_ctx: int) -> None:
        self._weights = weights
        self._n_ctx = n_ctx
        self._jobs: queue.Queue[_Job | None] = queue.Queue(_QUEUE)
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
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

    def _submit(self, body: dict[str, Any], timeout_s: float) -> _Job:
        job = _Job(body, time.monotonic() + timeout_s)
        with self._lock:
            if self._closed:
                raise LlamaError("The local model was closed.", 503)
            if not self._threads:
                # Daemons, since the interpreter waits for others before it calls our `atexit` hook, which ends them.
                self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(engines())]
                for thread in self._threads:
                    thread.start()
        try:
            self._jobs.put_nowait(job)
        except queue.Full:
            raise LlamaError(f"More than {_QUEUE} requests wait for the local model.", 429) from None
        return job

    def _work(self) -> None:
        engine: _Engine | None = None
        while (job := self._jobs.get()) is not None:
            if not job.future.set_running_or_notify_cancel():
                continue
            with self._lock:
                self._current[id(job)] = job
            try:
                if self._closed or job.over():
                    raise TimeoutError("the local model was busy until the deadline")
                engine = engine or _Engine(self._weights, self._n_ctx)
                job.future.set_result(engine.answer(job))
            except BaseException as error:  # noqa: BLE001 - raised again where the result is waited for
                job.future.set_exception(error)
            finally:
                with self._lock:
                    del self._current[id(job)]


class _Engine:
    """One loaded model, used by one thread.

    It keeps the prompt it read last, so that a further answer to it costs a tenth. A kept prompt must not change an answer,
    though: reading a single token takes another path through the arithmetic than reading several, and an equal prompt leaves
    only its last token to read. So a longer prompt is read before every prompt, which always leaves the last five tokens. With
    that, and without flash attention, every log-probability was equal to the one of an engine that keeps nothing.
    """

    def __init__(self, weights: Path, n_ctx: int) -> None:
        self._server = _load(weights, n_ctx)

    def answer(self, job: _Job) -> dict[str, Any]:
        # A stream, because only its callback can stop what nobody waits for any more; progress, because reading counts too.
        live = {"stream": True, "return_progress": True, "stream_options": {"include_usage": True}}
        answer = _Collected(job)
        try:
            self._server.handle_chat_completions(
                {"messages": _longer(job.body["messages"]), "max_tokens": 0, **live}, lambda _: job.over()
            )
            if not job.over():
                self._server.handle_chat_completions({**job.body, **live}, answer.add)
        except (ValueError, TypeError) as error:
            raise LlamaError(f"the local model cannot take this request: {error}", 400) from error
        return answer.result()


def _longer(messages: list[dict[str, str]]) -> list[dict[str, str]]:
    return [*messages[:-1], {**messages[-1], "content": messages[-1]["content"] + " ."}]


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
    params = xllamacpp.CommonParams()
    params.model.path = str(weights)
    params.n_ctx = n_ctx
    params.n_parallel = 1
    params.n_gpu_layers = 0
    params.cpuparams.n_threads = 1
    params.cpuparams_batch.n_threads = 1
    # See `_Engine`. With flash attention 2 of 12 texts were equal when the prompt had been kept.
    params.cache_prompt = True
    params.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
    params.n_batch = _PIECE
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


def engines() -> int:
    """Return how many answers a pool writes side by side."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(_ENGINES, cores)


_pools: dict[tuple[str, int], LlamaPool] = {}
_pools_lock = threading.Lock()
_abandoned: list[LlamaPool] = []
"""Keeps a forked child from freeing engines, which would wait for threads that are not there."""


def pool_for(weights: Path, n_ctx: int) -> LlamaPool:
    """Return this process's engines for a weights file."""
    with _pools_lock:
        _at_exit()
        key = (str(weights.resolve()), n_ctx)
        if key not in _pools:
            _pools[key] = LlamaPool(weights, n_ctx)
        return _pools[key]


@functools.lru_cache(maxsize=1)
def _at_exit() -> None:
    atexit.register(_close_all)
    if hasattr(os, "register_at_fork"):
        # A child has the memory of the engines and none of their threads: a call there would wait for ever.
        os.register_at_fork(after_in_child=_forget)


def _close_all() -> None:
    for pool in list(_pools.values()):
        pool.close()
    _pools.clear()


def _forget() -> None:
    global _pools_lock  # noqa: PLW0603 - the lock may have been held when the process forked
    _pools_lock = threading.Lock()
    _abandoned.extend(_pools.values())
    _pools.clear()
