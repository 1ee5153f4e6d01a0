"""Why a move ended, and how an instruction was followed."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, IntEnum


class Cause(Enum):
    """Kinds of ends of a move; the last value says whether the next move may be asked for."""

    DONE = "done", True
    OBSTACLE = "obstacle", True
    STUCK = "stuck", True
    STALE = "stale", True
    """Odometry, images or depth stopped coming."""
    BLIND = "blind", False
    """It is not known what is ahead."""
    ASTRAY = "astray", False
    CANCELLED = "cancelled", False
    STOPPED = "stopped", False
    """By a message on the stop topic."""
    TIMEOUT = "timeout", False
    TOO_FAR = "too_far", False
    NO_ANSWER = "no_answer", False
    CLOSED = "closed", False
    """The node is deactivated or ends."""
    FAILED = "failed", False
    """A defect."""

    def __init__(self, word: str, may_go_on: bool) -> None:
        self.word = word
        self.may_go_on = may_go_on


@dataclass(frozen=True, slots=True)
class Halt:
    """An end of a move.

    :param text: for people and for the model: what happened.
    """

    cause: Cause
    text: str = ""


class FollowStatus(IntEnum):
    """How following an instruction ended; the numbers are the constants of ``cc_ros/action/FollowInstruction``."""

    OK = 0
    """The model said STOP."""
    BAD_REQUEST = 1
    CANCELLED = 2
    STOPPED = 3
    """By a message on the stop topic."""
    TIMEOUT = 4
    TOO_FAR = 5
    """The most moves or the longest way was reached."""
    NO_ANSWER = 6
    """The model has no next move, or cc_reasoner is not there."""
    NO_INPUT = 7
    """Odometry, images or keyframes do not come."""
    REFUSED = 8
    """It would have to drive blindly."""
    BLOCKED = 9
    """Something is in the way, move after move."""
    ASTRAY = 10
    """The robot does not move as it is told."""
    CLOSED = 11
    """cc_navigator is not active, or ends."""
    FAILED = 12
    """A defect."""


@dataclass(frozen=True, slots=True)
class Followed:
    """How an instruction was followed.

    :param message: for people: what went wrong and what to do.
    :param steps: moves that were driven.
    :param distance: metres driven.
    :param seconds: that it took.
    :param log: folder with the log on the robot, "" without one.
    """

    status: FollowStatus
    message: str = ""
    steps: int = 0
    distance: float = 0.0
    seconds: float = 0.0
    log: str = ""

    @property
    def ok(self) -> bool:
        """Whether the model holds the instruction for carried out."""
        return self.status is FollowStatus.OK
