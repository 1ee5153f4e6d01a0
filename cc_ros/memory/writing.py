"""The memory of a running episode: takes frames and answers, and writes them in a thread of its own."""

from __future__ import annotations

import sqlite3
import threading
import time
import traceback
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass

from cc_ros.errors import CCError
from cc_ros.keyframes.keyframes import KeyframeRequest
from cc_ros.keyframes.store import Candidate, KeptFrame, is_due
from cc_ros.keyframes.types import RememberedObject
from cc_ros.memory.captions import Vector
from cc_ros.memory.database import folder
from cc_ros.memory.episode import EpisodeWriter
from cc_ros.memory.numbers import Numbers
from cc_ros.memory.reading import MemoryReader
from cc_ros.memory.settings import MemorySettings
from cc_ros.memory.store import MemoryStore
from cc_ros.memory.types import Asked, Captioning, Keep, TrackKey

WAITING = 8  # frames that may wait for the disk; of more, the newest are dropped and counted
ANSWERS_WAITING = 256
LOOK_EVERY = 0.25  # seconds between two frames in which new tracks are looked at
STOP_TIME = 20.0  # seconds to write what waits when the memory is closed
IDLE = 5.0  # seconds without work after which what is beyond the bounds goes


@dataclass(frozen=True, slots=True)
class _Begin:
    source: str


@dataclass(frozen=True, slots=True)
class _Frame:
    """A frame on its way: ``stamp`` in seconds since 1970, and whether it is due as a keyframe."""

    candidate: Candidate
    stamp: float
    world: str
    due: bool


@dataclass(frozen=True, slots=True)
class _Caption:
    keyframe: int
    caption: str
    model: str
    vector: Vector | None


_Item = _Frame | _Begin | Asked | _Caption


class Memory:
    """Keeps episodes in a folder, and gives objects the numbers that they had. Thread-safe.

    It is an :class:`~cc_ros.keyframes.Archive`: the keyframe step asks it for numbers and earlier frames.

    :param settings: its folder and bounds.
    :param captioning: given what takes captions, makes what they come from; None = keyframes get none.
    :raises MemoryFault: the folder cannot be used.
    """

    def __init__(self, settings: MemorySettings, captioning: Callable[[Keep], Captioning] | None = None) -> None:
        path = folder(settings.memory_dir)
        self._settings = settings
        self._store = MemoryStore(path, settings.memory_megabytes, settings.memory_days)
        try:
            self._reader = MemoryReader(path)
        except CCError:
            self._store.close()
            raise
        known = self._store.known()
        self._numbers = Numbers(known)
        self._episode = EpisodeWriter(self._store, self._numbers, known)
        self._lock = threading.Condition()
        self._waiting: deque[_Item] = deque()
        self._busy = self._closing = False
        self._taken = self._looked = float("-inf")  # stamps of the last keyframe and of the last look
        self._counts: Counter[str] = Counter()
        self._trouble = ""
        self._captioning = captioning(self._caption) if captioning is not None else None
        self._thread = threading.Thread(target=self._work, name="memory", daemon=True)
        self._thread.start()

    # -- what comes in

    def new_episode(self, source: str = "") -> None:
        """Begin an episode with the next frame.

        :param source: what is recorded, for people.
        """
        with self._lock:
            self._restart(source)

    def offer(self, candidate: Candidate, begin: float, world: str = "") -> None:
        """Take in a tracked frame; returns at once, and encodes nothing.

        :param begin: seconds since 1970 of the instant that the candidate's stamps count from.
        :param world: frame of its pose.
        """
        with self._lock:
            stamp = candidate.stamp
            due = is_due(self._taken, candidate, self._settings.memory_period)
            visible = {i: t for i, t in candidate.first_seen.items() if candidate.confidences.get(i, 1.0) > 0}
            unsettled = stamp - self._looked >= LOOK_EVERY and self._numbers.unsettled(visible)
            if self._closing or not (due or unsettled):
                return
            frames = sum(isinstance(item, _Frame) for item in self._waiting)
            if frames >= WAITING:
                self._counts["memory_frames_dropped_disk_too_slow"] += 1
                return
            self._looked = stamp
            self._taken = stamp if due else self._taken
            self._put(_Frame(candidate, begin + stamp, world or ("world" if candidate.pose is not None else ""), due))

    def note(self, asked: Asked) -> None:
        """Keep a question with its answer."""
        with self._lock:
            if sum(isinstance(item, Asked) for item in self._waiting) >= ANSWERS_WAITING:
                self._counts["memory_answers_dropped"] += 1
            elif not self._closing:
                self._put(asked)

    def flush(self, seconds: float = STOP_TIME) -> bool:
        """Wait until all that came in is written, and has its caption; return whether it is."""
        deadline = time.monotonic() + seconds
        written = self._written(seconds)
        if not written or self._captioning is None:
            return written
        captioned = self._captioning.flush(deadline - time.monotonic())
        return self._written(deadline - time.monotonic()) and captioned

    def _written(self, seconds: float) -> bool:
        with self._lock:
            return self._lock.wait_for(lambda: not self._waiting and not self._busy, seconds)

    def close(self) -> None:
        """Write what waits and close the files."""
        if self._captioning is not None:
            self._captioning.close()
        with self._lock:
            self._closing = True
            self._lock.notify_all()
        self._thread.join(STOP_TIME)
        self._reader.close()

    def health(self) -> tuple[str, dict[str, object]]:
        """Return a trouble for people ("" = none) and figures."""
        trouble, captions = ("", {}) if self._captioning is None else self._captioning.health()
        with self._lock:
            return self._trouble or trouble, {**self._counts, "memory_waiting": len(self._waiting), **captions}

    # -- what is asked (an Archive)

    def numbered(self, frame: KeptFrame) -> KeptFrame:
        """Return a frame of this episode with the lasting numbers of its objects."""
        return self._numbers.numbered(frame)

    def number(self, id: int, first_seen: float) -> int:
        """Return the lasting number of a track of this episode."""
        return self._numbers.of(TrackKey(id, first_seen))

    def frames(self, request: KeyframeRequest, count: int) -> list[KeptFrame]:
        """Return up to ``count`` frames, uniformly from the window of a request; their stamps are since 1970."""
        vector = self._captioning.vector(request.words) if self._captioning is not None and request.words else None
        return self._reader.frames(request, count, vector)

    def missing(self, request: KeyframeRequest) -> str:
        """Return for people what there are no keyframes of."""
        return self._reader.missing(request)

    def objects(self, request: KeyframeRequest) -> tuple[RememberedObject, ...]:
        """Return the objects that were seen in the window of a request."""
        return self._reader.objects(request)

    def since(self) -> float:
        """Return when the oldest keyframe was taken, seconds since 1970; 0 = there is none."""
        return self._reader.since()

    def _caption(self, keyframe: int, caption: str, model: str, vector: Vector | None) -> None:
        with self._lock:
            if not self._closing:
                self._put(_Caption(keyframe, caption, model, vector))

    # -- the writer's thread

    def _restart(self, source: str) -> None:
        self._taken = self._looked = float("-inf")
        self._put(_Begin(source))

    def _put(self, item: _Item) -> None:
        self._waiting.append(item)
        self._lock.notify_all()

    def _work(self) -> None:
        try:
            while True:
                with self._lock:
                    self._busy = False
                    self._lock.notify_all()
                    self._lock.wait_for(lambda: self._waiting or self._closing, IDLE)
                    if not self._waiting and self._closing:
                        return
                    item = self._waiting.popleft() if self._waiting else None
                    self._busy = item is not None
                self._attempt(item)
        finally:
            self._store.close()

    def _attempt(self, item: _Item | None) -> None:
        """Write one item; a fault is counted and told, and the next one is tried."""
        begun = time.perf_counter()
        try:
            if isinstance(item, _Frame):
                row, frame = self._episode.take(item.candidate, item.stamp, item.world, due=item.due)
                if row and self._captioning is not None:
                    self._captioning.offer(row, item.stamp, frame)
            elif isinstance(item, _Begin):
                self._episode.begin(item.source)
            elif isinstance(item, Asked):
                self._episode.note(item)
            elif isinstance(item, _Caption):
                self._episode.caption(item.keyframe, item.caption, item.model, item.vector)
            thinned = self._episode.tidy()
        except (CCError, sqlite3.Error, OSError) as error:
            self._failed(f"the memory was not written: {error}")
        except Exception as error:  # a defect must not end the thread
            self._failed(f"the memory was not written: {error!r}\n{traceback.format_exc()}")
        else:
            with self._lock:
                self._trouble = ""
                if isinstance(item, _Frame) and item.due:
                    self._counts["memory_keyframes"] += 1
                    self._counts["memory_last_ms"] = round(1e3 * (time.perf_counter() - begun))
                self._counts["memory_thinned"] += thinned
                self._counts["memory_mb"] = round(self._store.bytes() / 1e6)
                self._counts["memory_objects"] = len(self._episode.known)

    def _failed(self, text: str) -> None:
        with self._lock:
            self._counts["memory_errors"] += 1
            self._trouble = text.splitlines()[0]
