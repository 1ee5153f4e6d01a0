"""The order of time in a camera stream, live or recorded: what to do when stamps stand still or run backwards."""

from __future__ import annotations

from enum import Enum, auto

JUMP = 500_000_000  # nanoseconds backwards from which on a stamp is a new beginning rather than a late image


class Order(Enum):
    """What a stamp means for the stream."""

    NEXT = auto()
    STILL = auto()  # the same stamp again: the time of arrival counts instead
    LATE = auto()  # overtaken on the way: leave the image out
    JUMPED_BACK = auto()  # a bag that loops, a simulation that restarts: a new episode


class StampOrder:
    """Compares each stamp of one topic with the one before; the one rule for nodes and recordings.

    The instant to go by is the stamp wherever stamps grow. While a stamp stands still, the instant goes on with the
    time of arrival; afterwards it never runs faster than images arrive until the stamps have caught up with it. So
    stamps of whole seconds, and images that are sent twice, keep the pace of the stream.

    """

    def __init__(self) -> None:
        self._last: int | None = None
        self._instant = 0
        self._arrival = 0

    def check(self, stamp: int, arrival: int) -> tuple[Order, int]:
        """Return what the next stamp means, and the instant to go by, which grows within an episode.

        Match what belongs to the image (depth, a pose) by its stamp; by the instant where the order is STILL.

        :param stamp: of the image, nanoseconds.
        :param arrival: when it came, nanoseconds: of a monotonic clock, or of the recording.
        """
        waited = arrival - self._arrival
        last = self._last
        if last is None:
            order, self._instant = Order.NEXT, stamp
        elif stamp > last:
            order = Order.NEXT
            self._instant = max(stamp, self._instant + max(min(stamp - last, waited), 1))
        elif stamp == last:
            order = Order.STILL
            self._instant += max(waited, 1_000_000)
        elif stamp > last - JUMP:
            return Order.LATE, stamp
        else:
            order, self._instant = Order.JUMPED_BACK, stamp
        self._last, self._arrival = stamp, arrival
        return order, self._instant
