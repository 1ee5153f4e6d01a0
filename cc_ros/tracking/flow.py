"""The ``flow`` backend: regions found by colour and carried by dense optical flow; needs neither weights nor a GPU."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np

from cc_ros.errors import ImageError
from cc_ros.frame import Frame
from cc_ros.settings import knob
from cc_ros.tracking.base import MAX_ID, Track, Tracked, Tracker, TrackStatus
from cc_ros.tracking.propagation import DisPropagator, warp
from cc_ros.tracking.proposals import ColourProposer


@dataclass(frozen=True)
class FlowSettings:
    """Settings of the flow backend."""

    work_width: int = knob(320, "width in pixels that images are shrunk to for tracking", ge=80, le=1920)
    preset: int = knob(1, "preset of the DIS flow: 0 ultrafast, 1 fast, 2 medium", ge=0, le=2)
    propose_every: float = knob(0.2, "seconds between two searches for new objects", ge=0.0, le=60.0)
    min_area: float = knob(0.002, "smallest object, share of the image", ge=0.0001, le=0.5)
    max_area: float = knob(0.25, "largest object, share of the image; larger regions are background", ge=0.01, le=1.0)
    max_lost: int = knob(200, "lost objects that are remembered", ge=0, le=10000)


@dataclass(slots=True)
class _State:
    id: int
    first_seen: float
    last_seen: float
    confidence: float = 1.0
    area: int = 0
    centre: tuple[float, float] = (0.0, 0.0)
    box: tuple[int, int, int, int] = (0, 0, 0, 0)
    status: TrackStatus = TrackStatus.NEW


class FlowTracker(Tracker):
    """Class-agnostic tracker without learned weights (paper section 3, step 1).

    >>> tracked = FlowTracker().step(Frame(np.zeros((48, 64, 3), np.uint8), stamp=0.0))
    >>> tracked.labels.shape
    (48, 64)
    """

    def __init__(self, settings: FlowSettings = FlowSettings()) -> None:
        self._settings = settings
        self._propagator = DisPropagator(settings.preset, max_error=25.0)
        self._proposer = ColourProposer(160, 150.0, settings.min_area, settings.max_area)
        self.reset()

    def reset(self) -> None:
        """Start a new episode: forget every object; ids begin at 1 again."""
        self._tracks: dict[int, _State] = {}
        self._labels: np.ndarray | None = None  # at work size
        self._grey: np.ndarray | None = None
        self._next_id = 1
        self._proposed = -np.inf
        self._seeded: np.ndarray | None = None
        self._only_seeded = False

    def seed(self, labels: np.ndarray) -> None:
        """Start a new episode whose first frame has these objects (HxW uint16); find no others."""
        self.reset()
        self._seeded = labels.astype(np.uint16)
        self._only_seeded = True

    def step(self, frame: Frame) -> Tracked:
        """Track all objects into ``frame``; its image may differ in size from the one before.

        :raises ImageError: the image is empty or not HxWx3 uint8.
        """
        image = frame.image
        if image.ndim != 3 or image.shape[2] != 3 or image.size == 0 or image.dtype != np.uint8:
            raise ImageError(f"the tracker needs a non-empty HxWx3 uint8 image, got {image.shape} {image.dtype}")
        h, w = image.shape[:2]
        width = min(self._settings.work_width, w)
        size = (width, max(round(h * width / w), 1))
        small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        grey = cv2.cvtColor(small, cv2.COLOR_BGR2GRAY)
        labels = self._carry(grey)
        if not self._only_seeded and frame.stamp - self._proposed >= self._settings.propose_every:
            labels = self._propose(small, labels, frame.stamp)
            self._proposed = frame.stamp
        self._labels, self._grey = labels, grey
        full = cv2.resize(labels, (w, h), interpolation=cv2.INTER_NEAREST)
        self._measure(full, frame.stamp)
        return Tracked(full, self._report())

    def health(self) -> Mapping[str, str | int | float]:
        """Return counters: objects seen, in view and lost."""
        lost = sum(t.status is TrackStatus.LOST for t in self._tracks.values())
        return {"objects": self._next_id - 1, "visible": len(self._tracks) - lost, "lost": lost}

    def _carry(self, grey: np.ndarray) -> np.ndarray:
        if self._seeded is not None:
            labels = cv2.resize(self._seeded, grey.shape[::-1], interpolation=cv2.INTER_NEAREST)
            self._next_id = int(labels.max()) + 1
            self._seeded = None
            return labels
        if self._labels is None or self._grey is None:
            return np.zeros(grey.shape, np.uint16)
        if grey.shape != self._grey.shape:
            return cv2.resize(self._labels, grey.shape[::-1], interpolation=cv2.INTER_NEAREST)
        return warp(self._labels, self._propagator.motion(self._grey, grey).flow)

    def _propose(self, small: np.ndarray, labels: np.ndarray, stamp: float) -> np.ndarray:
        regions = self._proposer.regions(small)
        ids, index = np.unique(labels, return_inverse=True)
        count = int(regions.max()) + 1
        shared = np.bincount(
            regions.ravel() * len(ids) + index.ravel().astype(np.int64), minlength=count * len(ids)
        ).reshape(count, len(ids))
        area, track_area = shared.sum(axis=1), shared.sum(axis=0)
        owner = np.zeros(count, np.uint16)
        for region in range(1, count):
            if area[region] < self._settings.min_area * labels.size:
                continue
            best = int(shared[region].argmax())
            if ids[best] and shared[region, best] > 0.5 * min(area[region], track_area[best]):
                owner[region] = ids[best]
            elif not ids[best] and shared[region, best] > 0.7 * area[region] and self._next_id <= MAX_ID:
                owner[region] = self._next_id
                self._next_id += 1
        found = owner[regions]
        return np.where(found > 0, found, np.where(regions == 0, labels, 0)).astype(np.uint16)

    def _measure(self, labels: np.ndarray, stamp: float) -> None:
        for track in self._tracks.values():
            track.status, track.area, track.box = TrackStatus.LOST, 0, (0, 0, 0, 0)
        area = np.bincount(labels.ravel())
        for i in np.flatnonzero(area[1:]) + 1:
            track_id = int(i)
            x, y, w, h = cv2.boundingRect((labels == track_id).astype(np.uint8))
            known = self._tracks.get(track_id)
            track = known or self._tracks.setdefault(track_id, _State(track_id, stamp, stamp))
            track.status = TrackStatus.VISIBLE if known else TrackStatus.NEW
            ys, xs = np.nonzero(labels[y : y + h, x : x + w] == track_id)
            track.centre = (float(xs.mean() + x), float(ys.mean() + y))
            track.area, track.box, track.last_seen = int(area[i]), (x, y, w, h), stamp
        lost = sorted((t for t in self._tracks.values() if t.area == 0), key=lambda t: t.last_seen)
        for track in lost[: max(len(lost) - self._settings.max_lost, 0)]:
            del self._tracks[track.id]

    def _report(self) -> tuple[Track, ...]:
        ordered = sorted(self._tracks.values(), key=lambda t: (t.area == 0, t.id))
        return tuple(
            Track(t.id, t.status, t.area, t.centre, t.box, t.confidence if t.area else 0.0, t.first_seen, t.last_seen)
            for t in ordered
        )
