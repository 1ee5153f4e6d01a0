"""From label maps to tracks: what came, stayed, left and came back."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np

from cc_ros.tracking.base import Track, TrackStatus
from cc_ros.tracking.label_maps import shapes


@dataclass(slots=True)
class _Seen:
    first: float
    last: float
    centre: tuple[float, float]
    lost: bool = False


class TrackLog:
    """Keeps when and where each object was seen; one entry an object that is in view or can still come back."""

    def __init__(self) -> None:
        self._seen: dict[int, _Seen] = {}

    def update(
        self, labels: np.ndarray, stamp: float, confidence: Mapping[int, float], known: Collection[int]
    ) -> tuple[Track, ...]:
        """Return the tracks of one frame: those in the map, then the lost ones, each by id.

        :param labels: HxW uint16 instance ids.
        :param stamp: seconds.
        :param confidence: 0..1 by id; 1 where none is given.
        :param known: ids out of view that can still come back; others are forgotten.
        """
        visible = []
        for i, shape in shapes(labels).items():
            seen = self._seen.get(i)
            if seen is None:
                status, seen = TrackStatus.NEW, _Seen(stamp, stamp, shape.centre)
                self._seen[i] = seen
            else:
                status = TrackStatus.RECOVERED if seen.lost else TrackStatus.VISIBLE
            seen.last, seen.centre, seen.lost = stamp, shape.centre, False
            visible.append(
                Track(i, status, shape.area, shape.centre, shape.box, confidence.get(i, 1.0), seen.first, stamp)
            )
        in_view = {t.id for t in visible}
        self._seen = {i: s for i, s in self._seen.items() if i in in_view or i in known}
        lost = []
        for i in sorted(self._seen.keys() - in_view):
            seen = self._seen[i]
            seen.lost = True
            lost.append(Track(i, TrackStatus.LOST, 0, seen.centre, (0, 0, 0, 0), 0.0, seen.first, seen.last))
        return (*visible, *lost)
