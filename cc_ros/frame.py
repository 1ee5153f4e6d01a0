"""One camera frame with what is known about it: the input of every step."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Distortion:
    """How a lens bends the picture, as in ``sensor_msgs/CameraInfo``; the same for every size of the picture.

    :param model: plumb_bob, rational_polynomial or equidistant.
    :param coefficients: in the order of OpenCV.
    """

    model: str
    coefficients: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Frame:
    """One image of the stream.

    :param image: HxWx3 uint8, BGR. Read-only by contract: steps never write into it.
    :param stamp: seconds, growing from frame to frame within an episode.
    :param depth: HxW float32, metres along the optical axis, NaN where unknown; None without a depth sensor.
    :param intrinsics: 3x3 float64 pinhole matrix in pixels of this image; None when unknown.
    :param pose: 4x4 float64, camera (x right, y down, z forward) to world (z up), metres; None when unknown.
    :param distortion: of the lens; None when there is none, or the picture is rectified.
    """

    image: np.ndarray
    stamp: float
    depth: np.ndarray | None = None
    intrinsics: np.ndarray | None = None
    pose: np.ndarray | None = None
    distortion: Distortion | None = None
