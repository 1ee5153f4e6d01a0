"""Remember the shapes of given objects; the memory moves with them and fades."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from scipy.ndimage import find_objects

from cc_ros.tracking.flow import constants as const
from cc_ros.tracking.flow.superpixel_shares import owners
from cc_ros.tracking.flow.superpixels import Box, hull


@dataclass(frozen=True, slots=True)
class Patch:
    """A part of a map: the column and row of its upper left pixel, and its values (hxw float32)."""

    x: int
    y: int
    values: np.ndarray

    def within(self, box: Box) -> np.ndarray:
        """Return the values in a box of the map (float32, 0 outside the patch)."""
        rows, columns = box
        out = np.zeros((rows.stop - rows.start, columns.stop - columns.start), np.float32)
        h, w = self.values.shape
        y0, y1 = max(self.y, rows.start), min(self.y + h, rows.stop)
        x0, x1 = max(self.x, columns.start), min(self.x + w, columns.stop)
        if y1 > y0 and x1 > x0:
            part = self.values[y0 - self.y : y1 - self.y, x0 - self.x : x1 - self.x]
            out[y0 - rows.start : y1 - rows.start, x0 - columns.start : x1 - columns.start] = part
        return out

    def box(self, at_least: float) -> Box | None:
        """Return the box of what is larger than ``at_least``, or None."""
        x, y, w, h = cv2.boundingRect((self.values > at_least).astype(np.uint8))
        return np.s_[self.y + y : self.y + y + h, self.x + x : self.x + x + w] if w else None


_NOTHING = Patch(0, 0, np.zeros((1, 1), np.float32))


class ShapeMemory:
    """Where each object was seen or, hidden since, must be; the longer ago, the fainter.

    :param count: objects.
    """

    def __init__(self, count: int) -> None:
        self.patches = [_NOTHING] * count

    def move(self, motions: list[np.ndarray | None], hidden: np.ndarray, passed: float, size: tuple[int, int]) -> None:
        """Go on to a later frame.

        :param motions: for each object 2x3, from the new frame to the one before; None = unknown, it stays.
        :param hidden: n bool, little is seen of the object: its shape cannot be learned anew.
        :param passed: seconds.
        :param size: height and width of the frames, pixels.
        """
        fade = np.where(hidden, const.SHAPE_FADE_HIDDEN, const.SHAPE_FADE).astype(np.float32) ** np.float32(passed)
        for k, (patch, motion) in enumerate(zip(self.patches, motions, strict=True)):
            if patch is not _NOTHING:
                self.patches[k] = _moved(Patch(patch.x, patch.y, patch.values * fade[k]), motion, size)

    def remember(self, labels: np.ndarray, share: np.ndarray) -> None:
        """Add the objects as they are in this frame.

        :param labels: HxW int32, the region of each pixel.
        :param share: regions x count, 0..1, how much each region is each object.
        """
        for k, place in enumerate(find_objects(owners(share, const.SHAPE_FAINT)[labels], len(self.patches))):
            if place is not None:
                new, old = Patch(place[1].start, place[0].start, share[:, k][labels[place]]), self.patches[k]
                box = hull([place, *([known] if (known := old.box(const.SHAPE_FAINT)) else [])])
                self.patches[k] = Patch(box[1].start, box[0].start, np.maximum(new.within(box), old.within(box)))

    def resize(self, scale: tuple[float, float]) -> None:
        """Go on in images that are wider and higher by these factors."""
        for k, patch in enumerate(self.patches):
            if patch is not _NOTHING:
                h, w = patch.values.shape
                size = (max(round(w * scale[0]), 1), max(round(h * scale[1]), 1))
                place = (round(patch.x * scale[0]), round(patch.y * scale[1]))
                self.patches[k] = Patch(*place, cv2.resize(patch.values, size))


def _moved(patch: Patch, back: np.ndarray | None, size: tuple[int, int]) -> Patch:
    if back is None:
        return patch
    h, w = patch.values.shape
    corners = np.array([[0, 0], [w, 0], [0, h], [w, h]]) + np.array([patch.x, patch.y])
    forth = cv2.invertAffineTransform(back)
    corners = corners @ forth[:, :2].T + forth[:, 2]
    low = np.clip(np.floor(corners.min(axis=0)), 0, size[::-1]).astype(int)
    high = np.clip(np.ceil(corners.max(axis=0)), 0, size[::-1]).astype(int)
    if (high <= low).any():
        return _NOTHING
    shift = back[:, :2] @ low + back[:, 2] - (patch.x, patch.y)
    values = cv2.warpAffine(
        patch.values,
        np.column_stack([back[:, :2], shift]).astype(np.float32),
        (int(high[0] - low[0]), int(high[1] - low[1])),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
    )
    x, y, w, h = cv2.boundingRect((values > const.SHAPE_FAINT).astype(np.uint8))
    return Patch(int(low[0]) + x, int(low[1]) + y, values[y : y + h, x : x + w]) if w else _NOTHING
