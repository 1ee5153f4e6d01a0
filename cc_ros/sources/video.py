"""Video files by OpenCV."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from cc_ros.errors import SourceError
from cc_ros.frame import Frame
from cc_ros.sources.base import DEFAULT_FPS, Source

_ESTIMATE = 2  # frames by which a container's own count may be off without anything missing


class VideoSource(Source):
    """The frames of a video file.

    Stamps are the container's where they grow, else the last one plus 1 / fps.

    :param path: the file.
    :param fps: frames per second; above 0, it replaces the container's stamps.
    :raises SourceError: the file cannot be opened or holds no frame.
    """

    def __init__(self, path: Path, fps: float = 0.0) -> None:
        self._capture = cv2.VideoCapture(str(path))
        if not self._capture.isOpened():
            raise SourceError(f"{path} cannot be opened as a video: damaged, truncated, or a codec OpenCV lacks")
        good, image = self._capture.read()
        if not good:
            self._capture.release()
            raise SourceError(f"{path} holds no video frame that can be decoded")
        own = self._capture.get(cv2.CAP_PROP_FPS)
        own = own if math.isfinite(own) and 0 < own <= 1000 else DEFAULT_FPS
        announced = self._capture.get(cv2.CAP_PROP_FRAME_COUNT)
        length = int(announced) if math.isfinite(announced) and announced > 0 else None
        super().__init__(path.name, fps if fps > 0 else own, length)
        self.size = (image.shape[1], image.shape[0])
        self._use_own_stamps = fps <= 0
        self._first: np.ndarray = image

    def __iter__(self) -> Iterator[Frame]:
        period = 1.0 / (self.fps or DEFAULT_FPS)
        image, index, last = self._first, 0, -period
        while True:
            stamp = last + period
            if not self._use_own_stamps:
                stamp = index * period
            elif index:
                own = self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
                stamp = own if math.isfinite(own) and own > last else stamp
            yield Frame(image, stamp)
            last, index = stamp, index + 1
            good, image = self._capture.read()
            if not good:
                break
        if self.length is not None and index < self.length - _ESTIMATE:
            self.skipped["frames missing at the end"] += self.length - index

    def close(self) -> None:
        """Release the file."""
        self._capture.release()
