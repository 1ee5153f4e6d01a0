"""From marked keyframes and a question to a checked answer."""

from cc_ros.reasoning.asker import Asker
from cc_ros.reasoning.request import (
    Action,
    Answer,
    KeyframeSource,
    Kind,
    Move,
    Progress,
    Question,
    Seen,
    Status,
    Style,
    Usage,
    Wanted,
)
from cc_ros.reasoning.settings import ReasonerSettings

__all__ = [
    "Action",
    "Answer",
    "Asker",
    "KeyframeSource",
    "Kind",
    "Move",
    "Progress",
    "Question",
    "ReasonerSettings",
    "Seen",
    "Status",
    "Style",
    "Usage",
    "Wanted",
]
