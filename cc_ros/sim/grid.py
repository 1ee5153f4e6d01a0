"""A floor as a grid: where something stands, where a robot fits, and the shortest way."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import dijkstra

Point = tuple[float, float]
_STEPS = ((0, 1), (1, 0), (1, 1), (1, -1))


@dataclass
class Grid:
    """Blocked cells of a floor.

    :param origin: (x, y) of the corner of cell (0, 0), metres.
    :param blocked: HxW bool, row = y, column = x.
    """

    origin: Point
    resolution: float
    blocked: np.ndarray

    @staticmethod
    def of_size(low: Point, high: Point, resolution: float) -> Grid:
        """Return an empty grid from corner to corner."""
        width, height = (math.ceil((high[k] - low[k]) / resolution) for k in (0, 1))
        return Grid(low, resolution, np.zeros((height, width), bool))

    def cells(self, points: np.ndarray) -> np.ndarray:
        """Return Nx2 integer (row, column) of Nx2 points (x, y); they may lie outside."""
        cells = np.floor((np.asarray(points, float).reshape(-1, 2) - self.origin) / self.resolution).astype(int)
        return cells[:, ::-1]

    def points(self, cells: np.ndarray) -> np.ndarray:
        """Return Nx2 points (x, y) in the middle of Nx2 cells (row, column)."""
        return (np.asarray(cells)[:, ::-1] + 0.5) * self.resolution + self.origin

    def inside(self, cells: np.ndarray) -> np.ndarray:
        """Return for Nx2 cells whether the grid has them."""
        return np.all((cells >= 0) & (cells < self.blocked.shape), axis=1)

    def block(self, low_x: float, low_y: float, high_x: float, high_y: float) -> None:
        """Mark a box as taken."""
        (row, column), (end_row, end_column) = self.cells(np.array([(low_x, low_y), (high_x, high_y)]))
        self.blocked[max(row, 0) : end_row + 1, max(column, 0) : end_column + 1] = True

    def clearance(self) -> np.ndarray:
        """Return the distance from each cell to the nearest blocked one, metres, HxW float32."""
        free = np.pad(~self.blocked, 1, constant_values=True).astype(np.uint8)
        return cv2.distanceTransform(free, cv2.DIST_L2, 5)[1:-1, 1:-1] * self.resolution

    def where_fits(self, radius: float) -> np.ndarray:
        """Return weights for :meth:`ways`: 1 where a disc of that radius fits, inf elsewhere."""
        return np.where(self.clearance() > radius, 1.0, np.inf)

    def ways(self, to: Sequence[Point], weights: np.ndarray) -> Ways:
        """Return the shortest ways from everywhere to the nearest of some points.

        :param weights: HxW, what a metre costs in a cell; inf = no way through.
        """
        rows, columns = weights.shape
        index = np.arange(rows * columns).reshape(rows, columns)
        starts, ends, costs = [], [], []
        for down, right in _STEPS:
            here = (slice(0, rows - down), slice(max(0, -right), columns - max(0, right)))
            there = (slice(down, rows), slice(max(0, right), columns - max(0, -right)))
            cost = (weights[here] + weights[there]) / 2 * math.hypot(down, right) * self.resolution
            open_ = np.isfinite(cost)
            starts.append(index[here][open_])
            ends.append(index[there][open_])
            costs.append(cost[open_])
        graph = coo_array(
            (np.concatenate(costs), (np.concatenate(starts), np.concatenate(ends))), shape=(index.size, index.size)
        ).tocsr()
        cells = self.cells(np.asarray(to))
        cells = cells[self.inside(cells)]
        if not len(cells):
            return Ways(self, np.full(weights.shape, np.inf), np.full(weights.shape, -1))
        goals = np.unique(index[cells[:, 0], cells[:, 1]])
        cost, before, _ = dijkstra(graph, directed=False, indices=goals, min_only=True, return_predecessors=True)
        return Ways(self, cost.reshape(weights.shape), before.reshape(weights.shape))


@dataclass
class Ways:
    """Shortest ways to some points: ``cost`` from each cell, and the ``next`` cell on the way (negative = none)."""

    grid: Grid
    cost: np.ndarray
    next: np.ndarray

    def cost_from(self, start: Point) -> float:
        """Return what the way from a point costs; inf where there is none."""
        cells = self.grid.cells(np.array([start]))
        return float(self.cost[tuple(cells[0])]) if self.grid.inside(cells)[0] else math.inf

    def cost_near(self, start: Point) -> float:
        """Return what the way costs from the nearest place that has one, and how far that is; inf = there is none."""
        cells = np.argwhere(np.isfinite(self.cost))
        if not len(cells):
            return math.inf
        gaps = np.hypot(*(self.grid.points(cells) - start).T)
        nearest = int(gaps.argmin())
        aside = max(0.0, float(gaps[nearest]) - self.grid.resolution)
        return aside + float(self.cost[tuple(cells[nearest])])

    def path(self, start: Point) -> np.ndarray:
        """Return the way from a point, Nx2 (x, y) from start to goal; empty where there is none."""
        if not math.isfinite(self.cost_from(start)):
            return np.zeros((0, 2))
        columns = self.cost.shape[1]
        row, column = self.grid.cells(np.array([start]))[0]
        cells = [(row, column)]
        while (number := int(self.next[row, column])) >= 0:
            row, column = divmod(number, columns)
            cells.append((row, column))
        return self.grid.points(np.array(cells))
