"""Images, raw and compressed, depth, and instance maps."""

from __future__ import annotations

import array
from dataclasses import dataclass

import cv2
import numpy as np
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from cc_ros.encodings import (
    DEPTH_ENCODINGS,
    IMAGE_ENCODINGS,
    KEPT_QUALITY,
    compressed_size,
    decode_compressed,
    decode_compressed_depth,
    decode_depth,
    decode_image,
    encode_jpeg,
)
from cc_ros.errors import ImageError


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
    buffer = array.array("B") if buffer is None else buffer
    if len(buffer) != len(raw):
        del buffer[:]
        buffer.frombytes(raw)
    else:
        memoryview(buffer)[:] = raw
    message.data = buffer
    return message


def jpeg_message(header: Header, jpeg: bytes) -> CompressedImage:
    """Return JPEG bytes as a message."""
    return CompressedImage(header=header, format="jpeg", data=array.array("B", bytes(jpeg)))


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
        return encode_jpeg(to_bgr(self.message), KEPT_QUALITY)
