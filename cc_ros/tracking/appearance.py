"""What one object and its surroundings look like: colours alone, and colours at their place on the object."""

from __future__ import annotations

import cv2
import numpy as np

from cc_ros.tracking.region_graph import COUNT, A, B, L, RegionGraph, X, Y

_BINS = (12, 20, 20)  # L, a, b
_FLOOR = 3e-5  # share of a histogram below which a colour says nothing
_LIMIT = 4.0  # log odds; no single cue decides alone
_FIRST = 0.6  # weight of the first frame, the only one that was given rather than guessed
_RATE = 0.1  # how fast the colours of the object follow; its surroundings change three times as fast


def colour_bins(image: np.ndarray) -> np.ndarray:
    """Return the histogram bin of each pixel (HxW int32) of an HxWx3 uint8 BGR image."""
    lab = cv2.cvtColor(image, cv2.COLOR_BGR2LAB).astype(np.int32)
    lightness = lab[..., 0] * _BINS[0] // 256
    a, b = (np.clip((lab[..., k] - 128) * _BINS[k] // 128 + _BINS[k] // 2, 0, _BINS[k] - 1) for k in (1, 2))
    return np.asarray((lightness * _BINS[1] + a) * _BINS[2] + b)


class ColourModel:
    """Histograms of an object and of what lies around it.

    :param bins: HxW int32 of ``colour_bins``, the first frame.
    :param mask: HxW float32, 0..1, the object in it.
    """

    def __init__(self, bins: np.ndarray, mask: np.ndarray) -> None:
        self._first = self._now = self._histograms(bins, mask)

    def learn(self, bins: np.ndarray, mask: np.ndarray) -> None:
        """Follow slow changes of light and view."""
        rates = np.array([[_RATE], [3 * _RATE]])
        self._now = self._now + rates * (self._histograms(bins, mask) - self._now)

    def odds(self, bins: np.ndarray) -> np.ndarray:
        """Return the log odds of the object for each pixel (HxW float32)."""
        inside, outside = _FIRST * self._first + (1 - _FIRST) * self._now + _FLOOR
        table = np.clip(np.log(inside / outside), -_LIMIT, _LIMIT).astype(np.float32)
        return np.asarray(table[bins])

    @staticmethod
    def _histograms(bins: np.ndarray, mask: np.ndarray) -> np.ndarray:
        """Return the smoothed histograms (2 x bins) of the object and of a wide ring around it."""
        core = (mask > 0.5).astype(np.uint8)
        radius = max(int(0.6 * np.sqrt(mask.sum())), 8)
        near = cv2.dilate(core, np.ones((2 * radius + 1, 2 * radius + 1), np.uint8))
        rows = []
        for weight in (mask * core, near * (1 - mask)):
            cube = np.bincount(bins.ravel(), weight.ravel(), int(np.prod(_BINS))).reshape(_BINS)
            for axis in range(3):
                cube = 0.5 * cube + 0.25 * (np.roll(cube, 1, axis) + np.roll(cube, -1, axis))
            rows.append(cube.ravel() / max(cube.sum(), 1e-9))
        return np.stack(rows)


class Exemplars:
    """Regions of earlier frames with their colour and place on the object; regions alike vote for what they were.

    :param capacity: frames remembered: the first one and the newest.
    """

    _LIGHT, _CHROMA, _PLACE = 12.0, 6.0, 0.35  # how far a vote reaches: Lab levels and sizes of the object
    _REACH = 2.0  # sizes of the object; further away nothing is remembered
    _PRIOR = 1e-3  # area that votes must outweigh, in squared sizes of the object

    def __init__(self, capacity: int = 5) -> None:
        self._capacity = capacity
        self._frames: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []

    def learn(self, graph: RegionGraph, share: np.ndarray, place: tuple[float, float, float]) -> None:
        """Remember how much of each region (n float64, 0..1) is the object.

        :param place: x, y and size (pixels) of the object, in the pixels of the graph.
        """
        features = self._features(graph, place)
        near = np.abs(features[:, 3:] * self._PLACE).max(axis=1) < self._REACH
        weight = graph.regions[near, COUNT] / place[2] ** 2
        self._frames.append((features[near], weight * share[near], weight))
        if len(self._frames) > self._capacity:
            del self._frames[1]

    def odds(self, graph: RegionGraph, place: tuple[float, float, float]) -> np.ndarray:
        """Return the log odds of the object for each region (n float64)."""
        known, inside, weight = (np.concatenate(part) for part in zip(*self._frames, strict=True))
        asked = self._features(graph, place)
        distance = (asked**2).sum(axis=1)[:, None] + (known**2).sum(axis=1) - 2 * asked @ known.T
        alike = np.exp(-0.5 * np.maximum(distance, 0))
        odds = np.log((alike @ inside + self._PRIOR) / (alike @ (weight - inside) + self._PRIOR))
        return np.asarray(np.clip(odds, -_LIMIT, _LIMIT))

    def _features(self, graph: RegionGraph, place: tuple[float, float, float]) -> np.ndarray:
        mean = graph.regions[:, [L, A, B, X, Y]] / graph.regions[:, COUNT, None]
        x, y, size = place
        reach = np.array([self._LIGHT, self._CHROMA, self._CHROMA, size * self._PLACE, size * self._PLACE])
        return np.asarray(((mean - np.array([0, 0, 0, x, y])) / reach).astype(np.float32))
