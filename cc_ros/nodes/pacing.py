"""Playing no faster than the tracker tracks, so that it sees every frame also on a slow machine."""

from __future__ import annotations

import struct
import threading
from collections import deque
from collections.abc import Collection, Mapping

AHEAD = 4  # frames that may be under way; far fewer than any queue on their way holds


class Pace:
    """Holds a recording back while the tracker has not told of the frames that were played. Thread-safe.

    Frames can be lost on their way, since camera topics are best effort. One is no longer waited for when a later one
    was tracked, or when the tracker says twice on /diagnostics that nothing waits and no more images came.

    :param topics: those with the camera's images, as recorded.
    :param tracker: name of its node.
    :param others: names of other nodes that must have found the player before anything is played.
    """

    def __init__(self, topics: Collection[str], tracker: str, *others: str) -> None:
        self._topics = frozenset(topics)
        self._tracker = tracker
        self._deaf = {tracker, *others}
        self._lock = threading.Lock()
        self._under_way: deque[int] = deque()
        self._idle: tuple[str, int] | None = None
        self.played = 0

    def hold(self, topic: str, raw: bytes) -> bool:
        """Return whether this message has to wait, and the bag's time with it; if not, count it as played.

        :param topic: as recorded.
        :param raw: the message in CDR.
        """
        with self._lock:
            if self._deaf:
                return True
            if topic in self._topics:
                if len(self._under_way) >= AHEAD:
                    return True
                self.played += 1
                self._under_way.append(stamp_of(raw))
            return False

    def tracked(self, stamp: int) -> None:
        """Take note of a frame that was tracked; ``stamp`` is that of its image, in nanoseconds."""
        with self._lock:
            if stamp in self._under_way:
                while self._under_way.popleft() != stamp:
                    pass

    def heard(self, node: str, figures: Mapping[str, str]) -> None:
        """Take note of what a node says on /diagnostics."""
        with self._lock:
            if figures.get("publishers", "0") != "0":
                self._deaf.discard(node)
            if node != self._tracker:
                return
            idle = (figures.get("images", "0"), self.played) if figures.get("waiting") == "0" else None
            if idle is not None and idle == self._idle:
                self._under_way.clear()
            self._idle = idle

    def done(self) -> bool:
        """Return whether the tracker is through with all that was played; what is under way needs its publisher."""
        with self._lock:
            return not self._under_way


def stamp_of(raw: bytes) -> int:
    """Return the stamp in nanoseconds of a message in CDR that begins with a std_msgs/Header."""
    seconds, nanoseconds = struct.unpack_from("<iI" if raw[1] & 1 else ">iI", raw, 4)
    return int(seconds) * 10**9 + int(nanoseconds)
