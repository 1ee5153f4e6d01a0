"""The book of objects: which exist, how sure each one is, and the ids that the outside sees."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from cc_ros.tracking.base import MAX_ID, Track, TrackStatus


@dataclass(slots=True)
class TrackState:
    """One region that is followed; it becomes an object when it has looked like one.

    :param key: number within the tracker's maps, never used again.
    :param id: the id that the outside sees; 0 while the region counts as background.
    :param objectness: log odds, averaged over time.
    """

    key: int
    first_seen: float
    last_seen: float
    objectness: float
    id: int = 0
    judged: float = -math.inf
    confidence: float = 1.0
    area: int = 0
    centre: tuple[float, float] = (0.0, 0.0)
    box: tuple[int, int, int, int] = (0, 0, 0, 0)
    status: TrackStatus = TrackStatus.NEW


class TrackBook:
    """All tracks of an episode.

    :param max_lost: tracks out of view that are kept; of more, those unseen for longest are dropped.
    """

    def __init__(self, max_lost: int) -> None:
        self._max_lost = max_lost
        self.tracks: dict[int, TrackState] = {}
        self._next_key = 1
        self._next_id = 1

    @property
    def ids_given(self) -> int:
        """How many ids were given in this episode."""
        return self._next_id - 1

    def open(self, stamp: float, objectness: float) -> TrackState:
        """Start to follow a region."""
        track = TrackState(self._next_key, stamp, stamp, objectness)
        self.tracks[track.key] = track
        self._next_key += 1
        return track

    def adopt(self, labels: np.ndarray, stamp: float) -> np.ndarray:
        """Follow the objects of a map of ids (HxW uint16); return the map of keys (HxW int32)."""
        keys = np.zeros(int(labels.max()) + 1, np.int32)
        for i in np.unique(labels[labels > 0]):
            track = self.open(stamp, math.inf)
            track.id = int(i)
            keys[i] = track.key
        self._next_id = int(labels.max()) + 1
        return keys[labels]

    def promote(self, track: TrackState) -> None:
        """Give the track an id of its own, if there is one left."""
        if not track.id and self._next_id <= MAX_ID:
            track.id = self._next_id
            self._next_id += 1

    def ids(self, keys: np.ndarray, shown: set[int]) -> np.ndarray:
        """Return the map of ids (uint16) for a map of keys (int32); only tracks in ``shown`` appear."""
        distinct, index = np.unique(keys, return_inverse=True)
        ids = [self.tracks[k].id if k in shown else 0 for k in distinct.tolist()]
        return np.array(ids, np.uint16)[index].reshape(keys.shape)

    def measure(self, labels: np.ndarray, stamp: float) -> None:
        """Note size and place of every object in the frame's map of ids (HxW uint16)."""
        found = _shapes(labels)
        for track in self.tracks.values():
            shape = found.get(track.id) if track.id else None
            if shape is None:
                track.area, track.box, track.status = 0, (0, 0, 0, 0), TrackStatus.LOST
                continue
            if track.status is TrackStatus.LOST:
                track.status = TrackStatus.RECOVERED if track.centre != (0.0, 0.0) else TrackStatus.NEW
            elif track.centre != (0.0, 0.0):
                track.status = TrackStatus.VISIBLE
            track.area, track.centre, track.box = shape
            track.last_seen = stamp

    def prune(self, present: set[int]) -> None:
        """Forget background that is out of view and the objects unseen for longest."""
        away = [t for t in self.tracks.values() if t.key not in present]
        objects = sorted((t for t in away if t.id), key=lambda t: t.last_seen)
        walls = sorted((t for t in away if not t.id), key=lambda t: t.last_seen)
        for group in (objects, walls):
            for track in group[: max(len(group) - self._max_lost, 0)]:
                del self.tracks[track.key]

    def report(self) -> tuple[Track, ...]:
        """Return the objects, those in view first."""
        objects = sorted((t for t in self.tracks.values() if t.id), key=lambda t: (t.area == 0, t.id))
        return tuple(
            Track(t.id, t.status, t.area, t.centre, t.box, t.confidence if t.area else 0.0, t.first_seen, t.last_seen)
            for t in objects
        )


def _shapes(labels: np.ndarray) -> dict[int, tuple[int, tuple[float, float], tuple[int, int, int, int]]]:
    """Return area, centroid and box of each id in a map (HxW uint16)."""
    height, width = labels.shape
    ids, index = np.unique(labels, return_inverse=True)
    index = index.reshape(labels.shape)
    rows, columns = np.zeros((len(ids), height), np.int64), np.zeros((len(ids), width), np.int64)
    offset = index + np.arange(height)[:, None] * len(ids)
    rows = np.bincount(offset.ravel(), minlength=height * len(ids)).reshape(height, len(ids)).T
    offset = index + np.arange(width) * len(ids)
    columns = np.bincount(offset.ravel(), minlength=width * len(ids)).reshape(width, len(ids)).T
    shapes = {}
    for k, i in enumerate(ids.tolist()):
        if i:
            area = int(rows[k].sum())
            xs, ys = np.flatnonzero(columns[k]), np.flatnonzero(rows[k])
            centre = (float(columns[k] @ np.arange(width) / area), float(rows[k] @ np.arange(height) / area))
            box = (int(xs[0]), int(ys[0]), int(xs[-1] - xs[0]) + 1, int(ys[-1] - ys[0]) + 1)
            shapes[i] = (area, centre, box)
    return shapes
