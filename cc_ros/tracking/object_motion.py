"""Telling an object by its motion, where it moves otherwise than what is around it."""

from __future__ import annotations

import cv2
import numpy as np

_STEP = 6  # pixels between the flow vectors that a motion is fitted to
_SCALE = 2.0  # pixels of residual that make one unit of log odds
_FAR = 6.0  # pixels; larger residuals are all the same
_SEPARATION = 0.3  # how much better than chance the motions must tell the object from its surroundings


def motion_odds(flow: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """Compare each pixel's flow with the motions of an object and of everything else.

    :param flow: HxWx2 float32, pixels, from this frame to the one before.
    :param mask: HxW float32, 0..1, the object as carried into this frame.
    :return: log odds of the object (HxW float32; 0 where motion cannot tell), and the object's affine motion to the
        frame before (2x3 float32), or None where it cannot be found.
    """
    height, width = mask.shape
    object_motion = _affine(flow, mask > 0.6)
    others = _affine(flow, mask < 0.05)
    if object_motion is None and (mask > 0.3).any():
        object_motion = np.eye(2, 3, dtype=np.float32)
        object_motion[:, 2] = np.median(flow[mask > 0.3], axis=0)
    if object_motion is None or others is None:
        return np.zeros(mask.shape, np.float32), object_motion
    y, x = np.mgrid[:height, :width].astype(np.float32)
    errors = []
    for motion in (others, object_motion):
        to_x = (motion[0, 0] - 1) * x + motion[0, 1] * y + motion[0, 2]
        to_y = motion[1, 0] * x + (motion[1, 1] - 1) * y + motion[1, 2]
        errors.append(np.minimum(np.hypot(flow[..., 0] - to_x, flow[..., 1] - to_y), _FAR))
    odds = np.clip((errors[0] - errors[1]) / _SCALE, -2, 2)
    return odds * np.float32(_trust(odds, mask)), object_motion


def _affine(flow: np.ndarray, chosen: np.ndarray) -> np.ndarray | None:
    height, width = chosen.shape
    y, x = np.mgrid[_STEP // 2 : height : _STEP, _STEP // 2 : width : _STEP]
    kept = chosen[y, x]
    if kept.sum() < 6:
        return None
    points = np.stack([x[kept], y[kept]], axis=1).astype(np.float32)
    motion, _ = cv2.estimateAffine2D(
        points, points + flow[y, x][kept], method=cv2.RANSAC, ransacReprojThreshold=1.5, maxIters=200
    )
    return None if motion is None else np.asarray(motion, np.float32)


def _trust(odds: np.ndarray, mask: np.ndarray) -> float:
    """Return 0..1: how well the sign of ``odds`` tells the known object from the ring around it."""
    inside, outside = mask > 0.6, mask < 0.05
    ring = (cv2.dilate((~outside).astype(np.uint8), np.ones((31, 31), np.uint8)) > 0) & outside
    if not inside.any() or not ring.any():
        return 0.0
    separation = float((odds[inside] > 0).mean() - (odds[ring] > 0).mean())
    return max(separation - _SEPARATION, 0.0) / (1 - _SEPARATION)
