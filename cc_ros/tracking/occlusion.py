"""Pieces of one thing that something nearer cuts apart, such as a rug under a table (amodal completion)."""

from __future__ import annotations

import cv2
import numpy as np

from cc_ros.tracking.proposals import Regions

_ALIKE_L, _ALIKE_AB = 8.0, 8.0  # CIE Lab; pieces differ less in their mean colour,
_SHADED = 0.2  # times the chroma more in lightness: light falls unevenly
_EVEN = 12.0  # grey levels; their spreads differ less, or by half
_SOLID = 0.5  # share of the pieces' hull that the pieces themselves make up
_REACH = 3.0  # times the smaller piece; more than this is not hidden between two pieces
_BEHIND, _RAGGED = 0.1, 0.02  # shares of the rest of the hull and of all of it that may be background


def spreads(image: np.ndarray, regions: Regions) -> np.ndarray:
    """Return the standard deviation of the brightness within each region (n float64, grey levels).

    :param image: HxWx3 uint8 BGR.
    """
    grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY).astype(np.float64).ravel()
    labels, count = regions.labels.ravel(), len(regions.area)
    mean, square = (np.bincount(labels, values, count) / regions.area for values in (grey, grey * grey))
    return np.asarray(np.sqrt(np.maximum(square - mean * mean, 0)))


def pieces(
    regions: Regions, background: np.ndarray, candidates: np.ndarray, spread: np.ndarray | None = None
) -> list[tuple[int, int]]:
    """Return the pairs of regions that are pieces of one thing.

    They have one colour and are as even, and what lies between them is nearer and not much larger than they are: the
    silhouette of a flat or convex thing has no gaps (Gestalt law of good continuation), hence no background may be seen
    inside the convex hull of its pieces. Where they touch, their border must not divide two things.

    :param background: n bool, the regions of walls, floor and ceiling.
    :param candidates: the regions that may be pieces (c int64).
    :param spread: n float64, see :func:`spreads`; None = pieces need not be equally even.
    """
    outlines: dict[int, np.ndarray] = {}

    def whole(a: int, b: int) -> bool:
        for region in (a, b):
            if region not in outlines:
                outlines[region] = _outline(regions.labels == region)
        hull = cv2.convexHull(np.concatenate([outlines[a], outlines[b]]))
        gap = cv2.contourArea(hull) - cv2.contourArea(outlines[a]) - cv2.contourArea(outlines[b])
        return gap < _REACH * regions.area[[a, b]].min() and _gapless(regions, background, hull, [a, b])

    alike = _alike(regions.colour[candidates]) & ~regions.divided[np.ix_(candidates, candidates)]
    if spread is not None:
        alike &= _even(spread[candidates])
    pairs = ((int(candidates[i]), int(candidates[j])) for i, j in np.argwhere(np.triu(alike, 1)))
    return [(a, b) for a, b in pairs if whole(a, b)]


def gapless(regions: Regions, background: np.ndarray, region: int) -> bool:
    """Return whether a region is the silhouette of one flat or convex thing, as far as nothing nearer hides it."""
    return _gapless(regions, background, _outline(regions.labels == region), [region])


def _alike(colour: np.ndarray) -> np.ndarray:
    """Return which of these colours (c x 3 CIE Lab) are about the same (c x c bool)."""
    light, *chromatic = np.abs(colour[:, None] - colour).transpose(2, 0, 1)
    chroma = np.hypot(colour[:, 1], colour[:, 2])
    same_light = light < _ALIKE_L + _SHADED * np.minimum(chroma[:, None], chroma)
    return np.asarray(same_light & (np.hypot(*chromatic) < _ALIKE_AB))


def _even(spread: np.ndarray) -> np.ndarray:
    """Return which of these spreads (c) are about the same (c x c bool)."""
    return np.asarray(np.abs(spread[:, None] - spread) < _EVEN + 0.5 * np.minimum(spread[:, None], spread))


def _outline(mask: np.ndarray) -> np.ndarray:
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    return cv2.convexHull(np.concatenate(contours))


def _gapless(regions: Regions, background: np.ndarray, hull: np.ndarray, own: list[int]) -> bool:
    if regions.area[own].sum() <= _SOLID * cv2.contourArea(hull):  # cheap; most pairs end here
        return False
    x, y, width, height = cv2.boundingRect(hull)
    inside = np.zeros((height, width), np.uint8)
    cv2.fillConvexPoly(inside, hull - (x, y), 1)
    count = np.bincount(regions.labels[y : y + height, x : x + width][inside > 0], minlength=len(regions.area))
    whole, mine = count.sum(), count[own].sum()
    count[own] = 0
    return bool(mine > _SOLID * whole and count[background].sum() <= _BEHIND * (whole - mine) + _RAGGED * whole)
