"""The floor as a robot comes to know it: what depth and odometry have shown so far."""

from __future__ import annotations

import cv2
import numpy as np

from cc_ros.sim.camera import Camera
from cc_ros.sim.grid import Grid, Point, Ways
from cc_ros.sim.world import Pose

RESOLUTION = 0.08  # metres
REACH = 12.0  # metres from the start to the border
EVERY = 6  # of the depth's rows and columns one is looked at
LOW, HIGH = 0.1, 1.3  # metres above the floor between which things are in a robot's way
FAR = 5.0  # metres up to which depth is believed
HITS = 3  # points in a cell from which on it is taken
MARGIN = 0.08  # metres kept beside the robot's radius
COMFORT = 0.6  # metres from things from which on a way is as good as any
STRANGE = 3.0  # what a metre over floor that nobody has seen costs
OUT = 20.0  # what a metre costs where the robot does not fit by the map, though it stands there
FRONTIER = 6  # cells that a border of the unknown has at least


class FloorMap:
    """A grid around where the robot began, in the frame of its odometry.

    :param radius: of the robot, metres.
    """

    def __init__(self, camera: Camera, radius: float) -> None:
        self._radius = radius
        self._grid = Grid.of_size((-REACH, -REACH), (REACH, REACH), RESOLUTION)
        self._hits = np.zeros(self._grid.blocked.shape, np.int32)
        self._seen = np.zeros(self._grid.blocked.shape, bool)
        self._fits = np.zeros(self._grid.blocked.shape, bool)
        ys, xs = np.mgrid[EVERY // 2 : camera.height : EVERY, EVERY // 2 : camera.width : EVERY]
        pixels = np.stack([xs.ravel(), ys.ravel(), np.ones(xs.size)], axis=1)
        place = camera.in_base()
        self._rays = pixels @ np.linalg.inv(camera.matrix()).T @ place[:3, :3].T
        self._eye = place[:3, 3]

    def add(self, depth: np.ndarray, pose: Pose) -> None:
        """Take in a depth picture.

        :param depth: HxW metres along the optical axis, 0 = unknown.
        :param pose: of the robot at that time.
        """
        along = depth[EVERY // 2 :: EVERY, EVERY // 2 :: EVERY].ravel()
        good = (along > 0.1) & (along < FAR)
        points = self._eye + self._rays[good] * along[good, None]
        cos, sin = np.cos(pose.yaw), np.sin(pose.yaw)
        over_ground = points[:, :2] @ np.array([[cos, sin], [-sin, cos]]) + (pose.x, pose.y)
        cells = self._grid.cells(over_ground)
        inside = self._grid.inside(cells)
        cells, heights = cells[inside], points[inside, 2]
        rows, columns = cells[(heights > LOW) & (heights < HIGH)].T
        np.add.at(self._hits, (rows, columns), 1)
        self._grid.blocked = self._hits >= HITS
        rows, columns = cells[heights < LOW].T
        self._seen[rows, columns] = True

    def looked_around(self, pose: Pose, radius: float = 1.6) -> None:
        """Note that the robot has turned in place: the floor at its feet, which no picture shows, is known as well."""
        (row, column), spot = self._grid.cells(np.array([pose[:2]]))[0], np.zeros(self._seen.shape, np.uint8)
        cv2.circle(spot, (int(column), int(row)), int(radius / RESOLUTION), 1, cv2.FILLED)
        self._seen |= spot.astype(bool)

    def ways_from(self, pose: Pose) -> Ways:
        """Return the best ways between the robot and everywhere: short, and not close to things."""
        clearance = self._grid.clearance()
        fits = clearance > self._radius + MARGIN
        (row, column), close = self._grid.cells(np.array([pose[:2]]))[0], np.zeros(fits.shape, np.uint8)
        cv2.circle(close, (int(column), int(row)), int(0.25 / RESOLUTION), 1, cv2.FILLED)
        out = close.astype(bool) & (clearance > 0) & ~fits  # where it stands it may leave, whatever the map says
        weights = 1 + 4 * np.maximum(0, COMFORT - clearance) / COMFORT
        weights[~self._seen & ~self._grid.blocked] *= STRANGE
        weights[~fits] = np.inf
        weights[out] = OUT
        self._fits = fits
        return self._grid.ways([pose[:2]], weights)

    def nearest(self, ways: Ways, goal: Point, within: float) -> Point | None:
        """Return the reachable place nearest to a goal, None where there is none within so many metres."""
        cells = np.argwhere(np.isfinite(ways.cost) & self._fits)
        if not len(cells):
            return None
        points = self._grid.points(cells)
        gaps = np.hypot(*(points - goal).T)
        best = int(gaps.argmin())
        return (float(points[best, 0]), float(points[best, 1])) if gaps[best] <= within else None

    def frontier(self, ways: Ways) -> Point | None:
        """Return the best place at the border of what is known, near and with much behind it; None = all is known."""
        unknown = ~self._seen & ~self._grid.blocked
        beside = cv2.dilate(unknown.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool)
        border = (self._seen & beside & self._fits & np.isfinite(ways.cost) & (ways.cost > 0.8)).astype(np.uint8)
        count, labels, stats, _ = cv2.connectedComponentsWithStats(border, connectivity=8)
        best, least = None, np.inf
        for label in range(1, count):
            size = int(stats[label, cv2.CC_STAT_AREA])
            if size < FRONTIER:
                continue
            cells = np.argwhere(labels == label)
            costs = ways.cost[tuple(cells.T)]
            score = float(costs.min()) - 0.15 * size
            if score < least:
                x, y = self._grid.points(cells[int(costs.argmin())][None])[0]
                best, least = (float(x), float(y)), score
        return best
