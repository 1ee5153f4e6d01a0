"""Places of tracks, fused over time from every frame in which a track is seen."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from cc_ros.frame import Distortion
from cc_ros.geometry.from_depth import place_by_depth, stale
from cc_ros.geometry.from_parallax import place_by_parallax
from cc_ros.geometry.views import View, views
from cc_ros.keyframes.types import MarkedKeyframe
from cc_ros.place import Place

__all__ = ["Place", "PlaceMap", "with_places"]

KEPT = 32  # views of a track: memory is constant, however long the episode
STEP = 0.05  # metres between cameras; views from nearer than this are one, the best of them
TRACKS = 4096  # of more, those that were not seen for longest are let go
CALM = 5.0  # seconds after which an object that moved counts as standing still again


@dataclass
class _Track:
    """What is kept of one track."""

    first_seen: float | None
    kept: list[View] = field(default_factory=list)
    seen: int = 0
    moved: float = -np.inf
    place: Place | None = None


class PlaceMap:
    """Collects views of all tracks, and tells the place of each. Thread-safe; memory is constant.

    >>> PlaceMap().places()
    {}
    """

    def __init__(self) -> None:
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
    ) -> None:
        """Take the next tracked frame; without a calibration or a pose it tells nothing.

        :param stamp: seconds.
        :param labels: HxW uint16, 0 = none.
        :param depth: HxW float32, metres along the optical axis, NaN unknown; the size of ``labels``; or None.
        :param intrinsics: 3x3, of pictures of this size.
        :param pose: 4x4, camera to fixed frame.
        :param first_seen: id -> seconds; with the id it names the object. Ids that are missing: not known.
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
                _take(track, view)
            while len(self._tracks) > TRACKS:
                del self._tracks[next(iter(self._tracks))]

    def places(self, ids: Sequence[int] | None = None) -> dict[int, Place]:
        """Return the place of each track that has one.

        :param ids: only of these; None = of all.
        """
        with self._lock:
            wanted = self._tracks if ids is None else [id for id in ids if id in self._tracks]
            found = {id: _place(self._tracks[id]) for id in wanted}
        return {id: place for id, place in found.items() if place is not None}


def with_places(keyframe: MarkedKeyframe, places: Mapping[int, Place]) -> MarkedKeyframe:
    """Return a marked keyframe whose marks tell the places of their objects.

    :param places: by id, in the frame of the keyframe's pose.
    """
    return replace(keyframe, marks=tuple(replace(mark, place=places.get(mark.id)) for mark in keyframe.marks))


def _take(track: _Track, view: View) -> None:
    """Keep a view: views that follow each other from one spot are not independent, and count as one."""
    track.seen += 1
    track.place = None
    last = track.kept[-1] if track.kept else None
    if last is not None and np.linalg.norm(view.origin - last.origin) < STEP and _alike(view, last):
        if _worth(view) >= _worth(last):
            track.kept[-1] = view
        return
    track.kept.append(view)
    left = stale(track.kept)
    if left:
        track.kept = track.kept[left:]
        track.moved = view.stamp
    if len(track.kept) > KEPT:
        del track.kept[1::2]  # every second one, so that what remains is spread over the whole time


def _alike(view: View, last: View) -> bool:
    """Whether an object was at the same place in two views, as far as one can see."""
    if view.low is None or view.high is None or last.low is None or last.high is None:
        return True
    return bool(np.all(np.maximum(view.low, last.low) <= np.minimum(view.high, last.high) + 2 * (view.noise + 0.02)))


def _worth(view: View) -> tuple[bool, int, float]:
    """Return what says how much a view tells, to compare with another from the same spot."""
    return view.low is not None, -sum(view.cut), float(np.prod(view.half))


def _place(track: _Track) -> Place | None:
    if track.place is None and track.kept:
        static = track.kept[-1].stamp - track.moved > CALM
        deep = [view for view in track.kept if view.low is not None]
        found = place_by_depth(deep) if deep else place_by_parallax(track.kept)
        track.place = None if found is None else Place(*found, static, track.seen)
    return track.place
