"""Ceilings of a run: reserve before a try, settle after the call. What is settled and reserved never passes a limit."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

from autodata_core.errors import BudgetError
from autodata_core.records import Usage

__all__ = ["Budget", "BudgetSpentError", "Reservation", "Tries", "another_try"]

_LOOK_AGAIN_S = 0.5
"""A waiting thread is woken by every settled call; this is for the case that nobody wakes it."""


class BudgetSpentError(BudgetError):
    """Nothing is left for the next call. The run ends in good order and can be continued with a higher budget."""


@dataclass(frozen=True)
class Reservation:
    """What may be spent at most."""

    usd: float
    tokens: int
    calls: int = 1

    def plus(self, other: Reservation) -> Reservation:
        """Return the sum of both."""
        return Reservation(self.usd + other.usd, self.tokens + other.tokens, self.calls + other.calls)

    def as_usage(self) -> Usage:
        """Return the reservation as what was used, for calls of which nobody says what they cost."""
        return Usage(calls=self.calls, input_tokens=self.tokens, cost_usd=self.usd, estimated=True)


@dataclass
class Budget:
    """Counts money, calls and tokens against their limits. Thread-safe."""

    usd: float | None = None
    """Most money, US dollars; None is no limit."""
    calls: int | None = None
    tokens: int | None = None
    spent: Usage = field(default_factory=Usage)
    """Settled so far; on resume what the journal says."""
    _reserved_usd: float = 0.0
    _reserved_calls: int = 0
    _reserved_tokens: int = 0
    _changed: threading.Condition = field(default_factory=threading.Condition, repr=False)

    def reserve(self, usd: float, tokens: int) -> Reservation:
        """Set aside what a call may cost at most.

        Raises:
            BudgetSpentError: It does not fit any more; nothing is set aside.
        """
        with self._changed:
            return self._reserve(usd, tokens)

    def reserve_when_free(self, usd: float, tokens: int) -> Reservation:
        """Reserve, waiting while calls in flight hold more than they will use.

        Raises:
            BudgetSpentError: It does not fit, and nothing is in flight that could give something back.
        """
        with self._changed:
            while True:
                try:
                    return self._reserve(usd, tokens)
                except BudgetSpentError:
                    if not self._reserved_calls:
                        raise
                self._changed.wait(_LOOK_AGAIN_S)

    def _reserve(self, usd: float, tokens: int) -> Reservation:
        spent = self.spent
        for name, limit, used in (
            ("usd", self.usd, spent.cost_usd + self._reserved_usd + usd),
            ("calls", self.calls, spent.calls + self._reserved_calls + 1),
            ("tokens", self.tokens, spent.input_tokens + spent.output_tokens + self._reserved_tokens + tokens),
        ):
            if limit is not None and used > limit:
                raise BudgetSpentError(
                    f"budget.{name} = {limit:g} is spent: the next call could bring it to {used:.6g}. "
                    "Raise it and run the same command to go on."
                )
        self._reserved_usd += usd
        self._reserved_calls += 1
        self._reserved_tokens += tokens
        return Reservation(usd, tokens)

    @property
    def in_flight(self) -> int:
        """Tries that are reserved and not settled."""
        return self._reserved_calls

    def settle(self, reservation: Reservation, usage: Usage | None) -> None:
        """Replace a reservation by what was used; None (nobody knows) is charged as reserved."""
        charged = reservation.as_usage() if usage is None else usage
        with self._changed:
            self._release(reservation)
            self.spent = self.spent.plus(charged)

    def release(self, reservation: Reservation) -> None:
        """Give a reservation back: the call was never made."""
        with self._changed:
            self._release(reservation)

    def _release(self, reservation: Reservation) -> None:
        self._reserved_usd -= reservation.usd
        self._reserved_calls -= reservation.calls
        self._reserved_tokens -= reservation.tokens
        if not self._reserved_calls:
            self._reserved_usd = 0.0  # what is left is rounding, and would add up over a long run
        self._changed.notify_all()


@dataclass
class Tries:
    """The tries of one call: each is reserved before it is made, and stays so where nobody knows whether it is billed."""

    budget: Budget
    each: Reservation
    """Of one try. The first is reserved."""
    announce: Callable[[], object] | None = None
    """Writes down that the call is made once more, and that the try before counts as spent; returns when it is on disk."""
    held: Reservation = field(init=False)
    """Of all tries so far."""
    lost: Reservation = field(default=Reservation(0.0, 0, 0), init=False)
    """Of tries that gave no answer and may be on the bill all the same."""
    announced: int = field(default=0, init=False)
    """Tries that were written down one by one."""

    def __post_init__(self) -> None:
        self.held = self.each

    def another(self, *, perhaps_billed: bool) -> bool:
        """Reserve one more try; False when the budget has no room for it, and the call must end.

        Args:
            perhaps_billed: Whether the try before may be on the bill although it gave no answer.

        Raises:
            StoreError: It cannot be written down, so it must not be made: a crash would forget what it cost.
        """
        each = self.each if perhaps_billed else Reservation(0.0, 0)
        try:
            more = self.budget.reserve(each.usd, each.tokens)
        except BudgetSpentError:
            return False
        if perhaps_billed and self.announce is not None:
            try:
                self.announce()
            except BaseException:
                self.budget.release(more)
                raise
            self.announced += 1
        self.held = self.held.plus(more)
        self.lost = self.lost.plus(Reservation(each.usd, each.tokens, 1))
        return True

    def settle(self, usage: Usage | None) -> Usage:
        """Settle the call and return what it was charged, without the tries that were written down one by one.

        Args:
            usage: Of the try that was answered, `calls` counting all tries; None when nobody knows, and the last try is
                charged as reserved.
        """
        used = self.each.as_usage() if usage is None else usage
        if not self.lost.calls:
            self.budget.settle(self.held, used)
            return used
        calls = max(used.calls, self.held.calls)
        lost = Usage(input_tokens=self.lost.tokens, cost_usd=self.lost.usd, estimated=self.lost.tokens > 0)
        self.budget.settle(self.held, used.plus(lost).model_copy(update={"calls": calls}))
        # Whatever was lost may be on the bill, and then it was written down; or it cost nothing but a call.
        left = used if self.announce is not None else used.plus(lost)
        return left.model_copy(update={"calls": calls - self.announced})

    def abandon(self) -> Usage:
        """Settle a call whose last try cost nothing, such as one that met a closed port; return what the others cost."""
        return self.settle(Usage()) if self.lost.calls else self._never_made()

    def _never_made(self) -> Usage:
        self.budget.release(self.held)
        return Usage()

    @contextmanager
    def in_force(self) -> Iterator[None]:
        """Let the model's retry layer ask for more tries while inside."""
        token = _tries.set(self)
        try:
            yield
        finally:
            _tries.reset(token)


_tries: ContextVar[Tries | None] = ContextVar("autodata_tries", default=None)


def another_try(*, perhaps_billed: bool) -> bool:
    """Ask, before a call is tried again, whether the budget allows it. For models that retry; without a budget it does.

    Args:
        perhaps_billed: Whether the try before may be on the bill although it gave no answer (a timeout, a cut connection).

    Returns:
        False when there is no money left: the call ends with what the try before met.
    """
    tries = _tries.get()
    return tries is None or tries.another(perhaps_billed=perhaps_billed)
