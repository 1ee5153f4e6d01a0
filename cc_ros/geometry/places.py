"""Places of tracks, fused over time from every frame in which a track is seen."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from cc_ros.frame import Distortion
from cc_ros.geometry.from_depth import place_by_depth, stale
from cc_ros.geometry.from_parallax import place_by_parallax
from cc_ros.geometry.views import View, views
from cc_ros.keyframes.types import MarkedKeyframe
from cc_ros.place import Place

__all__ = ["Place", "PlaceMap", "with_places"]

Fit: TypeAlias = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]  # point, covariance, low, high
KEPT = 32  # views of a track: memory is constant, however long the episode
STEP = 0.05  # metres between cameras; views from nearer than this are one, the best of them
TRACKS = 4096  # of more, those that were not seen for longest are let go
FIRST = 0.23  # metres, divided by the number of frames: masks of new tracks often show a part of their object
DOUBT = 0.6  # metres, times one less the confidence: masks of unsure tracks show a part of their object, or two of them
MOVED = 0.3  # metres: what was just at another place, by its masks, may be another object
CALM = 5.0  # seconds after which an object that moved counts as standing still again


@dataclass
class _Track:
    """What is kept of one track."""

    first_seen: float | None
    kept: tuple[View, ...] = ()
    seen: int = 0
    confidence: float = 0.0  # mean
    moved: float = -np.inf
    #: what the kept views gave, and those views: fitting takes milliseconds.
    fitted: tuple[tuple[View, ...], Fit | None] = ((), None)


class PlaceMap:
    """Collects views of all tracks, and tells the place of each. Thread-safe; memory is constant.

    >>> PlaceMap().places()
    {}

    :param number: what a track is called, by its id and when it got it (seconds; -1 = not known); None = by its id.
    """

    def __init__(self, number: Callable[[int, float], int] | None = None) -> None:
        self._number = number
        self._tracks: dict[int, _Track] = {}
        self._lock = threading.Lock()

    def clear(self) -> None:
        """Forget everything: a new episode."""
        with self._lock:
            self._tracks.clear()

    def add(
        self,
        stamp: float,
        labels: np.ndarray,
        depth: np.ndarray | None,
        intrinsics: np.ndarray | None,
        pose: np.ndarray | None,
        first_seen: Mapping[int, float],
        distortion: Distortion | None = None,
        confidences: Mapping[int, float] | None = None,
    ) -> None:
        """Take the next tracked frame; without a calibration or a pose it tells nothing.

        :param stamp: seconds.
        :param labels: HxW uint16, 0 = none.
        :param depth: HxW float32, metres along the optical axis, NaN unknown; the size of ``labels``; or None.
        :param intrinsics: 3x3, of pictures of this size.
        :param pose: 4x4, camera to fixed frame.
        :param first_seen: id -> seconds; with the id it names the object. Ids that are missing: not known.
        :param confidences: id -> how sure the tracker is of it, 0..1; ids that are missing: sure.
        :raises GeometryError: the intrinsics are unusable.
        """
        if intrinsics is None or pose is None:
            return
        found = views(labels, depth, intrinsics, pose, stamp, distortion)
        with self._lock:
            for id, view in found.items():
                track = self._tracks.pop(id, None)
                if track is None or track.first_seen != first_seen.get(id):  # the id has been given to another object
                    track = _Track(first_seen.get(id))
                self._tracks[id] = track  # the newest comes last
                _take(track, view, 1.0 if confidences is None else confidences.get(id, 1.0))
            while len(self._tracks) > TRACKS:
                del self._tracks[next(iter(self._tracks))]

    def places(self, ids: Iterable[int] | None = None) -> dict[int, Place]:
        """Return the place of each track that has one, by its number.

        :param ids: only of these numbers; None = of all.
        """
        with self._lock:
            tracks = dict(self._tracks)
        if self._number is not None:
            tracks = {self._number(id, -1.0 if t.first_seen is None else t.first_seen): t for id, t in tracks.items()}
        wanted = tracks if ids is None else {id: tracks[id] for id in ids if id in tracks}
        found = {id: _place(track) for id, track in wanted.items()}
        return {id: place for id, place in found.items() if place is not None}


def with_places(keyframe: MarkedKeyframe, places: Mapping[int, Place]) -> MarkedKeyframe:
    """Return a marked keyframe whose marks tell the places of their objects.

    :param places: by id, in the frame of the keyframe's pose.
    """
    return replace(keyframe, marks=tuple(replace(mark, place=places.get(mark.id)) for mark in keyframe.marks))


def _take(track: _Track, view: View, confidence: float) -> None:
    """Keep a view: views that follow each other from one spot are not independent, and count as one."""
    track.seen += 1
    track.confidence += (confidence - track.confidence) / track.seen
    last = track.kept[-1] if track.kept else None
    if last is not None and np.linalg.norm(view.origin - last.origin) < STEP and _alike(view, last):
        if _worth(view) >= _worth(last):
            track.kept = (*track.kept[:-1], view)
        return
    kept = (*track.kept, view)
    left = stale(kept)
    if left:
        kept = kept[left:]
        track.moved = view.stamp
    track.kept = kept if len(kept) <= KEPT else kept[::2]  # so that what remains is spread over the whole time


def _alike(view: View, last: View) -> bool:
    """Whether an object was at the same place in two views, as far as one can see."""
    if view.low is None or view.high is None or last.low is None or last.high is None:
        return True
    return bool(np.all(np.maximum(view.low, last.low) <= np.minimum(view.high, last.high) + 2 * (view.noise + 0.02)))


def _worth(view: View) -> tuple[bool, int, float]:
    """Return what says how much a view tells, to compare with another from the same spot."""
    return view.low is not None, -sum(view.cut), float(np.prod(view.half))


def _place(track: _Track) -> Place | None:
    kept, seen = track.kept, track.seen  # another thread may add to it meanwhile
    if not kept:
        return None
    if track.fitted[0] is not kept:
        deep = [view for view in kept if view.low is not None]
        track.fitted = kept, place_by_depth(deep) if deep else place_by_parallax(kept)
    found = track.fitted[1]
    if found is None:
        return None
    point, covariance, low, high = found
    still = kept[-1].stamp - track.moved > CALM
    unsure = (FIRST / seen) ** 2 + (DOUBT * (1 - track.confidence)) ** 2 + (0 if still else MOVED) ** 2
    return Place(point, covariance + np.eye(3) * unsure, low, high, still, seen)
