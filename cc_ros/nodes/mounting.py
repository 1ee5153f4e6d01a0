"""Where the camera sits on the robot: by parameters, else by ``/tf_static``, else at its base, looking ahead."""

from __future__ import annotations

from typing import Any

import numpy as np
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile

from cc_ros.geometry.poses import OPTICAL_IN_BODY
from cc_ros.sources.bag.robot_frames import RobotFrames

STATIC_QOS = QoSProfile(depth=100, durability=DurabilityPolicy.TRANSIENT_LOCAL)


class Mounting:
    """Finds the pose of the optical frame in the frame that odometry moves.

    :param given: 4x4 pose by parameters; None = look for it in ``/tf_static``, where tf2_msgs is installed.
    """

    def __init__(self, node: Node, given: np.ndarray | None) -> None:
        self._node = node
        self._given = given
        self._frames = RobotFrames()
        self._found: dict[tuple[str, str], np.ndarray] = {}
        self._subscription = None
        kind = None if given is not None else _tf_message()
        if kind is not None:
            self._subscription = node.create_subscription(kind, "/tf_static", self.learn, STATIC_QOS)

    def learn(self, message: Any) -> None:
        """Take in a ``tf2_msgs/TFMessage`` of fixed transforms."""
        self._frames.add(message)
        self._found = {}

    def of(self, base: str, camera: str) -> tuple[np.ndarray, str]:
        """Return the 4x4 pose of the camera's optical frame in ``base``, and what is to be said about it, or "".

        :param base: ``child_frame_id`` of the odometry.
        :param camera: ``frame_id`` of the images.
        """
        if self._given is not None:
            return self._given, ""
        pose = self._found.get((base, camera))
        if pose is None:
            pose = self._frames.between(base, camera)
            if pose is None:
                return OPTICAL_IN_BODY, (
                    f"the camera is taken to sit at the robot's base and to look ahead: no fixed transform from "
                    f"{base or 'base_link'!r} to {camera or 'the camera'!r} is known; set the parameters "
                    "camera.camera_x ... camera.camera_yaw"
                )
            self._found[base, camera] = pose
        return pose, ""

    def close(self) -> None:
        """Stop listening."""
        if self._subscription is not None:
            self._node.destroy_subscription(self._subscription)
            self._subscription = None


def _tf_message() -> Any:
    try:
        from tf2_msgs.msg import TFMessage
    except ImportError:  # there are no wheels of it
        return None
    return TFMessage
