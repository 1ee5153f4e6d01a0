"""Between bytes and arrays of images: every layout a ROS camera driver is likely to send, and JPEG; without ROS."""

from __future__ import annotations

import struct
from typing import Any

import cv2
import numpy as np

from cc_ros.errors import ImageError
from cc_ros.picture_header import PictureHeader, read_header

# JPEG qualities. Marks are drawn on the decoded copies of what is kept: those must be nearly lossless.
KEPT_QUALITY, MARKED_QUALITY, SENT_QUALITY = 95, 90, 85

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
    "16UC1": "mono8",  # of a thermal camera; depth is refused, see _refuse_depth
    "bgr16": "bgr8",
    "rgb16": "rgb8",
    **{f"bayer_{p}16": f"bayer_{p}8" for p in ("rggb", "bggr", "gbrg", "grbg")},
}
_PLANAR = {"nv12": cv2.COLOR_YUV2BGR_NV12, "nv21": cv2.COLOR_YUV2BGR_NV21}
_MILLIMETRES = ("16UC1", "mono16")
_UNKNOWN = 0.01  # share of pixels at 0 that makes a 16UC1 image depth: where nothing was measured; heat is never 0
_HOLDS_DEPTH = "holds depth, not a picture: use it as the depth topic"
_REDUCED = {
    1: cv2.IMREAD_COLOR,
    2: cv2.IMREAD_REDUCED_COLOR_2,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    8: cv2.IMREAD_REDUCED_COLOR_8,
}
_VIDEO = ("h264", "h.264", "avc1", "h265", "h.265", "hevc", "av1", "vp8", "vp9", "mpeg4", "ffmpeg")

IMAGE_ENCODINGS = (*_LAYOUTS, *_SIXTEEN_BIT, *_PLANAR)
DEPTH_ENCODINGS = (*_MILLIMETRES, "32FC1")


def decode_image(encoding: str, width: int, height: int, step: int, is_bigendian: bool, data: Any) -> np.ndarray:
    """Return the picture of a ``sensor_msgs/Image`` as HxWx3 uint8 BGR, C-contiguous.

    ``bgr8`` without row padding comes back as a read-only view of ``data``. 16-bit pictures: :func:`eight_bits`.

    :param step: bytes from one row to the next; what lies beyond the pixels is ignored.
    :param data: bytes or anything with a buffer of bytes (``array.array``, ``memoryview``, ndarray).
    :raises ImageError: unknown encoding, impossible size or too little data.
    """
    if encoding in _PLANAR:
        return _decode_planar(encoding, width, height, step, data)
    base = _SIXTEEN_BIT.get(encoding, encoding)
    if base not in _LAYOUTS:
        if encoding in DEPTH_ENCODINGS:
            raise ImageError(f"an image of encoding {encoding!r} {_HOLDS_DEPTH}")
        raise ImageError(f"image encoding {encoding!r} is not supported; known: {', '.join(IMAGE_ENCODINGS)}")
    channels, code = _LAYOUTS[base]
    if encoding == base:
        pixels = _rows(encoding, width, height, step, channels, data)
    else:
        wide = _rows(encoding, width, height, step, 2 * channels, data).view(">u2" if is_bigendian else "<u2")
        deep = np.ascontiguousarray(wide, np.uint16)
        _refuse_depth(encoding, deep)
        pixels = eight_bits(deep, grey=base == "mono8")
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
    """Return (width, height) of a picture by its header, which says nothing of an EXIF orientation.

    :raises ImageError: of another kind, truncated or too large.
    """
    header = _check_header(_bytes(data), format, MAX_PIXELS)
    return header.width, header.height


def encode_jpeg(image: np.ndarray, quality: int) -> bytes:
    """Return HxWx3 uint8 BGR as JPEG.

    :raises ImageError: OpenCV refuses it.
    """
    ok, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not ok:
        raise ImageError(f"an image of shape {image.shape}, {image.dtype} could not be encoded")
    return data.tobytes()


def eight_bits(pixels: np.ndarray, grey: bool) -> np.ndarray:
    """Return 16-bit pixels as uint8, scaled by what the image holds: dim and thermal cameras use little of the range.

    Images that use more than half of the range, and those of one value, keep the fixed factor of cv_bridge. For others,
    all but the outermost 0.2 % of the pixels lie in the new range. It depends on them continuously, so that noise and
    hot pixels do not make the brightness flicker.

    :param pixels: uint16 of any shape.
    :param grey: whether black may be moved as well; for colours that would change them.
    """
    sample = pixels.ravel()[:: max(1, pixels.size // 20_000)]
    low, high = (float(value) for value in np.percentile(sample, (0.1, 99.9)))
    if low == high:
        return cv2.convertScaleAbs(pixels, alpha=255 / 65535)
    low = low if grey else 0.0
    margin = max(0.05 * (high - low), 16.0)
    begin, end = max(low - margin, 0.0) if grey else 0.0, min(high + margin, 65535.0)
    whole = float(np.clip((high - low) / 65535 * 4 - 1, 0, 1))
    begin, end = (1 - whole) * begin, (1 - whole) * end + whole * 65535
    scale = 255 / (end - begin)
    if not begin:
        return cv2.convertScaleAbs(pixels, alpha=scale)
    table = np.clip((np.arange(65536, dtype=np.float32) - begin) * scale, 0, 255).round().astype(np.uint8)
    return table[pixels]


def _refuse_depth(encoding: str, pixels: np.ndarray) -> None:
    """Refuse 16-bit pixels that are distances: drivers name both depth and thermal pictures 16UC1."""
    if encoding == "16UC1" and np.count_nonzero(pixels) < (1 - _UNKNOWN) * pixels.size:
        raise ImageError(f"an image of encoding '16UC1' whose unknown pixels are 0 {_HOLDS_DEPTH}")


def decode_compressed(format: str, data: Any, *, max_pixels: int = MAX_PIXELS, reduce: int = 1) -> np.ndarray:
    """Return the picture of a ``sensor_msgs/CompressedImage`` or of a file as HxWx3 uint8 BGR.

    Reads JPEG, PNG, TIFF, WebP and, where OpenCV was built with it, AVIF. The bytes decide what it is, not ``format``,
    which drivers fill in freely. The header is read first: neither a picture of more than ``max_pixels`` nor one that
    ends early is decoded (OpenCV 4 fills the rest with grey). 16-bit pictures: :func:`eight_bits`.

    :param format: the message's format, such as ``jpeg`` or ``bgr8; jpeg compressed bgr8``.
    :param reduce: 1, 2, 4 or 8: so many times narrower and lower, which a JPEG is decoded to in much less time.
    :raises ImageError: of another kind, truncated, damaged, too large, or a depth image.
    """
    if "compressedDepth" in format:
        raise ImageError(f"an image of compressed format {format!r} {_HOLDS_DEPTH}")
    raw = _bytes(data)
    if not _check_header(raw, format, max_pixels).deep:
        return _imdecode(raw, _REDUCED[reduce], format)
    image = _imdecode(raw, cv2.IMREAD_ANYCOLOR | cv2.IMREAD_ANYDEPTH, format)
    if image.dtype == np.uint16:
        _refuse_depth(format.split(";", maxsplit=1)[0].strip(), image)
        image = eight_bits(image, grey=image.ndim == 2)
    if image.dtype != np.uint8:
        raise ImageError(f"compressed image ({format!r}) has pixels of {image.dtype}: a picture has 8 or 16 bits")
    return image if image.ndim == 3 else cv2.cvtColor(image, cv2.COLOR_GRAY2BGR)


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
        raise ImageError(
            f"compressed depth format {format!r} (RVL) is not supported: set the parameter `.format` of the publisher "
            "to png, or republish as raw by `ros2 run image_transport republish compressedDepth raw`"
        )
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


def _check_header(raw: bytes, format: str, max_pixels: int) -> PictureHeader:
    """Refuse what is no picture, what ends early and what declares more than ``max_pixels``; return its header."""
    header = read_header(raw)
    if header is None:
        video = next((name for name in _VIDEO if name in format.lower()), "")
        if video or raw.startswith((b"\0\0\0\1", b"\0\0\1")):
            raise ImageError(
                f"compressed image ({format!r}, {len(raw)} bytes) is a packet of {video or 'h264 or h265'} video, "
                "which needs those before it: record raw or jpeg, or republish it first (`ros2 run image_transport "
                "republish`)"
            )
        raise ImageError(
            f"compressed image ({format!r}, {len(raw)} bytes) is neither JPEG nor PNG, TIFF, WebP or AVIF: {raw[:8]!r}"
        )
    if header.width * header.height > max_pixels:
        raise ImageError(
            f"compressed image declares {header.width}x{header.height} pixels, more than the {max_pixels} allowed"
        )
    if not header.complete or not header.width * header.height:
        raise ImageError(f"compressed image ({format!r}, {len(raw)} bytes) is truncated")
    return header
