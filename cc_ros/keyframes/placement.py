"""Where on an object its mark goes: the centre of its mask, unless something else is seen there."""

from __future__ import annotations

import cv2
import numpy as np

from cc_ros.keyframes.centre import mask_centre

_MARGIN = 0.25  # sizes of the object: how far around it its surroundings reach
_DETAIL = 160  # pixels; larger views are looked at in steps
_BINS = (12, 32, 32)  # of a colour histogram, Lab
_FLOOR = 1e-4  # share of a histogram below which a colour says nothing
_WINDOW = 5  # steps; what a mark covers
_TYPICAL = 0.6  # times the log odds that a quarter of the object exceeds: this much like the object is its mark's place


def mark_place(image: np.ndarray, mask: np.ndarray) -> tuple[int, int]:
    """Return the pixel (x, y) of an object's mark.

    That is :func:`cc_ros.keyframes.centre.mask_centre`. Masks fill gaps, such as those between the slats of a chair's
    back; where the centre has colours of the surroundings rather than of the object, the nearest place that looks like
    the object is taken, so that equal marks lie on one thing in all frames.

    :param image: HxWx3 uint8 BGR.
    :param mask: HxW bool, not empty.
    :raises ValueError: no pixel is set.
    """
    centre = mask_centre(mask)
    x, y, width, height = cv2.boundingRect(mask.view(np.uint8))
    margin = int(_MARGIN * max(width, height)) + _WINDOW
    left, top = max(x - margin, 0), max(y - margin, 0)
    step = -(-(max(width, height) + 2 * margin) // _DETAIL)
    part = np.s_[top : y + height + margin : step, left : x + width + margin : step]
    inside = np.ascontiguousarray(mask[part]).view(np.uint8)
    if not inside.any() or inside.all():
        return centre
    odds = _odds(cv2.cvtColor(np.ascontiguousarray(image[part]), cv2.COLOR_BGR2LAB), inside)
    least = max(_TYPICAL * float(np.percentile(odds[inside > 0], 75)), 0.0)
    column = min((centre[0] - left) // step, odds.shape[1] - 1)
    row = min((centre[1] - top) // step, odds.shape[0] - 1)
    if odds[row, column] > least:
        return centre
    good = ((odds > least) & (inside > 0)).astype(np.uint8)
    core = cv2.erode(good, np.ones((3, 3), np.uint8))
    rows, columns = np.nonzero(core if core.any() else good)
    if not len(rows):
        return centre
    nearest = int(((rows - row) ** 2 + (columns - column) ** 2).argmin())
    return left + int(columns[nearest]) * step, top + int(rows[nearest]) * step


def _odds(lab: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Return how much more likely each colour is in the object than around it (HxW float32, log odds).

    :param lab: HxWx3 uint8.
    :param inside: HxW uint8, 1 in the object.
    """
    models = [_histogram(lab, where) for where in (inside, 1 - inside)]
    table = np.log((models[0] + _FLOOR) / (models[1] + _FLOOR))
    light, green, blue = (lab[..., k].astype(np.int32) * bins // 256 for k, bins in enumerate(_BINS))
    return cv2.blur(table[light, green, blue], (_WINDOW, _WINDOW))


def _histogram(lab: np.ndarray, where: np.ndarray) -> np.ndarray:
    counts = cv2.calcHist([lab], [0, 1, 2], where, list(_BINS), [0, 256] * 3)
    for axis in range(3):  # colours next to each other are alike
        counts = 0.5 * counts + 0.25 * (np.roll(counts, 1, axis) + np.roll(counts, -1, axis))
    return np.asarray(counts / max(counts.sum(), 1), np.float32)
