"""Triangulate a point from several rays by least squares, with its standard deviation."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

# A mark sits at the middle of a mask, which is not the same spot of the object in every view; this is what is
# assumed of that wander, as an angle.
MARK_NOISE = math.radians(1.5)
MIN_PARALLAX = math.radians(6.0)
MAX_RESIDUAL = math.radians(4.0)
MAX_RELATIVE_SIGMA = 0.25
MAX_SPREAD = 0.75  # metres between sightings of different sides of one object
MIN_AGREEING = 2 / 3
MIN_DEPTH_SIGMA = 0.05
TOO_CLOSE = 0.05  # metres from a camera


@dataclass(frozen=True, slots=True)
class Point:
    """A place in the world.

    :param xyz: 3 float64, metres, world frame (z up).
    :param sigma: standard deviation in metres along the least certain direction.
    :param covariance: 3x3, m^2; None = as uncertain along every direction.
    """

    xyz: np.ndarray
    sigma: float
    covariance: np.ndarray | None = None

    def along(self, way: np.ndarray) -> float:
        """Return the standard deviation in metres along a unit vector."""
        return self.sigma if self.covariance is None else float(np.sqrt(way @ self.covariance @ way))


def triangulate(origins: np.ndarray, directions: np.ndarray) -> Point | None:
    """Return the point nearest to all rays, or None where they do not determine one.

    None when the rays are fewer than two, nearly parallel (no parallax), miss each other, or meet behind a camera. A
    minority of rays may be wrong (an object cut off by the picture's edge has its middle elsewhere) and is left out.

    :param origins: Nx3 camera centres, metres.
    :param directions: Nx3 unit vectors, world frame.
    """
    fewest = max(2, len(origins) // 2 + 1)
    while len(origins) >= fewest and np.arccos(np.clip(directions @ directions.T, -1, 1)).max() >= MIN_PARALLAX:
        xyz, across = _nearest_to_rays(origins, directions)
        offset = xyz - origins
        ranges = np.linalg.norm(offset, axis=1)
        if float(ranges.min()) < TOO_CLOSE:
            return None
        residuals = np.arccos(np.clip(np.einsum("ni,ni->n", offset, directions) / ranges, -1, 1))
        if float(residuals.max()) <= MAX_RESIDUAL:
            noise = max(MARK_NOISE, float(np.sqrt(np.mean(residuals**2))))
            information = np.einsum("nij,n->ij", across, 1 / (noise * ranges) ** 2)
            sigma = float(np.sqrt(1 / np.linalg.eigvalsh(information)[0]))
            return Point(xyz, sigma) if sigma <= MAX_RELATIVE_SIGMA * float(ranges[-1]) else None
        keep = np.arange(len(origins)) != int(np.argmax(residuals))
        origins, directions = origins[keep], directions[keep]
    return None


def _nearest_to_rays(origins: np.ndarray, directions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the point of least squared distance to the rays and the Nx3x3 projections across them."""
    across = np.eye(3) - directions[:, :, None] * directions[:, None, :]
    return np.linalg.solve(across.sum(axis=0), np.einsum("nij,nj->i", across, origins)), across


def merge(points: np.ndarray) -> Point | None:
    """Return one place from Nx3 measured points of one object, or None where they contradict each other.

    The median is taken, since a depth edge now and then belongs to the wall behind. An object that moved, or an id that
    jumped to another object, is elsewhere in its newest sighting or in many, and has no one place.

    :param points: oldest sighting first, metres.
    """
    middle = np.median(points, axis=0)
    off = np.linalg.norm(points - middle, axis=1)
    near = off <= MAX_SPREAD
    if not near[-1] or near.mean() < MIN_AGREEING:
        return None
    return Point(middle, max(MIN_DEPTH_SIGMA, float(np.sqrt(np.mean(off[near] ** 2)))))
