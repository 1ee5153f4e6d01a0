"""The interface of tracking backends: one frame in, one map of lasting instance ids out (paper section 3, step 1)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from types import MappingProxyType
from typing import ClassVar, Protocol

import numpy as np

from cc_ros.errors import ImageError
from cc_ros.frame import Frame
from cc_ros.settings import Scalar

MAX_ID = 65535  # the maps are uint16


class TrackStatus(IntEnum):
    """What happened to a track in this frame; the numbers are those of ``cc_ros/msg/Track``."""

    NEW = 0
    VISIBLE = 1
    RECOVERED = 2
    LOST = 3


@dataclass(frozen=True, slots=True)
class Track:
    """One object as of this frame.

    :param id: 1..65535; no other object in view or lost has it. With ``first_seen`` it names the object for the whole
        episode: an id of an object that was given up may be given anew, see :mod:`cc_ros.tracking.ids`.
    :param status: NEW, VISIBLE and RECOVERED are in the map; LOST is not, and may come back.
    :param area: pixels in this frame's map, 0 when lost.
    :param centre: (x, y) pixels: centroid of the mask, or where it was last.
    :param box: (x, y, width, height) pixels, all 0 when lost.
    :param confidence: 0..1, how sure the tracker is that this mask is still that object.
    :param first_seen: stamp in seconds at which it got its id; later than what an earlier owner of the id was seen at.
    :param last_seen: stamp in seconds.
    """

    id: int
    status: TrackStatus
    area: int
    centre: tuple[float, float]
    box: tuple[int, int, int, int]
    confidence: float
    first_seen: float
    last_seen: float


@dataclass(frozen=True, slots=True)
class Tracked:
    """The tracker's answer to one frame.

    :param labels: HxW uint16 instance ids, 0 = none; the size of the frame; the caller may keep it.
    :param tracks: those in the map, then those lost that can still come back (a bounded number).
    :param carried: the map is the one of an earlier frame, carried here by optical flow: nothing was looked for in this
        one, and what has come into view since then is missing.
    """

    labels: np.ndarray
    tracks: tuple[Track, ...]
    carried: bool = False

    @property
    def confidences(self) -> dict[int, float]:
        """The confidence of each track, by id."""
        return {track.id: track.confidence for track in self.tracks}

    @property
    def first_seen(self) -> dict[int, float]:
        """When each track got its id, by id."""
        return {track.id: track.first_seen for track in self.tracks}


@dataclass(frozen=True)
class BackendSettings(ABC):
    """What the settings of every backend share; its fields are knobs (:func:`cc_ros.settings.knob`).

    :cvar title: the backend's name for people.
    :cvar for_files: other defaults for a source that waits for every frame.
    """

    title: ClassVar[str]
    for_files: ClassVar[Mapping[str, Scalar]] = MappingProxyType({})

    @property
    @abstractmethod
    def view_width(self) -> int:
        """Width in pixels of the images that the backend works on."""


@dataclass(frozen=True)
class SlowBackend:
    """A backend that runs beside a faster one.

    :param key: prefix of its counters in ``health``.
    :param title: its name for people.
    :param make: makes the tracker; called in a thread of its own.
    :param keeps_up: whether it answers within the camera's period; if not, it leaves the processor to the faster one.
    """

    key: str
    title: str
    make: Callable[[], Tracker]
    keeps_up: bool


class Proposer(Protocol):
    """Finds the regions of an image that may be objects."""

    def regions(self, image: np.ndarray) -> np.ndarray:
        """Return HxW int32: 0 = background, 1.. = regions that may be objects, for an HxWx3 uint8 BGR image."""
        ...


class Tracker(ABC):
    """A streaming, class-agnostic video tracker with constant memory.

    Not thread-safe: one thread calls ``step``, ``seed`` and ``reset``.
    """

    @abstractmethod
    def step(self, frame: Frame) -> Tracked:
        """Track all objects into ``frame``; its image may differ in size from the one before.

        :raises ImageError: the image is empty or not HxWx3 uint8.
        """

    @abstractmethod
    def seed(self, labels: np.ndarray) -> None:
        """Start a new episode whose first frame has these objects (HxW uint16); find no others.

        The ids are kept as given. The next ``step`` must bring the frame that the map belongs to.
        """

    @abstractmethod
    def reset(self) -> None:
        """Start a new episode: forget every object; ids begin at 1 again."""

    def health(self) -> Mapping[str, str | int | float]:
        """Return counters and states worth showing on /diagnostics; a key ``degraded`` holds a reason for people."""
        return {}

    def prepare(self) -> None:  # noqa: B027  (optional to override)
        """Load and compile whatever the first frame would otherwise wait for.

        :raises BackendError: ``stop`` was called in another thread.
        """

    def stop(self) -> None:  # noqa: B027  (optional to override)
        """Make a step or ``prepare`` under way in another thread end early, by a BackendError; then only ``close``."""

    def close(self) -> None:  # noqa: B027  (optional to override)
        """Release threads and device memory; the tracker is not used afterwards."""


def check_image(image: np.ndarray) -> None:
    """Refuse what no tracker can work on.

    :raises ImageError: the image is empty or not HxWx3 uint8.
    """
    if image.ndim != 3 or image.shape[2] != 3 or image.size == 0 or image.dtype != np.uint8:
        raise ImageError(f"the tracker needs a non-empty HxWx3 uint8 image, got {image.shape} {image.dtype}")
