"""Deciding which region continues which track."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from cc_ros.tracking.occlusion import pieces
from cc_ros.tracking.proposals import Regions
from cc_ros.tracking.room_layout import THINGS, UNKNOWN

# Differences of mean colour (CIE Lab) beyond which two regions apart from each other are two objects.
_UNLIKE_L, _UNLIKE_AB = 9.0, 8.0
_CHANGE = 2.0  # how many times that far a track may be from how it looked so far
_MAIN = 0.25  # share of the largest region below which a region cannot be the main one
_PART = 0.15  # share of the main region below which what a border divides from it may be a detail of it


def owners(regions: Regions, colours: Mapping[int, np.ndarray]) -> np.ndarray:
    """Return the id in ``regions.ids`` that each region continues, 0 where it continues none (n int64).

    A region continues the track that it agrees with best (IoU), if what they share is most of the region or most of
    the track, and if the region still looks like the track: flow and recall may put a track onto what is behind it.
    (Counting pixels instead of IoU would let the leak of a large neighbour outvote a small object that enters.)

    :param colours: mean CIE Lab (3 float64) of tracks as they were so far.
    """
    if len(regions.ids) == 1:
        return np.zeros(len(regions.area), np.int64)
    size = regions.votes.sum(axis=0)
    union = regions.area[:, None] + size - regions.votes
    best = (regions.votes / union)[:, 1:].argmax(axis=1) + 1
    shared = regions.votes[np.arange(len(best)), best]
    known = np.array([colours.get(key, np.full(3, np.nan)) for key in regions.ids[best].tolist()])
    most = (shared > 0.5 * regions.area) | ((shared > 0.5 * size[best]) & (shared > 0.15 * regions.area))
    accepted = most & ~_unlike(regions.colour, known, _CHANGE)
    owner = np.where(accepted, regions.ids[best], 0)
    _release_pieces(regions, owner, shared, colours)
    return owner


def _release_pieces(regions: Regions, owner: np.ndarray, shared: np.ndarray, colours: Mapping[int, np.ndarray]) -> None:
    """Take from a track the regions that are not what its main region is: by colour, by depth, or by their border.

    Two objects were taken for one, or an object and what is behind it.

    The main region is the one that looks most like the track did so far, of those that are not small parts of it.
    """
    for key in np.unique(owner[owner > 0]).tolist():
        mine = np.flatnonzero(owner == key)
        if len(mine) == 1:
            continue
        likely = mine[shared[mine] > _MAIN * shared[mine].max()]
        known = colours.get(key)
        main = mine[shared[mine].argmax()]
        if known is not None:
            main = likely[np.linalg.norm(regions.colour[likely] - known, axis=1).argmin()]
        unlike = _unlike(regions.colour[mine], regions.colour[main])
        part, other = regions.part[mine], regions.part[main]
        unlike |= (part != other) & (np.minimum(part, other) > UNKNOWN) & (np.minimum(part, other) < THINGS)
        things = (part != other) & (np.minimum(part, other) >= THINGS) & (shared[mine] > _MAIN * shared[mine].max())
        for position in np.flatnonzero(things).tolist():
            unlike[position] |= _apart(regions, int(mine[position]), int(main))
        unlike |= regions.divided[main, mine] & (regions.area[mine] > _PART * regions.area[main])
        owner[mine[unlike & (mine != main)]] = 0


def _apart(regions: Regions, one: int, other: int) -> bool:
    """Return whether two regions that stand apart on the floor are two things: nothing may hide what joins them.

    What is nearer may hide it, and the border of the image may cut it off.
    """
    labels = regions.labels
    for edge in (labels[0], labels[-1], labels[:, 0], labels[:, -1]):
        if (edge == one).any() and (edge == other).any():
            return False
    return not pieces(regions, (regions.objectness < 0) | regions.on_plane, np.array([one, other]))


def _unlike(colour: np.ndarray, other: np.ndarray, scale: float = 1.0) -> np.ndarray:
    """Return which colours (n x 3 CIE Lab) are too far from the other ones to be those of one object."""
    difference = np.abs(colour - other) / scale
    return (difference[:, 0] > _UNLIKE_L) | (np.hypot(difference[:, 1], difference[:, 2]) > _UNLIKE_AB)


def shared(regions: Regions) -> Iterator[tuple[int, np.ndarray]]:
    """Yield each region that two or more tracks are mostly inside of, and these tracks."""
    size = np.maximum(regions.votes.sum(axis=0), 1)
    inside = (regions.votes > 0.5 * size) & (regions.votes > 0.15 * regions.area[:, None])
    inside[:, 0] = False
    for region in np.flatnonzero(inside.sum(axis=1) > 1).tolist():
        yield region, regions.ids[inside[region]]


def paint(regions: Regions, owner: np.ndarray, prior: np.ndarray) -> np.ndarray:
    """Return the new map of ids (HxW int32).

    Two tracks that are both mostly inside one region keep their pixels of the prior map (HxW int32): such a region
    is two objects that look alike, and neither may swallow the other.
    """
    labels = owner[regions.labels].astype(np.int32)
    for region, tracks in shared(regions):
        kept = (regions.labels == region) & np.isin(prior, tracks)
        labels[kept] = prior[kept]
    return labels
