"""The queue before the model: so many questions at once, the rest in order, and no more than may wait."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from cc_ros.reasoning.llm.errors import ModelFault
from cc_ros.reasoning.types import Status

POLL_SECONDS = 0.05  # how often a waiting question checks whether it was cancelled


class RequestQueue:
    """A queue for questions. Thread-safe.

    :param parallel: questions at once.
    :param queue: questions that may wait.
    """

    def __init__(self, parallel: int, queue: int) -> None:
        self._parallel = self._free = parallel
        self._queue = queue
        self._lock = threading.Lock()
        self._waiting: deque[threading.Event] = deque()

    @contextmanager
    def place(self, deadline: float, stop: Callable[[], None]) -> Iterator[None]:
        """Wait for a place and hold it within the block.

        :param deadline: on the clock of ``time.monotonic``.
        :param stop: raises where the question was cancelled.
        :raises ModelFault: QUEUE_FULL at once, TIMEOUT, or what ``stop`` raises.
        """
        with self._lock:
            if self._free:
                self._free -= 1
                ticket = None
            elif len(self._waiting) >= self._queue:
                raise ModelFault(
                    Status.QUEUE_FULL,
                    f"{self._parallel} questions are being asked and {len(self._waiting)} wait; try again",
                )
            else:
                ticket = threading.Event()
                self._waiting.append(ticket)
        if ticket is not None:
            self._wait(ticket, deadline, stop)
        try:
            yield
        finally:
            self._release()

    def counts(self) -> tuple[int, int]:
        """Return how many run and how many wait."""
        with self._lock:
            return self._parallel - self._free, len(self._waiting)

    def _wait(self, ticket: threading.Event, deadline: float, stop: Callable[[], None]) -> None:
        try:
            while not ticket.wait(min(POLL_SECONDS, max(0.0, deadline - time.monotonic()))):
                stop()
                if time.monotonic() >= deadline:
                    raise ModelFault(Status.TIMEOUT, "the question waited in the queue until its deadline")
        except BaseException:  # whatever ends the wait, the ticket must not keep a place
            with self._lock:
                given = ticket not in self._waiting
                if not given:
                    self._waiting.remove(ticket)
            if given:  # the place came in the same moment
                self._release()
            raise

    def _release(self) -> None:
        with self._lock:
            if self._waiting:
                self._waiting.popleft().set()
            else:
                self._free += 1
