"""Regions of an image, their neighbours, and merging them bottom-up.

Everything about a region or a border is kept as a sum over pixels, so that merged regions need no second look at the
image. The columns are named by the constants below.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

# Columns of RegionGraph.regions: sums over the region's pixels.
COUNT, L, A, B, L2, A2, B2, GRADIENT, X, Y, LEFT, RIGHT, TOP, BOTTOM, RED, GREEN, RED2, GREEN2 = range(18)
# Columns of RegionGraph.borders: sums over the pairs of pixels on both sides of the border.
LENGTH, STEP_L, STEP_AB, STEP_CHROMATICITY, STEEP, SOFT_L, SOFT_AB, HARD_L, HARD_AB = range(9)


@dataclass(slots=True)
class RegionGraph:
    """Regions and the borders between them.

    :param labels: HxW int32, the region of each pixel, 0..n-1.
    :param regions: n x 18 float64, sums over the pixels of each region.
    :param votes: n x t float64, pixels of each region that each of t earlier objects claims.
    :param first: e int64, one region of each border.
    :param second: e int64, the other.
    :param borders: e x 9 float64, sums along each border.
    """

    labels: np.ndarray
    regions: np.ndarray
    votes: np.ndarray
    first: np.ndarray
    second: np.ndarray
    borders: np.ndarray

    def perimeters(self) -> np.ndarray:
        """Return the length of each region's border, the image's own border included (n float64, pixels)."""
        ends, lengths = np.concatenate([self.first, self.second]), np.tile(self.borders[:, LENGTH], 2)
        return np.bincount(ends, lengths, len(self.regions)) + self.regions[:, LEFT : BOTTOM + 1].sum(axis=1)


def region_graph(image: np.ndarray, labels: np.ndarray, gradient: np.ndarray) -> RegionGraph:
    """Measure regions and borders.

    :param image: HxWx3 uint8 BGR.
    :param labels: HxW int32, 0..n-1 without gaps.
    :param gradient: HxW float32.
    :return: the graph; it has no votes yet.
    """
    lab = cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_BGR2Lab)
    lifted = image.astype(np.float32) + 4  # keeps the chromaticity of black quiet
    chromaticity = lifted[..., :0:-1] * (100 / lifted.sum(axis=2, keepdims=True))
    count = int(labels.max()) + 1
    return RegionGraph(
        labels,
        _region_sums(lab, chromaticity, labels, gradient, count),
        np.zeros((count, 0)),
        *_border_sums(lab, chromaticity, labels, gradient, count),
    )


def _region_sums(
    lab: np.ndarray, chromaticity: np.ndarray, labels: np.ndarray, gradient: np.ndarray, count: int
) -> np.ndarray:
    height, width = labels.shape
    flat = labels.ravel()
    planes = [*cv2.split(lab), *cv2.split(lab * lab), gradient]
    planes += [
        np.broadcast_to(np.arange(width), labels.shape),
        np.broadcast_to(np.arange(height)[:, None], labels.shape),
    ]
    sides = [np.bincount(side, minlength=count) for side in (labels[:, 0], labels[:, -1], labels[0], labels[-1])]
    colours = [*cv2.split(chromaticity), *cv2.split(chromaticity * chromaticity)]
    sums = [np.bincount(flat, np.ravel(plane), count) for plane in planes]
    sums_colour = [np.bincount(flat, np.ravel(plane), count) for plane in colours]
    return np.stack([np.bincount(flat, minlength=count), *sums, *sides, *sums_colour], axis=1).astype(np.float64)


def _border_sums(
    lab: np.ndarray, chromaticity: np.ndarray, labels: np.ndarray, gradient: np.ndarray, count: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    height, width = labels.shape
    five = np.dstack([lab, chromaticity])
    keys, sums = [], []
    for dy, dx in ((0, 1), (1, 0)):
        one, other = labels[: height - dy, : width - dx], labels[dy:, dx:]
        y, x = np.nonzero(one != other)
        a, b = one[y, x].astype(np.int64), other[y, x].astype(np.int64)
        # One pixel further on each side: the border itself is blurred.
        before = five[np.maximum(y - dy, 0), np.maximum(x - dx, 0)]
        after = five[np.minimum(y + 2 * dy, height - 1), np.minimum(x + 2 * dx, width - 1)]
        step = np.abs(before - after)
        step_l, step_ab = step[:, 0], np.hypot(step[:, 1], step[:, 2])
        columns = [np.ones_like(step_l), step_l, step_ab, np.hypot(step[:, 3], step[:, 4]), gradient[y, x]]
        columns += [step_l / (step_l + 5), step_ab / (step_ab + 5), step_l > 8, step_ab > 8]
        keys.append(np.minimum(a, b) * count + np.maximum(a, b))
        sums.append(np.stack(columns, axis=1))
    key, borders = _sum_by_key(np.concatenate(keys), np.concatenate(sums).astype(np.float64))
    return key // count, key % count, borders


def _sum_by_key(key: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the distinct keys in order and, for each, the sum of its rows of ``values``."""
    order = np.argsort(key, kind="stable")
    key = key[order]
    start = np.flatnonzero(np.concatenate([[True], key[1:] != key[:-1]])) if len(key) else np.zeros(0, np.int64)
    return key[start], np.add.reduceat(values[order], start, axis=0) if len(key) else values


def merge(graph: RegionGraph, affinity: Callable[[RegionGraph], np.ndarray], threshold: float) -> RegionGraph:
    """Merge neighbours that choose each other, the surest first, until no affinity is above the threshold.

    :param affinity: gives for each border of a graph how much its two sides belong together (e float64).
    """
    while len(graph.first):
        value = affinity(graph)
        chosen = _mutual(graph, value) & (value > threshold)
        if not chosen.any():
            break
        if chosen.sum() > 8:  # the least sure wait for what the others find
            chosen &= value >= np.quantile(value[chosen], 0.3)
        graph = _contracted(graph, chosen)
    return graph


def _mutual(graph: RegionGraph, value: np.ndarray) -> np.ndarray:
    """Return which borders are the best one of both their regions (e bool)."""
    order = np.argsort(value, kind="stable")
    best = np.full(len(graph.regions), -np.inf)
    edge = np.full(len(graph.regions), -1)
    for end in (graph.first[order], graph.second[order]):
        last = np.full(len(graph.regions), -1)
        last[end] = order  # of equal ends the last, so the highest value, stays
        better = (last >= 0) & (value[last] > best)
        best[better], edge[better] = value[last[better]], last[better]
    index = np.arange(len(value))
    return (edge[graph.first] == index) & (edge[graph.second] == index)


def _contracted(graph: RegionGraph, chosen: np.ndarray) -> RegionGraph:
    parent = np.arange(len(graph.regions))
    parent[graph.second[chosen]] = graph.first[chosen]
    _, new = np.unique(parent, return_inverse=True)
    a, b = new[graph.first], new[graph.second]
    keep = a != b
    count = int(new.max()) + 1
    key, borders = _sum_by_key(np.minimum(a, b)[keep] * count + np.maximum(a, b)[keep], graph.borders[keep])
    sums = _sum_by_key(new, np.hstack([graph.regions, graph.votes]))[1]
    columns = graph.regions.shape[1]
    labels = new.astype(np.int32)[graph.labels]
    return RegionGraph(labels, sums[:, :columns], sums[:, columns:], key // count, key % count, borders)
