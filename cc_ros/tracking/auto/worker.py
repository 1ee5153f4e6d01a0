"""Run a slow tracker in a thread of its own, one frame at a time."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass

import numpy as np

from cc_ros.errors import CCError
from cc_ros.frame import Frame
from cc_ros.tracking.auto import constants as const
from cc_ros.tracking.base import SlowBackend, Tracked, Tracker
from cc_ros.tracking.priority import give_way

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Job:
    """One frame for the slow tracker.

    :param episode: a job of another episode than the one before starts with a reset.
    :param seed: HxW uint16 objects of this frame, to be followed alone; None = find objects.
    """

    episode: int
    frame: Frame
    seed: np.ndarray | None = None


class Worker:
    """Makes a slow tracker, then steps it on what ``submit`` brings; queues nothing.

    A tracker that fails is closed, and made anew after a pause: memory may be free again, or the network back.

    :param backend: made in the thread, so that loading holds up nobody; one that does not keep up runs at low priority.
    """

    def __init__(self, backend: SlowBackend) -> None:
        self._backend = backend
        self._changed = threading.Condition()
        self._job: Job | None = None
        self._done: tuple[Job, Tracked] | None = None
        self._closed = False
        self.failure = ""  # why there is no tracker at present
        self.failures = 0
        self.tracker: Tracker | None = None
        self._thread = threading.Thread(target=self._run, name="cc-slow-tracker", daemon=True)
        self._thread.start()

    def submit(self, job: Job) -> None:
        """Hand over a job; it takes the place of one that has not begun. A failure drops it."""
        with self._changed:
            self._job, self._done = job, None
            self._changed.notify_all()

    def take(self, timeout: float = 0.0) -> tuple[Job, Tracked] | None:
        """Return a job that is done and its result, waiting for up to ``timeout`` seconds."""
        with self._changed:
            self._changed.wait_for(lambda: self._done is not None or bool(self.failure), timeout)
            done, self._done = self._done, None
            return done

    def close(self) -> None:
        """Stop; a step under way ends early."""
        with self._changed:
            self._closed = True
            tracker = self.tracker
            self._changed.notify_all()
        if tracker is not None:
            tracker.stop()
        self._thread.join(const.CLOSE_SECONDS)

    def _run(self) -> None:
        if not self._backend.keeps_up:
            give_way()
        pause = const.PAUSE
        while not self._closed:
            try:
                self._work()
            except CCError as error:
                self._fail(str(error))
            except Exception as error:  # a defect met in one frame must not end the stream
                self._fail(repr(error), traceback=True)
            with self._changed:
                self._changed.wait_for(lambda: self._closed, pause)
            pause = min(2 * pause, const.LONGEST_PAUSE)

    def _fail(self, reason: str, *, traceback: bool = False) -> None:
        if self._closed:
            return
        if not self.failure:  # else it was said before
            log.error("%s failed and is tried again later: %s", self._backend.title, reason, exc_info=traceback)
        with self._changed:
            self.failure, self.failures = reason, self.failures + 1
            self._job = self._done = None
            self._changed.notify_all()

    def _work(self) -> None:
        tracker = self._backend.make()
        with self._changed:
            self.tracker, self.failure = tracker, ""
        try:
            self._step_all(tracker)
        finally:
            self.tracker = None
            tracker.close()

    def _step_all(self, tracker: Tracker) -> None:
        episode = None
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._job is not None or self._closed)
                job, self._job = self._job, None
            if self._closed or job is None:
                return
            if job.seed is not None:
                tracker.seed(job.seed)
            elif job.episode != episode:
                tracker.reset()
            episode = job.episode
            tracked = tracker.step(job.frame)
            with self._changed:
                self._done = job, tracked
                self._changed.notify_all()
