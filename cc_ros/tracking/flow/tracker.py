"""The ``flow`` backend: objects seen by a small network, carried by dense flow; needs neither downloads nor a GPU."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import cv2
import numpy as np

from cc_ros.frame import Frame
from cc_ros.settings import knob
from cc_ros.tracking.base import Tracked, Tracker, check_image
from cc_ros.tracking.flow.automatic import OpenScene
from cc_ros.tracking.flow.memory.views import ViewMemory
from cc_ros.tracking.flow.prompted import SeededScene
from cc_ros.tracking.flow.track_table import TrackBook
from cc_ros.tracking.objects.network import ObjectNetwork
from cc_ros.tracking.optical_flow import DisPropagator


@dataclass(frozen=True)
class FlowSettings:
    """Settings of the flow backend."""

    work_width: int = knob(320, "width in pixels that images are shrunk to for tracking", ge=80, le=1920)
    preset: int = knob(1, "preset of the DIS flow: 0 ultrafast, 1 fast, 2 medium", ge=0, le=2)
    propose_every: float = knob(0.1, "seconds between two looks for objects; flow carries them between", ge=0, le=60)
    min_area: float = knob(0.0015, "smallest new object, share of the image", ge=0.0001, le=0.5)
    judge_time: float = knob(0.5, "seconds over which the looks of an object are averaged", ge=0, le=60)
    max_lost: int = knob(200, "lost objects that are remembered", ge=0, le=10000)
    depth: bool = knob(True, "use the depth image, and with odometry the place of each object, where they come")
    views: int = knob(40, "views that are remembered to know objects again; 0 = none", ge=0, le=1000)
    features: int = knob(400, "ORB features a view", ge=50, le=5000)
    mask_width: int = knob(427, "width in pixels that images are shrunk to where masks are given", ge=80, le=1920)
    mask_preset: int = knob(2, "preset of the DIS flow where masks are given", ge=0, le=2)
    redraw_every: float = knob(0.08, "seconds between two frames in which given masks are drawn anew", ge=0, le=60)


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
        s = self._settings
        self._seeded: SeededScene | None = None
        self._book = TrackBook(s.max_lost)
        self._open = OpenScene(
            self._book,
            DisPropagator(s.preset),
            self._network,
            ViewMemory(s.views, s.features),
            every=s.propose_every,
            min_area=s.min_area,
            judge_time=s.judge_time,
        )
        self._publish_health()

    def prepare(self) -> None:
        """See a first picture, for which the network takes its memory."""
        self.step(Frame(np.zeros((480, 640, 3), np.uint8), 0.0))
        self.reset()

    def seed(self, labels: np.ndarray) -> None:
        """Start a new episode whose first frame has these objects (HxW uint16); find no others."""
        self.reset()
        s = self._settings
        propagator, memory = DisPropagator(s.mask_preset), ViewMemory(s.views, s.features)
        ids = labels.astype(np.uint16)
        self._seeded = SeededScene(self._book, propagator, self._network, memory, ids, every=s.redraw_every)

    def step(self, frame: Frame) -> Tracked:
        """Track all objects into ``frame``; its image may differ in size from the one before.

        :raises ImageError: the image is empty or not HxWx3 uint8.
        """
        check_image(frame.image)
        height, width = frame.image.shape[:2]
        if self._seeded:
            labels = self._seeded.step(_shrunk(frame.image, self._settings.mask_width), frame.stamp, (width, height))
        else:
            image = _shrunk(frame.image, self._settings.work_width)
            known = frame if self._settings.depth else replace(frame, depth=None)
            small = self._open.step(image, frame.stamp, known)
            labels = cv2.resize(small, (width, height), interpolation=cv2.INTER_NEAREST)
        self._book.measure(labels, frame.stamp)
        self._publish_health()
        return Tracked(labels, self._book.report())

    def health(self) -> Mapping[str, str | int | float]:
        """Return counters: objects seen so far, and those in view now."""
        return self._health

    def _publish_health(self) -> None:
        """Renew what ``health`` returns as a whole: it is read by other threads."""
        visible = sum(track.area > 0 for track in self._book.tracks.values())
        self._health = {"objects": self._book.ids_given, "visible": visible, **self._book.health()}


def _shrunk(image: np.ndarray, width: int) -> np.ndarray:
    """Return the image, at most ``width`` wide."""
    if image.shape[1] <= width:
        return image
    size = (width, max(round(image.shape[0] * width / image.shape[1]), 1))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)
