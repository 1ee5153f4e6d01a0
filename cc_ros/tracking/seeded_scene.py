"""Following just the objects that the first frame was given."""

from __future__ import annotations

import cv2
import numpy as np

from cc_ros.tracking.mask_follower import MaskFollower
from cc_ros.tracking.propagation import Propagator, sources
from cc_ros.tracking.tracks import TrackBook


class SeededScene:
    """Objects given as masks, in images of one working size.

    :param book: where the tracks are kept.
    :param ids: HxW uint16, the objects in the first image, of any size.
    """

    def __init__(self, book: TrackBook, propagator: Propagator, ids: np.ndarray) -> None:
        self._book = book
        self._propagator = propagator
        self._given: np.ndarray | None = ids
        self._followers: dict[int, MaskFollower] = {}
        self._grey: np.ndarray | None = None

    def step(self, image: np.ndarray, stamp: float, size: tuple[int, int]) -> np.ndarray:
        """Return the ids (uint16, of ``size``: width, height) in the next image (HxWx3 uint8 BGR)."""
        grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
        if self._given is not None:
            ids = self._given
            self._start(image, ids, stamp)
            self._given, self._grey = None, grey
            return cv2.resize(ids, size, interpolation=cv2.INTER_NEAREST)
        assert self._grey is not None
        if grey.shape != self._grey.shape:  # a cut: what is known is stretched to the new size
            self._grey = cv2.resize(self._grey, grey.shape[::-1])
            for follower in self._followers.values():
                follower.resize((grey.shape[1], grey.shape[0]))
        flow = self._propagator.motion(self._grey, grey).flow
        for key, follower in self._followers.items():
            carried = cv2.remap(follower.mask, *sources(flow), cv2.INTER_LINEAR) > 0.5
            follower.step(image, flow)
            found = follower.mask > 0.5
            held = float((carried & found).sum() / max((carried | found).sum(), 1))
            self._book.judge(self._book.tracks[key], np.inf, held, stamp, average=0.5)
        self._grey = grey
        return self._drawn(size)

    def _start(self, image: np.ndarray, ids: np.ndarray, stamp: float) -> None:
        size = (image.shape[1], image.shape[0])
        for track in self._book.adopt(ids, stamp):
            mask = cv2.resize((ids == track.id).astype(np.float32), size, interpolation=cv2.INTER_AREA)
            self._followers[track.key] = MaskFollower(image, mask)

    def _drawn(self, size: tuple[int, int]) -> np.ndarray:
        """Give each pixel to the object that claims it most, if one claims it by more than half."""
        labels, best = np.zeros(size[::-1], np.uint16), np.full(size[::-1], 0.5, np.float32)
        for key, follower in self._followers.items():
            mask = cv2.resize(follower.mask, size, interpolation=cv2.INTER_LINEAR)
            claimed = mask > best
            labels[claimed], best[claimed] = self._book.tracks[key].id, mask[claimed]
        return labels
