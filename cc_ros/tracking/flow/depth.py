"""What the flow backend knows of a frame's geometry, at its working size."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from cc_ros.frame import Frame

_NEAR, _FAR = 0.1, 20.0  # metres; what lies outside is no measurement, or of no use
_LEAST = 32  # pixels; smaller images show nothing
_ENOUGH = 0.2  # share of the image that must be measured
_NOISE = 0.03  # share of the distance; a sensor with more noise says nothing
_STEP = 0.03  # share of the distance; larger jumps between neighbouring pixels are two surfaces
_STEP_OF_NOISE = 6.0  # how many times the noise such jumps must be at least
_FEW_STEPS = 0.002  # share of the image; fewer jumps do not show whether the depth belongs to the image
_GAIN, _GAIN_RATE = 1.01, 0.5  # of edges at jumps of depth: what is enough, and how fast its average follows
_ASIDE = [(0, 8), (0, -8), (8, 0), (-8, 0), (6, 6), (-6, 6), (6, -6), (-6, -6)]  # pixels (y, x)


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


def depth_steps(view: DepthView) -> np.ndarray:
    """Return the pixels (HxW bool) on both sides of a jump from one surface to another.

    Inverse depth is linear along any line in the image of a plane, however slanted it is: a jump is what neither
    side's slope explains.
    """
    steps = np.zeros(view.inverse.shape, bool)
    least = _STEP_OF_NOISE * view.noise
    for w, found in ((view.inverse, steps), (view.inverse.T, steps.T)):
        near = np.maximum(w[1:-2], w[2:-1])
        jump = np.abs(2 * w[1:-2] - w[:-3] - w[2:-1]) > np.maximum(_STEP * near, least)
        jump &= np.abs(2 * w[2:-1] - w[3:] - w[1:-2]) > np.maximum(_STEP * near, least)
        jump &= (w[1:-2] > 0) & (w[2:-1] > 0)
        found[1:-2] |= jump
        found[2:-1] |= jump
    return steps


class DepthTrust:
    """Believes depth only after its jumps have lately lain where the image has edges."""

    def __init__(self) -> None:
        self._gain = 1.0  # how much better than elsewhere depth fits the image, averaged over frames

    def __call__(self, view: DepthView, image: np.ndarray) -> bool:
        """Return whether the depth of an image (HxWx3 uint8 BGR) can be trusted."""
        grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
        gain = edge_gain(depth_steps(view), cv2.morphologyEx(grey, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)))
        if not np.isnan(gain):
            self._gain += _GAIN_RATE * (gain - self._gain)
        return self._gain > _GAIN


def edge_gain(steps: np.ndarray, gradient: np.ndarray) -> float:
    """Return how many times stronger the edges of the image are at jumps of depth than anywhere beside them.

    Above 1 in a camera that is calibrated and synchronised. Depth that is late, displaced or made up has its jumps
    anywhere. NaN where there are too few jumps to tell.

    :param steps: HxW bool.
    :param gradient: HxW uint8 or float32, levels a pixel.
    """
    y, x = np.nonzero(steps)
    if len(y) < _FEW_STEPS * steps.size:
        return np.nan
    height, width = steps.shape
    near = cv2.dilate(gradient, np.ones((3, 3), np.uint8))
    edges = near / (near + 3.0)  # strong edges do not outvote the others
    aside = [edges[(y + dy).clip(0, height - 1), (x + dx).clip(0, width - 1)].mean() for dy, dx in _ASIDE]
    return float(edges[y, x].mean() / max(*aside, 1e-6))
