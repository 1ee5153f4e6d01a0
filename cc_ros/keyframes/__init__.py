"""Few frames spread over the episode, with the same number on the same object (paper section 3, steps 2 to 4)."""

from cc_ros.keyframes.drawing import MarkSettings
from cc_ros.keyframes.keyframes import (
    SET_OF_MARK,
    Archive,
    KeyframeRequest,
    Keyframes,
    KeyframeSet,
    KeyframeSettings,
)
from cc_ros.keyframes.store import ArrayPicture, Candidate
from cc_ros.keyframes.types import Mark, MarkedKeyframe, RememberedObject

__all__ = [
    "SET_OF_MARK",
    "Archive",
    "ArrayPicture",
    "Candidate",
    "KeyframeRequest",
    "KeyframeSet",
    "KeyframeSettings",
    "Keyframes",
    "Mark",
    "MarkSettings",
    "MarkedKeyframe",
    "RememberedObject",
]
