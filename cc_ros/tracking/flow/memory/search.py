"""Finding a moving object again anywhere in the image, by its colours and size."""

from __future__ import annotations

import numpy as np
from scipy.sparse.csgraph import connected_components

from cc_ros.tracking.flow.appearance import ColourModels
from cc_ros.tracking.flow.superpixels import Grains

_RATE = 1.0  # a second, how fast the colours of an object and of everything else follow
_ALIKE = 1.5  # log odds, averaged over what may be the object
_SMALLER, _LARGER = 0.4, 2.5  # times the size that the object had
_TAKEN = 0.2  # share of a region; if more is an object, it is not another one
_RIVAL = 0.4  # share of the evidence for the best place; with more for a second one, nothing can tell


class ObjectSearch:
    """Knows objects by their colours among all that was in view with them.

    An object is found only where one place in the image looks like it, and like no other lost object. An object
    that was once seen beside its double is never looked for: what comes back may be the double.

    :param grains: all of the first frame.
    :param share: regions x n, how much of each region is each object.
    """

    def __init__(self, grains: Grains, share: np.ndarray) -> None:
        self._colours = ColourModels(grains.histograms, share, 1 - share)
        self._area = grains.area @ share
        self._doubled = np.zeros(share.shape[1], bool)

    def learn(self, grains: Grains, share: np.ndarray, seen: np.ndarray, passed: float) -> None:
        """See what the objects look like now, and whether they have doubles.

        :param grains: all of a frame.
        :param share: regions x n, how much of each region is each object.
        :param seen: n bool, those of them that are in view as a whole.
        :param passed: seconds since this was last done.
        """
        rate = 1 - np.exp(-_RATE * passed)
        self._colours.learn(grains.histograms, share, 1 - share, np.where(seen, rate, 0))
        self._area += np.where(seen, rate, 0) * (grains.area @ share - self._area)
        self._doubled |= np.array([len(found) > 0 for found in self._places(grains, share, seen)])

    def find(self, grains: Grains, owner: np.ndarray, lost: np.ndarray) -> dict[int, np.ndarray]:
        """Return by object (0..n-1) where it is (HxW bool).

        :param grains: all of a frame.
        :param owner: HxW int32, the objects that are followed.
        :param lost: n bool, those to look for.
        """
        places = self._places(grains, _shares(grains, owner, len(lost)), lost & ~self._doubled)
        found = {}
        for k, candidates in enumerate(places):
            if not candidates or (len(candidates) > 1 and candidates[1][0] > _RIVAL * candidates[0][0]):
                continue
            score, place = candidates[0]
            rivals = [s for j, other in enumerate(places) if j != k for s, p in other if (p & place).any()]
            if max(rivals, default=0) <= _RIVAL * score:
                found[k] = place[grains.labels]
        return found

    def _places(self, grains: Grains, share: np.ndarray, wanted: np.ndarray) -> list[list[tuple[float, np.ndarray]]]:
        """Return for each object the places (regions, bool) that may be it too, and the evidence, the best first."""
        places: list[list[tuple[float, np.ndarray]]] = [[] for _ in wanted]
        if not wanted.any():
            return places
        area, odds = grains.area, self._colours.odds(grains.histograms)
        free = share.max(axis=1) <= _TAKEN
        for k in np.flatnonzero(wanted):
            alike = free & (odds[:, k] > 0)
            part = np.zeros(len(area), int)
            part[alike] = connected_components(grains.links[alike][:, alike], directed=False)[1] + 1
            size = np.bincount(part, area)
            evidence = np.bincount(part, area * odds[:, k])
            fits = (size > _SMALLER * self._area[k]) & (size < _LARGER * self._area[k]) & (evidence > _ALIKE * size)
            fits[0] = False
            order = sorted(np.flatnonzero(fits).tolist(), key=lambda label: -evidence[label])
            places[k] = [(float(evidence[label]), part == label) for label in order]
        return places


def _shares(grains: Grains, owner: np.ndarray, count: int) -> np.ndarray:
    """Return how much each region is each object of a map (regions x count float32)."""
    cell = (grains.labels * (count + 1) + owner).ravel()
    shared = np.bincount(cell, minlength=len(grains.area) * (count + 1)).reshape(-1, count + 1)
    return np.asarray(shared[:, 1:] / grains.area[:, None], np.float32)
