"""Regions of one image that may be objects."""

from __future__ import annotations

from typing import Protocol

import cv2
import numpy as np
from skimage.segmentation import felzenszwalb


class Proposer(Protocol):
    """Splits an image into regions."""

    def regions(self, image: np.ndarray) -> np.ndarray:
        """Return HxW int32: 0 = background, 1.. = regions that may be objects, for an HxWx3 uint8 BGR image."""
        ...


class ColourProposer:
    """Graph-based segmentation in Lab (Felzenszwalb and Huttenlocher 2004); large border regions are background.

    :param width: pixels; the image is shrunk to this before it is segmented.
    :param scale: Felzenszwalb's k: larger means larger regions.
    :param min_area: share of the image; smaller regions are merged into their neighbours.
    :param max_area: share of the image; larger regions are background.
    """

    def __init__(self, width: int, scale: float, min_area: float, max_area: float) -> None:
        self._width = width
        self._scale = scale
        self._min_area = min_area
        self._max_area = max_area

    def regions(self, image: np.ndarray) -> np.ndarray:
        """Return HxW int32: 0 = background, 1.. = regions that may be objects, for an HxWx3 uint8 BGR image."""
        h, w = image.shape[:2]
        size = (self._width, max(round(h * self._width / w), 1))
        lab = cv2.cvtColor(cv2.resize(image, size, interpolation=cv2.INTER_AREA), cv2.COLOR_BGR2LAB)
        minimum = max(int(self._min_area * size[0] * size[1]), 1)
        raw = felzenszwalb(lab.astype(np.float64) / 255, scale=self._scale, sigma=0.5, min_size=minimum) + 1
        area = np.bincount(raw.ravel())
        border = np.bincount(np.concatenate([raw[0], raw[-1], raw[:, 0], raw[:, -1]]), minlength=len(area))
        share = area / raw.size
        background = (share > self._max_area) | ((share > self._max_area / 4) & (border > 0.25 * (w + h) * size[0] / w))
        renumbered = np.where(background, 0, np.arange(len(area)))
        return cv2.resize(renumbered[raw].astype(np.float32), (w, h), interpolation=cv2.INTER_NEAREST).astype(np.int32)
