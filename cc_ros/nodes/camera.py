"""What comes from the camera: pictures, raw or compressed, and what is known about them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from nav_msgs.msg import Odometry
from rclpy.node import Node
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from cc_ros.errors import CCError
from cc_ros.frame import Distortion
from cc_ros.geometry.mounting import MountingSettings
from cc_ros.geometry.poses import PoseTrack
from cc_ros.nodes.base_node import BaseNode
from cc_ros.nodes.convert.images import to_depth
from cc_ros.nodes.convert.poses import to_calibration, to_pose
from cc_ros.nodes.convert.stamps import nanoseconds
from cc_ros.nodes.depths import DepthBuffer
from cc_ros.nodes.mounting import Mounting
from cc_ros.settings import knob
from cc_ros.sources.registered import NotRegisteredError, fit_depth, fit_intrinsics
from cc_ros.stamps import Order, StampOrder

# Best effort matches publishers of both kinds.
SENSOR_QOS = QoSProfile(depth=10, history=HistoryPolicy.KEEP_LAST, reliability=ReliabilityPolicy.BEST_EFFORT)
ImageMessage: TypeAlias = Image | CompressedImage
POSES = 20_000  # kept: 20 s at 1 kHz


@dataclass(frozen=True)
class CameraSettings(MountingSettings):
    """Which messages to take from the camera, and where it sits on the robot."""

    transport: str = knob(
        "auto", "auto: whichever of image and image/compressed comes first", choices=("auto", "raw", "compressed")
    )
    depth_tolerance: float = knob(0.05, "largest difference of the stamps of image and depth, in s", ge=0.0, le=10.0)
    depth_buffer: float = knob(128.0, "memory for depth that waits for its images, in MB", ge=1.0, le=8192.0)
    odom_tolerance: float = knob(0.2, "largest distance in time to a known pose, in s", ge=0.0, le=10.0)


def beside(node: Node, topic: str, transport: str) -> str:
    """Return the topic of a transport of ``topic``: ``image/compressed`` moves along when ``image`` is remapped."""
    own = f"{topic}/{transport}"
    resolved = node.resolve_topic_name(own)
    untouched = resolved == node.resolve_topic_name(own, only_expand=True)
    return f"{node.resolve_topic_name(topic)}/{transport}" if untouched else resolved


class ImageInput:
    """Subscribes to ``image`` and ``image/compressed`` and stays with the one that brings pictures.

    :param callback: called with every message, in the executor's thread.
    :param depth: messages that wait to be taken from the middleware; of more, the oldest are lost.
    """

    def __init__(
        self, node: Node, transport: str, callback: Callable[[ImageMessage], None], depth: int = SENSOR_QOS.depth
    ) -> None:
        self._node = node
        self._callback = callback
        self._qos = QoSProfile(depth=depth, history=HistoryPolicy.KEEP_LAST, reliability=ReliabilityPolicy.BEST_EFFORT)
        names = {"raw": (Image, "image"), "compressed": (CompressedImage, beside(node, "image", "compressed"))}
        self._topics: dict[type, str] = dict(names[name] for name in names if transport in ("auto", name))
        self._subscriptions: dict[type, Any] = {}
        self.listen()

    def listen(self) -> None:
        """Wait on every topic that the transport allows, at first and again when the stream has dried up."""
        for kind, topic in self._topics.items():
            if kind not in self._subscriptions:
                self._subscriptions[kind] = self._node.create_subscription(kind, topic, self._receive, self._qos)

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


class View(NamedTuple):
    """What is known about one picture besides its pixels; see :class:`cc_ros.frame.Frame`."""

    depth: np.ndarray | None
    intrinsics: np.ndarray | None
    pose: np.ndarray | None
    distortion: Distortion | None


class CameraContext:
    """Collects ``camera_info``, ``depth`` and ``odom`` and looks them up by the stamp of a picture. Thread-safe.

    :param node: is told what cannot be used.
    :param oldest_waiting: returns the stamp (nanoseconds) of the oldest picture that is still to be looked up, or None.
    """

    def __init__(self, node: BaseNode, settings: CameraSettings, oldest_waiting: Callable[[], int | None]) -> None:
        self._node = node
        self._settings = settings
        self._oldest_waiting = oldest_waiting
        self._lock = threading.Condition()
        self._mounting = Mounting(node, settings.base_to_camera(), settings.odom_tolerance)
        self._by_tf = bool(settings.fixed_frame)
        self.world_frame = ""
        self._base_frame = ""
        self._info: tuple[np.ndarray, tuple[int, int]] | None = None  # and the size that it is for
        self._distortion: Distortion | None = None
        self._topic, self._odom = (node.resolve_topic_name(name) for name in ("image", "odom"))
        self._depths = DepthBuffer(settings.depth_buffer)
        self._order = StampOrder()
        self._poses = self._no_poses()
        self._subscriptions = [
            node.create_subscription(kind, topic, callback, SENSOR_QOS)
            for kind, topic, callback in (
                (CameraInfo, "camera_info", self._on_info),
                (Image, "depth", self._on_depth),
                (CompressedImage, beside(node, "depth", "compressedDepth"), self._on_depth),
                (Odometry, "odom", self._on_odom),
            )
        ]

    def at(self, stamp: int, width: int, height: int, frame_id: str = "", patience: float = 0.0) -> View:
        """Return what is known about a picture of this size taken at ``stamp`` (nanoseconds).

        :param frame_id: of the picture: depth of another optical frame is not used.
        :param patience: seconds to wait for the picture's own depth where depth comes at all: it is larger than the
            picture and so arrives later. Not to be waited for in the thread that receives messages.
        """
        tolerance = self._settings.depth_tolerance
        with self._lock:
            self._lock.wait_for(lambda: not self._depths or self._depths.reaches(stamp), patience)
            info, distortion = self._info, self._distortion
            base, base_frame = self._poses.at(stamp * 1e-9), self._base_frame
            depth_comes, message = bool(self._depths), self._depths.nearest(stamp, tolerance * 1e9)
        depth = None
        if message is not None:
            depth = self._depth(message, (width, height), frame_id)
        elif depth_comes:
            self._node.remark(
                "images_without_depth",
                f"no depth within {tolerance:g} s of an image; does it come as often? else raise depth_tolerance",
            )
        pose = self._pose(base, base_frame, frame_id, stamp * 1e-9)
        return View(depth, self._intrinsics(info, width, height), pose, distortion)

    def _depth(self, message: ImageMessage, size: tuple[int, int], frame_id: str) -> np.ndarray | None:
        try:
            depth = to_depth(message)
        except CCError as error:
            self._node.fault("bad_depth", f"a depth image was left out: {error}")
            return None
        try:
            return fit_depth(depth, *size, message.header.frame_id, frame_id)
        except NotRegisteredError as error:
            self._node.remark("depth_not_registered", f"depth is not used: {error}")
            return None

    def _pose(self, base: np.ndarray | None, base_frame: str, frame_id: str, stamp: float) -> np.ndarray | None:
        if self._by_tf or not (self.world_frame or self._node.count_publishers(self._odom)):
            return self._pose_by_tf(frame_id, stamp)
        if base is None and not self.world_frame:
            return None
        if base is None:
            self._node.remark(
                "images_without_pose",
                f"no odometry within {self._settings.odom_tolerance:g} s of an image: do both go by one clock? "
                "else raise odom_tolerance",
            )
            return None
        mounting, unknown = self._mounting.of(base_frame, frame_id, stamp)
        if unknown:
            self._node.remark("mounting_unknown" if mounting is not None else "images_without_mounting", unknown)
        return None if mounting is None else base @ mounting

    def _pose_by_tf(self, frame_id: str, stamp: float) -> np.ndarray | None:
        """Return the pose by tf alone; once there is one, odometry that begins later is not looked at."""
        pose, frame = self._mounting.fixed(self._settings.fixed_frame, frame_id, stamp)
        if pose is not None:
            with self._lock:
                self._by_tf, self.world_frame = True, frame
        elif self._by_tf:
            wanted = self._settings.fixed_frame or frame or "a fixed frame"
            why = "near an image: do both go by one clock?" if frame else "at all"
            self._node.remark("images_without_pose", f"tf does not join {wanted} and {frame_id!r} {why}")
        return pose

    def _intrinsics(
        self, info: tuple[np.ndarray, tuple[int, int]] | None, width: int, height: int
    ) -> np.ndarray | None:
        """Return the 3x3 matrix for pictures of this size; None without a calibration."""
        if info is None:
            return None
        try:
            return fit_intrinsics(*info, (width, height))
        except NotRegisteredError as error:
            self._node.remark("camera_info_of_another_shape", f"camera_info is not used: {error}")
            return None

    def _on_info(self, message: CameraInfo) -> None:
        try:
            known = to_calibration(message, self._topic)
        except CCError as error:
            self._node.fault("bad_camera_info", f"a camera_info was left out: {error}")
            return
        if known is None:
            self._node.remark("uncalibrated_camera_info", "camera_info holds no calibration: its matrix is all zero")
            return
        with self._lock:
            self._info, self._distortion = (known[0], (message.width, message.height)), known[1]

    def _on_depth(self, message: ImageMessage) -> None:
        waiting = self._oldest_waiting()
        needed = None if waiting is None else waiting - round(self._settings.depth_tolerance * 1e9)
        with self._lock:
            dropped = self._depths.add(nanoseconds(message.header.stamp), message, time.monotonic_ns(), needed)
            self._lock.notify_all()
        if dropped:
            self._node.count("depth_dropped_raise_camera_depth_buffer", dropped)

    def _on_odom(self, message: Odometry) -> None:
        try:
            pose = to_pose(message.pose.pose)
        except CCError as error:
            self._node.fault("bad_odom", f"an odometry message was left out: {error}")
            return
        stamp = nanoseconds(message.header.stamp)
        with self._lock:
            if self._order.check(stamp, time.monotonic_ns())[0] is Order.JUMPED_BACK:
                self._poses = self._no_poses()  # a bag that loops: the rest of the lap before is not to come
            if not self._by_tf:
                self.world_frame = message.header.frame_id or "odom"
            self._base_frame = message.child_frame_id
            self._poses.add(stamp * 1e-9, pose)

    def _no_poses(self) -> PoseTrack:
        return PoseTrack(size=POSES, max_gap=self._settings.odom_tolerance)

    def close(self) -> None:
        """Stop listening."""
        self._mounting.close()
        while self._subscriptions:
            self._node.destroy_subscription(self._subscriptions.pop())
