"""A slow tracker in a thread of its own, one frame at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from cc_ros.errors import CCError
from cc_ros.frame import Frame
from cc_ros.tracking.base import Tracked, Tracker

CLOSE_SECONDS = 10.0  # a step on a slow processor may take that long


@dataclass(frozen=True, slots=True)
class Job:
    """One frame for the slow tracker.

    :param episode: a job of another episode than the one before starts with a reset.
    :param seed: HxW uint16 objects of this frame, to be followed alone; None = find objects.
    """

    episode: int
    frame: Frame
    seed: np.ndarray | None = None


class SlowLane:
    """Makes the tracker, then steps it on what ``submit`` brings; queues nothing.

    :param make: makes the tracker, in the thread: loading and fetching weights hold up nobody.
    """

    def __init__(self, make: Callable[[], Tracker]) -> None:
        self._make = make
        self._changed = threading.Condition()
        self._job: Job | None = None
        self._done: tuple[Job, Tracked] | None = None
        self._closed = False
        self.failure = ""  # why the tracker will bring no more results
        self.tracker: Tracker | None = None
        self._thread = threading.Thread(target=self._run, name="cc-slow-lane", daemon=True)
        self._thread.start()

    def submit(self, job: Job) -> None:
        """Hand over a job; it takes the place of one that has not begun."""
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
        """Stop after the step under way."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join(CLOSE_SECONDS)

    def _run(self) -> None:
        try:
            self.tracker = self._make()
            self._step_all(self.tracker)
        except CCError as error:
            self.failure = str(error)
        finally:
            with self._changed:
                if not self._closed and not self.failure:
                    self.failure = "its thread stopped by an error in the program, see the log"
                self._changed.notify_all()
            if self.tracker is not None:
                self.tracker.close()

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
