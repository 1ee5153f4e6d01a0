"""Drives a robot to goals, around what depth has shown: what Nav2 does on a robot that has it."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np
from geometry_msgs.msg import Twist
from nav_msgs.msg import Odometry
from rclpy.node import Node
from rclpy.qos import QoSProfile
from sensor_msgs.msg import Image

from cc_ros.msg import Tracks
from cc_ros.nodes.camera import SENSOR_QOS
from cc_ros.nodes.convert.images import to_depth
from cc_ros.nodes.convert.poses import to_pose
from cc_ros.nodes.convert.stamps import nanoseconds
from cc_ros.sim.camera import Camera
from cc_ros.sim.floor_map import FloorMap
from cc_ros.sim.grid import Point
from cc_ros.sim.steering import DriveError, NoWayError, Speeds, Steering, Steps
from cc_ros.sim.world import Pose

STALE = 0.2  # seconds of ROS time without odometry, depth or tracks after which the robot stands
PATIENCE = 10.0  # seconds of ROS time that it stands there before it gives up
SILENCE = 60.0  # seconds of the wall clock without odometry after which it gives up, whatever the ROS time
REPLAN = 1.0  # seconds of ROS time between two plans
NEAR = 1.0  # metres from a goal that nobody can stand on to where it may stop instead


class Driver:
    """Drives while one of its methods runs, and leaves the robot standing when it ends, however it ends.

    :param node: yours; it has to be spun by another thread.
    :param stop: set to end driving.
    :param stale: seconds of ROS time without odometry or depth after which the robot stands.
    :param tracks: stand without ``cc/tracks`` as well: where the nodes are gone, nobody knows what it drives for.
    :param steps: steers and moves the robot by discrete actions; None = by speeds on ``cmd_vel``.
    """

    def __init__(
        self,
        node: Node,
        camera: Camera,
        radius: float,
        stop: threading.Event,
        stale: float = STALE,
        tracks: bool = False,
        steps: Steps | None = None,
    ) -> None:
        self.steps = steps
        self._steering: Steering = steps or Speeds()
        self._busy_until = 0  # nanoseconds of ROS time: an action is under way
        self._stale = stale
        self._camera, self._radius, self._stop = camera, radius, stop
        self._news = threading.Condition()
        self._poses: deque[tuple[int, Pose]] = deque(maxlen=200)
        self._now = lambda: node.get_clock().now().nanoseconds * 1e-9
        self._heard = {"odometry": -math.inf, "depth": -math.inf}  # ROS time
        self._alive = time.monotonic()
        self._depth: Image | None = None
        self.map = FloorMap(camera, radius)
        self._speeds = node.create_publisher(Twist, "cmd_vel", 1)
        node.create_subscription(Odometry, "odom", self._on_odom, QoSProfile(depth=10))
        node.create_subscription(Image, "depth", self._on_depth, SENSOR_QOS)
        if tracks:
            self._heard["tracks"] = -math.inf
            node.create_subscription(Tracks, "cc/tracks", self._on_tracks, SENSOR_QOS)

    @property
    def ready(self) -> bool:
        """Whether all comes that it needs to drive."""
        return not self._missing()

    def begin(self) -> None:
        """Begin a new episode: forget the floor and where the robot was."""
        with self._news:
            self._poses.clear()
            self._depth = None
            self._busy_until = 0
        if self.steps is not None:
            self.steps.begin()
        self.forget_floor()

    def forget_floor(self) -> None:
        """Begin with the floor anew: what drift has smeared over a door is in the way no more."""
        self.map = FloorMap(self._camera, self._radius)

    def look_around(self) -> None:
        """Turn once around.

        :raises DriveError: the robot had to stand.
        """
        self._drive(self._steering.around())
        self.map.looked_around(self.pose())

    def turn_to(self, yaw: float) -> None:
        """Turn in place to a heading.

        :raises DriveError: the robot had to stand.
        """
        self._drive(lambda pose: self._steering.to_heading(pose, yaw))

    def go_to(self, goal: Point) -> None:
        """Drive to a place, or to the nearest place where the robot fits.

        :raises NoWayError: there is no way.
        :raises DriveError: the robot had to stand.
        """
        way: np.ndarray = np.zeros((0, 2))
        planned = -math.inf
        along = self._steering.along()

        def steer(pose: Pose) -> Any:
            nonlocal way, planned
            if self._now() - planned > REPLAN:
                way, planned = self._plan(pose, goal), self._now()
            return along(pose, way)

        self._drive(steer)

    def frontier(self) -> Point | None:
        """Return where to go to see more of the floor; None where there is nothing more to see."""
        return self.map.frontier(self.map.ways_from(self.pose()))

    def pose(self) -> Pose:
        """Return the newest pose in the frame of the odometry.

        :raises DriveError: none has come.
        """
        with self._news:
            if not self._news.wait_for(lambda: self._poses or self._stop.is_set(), PATIENCE) or not self._poses:
                raise DriveError("no odometry has come")
            return self._poses[-1][1]

    def _plan(self, pose: Pose, goal: Point) -> np.ndarray:
        ways = self.map.ways_from(pose)
        place = self.map.nearest(ways, goal, NEAR)
        if place is None:
            raise NoWayError(f"there is no way to within {NEAR:g} m of ({goal[0]:.2f}, {goal[1]:.2f})")
        return ways.path(place)[::-1]

    def _drive(self, steer: Callable[[Pose], Any]) -> None:
        """Carry out what ``steer`` makes of each new pose until it returns None; stand where what it needs stops."""
        standing_since = None
        try:
            while True:
                pose = self._next_pose()
                if self._stop.is_set():
                    raise DriveError("stopped")
                missing = self._missing()
                if missing or time.monotonic() - self._alive > SILENCE:
                    self._send(0.0, 0.0)
                    standing_since = standing_since or self._now()
                    if self._now() - standing_since > PATIENCE or time.monotonic() - self._alive > SILENCE:
                        raise DriveError(f"{missing or 'the clock'} stopped")
                    continue
                if pose is None:  # nothing new: the base stops by itself where nothing new comes
                    continue
                standing_since = None
                command = steer(pose)
                if command is None:
                    return
                if self.steps is None:
                    self._send(*command)
                else:
                    self._busy_until = round(1e9 * self.steps.take(command))
        finally:
            self._send(0.0, 0.0)

    def _next_pose(self) -> Pose | None:
        """Return the next pose; None where none has come for a while, or an action is under way.

        Takes in the depth that has come meanwhile.
        """
        with self._news:
            before = self._alive
            self._news.wait_for(lambda: self._alive > before or self._stop.is_set(), self._stale / 2)
            poses, depth = list(self._poses), self._depth
            if depth is not None and poses and poses[-1][0] >= nanoseconds(depth.header.stamp):
                self._depth = None
            else:  # its pose is still to come
                depth = None
        if depth is not None:
            self._learn(depth, poses)
        return poses[-1][1] if self._alive > before and poses[-1][0] >= self._busy_until else None

    def _missing(self) -> str:
        now = self._now()
        return " and ".join(name for name, heard in self._heard.items() if now - heard > self._stale)

    def _learn(self, depth: Image, poses: list[tuple[int, Pose]]) -> None:
        stamp = nanoseconds(depth.header.stamp)
        at, pose = min(poses, key=lambda one: abs(one[0] - stamp))
        if abs(at - stamp) < 60e6:
            self.map.add(to_depth(depth), pose)

    def _send(self, linear: float, angular: float) -> None:
        message = Twist()
        message.linear.x, message.angular.z = float(linear), float(angular)
        self._speeds.publish(message)

    def _on_odom(self, message: Odometry) -> None:
        matrix = to_pose(message.pose.pose)
        pose = Pose(float(matrix[0, 3]), float(matrix[1, 3]), math.atan2(matrix[1, 0], matrix[0, 0]))
        with self._news:
            self._poses.append((nanoseconds(message.header.stamp), pose))
            self._heard["odometry"], self._alive = self._now(), time.monotonic()
            self._news.notify_all()

    def _on_depth(self, message: Any) -> None:
        with self._news:
            self._depth = message
            self._heard["depth"] = self._now()

    def _on_tracks(self, _: Tracks) -> None:
        with self._news:
            self._heard["tracks"] = self._now()
