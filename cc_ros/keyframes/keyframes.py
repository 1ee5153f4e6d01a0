"""From the frames kept of an episode to marked keyframes, drawn as asked."""

from __future__ import annotations

import dataclasses
import json
import math
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Protocol

from cc_ros.encodings import MARKED_QUALITY, encode_jpeg
from cc_ros.errors import ImageError, SettingsError
from cc_ros.ground import Ground
from cc_ros.keyframes.drawing import MarkSettings, blur_objects, draw_marks
from cc_ros.keyframes.placement import mark_place, mask_centre
from cc_ros.keyframes.prominence import filled, top_k
from cc_ros.keyframes.store import KeptFrame, KeyframeStore
from cc_ros.keyframes.types import Mark, MarkedKeyframe, RememberedObject
from cc_ros.settings import checked, knob

MARKS, RAW, SET_OF_MARK = "marks", "raw", "set_of_mark"
STYLES = (MARKS, RAW, SET_OF_MARK)
MAX_FRAMES = 64
LATEST = 2.0**32  # seconds since 1970; what a stamp can hold ends before
STILL_SURE = 0.5  # share of ``min_confidence`` that an object needs in the other frames, once it had all of it in one


def read_marks(path: str) -> Mapping[int, list[Mark]]:
    """Read marks given by hand: ``{"keyframes": [{"index": 0, "marks": [{"id": 1, "x": 320, "y": 240}]}]}``.

    :param path: of the file; "" = none.
    :return: frame index -> marks.
    :raises SettingsError: the file cannot be read or does not look like this.
    """
    if not path:
        return {}
    try:
        keyframes = json.loads(Path(path).read_text())["keyframes"]
        marks = {
            int(keyframe["index"]): [
                Mark(int(mark["id"]), float(mark["x"]), float(mark["y"]), 0) for mark in keyframe["marks"]
            ]
            for keyframe in keyframes
        }
    except OSError as error:
        raise SettingsError(f"the marks file {path} cannot be read: {error.strerror}") from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise SettingsError(
            f"the marks file {path} must hold {{'keyframes': [{{'index': 0, 'marks': [{{'id', 'x', 'y'}}]}}]}}: "
            f"{type(error).__name__} {error}"
        ) from error
    if not 0 < len(marks) <= MAX_FRAMES:
        raise SettingsError(f"the marks file {path} lists {len(marks)} keyframes; it must list 1 to {MAX_FRAMES}")
    return marks


@dataclass(frozen=True)
class KeyframeSettings:
    """Which frames are kept and how many objects are marked (m and K of the paper)."""

    frames: int = knob(8, "keyframes of an episode (m in the paper)", ge=1, le=MAX_FRAMES)
    marks: int = knob(8, "objects that get a mark (K in the paper)", ge=0, le=500)
    marks_each: int = knob(
        2, "a keyframe that shows fewer of these objects gets its own largest ones, up to so many marks", ge=0, le=500
    )
    kind: str = knob(MARKS, "marks: one number per object; raw: none; set_of_mark: numbers per image", choices=STYLES)
    min_confidence: float = knob(0.6, "objects of which the tracker was never as sure get no mark", ge=0, le=1)
    on_object: bool = knob(
        True, "move a mark off what shows through a gap of its object; false: centres as in the paper"
    )
    recent_seconds: float = knob(60.0, "the last so many seconds are kept densely, in s", ge=1.0, le=3600.0)
    marks_file: str = knob(
        "", "marks given by hand: a JSON file laid out like marks.json; drawn as they are", valid=read_marks
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyframeRequest:
    """Which keyframes are wanted, and how they are marked; zero values mean: as set up.

    :param frames: how many (m in the paper).
    :param marks: how many objects are marked (K in the paper).
    :param last_seconds: only frames this recent; 0 = the whole episode.
    :param since: only frames from this time on, seconds since 1970; 0 = open. With any of this and the next four the
        memory is asked, where there is one.
    :param until: only frames up to this time; 0 = open.
    :param episode: only frames of this episode of the memory; 0 = any.
    :param near: only frames that show this mark; 0 = any.
    :param words: frames whose captions fit these words come first, where the memory has captions; "" = any.
    :param style: one of :data:`STYLES`.
    """

    frames: int = 0
    marks: int = 0
    last_seconds: float = 0.0
    since: float = 0.0
    until: float = 0.0
    episode: int = 0
    near: int = 0
    words: str = ""
    style: str = ""

    @property
    def reaches_back(self) -> bool:
        """Whether it asks for a time, an episode, or words of its own."""
        return bool(self.since or self.until or self.episode or self.near or self.words)

    def check(self) -> None:
        """Hold the request to the limits of the settings.

        :raises SettingsError: a value out of its range.
        """
        wished = {"frames": self.frames, "marks": self.marks, "kind": self.style}
        checked(KeyframeSettings, {name: value for name, value in wished.items() if value})
        if not 0 <= self.last_seconds < math.inf:  # so written, NaN fails as well
            raise SettingsError(f"last_seconds must be 0 or more and finite, got {self.last_seconds}")
        for name, time in (("since", self.since), ("until", self.until)):
            if not 0 <= time < LATEST:
                raise SettingsError(f"{name} must be seconds since 1970, got {time}")
        if self.until and self.until < self.since:
            raise SettingsError(f"until ({self.until:.0f}) is before since ({self.since:.0f})")


@dataclass(frozen=True, slots=True)
class KeyframeSet:
    """Marked keyframes to answer from.

    :param keyframes: oldest first.
    :param look: of their marks.
    :param remarks: for people: what limits the places of the marks.
    :param grounds: what is known of the ground, in the world of the keyframes' poses.
    :param objects: with a memory: those seen in the window that was asked about.
    :param remembered_since: seconds since 1970 of the memory's oldest keyframe; 0 = none is kept, or it holds nothing.
    """

    keyframes: tuple[MarkedKeyframe, ...]
    look: MarkSettings = dataclasses.field(default_factory=MarkSettings)
    remarks: tuple[str, ...] = ()
    grounds: tuple[Ground, ...] = ()
    objects: tuple[RememberedObject, ...] = ()
    remembered_since: float = 0.0


class Archive(Protocol):
    """Frames of earlier episodes, and the lasting numbers of objects: what a memory is for the keyframe step."""

    def numbered(self, frame: KeptFrame) -> KeptFrame:
        """Return a frame of the running episode with the lasting numbers of its objects."""

    def number(self, id: int, first_seen: float) -> int:
        """Return the lasting number of a track of the running episode."""

    def frames(self, request: KeyframeRequest, count: int) -> list[KeptFrame]:
        """Return up to ``count`` frames, uniformly from the window of a request; their stamps are since 1970."""

    def missing(self, request: KeyframeRequest) -> str:
        """Return for people what there are no frames of, and what there is instead."""

    def objects(self, request: KeyframeRequest) -> tuple[RememberedObject, ...]:
        """Return the objects that were seen in the window of a request; with no window, those known last."""

    def since(self) -> float:
        """Return when its oldest keyframe was taken, seconds since 1970; 0 = it has none."""


class Keyframes:
    """The keyframe step: offer it every tracked frame, ask it for marked keyframes at any time.

    Thread-safe: one thread offers, others may ask.

    :ivar begin: seconds since 1970 of the instant that the stamps of offered frames count from.
    :param archive: a memory; None = only the running episode is known.
    :raises SettingsError: an unknown colour or a marks file that cannot be used.
    """

    def __init__(
        self,
        settings: KeyframeSettings = KeyframeSettings(),
        look: MarkSettings = MarkSettings(),
        archive: Archive | None = None,
    ) -> None:
        self.settings = settings
        self.begin = 0.0
        self._archive = archive
        self.look = checked(MarkSettings, dataclasses.asdict(look))
        self._by_hand = read_marks(settings.marks_file)
        self._drawn = lru_cache(MAX_FRAMES)(self._draw)  # from question to question most frames stay the same
        self.store = KeyframeStore(2 * MAX_FRAMES, settings.recent_seconds, pinned=frozenset(self._by_hand))

    def marked(
        self,
        request: KeyframeRequest = KeyframeRequest(),
        look: MarkSettings | None = None,
        blur: tuple[int, ...] = (),
    ) -> list[MarkedKeyframe]:
        """Return the marked keyframes of the episode so far, in order of time; empty before the first frame.

        :param look: of the marks; None = as set up.
        :param blur: ids of objects to be made unrecognisable.
        :raises SettingsError: a value out of the range that its setting has.
        :raises ImageError: a kept frame cannot be decoded.
        """
        request.check()
        look = checked(MarkSettings, dataclasses.asdict(look or self.look))
        frames = request.frames or self.settings.frames
        style = request.style or self.settings.kind
        kept = self._chosen(request, frames)
        k = request.marks or self.settings.marks
        sure = self._sure(kept)
        together = filled(sure, k, min(self.settings.marks_each, k))

        def draw(frame: KeptFrame, areas: dict[int, int]) -> MarkedKeyframe:
            ids = top_k([areas], k) if style == SET_OF_MARK else together
            return self._drawn(frame, tuple(i for i in ids if i in areas), style, look, blur)

        with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:  # OpenCV lets go of the GIL
            return list(pool.map(draw, kept, sure))

    def objects(self, request: KeyframeRequest = KeyframeRequest()) -> tuple[RememberedObject, ...]:
        """Return what the memory knows of the objects in the window of a request; nothing without either."""
        return self._archive.objects(request) if self._archive is not None and request.reaches_back else ()

    def remembered_since(self) -> float:
        """Return when the memory's oldest keyframe was taken, seconds since 1970; 0 = there is none."""
        return 0.0 if self._archive is None else self._archive.since()

    def number(self, id: int, first_seen: float) -> int:
        """Return the number in marks of a track: its id, or with a memory its object's."""
        return id if self._archive is None else self._archive.number(id, first_seen)

    def missing(self, request: KeyframeRequest) -> str:
        """Return for people why there are no frames for a request."""
        if not request.reaches_back:
            return "no frames yet: cc_tracker sends no masks; is the camera running?"
        if self._archive is not None:
            return self._archive.missing(request)
        return "no keyframes of that time: the running episode has none, and no memory is kept (memory_dir)"

    def _chosen(self, request: KeyframeRequest, frames: int) -> list[KeptFrame]:
        """Return the frames to mark, with the lasting numbers where there is a memory; stamps count from ``begin``."""
        archive, begin = self._archive, self.begin
        if archive is None:
            if not request.reaches_back:
                return self.store.choose(frames, request.last_seconds)
            if request.episode:
                raise SettingsError(f"episode {request.episode} is not known: no memory is kept (memory_dir)")

            def wanted(kept: KeptFrame) -> bool:
                stamp = begin + kept.stamp
                within = request.since <= stamp <= (request.until or math.inf)
                return within and (not request.near or request.near in kept.areas)

            return self.store.choose(frames, request.last_seconds, wanted)
        if request.reaches_back:
            recalled = archive.frames(request, frames)
            return [dataclasses.replace(kept, stamp=kept.stamp - begin) for kept in recalled]
        return [archive.numbered(kept) for kept in self.store.choose(frames, request.last_seconds)]

    def _sure(self, kept: Sequence[KeptFrame]) -> list[dict[int, int]]:
        """Return for each frame the pixels of each object that may get a mark there."""
        least = self.settings.min_confidence
        proven = {i for frame in kept for i in frame.areas if frame.confidences.get(i, 1.0) >= least}
        return [
            {
                i: area
                for i, area in frame.areas.items()
                if i in proven and frame.confidences.get(i, 1.0) >= STILL_SURE * least
            }
            for frame in kept
        ]

    def _draw(
        self, frame: KeptFrame, ids: tuple[int, ...], style: str, look: MarkSettings, blur: tuple[int, ...]
    ) -> MarkedKeyframe:
        image, labels = frame.image(), frame.labels()
        height, width = image.shape[:2]
        if labels.shape != (height, width):
            raise ImageError(f"a mask of {labels.shape[::-1]} pixels does not fit its image of {(width, height)}")
        by_hand = self._by_hand.get(frame.index) if style == MARKS else None
        marks: tuple[Mark, ...] = ()
        if by_hand is not None:
            marks = tuple(by_hand)
        elif style != RAW:
            place = partial(mark_place, image) if self.settings.on_object else mask_centre
            marks = tuple(
                Mark(i, *place(labels == i), frame.areas[i], frame.depths.get(i, math.nan)) for i in sorted(ids)
            )
        if blur:
            blur_objects(image, labels, blur)
        numbers: dict[int, int] = {}
        if style == SET_OF_MARK:  # each image on its own: the largest object is 1, whatever it is elsewhere
            numbers = {i: n for n, i in enumerate(ids, 1)}
        draw_marks(image, marks, None if by_hand is not None else labels, look, numbers)
        if numbers:
            marks = tuple(dataclasses.replace(mark, id=numbers[mark.id]) for mark in marks)
        jpeg = encode_jpeg(image, MARKED_QUALITY) if marks or blur else frame.jpeg
        known = {"intrinsics": frame.intrinsics, "pose": frame.pose, "distortion": frame.distortion}
        return MarkedKeyframe(frame.index, frame.stamp, jpeg, width, height, marks, **known)  # type: ignore[arg-type]
