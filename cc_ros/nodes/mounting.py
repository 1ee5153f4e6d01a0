"""The camera on the robot and in the fixed frame, as parameters, ``/tf_static`` and ``/tf`` tell."""

from __future__ import annotations

import threading
import time
from typing import Any

import numpy as np
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy
from tf2_msgs.msg import TFMessage

from cc_ros.geometry.poses import OPTICAL_IN_BODY
from cc_ros.sources.bag.robot_frames import FIXED, RobotFrames

STATIC_QOS = QoSProfile(depth=100, durability=DurabilityPolicy.TRANSIENT_LOCAL)
MOVING_QOS = QoSProfile(depth=100, history=HistoryPolicy.KEEP_LAST, reliability=ReliabilityPolicy.BEST_EFFORT)
LOOPED = 5.0  # seconds: transforms so much older than the newest begin a recording again


class Mounting:
    """Finds the pose of the optical frame in the frame that odometry moves, or in a fixed frame. Thread-safe.

    ``/tf`` is listened to once something needs it: it may bring thousands of transforms a second.

    :param given: 4x4 pose by parameters; None = look for it in tf.
    :param tolerance: largest distance in time to a known transform, seconds.
    """

    def __init__(self, node: Node, given: np.ndarray | None, tolerance: float) -> None:
        self._node = node
        self._given = given
        self._lock = threading.Lock()
        self._frames = RobotFrames(tolerance)
        self._subscriptions = [node.create_subscription(TFMessage, "/tf_static", self.learn, STATIC_QOS)]

    def learn(self, message: Any) -> None:
        """Take in a ``tf2_msgs/TFMessage`` of fixed transforms."""
        with self._lock:
            self._frames.add(message)

    def move(self, message: Any) -> None:
        """Take in a ``tf2_msgs/TFMessage`` of transforms that may change."""
        stamps = [t.header.stamp.sec + t.header.stamp.nanosec * 1e-9 for t in message.transforms]
        with self._lock:
            if stamps and max(stamps) < self._frames.newest - LOOPED:
                self._frames.forget_moving()  # a bag that loops
            self._frames.add(message, time.time())

    def of(self, base: str, camera: str, stamp: float) -> tuple[np.ndarray | None, str]:
        """Return the 4x4 pose of the camera's optical frame in ``base``, and what is to be said about it, or "".

        None where a link between the two moves, and is not known near that time.

        :param base: ``child_frame_id`` of the odometry.
        :param camera: ``frame_id`` of the images.
        :param stamp: of the image, seconds.
        """
        if self._given is not None:
            return self._given, ""
        with self._lock:
            pose = self._frames.between(base, camera, stamp)
            joined = self._frames.joined(base, camera)
        if pose is not None:
            return pose, ""
        self._listen()
        if joined:
            return None, f"where the camera {camera!r} is on {base!r} is not known near some images: /tf comes too late"
        return OPTICAL_IN_BODY, (
            f"the camera is taken to sit at the robot's base and to look ahead: no transform from "
            f"{base or 'base_link'!r} to {camera or 'the camera'!r} is known; set the parameters "
            "camera.camera_x ... camera.camera_yaw"
        )

    def fixed(self, wanted: str, camera: str, stamp: float) -> tuple[np.ndarray | None, str]:
        """Return the 4x4 pose of the camera's optical frame in a fixed frame by tf alone, and that frame's name.

        None, and "" or the frame, where no chain of transforms joins them, or not near that time.

        :param wanted: the fixed frame; "" = the first of odom and map that there is.
        """
        self._listen()
        with self._lock:
            for name in (wanted,) if wanted else FIXED:
                if self._frames.joined(name, camera):
                    return self._frames.between(name, camera, stamp), name
        return None, ""

    def _listen(self) -> None:
        with self._lock:
            if len(self._subscriptions) == 1:
                self._subscriptions.append(self._node.create_subscription(TFMessage, "/tf", self.move, MOVING_QOS))

    def close(self) -> None:
        """Stop listening."""
        while self._subscriptions:
            self._node.destroy_subscription(self._subscriptions.pop())
