"""The ``flow`` backend: regions found by colour, carried by dense flow; needs neither downloads nor a GPU."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np

from cc_ros.frame import Frame
from cc_ros.settings import knob
from cc_ros.tracking.association import owners, paint
from cc_ros.tracking.base import Tracked, Tracker, check_image
from cc_ros.tracking.propagation import DisPropagator, warp
from cc_ros.tracking.proposals import RegionProposer, Regions
from cc_ros.tracking.recovery import ViewMemory
from cc_ros.tracking.tracks import TrackBook


@dataclass(frozen=True)
class FlowSettings:
    """Settings of the flow backend."""

    work_width: int = knob(320, "width in pixels that images are shrunk to for tracking", ge=80, le=1920)
    preset: int = knob(1, "preset of the DIS flow: 0 ultrafast, 1 fast, 2 medium", ge=0, le=2)
    propose_every: float = knob(0.1, "seconds between two searches for objects", ge=0.0, le=60.0)
    merge_above: float = knob(1.5, "log odds above which neighbouring regions become one", ge=-10.0, le=10.0)
    merge_memory: float = knob(2.5, "log odds that earlier frames add to or take from a merge", ge=0.0, le=20.0)
    min_area: float = knob(0.0015, "smallest object, share of the image", ge=0.0001, le=0.5)
    object_time: float = knob(0.5, "seconds over which the looks of an object are averaged", ge=0.0, le=60.0)
    max_lost: int = knob(200, "lost objects that are remembered", ge=0, le=10000)
    views: int = knob(40, "views that are remembered to know objects again; 0 = none", ge=0, le=1000)
    features: int = knob(400, "ORB features a view", ge=50, le=5000)


class FlowTracker(Tracker):
    """Class-agnostic tracker without downloaded weights (paper section 3, step 1).

    >>> tracked = FlowTracker().step(Frame(np.zeros((48, 64, 3), np.uint8), stamp=0.0))
    >>> tracked.labels.shape
    (48, 64)
    """

    def __init__(self, settings: FlowSettings = FlowSettings()) -> None:
        self._settings = settings
        self._propagator = DisPropagator(settings.preset, max_error=25.0)
        self._proposer = RegionProposer(settings.merge_above, settings.merge_memory)
        self._memory = ViewMemory(settings.views, settings.features, overlap=0.7)
        self.reset()

    def reset(self) -> None:
        """Start a new episode: forget every object; ids begin at 1 again."""
        self._book = TrackBook(self._settings.max_lost)
        self._memory.forget()
        self._keys: np.ndarray | None = None  # at work size
        self._grey: np.ndarray | None = None
        self._proposed = -math.inf
        self._seed: np.ndarray | None = None
        self._only_seeded = False

    def seed(self, labels: np.ndarray) -> None:
        """Start a new episode whose first frame has these objects (HxW uint16); find no others."""
        self.reset()
        self._seed = labels.astype(np.uint16)
        self._only_seeded = True

    def step(self, frame: Frame) -> Tracked:
        """Track all objects into ``frame``; its image may differ in size from the one before.

        :raises ImageError: the image is empty or not HxWx3 uint8.
        """
        image = frame.image
        check_image(image)
        height, width = image.shape[:2]
        work_width = min(self._settings.work_width, width)
        size = (work_width, max(round(height * work_width / width), 1))
        small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        grey = cv2.cvtColor(small, cv2.COLOR_BGR2GRAY)
        keys = self._carry(grey, frame.stamp)
        if not self._only_seeded and frame.stamp - self._proposed >= self._settings.propose_every - 1e-3:
            keys = self._propose(small, grey, keys, frame.stamp)
            self._proposed = frame.stamp
        self._keys, self._grey = keys, grey
        shown = {t.key for t in self._book.tracks.values() if t.id and t.objectness > 0}
        labels = cv2.resize(self._book.ids(keys, shown), (width, height), interpolation=cv2.INTER_NEAREST)
        self._book.measure(labels, frame.stamp)
        return Tracked(labels, self._book.report())

    def health(self) -> Mapping[str, str | int | float]:
        """Return counters: objects seen so far, and those in view now."""
        return {"objects": self._book.ids_given, "visible": sum(t.area > 0 for t in self._book.tracks.values())}

    def _carry(self, grey: np.ndarray, stamp: float) -> np.ndarray:
        """Return the map of keys for this frame as far as the frame before knows it."""
        if self._seed is not None:
            ids = cv2.resize(self._seed, grey.shape[::-1], interpolation=cv2.INTER_NEAREST)
            self._seed = None
            return self._book.adopt(ids, stamp)
        if self._keys is None or self._grey is None:
            return np.zeros(grey.shape, np.int32)
        if grey.shape != self._grey.shape:
            return cv2.resize(self._keys, grey.shape[::-1], interpolation=cv2.INTER_NEAREST)
        return warp(self._keys, self._propagator.motion(self._grey, grey).flow)

    def _propose(self, small: np.ndarray, grey: np.ndarray, carried: np.ndarray, stamp: float) -> np.ndarray:
        recalled = self._memory.recall(grey) if self._settings.views else np.zeros_like(carried)
        known = np.isin(recalled, list(self._book.tracks))
        prior = np.where(carried > 0, carried, np.where(known, recalled, 0))
        regions = self._proposer.propose(small, prior)
        owner = self._name(regions, stamp)
        keys = paint(regions, owner, prior)
        self._judge(regions, owner, stamp)
        self._memory.remember(keys)
        self._book.prune(set(np.unique(keys).tolist()))
        return keys

    def _name(self, regions: Regions, stamp: float) -> np.ndarray:
        """Return the key of each region; what continues no track starts one."""
        owner = owners(regions)
        large = regions.area >= self._settings.min_area * regions.labels.size
        for region in np.flatnonzero((owner == 0) & large):
            owner[region] = self._book.open(stamp, 0.0).key
        return owner

    def _judge(self, regions: Regions, owner: np.ndarray, stamp: float) -> None:
        """Average over time how much each track looks like an object; give an id to those that do."""
        for key in np.unique(owner[owner > 0]).tolist():
            mine = owner == key
            weight = regions.area[mine]
            looks = float(np.clip(regions.objectness[mine], -4, 4) @ weight / weight.sum())
            track = self._book.tracks[key]
            passed = stamp - track.judged
            rate = 1.0 if passed > self._settings.object_time else passed / self._settings.object_time
            track.objectness += rate * (looks - track.objectness)
            track.judged = stamp
            if track.objectness > 0:
                self._book.promote(track)
