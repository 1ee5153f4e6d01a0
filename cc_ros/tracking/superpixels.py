"""Small regions of even colour that follow the edges of an image: the grains that objects are put together from."""

from __future__ import annotations

import cv2
import numpy as np

from cc_ros.tracking.label_maps import compact

_CROSS = np.ones((3, 3), np.uint8)


def superpixels(
    image: np.ndarray, flat: float = 1.5, window: int = 5, cut: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Split an image by a watershed from its flat places (Meyer 1992).

    :param image: HxWx3 uint8 BGR.
    :param flat: Lab levels a pixel; places with a smaller gradient are connected and grow into one region.
    :param window: pixels; elsewhere, one region grows from each minimum of the gradient in such a window.
    :param cut: HxW bool, pixels that no region grows from: where depth says that two surfaces meet.
    :return: HxW int32 labels 0..n-1 without gaps, and HxW float32 gradient in Lab levels a pixel.
    """
    lab = cv2.GaussianBlur(cv2.cvtColor(image, cv2.COLOR_BGR2LAB), (0, 0), 0.7)
    smooth = lab.astype(np.float32)
    gx = cv2.Sobel(smooth, cv2.CV_32F, 1, 0, scale=1 / 8)
    gy = cv2.Sobel(smooth, cv2.CV_32F, 0, 1, scale=1 / 8)
    gradient = np.sqrt(cv2.transform(gx * gx + gy * gy, np.ones((1, 3), np.float32)))
    level = cv2.GaussianBlur(gradient, (0, 0), 1.0)
    minima = (cv2.erode(level, np.ones((window, window), np.uint8)) >= level) | (level < flat)
    if cut is not None:
        minima &= ~cut
    _, markers = cv2.connectedComponents(minima.astype(np.uint8), connectivity=8, ltype=cv2.CV_32S)
    labels = _without_ridges(cv2.watershed(lab, markers))
    return compact(labels)[1], gradient


def _without_ridges(labels: np.ndarray) -> np.ndarray:
    """Give the ridges of a watershed (-1, one pixel wide, and the whole border) to a neighbouring region."""
    if min(labels.shape) > 2:
        labels[[0, -1]] = labels[[1, -2]]
        labels[:, [0, -1]] = labels[:, [1, -2]]
    for _ in range(3):
        ridge = labels <= 0
        if not ridge.any():
            break
        labels[ridge] = cv2.dilate(labels.astype(np.float32), _CROSS)[ridge]
    return labels
