"""From marked keyframes and a question to a checked answer."""

from cc_ros.reasoning.reasoner import Reasoner
from cc_ros.reasoning.settings import ReasonerSettings
from cc_ros.reasoning.types import (
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

__all__ = [
    "Action",
    "Answer",
    "KeyframeSource",
    "Kind",
    "Move",
    "Progress",
    "Question",
    "Reasoner",
    "ReasonerSettings",
    "Seen",
    "Status",
    "Style",
    "Usage",
    "Wanted",
]
