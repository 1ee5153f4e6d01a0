"""Cameras and network streams by OpenCV: always the newest frame."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import cv2
import numpy as np

from cc_ros.errors import SourceError
from cc_ros.frame import Frame
from cc_ros.sources.base import Source
from cc_ros.sources.video import VideoSource

OPEN_TIMEOUT = 10.0  # seconds for a stream to open, and for its next frame to come
_CLOSING = 2.0  # seconds that closing waits for a frame under way
_POLL = 0.1  # seconds between two checks whether to stop


def open_stream(address: str, fps: float = 0.0) -> Source:
    """Open a camera or an address; a recording behind an address is read frame by frame.

    :param address: ``/dev/video0``, a camera's number, or an address such as ``rtsp://host/path``.
    :raises SourceError: it cannot be opened.
    """
    shown = _shown(address)
    capture = _open(address)
    if not capture.isOpened():
        capture.release()
        raise SourceError(f"{shown} cannot be opened: {_why(address)}")
    if capture.get(cv2.CAP_PROP_FRAME_COUNT) > 0 and not address.startswith("rtsp"):
        return VideoSource(shown, fps, capture)
    return LiveSource(shown, capture)


class LiveSource(Source):
    """The frames of a camera as they come; those that come while one is in work are left out and counted.

    Stamps are the times of arrival (seconds since 1970). Ends when ``stop`` is set, when the stream ends, or when no
    frame has come for ten seconds.

    :param name: for people.
    :param capture: opened.
    """

    live = True

    def __init__(self, name: str, capture: cv2.VideoCapture) -> None:
        super().__init__(name)
        self._capture = capture
        self._news = threading.Condition()
        self._newest: tuple[float, np.ndarray] | None = None
        self._ended = self._closing = False
        self._thread = threading.Thread(target=self._grab, name="camera", daemon=True)
        self._thread.start()

    def __iter__(self) -> Iterator[Frame]:
        last = time.monotonic()
        while not self.stop.is_set():
            with self._news:
                self._news.wait_for(lambda: self._newest or self._ended, _POLL)
                newest, self._newest = self._newest, None
            if newest is not None:
                last = time.monotonic()
                stamp, image = newest
                self.size = self.size or (image.shape[1], image.shape[0])
                yield Frame(image, stamp)
                last = time.monotonic()
            elif self._ended or time.monotonic() - last > OPEN_TIMEOUT:
                break
        if self.stop.is_set():
            return
        if self.size is None:
            raise SourceError(f"{self.name} sends no frame that can be decoded")
        self.note("the stream ended" if self._ended else f"no frame came for {OPEN_TIMEOUT:.0f} s")

    def close(self) -> None:
        """Let go of the camera."""
        self._closing = True
        self._thread.join(_CLOSING)
        if not self._thread.is_alive():
            self._capture.release()

    def _grab(self) -> None:
        last = 0.0
        while not self._closing:
            good, image = self._capture.read()
            with self._news:
                if not good:
                    self._ended = True
                    self._news.notify()
                    return
                if self._newest is not None:
                    self.skipped["frames that came while one was in work"] += 1
                last = max(time.time(), last + 1e-6)
                self._newest = last, image
                self._news.notify()


def _open(address: str) -> cv2.VideoCapture:
    if address.isdigit():
        return cv2.VideoCapture(int(address))
    if Path(address).exists():
        return cv2.VideoCapture(address, cv2.CAP_V4L2)
    wait = int(OPEN_TIMEOUT * 1000)
    return cv2.VideoCapture(
        address, cv2.CAP_FFMPEG, [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, wait, cv2.CAP_PROP_READ_TIMEOUT_MSEC, wait]
    )


def _why(address: str) -> str:
    if address.isdigit() or Path(address).exists():
        return (
            "no camera there, in use by another program, or not permitted (group video); for cameras with a ROS driver "
            "use `cc-ros up --remap image:=TOPIC`"
        )
    return f"nothing answers within {OPEN_TIMEOUT:.0f} s, it is not permitted, or it is no video that OpenCV can read"


def _shown(address: str) -> str:
    """Return an address without user, password and query."""
    parts = urlsplit(address)
    if not parts.scheme:
        return address
    host = parts.hostname or ""
    return f"{parts.scheme}://{host}{f':{parts.port}' if parts.port else ''}{parts.path}"
