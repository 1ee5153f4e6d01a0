"""What the layout of the room says about regions: which belong together, and which are objects.

Votes here are n x p float64: how many pixels of each of n regions have each label of ``room_layout``.
"""

from __future__ import annotations

import numpy as np

from cc_ros.tracking.region_graph import COUNT, B, L, RegionGraph
from cc_ros.tracking.room_layout import FLOOR, THINGS, UNKNOWN

# Log odds. What stands apart is hardly ever one object; what stands together may be two that touch.
_TOGETHER, _APART = 6.0, 10.0
_THING, _PLANE = 2.0, 4.0
_UNSURE = 0.1  # share of a region that must be known for its evidence to count by half
_PIECE, _PIECE_SHARE = 40, 0.15  # pixels and share of a region that a second thing in it must have
_ON_PLANE, _CLEAR = 0.7, 0.6  # shares of a region that make it a part of a plane, or of anything
_LIKE_L, _LIKE_AB = 12.0, 8.0  # CIE Lab; differences up to which a region on a plane looks like the plane itself


def agreement(share: np.ndarray, first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return for pairs of regions how much (0..1) both are of one owner, and how much of two different ones.

    :param share: n x t float64, share of each region that each of t owners claims.
    """
    known = share.sum(axis=1)
    same = np.einsum("et,et->e", share[first], share[second])
    return same, known[first] * known[second] - same


def votes(labels: np.ndarray, claims: np.ndarray, count: int) -> np.ndarray:
    """Return how many pixels of each region (HxW int32) have each of ``count`` claims (HxW int32, from 0 on)."""
    regions = int(labels.max()) + 1
    cell = (labels * np.int32(count) + claims).ravel()
    return np.bincount(cell, minlength=regions * count).reshape(regions, count).astype(float)


def split(labels: np.ndarray, layout: np.ndarray, parts: int) -> np.ndarray:
    """Return the regions (HxW int32), cut where one is part of two things that no edge of the image shows."""
    of = votes(labels, layout, parts)
    large = of > np.maximum(_PIECE, _PIECE_SHARE * of.sum(axis=1))[:, None]
    large[:, UNKNOWN] = False
    large[np.arange(len(of)), FLOOR + of[:, FLOOR:].argmax(axis=1)] = False  # the largest part keeps the number
    number = np.repeat(np.arange(len(of), dtype=np.int32), parts)
    pieces = np.flatnonzero(large)
    number[pieces] = len(of) + np.arange(len(pieces))
    return number[labels * np.int32(parts) + layout]


def pair_odds(graph: RegionGraph, votes: np.ndarray) -> np.ndarray:
    """Return the log odds (e) that the layout adds to merging the two sides of each border.

    Two regions of one plane gain nothing: pictures and rugs lie in planes as well.
    """
    known = votes[:, FLOOR:].sum(axis=1) + _UNSURE * graph.regions[:, COUNT]
    share = votes[:, FLOOR:] / known[:, None]
    plane, things = share[:, : THINGS - FLOOR].sum(axis=1), share[:, THINGS - FLOOR :]
    same, other = agreement(things, graph.first, graph.second)
    thing = things.sum(axis=1)
    mixed = plane[graph.first] * thing[graph.second] + thing[graph.first] * plane[graph.second]
    return _TOGETHER * same - _APART * (other + mixed)


def object_odds(graph: RegionGraph, votes: np.ndarray) -> np.ndarray:
    """Return the log odds (n) that the layout adds to being an object.

    Things gain; a plane loses, and so does what lies in it and looks like it: floor between the legs of a chair.
    """
    area = graph.regions[:, COUNT]
    colour = graph.regions[:, L : B + 1] / area[:, None]
    odds = _THING * votes[:, THINGS:].sum(axis=1) / area
    for plane in range(FLOOR, THINGS):
        on = np.flatnonzero(votes[:, plane] > _ON_PLANE * area)
        if len(on):
            apart = np.abs(colour[on] - colour[on[area[on].argmax()]])
            like = (apart[:, 0] < _LIKE_L) & (np.hypot(apart[:, 1], apart[:, 2]) < _LIKE_AB)
            odds[on[like]] -= _PLANE
    return odds


def main_part(graph: RegionGraph, votes: np.ndarray) -> np.ndarray:
    """Return the label of ``room_layout`` that most of each region has (n int64), UNKNOWN where none is clear."""
    main = FLOOR + votes[:, FLOOR:].argmax(axis=1)
    clear = votes[np.arange(len(main)), main] > _CLEAR * graph.regions[:, COUNT]
    return np.where(clear, main, UNKNOWN)
