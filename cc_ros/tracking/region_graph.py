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

from cc_ros.tracking.compiled import compiled

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
    first, second, borders = _in_order(count, *_border_sums(colour, labels, gradient, count))
    perimeter = regions[:, LEFT : BOTTOM + 1].sum(axis=1)
    for ends in (first, second):
        perimeter += np.bincount(ends, borders[:, LENGTH], count)
    return RegionGraph(labels, regions, np.zeros((count, 0)), perimeter, first, second, borders)


@compiled
def _region_sums(colour: np.ndarray, labels: np.ndarray, gradient: np.ndarray, count: int) -> np.ndarray:
    height, width = labels.shape
    sums = np.zeros((count, 18))
    for y in range(height):
        for x in range(width):
            row = sums[labels[y, x]]
            row[COUNT] += 1
            row[GRADIENT] += gradient[y, x]
            row[X] += x
            row[Y] += y
            for c in range(3):
                row[L + c] += colour[y, x, c]
                row[L2 + c] += colour[y, x, c] * colour[y, x, c]
            for c in range(2):
                row[RED + c] += colour[y, x, 3 + c]
                row[RED2 + c] += colour[y, x, 3 + c] * colour[y, x, 3 + c]
    for y in range(height):
        sums[labels[y, 0], LEFT] += 1
        sums[labels[y, width - 1], RIGHT] += 1
    for x in range(width):
        sums[labels[0, x], TOP] += 1
        sums[labels[height - 1, x], BOTTOM] += 1
    return sums


@compiled
def _border(a: int, b: int, head: np.ndarray, follows: np.ndarray, other: np.ndarray, used: int) -> int:
    """Return the number of the border between regions a < b: a known one, or ``used``, which is entered as theirs."""
    border = head[a]
    while border >= 0 and other[border] != b:
        border = follows[border]
    if border < 0:
        other[used], follows[used], head[a] = b, head[a], used
        border = used
    return border


@compiled
def _border_sums(
    colour: np.ndarray, labels: np.ndarray, gradient: np.ndarray, count: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    height, width = labels.shape
    room = 0
    for y in range(height):
        for x in range(width):
            room += x + 1 < width and labels[y, x] != labels[y, x + 1]
            room += y + 1 < height and labels[y, x] != labels[y + 1, x]
    head, follows = np.full(count, -1), np.empty(room, np.int64)
    first, second, borders, used = np.empty(room, np.int64), np.empty(room, np.int64), np.zeros((room, 9)), 0
    for dy, dx in ((0, 1), (1, 0)):
        for y in range(height - dy):
            for x in range(width - dx):
                a, b = labels[y, x], labels[y + dy, x + dx]
                if a == b:
                    continue
                border = _border(min(a, b), max(a, b), head, follows, second, used)
                if border == used:
                    first[used] = min(a, b)
                    used += 1
                # One pixel further on each side: the border itself is blurred.
                before = colour[max(y - dy, 0), max(x - dx, 0)]
                after = colour[min(y + 2 * dy, height - 1), min(x + 2 * dx, width - 1)]
                step_l = abs(before[0] - after[0])
                step_ab = np.hypot(before[1] - after[1], before[2] - after[2])
                row = borders[border]
                row[LENGTH] += 1
                row[STEP_L] += step_l
                row[STEP_AB] += step_ab
                row[STEP_CHROMATICITY] += np.hypot(before[3] - after[3], before[4] - after[4])
                row[STEEP] += gradient[y, x]
                row[SOFT_L] += step_l / (step_l + 5)
                row[SOFT_AB] += step_ab / (step_ab + 5)
                row[HARD_L] += step_l > 8
                row[HARD_AB] += step_ab > 8
    return first[:used], second[:used], borders[:used]


def _in_order(
    count: int, first: np.ndarray, second: np.ndarray, borders: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    order = np.argsort(first * count + second)
    return first[order], second[order], borders[order]


def merge(graph: RegionGraph, affinity: Callable[[RegionGraph], np.ndarray], threshold: float) -> RegionGraph:
    """Merge neighbours that choose each other, the surest first, until no affinity is above the threshold.

    :param affinity: gives for each border of a graph how much its two sides belong together (e float64). It is asked
        again only for borders of regions that have grown, and must depend on nothing else.
    """
    labels, region = graph.labels, np.arange(len(graph.regions))
    value = affinity(graph)
    while len(chosen := _mutual(len(graph.regions), graph.first, graph.second, value, threshold)):
        chosen = chosen[np.argsort(value[chosen], kind="stable")]
        if len(chosen) > 8:  # the least sure wait for what the others find
            chosen = chosen[math.ceil(_WAIT * (len(chosen) - 1)) :]
        graph, value, number = _contracted(graph, value, chosen, affinity)
        region = number[region]
    return replace(graph, labels=region.astype(np.int32)[labels])


@compiled
def _mutual(count: int, first: np.ndarray, second: np.ndarray, value: np.ndarray, threshold: float) -> np.ndarray:
    """Return the borders above the threshold that are the best one of both their regions."""
    best = np.full(count, -1)
    for border in range(len(value)):
        if value[border] > threshold:
            for end in (first[border], second[border]):
                if best[end] < 0 or value[border] >= value[best[end]]:
                    best[end] = border
    chosen, found = np.empty(count, np.int64), 0
    for border in range(len(value)):
        if best[first[border]] == border and best[second[border]] == border:
            chosen[found] = border
            found += 1
    return chosen[:found]


def _contracted(
    graph: RegionGraph, value: np.ndarray, chosen: np.ndarray, affinity: Callable[[RegionGraph], np.ndarray]
) -> tuple[RegionGraph, np.ndarray, np.ndarray]:
    """Return the graph without the chosen borders, its affinities, and the new number of each region.

    No two chosen borders share a region. The labels stay as they were.
    """
    number, grown = _renumbered(len(graph.regions), graph.first[chosen], graph.second[chosen])
    regions, votes = _summed(graph.regions, number, len(grown)), _summed(graph.votes, number, len(grown))
    perimeter = np.bincount(number, graph.perimeter, len(grown))
    perimeter[number[graph.first[chosen]]] -= 2 * graph.borders[chosen, LENGTH]
    old, *new = _joined(graph.first, graph.second, graph.borders, number, grown)
    first, second, borders = _in_order(len(grown), *new)
    part = RegionGraph(graph.labels, regions, votes, perimeter, first, second, borders)
    whole = replace(
        part,
        first=np.concatenate([number[graph.first[old]], first]),
        second=np.concatenate([number[graph.second[old]], second]),
        borders=np.concatenate([graph.borders[old], borders]),
    )
    return whole, np.concatenate([value[old], affinity(part)]), number


@compiled
def _renumbered(count: int, into: np.ndarray, gone: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the new number of each region, and which of the new ones have grown."""
    number = np.zeros(count, np.int64)
    for pair in range(len(gone)):
        number[gone[pair]] = -1
    stay = 0
    for region in range(count):
        if number[region] == 0:
            number[region] = stay
            stay += 1
    grown = np.zeros(stay, np.bool_)
    for pair in range(len(into)):
        number[gone[pair]] = number[into[pair]]
        grown[number[into[pair]]] = True
    return number, grown


@compiled
def _summed(rows: np.ndarray, number: np.ndarray, count: int) -> np.ndarray:
    """Return the sum of the rows with each number (count x columns)."""
    sums = np.zeros((count, rows.shape[1]))
    for row in range(len(rows)):
        for column in range(rows.shape[1]):
            sums[number[row], column] += rows[row, column]
    return sums


@compiled
def _joined(
    first: np.ndarray, second: np.ndarray, borders: np.ndarray, number: np.ndarray, grown: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return which borders stay as they are, and ends and sums of those of regions that have grown."""
    old, kept = np.empty(len(first), np.int64), 0
    head, follows = np.full(len(grown), -1), np.empty(len(first), np.int64)
    new_first, new_second = np.empty(len(first), np.int64), np.empty(len(first), np.int64)
    sums, used = np.zeros((len(first), borders.shape[1])), 0
    for border in range(len(first)):
        a, b = number[first[border]], number[second[border]]
        if not (grown[a] or grown[b]):
            old[kept] = border
            kept += 1
        elif a != b:
            low, high = min(a, b), max(a, b)
            joined = _border(low, high, head, follows, new_second, used)
            if joined == used:
                new_first[used] = low
                used += 1
            for column in range(borders.shape[1]):
                sums[joined, column] += borders[border, column]
    return old[:kept], new_first[:used], new_second[:used], sums[:used]
