"""An empty world without physics or OpenGL: a robot that goes where it is told, before a wall."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from cc_ros.sim.camera import Camera
from cc_ros.sim.world import Pose, View


class KinematicWorld:
    """A floor without end; what the camera sees is the floor, and it says what it likes about things."""

    radius = 0.2
    slides = False

    def __init__(self) -> None:
        self.camera = Camera(width=64, height=48, focal=42.0)
        self._pose = Pose(0.0, 0.0, 0.0)
        rows = (np.arange(48) - 23.5) / 42.0
        down = np.cos(self.camera.pitch) * rows + np.sin(self.camera.pitch)
        depth = np.where(down > 0.05, self.camera.z / np.maximum(down, 0.05), 0.0)
        picture = np.tile(np.arange(64, dtype=np.uint8)[None, :, None], (48, 1, 3))
        self._view = View(picture, np.tile(depth[:, None], (1, 64)).astype(np.float32))

    def place(self, pose: Pose) -> None:
        self._pose = pose

    def pose(self) -> Pose:
        return self._pose

    def step(self, linear: float, angular: float, seconds: float) -> bool:
        return self.move(linear * seconds, angular * seconds)

    def move(self, ahead: float, turn: float) -> bool:
        x, y, yaw = self._pose
        yaw += turn
        self._pose = Pose(x + ahead * math.cos(yaw), y + ahead * math.sin(yaw), yaw)
        return False

    def view(self) -> View:
        return self._view

    def under(self, pose: Pose, pixels: Sequence[tuple[float, float]]) -> list[str]:
        return ["floor"] * len(pixels)

    def distances(self, points: Sequence[tuple[float, float]], goals: Sequence[tuple[float, float]]) -> list[float]:
        return [min(math.dist(point, goal) for goal in goals) for point in points]

    def close(self) -> None:
        pass
