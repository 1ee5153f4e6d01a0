"""Whether the pixels of two images show the same surface."""

from __future__ import annotations

import cv2
import numpy as np

_WINDOW = 5  # pixels; noise and small misalignments are averaged over
_SAMPLE = 8  # every so many pixels are enough to know how the light has changed


def alike(image: np.ndarray, other: np.ndarray, limit: float = 25.0) -> np.ndarray:
    """Return where two aligned images (HxW or HxWx3 uint8) look the same (HxW bool).

    A change of brightness that all of the image has in common does not count.

    :param limit: grey levels that a channel may differ by.
    """
    difference = cv2.subtract(image, other, dtype=cv2.CV_16S).reshape(*image.shape[:2], -1)
    common = np.median(difference[::_SAMPLE, ::_SAMPLE], axis=(0, 1))
    error = cv2.blur(np.abs(difference - common.astype(np.int16)), (_WINDOW, _WINDOW)).reshape(difference.shape)
    return np.asarray(error.max(axis=2) <= limit)
