"""From label maps to tracks: new, visible, lost and recovered objects."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np

from cc_ros.tracking.base import Track, TrackStatus
from cc_ros.tracking.label_maps import shapes


@dataclass(slots=True)
class _Entry:
    first: float
    last: float
    centre: tuple[float, float]
    lost: bool = False


class TrackLog:
    """Keeps when and where each object was seen; one entry an object that is in view or can still come back."""

    def __init__(self) -> None:
        self._entries: dict[int, _Entry] = {}

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
            entry = self._entries.get(i)
            if entry is None:
                status, entry = TrackStatus.NEW, _Entry(stamp, stamp, shape.centre)
                self._entries[i] = entry
            else:
                status = TrackStatus.RECOVERED if entry.lost else TrackStatus.VISIBLE
            entry.last, entry.centre, entry.lost = stamp, shape.centre, False
            visible.append(
                Track(i, status, shape.area, shape.centre, shape.box, confidence.get(i, 1.0), entry.first, stamp)
            )
        in_view = {t.id for t in visible}
        self._entries = {i: s for i, s in self._entries.items() if i in in_view or i in known}
        lost = []
        for i in sorted(self._entries.keys() - in_view):
            entry = self._entries[i]
            entry.lost = True
            lost.append(Track(i, TrackStatus.LOST, 0, entry.centre, (0, 0, 0, 0), 0.0, entry.first, entry.last))
        return (*visible, *lost)
