"""The ground seen from above: where something stands, where the floor is free, and where nothing is known."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

UNKNOWN, FREE, TAKEN = -1, 0, 100
OCCUPIED = 65  # cells of at least this value hold something, as map_server has it


@dataclass(frozen=True, slots=True, eq=False)
class Ground:
    """A grid of square cells on the ground; what ``nav_msgs/OccupancyGrid`` says.

    :param cells: HxW int8, a row for each step along the grid's y axis: -1 unknown, 0 free .. 100 taken.
    :param resolution: edge of a cell in metres.
    :param origin: (x, y) of the outer corner of cell [0, 0] in the world, metres.
    :param yaw: of the grid's x axis in the world, radians from the world's x axis to the left.
    :param floor: height of the floor in the world in metres; NaN = not known.
    """

    cells: np.ndarray
    resolution: float
    origin: tuple[float, float]
    yaw: float = 0.0
    floor: float = math.nan

    def at(self, points: np.ndarray) -> np.ndarray:
        """Return the value of the cell at each of Nx2 points (metres, world); unknown outside of the grid."""
        cosine, sine = math.cos(self.yaw), math.sin(self.yaw)
        inside = (points - self.origin) @ np.array([[cosine, -sine], [sine, cosine]])
        column, row = np.floor(inside / self.resolution).astype(np.int64).T
        height, width = self.cells.shape
        within = (column >= 0) & (column < width) & (row >= 0) & (row < height)
        values = np.full(len(points), UNKNOWN, np.int8)
        values[within] = self.cells[row[within], column[within]]
        return values

    def taken(self) -> np.ndarray:
        """Return the middles of all cells that hold something, Nx2, metres, world."""
        row, column = np.nonzero(self.cells >= OCCUPIED)
        middles = (np.stack([column, row], axis=1) + 0.5) * self.resolution
        cosine, sine = math.cos(self.yaw), math.sin(self.yaw)
        return middles @ np.array([[cosine, sine], [-sine, cosine]]) + self.origin

    def around(self, place: tuple[float, float], radius: float) -> Ground:
        """Return the part within a square of half the width ``radius`` (metres) around a place, or an empty one."""
        cosine, sine = math.cos(self.yaw), math.sin(self.yaw)
        dx, dy = place[0] - self.origin[0], place[1] - self.origin[1]
        column, row = (cosine * dx + sine * dy) / self.resolution, (cosine * dy - sine * dx) / self.resolution
        reach, (height, width) = radius / self.resolution, self.cells.shape
        left, right = (int(min(max(edge, 0), width)) for edge in (column - reach, column + reach + 1))
        low, high = (int(min(max(edge, 0), height)) for edge in (row - reach, row + reach + 1))
        x, y = left * self.resolution, low * self.resolution
        origin = self.origin[0] + cosine * x - sine * y, self.origin[1] + sine * x + cosine * y
        return replace(self, cells=self.cells[low:high, left:right], origin=origin)
