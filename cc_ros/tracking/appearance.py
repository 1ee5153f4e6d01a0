"""What objects and their surroundings look like: colours alone, and colours at their place on the object."""

from __future__ import annotations

import cv2
import numpy as np
from scipy.sparse import csr_matrix

from cc_ros.tracking.region_graph import COUNT, A, B, L, RegionGraph, X, Y

Place = tuple[float, float, float]  # x, y and size (square root of the area) of an object, pixels

_BINS = (12, 20, 20)  # L, a, b
_FLOOR = 3e-5  # share of a histogram below which a colour says nothing
_LIMIT = 4.0  # log odds; no single cue decides alone
_FIRST = 0.6  # weight of the first frame, the only one that was given rather than guessed


def colour_bins(image: np.ndarray) -> np.ndarray:
    """Return the histogram bin of each pixel (HxW int32) of an HxWx3 uint8 BGR image."""
    lab = cv2.cvtColor(image, cv2.COLOR_BGR2LAB)
    levels = np.arange(256)
    chroma = [np.clip((levels - 128) * bins // 128 + bins // 2, 0, bins - 1) for bins in _BINS[1:]]
    tables = [levels * _BINS[0] // 256 * _BINS[1] * _BINS[2], chroma[0] * _BINS[2], chroma[1]]
    return np.asarray(sum(table.astype(np.int32)[lab[..., k]] for k, table in enumerate(tables)))


def region_histograms(image: np.ndarray, labels: np.ndarray, count: int) -> csr_matrix:
    """Return the colours of each region (count x bins, pixels).

    :param image: HxWx3 uint8 BGR.
    :param labels: HxW int32, 0..count-1.
    """
    bins = colour_bins(image).ravel()
    used = np.bincount(bins, minlength=int(np.prod(_BINS))) > 0
    number = np.cumsum(used, dtype=np.int32) - 1
    pixels = np.bincount(labels.ravel() * (number[-1] + 1) + number[bins], minlength=count * (number[-1] + 1))
    cell = np.flatnonzero(pixels)
    row, column = np.divmod(cell, number[-1] + 1)
    start = np.searchsorted(row, np.arange(count + 1))
    return csr_matrix((pixels[cell].astype(np.float32), np.flatnonzero(used)[column], start), (count, len(used)))


class ColourModels:
    """Histograms of objects and of what lies around them.

    :param histograms: regions x bins, pixels, of the first frame.
    :param inside: regions x n, how much each region is each object.
    :param around: regions x n, how much of each region is background near each object.
    """

    def __init__(self, histograms: csr_matrix, inside: np.ndarray, around: np.ndarray) -> None:
        self._first = self._now = self._models(histograms, inside, around)

    def learn(self, histograms: csr_matrix, inside: np.ndarray, around: np.ndarray, rate: np.ndarray) -> None:
        """Follow slow changes of light and view.

        :param rate: n, how much of each object's colours is replaced; its surroundings change three times as fast.
        """
        chosen = np.flatnonzero(rate > 0)
        if len(chosen):
            new = self._models(histograms, inside[:, chosen], around[:, chosen])
            rates = np.minimum(np.stack([rate[chosen], 3 * rate[chosen]]), 1).astype(np.float32)
            now = self._now.copy()
            now[:, chosen] += rates[..., None] * (new - now[:, chosen])
            self._now = now

    def odds(self, histograms: csr_matrix) -> np.ndarray:
        """Return the log odds of each object for each region (regions x n float32)."""
        inside, outside = _FIRST * self._first + (1 - _FIRST) * self._now + np.float32(_FLOOR)
        table = np.clip(np.log(inside / outside), -_LIMIT, _LIMIT)
        pixels = np.asarray(histograms.sum(axis=1), np.float32)
        return np.asarray((histograms @ table.T) / np.maximum(pixels, 1))

    @staticmethod
    def _models(histograms: csr_matrix, inside: np.ndarray, around: np.ndarray) -> np.ndarray:
        """Return the smoothed histograms (2 x n x bins float32) of the objects and of their surroundings."""
        weights = np.concatenate([inside * (inside > 0.5), around], axis=1).astype(np.float32)
        cubes = (histograms.T @ weights).reshape(*_BINS, -1)
        for axis in range(3):
            cubes = 0.5 * cubes + 0.25 * (np.roll(cubes, 1, axis) + np.roll(cubes, -1, axis))
        models = cubes.reshape(-1, 2, inside.shape[1]).transpose(1, 2, 0)
        return np.ascontiguousarray(models / np.maximum(models.sum(axis=2, keepdims=True), 1e-9))


class Exemplars:
    """Regions of earlier frames with their colour and place on the object; regions alike vote for what they were.

    :param capacity: frames remembered: the first one and the newest.
    """

    _LIGHT, _CHROMA, _PLACE = 12.0, 6.0, 0.35  # how far a vote reaches: Lab levels and sizes of the object
    _PRIOR = 1e-3  # area that votes must outweigh, in squared sizes of the object

    def __init__(self, capacity: int = 5) -> None:
        self._capacity = capacity
        self._frames: list[tuple[np.ndarray, np.ndarray]] = []  # features, and weights inside and outside (m x 2)

    def learn(self, graph: RegionGraph, share: np.ndarray, near: np.ndarray, place: Place) -> None:
        """Remember how much of each region (n, 0..1) is the object.

        :param near: m, the regions to remember.
        :param place: of the object, in the pixels of the graph.
        """
        regions = graph.regions[near]
        weight = regions[:, COUNT] / place[2] ** 2
        inside = weight * share[near]
        weights = np.stack([inside, weight - inside], axis=1).astype(np.float32)
        self._frames.append((self._features(regions, place), weights))
        if len(self._frames) > self._capacity:
            del self._frames[1]

    def odds(self, graph: RegionGraph, asked: np.ndarray, place: Place) -> np.ndarray:
        """Return the log odds of the object for the regions ``asked`` (indices)."""
        known, weights = (np.concatenate(part) for part in zip(*self._frames, strict=True))
        features = self._features(graph.regions[asked], place)
        distance = (features**2).sum(axis=1)[:, None] + (known**2).sum(axis=1) - 2 * features @ known.T
        votes = np.exp(np.float32(-0.5) * np.maximum(distance, 0)) @ weights + self._PRIOR
        return np.asarray(np.clip(np.log(votes[:, 0] / votes[:, 1]), -_LIMIT, _LIMIT))

    def _features(self, regions: np.ndarray, place: Place) -> np.ndarray:
        mean = regions[:, [L, A, B, X, Y]] / regions[:, COUNT, None]
        x, y, size = place
        reach = np.array([self._LIGHT, self._CHROMA, self._CHROMA, size * self._PLACE, size * self._PLACE])
        return np.asarray((mean - np.array([0, 0, 0, x, y])) / reach, np.float32)
