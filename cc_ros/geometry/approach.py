"""Compute a goal in front of an object where a robot can stand."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np


def approach(target: Sequence[float], camera: np.ndarray, distance: float) -> tuple[float, float, float]:
    """Return (x, y, yaw) on the ground: on the line from the camera to the target, ``distance`` before it, facing it.

    A camera that is nearer than that stays where it is and turns.

    :param target: (x, y, z) of the object in the world, z up, metres.
    :param camera: 4x4 pose of the camera in the world.
    :param distance: metres to keep from the target, measured over ground.
    :return: metres, and the heading in radians from the x axis to the left (REP 103).
    """
    here = camera[:2, 3]
    way = np.asarray(target[:2], dtype=float) - here
    length = float(np.hypot(*way))
    if length < 1e-6:  # straight above or below: keep looking where the camera looks
        forward = camera[:2, 2]
        return float(here[0]), float(here[1]), math.atan2(forward[1], forward[0])
    x, y = here + way * max(0.0, length - distance) / length
    return float(x), float(y), math.atan2(way[1], way[0])
