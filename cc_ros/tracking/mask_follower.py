"""Following one object from a mask given in the first frame."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from scipy.sparse import coo_matrix, diags
from scipy.sparse.linalg import spsolve

from cc_ros.tracking.appearance import ColourModel, Exemplars, colour_bins
from cc_ros.tracking.object_motion import motion_odds
from cc_ros.tracking.propagation import sources
from cc_ros.tracking.region_graph import COUNT, LENGTH, RegionGraph, region_graph
from cc_ros.tracking.region_model import pair_features
from cc_ros.tracking.region_weights import SAME
from cc_ros.tracking.superpixels import superpixels

_COLOUR, _PLACED_COLOUR, _MOTION = 1.5, 0.5, 2.0  # weights of the cues
_SMOOTHNESS = 0.1  # weight of neighbours against a region's own evidence
_BLUR = 0.1  # sizes of the object: how far the carried outline may be wrong
_SHAPE = 0.5  # what the remembered shape counts where the carried mask has lost it
_FADE = 0.93  # what is left of the remembered shape a frame later
_GONE = 20  # pixels; smaller masks teach nothing


@dataclass(frozen=True, slots=True)
class _Evidence:
    """What is known of the object before its regions are looked at; HxW each."""

    prior: np.ndarray  # float32, 0..1
    odds: np.ndarray  # float32
    far: np.ndarray  # bool: too far away to be the object


class MaskFollower:
    """Carries a mask by flow and draws it anew along the edges of each frame.

    The carried mask, colours, colours at their place, and motion vote for each superpixel; a random walk with these
    priors (Grady 2005) over superpixels that look like one thing makes the votes agree. A fading memory of the shape
    moves with the object, so that what passes behind a pole comes out again on the other side.

    :param image: HxWx3 uint8 BGR, the first frame.
    :param mask: HxW float32, 0..1.
    """

    def __init__(self, image: np.ndarray, mask: np.ndarray) -> None:
        self.mask = mask
        self._shape = mask
        self._bins = colour_bins(image)
        self._colour = ColourModel(self._bins, mask)
        self._exemplars = Exemplars()
        self._frames = 0
        graph = region_graph(image, *superpixels(image))
        if mask.sum() > 0:
            self._exemplars.learn(graph, _mean(graph, mask), _place(mask))

    def step(self, image: np.ndarray, flow: np.ndarray) -> None:
        """Move on to the next frame; ``mask`` is the result.

        :param image: HxWx3 uint8 BGR.
        :param flow: HxWx2 float32, pixels, from this frame to the one before.
        """
        self._bins = colour_bins(image)
        carried = cv2.remap(self.mask, *sources(flow), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        evidence = self._evidence(flow, carried)
        x, y, width, height = cv2.boundingRect((~evidence.far).astype(np.uint8))
        window = np.s_[max(y - 2, 0) : y + height + 2, max(x - 2, 0) : x + width + 2]
        self.mask = np.zeros_like(carried)
        if not width or min(self.mask[window].shape) < 3:
            return
        graph = region_graph(image[window], *superpixels(image[window]))
        share = self._label(graph, evidence, window)
        self.mask[window] = share.astype(np.float32)[graph.labels]
        self.mask[evidence.far] = 0
        self._learn(graph, share, window)

    def resize(self, size: tuple[int, int]) -> None:
        """Go on in images of another size (width, height)."""
        self.mask, self._shape = cv2.resize(self.mask, size), cv2.resize(self._shape, size)

    def _evidence(self, flow: np.ndarray, carried: np.ndarray) -> _Evidence:
        blur = max(_BLUR * float(np.sqrt(max(carried.sum(), _GONE))), 1.0)
        motion, back = motion_odds(flow, carried)
        if back is not None:
            flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
            self._shape = cv2.warpAffine(self._shape, back, carried.shape[::-1], flags=flags)
        self._shape = self._shape * np.float32(_FADE)
        remembered = np.float32(_SHAPE) * self._shape
        prior = np.maximum(cv2.GaussianBlur(carried, (0, 0), blur), cv2.GaussianBlur(remembered, (0, 0), blur))
        known = np.maximum(carried, np.where(self._shape > 0.5, remembered, 0))
        reach = np.ones((2 * int(3 * blur) + 1,) * 2, np.uint8)
        far = cv2.dilate((known > 0.3).astype(np.uint8), reach) == 0
        odds = np.log((prior + 0.01) / (1.01 - np.minimum(prior, 1)))
        odds += _COLOUR * self._colour.odds(self._bins) + _MOTION * motion
        odds[far] = -6
        return _Evidence(known, odds, far)

    def _label(self, graph: RegionGraph, evidence: _Evidence, window: tuple[slice, slice]) -> np.ndarray:
        """Return how much each region is the object (n float64, 0..1, pushed towards the ends)."""
        odds = _mean(graph, evidence.odds[window])
        if evidence.prior.any():
            x, y, size = _place(evidence.prior)
            placed = self._exemplars.odds(graph, (x - window[1].start, y - window[0].start, size))
            odds += _PLACED_COLOUR * placed * (1 - _mean(graph, evidence.far[window]))
        share = 1 / (1 + np.exp(-odds))
        if len(graph.first):
            weight = graph.borders[:, LENGTH] / (1 + np.exp(-0.5 * SAME(pair_features(graph))))
            share = _random_walk(graph, weight, share)
        return np.clip((share - 0.5) * 3 + 0.5, 0, 1)

    def _learn(self, graph: RegionGraph, share: np.ndarray, window: tuple[slice, slice]) -> None:
        self._frames += 1
        self._shape = np.maximum(self._shape, self.mask)
        if self.mask.sum() <= _GONE:
            return
        self._colour.learn(self._bins, self.mask)
        if self._frames % 2 == 0:
            x, y, size = _place(self.mask)
            self._exemplars.learn(graph, share, (x - window[1].start, y - window[0].start, size))


def _random_walk(graph: RegionGraph, weight: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Return the shares (n) that agree with their own evidence and with their neighbours' (e weights)."""
    count = len(share)
    ends = np.concatenate([graph.first, graph.second]), np.concatenate([graph.second, graph.first])
    links = coo_matrix((np.tile(weight, 2), ends), (count, count)).tocsr()
    sure = np.sqrt(graph.regions[:, COUNT]) / _SMOOTHNESS * (0.1 + np.abs(2 * share - 1))
    degree = np.asarray(links.sum(axis=1)).ravel()
    return np.asarray(spsolve((diags(degree + sure) - links).tocsc(), sure * share))


def _mean(graph: RegionGraph, values: np.ndarray) -> np.ndarray:
    """Return the mean of an HxW map over each region (n float64)."""
    sums = np.bincount(graph.labels.ravel(), values.ravel(), len(graph.regions))
    return np.asarray(sums / graph.regions[:, COUNT])


def _place(mask: np.ndarray) -> tuple[float, float, float]:
    """Return x, y and size (square root of the area) of a mask, pixels."""
    moments = cv2.moments((mask > 0.5 if (mask > 0.5).any() else mask > 0).astype(np.uint8), binaryImage=True)
    area = max(moments["m00"], 1.0)
    return moments["m10"] / area, moments["m01"] / area, max(float(np.sqrt(area)), 6.0)
