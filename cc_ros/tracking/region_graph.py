"""Regions of an image, their neighbours, and merging them bottom-up.

Everything about a region or a border is kept as a sum over pixels, so that merged regions need no second look at the
image. The columns are named by the constants below.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import cv2
import numpy as np
from scipy.sparse import csc_matrix

# Columns of RegionGraph.regions: sums over the region's pixels.
COUNT, L, A, B, L2, A2, B2, GRADIENT, X, Y, LEFT, RIGHT, TOP, BOTTOM, RED, GREEN, RED2, GREEN2 = range(18)
# Columns of RegionGraph.borders: sums over the pairs of pixels on both sides of the border.
LENGTH, STEP_L, STEP_AB, STEP_CHROMATICITY, STEEP, SOFT_L, SOFT_AB, HARD_L, HARD_AB = range(9)

_WAIT = 0.3  # share of the possible merges, the least sure, that wait for what the others find


@dataclass(slots=True)
class RegionGraph:
    """Regions and the borders between them.

    :param labels: HxW int32, the region of each pixel, 0..n-1.
    :param regions: n x 18 float64, sums over the pixels of each region.
    :param votes: n x t float64, pixels of each region that each of t earlier objects claims.
    :param perimeter: n float64, length of each region's border, the image's own border included, pixels.
    :param first: e int64, one region of each border.
    :param second: e int64, the other.
    :param borders: e x 9 float64, sums along each border.
    """

    labels: np.ndarray
    regions: np.ndarray
    votes: np.ndarray
    perimeter: np.ndarray
    first: np.ndarray
    second: np.ndarray
    borders: np.ndarray


def region_graph(image: np.ndarray, labels: np.ndarray, gradient: np.ndarray) -> RegionGraph:
    """Measure regions and borders.

    :param image: HxWx3 uint8 BGR.
    :param labels: HxW int32, 0..n-1 without gaps.
    :param gradient: HxW float32.
    :return: the graph; it has no votes yet.
    """
    colour = np.empty((*labels.shape, 5), np.float32)  # Lab and chromaticity
    colour[..., :3] = cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_BGR2Lab)
    lifted = image.astype(np.float32) + 4  # keeps the chromaticity of black quiet
    light = 100 / cv2.transform(lifted, np.ones((1, 3), np.float32))
    np.multiply(lifted[..., 2], light, out=colour[..., 3])
    np.multiply(lifted[..., 1], light, out=colour[..., 4])
    count = int(labels.max()) + 1
    regions = _region_sums(colour, labels, gradient, count)
    first, second, borders = _border_sums(colour, labels, gradient, count)
    perimeter = regions[:, LEFT : BOTTOM + 1].sum(axis=1)
    for ends in (first, second):
        perimeter += np.bincount(ends, borders[:, LENGTH], count)
    return RegionGraph(labels, regions, np.zeros((count, 0)), perimeter, first, second, borders)


def _region_sums(colour: np.ndarray, labels: np.ndarray, gradient: np.ndarray, count: int) -> np.ndarray:
    height, width = labels.shape
    flat, five = labels.ravel(), colour.reshape(-1, 5)
    picks = csc_matrix((np.ones(flat.size, np.float32), flat, np.arange(flat.size + 1)), (count, flat.size))
    sums, squares = (picks @ plane.astype(np.float64) for plane in (five, five * five))
    x, y = np.tile(np.arange(width), height), np.repeat(np.arange(height), width)
    others = [np.bincount(flat, weights, count) for weights in (None, gradient.ravel(), x, y)]
    sides = [np.bincount(side, minlength=count) for side in (labels[:, 0], labels[:, -1], labels[0], labels[-1])]
    lab, chromaticity = np.s_[:, :3], np.s_[:, 3:]
    parts = [others[:1], sums[lab].T, squares[lab].T, others[1:], sides, sums[chromaticity].T, squares[chromaticity].T]
    return np.ascontiguousarray(np.concatenate(parts).T)


def _border_sums(
    colour: np.ndarray, labels: np.ndarray, gradient: np.ndarray, count: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    height, width = labels.shape
    keys, steps, steep = [], [], []
    for dy, dx in ((0, 1), (1, 0)):
        one, other = labels[: height - dy, : width - dx], labels[dy:, dx:]
        y, x = np.divmod(np.flatnonzero(one != other), width - dx)
        a, b = one[y, x].astype(np.int64), other[y, x].astype(np.int64)
        # One pixel further on each side: the border itself is blurred.
        before = colour[np.maximum(y - dy, 0), np.maximum(x - dx, 0)]
        after = colour[np.minimum(y + 2 * dy, height - 1), np.minimum(x + 2 * dx, width - 1)]
        keys.append(np.minimum(a, b) * count + np.maximum(a, b))
        steps.append(np.abs(before - after))
        steep.append(gradient[y, x])
    step = np.concatenate(steps)
    step_l, step_ab = step[:, 0], np.hypot(step[:, 1], step[:, 2])
    columns = [np.ones_like(step_l), step_l, step_ab, np.hypot(step[:, 3], step[:, 4]), np.concatenate(steep)]
    columns += [step_l / (step_l + 5), step_ab / (step_ab + 5), step_l > 8, step_ab > 8]
    key, borders = _sum_by_key(np.concatenate(keys), np.stack(columns, axis=1))
    return key // count, key % count, borders


def _sum_by_key(key: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the distinct keys in order and, for each, the sum of its rows of ``values`` (float64)."""
    order = np.argsort(key, kind="stable")
    key = key[order]
    start = np.flatnonzero(np.concatenate([[True], key[1:] != key[:-1]])) if len(key) else np.zeros(0, np.int64)
    return key[start], np.add.reduceat(values[order], start, axis=0, dtype=np.float64) if len(key) else values


def merge(graph: RegionGraph, affinity: Callable[[RegionGraph], np.ndarray], threshold: float) -> RegionGraph:
    """Merge neighbours that choose each other, the surest first, until no affinity is above the threshold.

    :param affinity: gives for each border of a graph how much its two sides belong together (e float64). It is asked
        again only for borders of regions that have grown, and must depend on nothing else.
    """
    labels, region = graph.labels, np.arange(len(graph.regions))
    value = affinity(graph)
    while len(chosen := _mutual(graph, value, threshold)):
        if len(chosen) > 8:  # the least sure wait for what the others find
            chosen = chosen[math.ceil(_WAIT * (len(chosen) - 1)) :]
        graph, value, number = _contracted(graph, value, chosen, affinity)
        region = number[region]
    return replace(graph, labels=region.astype(np.int32)[labels])


def _mutual(graph: RegionGraph, value: np.ndarray, threshold: float) -> np.ndarray:
    """Return the borders above the threshold that are the best one of both their regions, the least sure first."""
    able = np.flatnonzero(value > threshold)
    order = able[np.argsort(value[able], kind="stable")]
    best = np.full(len(graph.regions), -1)
    # Rank in the order, so that of equal borders of a region just one is best.
    for end in (graph.first[order], graph.second[order]):
        last = np.full(len(graph.regions), -1)
        last[end] = np.arange(len(order))  # of equal ends the last, so the highest value, stays
        best = np.maximum(best, last)
    rank = np.arange(len(order))
    return order[(best[graph.first[order]] == rank) & (best[graph.second[order]] == rank)]


def _contracted(
    graph: RegionGraph, value: np.ndarray, chosen: np.ndarray, affinity: Callable[[RegionGraph], np.ndarray]
) -> tuple[RegionGraph, np.ndarray, np.ndarray]:
    """Return the graph without the chosen borders, its affinities, and the new number of each region.

    No two chosen borders share a region. The labels stay as they were.
    """
    into, gone = graph.first[chosen], graph.second[chosen]
    stays = np.ones(len(graph.regions), bool)
    stays[gone] = False
    number = np.cumsum(stays) - 1
    number[gone] = number[into]
    grown = np.zeros(int(stays.sum()), bool)
    grown[number[into]] = True
    regions, votes, perimeter = graph.regions.copy(), graph.votes.copy(), graph.perimeter.copy()
    regions[into] += regions[gone]
    votes[into] += votes[gone]
    perimeter[into] += perimeter[gone] - 2 * graph.borders[chosen, LENGTH]
    a, b = number[graph.first], number[graph.second]
    changed = grown[a] | grown[b]
    old, new = np.flatnonzero(~changed), np.flatnonzero(changed & (a != b))
    a, b = np.minimum(a, b), np.maximum(a, b)
    key, borders = _sum_by_key(a[new] * len(grown) + b[new], graph.borders[new])
    part = RegionGraph(
        graph.labels, regions[stays], votes[stays], perimeter[stays], key // len(grown), key % len(grown), borders
    )
    whole = replace(
        part,
        first=np.concatenate([a[old], part.first]),
        second=np.concatenate([b[old], part.second]),
        borders=np.concatenate([graph.borders[old], borders]),
    )
    return whole, np.concatenate([value[old], affinity(part)]), number
