"""Fixed coordinate frames of a robot, from /tf_static: where the camera sits on its base."""

from __future__ import annotations

from typing import Any

import numpy as np

from cc_ros.errors import CCError
from cc_ros.space.poses import rotation_from_quaternion


class StaticFrames:
    """A tree of fixed transforms by frame name."""

    def __init__(self) -> None:
        self._parents: dict[str, tuple[str, np.ndarray]] = {}

    def add(self, message: Any) -> None:
        """Take in a ``tf2_msgs/TFMessage``; transforms that are none (not finite, zero rotation) are left out."""
        for transform in message.transforms:
            move, turn = transform.transform.translation, transform.transform.rotation
            pose = np.eye(4)
            pose[:3, 3] = move.x, move.y, move.z
            try:
                pose[:3, :3] = rotation_from_quaternion((turn.x, turn.y, turn.z, turn.w))
            except CCError:
                continue
            if np.isfinite(pose).all():
                self._parents[_plain(transform.child_frame_id)] = _plain(transform.header.frame_id), pose

    def between(self, base: str, frame: str) -> np.ndarray | None:
        """Return the 4x4 pose of ``frame`` in ``base``, or None where no chain of fixed transforms joins them."""
        from_base, from_frame = self._to_root(_plain(base)), self._to_root(_plain(frame))
        for name in from_base:  # the first common ancestor
            if name in from_frame:
                return np.linalg.inv(from_base[name]) @ from_frame[name]
        return None

    def _to_root(self, frame: str) -> dict[str, np.ndarray]:
        """Return the poses of ``frame`` in itself and in each of its ancestors."""
        poses = {frame: np.eye(4)}
        pose = poses[frame]
        while frame in self._parents:
            frame, step = self._parents[frame]
            if frame in poses:  # a loop: not a tree
                break
            pose = step @ pose
            poses[frame] = pose
        return poses


def _plain(frame: str) -> str:
    return frame.lstrip("/")
