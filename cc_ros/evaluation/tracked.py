"""Track the media of questions once: what was tracked is kept in files named after what it came from."""

from __future__ import annotations

import hashlib
import io
import json
import os
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from cc_ros import __version__
from cc_ros.errors import SourceError
from cc_ros.evaluation.truth import true_map
from cc_ros.evaluation.types import FORWARD, REVERSE, Media
from cc_ros.frame import Frame
from cc_ros.keyframes.keyframes import MAX_FRAMES
from cc_ros.keyframes.store import ArrayPicture, Candidate, KeptFrame, KeyframeStore, spread
from cc_ros.settings import checked
from cc_ros.sources.open import open_source
from cc_ros.tracking import Tracker, objects
from cc_ros.tracking.factory import NAMES, SETTINGS, make_tracker

TRUTH = "truth"  # as the name of a tracker: the true instance ids of the frames
UNTRACKED = "none"  # as the name of a tracker: pictures without marks need none
TRACKERS = (*NAMES, TRUTH, UNTRACKED)
REVERSED_BYTES = 2_000_000_000  # of frames held in memory to play them backwards
_CACHE_VERSION = 2


@dataclass(frozen=True)
class TrackerChoice:
    """A tracker and its settings.

    :param backend: one of :data:`TRACKERS`.
    :param settings: group of settings (``flow``, ``sam2``) -> name -> value.
    """

    backend: str = "auto"
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def made(self) -> Tracker:
        """Return the tracker, which waits for every frame.

        :raises CCError: it cannot run here, or a setting is unknown.
        """
        groups = [checked(cls, {**cls.for_files, **self.settings.get(name, {})}) for name, cls in SETTINGS.items()]
        return make_tracker(self.backend, *groups)


class TrackedFrames(KeyframeStore):
    """Frames that were tracked earlier, as a store to choose keyframes from."""

    def __init__(self, kept: list[KeptFrame]) -> None:
        super().__init__()
        self.kept = kept

    def choose(
        self, frames: int, last_seconds: float = 0.0, wanted: Callable[[KeptFrame], bool] | None = None
    ) -> list[KeptFrame]:
        """Return up to ``frames`` frames, evenly spaced in time."""
        pool = [kept for kept in self.kept if wanted is None or wanted(kept)]
        if last_seconds > 0:
            pool = [kept for kept in pool if kept.stamp >= pool[-1].stamp - last_seconds]
        return spread(pool, frames)


class TrackingCache:
    """Tracks media, or reads what an earlier run has tracked.

    Several processes may share the folder: files appear whole.

    :param folder: of the files; it is made.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._digests: dict[tuple[str, int, int], str] = {}

    def key(self, media: Media, direction: str, tracker: TrackerChoice) -> str:
        """Return the name of what is tracked: equal for equal contents, settings and versions."""
        files = list(media.images) or _files(media.path)
        if tracker.backend == TRUTH and media.truth is not None:
            files.append(media.truth)
        elif tracker.backend in NAMES:
            files += sorted(Path(objects.__file__).parent.glob("*.npz"))  # other weights track otherwise
        what = [
            *(_CACHE_VERSION, __version__, direction, media.fps, media.things, tracker.backend),
            *({name: dict(values) for name, values in tracker.settings.items()}, list(map(self._digest, files))),
        ]
        return hashlib.blake2b(json.dumps(what, sort_keys=True).encode(), digest_size=16).hexdigest()

    def get(self, media: Media, direction: str, tracker: TrackerChoice) -> TrackedFrames:
        """Return the tracked frames.

        :raises CCError: the media cannot be read, or the tracker cannot run.
        """
        path = self._folder / f"{self.key(media, direction, tracker)}.zip"
        if path.exists():
            with suppress(zipfile.BadZipFile, KeyError, ValueError, OSError):  # a damaged file is made again
                return TrackedFrames(_read(path))
        kept = track(media, direction, tracker)
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            _write(path, kept)
        except OSError as error:
            raise SourceError(f"tracked frames cannot be kept in {self._folder}: {error.strerror or error}") from error
        return TrackedFrames(kept)

    def _digest(self, path: Path) -> str:
        try:
            stat = path.stat()
            known = (str(path), stat.st_size, stat.st_mtime_ns)
            if known not in self._digests:
                with path.open("rb") as file:
                    digest = hashlib.blake2b(digest_size=16)
                    while block := file.read(1 << 20):
                        digest.update(block)
                self._digests[known] = digest.hexdigest()
            return self._digests[known]
        except OSError as error:
            raise SourceError(f"{path} cannot be read: {error.strerror or error}") from error


def track(media: Media, direction: str, tracker: TrackerChoice) -> list[KeptFrame]:
    """Return up to 64 frames with their instance maps, evenly spaced over the media.

    :raises CCError: the media cannot be read, or the tracker cannot run.
    """
    store = KeyframeStore(2 * MAX_FRAMES, recent_seconds=1.0)
    if tracker.backend == UNTRACKED:
        candidates = _untracked(media, direction)
    elif tracker.backend == TRUTH:
        candidates = _true(media, direction)
    else:
        candidates = _stepped(media, direction, tracker)
    for candidate in candidates:
        store.offer(candidate)
    kept = store.choose(MAX_FRAMES)
    if not kept:
        raise SourceError(f"{media.path or 'a question'} holds no pictures")
    return kept


def _stepped(media: Media, direction: str, choice: TrackerChoice) -> Iterator[Candidate]:
    tracker = choice.made()
    try:
        tracker.prepare()
        for index, frame in frames(media, direction):
            tracked = tracker.step(frame)
            yield Candidate(
                *(index, frame.stamp, ArrayPicture(frame.image), tracked.labels),
                *(frame.depth, frame.intrinsics, frame.pose),
                *(tracked.confidences, tracked.first_seen),
                carried=tracked.carried,
            )
    finally:
        tracker.close()


def _untracked(media: Media, direction: str) -> Iterator[Candidate]:
    for index, frame in frames(media, direction):
        nothing = np.zeros(frame.image.shape[:2], np.uint16)
        yield Candidate(index, frame.stamp, ArrayPicture(frame.image), nothing, None, frame.intrinsics, frame.pose)


def _true(media: Media, direction: str) -> Iterator[Candidate]:
    if media.truth is None:
        raise SourceError(f"{media.path or 'a question'} has no true instance ids: take another tracker than {TRUTH!r}")
    for index, frame in frames(media, direction):
        labels = true_map(media.truth, index, (frame.image.shape[1], frame.image.shape[0]))
        if media.things:
            labels = np.where(np.isin(labels, media.things), labels, 0).astype(np.uint16)
        yield Candidate(
            *(index, frame.stamp, ArrayPicture(frame.image), labels, frame.depth, frame.intrinsics, frame.pose)
        )


def frames(media: Media, direction: str = FORWARD) -> Iterator[tuple[int, Frame]]:
    """Yield the number of each frame in the recording, and the frame; backwards, stamps grow all the same.

    :raises SourceError: the media cannot be read, or are too long to be played backwards.
    """
    if direction not in (FORWARD, REVERSE):
        raise SourceError(f"a direction is {FORWARD} or {REVERSE}, got {direction!r}")
    if direction == FORWARD:
        yield from _in_order(media)
        return
    held: list[tuple[int, Frame]] = []
    size = 0
    for index, frame in _in_order(media):
        size += frame.image.nbytes
        if size > REVERSED_BYTES:
            raise SourceError(f"{media.path} is too long to be played backwards: {index} frames fill 2 GB")
        held.append((index, frame))
    end = held[-1][1].stamp if held else 0.0
    for index, frame in reversed(held):
        yield index, Frame(frame.image, end - frame.stamp, frame.depth, frame.intrinsics, frame.pose)


def _in_order(media: Media) -> Iterator[tuple[int, Frame]]:
    if media.path is not None:
        with open_source(media.path) as source:
            yield from enumerate(source)
        return
    for index, path in enumerate(media.images):
        image = cv2.imread(str(path), cv2.IMREAD_COLOR)
        if image is None:
            raise SourceError(f"{path} is missing or no picture that can be read")
        yield index, Frame(image, index / media.fps)


def _files(path: Path | None) -> list[Path]:
    if path is None or not path.exists():
        raise SourceError(f"{path} does not exist")
    if path.is_file():
        return [path]
    return sorted(one for one in path.rglob("*") if one.is_file())


def _write(path: Path, kept: Iterable[KeptFrame]) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        rows = []
        for number, frame in enumerate(kept):
            archive.writestr(f"{number}.jpg", frame.jpeg)
            archive.writestr(f"{number}.ids", frame.packed_labels)
            matrices = {"intrinsics": frame.intrinsics, "pose": frame.pose}
            rows.append(
                {
                    **{"index": frame.index, "stamp": frame.stamp, "size": frame.size, "carried": frame.carried},
                    **{name: [(int(id), value) for id, value in getattr(frame, name).items()] for name in _MAPS},
                    **{name: None if a is None else a.tolist() for name, a in matrices.items()},
                }
            )
        archive.writestr("frames.json", json.dumps(rows))
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
        file.write(buffer.getvalue())
        file.flush()
        os.fsync(file.fileno())
    Path(file.name).replace(path)


def _array(rows: list[list[float]] | None) -> np.ndarray | None:
    return None if rows is None else np.array(rows)


def _read(path: Path) -> list[KeptFrame]:
    with zipfile.ZipFile(path) as archive:
        rows = json.loads(archive.read("frames.json"))
        return [
            KeptFrame(
                *(row["index"], row["stamp"], archive.read(f"{number}.jpg"), archive.read(f"{number}.ids")),
                (row["size"][0], row["size"][1]),
                *(dict(row["areas"]), dict(row["confidences"]), dict(row["first_seen"]), dict(row["depths"])),
                intrinsics=_array(row["intrinsics"]),
                pose=_array(row["pose"]),
                carried=row["carried"],
            )
            for number, row in enumerate(rows)
        ]


_MAPS = ("areas", "confidences", "first_seen", "depths")
