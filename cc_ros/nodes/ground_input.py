"""What is known of the ground: by depth, and by a map or costmap where one is given."""

from __future__ import annotations

import threading

import numpy as np
from nav_msgs.msg import OccupancyGrid
from rclpy.qos import DurabilityPolicy, QoSProfile

from cc_ros.errors import CCError
from cc_ros.geometry.ground_seen import SeenGround
from cc_ros.ground import Ground
from cc_ros.nodes.base_node import BaseNode
from cc_ros.nodes.camera import View
from cc_ros.nodes.convert.grounds import ground_message, to_ground

REACH = 20.0  # metres around the robot that are handed out of a map
MAP_QOS = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)  # as map servers and costmaps publish
LIVE_QOS = QoSProfile(depth=1)  # others publish again and again, and latch nothing


class GroundInput:
    """Takes the views of the camera and ``map``, and hands out what they say of the ground. Thread-safe.

    :param node: is told what cannot be used.
    """

    def __init__(self, node: BaseNode) -> None:
        self._node = node
        self._seen = SeenGround()
        self._lock = threading.Lock()
        self._map: tuple[Ground, str] | None = None  # and its frame
        self._here: np.ndarray | None = None
        self._subscriptions = [
            node.create_subscription(OccupancyGrid, "map", self._on_map, qos) for qos in (MAP_QOS, LIVE_QOS)
        ]

    def see(self, stamp: float, view: View) -> None:
        """Take in what the camera sees.

        :param stamp: seconds.
        :raises GeometryError: the intrinsics are unusable.
        """
        if view.pose is None:
            return
        with self._lock:
            self._here = view.pose[:3, 3]
        if view.depth is not None and view.intrinsics is not None:
            self._seen.add(stamp, view.depth, view.intrinsics, view.pose, view.distortion)

    def clear(self) -> None:
        """Forget what was seen: a new episode. The map stays."""
        with self._lock:
            self._here = None
        self._seen.clear()

    def messages(self, world: str) -> list[OccupancyGrid]:
        """Return what is known around the robot, as far as it is in the world of its poses.

        :param world: the frame of the odometry.
        """
        with self._lock:
            given, here = self._map, self._here
        seen = self._seen.ground()
        found = [] if seen is None else [ground_message(seen, world)]
        if given is not None and here is not None:
            ground, frame = given
            if frame == world:
                found.append(ground_message(ground.around((float(here[0]), float(here[1])), REACH), world))
            else:
                self._node.remark(
                    "map_in_another_frame",
                    f"the map is in {frame!r} and the odometry in {world!r}: goals do without it; remap map "
                    f"to a costmap in {world!r}, or odom to odometry in {frame!r}",
                )
        return found

    def close(self) -> None:
        """Stop listening."""
        while self._subscriptions:
            self._node.destroy_subscription(self._subscriptions.pop())

    def _on_map(self, message: OccupancyGrid) -> None:
        try:
            ground = to_ground(message)
        except CCError as error:
            self._node.fault("bad_maps", f"a map was left out: {error}")
            return
        with self._lock:
            # The height of a map's origin is not that of the floor.
            self._map = Ground(ground.cells, ground.resolution, ground.origin, ground.yaw), message.header.frame_id
