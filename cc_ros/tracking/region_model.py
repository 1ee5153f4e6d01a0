"""How much two regions belong to one object, and how much a region looks like an object rather than a wall or floor."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cc_ros.tracking.region_graph import (
    A2,
    B2,
    BOTTOM,
    COUNT,
    GRADIENT,
    GREEN,
    GREEN2,
    HARD_AB,
    HARD_L,
    L2,
    LEFT,
    LENGTH,
    RED,
    RED2,
    SOFT_AB,
    SOFT_L,
    STEEP,
    STEP_AB,
    STEP_CHROMATICITY,
    STEP_L,
    A,
    B,
    L,
    RegionGraph,
    Y,
)


@dataclass(frozen=True, slots=True)
class Perceptron:
    """A linear model plus a few tanh units.

    :param inner: d x h, weights of the units.
    :param outer: h, what each unit adds.
    :param linear: d, the linear part; the first feature is 1.
    """

    inner: np.ndarray
    outer: np.ndarray
    linear: np.ndarray

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """Return the log odds (n) for n x d features."""
        return np.asarray(np.tanh(features @ self.inner) @ self.outer + features @ self.linear)


def _squash(value: np.ndarray, scale: np.ndarray | float) -> np.ndarray:
    return value / (value + scale)


def pair_features(graph: RegionGraph) -> np.ndarray:
    """Return what speaks for or against merging the two sides of each border (e x 35 float64)."""
    count, perimeter = graph.regions[:, COUNT], graph.perimeters()
    mean = graph.regions / count[:, None]
    spread_l = np.sqrt(np.maximum(mean[:, L2] - mean[:, L] ** 2, 0))
    spread_ab = np.sqrt(np.maximum(mean[:, A2] - mean[:, A] ** 2 + mean[:, B2] - mean[:, B] ** 2, 0))
    spread_c = np.sqrt(np.maximum(mean[:, RED2] - mean[:, RED] ** 2 + mean[:, GREEN2] - mean[:, GREEN] ** 2, 0))
    i, j = graph.first, graph.second
    a, b = mean[i], mean[j]
    d_l = np.abs(a[:, L] - b[:, L])
    d_ab = np.hypot(a[:, A] - b[:, A], a[:, B] - b[:, B])
    d_c = np.hypot(a[:, RED] - b[:, RED], a[:, GREEN] - b[:, GREEN])
    sum_l, sum_ab, sum_c = spread_l[i] + spread_l[j], spread_ab[i] + spread_ab[j], spread_c[i] + spread_c[j]
    length = graph.borders[:, LENGTH]
    edge = graph.borders / length[:, None]
    small, large = np.minimum(count[i], count[j]), np.maximum(count[i], count[j])
    smaller = np.where(count[i] < count[j], i, j)
    outline = perimeter[smaller]
    chroma = np.hypot(mean[:, A], mean[:, B])
    height = graph.labels.shape[0]
    columns = [
        np.ones_like(d_l),
        *(_squash(d_l, 20), _squash(d_l, 5), _squash(d_ab, 20), _squash(d_ab, 5), _squash(d_c, 8), _squash(d_c, 2)),
        *(_squash(d_l, sum_l + 2), _squash(d_ab, sum_ab + 2), _squash(d_c, sum_c + 0.5)),
        *(_squash(edge[:, STEP_L], 20), _squash(edge[:, STEP_L], 5)),
        *(_squash(edge[:, STEP_AB], 20), _squash(edge[:, STEP_AB], 5)),
        *(_squash(edge[:, STEP_CHROMATICITY], 3), _squash(edge[:, STEEP], 5)),
        *(edge[:, SOFT_L], edge[:, SOFT_AB], edge[:, HARD_L], edge[:, HARD_AB]),
        np.abs(np.log1p(a[:, GRADIENT]) - np.log1p(b[:, GRADIENT])),
        np.log1p(np.minimum(a[:, GRADIENT], b[:, GRADIENT])),
        *(length / np.minimum(perimeter[i], perimeter[j]), length / np.maximum(perimeter[i], perimeter[j])),
        *(np.log(small / graph.labels.size * 1000) / 5, np.log(large / graph.labels.size * 1000) / 5),
        *(_squash(sum_l, 10), _squash(sum_ab, 10)),
        graph.regions[smaller, LEFT : BOTTOM + 1].sum(axis=1) / outline,
        np.log(small / outline**2 * 16),
        *(_squash(np.minimum(chroma[i], chroma[j]), 10), _squash(np.maximum(chroma[i], chroma[j]), 10)),
        np.minimum(a[:, L], b[:, L]) / 100,
        *((a[:, Y] + b[:, Y]) / 2 / height, np.abs(a[:, Y] - b[:, Y]) / height),
    ]
    return np.stack(columns, axis=1)


def object_features(graph: RegionGraph) -> np.ndarray:
    """Return what speaks for or against each region being an object (n x 28 float64)."""
    height, width = graph.labels.shape
    count, perimeter = graph.regions[:, COUNT], graph.perimeters()
    mean = graph.regions / count[:, None]
    sides = graph.regions[:, LEFT : BOTTOM + 1]
    inner = np.maximum(perimeter - sides.sum(axis=1), 1)
    spread_l = np.sqrt(np.maximum(mean[:, L2] - mean[:, L] ** 2, 0))
    spread_ab = np.sqrt(np.maximum(mean[:, A2] - mean[:, A] ** 2 + mean[:, B2] - mean[:, B] ** 2, 0))
    chroma = np.hypot(mean[:, A], mean[:, B])
    _, y0, box_width, box_height = _boxes(graph.labels, len(count))
    size = np.log(count / graph.labels.size * 1000) / 5

    ends = np.concatenate([graph.first, graph.second])

    def contrast(column: int) -> np.ndarray:
        return np.bincount(ends, np.tile(graph.borders[:, column], 2), len(count)) / inner

    columns = [
        *(np.ones_like(count), size, size**2),
        *(sides.T / perimeter),
        *(sides.sum(axis=1) / perimeter, (sides > 0).sum(axis=1)),
        *(mean[:, Y] / height, y0 / height, (y0 + box_height - 1) / height, box_width / width, box_height / height),
        *(count / (box_width * box_height), np.log(count / perimeter**2 * 16)),
        *(mean[:, L] / 100, _squash(chroma, 10), _squash(chroma, 30), _squash(spread_l, 10), _squash(spread_ab, 10)),
        _squash(mean[:, GRADIENT], 3),
        *(contrast(HARD_L), contrast(HARD_AB), contrast(SOFT_L), contrast(SOFT_AB)),
        *(_squash(contrast(STEP_L), 20), _squash(contrast(STEP_AB), 20)),
    ]
    return np.stack(columns, axis=1)


def _boxes(labels: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return x, y, width and height of each region (n each)."""
    height, width = labels.shape
    rows, columns = np.zeros((count, height), bool), np.zeros((count, width), bool)
    rows[labels, np.arange(height)[:, None]] = True
    columns[labels, np.arange(width)] = True
    x, y = columns.argmax(axis=1), rows.argmax(axis=1)
    return x, y, width - columns[:, ::-1].argmax(axis=1) - x, height - rows[:, ::-1].argmax(axis=1) - y
