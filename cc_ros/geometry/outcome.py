"""What a measurement ends in: a number with its standard deviation, or the reason why there is none."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum

SURE = 2.0  # standard deviations between two readings of a measurement before one of them counts


class Cause(str, Enum):
    """Why something cannot be told."""

    UNKNOWN_MARK = "unknown_mark"
    """No keyframe shows the mark."""
    NO_CALIBRATION = "no_calibration"
    """There is no camera_info."""
    NO_POSE = "no_pose"
    """There is no odometry, or not in the newest picture."""
    NO_DEPTH = "no_depth"
    """There is no depth, and the camera has not moved so that its place follows from several pictures."""
    MOVED = "moved"
    """What was measured of the mark contradicts itself."""
    TOO_CLOSE = "too_close"
    """Too close to call."""
    UNCERTAIN = "uncertain"
    """It was measured, but not well enough to act on."""
    NO_GOAL = "no_goal"
    """There is nowhere to stand: it is floor or wall, or nothing before it is free and reachable."""
    UNDEFINED = "undefined"
    """It has no answer, such as which side of itself a mark is on."""


@dataclass(frozen=True, slots=True)
class Measured:
    """A number that was measured.

    :param value: radians to the left (negative = right), or metres, by the function that returns it.
    :param sigma: standard deviation in the unit of ``value``.
    :param basis: for people: what it was measured from.
    """

    value: float
    sigma: float
    basis: str

    @property
    def confidence(self) -> float:
        """How sure the sign of ``value`` is, 0.5..0.99 (normal distribution)."""
        return min(0.99, 0.5 * (1 + math.erf(abs(self.value) / (self.sigma * math.sqrt(2)))))

    @property
    def decided(self) -> bool:
        """Whether the sign of ``value`` is sure enough to be told."""
        return abs(self.value) >= SURE * self.sigma  # so written, NaN is undecided as well


@dataclass(frozen=True, slots=True)
class Unknown:
    """Something that cannot be told.

    :param reason: for people.
    :param cause: for programs.
    """

    reason: str
    cause: Cause
