"""A clock that stands still while the machine gives it no processor time: what is held to it is not its doing."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator


def ticks(over: threading.Event, period: float) -> Iterator[None]:
    """Yield once a period, in seconds, until ``over``; what was missed is not made up for."""
    due = time.monotonic() + period
    while not over.wait(max(0.0, due - time.monotonic())):
        due = max(due + period, time.monotonic())
        yield


class MachineClock:
    """Tells the seconds that a thread beside others was given since ``with``."""

    def __enter__(self) -> MachineClock:
        self._ticks = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self._thread.join(5)

    @property
    def seconds(self) -> float:
        """Seconds so far."""
        return self._ticks * 0.01

    def _run(self) -> None:
        for _ in ticks(self._over, 0.01):
            self._ticks += 1
