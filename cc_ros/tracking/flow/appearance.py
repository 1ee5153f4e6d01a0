"""Appearance models of objects: colour histograms, and exemplars of colour by place on the object."""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np
from scipy.sparse import csr_matrix

from cc_ros.tracking.flow import constants as const

Place = tuple[float, float, float]  # x, y and size (square root of the area) of an object, pixels

_BINS = (12, 20, 20)  # L, a, b
_EXEMPLAR_FRAMES = 5  # that are remembered: the first one and the newest


def region_histograms(image: np.ndarray, labels: np.ndarray, count: int) -> csr_matrix:
    """Return the colours of each region (count x bins, pixels).

    :param image: HxWx3 uint8 BGR.
    :param labels: HxW int32, 0..count-1.
    """
    light, a, b = cv2.split(cv2.cvtColor(image, cv2.COLOR_BGR2LAB))
    of_light, of_a, of_b = _bin_tables()
    bins = of_light[light] + of_a[a] + of_b[b]
    one = np.ones(labels.size, np.float32)
    return csr_matrix((one, (labels.ravel(), bins.ravel())), (count, _BINS[0] * _BINS[1] * _BINS[2]))


@cache
def _bin_tables() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return what each level of L, a and b adds to the number of a bin (256 int32 each)."""
    levels = np.arange(256, dtype=np.int32)
    a, b = (np.clip((levels - 128) * bins // 128 + bins // 2, 0, bins - 1) for bins in _BINS[1:])
    return levels * _BINS[0] // 256 * (_BINS[1] * _BINS[2]), a * _BINS[2], b


class ColourModels:
    """Histograms of objects and of what lies around them.

    :param histograms: regions x bins, pixels, of the first frame.
    :param inside: regions x n, how much each region is each object.
    :param around: regions x n, how much each region is background near each object.
    """

    def __init__(self, histograms: csr_matrix, inside: np.ndarray, around: np.ndarray) -> None:
        self._first = self._models(histograms, inside, around)  # bins x 2 x n: the objects, their surroundings
        self._now = self._first.copy()

    def learn(self, histograms: csr_matrix, inside: np.ndarray, around: np.ndarray, rate: np.ndarray) -> None:
        """Follow slow changes of light and view.

        :param rate: n, how much of each object's colours is replaced; its surroundings change three times as fast.
        """
        if rate.any():
            change = self._models(histograms, inside, around)
            change -= self._now
            change *= np.minimum(np.stack([rate, 3 * rate]), 1).astype(np.float32)
            self._now += change

    def odds(self, histograms: csr_matrix) -> np.ndarray:
        """Return the log odds of each object for each region (regions x n float32)."""
        models = const.FIRST_FRAME * self._first + (1 - const.FIRST_FRAME) * self._now + np.float32(const.COLOUR_FLOOR)
        table = np.clip(np.log(models[:, 0] / models[:, 1]), -const.COLOUR_LIMIT, const.COLOUR_LIMIT)
        pixels = np.asarray(histograms.sum(axis=1), np.float32)
        return np.asarray((histograms @ table) / np.maximum(pixels, 1))

    @staticmethod
    def _models(histograms: csr_matrix, inside: np.ndarray, around: np.ndarray) -> np.ndarray:
        """Return the smoothed histograms (bins x 2 x n float32) of the objects and of their surroundings."""
        weights = np.concatenate([inside * (inside > 0.5), around], axis=1).astype(np.float32)
        models = _smoothed(histograms.T @ weights)
        models /= np.maximum(models.sum(axis=0), 1e-9)
        return models.reshape(len(models), 2, -1)


def _smoothed(histograms: np.ndarray) -> np.ndarray:
    """Spread each bin (bins x m float32) over its neighbours, a quarter to each side of each axis."""
    cube = histograms.reshape(*_BINS, -1)
    for axis in range(3):
        cube = cube / 2 + (np.roll(cube, 1, axis) + np.roll(cube, -1, axis)) / 4
    return cube.reshape(histograms.shape)


class Exemplars:
    """Superpixels of earlier frames with their colour and place on the object; similar ones vote for what they were."""

    def __init__(self) -> None:
        self._frames: list[tuple[np.ndarray, np.ndarray]] = []  # scaled features, weights inside and outside (m x 2)
        self._known = np.zeros((7, 0), np.float32)  # of all frames, as ``odds`` multiplies with them
        self._weights = np.zeros((0, 2), np.float32)

    def learn(self, features: np.ndarray, area: np.ndarray, share: np.ndarray, place: Place) -> None:
        """Remember how much of each region is the object.

        :param features: m x 5 float32, mean L, a, b, x and y of each.
        :param area: m, pixels.
        :param share: m, 0..1.
        :param place: of the object, in the pixels of the regions.
        """
        weight = area / place[2] ** 2
        inside = weight * share
        self._frames.append((self._scaled(features, place), np.stack([inside, weight - inside], axis=1)))
        if len(self._frames) > _EXEMPLAR_FRAMES:
            del self._frames[1]
        scaled, weights = (np.concatenate(part) for part in zip(*self._frames, strict=True))
        half = -0.5 * (scaled**2).sum(axis=1, keepdims=True)
        self._known = np.ascontiguousarray(np.concatenate([scaled, np.ones_like(half), half], axis=1).T)
        self._weights = weights.astype(np.float32)

    def odds(self, features: np.ndarray, place: Place) -> np.ndarray:
        """Return the log odds of the object for regions (m x 5 float32, mean L, a, b, x and y of each)."""
        scaled = self._scaled(features, place)
        half = -0.5 * (scaled**2).sum(axis=1, keepdims=True)
        distance = np.concatenate([scaled, half, np.ones_like(half)], axis=1) @ self._known  # -1/2 of its square
        votes = np.exp(distance, out=distance) @ self._weights + const.EXEMPLAR_PRIOR
        return np.asarray(np.clip(np.log(votes[:, 0] / votes[:, 1]), -const.COLOUR_LIMIT, const.COLOUR_LIMIT))

    def _scaled(self, features: np.ndarray, place: Place) -> np.ndarray:
        x, y, size = place
        chroma, spread = const.EXEMPLAR_CHROMA, size * const.EXEMPLAR_PLACE
        reach = (const.EXEMPLAR_LIGHT, chroma, chroma, spread, spread)
        return (features - np.array([0, 0, 0, x, y], np.float32)) / np.array(reach, np.float32)
