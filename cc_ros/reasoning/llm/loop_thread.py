"""A thread with an event loop that holds the connections, and the way into it from other threads."""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from typing import Any, TypeVar

from cc_ros.reasoning.llm.errors import ModelFault
from cc_ros.reasoning.types import Status

T = TypeVar("T")
POLL_SECONDS = 0.05  # how often a waiting thread checks whether its question was cancelled
LATE_SECONDS = 0.25  # after the deadline, what the loop may need on a busy machine to notice it
CLOSE_SECONDS = 2.0
_END = object()


class LoopThread:
    """Runs coroutines in a thread of its own while the calling thread waits for them."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        # For name look-ups. One of ours, since the loop's own can only be shut down by waiting for them.
        self._names = ThreadPoolExecutor(4, "cc_ros reasoner names")
        self._loop.set_default_executor(self._names)
        self._lock = threading.Lock()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="cc_ros reasoner", daemon=True)
        self._thread.start()

    def start(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Start work without waiting for it.

        :raises ModelFault: CLOSED.
        """
        with self._lock:
            if not self._closed:
                return asyncio.run_coroutine_threadsafe(work, self._loop)
        work.close()
        raise ModelFault(Status.CLOSED, "the reasoner is shutting down")

    def wait(
        self,
        make: Callable[[Callable[[Any], None]], Coroutine[Any, Any, T]],
        deadline: float,
        stop: Callable[[], None],
        on_event: Callable[[Any], None],
    ) -> T:
        """Run work to its end and return its result; leaving early, by whatever exception, cancels it.

        :param make: given a function that takes events, returns the work.
        :param deadline: on the clock of ``time.monotonic``; the work is expected to keep it.
        :param stop: called now and then; raises where the question was cancelled.
        :param on_event: called with each event, in the calling thread.
        :raises ModelFault: TIMEOUT where the work did not keep the deadline.
        """
        events: queue.SimpleQueue[Any] = queue.SimpleQueue()
        future = self.start(make(events.put))
        future.add_done_callback(lambda _: events.put(_END))
        try:
            while True:
                stop()
                if time.monotonic() > deadline + LATE_SECONDS:
                    raise ModelFault(Status.TIMEOUT, "the model did not answer in time")
                try:
                    event = events.get(timeout=POLL_SECONDS)
                except queue.Empty:
                    continue
                if event is _END:
                    return future.result()
                on_event(event)
        except CancelledError:
            raise ModelFault(Status.CLOSED, "the reasoner is shutting down") from None
        finally:
            future.cancel()

    def close(self, last: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Cancel all work, run ``last``, and end the thread."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        asyncio.run_coroutine_threadsafe(self._shut(last), self._loop)
        self._thread.join()

    async def _shut(self, last: Callable[[], Coroutine[Any, Any, None]]) -> None:
        try:
            tasks = asyncio.all_tasks() - {asyncio.current_task()}
            for task in tasks:
                task.cancel()
            if tasks:
                await asyncio.wait(tasks, timeout=CLOSE_SECONDS)
            await asyncio.wait_for(last(), CLOSE_SECONDS)
            await self._loop.shutdown_asyncgens()
        finally:
            self._names.shutdown(wait=False, cancel_futures=True)
            self._loop.stop()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
        finally:
            self._loop.close()
