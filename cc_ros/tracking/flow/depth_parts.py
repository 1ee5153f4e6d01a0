"""What the network takes for one thing may be two that stand one behind the other: depth tells them apart."""

from __future__ import annotations

import cv2
import numpy as np

from cc_ros.tracking.flow.depth import DepthView, depth_steps

_PART = 0.2  # share of a mask that each part of it must have
_APART = 0.12  # share of their distance by which two parts are apart
_WHOLE = 0.5  # what is left of the score of a mask that falls into parts
_NO = -5.0  # log odds of the other parts


def with_parts(odds: np.ndarray, scores: np.ndarray, view: DepthView) -> tuple[np.ndarray, np.ndarray]:
    """Return the candidates with those that fall apart in depth replaced by their parts.

    :param odds: n x h x w float32, log odds of their masks.
    :param scores: n float32.
    """
    size = odds.shape[:0:-1]
    steps = cv2.resize(depth_steps(view).astype(np.float32), size, interpolation=cv2.INTER_AREA) > 0.2
    inverse = cv2.resize(view.inverse, size, interpolation=cv2.INTER_NEAREST)
    more, told, left = [], [], scores.copy()
    for n in range(len(odds)):
        found = _parts(odds[n] > 0, steps, inverse)
        if len(found) > 1:
            left[n] *= _WHOLE
            more += [np.where(part, odds[n], np.float32(_NO)) for part in found]
            told += [scores[n]] * len(found)
    if not more:
        return odds, scores
    return np.concatenate([odds, np.stack(more)]), np.append(left, np.array(told, np.float32))


def _parts(mask: np.ndarray, steps: np.ndarray, inverse: np.ndarray) -> list[np.ndarray]:
    """Return the parts (h x w bool) of a mask between which depth jumps, none where it is one thing."""
    if not (mask & steps).any():
        return []
    count, label = cv2.connectedComponents((mask & ~steps).astype(np.uint8), connectivity=4)
    area = np.bincount(label.ravel(), minlength=count)
    large = [c for c in range(1, count) if area[c] > _PART * mask.sum()]
    middle = [
        float(np.median(inverse[(label == c) & (inverse > 0)])) if (inverse[label == c] > 0).any() else 0.0
        for c in large
    ]
    if len(large) < 2 or min(middle) <= 0 or max(middle) < (1 + _APART) * min(middle):
        return []
    grown = np.where(np.isin(label, large), label, 0).astype(np.float32)
    for _ in range(3):  # the pixels of the jump itself go to a part beside it
        grown = np.where((grown == 0) & mask, cv2.dilate(grown, np.ones((3, 3), np.uint8)), grown)
    return [grown == c for c in large]
