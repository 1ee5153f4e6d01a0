"""Camera frames out of a rosbag2, each with its depth, intrinsics and pose."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from rosbags.interfaces import Connection

from cc_ros.errors import CCError, ImageError, SourceError
from cc_ros.frame import Frame
from cc_ros.sources.bag_file import BagFile
from cc_ros.sources.bag_topics import COMPRESSED, choose_topics
from cc_ros.sources.base import Source, SourceSettings
from cc_ros.sources.encodings import decode_compressed, decode_compressed_depth, decode_depth, decode_image
from cc_ros.sources.static_frames import StaticFrames
from cc_ros.space.poses import OPTICAL_IN_BODY, PoseTrack, camera_pose

LOOK_AHEAD = 0.5  # seconds of bag time that an image waits for depth and odometry of its stamp
MAX_WAITING = 64  # images, where bag time does not grow
NEW_EPISODE = 1.0  # seconds that stamps must fall by to mean a recording that looped, not disorder


@dataclass(frozen=True)
class _Message:
    """A message with its header's stamp and the bag's, seconds."""

    stamp: float
    arrival: float
    compressed: bool
    content: Any


class BagSource(Source):
    """The frames of one camera topic of a rosbag2 (MCAP or sqlite3).

    Stamps are the headers' (the bag's, where a header has none). Each image gets the depth image nearest in time, the
    latest camera matrix and the interpolated odometry, moved to the camera by /tf_static where the bag has it (else the
    camera is taken to sit at the odometry's child frame and to look along its x axis).

    :param path: the bag's folder, or one of its files.
    :param settings: the topics.
    :raises SourceError: the bag cannot be read, or it is not clear which images are meant.
    """

    def __init__(self, path: Path, settings: SourceSettings) -> None:
        self._bag = BagFile(path)
        try:
            self._topics = choose_topics(self._bag.connections, settings)
            self._frames = self._read_static_frames()
        except CCError:
            self._bag.close()
            raise
        length = sum(c.msgcount for c in self._bag.connections if c.topic == self._topics.image)
        fps = (length - 1) / self._bag.duration * 1e9 if self._bag.duration and length > 1 else None
        super().__init__(path.resolve().name, fps, length)
        self._tolerance = settings.depth_tolerance
        self._camera_info: Any = None
        self._depths: deque[_Message] = deque()
        self._poses = PoseTrack()
        self._last_pose = -np.inf
        self._base_frame = ""

    def __iter__(self) -> Iterator[Frame]:
        last = -np.inf
        problem: CCError | None = None
        for message in self._matched():
            if last - NEW_EPISODE < message.stamp <= last:
                self.skipped["image out of order"] += 1
                continue
            try:
                image = _decode(message)
            except ImageError as error:
                self.skipped["damaged or unsupported image"] += 1
                problem = error
                continue
            last = message.stamp
            height, width = image.shape[:2]
            self.size = self.size or (width, height)
            yield Frame(
                image,
                message.stamp,
                self._depth_at(message.stamp, width, height),
                self._intrinsics(width, height),
                self._pose_at(message),
            )
        if self.size is None:
            raise SourceError(f"{self._topics.image} of {self._bag.path} has no image that can be read: {problem}")

    def close(self) -> None:
        """Close the bag."""
        self._bag.close()

    def _matched(self) -> Iterator[_Message]:
        """Yield the images once what belongs to them has been read, or does not come."""
        topics = self._topics
        wanted = {t for t in (topics.image, topics.camera_info, topics.depth, topics.odom) if t}
        waiting: deque[_Message] = deque()
        newest = -np.inf
        for connection, nanoseconds, raw in self._bag.messages([c for c in self._bag.connections if c.topic in wanted]):
            message = self._decoded(connection, nanoseconds * 1e-9, raw)
            if message is None:
                continue
            if connection.topic == topics.image:
                if message.stamp < newest - NEW_EPISODE:
                    yield from waiting
                    waiting.clear()
                    self._forget()
                waiting.append(message)
                newest = message.stamp
            elif connection.topic == topics.depth:
                self._depths.append(message)
                self._drop_depths(waiting[0].stamp if waiting else message.stamp - LOOK_AHEAD)
            elif connection.topic == topics.odom:
                self._add_pose(message)
            else:
                self._camera_info = message.content
            while waiting and (self._complete(waiting[0]) or _overdue(waiting, message.arrival)):
                yield waiting.popleft()
        yield from waiting

    def _decoded(self, connection: Connection, arrival: float, raw: bytes) -> _Message | None:
        try:
            content = self._bag.decode(connection, raw)
        except SourceError:
            self.skipped["damaged message"] += 1
            return None
        stamp = content.header.stamp.sec + content.header.stamp.nanosec * 1e-9
        return _Message(stamp or arrival, arrival, connection.msgtype == COMPRESSED, content)

    def _complete(self, image: _Message) -> bool:
        """Whether nothing nearer to this image can follow."""
        depth = not self._topics.depth or (bool(self._depths) and self._depths[-1].stamp >= image.stamp)
        pose = not self._topics.odom or self._last_pose >= image.stamp
        return depth and pose and (not self._topics.camera_info or self._camera_info is not None)

    def _forget(self) -> None:
        self._depths.clear()
        self._poses.clear()
        self._last_pose = -np.inf

    def _add_pose(self, message: _Message) -> None:
        position, turn = message.content.pose.pose.position, message.content.pose.pose.orientation
        try:
            base = camera_pose((position.x, position.y, position.z), (turn.x, turn.y, turn.z, turn.w), np.eye(4))
        except CCError:
            self.skipped["damaged odometry"] += 1
            return
        self._poses.add(message.stamp, base)
        self._last_pose = max(self._last_pose, message.stamp)
        self._base_frame = message.content.child_frame_id

    def _pose_at(self, image: _Message) -> np.ndarray | None:
        base = self._poses.at(image.stamp)
        if base is None:
            return None
        mount = self._frames.between(self._base_frame, image.content.header.frame_id)
        return base @ (OPTICAL_IN_BODY if mount is None else mount)

    def _depth_at(self, stamp: float, width: int, height: int) -> np.ndarray | None:
        if not self._topics.depth:
            return None
        self._drop_depths(stamp)
        nearest = min(self._depths, key=lambda depth: abs(depth.stamp - stamp), default=None)
        if nearest is None or abs(nearest.stamp - stamp) > self._tolerance:
            self.skipped["no depth near the image"] += 1
            return None
        try:
            depth = _decode_depth(nearest)
        except ImageError:
            self.skipped["damaged or unsupported depth"] += 1
            return None
        if depth.shape == (height, width):
            return depth
        if abs(depth.shape[1] * height - depth.shape[0] * width) > max(width, height):
            self.skipped["depth of another shape than the image"] += 1
            return None
        return cv2.resize(depth, (width, height), interpolation=cv2.INTER_NEAREST)

    def _drop_depths(self, stamp: float) -> None:
        """Drop the depth images that are too old for an image of ``stamp``."""
        while self._depths and self._depths[0].stamp < stamp - self._tolerance:
            self._depths.popleft()

    def _intrinsics(self, width: int, height: int) -> np.ndarray | None:
        info = self._camera_info
        if info is None:
            return None
        k = np.asarray(info.k, np.float64).reshape(3, 3)
        if not (np.isfinite(k).all() and k[0, 0] > 0 and k[1, 1] > 0):  # all zero: REP 104's "not calibrated"
            self.skipped["camera_info without a calibration"] += 1
            return None
        if info.width and (info.width, info.height) != (width, height):
            self.skipped["camera_info of another size than the image"] += 1
            return None
        return k

    def _read_static_frames(self) -> StaticFrames:
        frames = StaticFrames()
        if self._topics.odom:
            static = [c for c in self._bag.connections if c.topic.endswith("/tf_static")]
            for connection, _, raw in self._bag.messages(static):
                frames.add(self._bag.decode(connection, raw))
        return frames


def _overdue(waiting: deque[_Message], now: float) -> bool:
    return now - waiting[0].arrival > LOOK_AHEAD or len(waiting) > MAX_WAITING


def _decode(message: _Message) -> np.ndarray:
    m = message.content
    if message.compressed:
        return decode_compressed(m.format, m.data)
    return decode_image(m.encoding, m.width, m.height, m.step, bool(m.is_bigendian), m.data)


def _decode_depth(message: _Message) -> np.ndarray:
    m = message.content
    if message.compressed:
        return decode_compressed_depth(m.format, m.data)
    return decode_depth(m.encoding, m.width, m.height, m.step, bool(m.is_bigendian), m.data)
