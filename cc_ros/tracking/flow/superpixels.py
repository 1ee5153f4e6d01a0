"""An image in small regions of even colour, and what is known of each: masks are drawn with these."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from scipy.sparse import csr_matrix

from cc_ros.tracking.flow.appearance import region_histograms
from cc_ros.tracking.label_maps import compact

_FLAT = 1.5  # Lab levels a pixel; places with a smaller gradient are connected and grow into one region
_WINDOW = np.ones((5, 5), np.uint8)  # elsewhere, one region grows from each minimum of the gradient in such a window
_ALIKE, _TOUCHING = 10.0, 0.02  # CIE Lab, how fast neighbours of other colours agree less, and what is left of it

Box = tuple[slice, slice]  # rows and columns


@dataclass(frozen=True, slots=True)
class Grains:
    """A window of an image in small regions.

    :param window: rows and columns.
    :param labels: hxw int32, the region of each pixel of the window, 0..n-1.
    :param area: n float64, pixels.
    :param looks: n x 5 float32, mean L, a, b, x and y; the last two as in the whole image.
    :param links: n x n float32, how much neighbours should agree.
    :param histograms: n x bins, their colours.
    """

    window: Box
    labels: np.ndarray
    area: np.ndarray
    looks: np.ndarray
    links: csr_matrix
    histograms: csr_matrix

    @classmethod
    def of(cls, image: np.ndarray, window: Box | None = None, index: np.ndarray | None = None) -> Grains:
        """Split an image, or a window of it; also along the borders of a map.

        :param image: HxWx3 uint8 BGR.
        :param index: HxW int32.
        """
        window = window or np.s_[0 : image.shape[0], 0 : image.shape[1]]
        part = np.ascontiguousarray(image[window])
        labels = superpixels(part)
        if index is not None:
            labels = compact(labels * (int(index.max()) + 1) + index[window])[1]
        area = np.bincount(labels.ravel()).astype(float)
        lab = cv2.cvtColor(part.astype(np.float32) / 255, cv2.COLOR_BGR2Lab)
        y, x = np.mgrid[window]
        sums = [np.bincount(labels.ravel(), values.ravel()) for values in (*cv2.split(lab), x, y)]
        looks = (np.stack(sums, axis=1) / area[:, None]).astype(np.float32)
        return cls(window, labels, area, looks, _links(labels, looks), region_histograms(part, labels, len(area)))


def hull(boxes: Sequence[Box]) -> Box:
    """Return the smallest box that holds all boxes, one at least."""
    rows, columns = zip(*boxes, strict=True)
    return _span(rows), _span(columns)


def _span(sides: tuple[slice, ...]) -> slice:
    return slice(min(side.start for side in sides), max(side.stop for side in sides))


def grown(box: Box, reach: int, shape: tuple[int, ...]) -> Box:
    """Return a box wider by ``reach`` pixels on all sides, within an image of a shape."""
    rows, columns = (
        slice(max(side.start - reach, 0), min(side.stop + reach, n)) for side, n in zip(box, shape, strict=True)
    )
    return rows, columns


def superpixels(image: np.ndarray) -> np.ndarray:
    """Split an image (HxWx3 uint8 BGR) by a watershed from its flat places (Meyer 1992).

    :return: HxW int32 labels 0..n-1 without gaps.
    """
    lab = cv2.GaussianBlur(cv2.cvtColor(image, cv2.COLOR_BGR2LAB), (0, 0), 0.7)
    gx = cv2.Sobel(lab, cv2.CV_32F, 1, 0, scale=1 / 8)
    gy = cv2.Sobel(lab, cv2.CV_32F, 0, 1, scale=1 / 8)
    gradient = np.sqrt(cv2.transform(gx * gx + gy * gy, np.ones((1, 3), np.float32)))
    level = cv2.GaussianBlur(gradient, (0, 0), 1.0)
    minima = (cv2.erode(level, _WINDOW) >= level) | (level < _FLAT)
    _, markers = cv2.connectedComponents(minima.astype(np.uint8), connectivity=8, ltype=cv2.CV_32S)
    labels = cv2.watershed(lab, markers).astype(np.float32)  # as OpenCV dilates it
    for _ in range(3):  # its ridges, -1 and one pixel wide as the image's border, go to a region beside them
        labels = np.where(labels > 0, labels, cv2.dilate(labels, np.ones((3, 3), np.uint8)))
    return compact(labels)[1]


def _links(labels: np.ndarray, looks: np.ndarray) -> csr_matrix:
    """Return how much neighbours should agree: the longer their common border and the more alike, the more."""
    count = len(looks)
    beside = [(labels[:, :-1], labels[:, 1:]), (labels[:-1], labels[1:])]
    first, second = np.concatenate([np.stack([a[a != b], b[a != b]]) for a, b in beside], axis=1)
    length = csr_matrix((np.ones(len(first), np.float32), (first, second)), (count, count))
    links = (length + length.T).tocoo()
    step = np.linalg.norm(looks[links.row, :3] - looks[links.col, :3], axis=1)
    links.data *= np.maximum(np.exp(-step / _ALIKE), _TOUCHING)
    return links.tocsr()
