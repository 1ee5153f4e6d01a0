"""Superpixels: small regions of even colour with their features; masks are drawn along their borders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from scipy.sparse import csr_matrix

from cc_ros.tracking.flow import constants as const
from cc_ros.tracking.flow.appearance import region_histograms
from cc_ros.tracking.label_maps import compact

_WINDOW = np.ones((5, 5), np.uint8)  # elsewhere, one region grows from each minimum of the gradient in such a window

Box = tuple[slice, slice]  # rows and columns


@dataclass(frozen=True, slots=True)
class Superpixels:
    """The superpixels of a window of an image.

    :param window: rows and columns.
    :param labels: hxw int32, the region of each pixel of the window, 0..n-1.
    :param area: n float64, pixels.
    :param features: n x 5 float32, mean L, a, b, x and y in the whole image.
    :param links: n x n float32, how much neighbours should agree.
    :param histograms: n x bins, their colours.
    """

    window: Box
    labels: np.ndarray
    area: np.ndarray
    features: np.ndarray
    links: csr_matrix
    histograms: csr_matrix

    @classmethod
    def of(cls, image: np.ndarray, window: Box | None = None, index: np.ndarray | None = None) -> Superpixels:
        """Split an image, or a window of it; also along the borders of a map.

        :param image: HxWx3 uint8 BGR.
        :param index: HxW int32.
        """
        window = window or np.s_[0 : image.shape[0], 0 : image.shape[1]]
        part = np.ascontiguousarray(image[window])
        labels = segment(part)
        if index is not None:
            labels = compact(labels * (int(index.max()) + 1) + index[window])[1]
        area = np.bincount(labels.ravel()).astype(float)
        lab = cv2.cvtColor(part.astype(np.float32) / 255, cv2.COLOR_BGR2Lab)
        y, x = np.mgrid[window]
        sums = [np.bincount(labels.ravel(), values.ravel()) for values in (*cv2.split(lab), x, y)]
        features = (np.stack(sums, axis=1) / area[:, None]).astype(np.float32)
        return cls(window, labels, area, features, _links(labels, features), region_histograms(part, labels, len(area)))


def hull(boxes: Sequence[Box]) -> Box:
    """Return the smallest box that holds all boxes, one at least."""
    rows, columns = (
        slice(min(side.start for side in sides), max(side.stop for side in sides)) for sides in zip(*boxes, strict=True)
    )
    return rows, columns


def grown(box: Box, reach: int, shape: tuple[int, ...]) -> Box:
    """Return a box wider by ``reach`` pixels on all sides, within an image of a shape."""
    rows, columns = (
        slice(max(side.start - reach, 0), min(side.stop + reach, n)) for side, n in zip(box, shape, strict=True)
    )
    return rows, columns


def segment(image: np.ndarray) -> np.ndarray:
    """Split an image (HxWx3 uint8 BGR) by a watershed from its flat places (Meyer 1992).

    :return: HxW int32 labels 0..n-1 without gaps.
    """
    lab = cv2.GaussianBlur(cv2.cvtColor(image, cv2.COLOR_BGR2LAB), (0, 0), 0.7)
    gx = cv2.Sobel(lab, cv2.CV_32F, 1, 0, scale=1 / 8)
    gy = cv2.Sobel(lab, cv2.CV_32F, 0, 1, scale=1 / 8)
    gradient = np.sqrt(cv2.transform(gx * gx + gy * gy, np.ones((1, 3), np.float32)))
    level = cv2.GaussianBlur(gradient, (0, 0), 1.0)
    minima = (cv2.erode(level, _WINDOW) >= level) | (level < const.FLAT)
    _, markers = cv2.connectedComponents(minima.astype(np.uint8), connectivity=8, ltype=cv2.CV_32S)
    labels = cv2.watershed(lab, markers).astype(np.float32)  # as OpenCV dilates it
    for _ in range(3):  # its ridges, -1 and one pixel wide as the image's border, go to a region beside them
        labels = np.where(labels > 0, labels, cv2.dilate(labels, np.ones((3, 3), np.uint8)))
    return compact(labels)[1]


def _links(labels: np.ndarray, features: np.ndarray) -> csr_matrix:
    """Return how much neighbours should agree: the longer their common border and the more alike, the more."""
    count = len(features)
    beside = [(labels[:, :-1], labels[:, 1:]), (labels[:-1], labels[1:])]
    first, second = np.concatenate([np.stack([a[a != b], b[a != b]]) for a, b in beside], axis=1)
    length = csr_matrix((np.ones(len(first), np.float32), (first, second)), (count, count))
    links = (length + length.T).tocoo()
    step = np.linalg.norm(features[links.row, :3] - features[links.col, :3], axis=1)
    links.data *= np.maximum(np.exp(-step / const.LINK_COLOUR), const.LINK_LEAST)
    return links.tocsr()
