"""The tree of transforms of a robot (/tf_static, /tf): the pose of the camera on its base."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from cc_ros.errors import CCError
from cc_ros.geometry.poses import PoseTrack, rotation_from_quaternion

FIXED = ("odom", "map")  # frames that do not move, by REP 105; the first is the smooth one
_MOVING = 2000  # poses kept of a link that moves


class RobotFrames:
    """A tree of transforms by frame name; links that move are looked up by time.

    :param tolerance: largest distance in time to a known pose of a link that moves, seconds.
    """

    def __init__(self, tolerance: float = 0.2) -> None:
        self._tolerance = tolerance
        self._parents: dict[str, tuple[str, np.ndarray | PoseTrack]] = {}
        #: stamp of the newest transform that may change, seconds.
        self.newest = -np.inf

    def add(self, message: Any, arrival: float | None = None) -> None:
        """Take in a ``tf2_msgs/TFMessage``; transforms that are none (not finite, zero rotation) are left out.

        :param arrival: seconds, of a message on /tf: for transforms without a stamp; None = on /tf_static.
        """
        for transform in message.transforms:
            move, turn = transform.transform.translation, transform.transform.rotation
            pose = np.eye(4)
            pose[:3, 3] = move.x, move.y, move.z
            try:
                pose[:3, :3] = rotation_from_quaternion((turn.x, turn.y, turn.z, turn.w))
            except CCError:
                continue
            if not np.isfinite(pose).all():
                continue
            child, parent = _plain(transform.child_frame_id), _plain(transform.header.frame_id)
            if arrival is None:
                self._parents[child] = parent, pose
                continue
            stamp = transform.header.stamp.sec + transform.header.stamp.nanosec * 1e-9 or arrival
            track = self._track(child, parent)
            if track is not None:
                track.add(stamp, pose)
                self.newest = max(self.newest, stamp)

    def joined(self, base: str, frame: str) -> bool:
        """Whether a chain of transforms joins two frames, at whatever time."""
        return not set(self._chain(_plain(base))).isdisjoint(self._chain(_plain(frame)))

    def moves(self, base: str, frame: str) -> bool:
        """Whether the chain between two frames has links that may move."""
        one, other = self._chain(_plain(base)), self._chain(_plain(frame))
        between = set(one) ^ set(other)
        return any(isinstance(self._parents[name][1], PoseTrack) for name in between if name in self._parents)

    def between(self, base: str, frame: str, stamp: float = 0.0) -> np.ndarray | None:
        """Return the 4x4 pose of ``frame`` in ``base`` at ``stamp`` (seconds).

        None where no chain of transforms joins them, or a moving link is not known near that time.
        """
        from_base, from_frame = self._to_root(_plain(base), stamp), self._to_root(_plain(frame), stamp)
        for name in from_base:  # the first common ancestor
            if name in from_frame:
                return np.linalg.inv(from_base[name]) @ from_frame[name]
        return None

    def same(self, one: str, other: str) -> bool:
        """Whether two frames are one by their fixed transforms: some drivers have two names for the same."""
        pose = None if self.moves(one, other) else self.between(one, other)
        return pose is not None and np.allclose(pose, np.eye(4), atol=1e-4)

    def forget_moving(self) -> None:
        """Forget where moving links were: a recording that begins again."""
        for _, link in self._parents.values():
            if isinstance(link, PoseTrack):
                link.clear()
        self.newest = -np.inf

    def _track(self, child: str, parent: str) -> PoseTrack | None:
        """Return the poses of a moving link; None where a fixed one is known."""
        known = self._parents.get(child)
        if known is None or known[0] != parent:
            known = self._parents[child] = parent, PoseTrack(_MOVING, self._tolerance)
        return known[1] if isinstance(known[1], PoseTrack) else None

    def _chain(self, frame: str) -> list[str]:
        names = [frame]
        while frame in self._parents:
            frame = self._parents[frame][0]
            if frame in names:  # a loop: not a tree
                break
            names.append(frame)
        return names

    def _to_root(self, frame: str, stamp: float) -> dict[str, np.ndarray]:
        """Return the poses of ``frame`` in itself and in each of its ancestors."""
        names = self._chain(frame)
        pose = np.eye(4)
        poses = {frame: pose}
        for name, parent in itertools.pairwise(names):
            link = self._parents[name][1]
            step = link.at(stamp) if isinstance(link, PoseTrack) else link
            if step is None:
                break
            pose = step @ pose
            poses[parent] = pose
        return poses


def _plain(frame: str) -> str:
    return frame.lstrip("/")
