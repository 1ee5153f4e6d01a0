"""From the maps of the network to objects: candidates, their masks, and those of them that do not overlap."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

FEATURES = 24  # channels that masks are told apart by
PIXEL_CHANNELS = 2 + FEATURES  # thing, boundary, features
CELL_CHANNELS = 6 + FEATURES  # quality, bias, centre y and x, size y and x, weights of the features
STRIDE, CELL = 4, 8  # pixels of the network's input between two pixels, and two cells, of its output
REACH = 32.0  # pixels; unit of a cell's offset to the centre of its object
SIZE = 32.0  # pixels; size of an object where the network says 0

_CANDIDATES = 64  # at most
_LEAST_QUALITY = 0.12
_AROUND = np.ones((3, 3), np.uint8)
_GAIN = 1.5  # the mean chance of a boundary along the outline of a good mask is about a half
SAME = 0.5  # IoU of two candidates for one object
INSIDE = 0.75  # share of a candidate that lies in a better one, which makes it a part of that
LEFT = 0.5  # share of a mask that better objects must leave of it


@dataclass(frozen=True, slots=True)
class Instances:
    """Objects of one image, the best one first.

    :param labels: hxw int32, 0 = none, 1..n; every ``STRIDE``-th pixel of the network's input.
    :param scores: n float32, 0..1, expected IoU of each with a real object.
    """

    labels: np.ndarray
    scores: np.ndarray


def sigmoid(value: np.ndarray) -> np.ndarray:
    """Return 1 / (1 + exp(-value)) without overflow."""
    return np.asarray(1 / (1 + np.exp(-np.clip(value, -30, 30))))


def candidates(pixels: np.ndarray, cells: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return log odds of the masks (n x h x w float32) and scores (n float32) of what may be objects.

    A mask is a Gaussian around the centre that a cell of it predicts, plus a product of the pixels' features with
    weights that the cell predicts (conditional masks: Tian et al. 2020; spatial embedding: Neven et al. 2019).

    :param pixels: PIXEL_CHANNELS x h x w float32.
    :param cells: CELL_CHANNELS x h' x w' float32.
    """
    quality = cells[0]
    peaks = cv2.dilate(quality, np.ones((3, 3), np.uint8)) <= quality
    y, x = np.nonzero(peaks & (quality > np.log(_LEAST_QUALITY / (1 - _LEAST_QUALITY))))
    order = np.argsort(-quality[y, x], kind="stable")[:_CANDIDATES]
    y, x = y[order], x[order]
    odds = mask_odds(pixels, cells[1:, y, x], y, x)
    return odds, np.asarray(sigmoid(quality[y, x]) * _evidence(pixels, odds), np.float32)


def _evidence(pixels: np.ndarray, odds: np.ndarray) -> np.ndarray:
    """Return how much speaks for each mask as a whole (n, about 1 for a good one).

    Its inside is sure of itself and lies on things, and its outline lies where things end.
    """
    inside = (odds > 0).astype(np.uint8)
    outline = inside.copy()
    for mask, edge in zip(inside, outline, strict=True):
        cv2.morphologyEx(mask, cv2.MORPH_GRADIENT, _AROUND, dst=edge)

    def mean(values: np.ndarray, where: np.ndarray) -> np.ndarray:
        return np.asarray((values * where).sum(axis=(1, 2)) / np.maximum(where.sum(axis=(1, 2)), 1))

    thing, boundary = mean(sigmoid(pixels[0]), inside), mean(sigmoid(pixels[1]), outline)
    return mean(sigmoid(odds), inside) * np.minimum(_GAIN * np.sqrt(thing * boundary), 1.2)


def mask_odds(pixels: np.ndarray, cell: np.ndarray, y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Return the log odds (n x h x w float32) of the masks that n cells predict.

    :param cell: CELL_CHANNELS - 1 x n float32, all but the quality.
    :param y: n, rows of the cells.
    :param x: n, columns.
    """
    height, width = pixels.shape[1:]
    odds = cell[5:].T @ pixels[2:].reshape(FEATURES, -1) + cell[0][:, None]
    spread = []
    for at, offset, size, count in ((y, cell[1], cell[3], height), (x, cell[2], cell[4], width)):
        centre = (at + 0.5) * CELL + REACH * offset
        place = (np.arange(count, dtype=np.float32) + 0.5) * STRIDE
        scale = SIZE * np.exp(np.clip(size, -3, 3))
        spread.append(((place - centre[:, None]) / scale[:, None]) ** 2)
    odds = odds.reshape(len(y), height, width)
    odds -= 0.5 * (spread[0][:, :, None] + spread[1][:, None, :])
    return np.asarray(odds, np.float32)


def instances(pixels: np.ndarray, cells: np.ndarray, above: float = 0.3) -> Instances:
    """Return the objects of an image.

    :param above: least score of an object.
    """
    odds, scores = candidates(pixels, cells)
    return chosen(odds, scores, above)


def chosen(odds: np.ndarray, scores: np.ndarray, above: float) -> Instances:
    """Return the best candidates that are different objects; a pixel belongs to the better one."""
    masks = (odds > 0).reshape(len(odds), odds.shape[1] * odds.shape[2])
    flat = masks.astype(np.float32)
    both, area = flat @ flat.T, flat.sum(axis=1)
    labels = np.zeros(odds.shape[1:], np.int32).ravel()
    kept: list[int] = []
    for one in np.argsort(-scores, kind="stable").tolist():
        if scores[one] < above:
            break
        shared = both[one, kept]
        union = area[one] + area[kept] - shared
        if area[one] == 0 or (shared > SAME * union).any() or (shared > INSIDE * area[one]).any():
            continue
        free = masks[one] & (labels == 0)
        if free.sum() < LEFT * area[one]:
            continue
        kept.append(one)
        labels[free] = len(kept)
    return Instances(labels.reshape(odds.shape[1:]), scores[kept])
