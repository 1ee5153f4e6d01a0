"""Match depth and calibration with an image by frame and shape: one rule for nodes and recordings."""

from __future__ import annotations

import cv2
import numpy as np

from cc_ros.errors import ImageError

SHORTEST, LONGEST = 0.05, 100.0  # focal lengths in sides of a picture: beyond fisheyes and telescopes
ASPECT = 0.01  # by how much the ratio of width and height may differ: 1296x968 and 640x480 are one view


class NotRegisteredError(ImageError):
    """Depth or calibration of another camera or view than the picture's.

    :ivar kind: what is wrong, without names and numbers: to count by.
    """

    def __init__(self, kind: str, detail: str) -> None:
        super().__init__(f"{kind}: {detail}")
        self.kind = kind


def fit_depth(
    depth: np.ndarray, width: int, height: int, depth_frame: str = "", image_frame: str = "", same: bool = False
) -> np.ndarray:
    """Return a depth image in the pixels of the picture that it is of.

    It must be of the same optical frame and show the same view: equal ``frame_id`` (an empty one says nothing), equal
    ratio of width and height.

    :param depth: HxW float32, metres.
    :param width: of the picture, pixels.
    :param height: of the picture, pixels.
    :param depth_frame: ``header.frame_id`` of the depth image.
    :param image_frame: ``header.frame_id`` of the picture.
    :param same: whether two frames of different names are known to be one (an identity in tf).
    :raises NotRegisteredError: another frame or view.
    """
    if not (same or same_frame(depth_frame, image_frame)):
        raise NotRegisteredError(
            "depth of another frame than the image",
            f"{depth_frame!r} instead of {image_frame!r}; depth must be registered to the image (the driver's "
            "align_depth or the like, or depth_image_proc's register node)",
        )
    if not same_view(depth.shape[1], depth.shape[0], width, height):
        raise NotRegisteredError(
            "depth of another shape than the image",
            f"{depth.shape[1]}x{depth.shape[0]} shows another view than {width}x{height}; depth must be registered to "
            "the image",
        )
    if depth.shape == (height, width):
        return depth
    return cv2.resize(depth, (width, height), interpolation=cv2.INTER_NEAREST)


def fit_intrinsics(
    k: np.ndarray,
    info_size: tuple[int, int],
    size: tuple[int, int],
    info_frame: str = "",
    image_frame: str = "",
) -> np.ndarray:
    """Return a calibration in the pixels of the picture that it is of: 3x3 float64.

    :param k: nine numbers, ``CameraInfo.k``.
    :param info_size: (width, height) that it was made for; zeros where unknown.
    :param size: (width, height) of the picture.
    :param info_frame: ``header.frame_id`` of the CameraInfo.
    :param image_frame: ``header.frame_id`` of the picture.
    :raises NotRegisteredError: no calibration (K is zero, REP 104), none that a camera can have, or that of another
        camera or view.
    """
    matrix = np.array(k, np.float64).reshape(3, 3)
    if not _can_be(matrix, info_size if all(info_size) else size):
        raise NotRegisteredError("camera_info without a calibration", f"K is {matrix.ravel().tolist()}")
    if not same_frame(info_frame, image_frame):
        raise NotRegisteredError(
            "camera_info of another frame than the image", f"{info_frame!r} instead of {image_frame!r}"
        )
    if not all(info_size):
        return matrix
    if not same_view(*info_size, *size):
        raise NotRegisteredError(
            "camera_info of another size than the image",
            f"{info_size[0]}x{info_size[1]} shows another view than {size[0]}x{size[1]}",
        )
    matrix[0] *= size[0] / info_size[0]
    matrix[1] *= size[1] / info_size[1]
    return matrix


def _can_be(k: np.ndarray, size: tuple[int, int]) -> bool:
    """Whether a camera can have this matrix: a focal length and a principal point of the order of its pictures."""
    focal, centre = np.diag(k)[:2] / max(size), k[:2, 2] / size
    return bool(np.isfinite(k).all() and all(SHORTEST < f < LONGEST for f in focal) and all(-1 < c < 2 for c in centre))


def same_frame(one: str, other: str) -> bool:
    """Whether two ``frame_id`` can be of one frame: equal, or one of them empty."""
    one, other = one.lstrip("/"), other.lstrip("/")
    return one == other or not one or not other


def same_view(width: int, height: int, other_width: int, other_height: int) -> bool:
    """Whether two sizes have the same ratio of width and height, up to rounding."""
    if not width * height * other_width * other_height:
        return False
    one, other = width * other_height, height * other_width
    # Small pictures: half a pixel more or less is rounding.
    slack = max(ASPECT * max(one, other), 0.5 * max(width, height, other_width, other_height))
    return abs(one - other) <= slack
