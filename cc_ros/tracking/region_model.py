"""How much two regions belong to one object, and how much a region looks like an object rather than a wall or floor."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cc_ros.tracking.label_maps import shapes
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


# Rows of _traits: what the features of a pair are made of.
_LIGHT, _GREEN_RED, _BLUE_YELLOW, _RED, _GREEN, _TEXTURE, _HEIGHT, _SPREAD_L = range(8)
_SPREAD_AB, _SPREAD_C, _CHROMA, _SIZE, _PERIMETER, _PIXELS, _CUT, _ROUND = range(8, 16)


def _traits(graph: RegionGraph) -> np.ndarray:
    """Return what is known of each region by itself (16 x n float64)."""
    count, perimeter = graph.regions[:, COUNT], graph.perimeter
    mean = graph.regions.T / count
    variance = np.maximum(mean[[L2, A2, B2, RED2, GREEN2]] - mean[[L, A, B, RED, GREEN]] ** 2, 0)
    traits = np.empty((16, len(count)))
    traits[:_TEXTURE] = mean[[L, A, B, RED, GREEN]]
    traits[_TEXTURE], traits[_HEIGHT] = np.log1p(mean[GRADIENT]), mean[Y] / graph.labels.shape[0]
    traits[_SPREAD_L:_CHROMA] = np.sqrt([variance[0], variance[1] + variance[2], variance[3] + variance[4]])
    traits[_CHROMA], traits[_SIZE] = np.hypot(mean[A], mean[B]), np.log(count / graph.labels.size * 1000) / 5
    traits[_PERIMETER], traits[_PIXELS] = perimeter, count
    traits[_CUT] = graph.regions[:, LEFT : BOTTOM + 1].sum(axis=1) / perimeter
    traits[_ROUND] = np.log(count / perimeter**2 * 16)
    return traits


# Differences that make a feature one half; those of the spreads are added to what the regions spread themselves.
_SCALES = np.array([[20], [5], [20], [5], [8], [2], [20], [5], [20], [5], [3], [5]])
_NOISE = np.array([[2], [2], [0.5]])


def pair_features(graph: RegionGraph) -> np.ndarray:
    """Return what speaks for or against merging the two sides of each border (e x 35 float64)."""
    traits = _traits(graph)
    a, b = traits[:, graph.first], traits[:, graph.second]
    apart, low, high, both = np.abs(a - b), np.minimum(a, b), np.maximum(a, b), a + b
    length = graph.borders[:, LENGTH]
    edge = graph.borders.T / length
    d_l, d_ab = apart[_LIGHT], np.hypot(apart[_GREEN_RED], apart[_BLUE_YELLOW])
    d_c = np.hypot(apart[_RED], apart[_GREEN])
    features = np.empty((35, len(length)))
    features[0] = 1
    features[1:10] = d_l, d_l, d_ab, d_ab, d_c, d_c, d_l, d_ab, d_c
    features[10:16] = edge[[STEP_L, STEP_L, STEP_AB, STEP_AB, STEP_CHROMATICITY, STEEP]]
    features[1:7] /= features[1:7] + _SCALES[:6]
    features[7:10] /= features[7:10] + both[_SPREAD_L:_CHROMA] + _NOISE
    features[10:16] /= features[10:16] + _SCALES[6:]
    features[16:20] = edge[[SOFT_L, SOFT_AB, HARD_L, HARD_AB]]
    features[20], features[21] = apart[_TEXTURE], low[_TEXTURE]
    features[22], features[23] = length / low[_PERIMETER], length / high[_PERIMETER]
    features[24], features[25] = low[_SIZE], high[_SIZE]
    features[26:28] = _squash(both[_SPREAD_L:_SPREAD_C], 10)
    features[28:30] = np.where(a[_PIXELS] < b[_PIXELS], a[_CUT:], b[_CUT:])
    features[30], features[31] = _squash(low[_CHROMA], 10), _squash(high[_CHROMA], 10)
    features[32] = low[_LIGHT] / 100
    features[33], features[34] = both[_HEIGHT] / 2, apart[_HEIGHT]
    return features.T


def object_features(graph: RegionGraph) -> np.ndarray:
    """Return what speaks for or against each region being an object (n x 28 float64)."""
    height, width = graph.labels.shape
    count, perimeter = graph.regions[:, COUNT], graph.perimeter
    mean = graph.regions / count[:, None]
    sides = graph.regions[:, LEFT : BOTTOM + 1]
    inner = np.maximum(perimeter - sides.sum(axis=1), 1)
    spread_l = np.sqrt(np.maximum(mean[:, L2] - mean[:, L] ** 2, 0))
    spread_ab = np.sqrt(np.maximum(mean[:, A2] - mean[:, A] ** 2 + mean[:, B2] - mean[:, B] ** 2, 0))
    chroma = np.hypot(mean[:, A], mean[:, B])
    boxes = [shape.box for shape in shapes(graph.labels + 1).values()]
    _, y0, box_width, box_height = np.array(boxes).reshape(-1, 4).T
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
