"""From marked keyframes and a question to a checked answer."""

from cc_ros.reasoning.reasoner import Reasoner
from cc_ros.reasoning.settings import GoalSettings, ReasonerSettings
from cc_ros.reasoning.types import (
    Action,
    Answer,
    Goal,
    KeyframeSource,
    Kind,
    MarkPlace,
    Move,
    Progress,
    Question,
    Status,
    Style,
    Usage,
)

__all__ = [
    "Action",
    "Answer",
    "Goal",
    "GoalSettings",
    "KeyframeSource",
    "Kind",
    "MarkPlace",
    "Move",
    "Progress",
    "Question",
    "Reasoner",
    "ReasonerSettings",
    "Status",
    "Style",
    "Usage",
]
