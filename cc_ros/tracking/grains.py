"""An image in small regions with all that is known of them: what masks are drawn with."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix

from cc_ros.tracking.appearance import region_histograms
from cc_ros.tracking.label_maps import compact
from cc_ros.tracking.region_graph import COUNT, LENGTH, A, B, L, RegionGraph, X, Y, region_graph
from cc_ros.tracking.superpixels import superpixels

_ALIKE, _TOUCHING = 10.0, 0.02  # CIE Lab, how fast neighbours of other colours agree less, and what is left of it

Box = tuple[slice, slice]  # rows and columns


@dataclass(frozen=True, slots=True)
class Grains:
    """A window of an image in small regions.

    :param window: rows and columns.
    :param graph: its regions; their X and Y are those of the whole image.
    :param links: regions x regions float32, how much neighbours should agree.
    :param histograms: regions x bins, their colours.
    :param looks: regions x 5 float32, mean L, a, b, x and y.
    """

    window: Box
    graph: RegionGraph
    links: csr_matrix
    histograms: csr_matrix
    looks: np.ndarray

    @classmethod
    def of(cls, image: np.ndarray, window: Box | None = None, index: np.ndarray | None = None) -> Grains:
        """Split an image, or a window of it; also along the borders of a map.

        :param image: HxWx3 uint8 BGR.
        :param index: HxW int32.
        """
        window = window or np.s_[0 : image.shape[0], 0 : image.shape[1]]
        part = np.ascontiguousarray(image[window])
        labels, gradient = superpixels(part)
        if index is not None:
            labels = compact(labels * (int(index.max()) + 1) + index[window])[1]
        graph = region_graph(part, labels, gradient)
        links = _links(graph)
        count = graph.regions[:, COUNT]
        graph.regions[:, X] += window[1].start * count
        graph.regions[:, Y] += window[0].start * count
        looks = np.asarray(graph.regions[:, [L, A, B, X, Y]] / count[:, None], np.float32)
        return cls(window, graph, links, region_histograms(part, labels, len(count)), looks)


def _links(graph: RegionGraph) -> csr_matrix:
    colour = graph.regions[:, [L, A, B]] / graph.regions[:, COUNT, None]
    step = np.linalg.norm(colour[graph.first] - colour[graph.second], axis=1)
    weight = graph.borders[:, LENGTH] * np.maximum(np.exp(-step / _ALIKE), _TOUCHING)
    ends = np.concatenate([graph.first, graph.second]), np.concatenate([graph.second, graph.first])
    return csr_matrix((np.tile(weight, 2).astype(np.float32), ends), (len(graph.regions),) * 2)
