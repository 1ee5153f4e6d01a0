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
_CONVERT = "convert it, for instance by `ffmpeg -i FILE -c:v libx264 -pix_fmt yuv420p OUT.mp4`"


class VideoSource(Source):
    """The frames of a video file.

    Stamps are the container's where they grow, else the last one plus 1 / fps.

    :param path: the file, or its address for people.
    :param fps: frames per second; above 0, it replaces the container's stamps.
    :param capture: where it is open already.
    :raises SourceError: the file cannot be opened or holds no frame.
    """

    def __init__(self, path: str | Path, fps: float = 0.0, capture: cv2.VideoCapture | None = None) -> None:
        self._capture = cv2.VideoCapture(str(path)) if capture is None else capture
        if not self._capture.isOpened():
            raise SourceError(f"{path} cannot be opened as a video: {_what_it_is(Path(path))}")
        good, image = self._capture.read()
        if not good:
            codec = _codec(self._capture)
            self._capture.release()
            raise SourceError(
                f"{path} holds no video frame that can be decoded: damaged, or OpenCV has no decoder for its codec"
                f"{f' {codec}' if codec else ''}; {_CONVERT}"
            )
        own = self._capture.get(cv2.CAP_PROP_FPS)
        own = own if math.isfinite(own) and 0 < own <= 1000 else DEFAULT_FPS
        announced = self._capture.get(cv2.CAP_PROP_FRAME_COUNT)
        length = int(announced) if math.isfinite(announced) and announced > 0 else None
        super().__init__(Path(path).name, fps if fps > 0 else own, length)
        self.size = (image.shape[1], image.shape[0])
        self._use_own_stamps = fps <= 0
        self._first_image: np.ndarray = image

    def __iter__(self) -> Iterator[Frame]:
        period = 1.0 / (self.fps or DEFAULT_FPS)
        image, index, last = self._first_image, 0, -period
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
            self.leave_out("frames missing at the end", count=self.length - index)

    def close(self) -> None:
        """Release the file."""
        self._capture.release()


def _codec(capture: cv2.VideoCapture) -> str:
    """Return the four letters of the codec, "" where there are none."""
    code = int(capture.get(cv2.CAP_PROP_FOURCC))
    letters = (code & 0xFFFFFFFF).to_bytes(4, "little").decode("ascii", "replace")
    return letters if letters.isprintable() and letters.strip() else ""


def _what_it_is(path: Path) -> str:
    """Return why a file is no video, as far as its first bytes tell."""
    try:
        with path.open("rb") as file:
            begin = file.read(4096)
    except OSError as error:
        return f"it cannot be read ({error.strerror or error})"
    if not begin:
        return "it is empty"
    if begin[4:8] == b"ftyp":
        return f"an MP4 that is damaged or was cut off while it was recorded, or of a codec OpenCV lacks; {_CONVERT}"
    if b"\0" not in begin and begin.isascii():
        return "it is a text"
    return f"damaged, truncated, or a codec OpenCV lacks; {_CONVERT}"
