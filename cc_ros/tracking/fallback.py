"""Fall back to a simple tracker where the better one cannot run, and say so."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from cc_ros.errors import BackendError
from cc_ros.frame import Frame
from cc_ros.tracking.base import Tracked, Tracker

log = logging.getLogger(__name__)


class Fallback(Tracker):
    """Steps ``primary`` until it fails with a BackendError, and the simple tracker from then on.

    The simple one takes over the objects in view, with their ids, and finds no others until the next ``reset``: ids
    that it gave to new objects could be those of old ones.

    :param simple: makes the simple tracker, once, when it is needed.
    :param primary: None = it cannot even be made.
    :param title: name of the primary for people.
    :param reason: why there is no primary, for people.
    """

    def __init__(
        self, simple: Callable[[], Tracker], primary: Tracker | None = None, *, title: str, reason: str = ""
    ) -> None:
        self._make_simple = simple
        self._title = title
        self._active = primary if primary is not None else simple()
        self._primary = primary is not None
        self._labels: np.ndarray | None = None  # the newest map of the primary
        self._used = False  # whether the primary gave out an id
        self._first: dict[int, float] = {}  # when the primary gave out those of the last frame
        self._reason = reason
        if reason:
            log.warning("tracking without %s: %s", title, reason)

    def step(self, frame: Frame) -> Tracked:
        """Track all objects into ``frame``.

        :raises ImageError: the image is empty or not HxWx3 uint8.
        """
        try:
            tracked = self._active.step(frame)
        except BackendError as error:
            if not self._primary:
                raise
            self._fall_back(error)
            tracked = self._active.step(frame)
        if self._primary:
            self._labels = tracked.labels
            self._used = self._used or bool(tracked.tracks)
            self._first = tracked.first_seen
            return tracked
        # The same objects as before: an id with another first_seen would be another one.
        tracks = (replace(t, first_seen=self._first.get(t.id, t.first_seen)) for t in tracked.tracks)
        return replace(tracked, tracks=tuple(tracks))

    def prepare(self) -> None:
        """Prepare the active tracker.

        :raises BackendError: ``stop`` was called in another thread.
        """
        self._active.prepare()

    def stop(self) -> None:
        """Make a step or ``prepare`` under way in another thread end early, by a BackendError; then only ``close``."""
        self._active.stop()

    def seed(self, labels: np.ndarray) -> None:
        """Start a new episode whose first frame has these objects (HxW uint16); find no others."""
        self._active.seed(labels)
        self._labels, self._used, self._first = labels, True, {}

    def reset(self) -> None:
        """Start a new episode: forget every object; ids begin at 1 again."""
        self._active.reset()
        self._labels, self._used, self._first = None, False, {}

    def health(self) -> Mapping[str, str | int | float]:
        """Return the active tracker's counters, and under ``degraded`` why it is the simple one."""
        health = dict(self._active.health())
        return health | ({"degraded": self._reason} if self._reason else {})

    def close(self) -> None:
        """Close the active tracker."""
        self._active.close()

    def _fall_back(self, error: BackendError) -> None:
        self._reason = str(error)
        log.error("%s gave up; a simpler tracker follows the objects in view until a restart: %s", self._title, error)
        self._active.close()
        self._active, self._primary = self._make_simple(), False
        if self._used and self._labels is not None:
            self._active.seed(self._labels)
