"""Camera poses from odometry: REP 103 body axes to optical axes, and poses between two stamps."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Sequence

import numpy as np

from cc_ros.geometry.camera import GeometryError

# Columns are the optical axes (x right, y down, z forward) written in body axes (x forward, y left, z up).
OPTICAL_IN_BODY = np.array([[0.0, 0.0, 1.0, 0.0], [-1.0, 0.0, 0.0, 0.0], [0.0, -1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0]])


def rotation_from_quaternion(quaternion: Sequence[float]) -> np.ndarray:
    """Return the 3x3 rotation of a quaternion (x, y, z, w), which need not be of unit length.

    :raises GeometryError: not four finite numbers, or all zero (an unset orientation).
    """
    q = np.asarray(quaternion, dtype=np.float64)
    norm = float(np.linalg.norm(q)) if q.shape == (4,) else 0.0
    if not np.isfinite(norm) or norm < 1e-9:
        raise GeometryError(f"a quaternion needs four finite numbers (x, y, z, w), not all zero; got {quaternion}")
    x, y, z, w = q / norm
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


def camera_pose(
    position: Sequence[float], quaternion: Sequence[float], base_to_camera: np.ndarray | None = None
) -> np.ndarray:
    """Return the 4x4 camera-to-world pose of a camera carried by a body.

    :param position: of base_link in the world (x, y, z), metres; ``nav_msgs/Odometry`` pose.
    :param quaternion: (x, y, z, w) orientation of base_link (x forward, y left, z up; REP 103).
    :param base_to_camera: 4x4 pose of the optical frame in base_link; None = at base_link, looking along its x axis.
    :raises GeometryError: a number is missing or not finite.
    """
    t = np.asarray(position, dtype=np.float64)
    if t.shape != (3,) or not np.isfinite(t).all():
        raise GeometryError(f"a position needs three finite numbers, got {position}")
    body = np.eye(4)
    body[:3, :3] = rotation_from_quaternion(quaternion)
    body[:3, 3] = t
    return body @ (OPTICAL_IN_BODY if base_to_camera is None else np.asarray(base_to_camera, dtype=np.float64))


def interpolate_pose(before: np.ndarray, after: np.ndarray, fraction: float) -> np.ndarray:
    """Return the 4x4 pose at ``fraction`` (0..1) of the way: straight line, and turning at an even rate."""
    turn = before[:3, :3].T @ after[:3, :3]
    sine = np.linalg.norm(turn - turn.T) / np.sqrt(8)  # exactly 0 without a turn, whose cosine is rounded
    angle = float(np.arctan2(sine, (np.trace(turn) - 1) / 2))
    pose = np.eye(4)
    pose[:3, 3] = (1 - fraction) * before[:3, 3] + fraction * after[:3, 3]
    pose[:3, :3] = before[:3, :3] @ _rotation(_axis(turn, angle), angle * fraction)
    return pose


def _axis(rotation: np.ndarray, angle: float) -> np.ndarray:
    """Return the unit axis of a rotation by ``angle`` in 0..pi."""
    if angle < 1e-9:
        return np.array([0.0, 0.0, 1.0])
    if angle < np.pi - 1e-4:
        skew = rotation - rotation.T
        axis = np.array([skew[2, 1], skew[0, 2], skew[1, 0]])
    else:  # at half a turn the skew part vanishes; the symmetric part still holds the axis
        symmetric = rotation + np.eye(3)
        axis = symmetric[:, int(np.argmax(np.diag(symmetric)))]
    return axis / np.linalg.norm(axis)


def _rotation(axis: np.ndarray, angle: float) -> np.ndarray:
    x, y, z = axis
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross


class PoseTrack:
    """Poses by stamp, the newest ``size`` of them, looked up in between.

    >>> track = PoseTrack(max_gap=0.6)
    >>> track.add(0.0, np.eye(4)); track.add(1.0, np.eye(4))
    >>> track.at(0.5)[:3, 3]
    array([0., 0., 0.])

    :param size: how many poses to keep.
    :param max_gap: seconds; no pose is made up further than this from a known one.
    """

    def __init__(self, size: int = 4096, max_gap: float = 0.2) -> None:
        self._size = size
        self._max_gap = max_gap
        self._stamps: list[float] = []
        self._poses: dict[float, np.ndarray] = {}

    def add(self, stamp: float, pose: np.ndarray) -> None:
        """Keep a 4x4 pose; stamps may come out of order."""
        if stamp not in self._poses:
            insort(self._stamps, stamp)
        self._poses[stamp] = pose
        if len(self._stamps) > self._size:
            del self._poses[self._stamps.pop(0)]

    def at(self, stamp: float) -> np.ndarray | None:
        """Return the pose at ``stamp``: between its neighbours, or the nearest one, or None where none is near."""
        after = bisect_left(self._stamps, stamp)
        near = [s for s in self._stamps[max(after - 1, 0) : after + 1] if abs(s - stamp) <= self._max_gap]
        if not near:
            return None
        if len(near) == 1:
            return self._poses[near[0]]
        first, second = near
        return interpolate_pose(self._poses[first], self._poses[second], (stamp - first) / (second - first))

    def clear(self) -> None:
        """Forget every pose: a new episode."""
        self._stamps.clear()
        self._poses.clear()
