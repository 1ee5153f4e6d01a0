"""Small regions of even colour that follow the edges of an image: the grains that objects are put together from."""

from __future__ import annotations

import cv2
import numpy as np

from cc_ros.tracking.compiled import compiled


def superpixels(image: np.ndarray, flat: float = 1.5, window: int = 5) -> tuple[np.ndarray, np.ndarray]:
    """Split an image by a watershed from its flat places (Meyer 1992).

    :param image: HxWx3 uint8 BGR.
    :param flat: Lab levels a pixel; places with a smaller gradient are connected and grow into one region.
    :param window: pixels; elsewhere, one region grows from each minimum of the gradient in such a window.
    :return: HxW int32 labels 0..n-1 without gaps, and HxW float32 gradient in Lab levels a pixel.
    """
    lab = cv2.GaussianBlur(cv2.cvtColor(image, cv2.COLOR_BGR2LAB), (0, 0), 0.7)
    gx = cv2.Sobel(lab, cv2.CV_32F, 1, 0, scale=1 / 8)
    gy = cv2.Sobel(lab, cv2.CV_32F, 0, 1, scale=1 / 8)
    gradient = np.sqrt(cv2.transform(gx * gx + gy * gy, np.ones((1, 3), np.float32)))
    level = cv2.GaussianBlur(gradient, (0, 0), 1.0)
    minima = (cv2.erode(level, np.ones((window, window), np.uint8)) >= level) | (level < flat)
    _, markers = cv2.connectedComponents(minima.astype(np.uint8), connectivity=8, ltype=cv2.CV_32S)
    return _without_gaps(_without_ridges(cv2.watershed(lab, markers))), gradient


@compiled
def _without_ridges(labels: np.ndarray) -> np.ndarray:
    """Give the ridges of a watershed (-1, one pixel wide, and the whole border) to a neighbouring region."""
    height, width = labels.shape
    if min(height, width) > 2:
        for x in range(width):
            labels[0, x], labels[height - 1, x] = labels[1, x], labels[height - 2, x]
        for y in range(height):
            labels[y, 0], labels[y, width - 1] = labels[y, 1], labels[y, width - 2]
    for _ in range(3):
        before, ridges = labels.copy(), False
        for y in range(height):
            for x in range(width):
                if before[y, x] <= 0:
                    ridges = True
                    for v in range(max(y - 1, 0), min(y + 2, height)):
                        for u in range(max(x - 1, 0), min(x + 2, width)):
                            labels[y, x] = max(labels[y, x], before[v, u])
        if not ridges:
            break
    return labels


@compiled
def _without_gaps(labels: np.ndarray) -> np.ndarray:
    """Number the labels (-1..) in their order from 0, in place."""
    height, width = labels.shape
    number = np.zeros(labels.max() + 2, np.int32)  # -1 stays where nothing but ridges is near
    for y in range(height):
        for x in range(width):
            number[labels[y, x] + 1] = 1
    found = np.int32(0)
    for label in range(len(number)):
        if number[label]:
            number[label] = found
            found += 1
    for y in range(height):
        for x in range(width):
            labels[y, x] = number[labels[y, x] + 1]
    return labels
