"""Ceilings of a run: reserve before a call, settle after it. The sum of what is settled and reserved never passes a limit."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from autodata_core.errors import BudgetError
from autodata_core.records import Usage

__all__ = ["Budget", "BudgetSpentError", "Reservation"]


class BudgetSpentError(BudgetError):
    """Nothing is left for the next call. The run ends in good order and can be continued with a higher budget."""


@dataclass(frozen=True)
class Reservation:
    """What one call may cost at most."""

    usd: float
    tokens: int


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
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def reserve(self, usd: float, tokens: int) -> Reservation:
        """Set aside what a call may cost at most.

        Raises:
            BudgetSpentError: It does not fit any more; nothing is set aside.
        """
        with self._lock:
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
        """Calls that are reserved and not settled."""
        return self._reserved_calls

    def settle(self, reservation: Reservation, usage: Usage | None) -> None:
        """Replace a reservation by what was used; None (nobody knows) is charged as reserved."""
        if usage is None:
            usage = Usage(calls=1, input_tokens=reservation.tokens, cost_usd=reservation.usd, estimated=True)
        with self._lock:
            self._release(reservation)
            self.spent = self.spent.plus(usage)

    def release(self, reservation: Reservation) -> None:
        """Give a reservation back: the call was never made."""
        with self._lock:
            self._release(reservation)

    def _release(self, reservation: Reservation) -> None:
        self._reserved_usd -= reservation.usd
        self._reserved_calls -= 1
        self._reserved_tokens -= reservation.tokens
