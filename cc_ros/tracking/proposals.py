"""Splitting one image into whole objects and background, in agreement with what is already being followed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

import cv2
import numpy as np

from cc_ros.tracking.depth import DepthView, depth_steps, edge_gain
from cc_ros.tracking.label_maps import compact
from cc_ros.tracking.layout_evidence import agreement, main_part, object_odds, pair_odds, split, votes
from cc_ros.tracking.region_graph import COUNT, B, L, RegionGraph, merge, region_graph
from cc_ros.tracking.region_model import object_features, pair_features
from cc_ros.tracking.region_weights import OBJECT, SAME
from cc_ros.tracking.room_layout import FLOOR, THINGS, room_layout
from cc_ros.tracking.superpixels import superpixels

_WIDTH = 320  # pixels; what the affinity was fitted on
_DIVIDES = -0.5  # log odds below which a border divides two things
_GAIN, _GAIN_RATE = 1.01, 0.5  # of edges at jumps of depth: what is enough, and how fast its average follows


@dataclass(frozen=True, slots=True)
class Regions:
    """An image split into regions.

    :param labels: HxW int32, 0..n-1.
    :param area: n float64, pixels.
    :param colour: n x 3 float64, mean CIE Lab.
    :param objectness: n float64, log odds of being an object rather than a part of a wall, floor or ceiling.
    :param ids: t int64, the distinct ids of the prior map, 0 first.
    :param votes: n x t float64, pixels of each region that carry each of ``ids``.
    :param part: n int64, what of ``room_layout`` each region is, UNKNOWN where that is unclear or no depth is known.
    :param divided: n x n bool, which regions touch along a border that divides two things, whatever the prior map says.
    """

    labels: np.ndarray
    area: np.ndarray
    colour: np.ndarray
    objectness: np.ndarray
    ids: np.ndarray
    votes: np.ndarray
    part: np.ndarray
    divided: np.ndarray

    @property
    def on_plane(self) -> np.ndarray:
        """Which regions (n bool) lie in the floor, the ceiling or a wall, as far as depth is known."""
        return (self.part >= FLOOR) & (self.part < THINGS)


@dataclass(frozen=True, slots=True)
class Grains:
    """The small regions of an image.

    :param graph: these regions; they have votes of each label of ``room_layout``.
    :param parts: how many such labels; 0 where no depth is known, or none that fits the image.
    """

    graph: RegionGraph
    parts: int


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

    def __init__(self, threshold: float = 1.8, memory: float = 2.5) -> None:
        self._threshold = threshold
        self._memory = memory
        self._gain = 1.0  # how much better than elsewhere depth fits the image, averaged over looks

    def regions(self, image: np.ndarray) -> np.ndarray:
        """Return HxW int32: 0 = background, 1.. = regions that may be objects, for an HxWx3 uint8 BGR image."""
        height, width = image.shape[:2]
        size = (min(_WIDTH, width), max(round(height * min(_WIDTH, width) / width), 1))
        small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        found = self.propose(self.grains(small), np.zeros(small.shape[:2], np.int32))
        numbers = np.where(found.objectness > 0, np.cumsum(found.objectness > 0), 0).astype(np.int32)
        return cv2.resize(numbers[found.labels], (width, height), interpolation=cv2.INTER_NEAREST)

    def grains(self, image: np.ndarray, view: DepthView | None = None) -> Grains:
        """Return the small regions that ``propose`` merges.

        :param image: HxWx3 uint8 BGR, about 320 pixels wide, the size that the affinity was fitted on.
        :param view: the depth of these pixels, where it is known.
        """
        labels, gradient = superpixels(image)
        if view is None or not self._trusted(view, gradient):
            return Grains(region_graph(image, labels, gradient), 0)
        layout = room_layout(view)
        parts = max(int(layout.max()) + 1, THINGS)
        graph = region_graph(image, split(labels, layout, parts), gradient)
        return Grains(replace(graph, votes=votes(graph.labels, layout, parts)), parts)

    def propose(self, grains: Grains, prior: np.ndarray) -> Regions:
        """Merge the small regions of an image.

        :param prior: HxW int32, what is known of the image already: an id, or 0 for nothing.
        """
        ids, index = compact(prior)
        if not ids.size or ids[0] != 0:
            ids, index = np.append(0, ids), index + 1
        parts = grains.parts

        def evidence(graph: RegionGraph) -> np.ndarray:
            odds = SAME(pair_features(graph))
            return odds + pair_odds(graph, graph.votes[:, :parts]) if parts else odds

        def affinity(graph: RegionGraph) -> np.ndarray:
            share = graph.votes[:, parts + 1 :] / graph.regions[:, COUNT, None]
            same, other = agreement(share, graph.first, graph.second)
            return evidence(graph) + self._memory * (same - other)

        claims = np.hstack([grains.graph.votes, votes(grains.graph.labels, index, len(ids))])
        graph = merge(replace(grains.graph, votes=claims), affinity, self._threshold)
        area = graph.regions[:, COUNT]
        colour = graph.regions[:, L : B + 1] / area[:, None]
        objectness, part = OBJECT(object_features(graph)), np.zeros(len(area), np.int64)
        if parts:
            layout = graph.votes[:, :parts]
            objectness, part = objectness + object_odds(graph, layout), main_part(graph, layout)
        divided, divides = np.zeros((len(area), len(area)), bool), evidence(graph) < _DIVIDES
        divided[graph.first[divides], graph.second[divides]] = True
        claims = graph.votes[:, parts:]
        return Regions(graph.labels, area, colour, objectness, ids, claims, part, divided | divided.T)

    def _trusted(self, view: DepthView, gradient: np.ndarray) -> bool:
        """Return whether depth has lately had its jumps where the image has edges."""
        gain = edge_gain(depth_steps(view), gradient)
        if not np.isnan(gain):
            self._gain += _GAIN_RATE * (gain - self._gain)
        return self._gain > _GAIN
