"""What a robot has to see and feel in order to drive: odometry, images, depth, and a message to stop."""

from __future__ import annotations

import math
import threading
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from nav_msgs.msg import Odometry
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from cc_ros.errors import CCError
from cc_ros.geometry.mounting import MountingSettings
from cc_ros.geometry.poses import PoseTrack
from cc_ros.motion.control import Planar
from cc_ros.motion.freshness import Stream
from cc_ros.motion.halt import Cause, Halt
from cc_ros.motion.obstacles import Obstacles
from cc_ros.motion.settings import ObstacleSettings
from cc_ros.nodes.base_node import BaseNode
from cc_ros.nodes.camera import SENSOR_QOS, ImageInput, ImageMessage, beside
from cc_ros.nodes.convert.images import to_depth
from cc_ros.nodes.convert.poses import to_calibration, to_pose
from cc_ros.nodes.convert.stamps import nanoseconds
from cc_ros.nodes.mounting import Mounting
from cc_ros.settings import knob
from cc_ros.sources.registered import fit_intrinsics

# Depth takes time to look at: with more of it waiting, depth that stopped would seem to come for a while.
NEWEST_QOS = QoSProfile(depth=1, history=HistoryPolicy.KEEP_LAST, reliability=ReliabilityPolicy.BEST_EFFORT)
POSES = 500  # kept, for the instants of depth images
POSE_GAP = 0.2  # seconds from a depth image to the next known pose, at most
TF_TOLERANCE = 0.2  # seconds to a known transform of a camera that moves on the robot
APART = 1.0  # seconds between the stamps of the newest image and pose: more is delay, or two clocks


@dataclass(frozen=True)
class SenseSettings:
    """How long each input may be silent while the robot drives."""

    transport: str = knob(
        "auto", "auto: whichever of image and image/compressed comes first", choices=("auto", "raw", "compressed")
    )
    odom_timeout: float = knob(0.25, "it stands when odometry is silent for so long, in s", ge=0.02, le=5.0)
    image_timeout: float = knob(0.25, "the same for images and depth, in s", ge=0.02, le=5.0)


class Senses:
    """Listens to the robot's inputs and says whether it may drive. Thread-safe.

    :param node: is told what cannot be used.
    """

    def __init__(
        self, node: BaseNode, settings: SenseSettings, obstacles: ObstacleSettings, mounting: MountingSettings
    ) -> None:
        self._node = node
        self._settings = obstacles
        self._lock = threading.Lock()
        self._poses = PoseTrack(POSES, POSE_GAP)
        self._pose: Planar | None = None
        self.base_frame = ""
        self.odom = Stream(settings.odom_timeout)
        self.images = Stream(settings.image_timeout)
        self._depth = Stream(settings.image_timeout)  # that was understood
        self._info: CameraInfo | None = None
        self._blind = ""  # why the newest depth image does not tell what is ahead
        self._watching = False
        self._obstacles = Obstacles(obstacles)
        self._mounting = Mounting(node, mounting.base_to_camera(), TF_TOLERANCE)
        self._images = ImageInput(node, settings.transport, self._on_image, depth=1)
        slow = MutuallyExclusiveCallbackGroup()
        kinds: list[tuple[Any, str, Any, Any, Any]] = [
            (Odometry, "odom", self._on_odom, SENSOR_QOS, None),
            (CameraInfo, "camera_info", self._on_info, SENSOR_QOS, None),
            (Image, "depth", self._on_depth, NEWEST_QOS, slow),
            (CompressedImage, beside(node, "depth", "compressedDepth"), self._on_depth, NEWEST_QOS, slow),
        ]
        self._subscriptions = [
            node.create_subscription(kind, topic, callback, qos, callback_group=group)
            for kind, topic, callback, qos, group in kinds
        ]

    def watch(self, begin: bool) -> None:
        """Look out for obstacles from now on, with none known yet; or no more, since nobody drives."""
        self._images.listen()
        with self._lock:
            self._watching = begin
            self._depth = Stream(self._depth.limit)  # what came before says nothing of these obstacles
            self._blind = ""
            self._obstacles = Obstacles(self._settings)

    def pose(self) -> Planar:
        """Return where the robot is in the odometry's frame.

        :raises CCError: there is no odometry yet.
        """
        with self._lock:
            if self._pose is None:
                raise CCError("there is no odometry yet")
            return self._pose

    def silent(self) -> Halt | None:
        """Return why the robot must not move at all; None = its inputs come."""
        now = time.monotonic()
        for what, stream in (("odometry", self.odom), ("images", self.images)):
            if stream.stale(now):
                silence = stream.silence(now)
                since = f"stopped coming {silence:.1f} s ago" if silence < math.inf else "do not come"
                return Halt(Cause.STALE, f"{what} {since}")
        apart = abs(self.odom.stamp - self.images.stamp) * 1e-9
        if apart > APART:
            return Halt(Cause.STALE, f"images and odometry are {apart:.1f} s apart: do both go by one clock?")
        return None

    def ahead(self) -> tuple[float, Halt | None]:
        """Return the metres that are free ahead of the robot, and why it must not drive there or None."""
        if self._settings.allow_blind:
            with self._lock:
                return (math.inf if self._pose is None else self._obstacles.room(self._pose)), None
        now = time.monotonic()
        with self._lock:
            blind, known = self._blind, self._obstacles.known
            room = 0.0 if self._pose is None else self._obstacles.room(self._pose)
        if self._depth.silence(now) == math.inf:
            why = blind or "there is no depth"
            text = f"it is not known what is ahead: {why}; the parameter obstacles.allow_blind lets it drive"
            return 0.0, Halt(Cause.BLIND, text)
        if self._depth.stale(now):
            return 0.0, Halt(Cause.STALE, "depth stopped coming" + (f": {blind}" if blind else ""))
        if known < self._settings.depth_share:
            text = f"depth shows only {100 * known:.0f} % of the way ahead: something may be very near"
            return room, Halt(Cause.OBSTACLE, text)
        return room, None

    def close(self) -> None:
        """Stop listening."""
        self._mounting.close()
        self._images.close()
        while self._subscriptions:
            self._node.destroy_subscription(self._subscriptions.pop())

    def _on_image(self, message: ImageMessage) -> None:
        self.images.heard(nanoseconds(message.header.stamp), time.monotonic())

    def _on_info(self, message: CameraInfo) -> None:
        with self._lock:
            self._info = message

    def _on_odom(self, message: Odometry) -> None:
        try:
            pose = to_pose(message.pose.pose)
        except CCError as error:
            self._node.fault("bad_odom", f"an odometry message was left out: {error}")
            return
        stamp = nanoseconds(message.header.stamp)
        with self._lock:
            if stamp < self.odom.stamp:
                self._poses.clear()
            self._poses.add(stamp * 1e-9, pose)
            self._pose = _planar(pose)
            self.base_frame = message.child_frame_id
        self.odom.heard(stamp, time.monotonic())

    def _on_depth(self, message: ImageMessage) -> None:
        if not self._watching:
            return
        stamp, came = nanoseconds(message.header.stamp), time.monotonic()
        try:
            self._see(message, stamp)
        except CCError as error:
            with self._lock:
                self._blind = str(error)
            self._node.fault("bad_depth", f"a depth image was left out: {error}")
        else:
            self._depth.heard(stamp, came)

    def _see(self, message: ImageMessage, stamp: int) -> None:
        """Take in a depth image.

        :raises CCError: it does not tell what is ahead.
        """
        with self._lock:
            info, base_frame, pose = self._info, self.base_frame, self._poses.at(stamp * 1e-9)
        if info is None:
            raise CCError("there is no camera_info")
        if pose is None:
            raise CCError("there is no odometry of the instant of the depth image: do both go by one clock?")
        mounting, unknown = self._mounting.of(base_frame, message.header.frame_id, stamp * 1e-9)
        if unknown or mounting is None:
            raise CCError(unknown)
        calibrated = to_calibration(info, self._node.resolve_topic_name("image"))
        if calibrated is None:
            raise CCError("camera_info holds no calibration: its matrix is all zero")
        matrix, distortion = calibrated
        depth = to_depth(message)
        size = depth.shape[1], depth.shape[0]
        frames = info.header.frame_id, message.header.frame_id
        fitted = fit_intrinsics(np.asarray(matrix), (info.width, info.height), size, *frames)
        with self._lock:
            self._obstacles.see(depth, fitted, mounting, _planar(pose), distortion)
            self._blind = ""


def _planar(pose: np.ndarray) -> Planar:
    return Planar(float(pose[0, 3]), float(pose[1, 3]), math.atan2(pose[1, 0], pose[0, 0]))
