"""What really lies where: true instance ids of the frames of a question's media."""

from __future__ import annotations

import zipfile
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np

from cc_ros.errors import SourceError


@lru_cache(4)
def true_ids(path: Path) -> np.ndarray:
    """Return the true instance ids, N x H x W uint16, 0 = nothing.

    :param path: an ``.npz`` whose array ``ids`` is N x H x W, at the size of the frames or smaller.
    :raises SourceError: the file is missing or damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            ids: np.ndarray = file["ids"].astype(np.uint16, copy=False)
    except (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise SourceError(f"{path} must be an .npz whose array 'ids' is N x H x W: {error}") from error
    if ids.ndim != 3 or not ids.size:
        raise SourceError(f"{path}: the array 'ids' must be N x H x W, got {ids.shape}")
    return ids


def true_map(path: Path, index: int, size: tuple[int, int]) -> np.ndarray:
    """Return the ids of one frame, H x W uint16.

    :param index: number of the frame in the recording.
    :param size: (width, height) of the frame in pixels.
    :raises SourceError: there is no map of that frame.
    """
    ids = true_ids(path)
    if index >= len(ids):
        raise SourceError(f"{path} holds the ids of {len(ids)} frames, and the recording has more")
    if ids.shape[:0:-1] == size:
        return ids[index]
    return cv2.resize(ids[index], size, interpolation=cv2.INTER_NEAREST)


def under(labels: np.ndarray, x: float, y: float) -> int:
    """Return the id at a pixel of a map; 0 outside of it."""
    height, width = labels.shape
    column, row = round(x), round(y)
    return int(labels[row, column]) if 0 <= column < width and 0 <= row < height else 0
