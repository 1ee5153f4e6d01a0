"""What the flow backend knows of a frame's geometry, at its working size."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from cc_ros.frame import Frame

_STEP = 0.03  # share of the distance; larger jumps between neighbouring pixels are two surfaces


@dataclass(frozen=True, slots=True)
class DepthView:
    """Depth and camera of one frame.

    :param depth: HxW float32, metres along the optical axis, NaN where unknown.
    :param intrinsics: 3x3 float64, pixels of ``depth``.
    :param pose: 4x4 float64, camera to world, metres; None when unknown.
    """

    depth: np.ndarray
    intrinsics: np.ndarray
    pose: np.ndarray | None


def depth_view(frame: Frame, size: tuple[int, int]) -> DepthView | None:
    """Return the depth of a frame for images of ``size`` (width, height); None where depth or camera are unknown."""
    if frame.depth is None or frame.intrinsics is None:
        return None
    depth = cv2.resize(frame.depth, size, interpolation=cv2.INTER_NEAREST)  # a mean of two surfaces is on neither
    height, width = frame.image.shape[:2]
    scale = np.diag([size[0] / width, size[1] / height, 1.0])
    return DepthView(depth, scale @ frame.intrinsics, frame.pose)


def depth_steps(depth: np.ndarray) -> np.ndarray:
    """Return the pixels (HxW bool) on both sides of a jump from one surface to another.

    Inverse depth is linear along any line in the image of a plane, however slanted it is (Konolige and Agrawal 2008):
    a jump is what neither side's slope explains.

    :param depth: HxW float32, metres, NaN where unknown.
    """
    steps = np.zeros(depth.shape, bool)
    with np.errstate(divide="ignore"):
        inverse = 1 / depth
    for w, found in ((inverse, steps), (inverse.T, steps.T)):
        from_left, from_right = 2 * w[1:-2] - w[:-3] - w[2:-1], 2 * w[2:-1] - w[3:] - w[1:-2]
        jump = np.fmin(np.abs(from_left), np.abs(from_right)) > _STEP * np.fmax(w[1:-2], w[2:-1])
        found[1:-2] |= jump
        found[2:-1] |= jump
    return steps
