"""The ``flow`` backend: a small network detects objects, optical flow carries them; no downloads, no GPU."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import cv2
import numpy as np

from cc_ros.frame import Frame
from cc_ros.tracking.base import Tracked, Tracker, check_image
from cc_ros.tracking.flow.automatic import AutomaticTracking
from cc_ros.tracking.flow.prompted import PromptedTracking
from cc_ros.tracking.flow.settings import FlowSettings
from cc_ros.tracking.flow.track_table import TrackTable
from cc_ros.tracking.objects.network import ObjectNetwork


class FlowTracker(Tracker):
    """Class-agnostic tracker without downloaded weights (paper section 3, step 1).

    >>> tracked = FlowTracker().step(Frame(np.zeros((48, 64, 3), np.uint8), stamp=0.0))
    >>> tracked.labels.shape
    (48, 64)
    """

    def __init__(self, settings: FlowSettings = FlowSettings()) -> None:
        self._settings = settings
        self._network = ObjectNetwork()
        self.reset()

    def reset(self) -> None:
        """Start a new episode: forget every object; ids begin at 1 again."""
        self._prompted: PromptedTracking | None = None
        self._table = TrackTable(self._settings.max_lost)
        self._automatic = AutomaticTracking(self._table, self._network, self._settings)
        self._publish_health()

    def prepare(self) -> None:
        """Track a first image: the network allocates its memory."""
        self.step(Frame(np.zeros((480, 640, 3), np.uint8), 0.0))
        self.reset()

    def seed(self, labels: np.ndarray) -> None:
        """Start a new episode whose first frame has these objects (HxW uint16); find no others."""
        self.reset()
        self._prompted = PromptedTracking(self._table, self._network, self._settings, labels.astype(np.uint16))

    def step(self, frame: Frame) -> Tracked:
        """Track all objects into ``frame``; its image may differ in size from the one before.

        :raises ImageError: the image is empty or not HxWx3 uint8.
        """
        check_image(frame.image)
        height, width = frame.image.shape[:2]
        if self._prompted:
            labels = self._prompted.step(_shrunk(frame.image, self._settings.mask_width), frame.stamp, (width, height))
        else:
            image = _shrunk(frame.image, self._settings.work_width)
            known = frame if self._settings.depth else replace(frame, depth=None)
            small = self._automatic.step(image, frame.stamp, known)
            labels = cv2.resize(small, (width, height), interpolation=cv2.INTER_NEAREST)
        self._table.measure(labels, frame.stamp)
        self._publish_health()
        return Tracked(labels, self._table.report(), (self._prompted or self._automatic).carried)

    def health(self) -> Mapping[str, str | int | float]:
        """Return counters: objects so far, and those in view now."""
        return self._health

    def _publish_health(self) -> None:
        """Replace what ``health`` returns as a whole: other threads read it."""
        visible = sum(track.area > 0 for track in self._table.tracks.values())
        self._health = {"objects": self._table.ids_given, "visible": visible, **self._table.health()}


def _shrunk(image: np.ndarray, width: int) -> np.ndarray:
    """Return the image, at most ``width`` wide."""
    if image.shape[1] <= width:
        return image
    size = (width, max(round(image.shape[0] * width / image.shape[1]), 1))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)
