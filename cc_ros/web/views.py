"""What browsers are sent, as plain values: keyframes, the map, answers, and diagnostics in words."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from cc_ros.client import Place
from cc_ros.keyframes.types import MarkedKeyframe
from cc_ros.runs.timeline import chip

Plain = dict[str, Any]


def number(value: float | None, digits: int = 2) -> float | None:
    """Return a number that JSON can hold, None for one that is unknown."""
    return None if value is None or not math.isfinite(value) else round(float(value), digits)


def keyframes_view(keyframes: Sequence[MarkedKeyframe], name: Callable[[bytes], str], fill: str) -> list[Plain]:
    """Return marked keyframes.

    :param name: keeps a JPEG and returns what it is served by.
    :param fill: colour of the marks as drawn.
    """
    begin = keyframes[0].stamp if keyframes else 0.0
    return [
        {
            "picture": name(keyframe.jpeg),
            "index": keyframe.index,
            "seconds": number(keyframe.stamp - begin),
            "width": keyframe.width,
            "height": keyframe.height,
            "marks": [{"id": mark.id, **chip(fill, mark.id)} for mark in keyframe.marks],
        }
        for keyframe in keyframes
    ]


def map_view(keyframes: Sequence[MarkedKeyframe], places: Sequence[Place], fill: str, remarks: Sequence[str]) -> Plain:
    """Return the map seen from above, in metres of the frame of the odometry, x and y as by REP 103."""
    poses = [keyframe.pose for keyframe in keyframes if keyframe.pose is not None]
    robot = None
    if keyframes and keyframes[-1].pose is not None:
        newest = keyframes[-1].pose
        yaw = math.atan2(newest[1, 2], newest[0, 2])  # of the camera's axis z, which is where it looks
        robot = {"x": number(newest[0, 3]), "y": number(newest[1, 3]), "yaw": number(yaw, 3)}
    return {
        "frame": next((keyframe.world_frame for keyframe in keyframes if keyframe.pose is not None), ""),
        "robot": robot,
        "path": [[number(pose[0, 3]), number(pose[1, 3])] for pose in poses],
        "places": [place_view(place, fill) for place in places],
        "remarks": list(remarks),
    }


def place_view(place: Place, fill: str) -> Plain:
    """Return where a mark is, as far as that is known."""
    return {
        "id": place.mark,
        **chip(fill, place.mark),
        "point": None if place.point is None else [number(value) for value in place.point],
        "sigma": number(place.sigma, 3),
        "distance": number(place.distance),
        "degrees": None if place.direction is None else number(math.degrees(place.direction), 0),
        "missing": place.missing,
    }


def answer_view(result: Any, places: Sequence[Place], evidence: Sequence[Plain], fill: str) -> Plain:
    """Return the result of a question.

    :param result: ``cc_ros.action.SpatialQuery.Result``.
    :param places: of its marks.
    :param evidence: keyframes that show them.
    """
    place = {one.mark: one for one in places}
    unknown = [Place(mark, None, "", None, None, "") for mark in result.mark_ids if mark not in place]
    place |= {one.mark: one for one in unknown}
    goal = None
    if result.has_goal:
        pose = result.goal.pose
        yaw = 2 * math.atan2(pose.orientation.z, pose.orientation.w)
        goal = {"x": number(pose.position.x), "y": number(pose.position.y), "degrees": number(math.degrees(yaw), 0)}
        goal["frame"] = result.goal.header.frame_id
    return {
        "ok": result.status == result.OK,
        "cancelled": result.status == result.CANCELLED,
        **{name: getattr(result, name) for name in ("answer", "message", "reason", "source", "kind", "prompt")},
        "confidence": number(result.confidence),
        "marks": [place_view(place[mark], fill) for mark in result.mark_ids],
        "evidence": list(evidence),
        "goal": goal,
        "usage": {
            "seconds": number(result.usage.seconds),
            "images": result.usage.images,
            "requests": result.usage.requests,
            "tokens": result.usage.prompt_tokens + result.usage.answer_tokens or result.usage.estimated_tokens,
            "cost": number(result.usage.cost, 6),
            "model": result.usage.model,
        },
    }


def words(figures: Mapping[str, str]) -> list[str]:
    """Return the figures that a node tells on /diagnostics as words, those that say something."""
    return [f"{key.replace('_', ' ')}: {value}" for key, value in figures.items() if value not in ("", "0", "0.0")]
