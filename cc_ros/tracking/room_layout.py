"""What of a depth image is floor, ceiling and walls, and which things stand apart from each other before them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from cc_ros.tracking.depth import DepthView

UNKNOWN, FLOOR, CEILING, WALLS = 0, 1, 2, 3
MAX_WALLS = 4
THINGS = WALLS + MAX_WALLS  # labels from here on are things

_STRIDE = 2  # pixels
_NEAR, _CLEAR = 0.02, 0.05  # metres from a plane, within which a pixel is on it and beyond which it is not
_SPREAD = 3.0  # how many standard deviations of the sensor's noise these distances are wider
_PLANE = 0.02  # share of the image that a plane needs
_BEHIND = 0.05  # share of the image beyond a plane from which on it does not bound the room
_TALL = 1.6  # metres above the floor that a wall reaches, unless the image cuts it
_HIGH = 2.2  # metres above the floor; what is higher hangs over several things, as an unseen part of the ceiling does
_CELL = 0.05  # metres; cells of the floor plan
_EVEN = 0.01  # share of the inverse depth that a surface may bend by from pixel to pixel
_WIDE = 3.5  # metres; what is wider is several things that touch
_TURNS, _OFFSETS, _OFFSET = 72, 120, 0.1  # bins of a wall's direction and distance; metres a bin


@dataclass(frozen=True, slots=True)
class _Surfels:
    """Points (n x 3 float32, camera frame) with their normals towards the camera."""

    points: np.ndarray
    normals: np.ndarray


def room_layout(view: DepthView) -> np.ndarray:
    """Return HxW int32: UNKNOWN, FLOOR, CEILING, walls from WALLS on and things from THINGS on.

    The floor is the lowest level plane, a wall an upright one that nothing is behind; what is left stands apart where
    its pixels stand apart on the floor plan: parts of a table or chair are above each other, two chairs are not.
    """
    surfels = _surfels(view)
    up = _up(surfels)
    points, known = view.at(_STRIDE)
    height = points @ up
    reach = _SPREAD * view.noise * points[..., 2] ** 2
    labels = np.where(known, -1, UNKNOWN).astype(np.int32)
    height -= _levels(surfels, up, known, height, reach, labels)
    _walls(surfels, up, points, known, height, reach, labels)
    labels[(labels == -1) & (height > _HIGH)] = UNKNOWN
    _things(points, up, view.noise, labels)
    return cv2.resize(labels, view.inverse.shape[::-1], interpolation=cv2.INTER_NEAREST_EXACT)


def _surfels(view: DepthView) -> _Surfels:
    """Return surfels of 4 x 4 pixels that lie on one surface.

    With w = 1 / z, a plane n P = d is w = (n_x (x - c_x) / f_x + n_y (y - c_y) / f_y + n_z) / d.
    """
    size = (view.inverse.shape[1] // 4, view.inverse.shape[0] // 4)
    inside = view.inverse[: 4 * size[1], : 4 * size[0]]
    w = cv2.resize(inside, size, interpolation=cv2.INTER_AREA)
    known = cv2.erode((inside > 0).astype(np.uint8), np.ones((3, 3), np.uint8))
    whole = cv2.resize(known.astype(np.float32), size, interpolation=cv2.INTER_AREA) == 1
    gx, gy = (cv2.Sobel(w, cv2.CV_32F, dx, 1 - dx, scale=1 / 32) for dx in (1, 0))
    bend = np.abs(cv2.Laplacian(w, cv2.CV_32F))
    even = cv2.erode(whole.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool) & (bend < 0.03 * w)
    y, x = np.nonzero(even)
    k = view.intrinsics.astype(np.float32)
    px, py, w, gx, gy = 4 * x + 1.5 - k[0, 2], 4 * y + 1.5 - k[1, 2], w[even], gx[even], gy[even]
    normals = -np.stack([gx * k[0, 0], gy * k[1, 1], w - gx * px - gy * py], axis=1)
    normals /= np.linalg.norm(normals, axis=1)[:, None]
    points = np.stack([px / k[0, 0], py / k[1, 1], np.ones_like(px)], axis=1) / w[:, None]
    return _Surfels(points.astype(np.float32), normals.astype(np.float32))


def _up(surfels: _Surfels) -> np.ndarray:
    """Return the unit vector upwards in the camera frame: what level surfaces face, if the camera is held upright.

    (A pose would say so as well, but only as well as the camera's mount on the robot is known.)
    """
    guess = up = np.array([0, -1, 0], np.float32)
    for angle in (40, 20, 10, 10):
        near = surfels.normals[surfels.normals @ up > math.cos(math.radians(angle))]
        if len(near) < _PLANE * len(surfels.normals):
            return guess
        up = near.mean(axis=0)
        up /= np.linalg.norm(up)
    return up


def _levels(
    surfels: _Surfels, up: np.ndarray, known: np.ndarray, height: np.ndarray, reach: np.ndarray, labels: np.ndarray
) -> float:
    """Label floor and ceiling; return the height of the floor, or of what is lowest, above the camera."""
    facing = surfels.normals @ up
    heights = surfels.points @ up
    lowest = float(np.quantile(height[known], 0.01))
    level = heights[facing > 0.9]
    floor = _lowest_peak(level, _PLANE * len(heights))
    if floor is None or (height[known] < floor - 0.15).mean() > _PLANE:
        floor = lowest
    else:
        _label(labels, height - floor, reach, FLOOR)
    top = heights[facing < -0.9]
    if len(top) > 0.5 * _PLANE * len(heights) and (ceiling := float(np.median(top))) > floor + _TALL:
        _label(labels, ceiling - height, reach, CEILING)
    return floor


def _lowest_peak(heights: np.ndarray, least: float) -> float | None:
    """Return the lowest height at which at least so many of ``heights`` lie."""
    if len(heights) < max(least, 1):
        return None
    bins = np.floor((heights - heights.min()) / 0.05).astype(np.int64)
    count = np.bincount(bins)
    two = count + np.append(count[1:], 0)
    enough = np.flatnonzero(two >= least)
    if not len(enough):
        return None
    best = enough[0] + int(two[enough[0] : enough[0] + 3].argmax())
    return float(np.median(heights[(bins == best) | (bins == best + 1)]))


def _label(labels: np.ndarray, above: np.ndarray, reach: np.ndarray, label: int) -> None:
    """Label what is on a plane or behind it; what is neither clearly on it nor clearly off it becomes unknown."""
    free = labels == -1
    labels[free & (above < _CLEAR + reach)] = UNKNOWN
    labels[free & (above < _NEAR + reach)] = label


def _walls(
    surfels: _Surfels,
    up: np.ndarray,
    points: np.ndarray,
    known: np.ndarray,
    height: np.ndarray,
    reach: np.ndarray,
    labels: np.ndarray,
) -> None:
    """Label the walls: upright planes, the largest first, by votes for their direction and distance."""
    upright = np.abs(surfels.normals @ up) < 0.25
    normals, places = surfels.normals[upright], surfels.points[upright]
    along, across = _plan_axes(up)
    turn = np.arctan2(normals @ across, normals @ along)
    offset = -np.einsum("nk,nk->n", normals, places)
    turns = ((turn + np.pi) / (2 * np.pi) * _TURNS).astype(np.int64) % _TURNS
    offsets = np.clip(offset / _OFFSET, 0, _OFFSETS - 1).astype(np.int64)
    left, total = np.ones(len(turn), bool), known.sum()
    for wall in range(WALLS, WALLS + MAX_WALLS):
        votes = np.bincount((turns * _OFFSETS + offsets)[left], minlength=_TURNS * _OFFSETS).astype(np.float32)
        padded = cv2.copyMakeBorder(votes.reshape(_TURNS, _OFFSETS), 1, 1, 0, 0, cv2.BORDER_WRAP)
        smooth = cv2.blur(padded, (3, 3), borderType=cv2.BORDER_CONSTANT)[1:-1] * 9
        best = np.unravel_index(int(smooth.argmax()), smooth.shape)
        if smooth[best] < _PLANE * len(surfels.points):
            return
        near = left & (np.abs((turns - best[0] + _TURNS // 2) % _TURNS - _TURNS // 2) <= 1)
        near &= np.abs(offsets - best[1]) <= 1
        normal = normals[near].mean(axis=0)
        normal -= (normal @ up) * up
        normal /= np.linalg.norm(normal)
        distance = float(np.median(-(places[near] @ normal)))
        before = points @ normal + distance
        left &= np.abs(places @ normal + distance) > 2 * _OFFSET
        on = known & (np.abs(before) < _NEAR + reach)
        behind = known & (before < -(2 * _CLEAR + reach))
        high = on[0].any() or (on.any() and float(np.quantile(height[on], 0.98)) > _TALL)
        if high and behind.sum() < _BEHIND * total:
            _label(labels, before, reach, wall)


def _plan_axes(up: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return two level unit vectors, at right angles."""
    along = np.cross(up, np.eye(3, dtype=np.float32)[int(np.abs(up).argmin())])
    along /= np.linalg.norm(along)
    return along, np.cross(up, along)


def _things(points: np.ndarray, up: np.ndarray, noise: float, labels: np.ndarray) -> None:
    """Number what stands apart on the floor plan."""
    things = labels == -1
    if not things.any():
        return
    plan = points @ np.stack(_plan_axes(up), axis=1)
    plan -= plan[things].min(axis=0)
    between = [_filled(plan, points[..., 2], things, noise)]
    between += [_filled(plan.swapaxes(0, 1), points[..., 2].T, things.T, noise)]
    cell = (plan[things] / _CELL).astype(np.int64)
    grid = np.zeros(cell.max(axis=0) + 1, np.uint8)
    for x, y in (cell.T, *((part / _CELL).astype(np.int64).T for part in between)):
        grid[x, y] = 1
    _, numbers, stats, _ = cv2.connectedComponentsWithStats(grid, connectivity=8)
    wide = stats[:, [cv2.CC_STAT_WIDTH, cv2.CC_STAT_HEIGHT]].max(axis=1) * _CELL > _WIDE
    number = numbers[tuple(cell.T)]
    labels[things] = np.where(wide[number], UNKNOWN, number + THINGS - 1)


def _filled(plan: np.ndarray, depth: np.ndarray, things: np.ndarray, noise: float) -> np.ndarray:
    """Return points (n x 2) between pixels one above the other that are cells apart: a surface seen at a slant."""
    way = plan[1:] - plan[:-1]
    far = np.abs(way).max(axis=2)
    y, x = np.nonzero(things[1:] & things[:-1] & (far > _CELL) & (far < 6 * _CELL))
    inside = (y > 0) & (y < len(depth) - 2)
    y, x = y[inside], x[inside]
    with np.errstate(divide="ignore"):
        w = 1 / np.stack([depth[y + k, x] for k in (-1, 0, 1, 2)])
    bend = np.minimum(np.abs(2 * w[1] - w[0] - w[2]), np.abs(2 * w[2] - w[1] - w[3]))
    even = bend < _EVEN * w[1] + _SPREAD * noise
    y, x = y[even], x[even]
    shares = np.arange(1, 6, dtype=np.float32) / 6
    return (plan[y, x][:, None] + shares[:, None] * way[y, x][:, None]).reshape(-1, 2)
