"""From pixels to bearings and points, with the lens' distortion removed."""

from __future__ import annotations

import re

import cv2
import numpy as np

from cc_ros.errors import CCError
from cc_ros.frame import Distortion

FISHEYE = ("equidistant", "fisheye")  # Kannala-Brandt, 4 coefficients
BENT = ("plumb_bob", "rational_polynomial")  # Brown-Conrady, up to 14 coefficients
_ROUNDS, _OFF = 15, 1e-4  # focal lengths: where a lens' polynomial has no inverse, it does not get so near
_WIDEST = np.tan(np.radians(89.0))  # of what a plane before the camera can show


class GeometryError(CCError, ValueError):
    """Intrinsics, a lens, a pose or a depth that no geometry can be done with."""


def check_intrinsics(intrinsics: np.ndarray) -> np.ndarray:
    """Return ``intrinsics`` as a 3x3 float64 matrix.

    :raises GeometryError: wrong shape, not finite, or a focal length that is not positive.
    """
    matrix = np.asarray(intrinsics, dtype=np.float64)
    if matrix.shape != (3, 3) or not np.isfinite(matrix).all():
        raise GeometryError(f"intrinsics must be a finite 3x3 matrix, got shape {matrix.shape}; check camera_info")
    if matrix[0, 0] <= 0 or matrix[1, 1] <= 0:
        raise GeometryError(f"focal lengths must be positive, got {matrix[0, 0]:g} and {matrix[1, 1]:g} pixels")
    return matrix


def check_distortion(model: str, coefficients: np.ndarray) -> Distortion | None:
    """Return the distortion of a lens; None where there is none.

    :param model: ``distortion_model`` of a ``sensor_msgs/CameraInfo``.
    :param coefficients: its ``d``.
    :raises GeometryError: an unknown model, a number of coefficients that it cannot have, or one that is not finite.
    """
    d = np.asarray(coefficients, dtype=np.float64).ravel()
    if not d.any():
        return None
    counts = (4,) if model in FISHEYE else (4, 5, 8, 12, 14)
    if model and model not in (*FISHEYE, *BENT):
        raise GeometryError(f"unknown distortion model {model!r}; known are {', '.join((*BENT, *FISHEYE))}")
    if len(d) not in counts or not np.isfinite(d).all():
        raise GeometryError(f"distortion {model!r} needs {counts} finite coefficients, got {d.tolist()}")
    return Distortion(model or BENT[0], tuple(map(float, d)))


def calibration(
    k: np.ndarray, p: np.ndarray, model: str, coefficients: np.ndarray, topic: str = ""
) -> tuple[np.ndarray, Distortion | None]:
    """Return the 3x3 matrix and the distortion of the pictures that a ``sensor_msgs/CameraInfo`` is of.

    One CameraInfo stands for the raw and for the rectified pictures of a camera: topics of the latter are called
    ``image_rect`` or the like (image_proc), and ``p`` holds for them.

    :param topic: of the pictures; "" = raw ones.
    :raises GeometryError: the lens is not known, or a number is not finite.
    """
    if re.search(r"(^|[/_])rect(ified)?($|[/_])", topic):
        projection = np.asarray(p, np.float64).reshape(3, 4)[:, :3]
        return (projection if projection.any() else np.reshape(k, (3, 3))), None
    return np.reshape(k, (3, 3)), check_distortion(model, coefficients)


def undistorted(pixels: np.ndarray, intrinsics: np.ndarray, distortion: Distortion | None = None) -> np.ndarray:
    """Return where the rays of ``pixels`` (Nx2: x, y) meet the plane one metre ahead: Nx2 float64, optical frame.

    Pixels that the lens shows from the side or from behind are NaN.

    :raises GeometryError: the intrinsics are unusable.
    """
    k = check_intrinsics(intrinsics)
    xy = np.asarray(pixels, dtype=np.float64).reshape(-1, 2)
    y = (xy[:, 1] - k[1, 2]) / k[1, 1]
    x = (xy[:, 0] - k[0, 2] - k[0, 1] * y) / k[0, 0]
    plane = np.stack([x, y], axis=1)
    if distortion is None or not len(xy):
        return plane
    d = np.array(distortion.coefficients)
    if distortion.model in FISHEYE:
        angle = _angle_off_axis(np.linalg.norm(plane, axis=1), d)
        plane *= (np.tan(angle) / np.maximum(np.linalg.norm(plane, axis=1), 1e-12))[:, None]
    else:
        plane = _straightened(plane, d)
    plane[~(np.linalg.norm(plane, axis=1) < _WIDEST)] = np.nan  # so written, NaN goes as well
    return plane


def _straightened(bent: np.ndarray, d: np.ndarray) -> np.ndarray:
    """Return the points (Nx2, focal lengths) that a lens shows at these; NaN where it shows none there."""
    plane = cv2.undistortPoints(bent.reshape(-1, 1, 2), np.eye(3), d).reshape(-1, 2)
    still = np.zeros(3)
    for _ in range(_ROUNDS):  # OpenCV stops after five
        shown, _ = cv2.projectPoints(np.column_stack([plane, np.ones(len(plane))]), still, still, np.eye(3), d)
        off = shown.reshape(-1, 2) - bent
        plane = plane - off
    plane[np.linalg.norm(off, axis=1) > _OFF] = np.nan
    return plane


def _angle_off_axis(radius: np.ndarray, d: np.ndarray) -> np.ndarray:
    """Return the angles, radians, that a fisheye lens shows at these radii, focal lengths; NaN from 90 degrees on."""
    angles = np.linspace(0, np.pi / 2, 2048)
    squared = angles**2
    shown = angles * (1 + squared * (d[0] + squared * (d[1] + squared * (d[2] + squared * d[3]))))
    grows = np.flatnonzero(np.diff(shown) <= 0)
    end = int(grows[0]) + 1 if len(grows) else len(angles)  # beyond its maximum, a polynomial means nothing
    return np.interp(radius, shown[:end], angles[:end], right=np.nan)


def bearings(pixels: np.ndarray, intrinsics: np.ndarray, distortion: Distortion | None = None) -> np.ndarray:
    """Return Nx3 unit vectors towards ``pixels`` (Nx2: x, y) in the optical frame (x right, y down, z forward).

    :raises GeometryError: the intrinsics are unusable.
    """
    plane = undistorted(pixels, intrinsics, distortion)
    rays = np.column_stack([plane, np.ones(len(plane))])
    return rays / np.linalg.norm(rays, axis=1, keepdims=True)


def back_project(
    pixels: np.ndarray, depths: np.ndarray, intrinsics: np.ndarray, distortion: Distortion | None = None
) -> np.ndarray:
    """Return Nx3 points in metres in the optical frame from pixels (Nx2) and depths (N, metres along the axis).

    :raises GeometryError: the intrinsics are unusable.
    """
    plane = undistorted(pixels, intrinsics, distortion)
    return np.column_stack([plane, np.ones(len(plane))]) * np.asarray(depths, dtype=np.float64).reshape(-1, 1)
