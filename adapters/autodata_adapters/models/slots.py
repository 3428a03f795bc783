"""A bound on calls in flight that threads and event loops share. First come, first served."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

__all__ = ["Slots"]


class _Waiter:
    """Somebody in the queue. `granted` is only touched under the lock of `Slots`."""

    def __init__(self, wake: Callable[[], object]) -> None:
        self.wake = wake
        self.granted = False


class Slots:
    """`count` slots, or no bound when `count` is None."""

    def __init__(self, count: int | None) -> None:
        self._free = count
        self._lock = threading.Lock()
        self._queue: deque[_Waiter] = deque()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold a slot; blocks the thread until there is one."""
        event = threading.Event()
        waiter = self._enter(_Waiter(event.set))
        try:
            if waiter is not None:
                event.wait()
            yield
        finally:
            self._leave(waiter)

    @asynccontextmanager
    async def aheld(self) -> AsyncIterator[None]:
        """Hold a slot; lets other tasks run until there is one."""
        loop = asyncio.get_running_loop()
        event = asyncio.Event()
        waiter = self._enter(_Waiter(lambda: loop.call_soon_threadsafe(event.set)))
        try:
            if waiter is not None:
                await event.wait()
            yield
        finally:
            self._leave(waiter)

    def _enter(self, waiter: _Waiter) -> _Waiter | None:
        """Take a slot now (None), or queue up (the waiter)."""
        with self._lock:
            if self._free is None:
                return None
            if self._free > 0:
                self._free -= 1
                return None
            self._queue.append(waiter)
            return waiter

    def _leave(self, waiter: _Waiter | None) -> None:
        """Give the slot to the next in line. A waiter that gave up before its turn has none to give."""
        with self._lock:
            if self._free is None:
                return
            if waiter is not None and not waiter.granted:
                self._queue.remove(waiter)
                return
            while self._queue:
                following = self._queue.popleft()
                following.granted = True
                try:
                    following.wake()
                except RuntimeError:
                    continue  # its event loop was closed while it waited
                return
            self._free += 1
