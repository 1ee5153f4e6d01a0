"""The ``auto`` backend: a slow tracker as often as the machine allows, carried to every frame by optical flow."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import cv2
import numpy as np

from cc_ros.frame import Frame
from cc_ros.tracking.auto import constants as const
from cc_ros.tracking.auto.flow_chain import FlowChain
from cc_ros.tracking.auto.worker import Job, Worker
from cc_ros.tracking.base import MAX_ID, SlowBackend, Tracked, Tracker, check_image
from cc_ros.tracking.ids import REFUSED, IdPool
from cc_ros.tracking.label_maps import compact
from cc_ros.tracking.optical_flow import DisFlow
from cc_ros.tracking.track_log import TrackLog


@dataclass(slots=True)
class _Asked:
    """The frame that the slow tracker works on, with the fast tracker's map of it, and the flow from now back to it."""

    job: Job
    labels: np.ndarray
    chain: FlowChain


class AutoTracker(Tracker):
    """A fast path for motion and a slow path for meaning (paper section 3, step 2).

    Each frame goes to the fast tracker. Whenever the slow one is free it gets the newest frame; its map is carried
    from that frame to now and on from there. What it does not cover is filled with the fast tracker's objects.
    No frame is ever queued: those that the slow tracker does not see are counted as skipped.

    :param fast: takes every frame at camera rate.
    :param slow: if it keeps up, each frame waits for its answer, up to the camera's period.
    """

    def __init__(self, fast: Tracker, slow: SlowBackend) -> None:
        self._fast = fast
        self._backend = slow
        self._optical_flow = DisFlow(preset=1)
        self._worker = Worker(slow)
        self._failures = 0  # of the worker, as far as they are known here
        self._episode = 0
        self._skipped = self._answers = self._late = 0
        self._start()

    def _start(self) -> None:
        self._episode += 1
        self._ids = _Ids()
        self._track_log = TrackLog()
        self._grey: np.ndarray | None = None
        self._stamp: float | None = None
        self._seed: np.ndarray | None = None
        self._seeded = self._resigned = False  # resigned: the slow tracker cannot know the seed any more
        self._asked: _Asked | None = None
        self._slow: Tracked | None = None
        self._chain: FlowChain | None = None  # from now to the frame of self._slow

    def reset(self) -> None:
        """Start a new episode: forget every object; ids begin at 1 again."""
        self._fast.reset()
        self._start()

    def prepare(self) -> None:
        """Prepare the fast tracker; the slow one loads in the background."""
        self._fast.prepare()

    def seed(self, labels: np.ndarray) -> None:
        """Start a new episode whose first frame has these objects (HxW uint16); find no others."""
        self._fast.seed(labels)
        self._start()
        self._seed, self._seeded = labels, True
        self._ids.keep(int(i) for i in np.unique(labels) if i)

    def step(self, frame: Frame) -> Tracked:
        """Track all objects into ``frame``; its image may differ in size from the one before.

        :raises ImageError: the image is empty or not HxWx3 uint8.
        """
        began = time.monotonic()
        check_image(frame.image)
        self._listen(0.0)
        job = self._ask(frame)
        fast = self._fast.step(frame)  # while the slow tracker works
        self._move(frame.image)
        if job is not None and self._grey is not None:
            self._asked = _Asked(job, fast.labels, FlowChain(self._grey))
        patience = self._patience(frame.stamp, began)
        if job is not None and patience > 0:
            self._listen(patience)
        labels, confidence = self._merge(fast)
        known = self._ids.prune(fast, self._slow)
        return Tracked(labels, self._track_log.update(labels, frame.stamp, confidence, known), fast.carried)

    def health(self) -> Mapping[str, str | int | float]:
        """Return both trackers' counters, and under ``degraded`` why the slow one is not in use."""
        health = dict(self._fast.health())
        key, title = self._backend.key, self._backend.title
        tracker, failure = self._worker.tracker, self._worker.failure
        if tracker is not None:
            health |= {k if k == "degraded" else f"{key}_{k}": v for k, v in tracker.health().items()}
        if self._ids.pool.refused:
            health[REFUSED] = self._ids.pool.refused
        health |= {f"{key}_answers": self._answers, f"{key}_late": self._late, f"{key}_skipped": self._skipped}
        if failure:
            health["degraded"] = f"optical flow alone, {title} is tried again later: {failure}"
        elif tracker is None:
            health["degraded"] = f"optical flow alone until {title} is loaded"
        elif self._resigned:
            health["degraded"] = f"optical flow alone until the next episode: {title} failed in this one"
        return health

    def close(self) -> None:
        """Stop the slow tracker after the step under way."""
        self._worker.close()
        self._fast.close()

    def _ask(self, frame: Frame) -> Job | None:
        """Give the slow tracker this frame, unless it still works on another one."""
        seed, self._seed = self._seed, None
        if self._worker.failure:
            self._resigned = self._seeded
            return None
        loading = self._worker.tracker is None
        if self._asked is not None:
            self._skipped += not loading
            return None
        if self._resigned or (loading and seed is None):  # only a seed is worth keeping until it is loaded
            return None
        job = Job(self._episode, frame, seed)
        self._worker.submit(job)
        return job

    def _move(self, image: np.ndarray) -> None:
        """Extend the chains by the motion from the last frame to this one."""
        shape = self._grey.shape if self._grey is not None else None
        h, w = image.shape[:2]
        width = min(const.MOTION_WIDTH, w)
        size = (shape[1], shape[0]) if shape else (width, max(round(h * width / w), 1))
        grey = cv2.cvtColor(cv2.resize(image, size, interpolation=cv2.INTER_AREA), cv2.COLOR_BGR2GRAY)
        chains = [p for p in (self._chain, self._asked.chain if self._asked else None) if p is not None]
        if self._grey is not None and chains:
            motion = self._optical_flow.motion(self._grey, grey)
            for chain in chains:
                chain.extend(motion)
                chain.correct_drift(grey, self._optical_flow)
        self._grey = grey

    def _patience(self, stamp: float, began: float) -> float:
        """Return the seconds left until the next frame, as far as the stamps tell, or 0 if nobody is to wait."""
        last, self._stamp = self._stamp, stamp
        if not self._backend.keeps_up or last is None:
            return 0.0
        return max(min(stamp - last, const.LONGEST_WAIT) - (time.monotonic() - began), 0.0)

    def _listen(self, seconds: float) -> None:
        """Take over the slow tracker's answer if it has come."""
        answer = self._worker.take(seconds)
        if self._failures != self._worker.failures:
            self._failures = self._worker.failures
            self._slow = self._chain = self._asked = None
            self._resigned = self._seeded and self._seed is None
            self._ids.slow.clear()
        if answer is None or self._asked is None or answer[0] is not self._asked.job:  # of an episode that is over
            return
        slow, asked, self._asked = answer[1], self._asked, None
        self._answers += 1
        self._late += asked.chain.frames > 0
        self._ids.match(slow, asked.labels)
        self._slow, self._chain = slow, asked.chain
        self._slow_labels = _table(self._ids.slow)[slow.labels]

    def _merge(self, fast: Tracked) -> tuple[np.ndarray, dict[int, float]]:
        """Return the map of this frame and the confidences by id: the slow tracker's objects first.

        An object of both is the slow tracker's wherever that one has seen the place; the fast one follows it into what
        has come into view since, and fills the gaps with objects of its own.
        """
        size = fast.labels.shape[0], fast.labels.shape[1]
        labels, seen = np.zeros(size, np.uint16), np.zeros(size, bool)
        sure: dict[int, float] = {}  # of the slow tracker, 0 = lost
        if self._slow is not None and self._chain is not None:
            labels, seen = self._chain.carry(self._slow_labels, size)
            sure = {self._ids.slow[t.id]: t.confidence for t in self._slow.tracks if t.id in self._ids.slow}
        area = np.bincount(
            fast.labels[labels == 0], minlength=MAX_ID + 1
        )  # what the slow tracker leaves open of each object
        mine = {t.id: self._ids.fast.get(t.id, 0) for t in fast.tracks}
        both = [own for own, i in mine.items() if sure.get(i, 0) > 0]
        alone = [t for t in fast.tracks if mine[t.id] not in sure and area[t.id] > const.UNCOVERED * t.area]
        fill = self._ids.fast_table([t.id for t in alone])[fast.labels]
        if both:
            fill = np.where(seen, fill, np.maximum(fill, self._ids.fast_table(both)[fast.labels]))
        sure |= {self._ids.fast[t.id]: t.confidence for t in alone}
        return np.where(labels == 0, fill, labels), sure


class _Ids:
    """The ids given out in this episode, and which of them the two trackers' own ids stand for."""

    def __init__(self) -> None:
        self.fast: dict[int, int] = {}
        self.slow: dict[int, int] = {}
        self.pool = IdPool()

    def keep(self, ids: Iterable[int]) -> None:
        """Give out these ids as they are."""
        self.fast = {i: i for i in ids}
        self.slow = dict(self.fast)
        self.pool.keep(self.fast)

    def match(self, slow: Tracked, fast_labels: np.ndarray) -> None:
        """Give the slow tracker's new objects the ids that the fast one's had in the same frame, and the other way."""
        size = fast_labels.shape[1], fast_labels.shape[0]
        rows, row = compact(cv2.resize(slow.labels, size, interpolation=cv2.INTER_NEAREST))
        columns, column = compact(fast_labels)
        cell = (row * len(columns) + column).ravel()
        shared = np.bincount(cell, minlength=len(rows) * len(columns)).reshape(len(rows), len(columns))
        iou = shared / (shared.sum(axis=1, keepdims=True) + shared.sum(axis=0) - shared)
        iou[:, columns == 0] = 0.0
        taken = set(self.slow.values())
        for r in np.flatnonzero(rows):
            own, other = int(rows[r]), int(columns[iou[r].argmax()])
            alike = iou[r].max() > const.MATCH_IOU
            if own not in self.slow:
                known = self.fast.get(other, 0) if alike else 0
                self.slow[own] = known if known and known not in taken else self.pool.take()
                taken.add(self.slow[own])
            if alike:
                self.fast[other] = self.slow[own]

    def prune(self, fast: Tracked, slow: Tracked | None) -> set[int]:
        """Forget what can no longer come back; return the ids that can."""
        fast_known = {t.id for t in fast.tracks}
        self.fast = {own: i for own, i in self.fast.items() if own in fast_known}
        if slow is not None:
            slow_known = {t.id for t in slow.tracks}
            self.slow = {own: i for own, i in self.slow.items() if own in slow_known}
        known = {*self.fast.values(), *self.slow.values()} - {0}
        self.pool.release_all_but(known)
        return known

    def fast_table(self, shown: Iterable[int]) -> np.ndarray:
        """Return the table for those of the fast tracker's objects that are ``shown``, new ones among them."""
        for own in shown:
            if own not in self.fast:
                self.fast[own] = self.pool.take()
        return _table({own: self.fast[own] for own in shown})


def _table(ids: Mapping[int, int]) -> np.ndarray:
    """Return the uint16 table from a tracker's own ids to those given out."""
    table = np.zeros(MAX_ID + 1, np.uint16)
    table[list(ids)] = list(ids.values())
    return table
