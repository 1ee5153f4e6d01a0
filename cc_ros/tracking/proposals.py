"""Splitting one image into whole objects and background, in agreement with what is already being followed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

import cv2
import numpy as np

from cc_ros.tracking.depth import DepthView, depth_steps
from cc_ros.tracking.label_maps import compact
from cc_ros.tracking.region_graph import COUNT, B, L, RegionGraph, merge, region_graph
from cc_ros.tracking.region_model import object_features, pair_features
from cc_ros.tracking.region_weights import OBJECT, SAME
from cc_ros.tracking.superpixels import superpixels

_WIDTH = 320  # pixels; what the affinity was fitted on


@dataclass(frozen=True, slots=True)
class Regions:
    """An image split into regions.

    :param labels: HxW int32, 0..n-1.
    :param area: n float64, pixels.
    :param colour: n x 3 float64, mean CIE Lab.
    :param objectness: n float64, log odds of being an object rather than a part of a wall, floor or ceiling.
    :param ids: t int64, the distinct ids of the prior map, 0 first.
    :param votes: n x t float64, pixels of each region that carry each of ``ids``.
    """

    labels: np.ndarray
    area: np.ndarray
    colour: np.ndarray
    objectness: np.ndarray
    ids: np.ndarray
    votes: np.ndarray


class Proposer(Protocol):
    """Finds the regions of an image that may be objects."""

    def regions(self, image: np.ndarray) -> np.ndarray:
        """Return HxW int32: 0 = background, 1.. = regions that may be objects, for an HxWx3 uint8 BGR image."""
        ...


class RegionProposer:
    """Superpixels, merged bottom-up by a fitted affinity that earlier frames support or oppose.

    :param threshold: log odds above which two neighbours are merged.
    :param memory: log odds that the prior map adds where it says one object, and takes where it says two.
    """

    def __init__(self, threshold: float = 1.5, memory: float = 2.5) -> None:
        self._threshold = threshold
        self._memory = memory

    def regions(self, image: np.ndarray) -> np.ndarray:
        """Return HxW int32: 0 = background, 1.. = regions that may be objects, for an HxWx3 uint8 BGR image."""
        height, width = image.shape[:2]
        size = (min(_WIDTH, width), max(round(height * min(_WIDTH, width) / width), 1))
        small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        found = self.propose(self.grains(small), np.zeros(small.shape[:2], np.int32))
        numbers = np.where(found.objectness > 0, np.cumsum(found.objectness > 0), 0).astype(np.int32)
        return cv2.resize(numbers[found.labels], (width, height), interpolation=cv2.INTER_NEAREST)

    def grains(self, image: np.ndarray, view: DepthView | None = None) -> RegionGraph:
        """Return the small regions that ``propose`` merges.

        :param image: HxWx3 uint8 BGR, about 320 pixels wide, the size that the affinity was fitted on.
        :param view: the depth of these pixels, where it is known.
        """
        cut = depth_steps(view.depth) if view else None
        return region_graph(image, *superpixels(image, cut=cut))

    def propose(self, grains: RegionGraph, prior: np.ndarray) -> Regions:
        """Merge the small regions of an image.

        :param prior: HxW int32, what is known of the image already: an id, or 0 for nothing.
        """
        ids, index = compact(prior)
        if not ids.size or ids[0] != 0:
            ids, index = np.append(0, ids), index + 1
        cell = (grains.labels * np.int32(len(ids)) + index).ravel()
        votes = np.bincount(cell, minlength=len(grains.regions) * len(ids)).reshape(-1, len(ids)).astype(float)
        graph = merge(replace(grains, votes=votes), self._affinity, self._threshold)
        area = graph.regions[:, COUNT]
        colour = graph.regions[:, L : B + 1] / area[:, None]
        return Regions(graph.labels, area, colour, OBJECT(object_features(graph)), ids, graph.votes)

    def _affinity(self, graph: RegionGraph) -> np.ndarray:
        share = graph.votes[:, 1:] / graph.regions[:, COUNT, None]
        known = share.sum(axis=1)
        same = np.einsum("et,et->e", share[graph.first], share[graph.second])
        other = known[graph.first] * known[graph.second] - same
        return SAME(pair_features(graph)) + self._memory * (same - other)
