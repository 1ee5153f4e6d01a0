"""The order of time in a camera stream: what to do when stamps stand still or run backwards."""

from __future__ import annotations

from enum import Enum, auto


class Order(Enum):
    """What a stamp means for the stream."""

    NEXT = auto()
    STILL = auto()  # the same stamp again: use the time of arrival instead
    LATE = auto()  # overtaken on the way: leave the image out
    JUMPED_BACK = auto()  # a bag that loops, a simulation that restarts: a new episode


class StampOrder:
    """Compares each stamp with the one before.

    :param jump: nanoseconds backwards from which on a stamp is a new beginning rather than a late image.
    """

    def __init__(self, jump: int = 500_000_000) -> None:
        self._jump = jump
        self._last: int | None = None
        self._stood = 0  # how long stamps stood still in this episode
        self._arrival = 0

    def check(self, stamp: int, arrival: int) -> tuple[Order, int]:
        """Return what the next stamp means, and the time to go by, which grows within an episode.

        :param stamp: of the image, nanoseconds.
        :param arrival: when it came, nanoseconds of a monotonic clock.
        """
        waited, self._arrival = arrival - self._arrival, arrival
        last = self._last
        if last is None or stamp > last:
            order = Order.NEXT
        elif stamp == last:
            order = Order.STILL
            self._stood += max(waited, 1_000_000)
        elif stamp > last - self._jump:
            return Order.LATE, stamp + self._stood
        else:
            order = Order.JUMPED_BACK
            self._stood = 0
        self._last = stamp
        return order, stamp + self._stood
