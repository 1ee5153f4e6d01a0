"""The book of objects: which exist, how sure each one is, and the ids that the outside sees."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from cc_ros.tracking.base import Track, TrackStatus
from cc_ros.tracking.ids import FORGOTTEN, REFUSED, IdPool
from cc_ros.tracking.label_maps import compact, shapes

_CLEAR = 2.0  # log odds that one look needs to give an id
_DOUBT = -1.0  # log odds; what once looked like an object is shown until it looks this little like one
_SLIVER, _SLIVER_OF_PEAK = 0.001, 0.02  # shares of the image and of the largest size below which nothing is shown


@dataclass(slots=True)
class TrackState:
    """One region that is followed; it becomes an object when it looks like one.

    :param key: number within the tracker's maps, never used again.
    :param id: the id that the outside sees; 0 while the region has only ever looked like background.
    :param named: stamp at which it got its id; no earlier owner of that id was seen as late.
    :param turn: counts the ids given so far: of two objects, the one with the lower turn has had its id for longer.
    :param objectness: log odds of being an object, averaged over time.
    :param colour: 3 float64, mean CIE Lab, averaged over time.
    :param peak: share of the image, the largest that it was.
    :param confirmed: a second look found it again, or it was there from the start.
    :param held: 0..1, how well the carried mask agrees with the image, averaged over time.
    """

    key: int
    first_seen: float
    last_seen: float
    id: int = 0
    named: float = math.inf
    turn: float = math.inf
    objectness: float = 0.0
    colour: np.ndarray = field(default_factory=lambda: np.zeros(3))
    peak: float = 0.0
    confirmed: bool = False
    held: float = 0.0
    judged: float = -math.inf
    status: TrackStatus = TrackStatus.LOST
    area: int = 0
    centre: tuple[float, float] | None = None  # None until it was in a map
    box: tuple[int, int, int, int] = (0, 0, 0, 0)

    @property
    def confidence(self) -> float:
        """How sure the tracker is that the mask is this object: it looks like one and is held well.

        The square root of both chances, since they mostly fail together.
        """
        return math.sqrt(self.held / (1 + math.exp(-self.objectness))) if self.area else 0.0


class TrackBook:
    """All tracks of an episode.

    :param max_lost: tracks out of view that are kept; of more, those unseen for longest are dropped.
    """

    def __init__(self, max_lost: int) -> None:
        self._max_lost = max_lost
        self.tracks: dict[int, TrackState] = {}
        self._judging = self._judged = -math.inf  # stamps of this look and of the one before
        self._next_key = 1
        self._pool = IdPool()
        self._forgotten = 0

    @property
    def ids_given(self) -> int:
        """How many objects got an id in this episode."""
        return self._pool.given

    def health(self) -> dict[str, int]:
        """Return what was refused or forgotten, under names that say what to do."""
        return {name: n for name, n in ((REFUSED, self._pool.refused), (FORGOTTEN, self._forgotten)) if n}

    def open(self, stamp: float) -> TrackState:
        """Start to follow a region."""
        track = TrackState(self._next_key, stamp, stamp)
        self.tracks[track.key] = track
        self._next_key += 1
        return track

    def adopt(self, labels: np.ndarray, stamp: float) -> list[TrackState]:
        """Follow the objects of a map (HxW uint16) by the ids that it gives them."""
        adopted = []
        for turn, i in enumerate(np.unique(labels[labels > 0]).tolist(), 1):
            track = self.open(stamp)
            track.id, track.named, track.turn = i, stamp, turn
            track.objectness, track.held, track.judged = math.inf, 1.0, stamp
            adopted.append(track)
        self._pool.keep([track.id for track in adopted])
        return adopted

    def judge(self, track: TrackState, objectness: float, held: float, stamp: float, average: float) -> None:
        """Take a new look at a track into account; it gets an id once it is more likely an object than not.

        Before a second look has confirmed it, it must be clearly an object: ids are not for what comes and goes.

        :param average: seconds over which looks are averaged.
        """
        if stamp != self._judging:
            self._judging, self._judged = stamp, self._judging
        passed = stamp - max(track.judged, self._judged)  # a long absence is no long look
        rate = 1.0 if math.isinf(track.judged) or passed >= average else max(passed / average, 0.0)
        if objectness != track.objectness:  # also keeps infinity, the sureness of what was given, from becoming NaN
            track.objectness += rate * (objectness - track.objectness)
        track.held += rate * (held - track.held)
        track.judged = stamp
        enough = track.objectness > (0 if track.confirmed else _CLEAR)
        if not track.id and enough:
            track.id, track.named, track.turn = self._pool.take(), stamp, self._pool.given

    def unite(self, one: int, other: int) -> tuple[int, int]:
        """Make one track of two (keys) that are one thing; return the key that remains and the one that is gone.

        The one that has had an id for longer remains.
        """
        pair = self.tracks[one], self.tracks[other]
        elder, younger = sorted(pair, key=lambda t: (t.turn if t.id else math.inf, t.key))
        self._drop(younger)
        return elder.key, younger.key

    def ids(self, keys: np.ndarray) -> np.ndarray:
        """Return the map of ids (uint16) for a map of keys (int32): no background, and no last slivers of objects."""
        distinct, index = compact(keys)
        shares = np.bincount(index.ravel(), minlength=len(distinct)) / keys.size
        ids = np.zeros(len(distinct), np.uint16)
        for position, (key, share) in enumerate(zip(distinct.tolist(), shares.tolist(), strict=True)):
            track = self.tracks.get(key)
            if track is not None and track.id and track.objectness > _DOUBT:
                track.peak = max(track.peak, share)
                ids[position] = track.id if share > max(_SLIVER, _SLIVER_OF_PEAK * track.peak) else 0
        return ids[index]

    def measure(self, labels: np.ndarray, stamp: float) -> None:
        """Note size and place of every object in the frame's map of ids (HxW uint16)."""
        found = shapes(labels)
        for track in self.tracks.values():
            shape = found.get(track.id) if track.id else None
            if shape is None:
                track.status, track.area, track.box = TrackStatus.LOST, 0, (0, 0, 0, 0)
                continue
            if track.centre is None:
                track.status = TrackStatus.NEW
            elif track.status is TrackStatus.LOST:
                track.status = TrackStatus.RECOVERED
            else:
                track.status = TrackStatus.VISIBLE
            track.area, track.centre, track.box, track.last_seen = shape.area, shape.centre, shape.box, stamp

    def prune(self, present: set[int]) -> None:
        """Forget the regions unseen for longest, objects and background each, where too many are out of view."""
        away = sorted((t for t in self.tracks.values() if t.key not in present), key=lambda t: t.last_seen)
        for group in ([t for t in away if t.id], [t for t in away if not t.id]):
            for track in group[: max(len(group) - self._max_lost, 0)]:
                self._drop(track)
                self._forgotten += track.id > 0

    def _drop(self, track: TrackState) -> None:
        del self.tracks[track.key]
        self._pool.release(track.id)

    def report(self) -> tuple[Track, ...]:
        """Return the objects that were ever in a map, those in view first."""
        seen = [(t, t.centre) for t in self.tracks.values() if t.id and t.centre is not None]
        seen.sort(key=lambda pair: (pair[0].area == 0, pair[0].id))
        return tuple(
            Track(t.id, t.status, t.area, centre, t.box, t.confidence, t.named, t.last_seen) for t, centre in seen
        )
