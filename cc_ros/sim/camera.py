"""The robot's camera."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Camera:
    """A pinhole camera on the robot, above its middle.

    :param x: metres before the robot's middle.
    :param z: metres above the floor.
    :param pitch: radians, positive looks down.
    :param focal: pixels.
    """

    width: int = 640
    height: int = 480
    focal: float = 420.0
    x: float = 0.1
    z: float = 1.1
    pitch: float = 0.2

    @property
    def vertical_view(self) -> float:
        """Angle of view from the upper to the lower border, degrees."""
        return math.degrees(2 * math.atan(self.height / 2 / self.focal))

    def matrix(self) -> np.ndarray:
        """Return the 3x3 intrinsic matrix; the middle of the upper left pixel is (0, 0)."""
        return np.array([
            [self.focal, 0, (self.width - 1) / 2],
            [0, self.focal, (self.height - 1) / 2],
            [0, 0, 1.0],
        ])  # fmt: skip

    def in_base(self) -> np.ndarray:
        """Return the 4x4 pose of the optical frame (x right, y down, z ahead) in the robot's frame (REP 103)."""
        sin, cos = math.sin(self.pitch), math.cos(self.pitch)
        pose = np.eye(4)
        pose[:3, 0] = 0, -1, 0
        pose[:3, 1] = -sin, 0, -cos
        pose[:3, 2] = cos, 0, -sin
        pose[:3, 3] = self.x, 0, self.z
        return pose
