"""Read label maps run by run: they have a few thousand runs where they have 300,000 pixels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Shape:
    """Where one label is: pixels, centroid (x, y) and box (x, y, width, height)."""

    area: int
    centre: tuple[float, float]
    box: tuple[int, int, int, int]


def _runs(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return start (in the flattened map), length and label of each row's runs."""
    flat = labels.ravel()
    change = np.empty(flat.shape, bool)
    np.not_equal(flat[1:], flat[:-1], out=change[1:])
    change[:: labels.shape[1]] = True
    start = np.flatnonzero(change)
    return start, np.diff(start, append=flat.size), flat[start]


def compact(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the distinct labels in order, and for each pixel (HxW int32) the index of its label among them."""
    _, length, value = _runs(labels)
    distinct, index = np.unique(value, return_inverse=True)
    return distinct, np.repeat(index.astype(np.int32), length).reshape(labels.shape)


def shapes(labels: np.ndarray) -> dict[int, Shape]:
    """Return the shape of each label of an HxW integer map, 0 left out."""
    start, length, value = _runs(labels)
    kept = value > 0
    start, length = start[kept], length[kept]
    distinct, index = np.unique(value[kept], return_inverse=True)
    y, x = np.divmod(start, labels.shape[1])
    end = x + length
    area = np.bincount(index, length)
    centre_x = np.bincount(index, length * (x + end - 1) / 2) / area
    centre_y = np.bincount(index, length * y) / area
    low, high = np.full((2, len(distinct)), np.iinfo(np.int64).max), np.zeros((2, len(distinct)), np.int64)
    for axis, (first, last) in enumerate(((x, end), (y, y + 1))):
        np.minimum.at(low[axis], index, first)
        np.maximum.at(high[axis], index, last)
    boxes = np.concatenate([low, high - low]).T.tolist()
    return {
        int(label): Shape(int(a), (float(cx), float(cy)), tuple(box))
        for label, a, cx, cy, box in zip(distinct, area, centre_x, centre_y, boxes, strict=True)
    }
