"""Small scenes for the tests of space and reasoning: cameras and marks by the numbers, no pictures needed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cache

import cv2
import numpy as np

from cc_ros.geometry import camera_pose
from cc_ros.keyframes.types import Mark, MarkedKeyframe

WIDTH, HEIGHT, FOCAL = 640, 480, 500.0
INTRINSICS = np.array([[FOCAL, 0, WIDTH / 2], [0, FOCAL, HEIGHT / 2], [0, 0, 1]])


@cache
def picture(seed: int, width: int = WIDTH, height: int = HEIGHT) -> bytes:
    """A JPEG with some content, another for each seed."""
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 255, (height // 16, width // 16, 3), dtype=np.uint8)
    return bytes(cv2.imencode(".jpg", cv2.resize(small, (width, height)))[1].tobytes())


def keyframe(index: int, marks: Mapping[int, tuple[float, float]], stamp: float | None = None) -> MarkedKeyframe:
    """A keyframe with marks at pixels, and nothing known of the camera."""
    placed = tuple(Mark(id, x, y, 900) for id, (x, y) in sorted(marks.items()))
    return MarkedKeyframe(index, 0.5 * index if stamp is None else stamp, picture(index), WIDTH, HEIGHT, placed)


def looking(x: float, y: float, heading_degrees: float, z: float = 1.0) -> np.ndarray:
    """The pose of a level camera at (x, y, z) metres with a heading counter-clockwise from the world's x axis."""
    half = math.radians(heading_degrees) / 2
    return camera_pose((x, y, z), (0.0, 0.0, math.sin(half), math.cos(half)))


def see(
    poses: Sequence[np.ndarray],
    objects: Mapping[int, tuple[float, float, float]],
    *,
    depth: bool = False,
    pose: bool = True,
    intrinsics: bool = True,
) -> list[MarkedKeyframe]:
    """What a camera at these poses sees of objects in the world (metres), one keyframe a pose."""
    frames = []
    for index, camera in enumerate(poses):
        marks = []
        for id, place in sorted(objects.items()):
            x, y, z = np.linalg.inv(camera) @ np.array([*place, 1.0]) @ np.eye(4)[:, :3]
            if z <= 0.1:
                continue
            u, v = FOCAL * x / z + WIDTH / 2, FOCAL * y / z + HEIGHT / 2
            if 0 <= u < WIDTH and 0 <= v < HEIGHT:
                marks.append(Mark(id, u, v, 900, z if depth else math.nan))
        frames.append(
            MarkedKeyframe(
                index,
                0.5 * index,
                picture(index),
                WIDTH,
                HEIGHT,
                tuple(marks),
                INTRINSICS if intrinsics else None,
                camera if pose else None,
            )
        )
    return frames
