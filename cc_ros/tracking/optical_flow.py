"""Dense optical flow between two frames, and warping by it."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

_SMALLEST = 12  # pixels; DIS refuses smaller images
_MAX_ERROR = 25.0  # grey levels; larger differences after the warp mean another surface


@dataclass(frozen=True, slots=True)
class Motion:
    """Where each pixel of the new frame was in the one before.

    :param flow: HxWx2 float32, pixels: new (x, y) + flow = old (x, y).
    :param reliable: HxW bool, the new pixel shows what the old one showed (not uncovered, not from outside).
    """

    flow: np.ndarray
    reliable: np.ndarray


class DisFlow:
    """Dense inverse search flow, checked by brightness.

    :param preset: OpenCV's DIS preset, 0 (ultrafast) to 2 (medium).
    """

    def __init__(self, preset: int) -> None:
        self._dis = cv2.DISOpticalFlow.create(preset)

    def flow(self, previous: np.ndarray, current: np.ndarray, guess: np.ndarray | None = None) -> np.ndarray:
        """Return the flow alone, as :meth:`motion` finds it."""
        if min(current.shape) < _SMALLEST:
            return np.zeros((*current.shape, 2), np.float32)
        begin = None if guess is None else guess.copy()  # written to
        return self._dis.calc(current, previous, begin)  # type: ignore[arg-type]

    def motion(self, previous: np.ndarray, current: np.ndarray, guess: np.ndarray | None = None) -> Motion:
        """Return the motion from ``previous`` to ``current``, both HxW uint8 grey.

        :param guess: HxWx2 float32, a flow that is about right already, where the images are far apart.
        """
        flow = self.flow(previous, current, guess)
        if min(current.shape) < _SMALLEST:
            return Motion(flow, np.ones(current.shape, bool))
        warped = warp(previous, flow, cv2.INTER_LINEAR)
        error = cv2.blur(cv2.absdiff(warped, current), (5, 5))
        x, y = sources(flow)
        h, w = current.shape
        inside = (x > -0.5) & (x < w - 0.5) & (y > -0.5) & (y < h - 0.5)
        return Motion(flow, inside & (error <= _MAX_ERROR))


def sources(flow: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return x and y (HxW float32) of the pixels that ``flow`` (HxWx2) points to."""
    h, w = flow.shape[:2]
    x = flow[..., 0] + np.arange(w, dtype=np.float32)
    y = flow[..., 1] + np.arange(h, dtype=np.float32)[:, None]
    return x, y


def warp(
    image: np.ndarray, flow: np.ndarray, interpolation: int = cv2.INTER_NEAREST, replicate: bool = False
) -> np.ndarray:
    """Sample ``image`` where ``flow`` points to; outside it is 0, or what the border shows (``replicate``)."""
    border = cv2.BORDER_REPLICATE if replicate else cv2.BORDER_CONSTANT
    return cv2.remap(image, *sources(flow), interpolation, borderMode=border, borderValue=0)
