"""What depth shows in the robot's way, remembered while it drives past or stands before it."""

from __future__ import annotations

import math

import numpy as np

from cc_ros.frame import Distortion
from cc_ros.geometry.camera import back_project
from cc_ros.motion.control import Planar
from cc_ros.motion.settings import ObstacleSettings

CELL = 0.05  # metres of a side
LEAST_HITS = 3  # looked-at pixels in a cell that make an obstacle: fewer are noise at edges
WIDTH = 160  # pixels of a row that are looked at, at least
FAR = 4.0  # metres: what is further is left for later, and forgotten
SLOPE = 0.02  # metres of floor tolerance for each metre of distance: a camera is never mounted quite as told
BESIDE = 0.05  # metres that the way is wider than the robot, to each side
AHEAD = 2.0  # metres of its way that must be in view
BEHIND = 0.15  # metres that depth must be behind a cell to say that it is free now
BORDER = 0.05  # share of the picture at its edges where nothing is said to be free


class Obstacles:
    """Cells of the floor on which something stands, in the frame of the odometry. Not thread-safe.

    What has left the view stays: a low box can be seen from afar and not from close by. It is free again once depth
    sees what is behind it, or when it is far.
    """

    def __init__(self, settings: ObstacleSettings) -> None:
        self._settings = settings
        self._points = np.empty((0, 3))  # centres of the cells, and how high above the floor it was seen
        self.known = 0.0  # share of the way in view that depth knew, in the newest image

    def see(
        self,
        depth: np.ndarray,
        intrinsics: np.ndarray,
        mounting: np.ndarray,
        pose: Planar,
        distortion: Distortion | None = None,
    ) -> None:
        """Take in a depth image.

        :param depth: HxW float32, metres, NaN unknown.
        :param intrinsics: 3x3, in pixels of the depth image.
        :param mounting: 4x4 pose of the optical frame in base_link.
        :param pose: of base_link in the odometry's frame at that instant.
        :param distortion: of the lens; with one, what was seen once stays, since nothing is projected back into it.
        :raises GeometryError: the intrinsics are unusable.
        """
        step = max(1, depth.shape[1] // WIDTH)
        rows, columns = np.mgrid[step // 2 : depth.shape[0] : step, step // 2 : depth.shape[1] : step]
        pixels = np.stack([columns.ravel(), rows.ravel()], axis=1)
        depths = depth[rows.ravel(), columns.ravel()].astype(np.float64)
        known = np.isfinite(depths) & (depths > 0)
        rays = back_project(pixels, np.ones(len(pixels)), intrinsics, distortion) @ mounting[:3, :3].T
        self.known = self._share_known(rays, mounting[:3, 3], known)
        points = rays[known] * depths[known, None] + mounting[:3, 3]
        if distortion is None:
            self._forget(depth, intrinsics, mounting, pose)
        self._remember(points, pose)

    def room(self, pose: Planar) -> float:
        """Return the metres that the robot can go straight ahead until it is ``clearance`` before something."""
        x, y = self._in_base(pose)[:, :2].T
        radius = self._settings.robot_radius
        way = (x > 0) & (np.abs(y) <= radius + BESIDE)
        if not way.any():
            return math.inf
        edge = np.sqrt(np.maximum(radius**2 - y[way] ** 2, 0.0))
        return float((x[way] - edge).min() - CELL / 2 - self._settings.clearance)

    def _share_known(self, rays: np.ndarray, eye: np.ndarray, known: np.ndarray) -> float:
        """Return of the rays that pass through the way ahead the share whose depth is known; 0 where there are none."""
        s = self._settings
        low = np.array([s.robot_radius, -s.robot_radius - BESIDE, s.floor_tolerance])
        high = np.array([s.robot_radius + AHEAD, s.robot_radius + BESIDE, s.robot_height])
        with np.errstate(divide="ignore", invalid="ignore"):
            first, second = (low - eye) / rays, (high - eye) / rays
        enter = np.nanmax(np.minimum(first, second), axis=1)
        leave = np.nanmin(np.maximum(first, second), axis=1)
        through = leave > np.maximum(enter, 0.0)
        return float(known[through].mean()) if through.any() else 0.0

    def _remember(self, points: np.ndarray, pose: Planar) -> None:
        s = self._settings
        away = np.hypot(points[:, 0], points[:, 1])
        height = points[:, 2]
        standing = (height > s.floor_tolerance + SLOPE * away) & (height < s.robot_height)
        standing &= (away > s.robot_radius) & (away < FAR)  # within the circle it sees itself
        cosine, sine = math.cos(pose.yaw), math.sin(pose.yaw)
        turn = np.array([[cosine, sine], [-sine, cosine]])
        places = points[standing, :2] @ turn + (pose.x, pose.y)
        cells, which, hits = np.unique(np.floor(places / CELL), axis=0, return_inverse=True, return_counts=True)
        heights = np.bincount(which.ravel(), height[standing], len(cells)) / np.maximum(hits, 1)
        seen = np.column_stack([(cells + 0.5) * CELL, heights])[hits >= LEAST_HITS]
        near = np.hypot(self._points[:, 0] - pose.x, self._points[:, 1] - pose.y) < FAR
        both = np.vstack([seen, self._points[near]])
        _, first = np.unique(np.floor(both[:, :2] / CELL), axis=0, return_index=True)
        self._points = both[first]

    def _forget(self, depth: np.ndarray, intrinsics: np.ndarray, mounting: np.ndarray, pose: Planar) -> None:
        """Drop the cells behind which depth sees something else."""
        seen = (self._in_base(pose) - mounting[:3, 3]) @ mounting[:3, :3]
        ahead = seen[:, 2] > 0.05
        across = seen[ahead] @ intrinsics.T
        column, row = (across[:, :2] / across[:, 2:]).T
        height, width = depth.shape
        inside = (np.abs(column / width - 0.5) < 0.5 - BORDER) & (np.abs(row / height - 0.5) < 0.5 - BORDER)
        index = np.flatnonzero(ahead)[inside]
        there = depth[row[inside].astype(int), column[inside].astype(int)]
        free = np.isfinite(there) & (there > seen[index, 2] + BEHIND)
        self._points = np.delete(self._points, index[free], axis=0)

    def _in_base(self, pose: Planar) -> np.ndarray:
        """Return the remembered points in base_link, Nx3."""
        cosine, sine = math.cos(pose.yaw), math.sin(pose.yaw)
        turn = np.array([[cosine, -sine], [sine, cosine]])
        return np.column_stack([(self._points[:, :2] - (pose.x, pose.y)) @ turn, self._points[:, 2]])
