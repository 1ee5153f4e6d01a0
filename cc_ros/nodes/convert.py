"""Between ROS messages and arrays: the one place where images become NumPy and back."""

from __future__ import annotations

import array
import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from builtin_interfaces.msg import Time
from geometry_msgs.msg import Pose
from sensor_msgs.msg import CompressedImage, Image, RegionOfInterest
from std_msgs.msg import Header

from cc_ros.encodings import (
    DEPTH_ENCODINGS,
    IMAGE_ENCODINGS,
    compressed_size,
    decode_compressed,
    decode_compressed_depth,
    decode_depth,
    decode_image,
)
from cc_ros.errors import ImageError
from cc_ros.geometry.poses import camera_pose
from cc_ros.keyframes import Mark, MarkedKeyframe
from cc_ros.keyframes.store import JPEG_QUALITY, encode_jpeg
from cc_ros.msg import Keyframe as KeyframeMsg
from cc_ros.msg import Mark as MarkMsg
from cc_ros.msg import Track as TrackMsg
from cc_ros.tracking import Track, Tracked


def nanoseconds(stamp: Time) -> int:
    """Return a message's stamp as integer nanoseconds."""
    return stamp.sec * 1_000_000_000 + stamp.nanosec


def to_time(nanoseconds: int) -> Time:
    """Return integer nanoseconds as a message; negative times become 0."""
    seconds, rest = divmod(max(0, nanoseconds), 1_000_000_000)
    return Time(sec=seconds, nanosec=rest)


def picture_size(message: Image | CompressedImage) -> tuple[int, int]:
    """Return (width, height) in pixels without decoding; a JPEG that is turned by EXIF is told as it lies in the file.

    :raises ImageError: damaged or unknown compressed data.
    """
    if isinstance(message, CompressedImage):
        return compressed_size(message.format, message.data)
    return message.width, message.height


def to_small_bgr(message: Image | CompressedImage, enough: int) -> tuple[np.ndarray, tuple[int, int]]:
    """Return the picture as HxWx3 uint8 BGR, reduced by 2, 4 or 8 if so it is still wide enough, and its whole size.

    :param enough: pixels of width.
    :return: the picture, and (width, height) of the whole one.
    :raises ImageError: as :func:`to_bgr`.
    """
    width, height = picture_size(message)
    factor = max(f for f in (1, 2, 4, 8) if f == 1 or width >= f * enough)
    if isinstance(message, CompressedImage):
        picture = decode_compressed(message.format, message.data, reduce=factor)
        if (picture.shape[0] > picture.shape[1]) != (height > width):  # turned by its EXIF orientation
            width, height = height, width
        return picture, (width, height)
    picture = to_bgr(message)
    if factor > 1:
        size = max(width // factor, 1), max(height // factor, 1)
        picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    return picture, (width, height)


def to_bgr(message: Image | CompressedImage) -> np.ndarray:
    """Return the picture as HxWx3 uint8 BGR; an unpadded ``bgr8`` comes without a copy, read-only.

    Encodings beyond :data:`IMAGE_ENCODINGS` go to cv_bridge where it is installed.

    :raises ImageError: unknown encoding, impossible size or damaged data.
    """
    if isinstance(message, CompressedImage):
        return decode_compressed(message.format, message.data)
    if message.encoding not in IMAGE_ENCODINGS and message.encoding not in DEPTH_ENCODINGS:
        bridged = _through_cv_bridge(message)
        if bridged is not None:
            return bridged
    m = message
    return decode_image(m.encoding, m.width, m.height, m.step, bool(m.is_bigendian), m.data)


def _through_cv_bridge(message: Image) -> np.ndarray | None:
    try:
        from cv_bridge import CvBridge, CvBridgeError
    except ImportError:
        return None
    try:
        return CvBridge().imgmsg_to_cv2(message, "bgr8")
    except (CvBridgeError, ValueError, TypeError, RuntimeError) as error:
        raise ImageError(f"cv_bridge cannot convert {message.encoding!r}: {error}") from error


def to_depth(message: Image | CompressedImage) -> np.ndarray:
    """Return a depth image as HxW float32 metres, NaN unknown.

    :raises ImageError: as :func:`to_bgr`.
    """
    if isinstance(message, CompressedImage):
        return decode_compressed_depth(message.format, message.data)
    m = message
    return decode_depth(m.encoding, m.width, m.height, m.step, bool(m.is_bigendian), m.data)


def to_labels(message: Image) -> np.ndarray:
    """Return an instance map as HxW uint16, without a copy where the layout allows.

    :raises ImageError: not 16UC1, or its size does not fit its data.
    """
    if message.encoding != "16UC1":
        raise ImageError(f"instance maps are 16UC1, got {message.encoding!r}")
    data = np.frombuffer(message.data, np.uint8)
    if message.step < 2 * message.width or data.size != message.step * message.height or not data.size:
        raise ImageError(f"an instance map of {message.width}x{message.height}, step {message.step}: {data.size} bytes")
    rows = data.reshape(message.height, message.step)[:, : 2 * message.width]
    return np.ascontiguousarray(rows).view(">u2" if message.is_bigendian else "<u2").astype(np.uint16, copy=False)


def image_message(header: Header, pixels: np.ndarray, encoding: str, buffer: array.array | None = None) -> Image:
    """Return an array as a message; one copy, through ``array.array``, the one way that rclpy takes fast.

    :param pixels: HxW or HxWxC, uint8 or uint16, as ``encoding`` says.
    :param buffer: an ``array("B")`` to copy into, instead of fresh memory, whose first touch costs more than the copy;
        the message is good until the buffer is used again.
    """
    pixels = np.ascontiguousarray(pixels)
    message = Image(header=header, height=pixels.shape[0], width=pixels.shape[1], encoding=encoding)
    message.step = pixels.strides[0]
    raw = pixels.data.cast("B")
    if buffer is None or len(buffer) != len(raw):
        buffer = buffer if buffer is not None else array.array("B")
        del buffer[:]
        buffer.frombytes(raw)
    else:
        memoryview(buffer)[:] = raw
    message.data = buffer
    return message


def jpeg_message(header: Header, jpeg: bytes) -> CompressedImage:
    """Return JPEG bytes as a message."""
    return CompressedImage(header=header, format="jpeg", data=_byte_array(jpeg))


def _byte_array(data: Any) -> array.array:
    result = array.array("B")
    result.frombytes(data)
    return result


def enlarged(tracked: Tracked, size: tuple[int, int]) -> Tracked:
    """Return what was tracked in a reduced picture as map and tracks of the whole one.

    :param size: (width, height) of the whole picture.
    """
    height, width = tracked.labels.shape
    if (width, height) == size:
        return tracked
    x, y = size[0] / width, size[1] / height

    def place(track: Track) -> Track:
        left, top, w, h = track.box
        # as cv2.resize takes its nearest pixels
        box = _ceil(left * x), _ceil(top * y), _ceil((left + w) * x), _ceil((top + h) * y)
        return dataclasses.replace(
            track,
            area=round(track.area * x * y),
            centre=((track.centre[0] + 0.5) * x - 0.5, (track.centre[1] + 0.5) * y - 0.5),
            box=(box[0], box[1], box[2] - box[0], box[3] - box[1]),
        )

    labels = cv2.resize(tracked.labels, size, interpolation=cv2.INTER_NEAREST)
    return Tracked(labels, tuple(place(track) for track in tracked.tracks))


def _ceil(value: float) -> int:
    return math.ceil(value - 1e-9)


def track_message(track: Track, begin: int) -> TrackMsg:
    """Return a track as a message.

    :param begin: nanoseconds of the instant that the track's stamps count from.
    """
    x, y, w, h = track.box
    return TrackMsg(
        id=track.id,
        status=int(track.status),
        area=track.area,
        centre=[float(track.centre[0]), float(track.centre[1])],
        box=RegionOfInterest(x_offset=x, y_offset=y, width=w, height=h),
        confidence=float(track.confidence),
        first_seen=to_time(begin + round(track.first_seen * 1e9)),
        last_seen=to_time(begin + round(track.last_seen * 1e9)),
    )


@dataclass(frozen=True)
class MessagePicture:
    """The picture of an image message; decoded only when a keyframe is made of it."""

    message: Image | CompressedImage

    def jpeg(self) -> bytes:
        """Return JPEG bytes: those that came, where they came as JPEG.

        :raises ImageError: damaged data or an unknown encoding.
        """
        if isinstance(self.message, CompressedImage) and bytes(self.message.data[:2]) == b"\xff\xd8":
            return bytes(self.message.data)
        return encode_jpeg(to_bgr(self.message), JPEG_QUALITY)


def keyframe_message(keyframe: MarkedKeyframe, header: Header, world_frame: str) -> KeyframeMsg:
    """Return a marked keyframe as a message.

    :param header: of the camera image it was made of.
    """
    message = KeyframeMsg(
        header=header,
        index=keyframe.index,
        image=jpeg_message(header, keyframe.jpeg),
        width=keyframe.width,
        height=keyframe.height,
        marks=[MarkMsg(id=m.id, x=float(m.x), y=float(m.y), area=m.area, depth=m.depth) for m in keyframe.marks],
    )
    if keyframe.intrinsics is not None:
        message.k = keyframe.intrinsics.ravel()
    if keyframe.pose is not None:
        message.has_pose, message.pose, message.world_frame = True, pose_message(keyframe.pose), world_frame
    return message


def to_keyframe(message: KeyframeMsg) -> MarkedKeyframe:
    """Return the marked keyframe of a message."""
    k = np.array(message.k, dtype=np.float64).reshape(3, 3)
    position, orientation = message.pose.position, message.pose.orientation
    pose = None
    if message.has_pose:
        quaternion = (orientation.x, orientation.y, orientation.z, orientation.w)
        pose = camera_pose((position.x, position.y, position.z), quaternion, np.eye(4))
    return MarkedKeyframe(
        index=message.index,
        stamp=nanoseconds(message.header.stamp) * 1e-9,
        jpeg=bytes(message.image.data),
        width=message.width,
        height=message.height,
        marks=tuple(Mark(m.id, m.x, m.y, m.area, m.depth) for m in message.marks),
        intrinsics=k if k.any() else None,
        pose=pose,
    )


def pose_message(pose: np.ndarray) -> Pose:
    """Return a 4x4 pose as a message."""
    message = Pose()
    message.position.x, message.position.y, message.position.z = map(float, pose[:3, 3])
    x, y, z, w = quaternion(pose[:3, :3])
    message.orientation.x, message.orientation.y, message.orientation.z, message.orientation.w = x, y, z, w
    return message


def quaternion(rotation: np.ndarray) -> Sequence[float]:
    """Return (x, y, z, w) of a 3x3 rotation."""
    from scipy.spatial.transform import Rotation

    return [float(value) for value in Rotation.from_matrix(rotation).as_quat()]
