"""Estimate the turn of a panning camera without odometry, from the marks that pictures share.

Two pictures taken from one place show the same objects under the same angles to each other; once the camera has moved,
near and far objects shift differently. So a turn is only accepted where two or more shared marks agree on it.
"""

from __future__ import annotations

import math
from collections import deque

import numpy as np

from cc_ros.geometry.camera import undistorted
from cc_ros.geometry.scene import Azimuth, SceneMap
from cc_ros.geometry.triangulate import MARK_NOISE
from cc_ros.keyframes.types import MarkedKeyframe

USUAL_FIELD_OF_VIEW = math.radians(60)  # horizontal, of the colour cameras on robots, where intrinsics are unknown
AGREE = math.radians(2.5)  # shared marks may differ this much, and by a tenth of the turn, on how far it was
MIN_SHARED = 2


def pan_order(scene: SceneMap) -> dict[int, Azimuth]:
    """Return each mark's azimuth (radians, left positive, 0 = the oldest picture's axis) as far as the turn is known.

    Marks of pictures that cannot be tied to the oldest are left out.
    """
    views = [view_angles(frame) for frame in scene.keyframes]
    if not views:
        return {}
    turned = _turns(views)
    seen: dict[int, list[float]] = {}
    for picture, turn in turned.items():
        for id, angle in views[picture].items():
            seen.setdefault(id, []).append(angle + turn)
    slack = MARK_NOISE * math.sqrt(len(turned))
    return {id: Azimuth(float(np.mean(angles)), max(slack, float(np.ptp(angles)))) for id, angles in seen.items()}


def view_angles(frame: MarkedKeyframe) -> dict[int, float]:
    """Return each mark's angle to the left of the picture's axis in radians."""
    if frame.intrinsics is None:
        focal, middle = frame.width / 2 / math.tan(USUAL_FIELD_OF_VIEW / 2), frame.width / 2
        return {mark.id: math.atan2(middle - mark.x, focal) for mark in frame.marks}
    pixels = np.array([(mark.x, mark.y) for mark in frame.marks]).reshape(-1, 2)
    aside = undistorted(pixels, frame.intrinsics, frame.distortion)[:, 0]
    return {mark.id: -math.atan(x) for mark, x in zip(frame.marks, aside.tolist(), strict=True)}


def _turns(views: list[dict[int, float]]) -> dict[int, float]:
    """Return how far each picture is turned to the left of the first, for those tied to it by shared marks."""
    turned = {0: 0.0}
    waiting = deque([0])
    while waiting:
        picture = waiting.popleft()
        for other in range(len(views)):
            if other in turned:
                continue
            turn = _turn_between(views[picture], views[other])
            if turn is not None:
                turned[other] = turned[picture] + turn
                waiting.append(other)
    return turned


def _turn_between(view: dict[int, float], other: dict[int, float]) -> float | None:
    shared = sorted(view.keys() & other.keys())
    if len(shared) < MIN_SHARED:
        return None
    turns = np.array([view[id] - other[id] for id in shared])
    turn = float(np.median(turns))
    return turn if float(np.ptp(turns)) <= 2 * (AGREE + 0.1 * abs(turn)) else None
