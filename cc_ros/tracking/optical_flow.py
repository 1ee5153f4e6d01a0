"""Dense optical flow between two frames, and warping by it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

_SMALLEST = 12  # pixels; DIS refuses smaller images
_MAX_ERROR = 25.0  # grey levels; larger differences after the warp mean another surface
_COARSE = 4  # factor that images are shrunk by to find a common shift; 2 and 8 find the same on a walk


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

    It alone loses track of images that moved by a tenth of their width, so that it begins from their common shift.

    :param preset: OpenCV's DIS preset, 0 (ultrafast) to 2 (medium).
    """

    def __init__(self, preset: int) -> None:
        self._dis = cv2.DISOpticalFlow.create(preset)

    def flow(self, previous: np.ndarray, current: np.ndarray, guess: np.ndarray | None = None) -> np.ndarray:
        """Return the flow alone, as :meth:`motion` finds it."""
        if min(current.shape) < _SMALLEST:
            return np.zeros((*current.shape, 2), np.float32)
        begin = _common_shift(previous, current) if guess is None else guess.copy()  # written to
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


def _common_shift(previous: np.ndarray, current: np.ndarray) -> np.ndarray | None:
    """Return the flow (HxWx2 float32) of one shift for all of the image, None where none explains it better.

    By phase correlation (Kuglin and Hines 1975) of small images.
    """
    height, width = current.shape
    size = (width // _COARSE, height // _COARSE)
    old, new = (cv2.resize(i, size, interpolation=cv2.INTER_AREA).astype(np.float32) for i in (previous, current))
    window = _window(size)
    x, y = (round(shift) for shift in cv2.phaseCorrelate(new * window, old * window)[0])
    (new_rows, old_rows), (new_columns, old_columns) = _overlap(size[1], y), _overlap(size[0], x)
    here, there = new[new_rows, new_columns], old[old_rows, old_columns]
    if not (here.size and np.abs(there - here).mean() < np.abs(old - new).mean()):
        return None
    flow = np.empty((height, width, 2), np.float32)
    flow[:] = x * width / size[0], y * height / size[1]
    return flow


@lru_cache(4)
def _window(size: tuple[int, int]) -> np.ndarray:
    return cv2.createHanningWindow(size, cv2.CV_32F)


def _overlap(length: int, shift: int) -> tuple[slice, slice]:
    """Return the part of a row of pixels that a shift keeps in it, in the new image and in the old one."""
    begin, end = max(0, -shift), max(0, min(length, length - shift))
    return slice(begin, end), slice(begin + shift, max(0, end + shift))


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
