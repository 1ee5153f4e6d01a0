"""All tracks of a frame in colour, for people who look at the stream."""

from __future__ import annotations

import cv2
import numpy as np

from cc_ros.keyframes.drawing import BY_ID, colour

_PALETTE = np.array([colour(BY_ID, i) for i in range(256)], np.uint8)


def draw_labels(image: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return a copy of ``image`` with every instance tinted in the colour of its id.

    :param image: HxWx3 uint8 BGR.
    :param labels: HxW uint16, 0 = none.
    """
    low = (labels & 255).astype(np.uint8)
    tint = cv2.merge([cv2.LUT(low, np.ascontiguousarray(_PALETTE[:, channel])) for channel in range(3)])
    blend = cv2.addWeighted(image, 0.5, tint, 0.5, 0)
    cv2.copyTo(image, (labels == 0).astype(np.uint8), blend)
    return blend
