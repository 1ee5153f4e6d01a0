"""Camera frames out of a rosbag2, each with its depth, intrinsics and pose."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rosbags.interfaces import Connection

from cc_ros.encodings import decode_compressed, decode_compressed_depth, decode_depth, decode_image
from cc_ros.errors import CCError, ImageError, SourceError
from cc_ros.frame import Distortion, Frame
from cc_ros.geometry.camera import GeometryError, calibration
from cc_ros.geometry.poses import OPTICAL_IN_BODY, PoseTrack, camera_pose
from cc_ros.sources.bag.file import BagFile
from cc_ros.sources.bag.robot_frames import FIXED, RobotFrames
from cc_ros.sources.bag.streams import COMPRESSED, TF, read_streams
from cc_ros.sources.bag.topics import choose_topics
from cc_ros.sources.base import NONE, Source, SourceSettings
from cc_ros.sources.registered import NotRegisteredError, fit_depth, fit_intrinsics
from cc_ros.stamps import Order, StampOrder

LOOK_AHEAD = 0.5  # seconds of bag time that an image waits for depth and odometry of its stamp
MAX_WAITING = 64  # images, where bag time does not grow
BASE = "base_link"  # the body of an odometry that does not say whose it is (REP 105)


@dataclass(frozen=True)
class _Message:
    """A message with its times in seconds: of its header, to go by, and of the bag.

    :param stamp: to match others by; the header's, or the instant where stamps stand still.
    :param instant: grows within an episode.
    """

    topic: str
    order: Order
    stamp: float
    instant: float
    arrival: float
    compressed: bool
    content: Any


class BagSource(Source):
    """The frames of one camera topic of a rosbag2 (MCAP or sqlite3).

    Stamps are the headers' (the bag's, where a header has none, or where they stand still: :mod:`cc_ros.stamps`). Each
    image gets the depth image nearest in time, the latest camera matrix and the interpolated odometry, moved to the
    camera by the mounting that is given, or by /tf_static and /tf. Where no transforms join them, the camera is taken
    to sit at the odometry's child frame and to look along its x axis, and a note says so.

    :param path: the bag's folder, or one of its files.
    :param settings: the topics.
    :raises SourceError: the bag cannot be read, or it is not clear which images are meant.
    """

    def __init__(self, path: Path, settings: SourceSettings) -> None:
        self._bag = BagFile(path)
        try:
            self._frames = self._read_static_frames()
            self._topics = choose_topics(read_streams(self._bag), settings, self._frames)
        except CCError:
            self._bag.close()
            raise
        length = sum(c.msgcount for c in self._bag.connections if c.topic == self._topics.image)
        fps = (length - 1) / self._bag.duration * 1e9 if self._bag.duration and length > 1 else None
        super().__init__(path.resolve().name, fps, length)
        for sentence in self._topics.why:
            self.note(sentence)
        self._tolerance = settings.depth_tolerance
        self._mounting = settings.base_to_camera()
        self._moving = {c.topic for c in self._bag.connections if c.msgtype == TF and not _static(c)}
        self._fixed_frame = settings.fixed_frame
        self._by_tf = bool(settings.fixed_frame) or (not self._topics.odom and settings.odom_topic != NONE)
        self._orders: dict[str, StampOrder] = {}
        self._spans: dict[str, tuple[float, float]] = {}
        self._matched_topics: set[str] = set()
        self._camera_info: Any = None
        self._depths: deque[_Message] = deque()
        self._poses = PoseTrack()
        self._last_pose = -np.inf
        self._base_frame = BASE

    def __iter__(self) -> Iterator[Frame]:
        problem: CCError | None = None
        for message in self._matched():
            try:
                image = _decode(message)
            except ImageError as error:
                self.leave_out("damaged or unsupported image", error)
                problem = error
                continue
            height, width = image.shape[:2]
            self.size = self.size or (width, height)
            yield Frame(
                image,
                message.instant,
                self._depth_at(message, width, height),
                *self._view(message, width, height),
            )
        if self.size is None:
            raise SourceError(f"{self._topics.image} of {self._bag.path} has no image that can be read: {problem}")
        self._explain_misses()

    def close(self) -> None:
        """Close the bag."""
        self._bag.close()

    def _matched(self) -> Iterator[_Message]:
        """Yield the images once what belongs to them has been read, or does not come."""
        topics = self._topics
        wanted = {t for t in (topics.image, topics.camera_info, topics.depth, topics.odom) if t}
        moving = self._moving if topics.odom or self._by_tf else set()
        waiting: deque[_Message] = deque()
        connections = [c for c in self._bag.connections if c.topic in wanted | moving]
        for connection, nanoseconds, raw in self._bag.messages(connections):
            arrival = nanoseconds * 1e-9
            if connection.topic in moving:
                self._add_transforms(connection, arrival, raw)
                continue
            message = self._decoded(connection, nanoseconds, raw)
            if message is None:
                continue
            if connection.topic == topics.image:
                if message.order is Order.LATE:
                    self.leave_out("image out of order")
                    continue
                if message.order is Order.JUMPED_BACK:
                    yield from waiting
                    waiting.clear()
                    self._forget()
                waiting.append(message)
            elif connection.topic == topics.depth:
                self._depths.append(message)
                self._drop_depths(waiting[0].stamp if waiting else message.stamp - LOOK_AHEAD)
            elif connection.topic == topics.odom:
                self._add_pose(message)
            else:
                self._camera_info = message.content
            overdue = message.arrival - LOOK_AHEAD
            while waiting and (
                self._complete(waiting[0]) or waiting[0].arrival < overdue or len(waiting) > MAX_WAITING
            ):
                yield waiting.popleft()
        yield from waiting

    def _decoded(self, connection: Connection, nanoseconds: int, raw: bytes) -> _Message | None:
        try:
            content = self._bag.decode(connection, raw)
        except SourceError as error:
            self.leave_out("damaged message", error)
            return None
        topic, header = connection.topic, content.header.stamp
        stamp = header.sec * 10**9 + header.nanosec or nanoseconds
        order, instant = self._orders.setdefault(topic, StampOrder()).check(stamp, nanoseconds)
        if order is Order.STILL:
            stamp = instant
            self.note(f"stamps of {topic} stand still or repeat: going by the time of recording where they do")
        seconds = stamp * 1e-9
        first, last = self._spans.get(topic, (seconds, seconds))
        self._spans[topic] = min(first, seconds), max(last, seconds)
        compressed = connection.msgtype == COMPRESSED
        return _Message(topic, order, seconds, instant * 1e-9, nanoseconds * 1e-9, compressed, content)

    def _complete(self, image: _Message) -> bool:
        """Whether nothing nearer to this image can follow."""
        depth = not self._topics.depth or (bool(self._depths) and self._depths[-1].stamp >= image.stamp)
        awaited = bool(self._moving) if self._by_tf else bool(self._topics.odom)
        pose = not awaited or (self._frames.newest if self._by_tf else self._last_pose) >= image.stamp
        return depth and pose and (not self._topics.camera_info or self._camera_info is not None)

    def _forget(self) -> None:
        self._depths.clear()
        self._poses.clear()
        self._frames.forget_moving()
        self._last_pose = -np.inf

    def _add_transforms(self, connection: Connection, arrival: float, raw: bytes) -> None:
        try:
            self._frames.add(self._bag.decode(connection, raw), arrival)
        except SourceError as error:
            self.leave_out("damaged message", error)

    def _add_pose(self, message: _Message) -> None:
        position, turn = message.content.pose.pose.position, message.content.pose.pose.orientation
        try:
            base = camera_pose((position.x, position.y, position.z), (turn.x, turn.y, turn.z, turn.w), np.eye(4))
        except CCError as error:
            self.leave_out("damaged odometry", error)
            return
        self._poses.add(message.stamp, base)
        self._last_pose = max(self._last_pose, message.stamp)
        self._base_frame = message.content.child_frame_id or BASE

    def _pose_at(self, image: _Message) -> np.ndarray | None:
        if not self._topics.odom:
            return None
        base = self._poses.at(image.stamp)
        if base is None:
            self.leave_out("no pose near the image")
            return None
        self._matched_topics.add(self._topics.odom)
        if self._mounting is not None:
            self.note(f"mounting: the camera sits on {self._base_frame!r} as camera_x ... camera_yaw say")
            return base @ self._mounting
        frame = image.content.header.frame_id
        mount = self._frames.between(self._base_frame, frame, image.stamp)
        if mount is not None:
            moving = " (which may move)" if self._frames.moves(self._base_frame, frame) else ""
            self.note(f"mounting: the camera {frame!r} sits on {self._base_frame!r} as tf{moving} says")
            return base @ mount
        if self._frames.joined(self._base_frame, frame):
            self.leave_out(
                "no pose of the camera on the robot near the image", f"/tf from {self._base_frame!r} to {frame!r}"
            )
            return None
        self.note(
            f"mounting: no tf joins {self._base_frame!r} and the camera {frame!r}: it is taken to sit there and to "
            "look along x; places and goals are off by what it really is (record /tf_static and /tf, or give "
            "--camera-x ... --camera-yaw)",
            limits=True,
        )
        return base @ OPTICAL_IN_BODY

    def _pose_by_tf(self, image: _Message) -> np.ndarray | None:
        """Return the pose of the camera in a fixed frame where tf alone tells it."""
        frame = image.content.header.frame_id
        for name in (self._fixed_frame,) if self._fixed_frame else FIXED:
            if self._frames.joined(name, frame):
                pose = self._frames.between(name, frame, image.stamp)
                self.note(f"poses: of {frame!r} in {name!r}, as tf says")
                if pose is None:
                    self.leave_out("no pose near the image", f"/tf from {name!r} to {frame!r}")
                return pose
        if self._fixed_frame:
            self.leave_out("no pose near the image", f"no tf joins {self._fixed_frame!r} and {frame!r}")
        return None

    def _depth_at(self, image: _Message, width: int, height: int) -> np.ndarray | None:
        if not self._topics.depth:
            return None
        self._drop_depths(image.stamp)
        nearest = min(self._depths, key=lambda depth: abs(depth.stamp - image.stamp), default=None)
        if nearest is None or abs(nearest.stamp - image.stamp) > self._tolerance:
            self.leave_out("no depth near the image")
            return None
        self._matched_topics.add(self._topics.depth)
        of, to = nearest.content.header.frame_id, image.content.header.frame_id
        try:
            return fit_depth(_decode(nearest, depth=True), width, height, of, to, same=self._frames.same(of, to))
        except NotRegisteredError as error:
            self.leave_out(error.kind, error)
        except ImageError as error:
            self.leave_out("damaged or unsupported depth", error)
        return None

    def _drop_depths(self, stamp: float) -> None:
        """Drop the depth images that are too old for an image of ``stamp``."""
        while self._depths and self._depths[0].stamp < stamp - self._tolerance:
            self._depths.popleft()

    def _view(
        self, image: _Message, width: int, height: int
    ) -> tuple[np.ndarray | None, np.ndarray | None, Distortion | None]:
        """Return intrinsics, pose and distortion of an image."""
        info, pose = self._camera_info, self._pose_by_tf(image) if self._by_tf else self._pose_at(image)
        if info is None:
            return None, pose, None
        of, to = info.header.frame_id, image.content.header.frame_id
        try:
            k, distortion = calibration(info.k, info.p, info.distortion_model, info.d, self._topics.image)
            return fit_intrinsics(k, (info.width, info.height), (width, height), of, to), pose, distortion
        except NotRegisteredError as error:
            self.leave_out(error.kind, error)
        except GeometryError as error:
            self.leave_out("camera_info that cannot be used", error)
        return None, pose, None

    def _explain_misses(self) -> None:
        """Say where no message of a topic was near any image: mostly two clocks."""
        images = self._spans[self._topics.image]
        for topic, what in ((self._topics.depth, "depth"), (self._topics.odom, "a pose")):
            if not topic or topic in self._matched_topics:
                continue
            span = self._spans.get(topic)
            times = f"{span[0]:.3f} to {span[1]:.3f} s" if span else "none that can be read"
            self.note(
                f"no image got {what} from {topic}: its stamps are {times}, the images' {images[0]:.3f} to "
                f"{images[1]:.3f} s; were they of different clocks, or recorded at different times?"
            )

    def _read_static_frames(self) -> RobotFrames:
        frames = RobotFrames()
        for connection, _, raw in self._bag.messages([c for c in self._bag.connections if _static(c)]):
            frames.add(self._bag.decode(connection, raw))
        return frames


def _static(connection: Connection) -> bool:
    return connection.msgtype == TF and connection.topic.endswith("/tf_static")


def _decode(message: _Message, depth: bool = False) -> np.ndarray:
    m = message.content
    if message.compressed:
        return (decode_compressed_depth if depth else decode_compressed)(m.format, m.data)
    decode = decode_depth if depth else decode_image
    return decode(m.encoding, m.width, m.height, m.step, bool(m.is_bigendian), m.data)
