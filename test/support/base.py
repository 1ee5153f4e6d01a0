"""A robot: a kinematic base that integrates ``cmd_vel`` and publishes odometry, images and depth, as drivers do."""

from __future__ import annotations

import math
import threading
import time
from typing import Any

import numpy as np
from cc_ros.srv import GetKeyframes
from geometry_msgs.msg import Twist, TwistStamped
from nav_msgs.msg import Odometry
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header

from cc_ros.geometry.mounting import MountingSettings
from cc_ros.keyframes import KeyframeSet, MarkedKeyframe
from cc_ros.nodes.convert.keyframes import keyframes_message
from support.clock import ticks
from support.marked_scene import picture
from support.rig import Onlooker, image_of

TICK = 0.02  # seconds
WATCHDOG = 0.3  # seconds without a command after which a base stands by itself
EVERY = {"odom": 2, "images": 4}  # ticks between two messages
WIDTH, HEIGHT, FOCAL = 80, 60, 60.0
MOUNTED = MountingSettings(camera_x=0.1, camera_z=0.5, camera_pitch=0.3)
ACCURATE = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)


class Base(Onlooker):
    """The robot.

    :param stamped: whether it listens for TwistStamped.
    :param watchdog: seconds of its clock without a command after which it stands by itself; without one, nothing but a
        command of zero stops it.
    :ivar walls: (x, height) of walls across the way.
    :ivar tick: its clock, in :data:`TICK`. Where the machine gives it no processor time, its clock stands still, and it
        does as well: it never leaps.
    :ivar moved_at: the last tick in which it moved.
    """

    def __init__(self, context: Any, stamped: bool = False, watchdog: float = math.inf) -> None:
        super().__init__(context, "base")
        self._watchdog = watchdog / TICK
        self._moving = threading.Lock()
        self.walls: list[tuple[float, float]] = [(20.0, 3.0)]
        self.silent: set[str] = set()  # of odom, images, depth: what does not come
        self.jammed = False  # the wheels do not turn
        self.x = self.y = self.yaw = 0.0
        self.tick = self.moved_at = 0
        self.commands: list[tuple[float, float]] = []
        self.told_at = 0  # the tick of the last command
        self._command = (0.0, 0.0)
        self._stamp = 0
        kind: Any = TwistStamped if stamped else Twist
        self.node.create_subscription(kind, "cmd_vel", self._on_command, 10)
        kinds = {"odom": Odometry, "image": Image, "depth": Image, "camera_info": CameraInfo}
        self._publishers = {name: self.node.create_publisher(kind, name, ACCURATE) for name, kind in kinds.items()}
        self.node.create_service(GetKeyframes, "cc/get_keyframes", self._on_get)
        self._over = threading.Event()
        self._clock = threading.Thread(target=self._run, daemon=True)
        self._clock.start()

    def place(self, x: float = 0.0, yaw: float = 0.0) -> None:
        """Put it somewhere, and forget what it was told."""
        with self._moving:
            self.x, self.y, self.yaw = x, 0.0, yaw
            self._command = (0.0, 0.0)
        self.walls, self.silent, self.jammed = [(20.0, 3.0)], set(), False
        self.commands.clear()

    @property
    def speed(self) -> tuple[float, float]:
        """How fast it moves: m/s and rad/s."""
        return (0.0, 0.0) if self.jammed or self.tick - self.told_at > self._watchdog else self._command

    def _on_command(self, message: Any) -> None:
        twist = message.twist if isinstance(message, TwistStamped) else message
        self._command = twist.linear.x, twist.angular.z
        self.told_at = self.tick
        self.commands.append(self._command)

    def seconds(self, since: int) -> float:
        """Return the seconds of its clock from a tick to its last motion."""
        return (self.moved_at - since) * TICK

    def _move(self) -> None:
        """Move for one tick."""
        forward, turn = self.speed
        if (forward, turn) != (0.0, 0.0):
            self.moved_at = self.tick
        self.yaw += turn * TICK
        self.x += forward * TICK * math.cos(self.yaw)
        self.y += forward * TICK * math.sin(self.yaw)

    def _run(self) -> None:
        for _ in ticks(self._over, TICK):
            self.tick += 1
            with self._moving:  # all of one instant
                self._move()
                if self.tick % EVERY["odom"] == 0:
                    self._publish("odom")
                if self.tick % EVERY["images"] == 0:
                    self._publish("images")
                    self._publish("depth")

    def _publish(self, what: str) -> None:
        if what in self.silent:
            return
        if what != "depth":  # which is of the same instant as its image
            self._stamp = time.time_ns()
        if what == "odom":
            self._publishers["odom"].publish(self._odometry())
        elif what == "images":
            self._publishers["image"].publish(image_of(np.full((30, 40, 3), 90, np.uint8), self._stamp))
        else:
            self._publishers["camera_info"].publish(self._calibration())
            self._publishers["depth"].publish(image_of(self._depth(), self._stamp, encoding="32FC1"))

    def _odometry(self) -> Odometry:
        message = Odometry(header=self._header("odom"), child_frame_id="base_link")
        message.pose.pose.position.x, message.pose.pose.position.y = self.x, self.y
        message.pose.pose.orientation.z, message.pose.pose.orientation.w = (
            math.sin(self.yaw / 2),
            math.cos(self.yaw / 2),
        )
        return message

    def _header(self, frame: str) -> Header:
        header = Header(frame_id=frame)
        header.stamp.sec, header.stamp.nanosec = divmod(self._stamp, 10**9)
        return header

    def _calibration(self) -> CameraInfo:
        k = [FOCAL, 0.0, WIDTH / 2, 0.0, FOCAL, HEIGHT / 2, 0.0, 0.0, 1.0]
        return CameraInfo(header=self._header("camera"), width=WIDTH, height=HEIGHT, k=k)

    def _depth(self) -> np.ndarray:
        """Return HxW float32 metres: the floor, and walls."""
        mounting = MOUNTED.base_to_camera()
        assert mounting is not None
        body = np.array(
            [[math.cos(self.yaw), -math.sin(self.yaw), 0], [math.sin(self.yaw), math.cos(self.yaw), 0], [0, 0, 1]]
        )
        eye = body @ mounting[:3, 3] + (self.x, self.y, 0.0)
        v, u = np.mgrid[:HEIGHT, :WIDTH] + 0.5
        rays = np.stack([(u - WIDTH / 2) / FOCAL, (v - HEIGHT / 2) / FOCAL, np.ones_like(u)], axis=-1)
        rays = rays @ (body @ mounting[:3, :3]).T
        with np.errstate(divide="ignore", invalid="ignore"):
            depth = np.where(rays[..., 2] < 0, -eye[2] / rays[..., 2], np.inf)
            for x, height in self.walls:
                far = (x - eye[0]) / rays[..., 0]
                hit = (far > 0) & (eye[2] + far * rays[..., 2] < height)
                depth = np.where(hit, np.minimum(depth, far), depth)
        depth[depth > 15] = np.nan
        return depth.astype(np.float32)

    def _on_get(self, request: GetKeyframes.Request, response: GetKeyframes.Response) -> GetKeyframes.Response:
        """Answer for cc_tracker and cc_keyframes: the newest picture, without marks."""
        newest = MarkedKeyframe(0, self._stamp * 1e-9, picture(0), 40, 30, ())
        response.success = "images" not in self.silent
        response.keyframes = keyframes_message(KeyframeSet((newest,)), "marks", self._header("camera"), 0)
        return response

    def close(self) -> None:
        """Stop."""
        self._over.set()
        self._clock.join(5)
        super().close()
