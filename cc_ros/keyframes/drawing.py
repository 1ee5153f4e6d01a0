"""Draw numbered marks (paper section 3, step 4, and its ablations of size, outline and mask), masks and blurs."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from cc_ros.errors import SettingsError
from cc_ros.keyframes.types import Mark
from cc_ros.settings import knob

NAMED_COLOURS = {
    "red": (0, 0, 255),
    "green": (0, 160, 0),
    "blue": (255, 80, 0),
    "yellow": (0, 220, 255),
    "orange": (0, 128, 255),
    "magenta": (255, 0, 255),
    "cyan": (255, 220, 0),
    "white": (255, 255, 255),
    "black": (0, 0, 0),
}
BY_ID = "by_id"
FONT = cv2.FONT_HERSHEY_SIMPLEX
_ROUNDS, _PAIRS = 100, 1_000_000  # in which discs are moved apart: fewer of them for hundreds of discs


def colour(name: str, instance: int = 0) -> tuple[int, int, int]:
    """Return the BGR colour of a name, ``#rrggbb``, or ``by_id`` (well-told-apart hues by instance id).

    :raises SettingsError: no such colour.
    """
    if name == BY_ID:
        hue = np.array([[[int(instance * 0.618034 * 180) % 180, 200, 210]]], np.uint8)
        b, g, r = cv2.cvtColor(hue, cv2.COLOR_HSV2BGR)[0, 0]
        return int(b), int(g), int(r)
    if name in NAMED_COLOURS:
        return NAMED_COLOURS[name]
    if re.fullmatch(r"#[0-9a-fA-F]{6}", name):
        return int(name[5:7], 16), int(name[3:5], 16), int(name[1:3], 16)
    raise SettingsError(f"{name!r} is no colour; use #rrggbb, {BY_ID} or one of {', '.join(NAMED_COLOURS)}")


_PALETTE = np.array([colour(BY_ID, i) for i in range(256)], np.uint8)


@dataclass(frozen=True)
class MarkSettings:
    """How a mark looks; the paper compares diameters of 40, 60 and 80 px, outlines (help) and filled masks (hurt)."""

    diameter: int = knob(0, "diameter of a mark in pixels; 0 = a twelfth of the picture's shorter side", ge=0, le=1000)
    outline: bool = knob(True, "draw the contour of a marked object's mask")
    overlay: bool = knob(False, "fill a marked object's mask with a transparent colour")
    fill: str = knob("red", "colour of the disc: a name, #rrggbb, or by_id for one colour per object", valid=colour)
    text: str = knob("white", "colour of the number: a name or #rrggbb", valid=colour)

    def pixels(self, width: int, height: int) -> int:
        """Return the diameter for a picture of this size."""
        return self.diameter or max(12, round(min(width, height) / 12))

    def in_words(self) -> str:
        """Return what the marks look like, for whoever looks at the pictures; their size is left out."""
        fill = "coloured" if self.fill == BY_ID else self.fill
        words = f"a filled {fill} circle with a {self.text} number in the middle of the object"
        if self.outline:
            words += ", whose outline is drawn"
        if self.overlay:
            words += " and which is tinted" if self.outline else ", which is tinted"
        return words


def draw_marks(
    image: np.ndarray,
    marks: Sequence[Mark],
    labels: np.ndarray | None = None,
    settings: MarkSettings = MarkSettings(),
    numbers: Mapping[int, int] | None = None,
) -> None:
    """Draw the marks into ``image``.

    A disc that would leave the picture is moved inside; discs that would overlap are moved apart, and a line then
    leads from the disc to the object's centre.

    :param image: HxWx3 uint8 BGR, changed in place.
    :param marks: where; see :func:`cc_ros.keyframes.placement.mask_centre`.
    :param labels: HxW uint16, for outlines and overlays; None for marks given by hand.
    :param numbers: what to write for an id; the id itself where missing.
    """
    height, width = image.shape[:2]
    diameter = settings.pixels(width, height)
    if labels is not None:
        for mark in marks:
            _draw_mask(image, labels, mark.id, settings, max(2, diameter // 20))
    discs = place_discs([(mark.x, mark.y) for mark in marks], diameter, width, height)
    for mark, (x, y) in zip(marks, discs, strict=True):
        fill, text = colour(settings.fill, mark.id), colour(settings.text, mark.id)
        if np.hypot(x - mark.x, y - mark.y) > diameter / 2:
            cv2.line(
                image, (round(x), round(y)), (round(mark.x), round(mark.y)), fill, max(2, diameter // 16), cv2.LINE_AA
            )
        cv2.circle(image, (round(x), round(y)), diameter // 2, fill, cv2.FILLED, cv2.LINE_AA)
        _draw_number(image, str((numbers or {}).get(mark.id, mark.id)), (x, y), diameter, text)


def place_discs(centres: Sequence[tuple[float, float]], diameter: float, width: int, height: int) -> np.ndarray:
    """Return Nx2 disc centres as near to ``centres`` as fits: inside the picture and, where there is room, apart.

    :param centres: wanted (x, y) in pixels.
    :param diameter: of the discs, pixels.
    """
    radius = diameter / 2
    low = np.minimum([radius, radius], [width / 2, height / 2])
    high = np.maximum([width - 1 - radius, height - 1 - radius], [width / 2, height / 2])
    wanted = np.asarray(centres, dtype=float).reshape(-1, 2)
    discs = np.clip(wanted, low, high)
    count = len(discs)
    if count * diameter**2 > width * height:
        return discs
    for _ in range(min(_ROUNDS, max(_ROUNDS // 10, _PAIRS // max(count**2, 1)))):
        offset = discs[:, None] - discs[None]
        distance = np.hypot(offset[..., 0], offset[..., 1])
        np.fill_diagonal(distance, np.inf)
        overlap = diameter + 1 - distance
        if len(discs) < 2 or overlap.max() <= 0:
            break
        # two marks at one point part along a direction of their own
        a, b = np.nonzero(np.triu(distance < 1e-6, 1))
        angle = 2.4 * (a + b)
        offset[a, b] = np.stack([np.cos(angle), np.sin(angle)], axis=1)
        offset[b, a] = -offset[a, b]
        distance[a, b] = distance[b, a] = 1.0
        push = np.where(overlap > 0, overlap, 0)[..., None] * offset / distance[..., None]
        discs = np.clip(discs + push.sum(axis=1) / 2, low, high)
    return discs


def blur_objects(image: np.ndarray, labels: np.ndarray, ids: Sequence[int]) -> None:
    """Make the objects ``ids`` unrecognisable, in place.

    :param image: HxWx3 uint8 BGR.
    :param labels: HxW uint16.
    """
    height, width = image.shape[:2]
    mask = np.isin(labels, list(ids)).astype(np.uint8)
    if not mask.any():
        return
    margin = max(3, min(width, height) // 60) | 1
    grown = cv2.dilate(mask, np.ones((margin, margin), np.uint8))
    # Coarse blocks, not a Gaussian: what was in them cannot be computed back.
    x, y, w, h = cv2.boundingRect(grown)
    part = image[y : y + h, x : x + w]
    blocks = cv2.resize(part, (max(1, w * 8 // width), max(1, h * 8 // height)), interpolation=cv2.INTER_AREA)
    coarse = cv2.resize(blocks, (w, h), interpolation=cv2.INTER_LINEAR)
    np.copyto(part, coarse, where=grown[y : y + h, x : x + w, None].astype(bool))


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


def _draw_mask(image: np.ndarray, labels: np.ndarray, instance: int, settings: MarkSettings, thickness: int) -> None:
    if not (settings.outline or settings.overlay):
        return
    mask = (labels == instance).astype(np.uint8)
    x, y, w, h = cv2.boundingRect(mask)
    if not w:
        return
    part, inside = image[y : y + h, x : x + w], mask[y : y + h, x : x + w]
    fill = colour(settings.fill, instance)
    if settings.overlay:
        blend = cv2.addWeighted(part, 0.55, np.full_like(part, fill), 0.45, 0)
        np.copyto(part, blend, where=inside[..., None].astype(bool))
    if settings.outline:
        # Without anti-aliasing, which takes ten times as long along the many short pieces of a mask's border.
        contours, _ = cv2.findContours(inside, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
        cv2.drawContours(image, contours, -1, fill, thickness, cv2.LINE_8, offset=(x, y))


def _draw_number(image: np.ndarray, number: str, centre: tuple[float, float], diameter: int, text: tuple) -> None:
    (w, h), _ = cv2.getTextSize(number, FONT, 1.0, 2)
    scale = 0.62 * diameter / max(w, 1.15 * h)
    thickness = max(1, round(diameter / 16))
    (w, h), _ = cv2.getTextSize(number, FONT, scale, thickness)
    origin = round(centre[0] - w / 2), round(centre[1] + h / 2)
    cv2.putText(image, number, origin, FONT, scale, text, thickness, cv2.LINE_AA)
