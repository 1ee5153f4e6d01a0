"""Re-identify objects by their place in the world, from whatever side they are seen (depth and odometry)."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from cc_ros.tracking.flow import constants as const
from cc_ros.tracking.flow.depth import DepthView

_SLOTS = 1 << 18  # 5 MB; a cell whose slot is taken takes it over
_STRIDE = 2  # pixels


@dataclass(frozen=True, slots=True)
class _Sight:
    """Pixels of a frame (n each) with the cells that they fall into."""

    y: np.ndarray
    x: np.ndarray
    code: np.ndarray
    slot: np.ndarray
    colour: np.ndarray  # n x 3 int16, 8-bit Lab


class PlaceMemory:
    """The ids of cells of space, in a table of constant size.

    A pose that is wrong, or has drifted, shows: what is found differs from what was there, or contradicts the flow.
    Then nothing is recalled, and :mod:`~cc_ros.tracking.flow.memory.views` decides.
    """

    def __init__(self) -> None:
        self._code = np.full(_SLOTS, -1, np.int64)
        self._key = np.zeros(_SLOTS, np.int32)
        self._colour = np.zeros((_SLOTS, 3), np.int16)
        self._sight: _Sight | None = None

    def recall(self, view: DepthView, image: np.ndarray, carried: np.ndarray) -> np.ndarray:
        """Return the ids (HxW int32, 0 = unknown) that were seen at the places which this frame shows.

        :param image: HxWx3 uint8 BGR.
        :param carried: HxW int32, the ids that the flow carried into this frame.
        """
        ids = np.zeros(carried.shape, np.int32)
        if view.pose is None:
            self._sight = None
            return ids
        sight = self._sight = _sight(view, view.pose, image)
        found = self._code[sight.slot] == sight.code
        alike = found & (np.abs(sight.colour - self._colour[sight.slot]).max(axis=1) < const.CELL_COLOUR)
        known, flown = np.where(alike, self._key[sight.slot], 0), carried[sight.y, sight.x]
        both = (known > 0) & (flown > 0)
        right = both & (known == flown)
        agreeing = alike.sum() >= const.CELL_AGREEING * found.sum() and right.sum() >= const.CELL_AGREEING * both.sum()
        if found.sum() < const.CELL_PIXELS or not agreeing:
            return ids
        small = ids[::_STRIDE, ::_STRIDE].copy()
        small[sight.y // _STRIDE, sight.x // _STRIDE] = known
        return cv2.resize(small, carried.shape[::-1], interpolation=cv2.INTER_NEAREST)

    def remember(self, keys: np.ndarray) -> None:
        """Keep the ids (HxW int32) of the frame last given to ``recall``."""
        if self._sight is not None:
            sight, self._sight = self._sight, None
            self._code[sight.slot], self._colour[sight.slot] = sight.code, sight.colour
            self._key[sight.slot] = keys[sight.y, sight.x]

    def rename(self, old: int, new: int) -> None:
        """Take what was remembered as ``old`` for ``new`` from now on."""
        self._key[self._key == old] = new


def _sight(view: DepthView, pose: np.ndarray, image: np.ndarray) -> _Sight:
    points, known = view.at(_STRIDE)
    rows, columns = np.nonzero(known)
    y, x = _STRIDE * rows, _STRIDE * columns
    world = points[known] @ pose[:3, :3].T.astype(np.float32) + pose[:3, 3].astype(np.float32)
    cell = np.floor(world / const.CELL_SIZE).astype(np.int64) & 0xFFFFF
    code = (cell[:, 0] << 40) | (cell[:, 1] << 20) | cell[:, 2]
    mixed = (code ^ (code >> 20) ^ (code >> 40)) * np.int64(-7046029254386353131)  # neighbouring cells lie on planes
    slot = ((mixed ^ (mixed >> 29)) * np.int64(-4658895280553007687) >> 46) & (_SLOTS - 1)
    colour = cv2.cvtColor(image, cv2.COLOR_BGR2LAB)[y, x].astype(np.int16)
    return _Sight(y, x, code, slot, colour)
