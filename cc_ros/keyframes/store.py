"""Keep candidates spread evenly over an endless stream, in constant memory (paper section 3, step 2)."""

from __future__ import annotations

import threading
import zlib
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol, TypeVar

import cv2
import numpy as np

from cc_ros.encodings import KEPT_QUALITY, encode_jpeg
from cc_ros.errors import ImageError
from cc_ros.frame import Distortion
from cc_ros.keyframes.prominence import areas


class Picture(Protocol):
    """An image that is decoded or encoded only when it is kept."""

    def jpeg(self) -> bytes:
        """Return the image as JPEG."""


@dataclass(frozen=True)
class ArrayPicture:
    """A picture in memory: HxWx3 uint8 BGR."""

    image: np.ndarray

    def jpeg(self) -> bytes:
        """Encode the image.

        :raises ImageError: OpenCV refuses it.
        """
        return encode_jpeg(self.image, KEPT_QUALITY)


@dataclass(frozen=True, eq=False)
class KeptFrame:
    """One candidate keyframe with its instance map, compressed; equal to itself alone.

    :param areas: instance id -> pixels.
    :param confidences: instance id -> 0..1, how sure the tracker is of it; ids that are missing are sure.
    :param first_seen: instance id -> seconds; with the id it names the object. Ids that are missing: not known.
    :param depths: instance id -> metres, median over the mask; only ids with a depth.
    :param packed_labels: the map's rows, HxW uint16, by zlib: several times faster than PNG both ways.
    :param size: (width, height) in pixels.
    :param carried: the map was carried here from an earlier frame; see ``cc_ros.tracking.base.Tracked``.
    """

    index: int
    stamp: float
    jpeg: bytes
    packed_labels: bytes
    size: tuple[int, int]
    areas: dict[int, int]
    confidences: Mapping[int, float]
    first_seen: Mapping[int, float]
    depths: dict[int, float]
    intrinsics: np.ndarray | None
    pose: np.ndarray | None
    distortion: Distortion | None = None
    carried: bool = False

    def image(self) -> np.ndarray:
        """Return HxWx3 uint8 BGR."""
        image = cv2.imdecode(np.frombuffer(self.jpeg, np.uint8), cv2.IMREAD_COLOR)
        if image is None:
            raise ImageError("a kept frame could not be decoded")
        return image

    def labels(self) -> np.ndarray:
        """Return the HxW uint16 instance map."""
        width, height = self.size
        return np.frombuffer(zlib.decompress(self.packed_labels), np.uint16).reshape(height, width)

    def strangers(self, now: Mapping[int, float]) -> set[int]:
        """Return the ids that mean other objects here than now.

        :param now: id -> when the object that has it now was first seen, seconds.
        """
        known = self.first_seen
        return {i for i, t in now.items() if i in self.areas and (known[i] != t if i in known else t > self.stamp)}

    def renumbered(self, numbers: Mapping[int, int]) -> KeptFrame:
        """Return the frame with other ids for the same objects; what is not named is dropped from the map.

        :param numbers: id here -> new id; several ids may become one.
        """
        if all(old == new for old, new in numbers.items()) and self.areas.keys() <= numbers.keys():
            return self
        table = np.zeros(int(np.iinfo(np.uint16).max) + 1, np.uint16)
        table[list(numbers)] = list(numbers.values())
        areas: dict[int, int] = {}
        for i, area in self.areas.items():
            if i in numbers:
                areas[numbers[i]] = areas.get(numbers[i], 0) + area

        def renamed(values: Mapping[int, float]) -> dict[int, float]:
            return {numbers[i]: value for i, value in values.items() if i in numbers}

        return replace(
            self,
            packed_labels=zlib.compress(table[self.labels()].data, 1),
            areas=areas,
            confidences=renamed(self.confidences),
            first_seen=renamed(self.first_seen),
            depths=renamed(self.depths),
        )

    def without(self, ids: set[int]) -> KeptFrame:
        """Return the frame without these objects. The map keeps them, so that what was to be blurred stays blurred."""
        areas = {i: area for i, area in self.areas.items() if i not in ids}
        depths = {i: depth for i, depth in self.depths.items() if i not in ids}
        return replace(self, areas=areas, depths=depths)


@dataclass
class Candidate:
    """One tracked frame on offer; nothing of it is encoded until it is kept.

    :param labels: HxW uint16.
    :param confidences: instance id -> 0..1, how sure the tracker is of it; ids that are missing are sure.
    :param depth: HxW float32 metres, NaN unknown, the size of the map; or None.
    :param first_seen: instance id -> seconds; with the id it names the object. Ids that are missing: not known.
    :param carried: the map was carried here from an earlier frame; see ``cc_ros.tracking.base.Tracked``.
    """

    index: int
    stamp: float
    picture: Picture
    labels: np.ndarray
    depth: np.ndarray | None = None
    intrinsics: np.ndarray | None = None
    pose: np.ndarray | None = None
    confidences: Mapping[int, float] = field(default_factory=dict)
    first_seen: Mapping[int, float] = field(default_factory=dict)
    distortion: Distortion | None = None
    carried: bool = False
    _kept: KeptFrame | None = field(default=None, repr=False)

    def keep(self) -> KeptFrame:
        """Compress the frame once; later calls return the same object."""
        if self._kept is None:
            sizes = areas(self.labels)
            self._kept = KeptFrame(
                self.index,
                self.stamp,
                self.picture.jpeg(),
                zlib.compress(np.ascontiguousarray(self.labels).data, 1),
                self.labels.shape[::-1],
                sizes,
                self.confidences,
                self.first_seen,
                median_depths(self.labels, self.depth, sizes) if self.depth is not None else {},
                self.intrinsics,
                self.pose,
                self.distortion,
                self.carried,
            )
        return self._kept


class KeyframeStore:
    """Keeps candidates spread evenly over the whole episode, and denser ones of the last seconds.

    A frame becomes a candidate when the current interval has passed since the last; when the store is full, every
    second candidate goes and the interval doubles. So memory is constant and the spacing even, however long the
    episode. Frames whose objects were detected go before those whose maps were carried: what has just come into view is
    in their maps. Thread-safe.

    Ids of a long episode are given anew (see ``cc_ros/msg/Track``). Frames kept from before then lose the id, so that
    it never names two things.

    :ivar let_go: how often that happened, ids.
    :param capacity: candidates over the whole episode; at least twice the frames ever asked for gives even spacing.
    :param recent_seconds: length of the window that is kept dense, for questions about the last seconds.
    :param recent_capacity: candidates in that window.
    :param pinned: indices of frames that are kept and chosen whatever their spacing, and no others with them.
    """

    def __init__(
        self,
        capacity: int = 128,
        recent_seconds: float = 60.0,
        recent_capacity: int = 64,
        pinned: frozenset[int] = frozenset(),
    ) -> None:
        self._capacity = capacity
        self._pinned = pinned
        self._recent_seconds = recent_seconds
        self._recent_interval = recent_seconds / recent_capacity
        self._lock = threading.Lock()
        self.clear()

    def clear(self) -> None:
        """Forget everything: a new episode."""
        with self._lock:
            self._spread: list[KeptFrame] = []
            self._interval = 0.0
            self._recent: deque[KeptFrame] = deque()
            self._newest: Candidate | None = None
            self._drawn: Candidate | None = None  # the newest one that is not carried
            self._meaning: dict[int, float] = {}  # of each id: when its object was first seen
            self.frames_seen = 0
            self.let_go = 0

    def offer(self, candidate: Candidate) -> bool:
        """Take the next frame of the episode; return whether it was kept as a candidate.

        Stamps grow within an episode; the caller clears the store when they jump back.
        """
        with self._lock:
            self._newest = candidate
            self.frames_seen += 1
            self._renew(candidate.first_seen)
            self._drawn = self._drawn if candidate.carried else candidate
            if self._pinned:
                spread_due, recent_due = candidate.index in self._pinned, False
            else:
                spread_due = not self._spread or is_due(self._spread[-1].stamp, candidate, self._interval)
                recent_due = not self._recent or is_due(self._recent[-1].stamp, candidate, self._recent_interval)
        if not (spread_due or recent_due):
            return False
        kept = candidate.keep()  # outside the lock: encoding takes milliseconds
        with self._lock:
            if self._newest is not candidate:  # cleared meanwhile
                return False
            if recent_due:
                self._recent.append(kept)
                while kept.stamp - self._recent[0].stamp > self._recent_seconds:
                    self._recent.popleft()
            if spread_due:
                self._spread.append(kept)
                self._thin_out()
        return True

    def _renew(self, first_seen: Mapping[int, float]) -> None:
        """Take from the kept frames the ids that mean other objects from now on."""
        now = {i: t for i, t in first_seen.items() if self._meaning.get(i) != t}
        if not now:
            return
        self._meaning |= now
        self._drawn = None
        gone: set[int] = set()

        def renewed(kept: KeptFrame) -> KeptFrame:
            strangers = kept.strangers(now)
            gone.update(strangers)
            return kept.without(strangers) if strangers else kept

        self._spread = [renewed(kept) for kept in self._spread]
        self._recent = deque(renewed(kept) for kept in self._recent)
        self.let_go += len(gone)

    def _thin_out(self) -> None:
        if self._pinned or len(self._spread) < self._capacity:
            return
        if not self._interval:
            self._interval = (self._spread[-1].stamp - self._spread[0].stamp) / (self._capacity - 1)
        while len(self._spread) > self._capacity // 2 + 1:
            self._interval *= 2
            kept = [self._spread[0]]
            for frame in self._spread[1:]:
                if is_due(kept[-1].stamp, frame, self._interval):
                    kept.append(frame)
            if not self._interval:  # stamps that stand still: then by number
                kept = self._spread[::2]
            self._spread = kept

    def choose(
        self, frames: int, last_seconds: float = 0.0, wanted: Callable[[KeptFrame], bool] | None = None
    ) -> list[KeptFrame]:
        """Return up to ``frames`` kept frames as :func:`spread` does, the first and the newest among them.

        :param frames: how many (m in the paper); 1 gives the newest.
        :param last_seconds: only from the last so many seconds of the episode; 0 = all.
        :param wanted: says which frames may be taken; None = any.
        """
        with self._lock:
            newest, drawn = self._newest, self._drawn
            everything: dict[int, KeptFrame | Candidate] = {one.index: one for one in (*self._spread, *self._recent)}
        if newest is None:
            return []
        for one in () if self._pinned else (newest, drawn):
            if one is not None:
                everything.setdefault(one.index, one)
        pool = sorted(everything.values(), key=lambda one: one.index)
        if last_seconds > 0:
            pool = [one for one in pool if one.stamp >= newest.stamp - last_seconds]
        if wanted is not None:
            pool = [one for one in pool if wanted(_kept(one))]
        return [_kept(one) for one in spread(pool, frames)]  # what is not chosen is not encoded


def _kept(one: KeptFrame | Candidate) -> KeptFrame:
    return one.keep() if isinstance(one, Candidate) else one


def is_due(last: float, frame: Candidate | KeptFrame, interval: float) -> bool:
    """Return whether a frame is to be kept, some seconds after the last one.

    A carried one lets the interval pass by half before it is: one whose objects are detected may follow.
    """
    patience = 1.5 if frame.carried else 1.0
    return frame.stamp - last >= patience * interval * (1 - 1e-6)  # evenly spaced stamps are rounded


class Stamped(Protocol):
    """Something of an instant."""

    @property
    def stamp(self) -> float:
        """Seconds."""


Shown = TypeVar("Shown", bound="KeptFrame | Candidate")


def spread(pool: Sequence[Shown], frames: int) -> list[Shown]:
    """Return ``frames`` of ``pool`` (ordered by time) evenly spaced; none that is carried, where there are enough."""
    drawn = [one for one in pool if not one.carried]
    return evenly_spaced(drawn if len(drawn) >= frames else pool, frames)


S = TypeVar("S", bound=Stamped)


def evenly_spaced(pool: Sequence[S], frames: int) -> list[S]:
    """Return ``frames`` of ``pool`` (ordered by time), each nearest to one of as many equally spaced instants."""
    if frames >= len(pool):
        return list(pool)
    if frames == 1:
        return [pool[-1]]
    stamps = np.array([kept.stamp for kept in pool])
    instants = np.linspace(stamps[0], stamps[-1], frames)
    chosen = [0]
    for k in range(1, frames - 1):
        first = chosen[-1] + 1  # never one frame twice, and enough left for the rest
        last = len(pool) - (frames - k)
        chosen.append(first + int(np.argmin(np.abs(stamps[first : last + 1] - instants[k]))))
    return [pool[i] for i in (*chosen, len(pool) - 1)]


def median_depths(labels: np.ndarray, depth: np.ndarray, ids: dict[int, int]) -> dict[int, float]:
    """Return the median depth in metres of each id that has any.

    :param labels: HxW uint16.
    :param depth: HxW float32 metres, NaN unknown.
    :raises ImageError: the two differ in size.
    """
    if labels.shape != depth.shape:
        raise ImageError(f"the depth image is {depth.shape[::-1]}, the camera image {labels.shape[::-1]}")
    known = np.isfinite(depth) & (depth > 0) & (labels > 0)
    flat_ids, flat_depth = labels[known], depth[known]
    order = np.argsort(flat_ids, kind="stable")  # of 16 bits: by radix
    sorted_ids, sorted_depth = flat_ids[order], flat_depth[order]
    result = {}
    for i in ids:
        begin, end = np.searchsorted(sorted_ids, [i, i + 1])
        if end > begin:
            middle = (end - begin) // 2
            result[i] = float(np.partition(sorted_depth[begin:end], middle)[middle])
    return result
