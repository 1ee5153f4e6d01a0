"""Reads the marks off a picture, as a model does: which number lies where."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import cv2
import numpy as np

from cc_ros.keyframes.drawing import MarkSettings, draw_marks
from cc_ros.keyframes.types import Mark

FILL = "magenta"  # of marks that can be read: no furniture has it
LOOK = MarkSettings(fill=FILL, outline=False)
NUMBERS = 400  # ids that are tried
_WHOLE = 0.85  # share of a disc's rim that must have its colour
_ALIKE = 0.5  # correlation with a drawn number


class SeenMark(NamedTuple):
    """A mark in a picture: its number, and the pixel (x, y) that it stands for."""

    id: int
    x: float
    y: float


def read_marks(picture: np.ndarray) -> list[SeenMark]:
    """Return the marks in a picture whose marks look like ``LOOK``.

    :param picture: HxWx3 uint8 BGR.
    """
    height, width = picture.shape[:2]
    diameter = LOOK.pixels(width, height)
    blue, green, red = (picture[..., channel].astype(np.int16) for channel in range(3))
    purple = np.minimum(blue, red) - green
    rim = cv2.filter2D((purple > 150).astype(np.float32), -1, _rim(diameter), borderType=cv2.BORDER_CONSTANT)
    rim = cv2.GaussianBlur(rim, (5, 5), 0)  # the best places are a few: their middle is meant
    discs: list[tuple[int, int]] = []
    while (peak := cv2.minMaxLoc(rim))[1] >= _WHOLE:
        discs.append((int(peak[3][0]), int(peak[3][1])))
        cv2.circle(rim, discs[-1], diameter // 2, 0, cv2.FILLED)
    lines = (purple > 70).astype(np.uint8)
    for disc in discs:
        cv2.circle(lines, disc, diameter // 2 + 2, 0, cv2.FILLED)
    numbers = [_number(picture, *disc, diameter) for disc in discs]
    return [
        SeenMark(number, *_end_of_line(lines > 0, *disc, diameter / 2))
        for number, disc in zip(numbers, discs, strict=True)
        if number
    ]


def _rim(diameter: int) -> np.ndarray:
    """Return a kernel that measures the share of a disc's rim, outside the number, that is coloured."""
    half = diameter // 2 + 1
    y, x = np.mgrid[-half : half + 1, -half : half + 1]
    far = np.hypot(x, y) / (diameter / 2)
    rim = ((far > 0.72) & (far < 0.93)).astype(np.float32)
    return rim / rim.sum()


def _patch(picture: np.ndarray, x: int, y: int, diameter: int) -> np.ndarray | None:
    """Return the white of a disc's inside, with mean 0 and norm 1; None where there is none."""
    half = round(0.36 * diameter)
    part = picture[max(0, y - half) : y + half + 1, max(0, x - half) : x + half + 1, 1].astype(np.float32)
    if part.shape != (2 * half + 1, 2 * half + 1):
        return None
    part = part - part.mean()
    norm = float(np.linalg.norm(part))
    return part / norm if norm > 1 else None


def _number(picture: np.ndarray, x: int, y: int, diameter: int) -> int:
    """Return the number on a disc, 0 where none is read."""
    here = [
        patch
        for dx in range(-2, 3)
        for dy in range(-2, 3)
        if (patch := _patch(picture, x + dx, y + dy, diameter)) is not None
    ]
    if not here:
        return 0
    alike = (np.stack([patch.ravel() for patch in here]) @ _drawn(diameter).T).max(axis=0)
    best = int(alike.argmax())
    return best + 1 if alike[best] > _ALIKE else 0


@cache
def _drawn(diameter: int) -> np.ndarray:
    """Return the patches of all numbers as they are drawn, one a row."""
    side, rows = 2 * diameter, []
    for number in range(1, NUMBERS + 1):
        canvas = np.full((side, side, 3), 128, np.uint8)
        settings = MarkSettings(diameter=diameter, fill=FILL, outline=False)
        draw_marks(canvas, [Mark(id=number, x=diameter, y=diameter, area=1)], None, settings)
        patch = _patch(canvas, diameter, diameter, diameter)
        assert patch is not None
        rows.append(patch.ravel())
    return np.stack(rows)


def _end_of_line(purple: np.ndarray, x: int, y: int, radius: float) -> tuple[float, float]:
    """Return the pixel that a mark stands for: its disc's middle, or the end of the line that leads away from it."""
    reach = np.arange(radius + 3, 8 * radius)
    best, end = 0.6 * radius, (float(x), float(y))
    for angle in np.linspace(0, 2 * np.pi, 180, endpoint=False):
        xs = np.round(x + np.cos(angle) * reach).astype(int)
        ys = np.round(y + np.sin(angle) * reach).astype(int)
        inside = (xs >= 0) & (ys >= 0) & (xs < purple.shape[1]) & (ys < purple.shape[0])
        lit = purple[ys[inside], xs[inside]]
        length = int(np.argmin(lit)) if not lit.all() else len(lit)
        if length > best:
            best = length
            end = float(xs[inside][length - 1]), float(ys[inside][length - 1])
    return end
