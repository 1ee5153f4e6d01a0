"""Whether messages still come."""

from __future__ import annotations

import threading


class Stream:
    """When a message last came whose stamp had not been there before: a driver that repeats itself is not alive.

    Thread-safe.

    :param limit: seconds of silence after which it is stale.
    """

    def __init__(self, limit: float) -> None:
        self.limit = limit
        self._lock = threading.Lock()
        self._stamp = -1
        self._at = -float("inf")

    def heard(self, stamp: int, now: float) -> None:
        """Take note of a message.

        :param stamp: its own, nanoseconds.
        :param now: seconds of a monotonic clock.
        """
        with self._lock:
            if stamp != self._stamp:
                self._stamp, self._at = stamp, now

    def silence(self, now: float) -> float:
        """Return the seconds since the last message; infinite before the first."""
        with self._lock:
            return now - self._at

    def stale(self, now: float) -> bool:
        """Whether it has been silent for too long."""
        return self.silence(now) > self.limit

    @property
    def stamp(self) -> int:
        """The stamp of the newest message, nanoseconds; -1 before the first."""
        with self._lock:
            return self._stamp
