"""From the bytes of an image message to arrays: every layout a ROS camera driver is likely to send, without ROS."""

from __future__ import annotations

import struct
from typing import Any

import cv2
import numpy as np

from cc_ros.errors import ImageError

MAX_PIXELS = 100_000_000  # largest compressed picture that is decoded, unless the caller says otherwise

# encoding -> (bytes per pixel, OpenCV conversion to BGR or None). ROS names a Bayer pattern by the first two pixels of
# rows 0 and 1, OpenCV by the second and third pixel of row 1: hence RGGB is "BG".
_LAYOUTS: dict[str, tuple[int, int | None]] = {
    "bgr8": (3, None),
    "8UC3": (3, None),
    "rgb8": (3, cv2.COLOR_RGB2BGR),
    "bgra8": (4, cv2.COLOR_BGRA2BGR),
    "8UC4": (4, cv2.COLOR_BGRA2BGR),
    "rgba8": (4, cv2.COLOR_RGBA2BGR),
    "mono8": (1, cv2.COLOR_GRAY2BGR),
    "8UC1": (1, cv2.COLOR_GRAY2BGR),
    "bayer_rggb8": (1, cv2.COLOR_BayerBG2BGR),
    "bayer_bggr8": (1, cv2.COLOR_BayerRG2BGR),
    "bayer_gbrg8": (1, cv2.COLOR_BayerGR2BGR),
    "bayer_grbg8": (1, cv2.COLOR_BayerGB2BGR),
    "yuv422": (2, cv2.COLOR_YUV2BGR_UYVY),
    "uyvy": (2, cv2.COLOR_YUV2BGR_UYVY),
    "yuv422_yuy2": (2, cv2.COLOR_YUV2BGR_YUY2),
    "yuyv": (2, cv2.COLOR_YUV2BGR_YUY2),
}
_SIXTEEN_BIT = {
    "mono16": "mono8",
    "bgr16": "bgr8",
    "rgb16": "rgb8",
    **{f"bayer_{p}16": f"bayer_{p}8" for p in ("rggb", "bggr", "gbrg", "grbg")},
}
_PLANAR = {"nv12": cv2.COLOR_YUV2BGR_NV12, "nv21": cv2.COLOR_YUV2BGR_NV21}
_MILLIMETRES = ("16UC1", "mono16")
_REDUCED = {
    1: cv2.IMREAD_COLOR,
    2: cv2.IMREAD_REDUCED_COLOR_2,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    8: cv2.IMREAD_REDUCED_COLOR_8,
}

IMAGE_ENCODINGS = (*_LAYOUTS, *_SIXTEEN_BIT, *_PLANAR)
DEPTH_ENCODINGS = (*_MILLIMETRES, "32FC1")


def decode_image(encoding: str, width: int, height: int, step: int, is_bigendian: bool, data: Any) -> np.ndarray:
    """Return the picture of a ``sensor_msgs/Image`` as HxWx3 uint8 BGR, C-contiguous.

    ``bgr8`` without row padding comes back as a read-only view of ``data``. 16-bit pictures are scaled by 255 / 65535,
    as cv_bridge does: the same for every frame, so that brightness does not flicker.

    :param step: bytes from one row to the next; what lies beyond the pixels is ignored.
    :param data: bytes or anything with a buffer of bytes (``array.array``, ``memoryview``, ndarray).
    :raises ImageError: unknown encoding, impossible size or too little data.
    """
    if encoding in _PLANAR:
        return _decode_planar(encoding, width, height, step, data)
    base = _SIXTEEN_BIT.get(encoding, encoding)
    if base not in _LAYOUTS:
        hint = "; it holds depth: use it as the depth topic" if encoding in DEPTH_ENCODINGS else ""
        raise ImageError(f"image encoding {encoding!r} is not supported{hint}; known: {', '.join(IMAGE_ENCODINGS)}")
    channels, code = _LAYOUTS[base]
    if encoding == base:
        pixels = _rows(encoding, width, height, step, channels, data)
    else:
        wide = _rows(encoding, width, height, step, 2 * channels, data).view(">u2" if is_bigendian else "<u2")
        pixels = cv2.convertScaleAbs(np.ascontiguousarray(wide, np.uint16), alpha=255 / 65535)
    if channels == 2 and width % 2:
        raise ImageError(f"{encoding} needs an even width, got {width}")
    if channels > 1:
        pixels = pixels.reshape(height, width, channels)
    if code is not None:
        return _convert(pixels, code, encoding)
    picture = np.ascontiguousarray(pixels)
    picture.flags.writeable = False
    return picture


def compressed_size(format: str, data: Any) -> tuple[int, int]:
    """Return (width, height) of a JPEG or PNG by its header, which says nothing of an EXIF orientation.

    :raises ImageError: neither of them, or truncated.
    """
    return _check_header(_bytes(data), format, MAX_PIXELS)


def decode_compressed(format: str, data: Any, *, max_pixels: int = MAX_PIXELS, reduce: int = 1) -> np.ndarray:
    """Return the picture of a ``sensor_msgs/CompressedImage`` (JPEG or PNG) as HxWx3 uint8 BGR.

    The bytes decide what it is, not ``format``, which drivers fill in freely. The header is read first: neither a
    picture of more than ``max_pixels`` nor one that ends early is decoded (OpenCV 4 fills the rest with grey).

    :param format: the message's format, such as ``jpeg`` or ``bgr8; jpeg compressed bgr8``.
    :param reduce: 1, 2, 4 or 8: so many times narrower and lower, which a JPEG is decoded to in much less time.
    :raises ImageError: not JPEG or PNG, truncated, damaged, too large, or a depth image.
    """
    if "compressedDepth" in format:
        raise ImageError(f"compressed format {format!r} holds depth, not a picture: use it as the depth topic")
    raw = _bytes(data)
    _check_header(raw, format, max_pixels)
    return _imdecode(raw, _REDUCED[reduce], format)


def decode_depth(encoding: str, width: int, height: int, step: int, is_bigendian: bool, data: Any) -> np.ndarray:
    """Return a depth ``sensor_msgs/Image`` (REP 118) as HxW float32 metres, NaN where unknown.

    :raises ImageError: not 16UC1, mono16 (both millimetres) or 32FC1 (metres), impossible size or too little data.
    """
    order = ">" if is_bigendian else "<"
    if encoding in _MILLIMETRES:
        return _metres(_rows(encoding, width, height, step, 2, data).view(order + "u2"))
    if encoding == "32FC1":
        return _known(_rows(encoding, width, height, step, 4, data).view(order + "f4").astype(np.float32))
    raise ImageError(f"depth encoding {encoding!r} is not supported; known: {', '.join(DEPTH_ENCODINGS)}")


def decode_compressed_depth(format: str, data: Any, *, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """Return a compressed depth image as HxW float32 metres, NaN where unknown.

    Reads what image_transport's compressedDepth publishes as PNG (``16UC1; compressedDepth png``: 12 bytes of header,
    then millimetres; ``32FC1; compressedDepth png``: quantised inverse depth) and plain 16-bit PNG.

    :raises ImageError: another format, truncated, damaged or too large.
    """
    raw = _bytes(data)
    encoding = format.split(";", maxsplit=1)[0].strip()
    if "rvl" in format.lower():
        raise ImageError(f"compressed depth format {format!r} is not supported: set the publisher's format to png")
    header = b""
    if "compressedDepth" in format:
        header, raw = raw[:12], raw[12:]
    _check_header(raw, format, max_pixels)
    image = _imdecode(raw, cv2.IMREAD_UNCHANGED, format)
    if image.dtype != np.uint16 or image.ndim != 2:
        raise ImageError(f"compressed depth must be a 16-bit grey PNG, got {image.dtype} {image.shape} ({format!r})")
    if encoding != "32FC1":
        return _metres(image)
    if not header:
        raise ImageError(f"compressed depth format {format!r} lacks the header of compressedDepth that scales it")
    a, b = struct.unpack("<ff", header[4:])
    with np.errstate(all="ignore"):
        depth = np.float32(a) / (image.astype(np.float32) - np.float32(b))
    depth[image == 0] = np.nan
    return _known(depth)


def _rows(encoding: str, width: int, height: int, step: int, pixel_bytes: int, data: Any) -> np.ndarray:
    """Return the rows without their padding: H x (W * pixel_bytes) uint8, a view."""
    row = width * pixel_bytes
    if width < 1 or height < 1 or step < row:
        raise ImageError(f"{encoding} image of {width}x{height} with step {step}: needs a size and a step of {row}")
    flat = _flat(data)
    if flat.size < step * height:
        raise ImageError(
            f"{encoding} image of {width}x{height} with step {step} needs {step * height} bytes, got {flat.size}"
        )
    return flat[: step * height].reshape(height, step)[:, :row]


def _decode_planar(encoding: str, width: int, height: int, step: int, data: Any) -> np.ndarray:
    if width % 2 or height % 2:
        raise ImageError(f"{encoding} needs an even size, got {width}x{height}")
    rows = _rows(encoding, width, height + height // 2, step, 1, data)  # below the luma, half as many rows of chroma
    return _convert(rows, _PLANAR[encoding], encoding)


def _flat(data: Any) -> np.ndarray:
    try:
        return np.frombuffer(data, np.uint8) if len(data) else np.empty(0, np.uint8)
    except (TypeError, ValueError, BufferError) as error:
        raise ImageError(f"image data must be bytes, got {type(data).__name__}: {error}") from error


def _bytes(data: Any) -> bytes:
    return data if isinstance(data, bytes) else _flat(data).tobytes()


def _convert(pixels: np.ndarray, code: int, encoding: str) -> np.ndarray:
    try:
        return cv2.cvtColor(pixels, code)
    except cv2.error as error:
        raise ImageError(f"{encoding} image of shape {pixels.shape} cannot be converted: {error.err}") from error


def _imdecode(raw: bytes, flags: int, format: str) -> np.ndarray:
    try:
        image = cv2.imdecode(np.frombuffer(raw, np.uint8), flags)
    except cv2.error as error:
        raise ImageError(f"compressed image ({format!r}, {len(raw)} bytes) is damaged: {error.err}") from error
    if image is None:
        raise ImageError(f"compressed image ({format!r}, {len(raw)} bytes) is damaged")
    return image


def _metres(millimetres: np.ndarray) -> np.ndarray:
    depth = millimetres.astype(np.float32)
    depth /= 1000  # not times 0.001: so that whole metres are whole
    depth[millimetres == 0] = np.nan
    return depth


def _known(depth: np.ndarray) -> np.ndarray:
    """Turn what is not a distance (0, negative, infinite: REP 118) into NaN, in place."""
    depth[~((depth > 0) & (depth < np.inf))] = np.nan
    return depth


def _check_header(raw: bytes, format: str, max_pixels: int) -> tuple[int, int]:
    """Refuse what is not JPEG or PNG, what ends early and what declares more than ``max_pixels``; return the size."""
    if raw.startswith(b"\x89PNG\r\n\x1a\n"):
        width, height = struct.unpack(">II", raw[16:24]) if len(raw) >= 24 else (0, 0)
        complete = raw.rfind(b"IEND\xaeB`\x82", 24) > 0  # its CRC never differs
    elif raw.startswith(b"\xff\xd8"):
        width, height, scan = _jpeg_header(raw)
        # Inside the scan 0xFF is always stuffed, so an end marker behind its start is the picture's own (and not that
        # of a thumbnail in the header).
        complete = scan > 0 and raw.rfind(b"\xff\xd9", scan) > 0
    else:
        raise ImageError(f"compressed image ({format!r}, {len(raw)} bytes) is neither JPEG nor PNG: {raw[:8]!r}")
    if width * height > max_pixels:
        raise ImageError(f"compressed image declares {width}x{height} pixels, more than the {max_pixels} allowed")
    if not complete or not width * height:
        raise ImageError(f"compressed image ({format!r}, {len(raw)} bytes) is truncated")
    return width, height


def _jpeg_header(raw: bytes) -> tuple[int, int, int]:
    """Return width, height and where the first scan begins; zeros for what is missing."""
    width = height = 0
    at = 2
    while at + 9 <= len(raw) and raw[at] == 0xFF:
        marker = raw[at + 1]
        if marker == 0xFF:  # fill byte
            at += 1
        elif marker == 0xDA:
            return width, height, at
        else:
            if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):  # a frame header, not a table
                height, width = struct.unpack(">HH", raw[at + 5 : at + 9])
            at += 2 + int.from_bytes(raw[at + 2 : at + 4], "big")
    return width, height, 0
