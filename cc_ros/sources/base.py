"""The interface of sources: frames in order, one at a time, and an account of what was left out."""

from __future__ import annotations

import threading
from abc import abstractmethod
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass

from cc_ros.frame import Frame
from cc_ros.geometry.mounting import MountingSettings
from cc_ros.settings import knob

DEFAULT_FPS = 30.0  # for images that carry no time at all
NONE = "none"  # as the name of a topic: do without


@dataclass(frozen=True)
class SourceSettings(MountingSettings):
    """How to read a recording; what does not concern its kind is not looked at."""

    fps: float = knob(0.0, "frames per second of a video or image folder; 0 = as recorded", ge=0, le=1000)
    image_topic: str = knob("", "bags: topic of the images; empty = that of the colour camera")
    camera_info_topic: str = knob("", "bags: topic of the CameraInfo; empty = the image's own, 'none' = do without")
    depth_topic: str = knob("", "bags: topic of the depth images; empty = find one, 'none' = no depth (folders too)")
    odom_topic: str = knob("", "bags: topic of the Odometry; empty = find one, 'none' = no poses (folders too)")
    depth_tolerance: float = knob(0.05, "largest difference of the stamps of image and depth, seconds", ge=0)
    depth_scale: float = knob(
        0.0, "folders: units a metre in 16-bit depth pictures; 0 = as the layout has it: 5000 (TUM) or 1000", ge=0
    )


class Source(AbstractContextManager["Source"]):
    """Frames of one recording or camera, in order, with constant memory. Use as a context manager; iterate once.

    :ivar name: what people call it: the file or folder name.
    :ivar fps: frames per second, an estimate for bags; None when unknown.
    :ivar length: number of frames announced; None when unknown. Damaged frames are announced as well.
    :ivar size: (width, height) of the first frame in pixels; None before it was read.
    :ivar skipped: reason -> how often something was left out for it; grows while iterating.
    :ivar notes: how the recording was taken, in sentences for people; grows while iterating.
    :ivar remarks: those notes that limit where things are said to be.
    :ivar stop: ends a live source when set by others, also while no frame comes.
    """

    live = False  #: whether frames come at their own pace and are lost when not fetched

    def __init__(self, name: str, fps: float | None = None, length: int | None = None) -> None:
        self.name = name
        self.fps = fps
        self.length = length
        self.size: tuple[int, int] | None = None
        self.skipped: Counter[str] = Counter()
        self.notes: list[str] = []
        self.remarks: list[str] = []
        self.stop = threading.Event()
        self._first: dict[str, str] = {}

    def leave_out(self, reason: str, why: object = "", count: int = 1) -> None:
        """Count something that is not used.

        :param reason: one of few.
        :param why: what exactly was wrong and what to do; the first one of each reason is told.
        """
        self.skipped[reason] += count
        if str(why):
            self._first.setdefault(reason, str(why))

    def note(self, text: str, *, limits: bool = False) -> None:
        """Tell something about how the recording is taken, once.

        :param limits: whether answers about places are to say it as well.
        """
        if text not in self.notes:
            self.notes.append(text)
            if limits:
                self.remarks.append(text)

    def losses(self) -> list[str]:
        """Return what was left out, a line a reason, with the first cause."""
        return [
            f"{reason} ({count})" + (f"; first: {self._first[reason]}" if reason in self._first else "")
            for reason, count in self.skipped.items()
        ]

    @abstractmethod
    def __iter__(self) -> Iterator[Frame]:
        """Yield the frames; a stamp that falls marks a new episode (a recording of a bag that looped).

        :raises SourceError: the recording is damaged beyond what can be skipped, or holds no image at all.
        """

    @abstractmethod
    def close(self) -> None:
        """Release files; closing twice is fine."""

    def __exit__(self, *_: object) -> None:
        self.close()
