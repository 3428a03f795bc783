"""What all callers of one endpoint share: how many may call at once, from when on, and whether anybody answers there.

Time is given by the caller and never read here, so that every decision can be replayed. What a failure means is in `failures`.
"""

from __future__ import annotations

import asyncio
import hashlib
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Hashable, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from weakref import WeakValueDictionary

__all__ = ["Breaker", "Endpoint", "Endpoints", "Gate", "Slots", "Ticket"]

_TRIP_AFTER = 10
"""Failed tries in a row after which nobody is believed to be there: more than one call makes. Ours."""
_WINDOW_S = 600.0
"""A failure longer ago than this says nothing about now. Ours."""
_FIRST_COOLDOWN_S = 5.0
_LONGEST_COOLDOWN_S = 60.0
"""How long an endpoint that is down is left alone; doubles with each probe that fails. Ours."""
_POLL_S = 0.1
"""How often those who wait look whether the probe came back."""
_SPREAD = 0.25
_LEAST_SPREAD_S, _MOST_SPREAD_S = 0.05, 5.0
"""After a wait that the provider asked for, callers start within this part of it, one after the other. Ours."""


class Ticket:
    """A place in the line, then a slot. Only touched under the lock of its `Slots`."""

    def __init__(self, wake: Callable[[], object]) -> None:
        self._wake = wake
        self.granted = False
        self.left = False


class Slots:
    """A bound on calls in flight that adapts: it halves when the provider is overloaded and grows by one per full round.

    Threads and event loops share it. First come, first served.
    """

    def __init__(self, bound: int | None) -> None:
        """Start at `bound`, which is also the most there will be; None is no bound until the first overload."""
        self._bound = bound
        self._limit: float | None = bound
        self._in_flight = 0
        self._cuts = 0
        self._lock = threading.Lock()
        self._queue: deque[Ticket] = deque()

    @property
    def limit(self) -> int | None:
        """Calls that may be in flight now."""
        return None if self._limit is None else int(self._limit)

    @property
    def in_flight(self) -> int:
        return self._in_flight

    @property
    def cuts(self) -> int:
        """How often the limit was halved; a try keeps the number it started with."""
        return self._cuts

    def narrow(self, bound: int | None) -> None:
        """Keep to `bound` as well: of several that share the slots the strictest counts."""
        with self._lock:
            if bound is not None:
                self._bound = bound if self._bound is None else min(bound, self._bound)
                self._limit = self._bound if self._limit is None else min(self._limit, self._bound)

    def slow_down(self, cuts: int) -> None:
        """Halve the limit, unless it was halved since the try began: one overload refuses many tries at once."""
        with self._lock:
            if cuts == self._cuts:
                now = self._in_flight if self._limit is None else self._limit
                self._limit = max(1.0, now / 2)
                self._cuts += 1

    def speed_up(self, cuts: int) -> None:
        """Grow after a try that succeeded; a full round of them makes one more slot."""
        with self._lock:
            if self._limit is None or cuts != self._cuts:
                return
            grown = self._limit + 1 / self._limit
            self._limit = grown if self._bound is None else min(grown, float(self._bound))
            self._grant()

    def enter(self, wake: Callable[[], object]) -> Ticket:
        """Return a ticket that is granted now, or will be before `wake` is called. Every ticket must `leave`."""
        ticket = Ticket(wake)
        with self._lock:
            self._queue.append(ticket)
            self._grant(silently=ticket)
        return ticket

    def leave(self, ticket: Ticket) -> None:
        """Give the slot, or the place in the line, back. Twice is once."""
        with self._lock:
            if ticket.left:
                return
            ticket.left = True
            if ticket.granted:
                self._in_flight -= 1
            else:
                self._queue.remove(ticket)
            self._grant()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold a slot; blocks the thread until there is one."""
        ticket = self.take()
        try:
            yield
        finally:
            self.leave(ticket)

    @asynccontextmanager
    async def aheld(self) -> AsyncIterator[None]:
        """Hold a slot; lets other tasks run until there is one."""
        ticket = await self.atake()
        try:
            yield
        finally:
            self.leave(ticket)

    def take(self) -> Ticket:
        """Return a granted ticket; blocks the thread until there is a slot."""
        event = threading.Event()
        ticket = self.enter(event.set)
        try:
            if not ticket.granted:
                event.wait()
        except BaseException:
            self.leave(ticket)
            raise
        return ticket

    async def atake(self) -> Ticket:
        """The same; lets other tasks run."""
        loop = asyncio.get_running_loop()
        event = asyncio.Event()
        ticket = self.enter(lambda: loop.call_soon_threadsafe(event.set))
        try:
            if not ticket.granted:
                await event.wait()
        except BaseException:
            self.leave(ticket)
            raise
        return ticket

    def _grant(self, silently: Ticket | None = None) -> None:
        while self._queue and (self._limit is None or self._in_flight < int(self._limit)):
            ticket = self._queue.popleft()
            ticket.granted = True
            self._in_flight += 1
            if ticket is silently:
                continue  # whoever enters sees it at once
            try:
                ticket._wake()
            except RuntimeError:  # its event loop was closed while it waited
                ticket.left = True
                self._in_flight -= 1


class Gate:
    """Holds every caller back when the provider asked for a wait, and lets them out one by one."""

    def __init__(self) -> None:
        self._closed_until = 0.0
        self._next_start = 0.0
        self._spacing_s = 0.0
        self._lock = threading.Lock()

    def close(self, now: float, wait_s: float, callers: int) -> None:
        """Start nobody for `wait_s` seconds; a longer wait that is in force stays."""
        with self._lock:
            self._closed_until = max(self._closed_until, now + wait_s)
            self._next_start = max(self._next_start, self._closed_until)
            spread_s = min(_MOST_SPREAD_S, max(_LEAST_SPREAD_S, wait_s * _SPREAD))
            self._spacing_s = spread_s / max(1, callers)

    def open(self) -> None:
        """Stop spacing the callers out: one came through."""
        with self._lock:
            self._spacing_s = 0.0
            self._next_start = self._closed_until

    def is_closed(self, now: float) -> bool:
        return now < self._closed_until

    def wait_s(self, now: float) -> float:
        """Return how long the next caller would wait, without taking its turn."""
        return max(0.0, self._next_start - now)

    def turn_s(self, now: float, chance: float) -> float:
        """Take the next turn and return the seconds until it comes.

        Args:
            now: The present time.
            chance: In [0, 1); by how much the turn after this one is late, so that several processes do not march in step.
        """
        with self._lock:
            start = max(now, self._next_start)
            if self._spacing_s:
                self._next_start = start + self._spacing_s * (0.5 + chance / 2)
            return start - now


class Breaker:
    """Knows whether anybody answers. After many failures in a row nobody calls; then one probes for all."""

    def __init__(self) -> None:
        self._failures = 0
        self._failed_at = 0.0
        self._open_until: float | None = None
        self._cooldown_s = _FIRST_COOLDOWN_S
        self._probing = False
        self._trips = 0
        self._lock = threading.Lock()

    @property
    def is_open(self) -> bool:
        return self._open_until is not None

    @property
    def trips(self) -> int:
        """How often it opened, probes that failed included. Who waited while this grew has waited for a probe in vain."""
        return self._trips

    def wait_s(self, now: float) -> float:
        """Return the seconds after which to ask again, 0 to go on."""
        with self._lock:
            if self._open_until is None:
                return 0.0
            return _POLL_S if self._probing else max(0.0, self._open_until - now)

    def claim(self, now: float) -> bool | None:
        """Take the right to call: False for a plain call, True for the probe, None when another one probes or it is too early."""
        with self._lock:
            if self._open_until is None:
                return False
            if self._probing or now < self._open_until:
                return None
            self._probing = True
            return True

    def unclaim(self) -> None:
        """Give the probe back: it was cancelled, or said nothing either way."""
        with self._lock:
            self._probing = False

    def answered(self) -> None:
        """Somebody answered, even if only to refuse."""
        with self._lock:
            self._failures, self._open_until, self._probing = 0, None, False
            self._cooldown_s = _FIRST_COOLDOWN_S

    def failed(self, now: float, *, probe: bool) -> None:
        """A try ended without an answer."""
        with self._lock:
            self._failures = 1 if now - self._failed_at > _WINDOW_S else self._failures + 1
            self._failed_at = now
            if probe:
                self._cooldown_s = min(_LONGEST_COOLDOWN_S, self._cooldown_s * 2)
                self._probing = False
            elif self._open_until is not None or self._failures < _TRIP_AFTER:
                return  # a straggler that was sent before it opened does not prolong it
            self._open_until = now + self._cooldown_s
            self._trips += 1


class Endpoint:
    """One address with one key."""

    def __init__(self, bound: int | None = None) -> None:
        self.slots = Slots(bound)
        self.gate = Gate()
        self.breaker = Breaker()

    def overloaded(self, cuts: int, now: float, wait_s: float | None) -> None:
        """Slow everybody down: the provider refused a try that began after `cuts` cuts, and may have asked for a wait."""
        self.slots.slow_down(cuts)
        if wait_s is not None:
            self.gate.close(now, wait_s, self.slots.limit or 1)

    def succeeded(self, cuts: int, now: float) -> None:
        self.slots.speed_up(cuts)
        self.breaker.answered()
        if not self.gate.is_closed(now):
            self.gate.open()


class Endpoints:
    """Finds the endpoint that models share. One lives as long as a model that uses it."""

    def __init__(self) -> None:
        self._known: WeakValueDictionary[Hashable, Endpoint] = WeakValueDictionary()
        self._lock = threading.Lock()

    def shared(self, url: str, keys: Iterable[str], clock: Hashable, bound: int | None) -> Endpoint:
        """Return the endpoint for an address and its keys; one of its own for a model that has neither.

        Args:
            url: Base URL, empty for the provider's own.
            keys: The secrets that go there; with the provider's own URL they tell accounts apart.
            clock: Models of one endpoint must read one clock.
            bound: Calls in flight at most.
        """
        digests = frozenset(hashlib.sha256(key.encode("utf-8", "replace")).digest() for key in keys if key)
        if not url and not digests:
            return Endpoint(bound)
        with self._lock:
            endpoint = self._known.get((url, digests, clock))
            if endpoint is None:
                endpoint = self._known[url, digests, clock] = Endpoint(bound)
        endpoint.slots.narrow(bound)
        return endpoint
