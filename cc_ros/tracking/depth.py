"""What the flow backend knows of a frame's geometry, at its working size."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from cc_ros.frame import Frame

_NEAR, _FAR = 0.1, 20.0  # metres; what lies outside is no measurement, or of no use
_LEAST = 32  # pixels; smaller images show no layout
_ENOUGH = 0.2  # share of the image that must be measured
_NOISE = 0.03  # share of the distance; a sensor with more noise says nothing


@dataclass(frozen=True, slots=True)
class DepthView:
    """Depth and camera of one frame.

    :param inverse: HxW float32, 1 / metres along the optical axis, 0 where unknown.
    :param noise: standard deviation of ``inverse``, 1 / metres. It is the same near and far: sensors measure disparity.
    :param intrinsics: 3x3 float64, pixels of ``inverse``.
    :param pose: 4x4 float64, camera to world, metres; None when unknown.
    """

    inverse: np.ndarray
    noise: float
    intrinsics: np.ndarray
    pose: np.ndarray | None

    def at(self, stride: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the points of every ``stride``-th pixel (hxwx3 float32, camera frame) and which are known (hxw)."""
        inverse = self.inverse[::stride, ::stride]
        known = inverse > 0
        depth = np.divide(1, inverse, out=np.zeros_like(inverse), where=known)
        rays = _rays(*self.inverse.shape, stride, *self.intrinsics[[0, 1, 0, 1], [0, 1, 2, 2]].tolist())
        return rays * depth[..., None], known


@lru_cache(maxsize=8)
def _rays(height: int, width: int, stride: int, fx: float, fy: float, cx: float, cy: float) -> np.ndarray:
    y, x = np.mgrid[:height:stride, :width:stride]
    rays = np.stack([(x - cx) / fx, (y - cy) / fy, np.ones_like(x)], axis=-1)
    return rays.astype(np.float32)


def depth_view(frame: Frame, size: tuple[int, int]) -> DepthView | None:
    """Return the depth of a frame for images of ``size`` (width, height).

    None where depth or camera are unknown, and where what is measured is too little or too noisy to be of use.
    """
    height, width = frame.image.shape[:2]
    if frame.depth is None or frame.intrinsics is None or frame.depth.shape != (height, width) or min(size) < _LEAST:
        return None
    depth = cv2.resize(frame.depth, size, interpolation=cv2.INTER_NEAREST)  # a mean of two surfaces is on neither
    known = (depth > _NEAR) & (depth < _FAR)
    if known.mean() < _ENOUGH:
        return None
    inverse = np.divide(1, depth, out=np.zeros_like(depth), where=known)
    noise = _noise(inverse)
    if noise > _NOISE * float(np.median(inverse[known])):
        return None
    scale = np.diag([size[0] / width, size[1] / height, 1.0])
    pose = frame.pose if frame.pose is not None and np.isfinite(frame.pose).all() else None
    return DepthView(inverse, noise, scale @ frame.intrinsics, pose)


def _noise(inverse: np.ndarray) -> float:
    """Return the standard deviation of inverse depth: on a plane, only noise makes its second differences."""
    w = inverse[::3]
    second = np.abs(2 * w[:, 1:-1] - w[:, :-2] - w[:, 2:])[(w[:, 1:-1] > 0) & (w[:, :-2] > 0) & (w[:, 2:] > 0)]
    return float(np.median(second)) / 0.6745 / 6**0.5 if second.size else np.inf
