"""Depth of a frame at the working size: whether to trust it, where surfaces end, and which masks fall into parts."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from cc_ros.frame import Frame
from cc_ros.tracking.flow import constants as const

_LEAST = 32  # pixels; smaller images show nothing
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
    known = (depth > const.DEPTH_NEAR) & (depth < const.DEPTH_FAR)
    if known.mean() < const.MIN_MEASURED:
        return None
    inverse = np.divide(1, depth, out=np.zeros_like(depth), where=known)
    noise = _noise(inverse)
    if noise > const.MAX_NOISE * float(np.median(inverse[known])):
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
    least = const.JUMP_OF_NOISE * view.noise
    for w, found in ((view.inverse, steps), (view.inverse.T, steps.T)):
        near = np.maximum(w[1:-2], w[2:-1])
        jump = np.abs(2 * w[1:-2] - w[:-3] - w[2:-1]) > np.maximum(const.JUMP * near, least)
        jump &= np.abs(2 * w[2:-1] - w[3:] - w[1:-2]) > np.maximum(const.JUMP * near, least)
        jump &= (w[1:-2] > 0) & (w[2:-1] > 0)
        found[1:-2] |= jump
        found[2:-1] |= jump
    return steps


class DepthTrust:
    """Trusts depth only after its jumps have lately lain on edges of the image."""

    def __init__(self) -> None:
        self._gain = 1.0  # how much better than elsewhere depth fits the image, averaged over frames

    def __call__(self, view: DepthView, image: np.ndarray) -> bool:
        """Return whether the depth of an image (HxWx3 uint8 BGR) can be trusted."""
        grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
        gain = edge_gain(depth_steps(view), cv2.morphologyEx(grey, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)))
        if not np.isnan(gain):
            self._gain += const.EDGE_GAIN_RATE * (gain - self._gain)
        return self._gain > const.EDGE_GAIN


def edge_gain(steps: np.ndarray, gradient: np.ndarray) -> float:
    """Return how many times stronger the edges of the image are at jumps of depth than anywhere beside them.

    Above 1 in a camera that is calibrated and synchronised. Depth that is late, displaced or made up has its jumps
    anywhere. NaN where there are too few jumps to tell.

    :param steps: HxW bool.
    :param gradient: HxW uint8 or float32, levels a pixel.
    """
    y, x = np.nonzero(steps)
    if len(y) < const.MIN_JUMPS * steps.size:
        return np.nan
    height, width = steps.shape
    near = cv2.dilate(gradient, np.ones((3, 3), np.uint8))
    edges = near / (near + 3.0)  # strong edges do not outvote the others
    aside = [edges[(y + dy).clip(0, height - 1), (x + dx).clip(0, width - 1)].mean() for dy, dx in _ASIDE]
    return float(edges[y, x].mean() / max(*aside, 1e-6))


def with_parts(odds: np.ndarray, scores: np.ndarray, view: DepthView) -> tuple[np.ndarray, np.ndarray]:
    """Add the parts of candidates that fall apart in depth, and halve the scores of these candidates.

    What the network takes for one object may be two, one behind the other.

    :param odds: n x h x w float32, log odds of their masks.
    :param scores: n float32.
    """
    size = odds.shape[:0:-1]
    steps = cv2.resize(depth_steps(view).astype(np.float32), size, interpolation=cv2.INTER_AREA) > 0.2
    inverse = cv2.resize(view.inverse, size, interpolation=cv2.INTER_NEAREST)
    more, told, left = [], [], scores.copy()
    for n in range(len(odds)):
        found = _parts(odds[n] > 0, steps, inverse)
        if len(found) > 1:
            left[n] *= const.PARTED_SCORE
            more += [np.where(part, odds[n], np.float32(const.OTHER_PART_ODDS)) for part in found]
            told += [scores[n]] * len(found)
    if not more:
        return odds, scores
    return np.concatenate([odds, np.stack(more)]), np.append(left, np.array(told, np.float32))


def _parts(mask: np.ndarray, steps: np.ndarray, inverse: np.ndarray) -> list[np.ndarray]:
    """Return the parts (h x w bool) of a mask between which depth jumps, none where it is one thing."""
    if not (mask & steps).any():
        return []
    count, label = cv2.connectedComponents((mask & ~steps).astype(np.uint8), connectivity=4)
    area = np.bincount(label.ravel(), minlength=count)
    large = [c for c in range(1, count) if area[c] > const.PART_SHARE * mask.sum()]
    middle = [
        float(np.median(inverse[(label == c) & (inverse > 0)])) if (inverse[label == c] > 0).any() else 0.0
        for c in large
    ]
    if len(large) < 2 or min(middle) <= 0 or max(middle) < (1 + const.PARTS_APART) * min(middle):
        return []
    grown = np.where(np.isin(label, large), label, 0).astype(np.float32)
    for _ in range(3):  # the pixels of the jump itself go to a part beside it
        grown = np.where((grown == 0) & mask, cv2.dilate(grown, np.ones((3, 3), np.uint8)), grown)
    return [grown == c for c in large]
