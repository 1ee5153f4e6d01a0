"""Search the whole image for a lost object that moves, by its colours and size."""

from __future__ import annotations

import numpy as np
from scipy.sparse.csgraph import connected_components

from cc_ros.tracking.flow import constants as const
from cc_ros.tracking.flow.appearance import ColourModels
from cc_ros.tracking.flow.superpixels import Superpixels


class ObjectSearch:
    """Knows objects by their colours among all that was in view with them.

    An object is found only where one place in the image has its colours, and those of no other lost object. An object
    that was once seen beside its double is never searched for: what comes back may be the double.

    :param superpixels: all of the first frame.
    :param share: regions x n, how much of each region is each object.
    """

    def __init__(self, superpixels: Superpixels, share: np.ndarray) -> None:
        self._colours = ColourModels(superpixels.histograms, share, 1 - share)
        self._area = superpixels.area @ share
        self._doubled = np.zeros(share.shape[1], bool)

    def learn(self, superpixels: Superpixels, share: np.ndarray, seen: np.ndarray, passed: float) -> None:
        """Learn the colours of the objects, and whether they have doubles.

        :param superpixels: all of a frame.
        :param share: regions x n, how much of each region is each object.
        :param seen: n bool, those of them that are in view as a whole.
        :param passed: seconds since this was last done.
        """
        rate = 1 - np.exp(-const.SEARCH_RATE * passed)
        self._colours.learn(superpixels.histograms, share, 1 - share, np.where(seen, rate, 0))
        self._area += np.where(seen, rate, 0) * (superpixels.area @ share - self._area)
        self._doubled |= np.array([len(found) > 0 for found in self._places(superpixels, share, seen)])

    def find(self, superpixels: Superpixels, owner: np.ndarray, lost: np.ndarray) -> dict[int, np.ndarray]:
        """Return by object (0..n-1) where it is (HxW bool).

        :param superpixels: all of a frame.
        :param owner: HxW int32, the objects that are followed.
        :param lost: n bool, those to search for.
        """
        places = self._places(superpixels, _shares(superpixels, owner, len(lost)), lost & ~self._doubled)
        found = {}
        for k, candidates in enumerate(places):
            if not candidates or (len(candidates) > 1 and candidates[1][0] > const.SEARCH_RIVAL * candidates[0][0]):
                continue
            score, place = candidates[0]
            rivals = [s for j, other in enumerate(places) if j != k for s, p in other if (p & place).any()]
            if max(rivals, default=0) <= const.SEARCH_RIVAL * score:
                found[k] = place[superpixels.labels]
        return found

    def _places(
        self, superpixels: Superpixels, share: np.ndarray, wanted: np.ndarray
    ) -> list[list[tuple[float, np.ndarray]]]:
        """Return for each object the places (regions, bool) that may be it too, and the evidence, the best first."""
        places: list[list[tuple[float, np.ndarray]]] = [[] for _ in wanted]
        if not wanted.any():
            return places
        area, odds = superpixels.area, self._colours.odds(superpixels.histograms)
        free = share.max(axis=1) <= const.SEARCH_TAKEN
        for k in np.flatnonzero(wanted):
            alike = free & (odds[:, k] > 0)
            part = np.zeros(len(area), int)
            part[alike] = connected_components(superpixels.links[alike][:, alike], directed=False)[1] + 1
            size = np.bincount(part, area)
            evidence = np.bincount(part, area * odds[:, k])
            fits = (size > const.SEARCH_SMALLEST * self._area[k]) & (size < const.SEARCH_LARGEST * self._area[k])
            fits &= evidence > const.SEARCH_ODDS * size
            fits[0] = False
            order = sorted(np.flatnonzero(fits).tolist(), key=lambda label: -evidence[label])
            places[k] = [(float(evidence[label]), part == label) for label in order]
        return places


def _shares(superpixels: Superpixels, owner: np.ndarray, count: int) -> np.ndarray:
    """Return how much each region is each object of a map (regions x count float32)."""
    cell = (superpixels.labels * (count + 1) + owner).ravel()
    shared = np.bincount(cell, minlength=len(superpixels.area) * (count + 1)).reshape(-1, count + 1)
    return np.asarray(shared[:, 1:] / superpixels.area[:, None], np.float32)
