"""Decode the output of the network: candidates, their masks, and the objects that remain after suppression."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from cc_ros.tracking.objects import constants as const

_AROUND = np.ones((3, 3), np.uint8)


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


def overlaps(masks: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return for masks (m x pixels float32, 0 or 1) what pairs share (m x m), the areas (m), and the IoU (m x m)."""
    both, area = masks @ masks.T, masks.sum(axis=1)
    return both, area, both / np.maximum(area[:, None] + area - both, 1)


def candidates(pixels: np.ndarray, cells: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return log odds of the masks (n x h x w float32) and scores (n float32) of candidate objects.

    A mask is a Gaussian around the centre that a cell of it predicts, plus a product of the pixels' features with
    weights that the cell predicts (conditional masks: Tian et al. 2020; spatial embedding: Neven et al. 2019).

    :param pixels: PIXEL_CHANNELS x h x w float32.
    :param cells: CELL_CHANNELS x h' x w' float32.
    """
    quality = cells[0]
    peaks = cv2.dilate(quality, np.ones((3, 3), np.uint8)) <= quality
    y, x = np.nonzero(peaks & (quality > np.log(const.LEAST_QUALITY / (1 - const.LEAST_QUALITY))))
    order = np.argsort(-quality[y, x], kind="stable")[: const.CANDIDATES]
    y, x = y[order], x[order]
    odds = mask_odds(pixels, cells[1:, y, x], y, x)
    return odds, np.asarray(sigmoid(quality[y, x]) * _evidence(pixels, odds), np.float32)


def agreed(one: tuple[np.ndarray, np.ndarray], other: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Return the candidates of two looks at one image: each the mean of itself and its like in the other look.

    What only one look shows keeps its mask and half of its score.

    :param one: log odds (n x h x w) and scores (n), as ``candidates`` returns them.
    :param other: those of the other look, of masks of any size.
    """
    height, width = one[0].shape[1:]
    scaled = [cv2.resize(odds, (width, height), interpolation=cv2.INTER_LINEAR) for odds in other[0]]
    odds = np.concatenate([one[0], np.array(scaled, np.float32).reshape(-1, height, width)])
    scores = np.concatenate([one[1], other[1]])
    _, _, iou = overlaps((odds > 0).reshape(len(odds), height * width).astype(np.float32))
    first = np.arange(len(odds)) < len(one[0])
    fits = np.where((first[:, None] != first) & (iou > const.SAME), iou * scores, 0.0)
    met = fits.any(axis=1)
    like = np.where(met, fits.argmax(axis=1) if len(odds) else 0, np.arange(len(odds)))
    return (odds + odds[like]) / 2, (scores + met * scores[like]) / 2


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
    return mean(sigmoid(odds), inside) * np.minimum(const.OUTLINE_GAIN * np.sqrt(thing * boundary), 1.2)


def mask_odds(pixels: np.ndarray, cell: np.ndarray, y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Return the log odds (n x h x w float32) of the masks that n cells predict.

    :param cell: CELL_CHANNELS - 1 x n float32, all but the quality.
    :param y: n, rows of the cells.
    :param x: n, columns.
    """
    height, width = pixels.shape[1:]
    odds = cell[5:].T @ pixels[2:].reshape(const.FEATURES, -1) + cell[0][:, None]
    spread = []
    for at, offset, size, count in ((y, cell[1], cell[3], height), (x, cell[2], cell[4], width)):
        centre = (at + 0.5) * const.CELL + const.REACH * offset
        place = (np.arange(count, dtype=np.float32) + 0.5) * const.STRIDE
        scale = const.SIZE * np.exp(np.clip(size, -3, 3))
        spread.append(((place - centre[:, None]) / scale[:, None]) ** 2)
    odds = odds.reshape(len(y), height, width)
    odds -= 0.5 * (spread[0][:, :, None] + spread[1][:, None, :])
    return np.asarray(odds, np.float32)


def chosen(odds: np.ndarray, scores: np.ndarray, above: float) -> Instances:
    """Return the best candidates that are different objects; a pixel belongs to the better one.

    :param odds: n x h x w, as ``candidates`` returns them.
    :param scores: n.
    :param above: least score of an object.
    """
    masks = (odds > 0).reshape(len(odds), odds.shape[1] * odds.shape[2])
    both, area, iou = overlaps(masks.astype(np.float32))
    labels = np.zeros(odds.shape[1:], np.int32).ravel()
    kept: list[int] = []
    for one in np.argsort(-scores, kind="stable").tolist():
        if scores[one] < above:
            break
        same, inside = iou[one, kept] > const.SAME, both[one, kept] > const.INSIDE * area[one]
        if area[one] == 0 or (same | inside).any():
            continue
        free = masks[one] & (labels == 0)
        if free.sum() < const.LEFT * area[one]:
            continue
        kept.append(one)
        labels[free] = len(kept)
    return Instances(labels.reshape(odds.shape[1:]), scores[kept])
