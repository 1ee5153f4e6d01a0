"""A place from views with depth: the box around what was seen, and how well its middle is known."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cc_ros.geometry.views import View

POSE_NOISE = 0.03  # metres, of camera poses
OPEN = 0.5  # of an object's size: where it goes on beyond the picture, or behind something, in every view
USUAL = 0.8  # metres: the size of objects of which only a part is seen, at least
DISAGREE = 0.45  # of how much further out the edge is than most views have it
BEHIND = 0.05  # of an object's width, seen from one side alone: its back is not seen
WIDEST = 1.0  # metres: wider objects are no deeper for that
OUTER = 0.1  # of the views may lie further out than the box: masks that leaked
NEWEST = 3  # views that have to contradict the older ones
APART = 0.15  # metres between two views of an object beyond its noise: it moved
ONE_SIDE = 0.5  # cosine between two views of one side of an object


def place_by_depth(views: Sequence[View]) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray] | None:
    """Return point, covariance, and the two corners of the box of an object; see :class:`cc_ros.place.Place`.

    :param views: with depth, at least one.
    """
    lows, highs = np.array([view.low for view in views]), np.array([view.high for view in views])
    outer = int(OUTER * len(views))
    low = np.partition(lows, outer, axis=0)[outer]
    high = np.partition(highs, -1 - outer, axis=0)[-1 - outer]
    low, high = np.minimum(low, high), np.maximum(low, high)
    size = high - low
    middle = (low + high) / 2
    noise = np.median([view.noise for view in views])
    edge = OPEN * _openness(views) * max(float(size.max()), USUAL)
    further = DISAGREE * np.array([np.median(lows, axis=0) - low, high - np.median(highs, axis=0)])
    variance = POSE_NOISE**2 + noise**2 + (edge**2 + further**2).sum(axis=0) / 4
    covariance = np.diag(variance) + _unseen_back(views, middle, size)
    return middle, covariance, low, high


def _openness(views: Sequence[View]) -> np.ndarray:
    """Return 2x3: how far the low and the high side of each axis are cut off or hidden in every view, 0..1."""
    least = np.ones((2, 3))
    for view in views:
        outward = np.array([-view.axes[:, 0], view.axes[:, 0], -view.axes[:, 1], view.axes[:, 1]])
        cut = outward * np.maximum(view.cut, view.hidden)[:, None]
        least[0] = np.minimum(least[0], np.maximum(-cut, 0).max(axis=0))
        least[1] = np.minimum(least[1], np.maximum(cut, 0).max(axis=0))
    return least


def _unseen_back(views: Sequence[View], middle: np.ndarray, size: np.ndarray) -> np.ndarray:
    """Return the 3x3 covariance, m^2, of what lies behind the side from which an object was seen."""
    ways = np.array([middle - view.origin for view in views])[:, :2]
    ways /= np.maximum(np.linalg.norm(ways, axis=1, keepdims=True), 1e-9)
    mean = ways.mean(axis=0)
    onesided = float(np.linalg.norm(mean))  # 1 = always from one side
    if onesided < 1e-6:
        return np.zeros((3, 3))
    way = np.array([*(mean / onesided), 0.0])
    across = min(float(abs(way[1]) * size[0] + abs(way[0]) * size[1]), WIDEST)
    return (BEHIND * across * onesided) ** 2 * np.outer(way, way)


def stale(views: Sequence[View]) -> int:
    """Return how many of the oldest views show an object somewhere else than its newest ones do: it moved.

    :param views: oldest first.
    """
    deep = [i for i, view in enumerate(views) if view.low is not None]
    old, new = deep[:-NEWEST], deep[-NEWEST:]
    if not old:
        return 0
    apart = [i for i in old if all(_apart(views[i], views[k]) for k in new)]
    return apart[-1] + 1 if apart else 0


def _apart(one: View, other: View) -> bool:
    """Whether two views of about one side of an object show it at two places."""
    assert one.low is not None and one.high is not None and other.low is not None and other.high is not None
    if float(one.axes[:, 2] @ other.axes[:, 2]) < ONE_SIDE:
        return False
    gap = np.maximum(one.low - other.high, other.low - one.high)
    return bool(gap.max() > APART + 2 * max(one.noise, other.noise)) and not (any(one.cut) and any(other.cut))
