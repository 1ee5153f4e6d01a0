"""A circuit breaker: after faults in a row the server is left alone for a while, then tried with one request."""

from __future__ import annotations

import threading
import time


class CircuitBreaker:
    """Counts faults in a row. Thread-safe.

    :param failures: faults in a row that open it.
    :param seconds: how long it stays open before one request may try again.
    """

    def __init__(self, failures: int, seconds: float) -> None:
        self._limit = failures
        self._seconds = seconds
        self._lock = threading.Lock()
        self._in_a_row = 0
        self._open_until = 0.0
        self._trying = False

    def open_for(self) -> float:
        """Return the seconds until a request makes sense; 0 = now. Takes no turn."""
        with self._lock:
            if self._in_a_row < self._limit:
                return 0.0
            left = self._open_until - time.monotonic()
            return left if left > 0 else (0.0 if not self._trying else self._seconds)

    def allow(self) -> bool:
        """Whether a request may be sent; each one allowed must end in ``worked``, ``failed`` or ``gave_up``."""
        with self._lock:
            if self._in_a_row < self._limit:
                return True
            if self._trying or time.monotonic() < self._open_until:
                return False
            self._trying = True
            return True

    def worked(self) -> None:
        """Note that the server answered."""
        with self._lock:
            self._in_a_row, self._trying = 0, False

    def failed(self) -> None:
        """Note a fault of the server."""
        with self._lock:
            self._in_a_row, self._trying = self._in_a_row + 1, False
            if self._in_a_row >= self._limit:
                self._open_until = time.monotonic() + self._seconds

    def gave_up(self) -> None:
        """Note a request that says nothing about the server (cancelled, or refused for its content)."""
        with self._lock:
            self._trying = False

    def state(self) -> str:
        """Return "closed" (all is well), "open" (left alone) or "half open" (one request tries), for diagnostics."""
        with self._lock:
            if self._in_a_row < self._limit:
                return "closed"
            return "open" if time.monotonic() < self._open_until else "half open"

    def describe(self) -> str:
        """Return, for people, why the server is left alone."""
        with self._lock:
            left = max(0.0, self._open_until - time.monotonic())
            return (
                f"the model's server failed {self._in_a_row} times in a row and is left alone for another {left:.0f} s"
            )
