"""Questions, answers, and what is told in between; the service and the action have the same fields."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any, TypeVar

from geometry_msgs.msg import PoseStamped
from rclpy.serialization import serialize_message

from cc_ros.action import SpatialQuery as SpatialQueryAction
from cc_ros.msg import Usage as UsageMsg
from cc_ros.reasoning import Action, Answer, Goal, Move, Question, Status, Usage

M = TypeVar("M")
NAMES = {Question: {"text": "question"}, Answer: {"text": "answer"}}
"""Fields that the messages name otherwise."""
MOST = 2**32 - 1  # that a count of tokens or bytes can be in a message


def question_message(make: Callable[..., M], question: Question) -> M:
    """Return a question as a message.

    :param make: of the message: ``SpatialQuery.Request`` of the service or ``SpatialQuery.Goal`` of the action.
    """
    fields = dataclasses.fields(Question)
    return make(**{_name(Question, field.name): getattr(question, field.name) for field in fields})


def to_question(message: Any) -> Question:
    """Return the question of a request or a goal."""
    names = [field.name for field in dataclasses.fields(Question)]
    return Question(**{name: _value(getattr(message, _name(Question, name))) for name in names})


def answer_message(make: Callable[..., M], answer: Answer) -> M:
    """Return an answer as a message.

    :param make: of the message: ``SpatialQuery.Response`` of the service or ``SpatialQuery.Result`` of the action.
    :raises Exception: a value that the message cannot hold, of whatever kind rclpy makes of it.
    """
    values: dict[str, Any] = {}
    for field in dataclasses.fields(Answer):
        values |= _spread(_name(Answer, field.name), getattr(answer, field.name))
    message = make(**values)
    serialize_message(message)  # what does not fit into it fails here, where something can be done about it
    return message


def to_answer(message: Any) -> Answer:
    """Return the answer of a response or a result.

    :raises ValueError: a status or a move that is none.
    """
    names = [field.name for field in dataclasses.fields(Answer)]
    values = {name: _value(getattr(message, _name(Answer, name))) for name in names}
    values["status"] = Status(message.status)
    values["action"] = Action(Move(message.action), message.action_value) if message.action else None
    values["goal"] = to_goal(message.goal) if message.has_goal else None
    values["usage"] = Usage(**{f.name: getattr(message.usage, f.name) for f in dataclasses.fields(Usage)})
    return Answer(**values)


def feedback_message(stage: str, text: str, seconds: float) -> SpatialQueryAction.Feedback:
    """Return how a question gets on as a message."""
    return SpatialQueryAction.Feedback(stage=stage, text=sendable(text), seconds=seconds)


def goal_message(goal: Goal) -> PoseStamped:
    """Return a goal as a message without a stamp."""
    message = PoseStamped()
    message.header.frame_id = goal.frame
    message.pose.position.x, message.pose.position.y = goal.x, goal.y
    message.pose.orientation.z, message.pose.orientation.w = math.sin(goal.yaw / 2), math.cos(goal.yaw / 2)
    return message


def to_goal(message: PoseStamped) -> Goal:
    """Return the goal of a message."""
    place, turn = message.pose.position, message.pose.orientation
    return Goal(place.x, place.y, 2 * math.atan2(turn.z, turn.w), message.header.frame_id)


def sendable(text: str) -> str:
    """Return text that a message can hold: without half surrogate pairs and NUL."""
    return text.encode("utf-8", "replace").decode("utf-8").replace("\0", " ")


def _name(cls: type, field: str) -> str:
    return NAMES[cls].get(field, field)


def _value(value: Any) -> Any:
    """Return a message's value; its lists and arrays become tuples."""
    return value if isinstance(value, str | bool | int | float) or not hasattr(value, "__len__") else tuple(value)


def _spread(name: str, value: Any) -> dict[str, Any]:
    """Return the fields of a message that a field of an answer becomes; None leaves them as they are."""
    if value is None and name in ("action", "goal"):
        return {}
    if isinstance(value, Action):
        return {name: value.move.value, f"{name}_value": float(value.value)}
    if isinstance(value, Goal):
        return {f"has_{name}": True, name: goal_message(value)}
    if isinstance(value, Usage):
        used = {field.name: getattr(value, field.name) for field in dataclasses.fields(Usage)}
        return {name: UsageMsg(**{n: min(v, MOST) if isinstance(v, int) else _plain(v) for n, v in used.items()})}
    return {name: _plain(value)}


def _plain(value: Any) -> Any:
    if isinstance(value, str):
        return sendable(value)
    return int(value) if isinstance(value, Status) else value
