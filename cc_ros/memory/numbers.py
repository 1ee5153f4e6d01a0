"""The lasting numbers of the objects behind an episode's tracks."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from weakref import WeakKeyDictionary

from cc_ros.keyframes.store import KeptFrame
from cc_ros.memory.types import TrackKey
from cc_ros.tracking.base import MAX_ID


class Numbers:
    """Gives each track of the episode the number of its object. Thread-safe.

    A track has a number from the first moment: that of its own id where nothing else ever had it, and else one that is
    free. Once it is known to be an object from before, it has that object's number, in older frames as well.

    :param taken: the numbers of the objects that are known.
    """

    def __init__(self, taken: Iterable[int]) -> None:
        self._lock = threading.Lock()
        self._taken = set(taken)
        self._highest = max(self._taken, default=0)
        self._numbers: dict[TrackKey, int] = {}
        self._settled: set[TrackKey] = set()
        self._drawn: WeakKeyDictionary[KeptFrame, tuple[Mapping[int, int], KeptFrame]] = WeakKeyDictionary()

    def new_episode(self, taken: Iterable[int]) -> None:
        """Forget the tracks; these are the numbers of the objects that are known."""
        with self._lock:
            self._numbers.clear()
            self._settled.clear()
            self._taken = set(taken)
            self._highest = max(self._highest, max(self._taken, default=0))

    def of(self, key: TrackKey) -> int:
        """Return the number of a track's object."""
        with self._lock:
            number = self._numbers.get(key)
            if number is None:
                number = self._numbers[key] = self._free(key.id)
                self._taken.add(number)
                self._highest = max(self._highest, number)
            return number

    def settle(self, key: TrackKey, number: int) -> None:
        """Say which object a track is."""
        with self._lock:
            provisional = self._numbers.get(key)
            if provisional not in (None, number) and key not in self._settled:
                self._taken.discard(provisional)
            self._numbers[key] = number
            self._taken.add(number)
            self._settled.add(key)

    def is_settled(self, key: TrackKey) -> bool:
        """Whether it was said which object a track is."""
        with self._lock:
            return key in self._settled

    def unsettled(self, tracks: Mapping[int, float]) -> bool:
        """Whether any of these tracks (id -> when it got it) is not settled."""
        with self._lock:
            return any(TrackKey(i, first_seen) not in self._settled for i, first_seen in tracks.items())

    def numbered(self, frame: KeptFrame) -> KeptFrame:
        """Return a frame of this episode with the objects' numbers in place of the tracker's ids."""
        numbers = {i: self.of(key) for i, key in keys_of(frame).items()}
        kept = self._drawn.get(frame)
        if kept is None or kept[0] != numbers:
            kept = self._drawn[frame] = numbers, frame.renumbered(numbers)
        return kept[1]

    def _free(self, wished: int) -> int:
        if wished not in self._taken:
            return wished
        if self._highest < MAX_ID:
            return self._highest + 1
        return next((number for number in range(1, MAX_ID + 1) if number not in self._taken), wished)


def keys_of(frame: KeptFrame) -> dict[int, TrackKey]:
    """Return the tracks that a frame shows, by their ids in its map."""
    return {i: TrackKey(i, frame.first_seen.get(i, -1.0)) for i in frame.areas}
