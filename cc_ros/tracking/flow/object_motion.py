"""Fit affine motions, and vote for objects that move otherwise than their surroundings."""

from __future__ import annotations

import cv2
import numpy as np

from cc_ros.tracking.flow import constants as const

STRIDE = 2  # pixels between those whose motion is compared
_STEP = 6  # pixels between the flow vectors that a motion is fitted to
_MOST = 200  # vectors that one motion is fitted to
_RING = np.ones((15, 15), np.uint8)  # what surrounds an object, in steps of STRIDE


def affine_motions(flow: np.ndarray, rows: np.ndarray, shares: np.ndarray) -> list[np.ndarray | None]:
    """Fit one affine motion to each object, and one to what is no object.

    :param flow: HxWx2 float32, pixels, from this frame to the one before.
    :param rows: HxW int32, for each pixel its row in ``shares``.
    :param shares: r x n, how much each object has of the pixels of a row.
    :return: n + 1 motions to the frame before (2x3 float32), the last one of the background; None = not found.
    """
    count, half = shares.shape[1], _STEP // 2
    owner = np.where(shares.max(axis=1) > const.MOTION_INSIDE, shares.argmax(axis=1), -1)
    owner[(shares < const.MOTION_OUTSIDE).all(axis=1)] = count
    y, x = np.mgrid[half : flow.shape[0] : _STEP, half : flow.shape[1] : _STEP].reshape(2, -1)
    sampled, points, steps = owner[rows[y, x]], np.stack([x, y], axis=1).astype(np.float32), flow[y, x]
    motions = [_affine(points, steps, np.flatnonzero(sampled == k)) for k in range(count + 1)]
    present = shares.max(axis=0) > 0.3
    for k in np.flatnonzero(present):
        if motions[k] is None:
            motions[k] = _shift(flow, rows, shares[:, k])
    return motions


def _affine(points: np.ndarray, steps: np.ndarray, chosen: np.ndarray) -> np.ndarray | None:
    if len(chosen) < 6:
        return None
    chosen = chosen[:: -(-len(chosen) // _MOST)]
    old, new = points[chosen], points[chosen] + steps[chosen]
    motion, _ = cv2.estimateAffine2D(old, new, method=cv2.RANSAC, ransacReprojThreshold=1.5, maxIters=200)
    return None if motion is None else np.asarray(motion, np.float32)


def _shift(flow: np.ndarray, rows: np.ndarray, share: np.ndarray) -> np.ndarray | None:
    """Return the median motion of an object too small for a fit, or None where nothing is left of it."""
    mine = (share > 0.3)[rows]
    if not mine.any():
        return None
    motion = np.eye(2, 3, dtype=np.float32)
    motion[:, 2] = np.median(flow[mine], axis=0)
    return motion


def motion_errors(flow: np.ndarray, motion: np.ndarray, start: tuple[int, int] = (0, 0)) -> np.ndarray:
    """Return how far the flow is from one motion (hxw float32, pixels, limited).

    :param flow: hxwx2 float32, every ``STRIDE``th pixel of a part of the flow.
    :param motion: 2x3 float32, to the frame before.
    :param start: column and row of the first of these pixels.
    """
    x = np.float32(start[0]) + STRIDE * np.arange(flow.shape[1], dtype=np.float32)
    y = np.float32(start[1]) + STRIDE * np.arange(flow.shape[0], dtype=np.float32)[:, None]
    (a, b, u), (c, d, v) = motion - np.eye(2, 3, dtype=np.float32)
    error = np.hypot(flow[..., 0] - (a * x + u + b * y), flow[..., 1] - (c * x + v + d * y))
    return np.minimum(error, const.MOTION_FAR)


def motion_odds(
    flow: np.ndarray, motion: np.ndarray, start: tuple[int, int], background: np.ndarray, carried: np.ndarray
) -> tuple[np.ndarray, float]:
    """Return the log odds of an object by its motion (hxw float32), and how far they can be trusted (0..1).

    :param flow: hxwx2 float32, every ``STRIDE``th pixel of a part of the flow.
    :param motion: 2x3 float32, of the object to the frame before.
    :param start: column and row of the first of these pixels.
    :param background: hxw float32, of ``motion_errors`` for the motion of the background.
    :param carried: hxw float32, 0..1, the object as carried into this frame.
    """
    odds = np.clip((background - motion_errors(flow, motion, start)) / np.float32(const.MOTION_SCALE), -2, 2)
    inside, outside = carried > const.MOTION_INSIDE, carried < const.MOTION_OUTSIDE
    ring = outside & (cv2.dilate((~outside).astype(np.uint8), _RING) > 0)
    told = (odds[inside] > 0).mean() - (odds[ring] > 0).mean() if inside.any() and ring.any() else 0.0
    trust = max(float(told) - const.MOTION_LEAD, 0) / (1 - const.MOTION_LEAD)
    return odds * np.float32(trust), trust
