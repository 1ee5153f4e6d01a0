"""Descriptors of objects for re-identification: mean features of the network."""

from __future__ import annotations

import cv2
import numpy as np


def descriptors(features: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """Return one unit vector for each mask (n x c float32): the mean of the features inside.

    :param features: c x h x w float32.
    :param masks: n x H x W bool.
    """
    channels, height, width = features.shape
    size = (width, height)
    inside = [cv2.resize(m.astype(np.float32), size, interpolation=cv2.INTER_AREA).ravel() for m in masks]
    weights = np.array(inside, np.float32).reshape(len(masks), height * width)
    values = features.reshape(channels, -1)
    weights /= np.maximum(weights.sum(axis=1, keepdims=True), 1e-6)
    found = weights @ values.T
    return np.asarray(found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-6), np.float32)
