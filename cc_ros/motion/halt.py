"""Why a move ended."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


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
