"""The tracks of an episode: their state, their confidence, and the ids that they are published under."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from dataclasses import dataclass

import numpy as np

from cc_ros.tracking.base import Track, TrackStatus
from cc_ros.tracking.flow import constants as const
from cc_ros.tracking.ids import FORGOTTEN, REFUSED, IdPool
from cc_ros.tracking.label_maps import compact, shapes


@dataclass(slots=True)
class TrackState:
    """One track; it becomes an object once it has been detected for a while.

    :param key: number within the tracker's maps, never used again.
    :param id: published id; 0 while the track has not proved to be an object.
    :param named: stamp at which it got its id; no earlier owner of that id was seen as late.
    :param turn: ids given so far: of two objects, the one with the lower turn has had its id for longer.
    :param objectness: 0..1, how likely it is one whole object, averaged over time.
    :param score: 0..1, the same in the last detection pass; it fades while the track is only carried.
    :param detections: passes in which the network detected it.
    :param descriptor: c float32, unit vector, running mean of its descriptors; None = not detected yet.
    :param evidence: scores of its detections, each times how well it was held, in all.
    :param place: x, y of its centre at the last detection, as if the scene had not moved since the first frame.
    :param path: length of the scene's way up to that detection, images.
    :param peak: share of the image, its largest so far.
    :param held: 0..1, how well the carried mask agrees with the image, averaged over time.
    """

    key: int
    first_seen: float
    last_seen: float
    id: int = 0
    named: float = math.inf
    turn: float = math.inf
    objectness: float = 0.0
    score: float = 0.0
    detections: int = 0
    evidence: float = 0.0
    descriptor: np.ndarray | None = None
    place: np.ndarray | None = None
    path: float = 0.0
    peak: float = 0.0
    held: float = 0.0
    judged: float = -math.inf
    status: TrackStatus = TrackStatus.LOST
    area: int = 0
    centre: tuple[float, float] | None = None  # None until it was in a map
    box: tuple[int, int, int, int] = (0, 0, 0, 0)

    @property
    def confidence(self) -> float:
        """Probability (0..1) that the mask is on this object: by its score, its detections, and how it is held."""
        if not self.area:
            return 0.0
        score = self.objectness + const.OFTEN_BONUS * (1 - math.exp(-self.detections / const.OFTEN_DETECTIONS))
        return float(np.interp(score, const.EXPECTED_IOU, const.RIGHT_SHARE)) * math.sqrt(self.held)

    def add_descriptor(self, new: np.ndarray) -> None:
        """Update the running mean by a new descriptor (c float32, unit vector)."""
        mean = new if self.descriptor is None else self.descriptor + const.DESCRIPTOR_RATE * (new - self.descriptor)
        self.descriptor = mean / max(float(np.linalg.norm(mean)), 1e-6)


class TrackTable:
    """All tracks of an episode.

    :param max_lost: tracks out of view that are kept; of more, those unseen for longest are dropped.
    """

    def __init__(self, max_lost: int) -> None:
        self._max_lost = max_lost
        self.tracks: dict[int, TrackState] = {}
        self._judging = self._judged = -math.inf  # stamps of this pass and of the one before
        self._next_key = 1
        self.proof = const.PROOF_EVIDENCE
        """Evidence from which a track is an object."""
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
        """Start a track."""
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
            track.objectness, track.held, track.judged = 1.0, 1.0, stamp
            adopted.append(track)
        self._pool.keep([track.id for track in adopted])
        return adopted

    def judge(
        self, track: TrackState, objectness: float, held: float, stamp: float, average: float, at_once: bool = False
    ) -> None:
        """Update a track by a detection pass; it gets an id once it was detected for a while.

        :param average: seconds over which passes are averaged.
        :param at_once: one detection is enough for an id.
        """
        if stamp != self._judging:
            self._judging, self._judged = stamp, self._judging
        passed = stamp - max(track.judged, self._judged)  # an absence is no part of the pass
        rate = 1.0 if math.isinf(track.judged) or passed >= average else max(passed / average, 0.0)
        track.objectness += rate * (objectness - track.objectness)
        track.held += rate * (held - track.held)
        track.judged = stamp
        if not track.id and (at_once or track.evidence >= self.proof):
            track.id, track.named, track.turn = self._pool.take(), stamp, self._pool.given

    def known_again(
        self, track: TrackState, absent: Collection[int], in_view: Callable[[int], bool]
    ) -> TrackState | None:
        """Return the lost object that a new track clearly is, by descriptor and place; None where there is none.

        An object that left the view may still be at its place: a similar one is another object until that place is
        seen, unless it is where the lost one should be.

        :param absent: keys of the tracks that are not in the image.
        :param in_view: whether the place of a track (key) is in view.
        """
        others = [t for t in self.tracks.values() if t.place is not None and t.key != track.key and t.id]
        if not others or track.place is None or track.descriptor is None:
            return None
        cosine = np.stack([t.descriptor for t in others if t.descriptor is not None]) @ track.descriptor
        apart = np.linalg.norm(np.stack([t.place for t in others if t.place is not None]) - track.place, axis=1)
        way = np.abs(np.array([t.path for t in others]) - track.path)  # the longer, the less the place is known
        far = np.maximum(apart - const.PLACE_DRIFT * way, 0)
        alike = cosine - np.minimum(const.SAME_DISTANCE * far, const.SAME_FAR)
        best = int(alike.argmax())
        rest = np.delete(alike, best).max(initial=-1.0)
        clear = alike[best] > const.SAME_COSINE and alike[best] > rest + const.SAME_COSINE_LEAD
        key = others[best].key
        lost = key in absent and (apart[best] < const.SAME_PLACE or in_view(key))
        return others[best] if clear and lost else None

    def unite(self, one: int, other: int) -> tuple[int, int]:
        """Merge two tracks (keys) of one object; return the key that remains and the one that is gone.

        The one that has had an id for longer remains.
        """
        pair = self.tracks[one], self.tracks[other]
        elder, younger = sorted(pair, key=lambda t: (t.turn if t.id else math.inf, t.key))
        self._drop(younger)
        return elder.key, younger.key

    def ids(self, keys: np.ndarray) -> np.ndarray:
        """Return the map of ids (uint16) for a map of keys (int32), without slivers of objects."""
        distinct, index = compact(keys)
        shares = np.bincount(index.ravel(), minlength=len(distinct)) / keys.size
        ids = np.zeros(len(distinct), np.uint16)
        for position, (key, share) in enumerate(zip(distinct.tolist(), shares.tolist(), strict=True)):
            track = self.tracks.get(key)
            if track is not None and track.id:
                track.peak = max(track.peak, share)
                ids[position] = track.id if share > max(const.SLIVER, const.SLIVER_OF_PEAK * track.peak) else 0
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
        """Forget the tracks unseen for longest, with and without an id each, where too many are out of view."""
        away = sorted((t for t in self.tracks.values() if t.key not in present), key=lambda t: t.last_seen)
        for group in ([t for t in away if t.id], [t for t in away if not t.id]):
            for track in group[: max(len(group) - self._max_lost, 0)]:
                self._drop(track)
                self._forgotten += track.id > 0

    def _drop(self, track: TrackState) -> None:
        del self.tracks[track.key]
        self._pool.release(track.id)

    def report(self) -> tuple[Track, ...]:
        """Return every object that was in a map, those in view first."""
        seen = [(t, t.centre) for t in self.tracks.values() if t.id and t.centre is not None]
        seen.sort(key=lambda pair: (pair[0].area == 0, pair[0].id))
        return tuple(
            Track(t.id, t.status, t.area, centre, t.box, t.confidence, t.named, t.last_seen) for t, centre in seen
        )
