"""Write the files of a run: label maps, marked keyframes, marks.json and timing.json."""

from __future__ import annotations

import json
import time
from array import array
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import psutil

from cc_ros.errors import CCError
from cc_ros.keyframes.types import MarkedKeyframe

LABELS, KEYFRAMES = "labels", "keyframes"
MARKS, TIMING, REPORT = "marks.json", "timing.json", "report.html"
MAX_PENDING = 16  # label maps that wait to be written before a frame has to wait for them
EDGE = 100  # frames in the medians of the beginning and the end


class RunFilesError(CCError):
    """The files of a run cannot be written."""


@dataclass(frozen=True)
class Timing:
    """How long the frames took; ``None`` before there was one.

    :param frames: how many.
    :param seconds: wall time from the first frame to the end.
    :param median: milliseconds a frame.
    :param p95: milliseconds; 95 of 100 frames took less.
    :param first100: median of the first 100 frames, milliseconds.
    :param last100: median of the last 100 frames, milliseconds.
    :param rss_start: resident memory at the beginning, MB.
    :param rss_end: resident memory at the end, MB.
    """

    frames: int
    seconds: float
    median: float | None
    p95: float | None
    first100: float | None
    last100: float | None
    rss_start: float
    rss_end: float

    def as_json(self) -> dict[str, Any]:
        """Return the content of timing.json."""
        return {
            "frames": self.frames,
            "seconds": round(self.seconds, 3),
            "ms_per_frame": {
                name: None if value is None else round(value, 3)
                for name in ("median", "p95", "first100", "last100")
                for value in [getattr(self, name)]
            },
            "rss_mb": {"start": round(self.rss_start, 1), "end": round(self.rss_end, 1)},
        }


class RunWriter(AbstractContextManager["RunWriter"]):
    """Writes what scripts read after ``cc-ros run``; label maps go to disk beside the loop.

    An older run in the same folder is replaced; a folder with anything else in it is refused.

    :param out_dir: made if missing.
    :param source_name: the recording, for marks.json.
    :param fps: of the recording; None when unknown.
    :param labels: whether to write the label maps.
    :raises RunFilesError: the folder holds something else or cannot be written.
    """

    def __init__(self, out_dir: Path, source_name: str, fps: float | None = None, labels: bool = True) -> None:
        self.out_dir = out_dir
        self._source = source_name
        self._fps = fps
        try:
            _prepare(out_dir, labels)
        except OSError as error:
            raise RunFilesError(f"{out_dir} cannot be written: {error.strerror or error}") from error
        self._labels = labels
        self._pool = ThreadPoolExecutor(1, "labels")
        self._pending: deque[Future[None]] = deque()
        self._milliseconds = array("f")
        self._keyframes: Sequence[MarkedKeyframe] = ()
        self._begin: float | None = None
        self._rss = _rss_mb()
        self._write_marks(0)  # so that a run that was cut off is known as one

    def frame(self, index: int, labels: np.ndarray, seconds: float) -> None:
        """Take in a processed frame.

        :param index: number of the frame, from 0.
        :param labels: HxW uint16 ids; not to be changed afterwards.
        :param seconds: what the frame took.
        :raises RunFilesError: an earlier label map could not be written.
        """
        if self._begin is None:
            self._begin = time.monotonic() - seconds
        self._milliseconds.append(seconds * 1e3)
        if not self._labels:
            return
        while self._pending and (self._pending[0].done() or len(self._pending) >= MAX_PENDING):
            self._pending.popleft().result()
        path = self.out_dir / LABELS / f"{index:06d}.png"
        self._pending.append(self._pool.submit(lambda: write_file(path, cv2.imencode(".png", labels)[1].tobytes())))

    def keyframes(self, keyframes: Sequence[MarkedKeyframe]) -> None:
        """Write the marked frames; those given before are replaced.

        :raises RunFilesError: a file cannot be written.
        """
        for keyframe in keyframes:
            write_file(self.out_dir / _image_name(keyframe), keyframe.jpeg)
        for name in {_image_name(old) for old in self._keyframes} - {_image_name(new) for new in keyframes}:
            (self.out_dir / name).unlink(missing_ok=True)
        self._keyframes = tuple(keyframes)

    def finish(self) -> Timing:
        """Wait for the label maps, write marks.json and timing.json, and return the timing.

        :raises RunFilesError: something could not be written.
        """
        while self._pending:
            self._pending.popleft().result()
        timing = self._timing()
        self._write_marks(timing.frames)
        write_file(self.out_dir / TIMING, _json(timing.as_json()))
        return timing

    def close(self) -> None:
        """Stop the thread that writes; what waits is dropped. Closing twice is fine."""
        self._pool.shutdown(cancel_futures=True)

    def __exit__(self, *_: object) -> None:
        self.close()

    def _write_marks(self, frames: int) -> None:
        marks = {
            "source": self._source,
            "frames": frames,
            "fps": self._fps,
            "keyframes": [
                {
                    "index": keyframe.index,
                    "stamp": keyframe.stamp,
                    "image": _image_name(keyframe),
                    "marks": [
                        {"id": mark.id, "x": round(mark.x, 2), "y": round(mark.y, 2), "area": mark.area}
                        for mark in keyframe.marks
                    ],
                }
                for keyframe in self._keyframes
            ],
        }
        write_file(self.out_dir / MARKS, _json(marks))

    def _timing(self) -> Timing:
        taken = np.array(self._milliseconds, np.float64)
        seconds = time.monotonic() - self._begin if self._begin is not None else 0.0
        if not len(taken):
            return Timing(0, seconds, None, None, None, None, self._rss, _rss_mb())
        median, first, last = (float(np.median(part)) for part in (taken, taken[:EDGE], taken[-EDGE:]))
        return Timing(len(taken), seconds, median, float(np.percentile(taken, 95)), first, last, self._rss, _rss_mb())


def _prepare(out_dir: Path, labels: bool) -> None:
    """Make the folders, without what an older run left in them; anything else in them stays."""
    out_dir.mkdir(parents=True, exist_ok=True)
    if any(out_dir.iterdir()) and not (out_dir / MARKS).is_file():
        raise RunFilesError(f"{out_dir} is neither empty nor an earlier run (it has no {MARKS}): name another folder")
    for pattern in (f"{LABELS}/*.png", f"{KEYFRAMES}/*.jpg", MARKS, TIMING, REPORT):
        for old in out_dir.glob(pattern):
            old.unlink()
    (out_dir / KEYFRAMES).mkdir(exist_ok=True)
    if labels:
        (out_dir / LABELS).mkdir(exist_ok=True)
    elif (out_dir / LABELS).is_dir() and not any((out_dir / LABELS).iterdir()):
        (out_dir / LABELS).rmdir()


def _json(content: dict[str, Any]) -> bytes:
    return (json.dumps(content, indent=1) + "\n").encode()


def write_file(path: Path, content: bytes) -> None:
    """Write a file of the run.

    :raises RunFilesError: it cannot be written.
    """
    try:
        path.write_bytes(content)
    except OSError as error:
        raise RunFilesError(f"{path} cannot be written: {error.strerror or error}") from error


def _image_name(keyframe: MarkedKeyframe) -> str:
    return f"{KEYFRAMES}/{keyframe.index:06d}.jpg"


def _rss_mb() -> float:
    return psutil.Process().memory_info().rss / 1e6
