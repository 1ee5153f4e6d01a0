"""The ground as depth images show it: voxels that something was seen in, until something is seen through them."""

from __future__ import annotations

import math
import threading

import cv2
import numpy as np

from cc_ros.frame import Distortion
from cc_ros.geometry.camera import back_project
from cc_ros.ground import FREE, TAKEN, UNKNOWN, Ground

CELL = 0.05  # metres, edge of a voxel
SIDE = 400  # voxels along x and y: 20 m, with the camera near the middle
LAYERS = 80  # along z: 4 m
UNDER = 2.5  # metres of them below the first camera
RECENTRE = 5.0  # metres that the camera may be off the middle
NEAREST, FARTHEST = 0.2, 6.0  # metres: other depths are not taken in
BODY = 0.3  # metres around the camera that the robot surely takes up
INTERVAL = 0.3  # seconds between two images that are
POINTS = 160  # columns of an image that are
JUMP = 0.05  # of its depth: a pixel that differs more from its neighbours lies on an edge, and may float in between
RAMP = (2, 0.03)  # pixels, of its depth: one with nearer ones so far on one side and farther ones on the other floats
LEVEL = 0.95  # cosine to the vertical of what may be floor
STEP = 0.1  # metres above the floor: what is lower is driven over
OVERHEAD = 1.8  # metres above the floor: what is higher is driven under
FLOOR_SHARE = 0.2  # of the votes for the strongest level surface that the floor needs: it is the lowest of those
FLOOR_VOTES = 200


class SeenGround:
    """Takes depth images one by one and says what is known of the ground. Constant memory; thread-safe.

    Things that went away are forgotten once something is seen through where they were.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.clear()

    def clear(self) -> None:
        """Forget all: a new episode."""
        with self._lock:
            self._voxels: np.ndarray | None = None
            self._walked = np.zeros((SIDE, SIDE), bool)
            self._corner = np.zeros(3)  # of voxel [0, 0, 0] in the world, metres
            self._levels = np.zeros(LAYERS)  # votes for the height of the floor
            self._last = -math.inf

    def add(
        self,
        stamp: float,
        depth: np.ndarray,
        intrinsics: np.ndarray,
        pose: np.ndarray,
        distortion: Distortion | None = None,
    ) -> bool:
        """Take in what a depth image shows; return whether it was taken: not so soon after the one before.

        :param stamp: seconds.
        :param depth: HxW float32, metres along the optical axis, NaN unknown.
        :param intrinsics: 3x3, pixels of this image.
        :param pose: 4x4, camera to world (z up), metres.
        :param distortion: of the lens; with one, what was seen once stays, since nothing is projected back into it.
        :raises GeometryError: the intrinsics are unusable.
        """
        with self._lock:
            if 0 <= stamp - self._last < INTERVAL:
                return False
            self._last = stamp
            self._centre(pose[:3, 3])
            points, level = _points(depth, intrinsics, pose, distortion)
            if distortion is None:
                self._see_through(depth, intrinsics, pose)
            self._fill(points, level)
            self._walk(pose[:2, 3])
        return True

    def ground(self) -> Ground | None:
        """Return what is known, cropped to that; None where nothing is, or no floor was seen yet."""
        with self._lock:
            floor = self._floor()
            if self._voxels is None or floor is None:
                return None
            first, last = (math.floor((floor + z - self._corner[2]) / CELL) for z in (-STEP, STEP))
            top = first + round(OVERHEAD / CELL)
            # What is lower than the floor is a step down, or the floor is not yet the floor.
            taken = self._voxels[last + 1 : top].any(axis=0) | self._voxels[: max(0, first)].any(axis=0)
            free = self._voxels[max(0, first) : last + 1].any(axis=0) | self._walked
        # Far away a pixel is a cell's width from the next: between free cells so near to each other it is free as well.
        free = cv2.morphologyEx(free.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8)) > 0
        rows, columns = np.nonzero(taken | free)
        if not len(rows):
            return None
        cells = np.where(taken, TAKEN, np.where(free, FREE, UNKNOWN)).astype(np.int8)
        cells = cells[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
        x, y = self._corner[:2] + CELL * np.array([columns.min(), rows.min()])
        return Ground(cells, CELL, (float(x), float(y)), floor=floor)

    def _floor(self) -> float | None:
        votes = np.convolve(self._levels, np.ones(3), "same")
        strong = np.flatnonzero(votes >= max(FLOOR_VOTES, FLOOR_SHARE * votes.max()))
        if not len(strong):
            return None
        layer = int(strong[0])
        best = max(range(layer, min(layer + 3, LAYERS)), key=lambda i: float(self._levels[i]))
        around = np.arange(max(0, best - 1), min(best + 2, LAYERS))
        middle = np.average(around + 0.5, weights=self._levels[around])
        return float(self._corner[2] + CELL * middle)

    def _centre(self, camera: np.ndarray) -> None:
        """Keep the camera near the middle; what leaves the grid is forgotten."""
        half = SIDE * CELL / 2
        if self._voxels is None:
            self._voxels = np.zeros((LAYERS, SIDE, SIDE), bool)
            self._corner = np.floor((camera - [half, half, UNDER]) / CELL) * CELL
            return
        off = camera[:2] - (self._corner[:2] + half)
        if np.abs(off).max() <= RECENTRE:
            return
        shift = np.round(off / CELL).astype(int)
        moved, walked = np.zeros_like(self._voxels), np.zeros_like(self._walked)
        (to_x, from_x), (to_y, from_y) = (_overlap(int(steps)) for steps in shift)
        moved[:, to_y, to_x] = self._voxels[:, from_y, from_x]
        walked[to_y, to_x] = self._walked[from_y, from_x]
        self._voxels, self._walked = moved, walked
        self._corner[:2] += shift * CELL

    def _walk(self, camera: np.ndarray) -> None:
        """Note that the robot stands here, so that the floor under it is free."""
        column, row = np.floor((camera - self._corner[:2]) / CELL).astype(int)
        half = math.ceil(BODY / CELL)
        self._walked[row - half : row + half + 1, column - half : column + half + 1] = True

    def _fill(self, points: np.ndarray, level: np.ndarray) -> None:
        assert self._voxels is not None
        places = np.floor((points - self._corner) / CELL).astype(np.int64)
        inside = ((places >= 0) & (places < [SIDE, SIDE, LAYERS])).all(axis=1)
        column, row, layer = places[inside].T
        self._voxels[layer, row, column] = True
        self._levels += np.bincount(layer[level[inside]], minlength=LAYERS)

    def _see_through(self, depth: np.ndarray, intrinsics: np.ndarray, pose: np.ndarray) -> None:
        """Empty the voxels behind which something is seen now."""
        assert self._voxels is not None
        layer, row, column = np.unravel_index(np.flatnonzero(self._voxels), self._voxels.shape)
        middles = self._corner + CELL * (np.stack([column, row, layer], axis=1) + 0.5)
        x, y, z = ((middles - pose[:3, 3]) @ pose[:3, :3]).T
        height, width = depth.shape
        ahead = np.flatnonzero((z > NEAREST) & (z < FARTHEST))
        u = np.round(intrinsics[0, 0] * x[ahead] / z[ahead] + intrinsics[0, 2])
        v = np.round(intrinsics[1, 1] * y[ahead] / z[ahead] + intrinsics[1, 2])
        shown = (u >= 0) & (u < width) & (v >= 0) & (v < height)
        ahead, u, v = ahead[shown], u[shown].astype(int), v[shown].astype(int)
        # The nearest of the pixels around, and where one of them is unknown nothing is seen through.
        nearest = cv2.erode(np.nan_to_num(depth, nan=0.0, posinf=0.0, neginf=0.0), np.ones((5, 5), np.uint8))
        gone = ahead[nearest[v, u] > z[ahead] + 2 * CELL + JUMP * z[ahead]]
        self._voxels[layer[gone], row[gone], column[gone]] = False


def _points(
    depth: np.ndarray, intrinsics: np.ndarray, pose: np.ndarray, distortion: Distortion | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return points in the world (Nx3) of a depth image, and which of them lie on level surfaces (N)."""
    step = max(1, depth.shape[1] // POINTS)
    y, x = np.mgrid[step // 2 : depth.shape[0] - 1 : step, step // 2 : depth.shape[1] - 1 : step]
    sparse, right, below = depth[y, x], depth[y, x + 1], depth[y + 1, x]
    with np.errstate(invalid="ignore"):
        known = (sparse > NEAREST) & (sparse < FARTHEST)
        known &= (np.abs(right - sparse) < JUMP * sparse) & (np.abs(below - sparse) < JUMP * sparse)
    known &= ~_floats(depth)[y, x]
    pixels = np.stack([x.ravel(), y.ravel()], axis=1)
    seen = back_project(pixels, np.where(known, sparse, np.nan).ravel(), intrinsics, distortion)
    grid = seen @ pose[:3, :3].T + pose[:3, 3]
    grid = grid.reshape(*sparse.shape, 3)
    along, down = np.full_like(grid, np.nan), np.full_like(grid, np.nan)
    along[:, :-1], down[:-1] = np.diff(grid, axis=1), np.diff(grid, axis=0)
    normal = np.cross(along, down)
    with np.errstate(invalid="ignore", divide="ignore"):
        upright = np.abs(normal[..., 2]) / np.linalg.norm(normal, axis=2)
    points, level = grid[known], np.asarray(upright > LEVEL)[known]
    return points, level & (points[:, 2] < pose[2, 3] - NEAREST)


def _floats(depth: np.ndarray) -> np.ndarray:
    """Return HxW bool: what a depth camera shows between the near and the far side of an edge, where nothing is."""
    reach, share = RAMP
    found = np.zeros(depth.shape, bool)
    for axis in (0, 1):
        before, here, after = (
            np.take(depth, range(first, depth.shape[axis] - 2 * reach + first), axis) for first in (0, reach, 2 * reach)
        )
        with np.errstate(invalid="ignore"):
            ramp = (np.minimum(before, after) < here * (1 - share)) & (np.maximum(before, after) > here * (1 + share))
        inner = np.s_[reach:-reach] if axis == 0 else np.s_[:, reach:-reach]
        found[inner] |= ramp
    return found


def _overlap(steps: int) -> tuple[slice, slice]:
    """Return where to, and where from, a row of voxels is copied whose grid moves by so many."""
    if abs(steps) >= SIDE:
        return slice(0, 0), slice(0, 0)
    if steps >= 0:
        return slice(0, SIDE - steps), slice(steps, SIDE)
    return slice(-steps, SIDE), slice(0, SIDE + steps)
