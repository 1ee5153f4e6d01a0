"""What comes from the camera: pictures, raw or compressed, and what is known about them."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import cv2
import numpy as np
from nav_msgs.msg import Odometry
from rclpy.callback_groups import CallbackGroup
from rclpy.node import Node
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from cc_ros.errors import CCError
from cc_ros.nodes.convert import nanoseconds, to_depth
from cc_ros.nodes.stamps import Order, StampOrder
from cc_ros.settings import knob
from cc_ros.space.poses import OPTICAL_IN_BODY, PoseTrack, camera_pose

# Best effort matches publishers of both kinds.
SENSOR_QOS = QoSProfile(depth=10, history=HistoryPolicy.KEEP_LAST, reliability=ReliabilityPolicy.BEST_EFFORT)
ImageMessage: TypeAlias = Image | CompressedImage


@dataclass(frozen=True)
class CameraSettings:
    """Which messages to take from the camera, and where it sits on the robot."""

    transport: str = knob(
        "auto", "auto: whichever of image and image/compressed comes first", choices=("auto", "raw", "compressed")
    )
    depth_tolerance: float = knob(0.05, "largest difference of the stamps of image and depth, in s", ge=0.0, le=10.0)
    odom_tolerance: float = knob(0.2, "largest distance in time to a known pose, in s", ge=0.0, le=10.0)
    camera_x: float = knob(0.0, "camera in base_link: forward, in m")
    camera_y: float = knob(0.0, "camera in base_link: left, in m")
    camera_z: float = knob(0.0, "camera in base_link: up, in m")
    camera_roll: float = knob(0.0, "camera in base_link: about x, in rad")
    camera_pitch: float = knob(0.0, "camera in base_link: about y, positive looks down, in rad")
    camera_yaw: float = knob(0.0, "camera in base_link: about z, positive looks left, in rad")

    def base_to_camera(self) -> np.ndarray:
        """Return the 4x4 pose of the optical frame in base_link."""
        from scipy.spatial.transform import Rotation

        body = np.eye(4)
        angles = [self.camera_yaw, self.camera_pitch, self.camera_roll]
        body[:3, :3] = Rotation.from_euler("ZYX", angles).as_matrix()
        body[:3, 3] = self.camera_x, self.camera_y, self.camera_z
        return body @ OPTICAL_IN_BODY


def beside(node: Node, topic: str, transport: str) -> str:
    """Return the topic of a transport of ``topic``: ``image/compressed`` moves along when ``image`` is remapped."""
    own = f"{topic}/{transport}"
    resolved = node.resolve_topic_name(own)
    untouched = resolved == node.resolve_topic_name(own, only_expand=True)
    return f"{node.resolve_topic_name(topic)}/{transport}" if untouched else resolved


class ImageInput:
    """Subscribes to ``image`` and ``image/compressed`` and stays with the one that brings pictures.

    :param callback: called with every message, in the executor's thread.
    """

    def __init__(self, node: Node, transport: str, callback: Callable[[ImageMessage], None]) -> None:
        self._node = node
        self._callback = callback
        names = {"raw": (Image, "image"), "compressed": (CompressedImage, beside(node, "image", "compressed"))}
        self._topics: dict[type, str] = dict(names[name] for name in names if transport in ("auto", name))
        self._subscriptions: dict[type, Any] = {}
        self.listen()

    def listen(self) -> None:
        """Wait on every topic that the transport allows, at first and again when the stream has dried up."""
        for kind, topic in self._topics.items():
            if kind not in self._subscriptions:
                self._subscriptions[kind] = self._node.create_subscription(kind, topic, self._receive, SENSOR_QOS)

    def topics(self) -> list[tuple[str, str]]:
        """Return (resolved name, type) of what it listens to."""
        return [(s.topic_name, f"sensor_msgs/msg/{kind.__name__}") for kind, s in self._subscriptions.items()]

    def publishers(self) -> int:
        """Return how many publishers there are on the topics that it can listen to; from any thread."""
        return sum(self._node.count_publishers(self._node.resolve_topic_name(topic)) for topic in self._topics.values())

    def _receive(self, message: ImageMessage) -> None:
        # Drivers often publish both; taking the second too would cost its encoding and every frame twice.
        for kind in [kind for kind in self._subscriptions if not isinstance(message, kind)]:
            self._node.destroy_subscription(self._subscriptions.pop(kind))
        self._callback(message)

    def close(self) -> None:
        """Stop listening."""
        while self._subscriptions:
            self._node.destroy_subscription(self._subscriptions.popitem()[1])


@dataclass(frozen=True)
class View:
    """What is known about one picture besides its pixels; see :class:`cc_ros.frame.Frame`."""

    depth: np.ndarray | None
    intrinsics: np.ndarray | None
    pose: np.ndarray | None


class CameraContext:
    """Collects ``camera_info``, ``depth`` and ``odom`` and looks them up by the stamp of a picture. Thread-safe.

    :param count: called with the reason when a message cannot be used.
    """

    def __init__(
        self,
        node: Node,
        settings: CameraSettings,
        count: Callable[[str, str], None],
        group: CallbackGroup | None = None,
    ) -> None:
        self._node = node
        self._settings = settings
        self._count = count
        self._lock = threading.Condition()
        self._base_to_camera = settings.base_to_camera()
        self.world_frame = ""
        self._info: CameraInfo | None = None
        self._depths: deque[tuple[int, ImageMessage]] = deque(maxlen=10)
        self._order = StampOrder()
        self._poses = self._no_poses()
        self._subscriptions = [
            node.create_subscription(kind, topic, callback, SENSOR_QOS, callback_group=group)
            for kind, topic, callback in (
                (CameraInfo, "camera_info", self._on_info),
                (Image, "depth", self._on_depth),
                (CompressedImage, beside(node, "depth", "compressedDepth"), self._on_depth),
                (Odometry, "odom", self._on_odom),
            )
        ]

    def at(self, stamp: int, width: int, height: int, patience: float = 0.0) -> View:
        """Return what is known about a picture of this size taken at ``stamp`` (nanoseconds).

        :param patience: seconds to wait for the picture's own depth where depth comes at all: it is larger than the
            picture and so arrives later. Not to be waited for in the thread that receives messages.
        """
        with self._lock:
            self._lock.wait_for(lambda: not self._depths or max(s for s, _ in self._depths) >= stamp, patience)
            info = self._info
            pose = self._poses.at(stamp * 1e-9)
            depth_message = min(self._depths, key=lambda pair: abs(pair[0] - stamp), default=None)
        depth = None
        if depth_message and abs(depth_message[0] - stamp) <= self._settings.depth_tolerance * 1e9:
            depth = self._depth(depth_message[1], width, height)
        return View(depth, _intrinsics(info, width, height), pose)

    def _depth(self, message: ImageMessage, width: int, height: int) -> np.ndarray | None:
        try:
            depth = to_depth(message)
        except CCError as error:
            self._count("bad_depth", str(error))
            return None
        if depth.shape != (height, width):
            depth = cv2.resize(depth, (width, height), interpolation=cv2.INTER_NEAREST)
        return depth

    def _on_info(self, message: CameraInfo) -> None:
        with self._lock:
            self._info = message

    def _on_depth(self, message: ImageMessage) -> None:
        with self._lock:
            self._depths.append((nanoseconds(message.header.stamp), message))
            self._lock.notify_all()

    def _on_odom(self, message: Odometry) -> None:
        p, q = message.pose.pose.position, message.pose.pose.orientation
        try:
            pose = camera_pose((p.x, p.y, p.z), (q.x, q.y, q.z, q.w), self._base_to_camera)
        except CCError as error:
            self._count("bad_odom", str(error))
            return
        stamp = nanoseconds(message.header.stamp)
        with self._lock:
            if self._order.check(stamp, time.monotonic_ns())[0] is Order.JUMPED_BACK:
                self._poses = self._no_poses()  # a bag that loops: the rest of the lap before is not to come
            self.world_frame = message.header.frame_id or "odom"
            self._poses.add(stamp * 1e-9, pose)

    def _no_poses(self) -> PoseTrack:
        return PoseTrack(size=2048, max_gap=self._settings.odom_tolerance)

    def close(self) -> None:
        """Stop listening."""
        while self._subscriptions:
            self._node.destroy_subscription(self._subscriptions.pop())


def _intrinsics(info: CameraInfo | None, width: int, height: int) -> np.ndarray | None:
    """Return the 3x3 matrix for pictures of this size; None without a calibration (K[0] is 0 then)."""
    if info is None or not info.width or not info.height or not info.k[0] > 0:
        return None
    k = np.array(info.k, dtype=np.float64).reshape(3, 3)
    k[0] *= width / info.width
    k[1] *= height / info.height
    return k
