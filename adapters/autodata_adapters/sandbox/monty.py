"""The tier `monty`: a Python interpreter of its own, in worker processes, that has no files, network or processes to give.

Fast and on every system, but it knows a part of the language. What it cannot run is `unsupported`, so that a tier with a
whole Python runs the whole job; an exception that could come from the missing part counts as that.
"""

from __future__ import annotations

import datetime
import os
import re
import threading
from typing import Any

from autodata_adapters.sandbox.running import Job, Outcome
from autodata_adapters.sandbox.tagging import MAX_DEPTH, TagError, TooLargeError, canonical, tagged
from autodata_core.errors import MissingExtraError

__all__ = ["MontySandbox"]

_GRACE_S = 0.5
"""How long a worker may overstay the job's time before it is killed."""

_RAISED = {
    "ArithmeticError", "AssertionError", "Exception", "IndexError", "KeyError", "LookupError", "OverflowError",
    "PermissionError", "RecursionError", "StopIteration", "ValueError", "ZeroDivisionError",
}  # fmt: skip
"""Exceptions that mean the same in every Python. A missing name, attribute, argument or module may be the interpreter's."""

_SURROGATE = re.compile(r"\\[uU](?:0000)?[dD][89a-fA-F]")
"""Written surrogates, which this interpreter would replace silently."""

_LAZY = re.compile(
    r"(?:[^=!<>]=|\breturn\b)\s*(?:(?:map|zip|filter|enumerate|reversed|re\.finditer)\(|\([^\n]*\bfor\b)"
)
"""Iterators that are kept or returned: lists in this interpreter, so that going through them twice would give more."""

_CALLS = """

def autodata_fault(value, depth, left):
    left[0] = left[0] - 1
    if left[0] < 0:
        return 'size'
    kind = type(value)
    if value is None or kind is bool or kind is int or kind is float or kind is complex:
        return ''
    if kind is str or kind is bytes:
        left[0] = left[0] - len(value)
        return ''
    if kind is dict:
        value = [part for pair in value.items() for part in pair]
    elif kind is not list and kind is not tuple and kind is not set and kind is not frozenset:
        return 'returned a value of type ' + kind.__name__
    if depth <= 0:
        return 'returned containers nested too deeply'
    for part in value:
        fault = autodata_fault(part, depth - 1, left)
        if fault:
            return fault
    return ''

def autodata_calls(function, calls, depth, left):
    values = []
    for arguments in calls:
        value = function(*arguments)
        fault = autodata_fault(value, depth, [left])
        if fault:
            return fault
        values.append(value)
    return values

autodata_calls({function}, autodata_jobs, {depth}, {left})
"""
"""Appended to the code. Types are checked inside, because on the way out a function turns into text and a counter into a
dict. Code that replaces these names chooses what it returns, as any code can."""


class MontySandbox:
    """Runs jobs in a pool of worker processes, one session for each job."""

    def __init__(self) -> None:
        try:
            import pydantic_monty
        except ImportError as error:
            raise MissingExtraError("pydantic-monty", "sandbox", "The sandbox tier `monty`") from error
        self._library = pydantic_monty
        self._lock = threading.Lock()
        self._pool: Any = None
        self._owner = 0
        self._closed = False

    @property
    def tier(self) -> str:
        return f"monty/{self._library.__version__}"

    def run(self, job: Job) -> Outcome:
        if _SURROGATE.search(job.code):
            return self._outcome("unsupported", "text with surrogates")
        if _LAZY.search(job.code):
            return self._outcome("unsupported", "an iterator that is kept")
        printed = _Printed(job.limits.output_bytes)
        try:
            value = self._feed(job, printed)
        except self._library.MontyCrashedError as error:
            if error.timed_out:
                return self._outcome("timeout", "its worker was ended for want of time")
            return self._outcome("unsupported", f"its worker ended: {error}")
        except self._library.MontySyntaxError as error:
            return self._outcome("unsupported", f"not read by this interpreter: {error}")
        except self._library.MontyConversionError as error:
            return self._outcome("unsupported", f"arguments or values do not cross: {error}")
        except self._library.MontyRuntimeError as error:
            return self._judge(error, printed)
        except (OSError, ValueError, RuntimeError) as error:  # no worker starts, arguments that do not convert
            return self._outcome("unsupported", f"{type(error).__name__}: {error}")
        if printed.over:
            return self._outcome("output", f"more than {job.limits.output_bytes:,} bytes printed")
        return self._values(value, job)

    def close(self) -> None:
        with self._lock:
            self._closed = True
            pool, self._pool = self._pool, None
            if pool is not None and self._owner == os.getpid():
                pool.__exit__(None, None, None)

    def _feed(self, job: Job, printed: _Printed) -> Any:
        # One feed, so that one clock covers the module and its calls. The blank lines end a last line of any form.
        text = job.code + _CALLS.format(function=job.function, depth=MAX_DEPTH, left=job.limits.output_bytes)
        limits = {
            "max_feed_duration_secs": min(job.limits.wall_s, job.limits.cpu_s),
            "max_memory": job.limits.memory_mb << 20,
            "max_total_sleep_secs": 0.0,
        }
        policy = {
            "datetime": datetime.datetime(2000, 1, 1, tzinfo=datetime.UTC),
            "sleep": "zero",
            "random_start": {"seed": 0},
        }  # the same job gives the same values on every day
        calls = [list(arguments) for arguments in job.calls]
        with self._workers().checkout(limits=limits, os_policy=policy) as session:
            return session.feed_run(text, inputs={"autodata_jobs": calls}, print_callback=printed)

    def _workers(self) -> Any:
        with self._lock:
            if self._closed:
                raise RuntimeError("the sandbox is closed")
            if self._pool is None or self._owner != os.getpid():  # a forked copy must not talk to our workers
                pool = self._library.Monty(
                    max_processes=max(2, os.cpu_count() or 2),
                    feed_duration_limit_grace=_GRACE_S,
                    max_checkouts_per_worker=1_000,
                )
                self._pool, self._owner = pool.__enter__(), os.getpid()
            return self._pool

    def _judge(self, error: Any, printed: _Printed) -> Outcome:
        if printed.over:
            return self._outcome("output", f"more than {printed.limit:,} bytes printed")
        cause = error.exception()
        if "surrogates not allowed" in str(cause):
            return self._outcome("unsupported", str(cause))
        line = f"{type(cause).__name__}: {cause}" if str(cause) else type(cause).__name__
        if type(cause) is TimeoutError and "time limit exceeded" in line:
            return self._outcome("timeout", str(cause))
        if type(cause) is MemoryError:
            return self._outcome("memory", str(cause))
        return self._outcome("raised" if type(cause).__name__ in _RAISED else "unsupported", line)

    def _values(self, found: Any, job: Job) -> Outcome:
        if found == "size":
            return self._outcome("output", f"values of more than {job.limits.output_bytes:,} bytes")
        if type(found) is str:
            return self._outcome("raised", found)
        if type(found) is not list or len(found) != len(job.calls):
            return self._outcome("forged", f"{len(job.calls)} values were expected")
        try:
            values = tuple(tagged(value) for value in found)
        except TooLargeError as error:
            return self._outcome("output", str(error))
        except TagError as error:
            return self._outcome("raised", str(error))
        if len(canonical(list(values))) > job.limits.output_bytes:
            return self._outcome("output", f"values of more than {job.limits.output_bytes:,} bytes")
        return Outcome(kind="returned", values=values, tier=self.tier)

    def _outcome(self, kind: Any, detail: str) -> Outcome:
        return Outcome(kind=kind, detail=detail[:1_000], tier=self.tier)


class _Printed:
    """Counts what is printed; raising ends the delivery, and the worker with its time."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.over = False
        self._heard = 0

    def __call__(self, stream: str, text: str) -> None:
        self._heard += len(text)
        if self._heard > self.limit:
            self.over = True
            raise OverflowError("more output than the limit")
