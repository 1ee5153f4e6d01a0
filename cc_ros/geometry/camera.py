"""Pinhole camera: pixels to bearings, pixels with depth to points."""

from __future__ import annotations

import numpy as np

from cc_ros.errors import CCError


class GeometryError(CCError, ValueError):
    """Intrinsics, a pose or a depth that no geometry can be done with."""


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


def bearings(pixels: np.ndarray, intrinsics: np.ndarray) -> np.ndarray:
    """Return Nx3 unit vectors towards ``pixels`` (Nx2: x, y) in the optical frame (x right, y down, z forward).

    :raises GeometryError: the intrinsics are unusable.
    """
    k = check_intrinsics(intrinsics)
    xy = np.asarray(pixels, dtype=np.float64).reshape(-1, 2)
    y = (xy[:, 1] - k[1, 2]) / k[1, 1]
    x = (xy[:, 0] - k[0, 2] - k[0, 1] * y) / k[0, 0]
    rays = np.stack([x, y, np.ones_like(x)], axis=1)
    return rays / np.linalg.norm(rays, axis=1, keepdims=True)


def back_project(pixels: np.ndarray, depths: np.ndarray, intrinsics: np.ndarray) -> np.ndarray:
    """Return Nx3 points in metres in the optical frame from pixels (Nx2) and depths (N, metres along the axis).

    :raises GeometryError: the intrinsics are unusable.
    """
    rays = bearings(pixels, intrinsics)
    return rays / rays[:, 2:] * np.asarray(depths, dtype=np.float64).reshape(-1, 1)
