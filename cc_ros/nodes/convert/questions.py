"""Questions, answers, and what is told in between; the service and the action have the same fields."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeVar

from geometry_msgs.msg import Point, PoseStamped
from rclpy.serialization import serialize_message

from cc_ros.action import SpatialQuery as SpatialQueryAction
from cc_ros.memory import Asked
from cc_ros.msg import Answered
from cc_ros.msg import MarkPlace as MarkPlaceMsg
from cc_ros.msg import Usage as UsageMsg
from cc_ros.nodes.convert.fields import read, written
from cc_ros.nodes.convert.stamps import nanoseconds, to_time
from cc_ros.reasoning import Action, Answer, Goal, MarkPlace, Move, Question, Status, Usage
from cc_ros.reasoning.types import sendable

M = TypeVar("M")
NAMES: dict[type, dict[str, str]] = {
    Question: {"text": "question"},
    Answer: {"text": "answer"},
    Asked: {"marks": "mark_ids"},
}
"""Fields that the messages name otherwise."""
MOST = 2**32 - 1  # that a count of tokens or bytes can be in a message


def to_question(message: Any) -> Question:
    """Return the question of a request or a goal."""
    return read(Question, message, NAMES[Question])


def answer_message(make: Callable[..., M], answer: Answer) -> M:
    """Return an answer as a message.

    :param make: of the message: ``SpatialQuery.Response`` of the service or ``SpatialQuery.Result`` of the action.
    :raises Exception: a value that the message cannot hold, of whatever kind rclpy makes of it.
    """
    values: dict[str, Any] = {}
    for name, value in written(answer, NAMES[Answer]).items():
        values |= _spread(name, value)
    message = make(**values)
    serialize_message(message)  # what does not fit into it fails here, where something can be done about it
    return message


def to_answer(message: Any) -> Answer:
    """Return the answer of a response or a result.

    :raises ValueError: a status or a move that is none.
    """
    return read(
        Answer,
        message,
        NAMES[Answer],
        status=Status(message.status),
        action=Action(Move(message.action), message.action_value) if message.action else None,
        goal=to_goal(message.goal) if message.has_goal else None,
        places=tuple(map(_to_place, message.places)),
        usage=read(Usage, message.usage),
    )


def answered_message(asked: Asked) -> Answered:
    """Return an answered question as a message."""
    values = {name: value for name, value in written(asked, NAMES[Asked]).items() if name != "stamp"}
    values["keyframes"] = [to_time(round(stamp * 1e9)) for stamp in asked.keyframes]
    message = Answered(**values)
    message.header.stamp = to_time(round(asked.stamp * 1e9))
    return message


def to_answered(message: Answered) -> Asked:
    """Return the answered question of a message."""
    return read(
        Asked,
        message,
        NAMES[Asked],
        stamp=nanoseconds(message.header.stamp) * 1e-9,
        keyframes=tuple(nanoseconds(stamp) * 1e-9 for stamp in message.keyframes),
    )


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


def _place_message(place: MarkPlace) -> MarkPlaceMsg:
    values = written(place)
    point = values.pop("point")
    if point is not None:
        values |= {"has_point": True, "point": Point(x=point[0], y=point[1], z=point[2])}
    return MarkPlaceMsg(**values)


def _to_place(message: MarkPlaceMsg) -> MarkPlace:
    point = (message.point.x, message.point.y, message.point.z) if message.has_point else None
    return read(MarkPlace, message, point=point)


def _spread(name: str, value: Any) -> dict[str, Any]:
    """Return the fields of a message that a field of an answer becomes; None leaves them as they are."""
    if value is None and name in ("action", "goal"):
        return {}
    if isinstance(value, Action):
        return {name: value.move.value, f"{name}_value": float(value.value)}
    if isinstance(value, Goal):
        return {f"has_{name}": True, name: goal_message(value)}
    if name == "places":
        return {name: [_place_message(place) for place in value]}
    if isinstance(value, Usage):
        used = {n: min(v, MOST) if isinstance(v, int) else v for n, v in written(value).items()}
        return {name: UsageMsg(**used)}
    return {name: int(value) if isinstance(value, Status) else value}
