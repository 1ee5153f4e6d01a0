"""Depth images that wait for the pictures they belong to."""

from __future__ import annotations

from collections import deque
from typing import TypeAlias

from sensor_msgs.msg import CompressedImage, Image

from cc_ros.stamps import Order, StampOrder

DepthMessage: TypeAlias = Image | CompressedImage
SPARE = 10  # kept where no picture waits: the next one may come later than its depth


class DepthBuffer:
    """The depth images of the last while, by stamp (nanoseconds). Not thread-safe.

    :param megabytes: of memory at most.
    """

    def __init__(self, megabytes: float) -> None:
        self._limit = megabytes * 1e6
        self._order = StampOrder()
        self._kept: deque[tuple[int, DepthMessage]] = deque()
        self._bytes = 0

    def __bool__(self) -> bool:
        return bool(self._kept)

    def add(self, stamp: int, message: DepthMessage, arrival: int, needed_from: int | None) -> int:
        """Keep one; return how many had to be dropped although a picture that waits may need them.

        :param arrival: when it came, nanoseconds of a monotonic clock.
        :param needed_from: depth from this stamp on may still be needed; None = no picture waits.
        """
        if self._order.check(stamp, arrival)[0] is Order.JUMPED_BACK:
            self._kept.clear()  # a bag that loops
            self._bytes = 0
        self._kept.append((stamp, message))
        self._bytes += len(message.data)
        dropped = 0
        while len(self._kept) > 1:
            needed = needed_from is not None and self._kept[0][0] >= needed_from
            if self._bytes <= self._limit and (needed or len(self._kept) <= SPARE):
                break
            self._bytes -= len(self._kept.popleft()[1].data)
            dropped += needed
        return dropped

    def reaches(self, stamp: int) -> bool:
        """Return whether one as new as this is here."""
        return any(kept >= stamp for kept, _ in self._kept)

    def nearest(self, stamp: int, tolerance: float) -> DepthMessage | None:
        """Return the one nearest in time.

        :param tolerance: largest difference, nanoseconds.
        """
        kept, message = min(self._kept, key=lambda pair: abs(pair[0] - stamp), default=(0, None))
        return message if message is not None and abs(kept - stamp) <= tolerance else None
