"""How much two regions belong to one object, and how much a region looks like an object rather than a wall or floor."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cc_ros.tracking.compiled import compiled
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
    RIGHT,
    SOFT_AB,
    SOFT_L,
    STEEP,
    STEP_AB,
    STEP_CHROMATICITY,
    STEP_L,
    TOP,
    A,
    B,
    L,
    RegionGraph,
    Y,
)

_AT_ONCE = 200_000  # multiplications; for larger products BLAS wakes threads, which then spin for 0.1 s


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
        parts = np.array_split(features, len(features) * self.inner.size // _AT_ONCE + 1)
        return np.concatenate([np.tanh(part @ self.inner) @ self.outer + part @ self.linear for part in parts])


def _squash(value: np.ndarray, scale: np.ndarray | float) -> np.ndarray:
    return value / (value + scale)


# Columns of _traits: what the features of a pair are made of.
_LIGHT, _GREEN_RED, _BLUE_YELLOW, _RED, _GREEN, _TEXTURE, _HEIGHT, _SPREAD_L = range(8)
_SPREAD_AB, _SPREAD_C, _CHROMA, _SIZE, _PERIMETER, _PIXELS, _CUT, _ROUND = range(8, 16)
PAIR_FEATURES = 35


def pair_features(graph: RegionGraph) -> np.ndarray:
    """Return what speaks for or against merging the two sides of each border (e x 35 float64)."""
    traits = _traits(graph.regions, graph.perimeter, *graph.labels.shape)
    return _pair_features(traits, graph.first, graph.second, graph.borders)


@compiled
def _traits(regions: np.ndarray, perimeter: np.ndarray, height: int, width: int) -> np.ndarray:
    """Return what is known of each region by itself (n x 16 float64)."""
    traits = np.empty((len(regions), 16))
    for region in range(len(regions)):
        sums, row, count = regions[region], traits[region], regions[region, COUNT]
        row[_LIGHT], row[_GREEN_RED], row[_BLUE_YELLOW] = sums[L] / count, sums[A] / count, sums[B] / count
        row[_RED], row[_GREEN] = sums[RED] / count, sums[GREEN] / count
        row[_TEXTURE], row[_HEIGHT] = np.log1p(sums[GRADIENT] / count), sums[Y] / count / height
        row[_SPREAD_L] = np.sqrt(max(sums[L2] / count - row[_LIGHT] ** 2, 0.0))
        spread_a = max(sums[A2] / count - row[_GREEN_RED] ** 2, 0.0)
        row[_SPREAD_AB] = np.sqrt(spread_a + max(sums[B2] / count - row[_BLUE_YELLOW] ** 2, 0.0))
        spread_r = max(sums[RED2] / count - row[_RED] ** 2, 0.0)
        row[_SPREAD_C] = np.sqrt(spread_r + max(sums[GREEN2] / count - row[_GREEN] ** 2, 0.0))
        row[_CHROMA] = np.hypot(row[_GREEN_RED], row[_BLUE_YELLOW])
        row[_SIZE] = np.log(count / (height * width) * 1000) / 5
        row[_PERIMETER], row[_PIXELS] = perimeter[region], count
        row[_CUT] = (sums[LEFT] + sums[RIGHT] + sums[TOP] + sums[BOTTOM]) / perimeter[region]
        row[_ROUND] = np.log(count / perimeter[region] ** 2 * 16)
    return traits


@compiled
def _half(value: float, scale: float) -> float:
    """Return 0..1, one half where the value is the scale."""
    return value / (value + scale)


@compiled
def _pair_features(traits: np.ndarray, first: np.ndarray, second: np.ndarray, borders: np.ndarray) -> np.ndarray:
    features = np.empty((len(first), PAIR_FEATURES))
    for border in range(len(first)):
        a, b, row, edge = traits[first[border]], traits[second[border]], features[border], borders[border]
        length = edge[LENGTH]
        light = abs(a[_LIGHT] - b[_LIGHT])
        hue = np.hypot(a[_GREEN_RED] - b[_GREEN_RED], a[_BLUE_YELLOW] - b[_BLUE_YELLOW])
        chromaticity = np.hypot(a[_RED] - b[_RED], a[_GREEN] - b[_GREEN])
        spread_l, spread_ab = a[_SPREAD_L] + b[_SPREAD_L], a[_SPREAD_AB] + b[_SPREAD_AB]
        row[0] = 1
        row[1], row[2], row[3], row[4] = _half(light, 20), _half(light, 5), _half(hue, 20), _half(hue, 5)
        row[5], row[6] = _half(chromaticity, 8), _half(chromaticity, 2)
        row[7], row[8] = _half(light, spread_l + 2), _half(hue, spread_ab + 2)
        row[9] = _half(chromaticity, a[_SPREAD_C] + b[_SPREAD_C] + 0.5)
        row[10], row[11] = _half(edge[STEP_L] / length, 20), _half(edge[STEP_L] / length, 5)
        row[12], row[13] = _half(edge[STEP_AB] / length, 20), _half(edge[STEP_AB] / length, 5)
        row[14], row[15] = _half(edge[STEP_CHROMATICITY] / length, 3), _half(edge[STEEP] / length, 5)
        row[16], row[17] = edge[SOFT_L] / length, edge[SOFT_AB] / length
        row[18], row[19] = edge[HARD_L] / length, edge[HARD_AB] / length
        row[20], row[21] = abs(a[_TEXTURE] - b[_TEXTURE]), min(a[_TEXTURE], b[_TEXTURE])
        row[22] = length / min(a[_PERIMETER], b[_PERIMETER])
        row[23] = length / max(a[_PERIMETER], b[_PERIMETER])
        row[24], row[25] = min(a[_SIZE], b[_SIZE]), max(a[_SIZE], b[_SIZE])
        row[26], row[27] = _half(spread_l, 10), _half(spread_ab, 10)
        small = a if a[_PIXELS] < b[_PIXELS] else b
        row[28], row[29] = small[_CUT], small[_ROUND]
        row[30] = _half(min(a[_CHROMA], b[_CHROMA]), 10)
        row[31] = _half(max(a[_CHROMA], b[_CHROMA]), 10)
        row[32] = min(a[_LIGHT], b[_LIGHT]) / 100
        row[33], row[34] = (a[_HEIGHT] + b[_HEIGHT]) / 2, abs(a[_HEIGHT] - b[_HEIGHT])
    return features


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
