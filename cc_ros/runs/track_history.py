"""Record when each track was visible, in bounded memory."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

MAX_TRACKS = 500
MAX_INTERVALS = 64


@dataclass
class Visibility:
    """One track's presence.

    :ivar id: the instance id.
    :ivar frames: number of frames that showed it.
    :ivar intervals: [first, last] stamps in seconds, in order; of very many, those closest together are joined.
    """

    id: int
    frames: int = 0
    intervals: list[list[float]] = field(default_factory=list)


class TrackHistory:
    """Intervals of visibility by track id: at most ``max_tracks`` ids with ``max_intervals`` intervals each.

    >>> history = TrackHistory()
    >>> for stamp, ids in ((0.0, [1]), (0.1, [1, 2]), (0.2, [2])):
    ...     history.add(stamp, ids)
    >>> [(row.id, row.intervals) for row in history.rows()]
    [(1, [[0.0, 0.1]]), (2, [[0.1, 0.2]])]

    :ivar begin: stamp of the first frame, NaN before it.
    :ivar end: stamp of the newest frame, NaN before the first.
    :ivar dropped: tracks forgotten to stay within the bound: those seen in the fewest frames.
    """

    def __init__(self, max_tracks: int = MAX_TRACKS, max_intervals: int = MAX_INTERVALS) -> None:
        self._max_tracks = max_tracks
        self._max_intervals = max_intervals
        self.reset()

    def reset(self) -> None:
        """Forget everything: a new episode."""
        self._tracks: dict[int, Visibility] = {}
        self._visible: frozenset[int] = frozenset()
        self.begin = self.end = math.nan
        self.dropped = 0

    def add(self, stamp: float, ids: Iterable[int]) -> None:
        """Take in the ids visible in the frame of ``stamp``; a stamp that falls begins a new episode."""
        if stamp < self.end:
            self.reset()
        visible = frozenset(ids)
        for instance in visible:
            track = self._tracks.setdefault(instance, Visibility(instance))
            track.frames += 1
            if instance in self._visible and track.intervals:
                track.intervals[-1][1] = stamp
            else:
                track.intervals.append([stamp, stamp])
                self._join_closest(track.intervals)
        self._visible = visible
        self.begin = stamp if math.isnan(self.begin) else self.begin
        self.end = stamp
        while len(self._tracks) > self._max_tracks:
            # One that is in sight is not the first to go: it would come back with the next frame.
            least = min(self._tracks.values(), key=lambda track: (track.id in visible, track.frames))
            del self._tracks[least.id]
            self.dropped += 1

    def rows(self, limit: int | None = None) -> list[Visibility]:
        """Return the ``limit`` tracks that were visible in most frames, by id."""
        most = sorted(self._tracks.values(), key=lambda track: (-track.frames, track.id))[:limit]
        return sorted(most, key=lambda track: track.id)

    def __len__(self) -> int:
        return len(self._tracks)

    def _join_closest(self, intervals: list[list[float]]) -> None:
        if len(intervals) > self._max_intervals:
            at = min(range(1, len(intervals)), key=lambda i: intervals[i][0] - intervals[i - 1][1])
            intervals[at - 1][1] = intervals.pop(at)[1]
