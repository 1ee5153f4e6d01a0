"""A place from views without depth, taken from several spots: where their rays meet."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cc_ros.geometry.views import View

WANDER = 0.012  # radians, and share of an object's size in the picture: its middle is not one spot in all views
RELATIVE = 0.12
CUT = 0.5  # of its size in the picture: where the middle of an object may be that goes on beyond the edge
ONE_VIEW = np.radians(8.0)  # views of an object from within this angle go wrong together
MIN_PARALLAX = np.radians(4.0)
POSE_NOISE = 0.02  # metres
SIZE_NOISE = 0.12  # of an object's size
WORST = 3.0  # standard deviations: a ray that misses by more is left out
MIN_AGREEING = 0.6  # of the rays
MAX_RELATIVE_SIGMA = 0.35  # of the distance
ROUNDS = 4


def place_by_parallax(views: Sequence[View]) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray] | None:
    """Return point, covariance, and the two corners of the box of an object, or None where its rays fix no point.

    None also where they contradict each other, as those of what moved do.

    :param views: of one object, from oldest to newest.
    """
    if len(views) < 2:
        return None
    origins = np.array([view.origin for view in views])
    axes = np.array([view.axes for view in views])  # nx3x3
    plane = np.array([[*view.middle, 1.0] for view in views])
    ways = np.einsum("nij,nj->ni", axes, plane)
    ways /= np.linalg.norm(ways, axis=1, keepdims=True)
    parallax = float(np.arccos(np.clip(ways @ ways.T, -1, 1)).max())
    if parallax < MIN_PARALLAX:
        return None
    spread = _spread(views)
    used = np.ones(len(views), bool)
    found = None
    for _ in range(ROUNDS):
        found = _meet(origins[used], axes[used], plane[used], spread[used])
        if found is None:
            return None
        misses = _misses(found[0], origins, axes, plane, spread)
        worse = misses > WORST
        if not (worse & used).any():
            break
        used = ~worse
        if used.mean() < MIN_AGREEING or used.sum() < 2:
            return None
    assert found is not None
    point, information = found
    turned = float(np.arccos(np.clip(ways[used] @ ways[used].T, -1, 1)).max())
    if turned < MIN_PARALLAX:
        return None
    independent = min(1.0, (1 + turned / ONE_VIEW) / used.sum())
    misfit = max(1.0, float(np.mean(misses[used] ** 2)))
    half = _half_size(views, point)
    covariance = np.linalg.inv(information * independent) * misfit
    covariance += np.diag(POSE_NOISE**2 + (SIZE_NOISE * 2 * half) ** 2)
    distance = float(np.linalg.norm(point - origins, axis=1).min())
    if np.linalg.eigvalsh(covariance)[-1] > (MAX_RELATIVE_SIGMA * distance) ** 2:
        return None
    return point, covariance, point - half, point + half


def _spread(views: Sequence[View]) -> np.ndarray:
    """Return nx2: how far the middle of the mask may be from that of the object, right and down a metre ahead."""
    half = np.array([view.half for view in views])
    cut = np.array([(view.cut[0] or view.cut[1], view.cut[2] or view.cut[3]) for view in views])
    return np.hypot(WANDER, np.where(cut, 2 * CUT, 2 * RELATIVE) * half)


def _meet(
    origins: np.ndarray, axes: np.ndarray, plane: np.ndarray, spread: np.ndarray
) -> tuple[np.ndarray, np.ndarray] | None:
    """Return where rays meet and the 3x3 information, 1/m^2, of that; None where it is before no camera.

    Each ray gives two equations: that of the point's offset along right - middle * ahead is zero, and likewise down.
    """
    ranges = np.ones(len(origins))
    point = np.zeros(3)
    for _ in range(3):  # what a miss weighs hangs on the distance
        normals = axes[:, :, :2] - axes[:, :, 2:] * plane[:, None, :2]  # nx3x2
        weights = 1 / (spread * ranges[:, None]) ** 2
        information = np.einsum("nik,njk,nk->ij", normals, normals, weights)
        right = np.einsum("nik,njk,nk,nj->i", normals, normals, weights, origins)
        if np.linalg.cond(information) > 1e9:
            return None
        point = np.linalg.solve(information, right)
        ranges = np.einsum("ni,ni->n", point - origins, axes[:, :, 2])
        if (ranges > 0.05).mean() < MIN_AGREEING:
            return None
        ranges = np.maximum(ranges, 0.05)
    return point, information


def _misses(
    point: np.ndarray, origins: np.ndarray, axes: np.ndarray, plane: np.ndarray, spread: np.ndarray
) -> np.ndarray:
    """Return by how many standard deviations each ray misses the point."""
    seen = np.einsum("nij,ni->nj", axes, point - origins)
    off = seen[:, :2] / np.maximum(seen[:, 2:], 0.05) - plane[:, :2]
    return np.where(seen[:, 2] > 0.05, np.sqrt(((off / spread) ** 2).mean(axis=1)), np.inf)


def _half_size(views: Sequence[View], point: np.ndarray) -> np.ndarray:
    """Return half of the edges of an object's box along x, y and z, metres; as deep as it is wide."""
    whole = [view for view in views if not any(view.cut)] or list(views)
    sizes = []
    for view in whole:
        right, down = view.half * max(0.05, float((point - view.origin) @ view.axes[:, 2]))
        sizes.append((right, right, abs(view.axes[2, 1]) * down + abs(view.axes[2, 0]) * right))
    return np.median(sizes, axis=0)
