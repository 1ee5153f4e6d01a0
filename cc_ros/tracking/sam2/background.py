"""Run the search for objects in small pieces, between frames."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from concurrent.futures import Future
from contextlib import AbstractContextManager, nullcontext
from typing import Generic, TypeVar

from cc_ros.tracking.priority import give_way

T = TypeVar("T")


class IdleWorker(Generic[T]):
    """Runs one generator at a time on a thread, one ``next`` after another, and only while it is allowed to.

    A piece that has begun runs to its end, so that a frame shares the device with one piece at most. Each ``resume``
    is good for at least one piece: also a caller who never rests gets results.

    :param context: entered by the thread, for all its life.
    """

    def __init__(self, context: Callable[[], AbstractContextManager[object]] = nullcontext) -> None:
        self._context = context
        self._idle = threading.Event()
        self._work: tuple[Generator[None, None, T], Future[T]] | None = None
        self._closed = False
        self._thread: threading.Thread | None = None

    @property
    def busy(self) -> bool:
        """Whether work is under way or its result has not been taken."""
        return self._work is not None

    def start(self, work: Generator[None, None, T]) -> None:
        """Take on ``work``; what was under way is dropped."""
        self._work = work, Future()
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="cc-discovery", daemon=True)
            self._thread.start()

    def resume(self) -> None:
        """Allow work: no frame is waiting."""
        self._idle.set()

    def pause(self) -> None:
        """Begin no further piece."""
        self._idle.clear()

    def take(self) -> T | None:
        """Return the result once it is there, else None.

        :raises Exception: what the work raised.
        """
        if self._work is None or not self._work[1].done():
            return None
        (_, result), self._work = self._work, None
        return result.result()

    def drop(self) -> None:
        """Give up the work under way and its result."""
        self._work = None

    def close(self) -> None:
        """Stop the thread; returns when the piece under way is done."""
        self._closed = True
        self.drop()
        self._idle.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        give_way()
        with self._context():
            while not self._closed:
                self._idle.wait()
                work, result = self._work or (None, None)
                if work is None or result is None or result.done():
                    self._idle.clear()  # until the next resume
                    continue
                try:
                    next(work)
                except StopIteration as end:
                    result.set_result(end.value)
                except Exception as error:  # raised again where the result is taken
                    result.set_exception(error)
