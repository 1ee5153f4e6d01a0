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

    :param jump: seconds backwards from which on a stamp is a new beginning rather than a late image.
    """

    def __init__(self, jump: float = 0.5) -> None:
        self._jump = jump
        self._last: int | None = None
        self._seconds = 0.0
        self._arrival = 0.0

    def check(self, stamp: int, arrival: float) -> tuple[Order, float]:
        """Return what the next stamp means, and the seconds to go by, which grow within an episode.

        :param stamp: of the image, nanoseconds.
        :param arrival: when it came, seconds of a monotonic clock.
        """
        waited, self._arrival = arrival - self._arrival, arrival
        last, seconds = self._last, stamp * 1e-9
        if last is not None and stamp == last:
            self._seconds += max(waited, 1e-3)
            return Order.STILL, self._seconds
        if last is None or seconds > self._seconds:
            order = Order.NEXT
        elif seconds > self._seconds - self._jump:
            return Order.LATE, seconds
        else:
            order = Order.JUMPED_BACK
        self._last, self._seconds = stamp, seconds
        return order, seconds
