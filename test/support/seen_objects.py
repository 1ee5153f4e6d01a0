"""What a network would say that sees given masks, for tests of what follows from it."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from cc_ros.tracking.objects.constants import CELL, CELL_CHANNELS, FEATURES, PIXEL_CHANNELS, STRIDE
from cc_ros.tracking.objects.network import NetworkOutput

SHAPE = (60, 80)  # of the maps, for images of 240x320


def block(top: int, left: int, height: int, width: int) -> np.ndarray:
    """Return a mask (60x80 bool) with one rectangle."""
    mask = np.zeros(SHAPE, bool)
    mask[top : top + height, left : left + width] = True
    return mask


def seen(masks: Sequence[np.ndarray], qualities: Sequence[float], like: Sequence[int] = ()) -> NetworkOutput:
    """Return what is seen of these masks (60x80 bool), at most as many as there are features.

    :param qualities: 0..1, of each.
    :param like: 0..95, which feature each has; () = that of its number.
    """
    height, width = SHAPE
    pixels = np.full((PIXEL_CHANNELS, height, width), -6, np.float32)
    cells = np.zeros((CELL_CHANNELS, height // 2, width // 2), np.float32)
    cells[0] = -30
    features = np.zeros((96, height // 4, width // 4), np.float32)
    assert len(masks) <= FEATURES
    for n, (mask, quality) in enumerate(zip(masks, qualities, strict=True)):
        pixels[0][mask] = 6
        pixels[1][cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)) > 0] = -0.22
        pixels[2 + n] = np.where(mask, 1, -1)
        y, x = (round(float(v.mean()) * STRIDE / CELL - 0.25) for v in np.nonzero(mask))
        cells[:, y, x] = 0
        cells[0, y, x] = np.log(quality / (1 - quality))
        cells[4:6, y, x] = 3  # wide enough to play no part
        cells[6 + n, y, x] = 8
        features[like[n] if like else n] += mask[2::4, 2::4]
    return NetworkOutput(pixels, cells, features)


def nothing() -> NetworkOutput:
    """Return what is seen where there is nothing."""
    return seen([], [])


class ScriptedNetwork:
    """Says in turn what it was told to, the last for ever."""

    def __init__(self, *says: NetworkOutput) -> None:
        self._says, self.passes = says, 0

    def __call__(self, image: np.ndarray) -> NetworkOutput:
        self.passes += 1
        return self._says[min(self.passes, len(self._says)) - 1]

    twice = __call__  # and a second look shows the same
