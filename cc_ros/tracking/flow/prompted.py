"""Following just the objects that the first frame was given."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np

from cc_ros.tracking.base import MAX_ID
from cc_ros.tracking.flow.mask_follower import MaskFollower
from cc_ros.tracking.flow.memory.search import ObjectSearch
from cc_ros.tracking.flow.memory.views import Recovery
from cc_ros.tracking.flow.superpixels import Grains
from cc_ros.tracking.flow.track_table import TrackBook
from cc_ros.tracking.objects.network import ObjectNetwork
from cc_ros.tracking.optical_flow import Propagator, sources

_RECALL = 0.3  # seconds between two looks for known views while nothing is lost
_LEARN = 0.5  # seconds between two looks at what moving objects look like
_MOVES = 0.3  # from which an object counts as one that moves, of ``MaskFollower.moves``
_WHOLE = 0.8  # share of an object that must be visible to say what it looks like
_STAYED = 0.7  # share of what was carried of an object that is where it was remembered, if it rests
_SEARCH = 0.3  # seconds between two searches for lost objects that move
_AVERAGE = 0.5  # seconds over which it is averaged how well an object is held


class SeededScene:
    """Objects given as masks, in images of one working size.

    :param book: where the tracks are kept.
    :param network: sees objects, which the masks are held against.
    :param recovery: knows objects again that were out of view.
    :param ids: HxW uint16, the objects in the first image, of any size.
    :param every: seconds between two frames in which the masks are drawn anew; in between, the flow carries them.
    """

    def __init__(
        self,
        book: TrackBook,
        propagator: Propagator,
        network: ObjectNetwork,
        recovery: Recovery,
        ids: np.ndarray,
        *,
        every: float,
    ) -> None:
        self._book = book
        self._network = network
        self._propagator = propagator
        self._recovery = recovery
        self._given: np.ndarray | None = ids
        self._every = every
        self._grey: np.ndarray = np.zeros((0, 0), np.uint8)  # the last image
        self._flow: np.ndarray | None = None  # from it to the one that was drawn last; None: it was that one
        self._rows: np.ndarray = np.zeros((0, 0), np.int32)  # its regions
        self._drawn = self._recalled = self._learned = self._searched = 0.0  # stamps
        self._beside = ThreadPoolExecutor(max_workers=2)  # works while OpenCV finds the flow

    def step(self, image: np.ndarray, stamp: float, size: tuple[int, int]) -> np.ndarray:
        """Return the ids (uint16, of ``size``: width, height) in the next image (HxWx3 uint8 BGR)."""
        grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
        if self._given is not None:
            ids, self._given = self._given, None
            self._start(image, grey, ids, stamp)
            return cv2.resize(ids, size, interpolation=cv2.INTER_NEAREST)
        if not self._tracks:
            return np.zeros(size[::-1], np.uint16)
        if grey.shape != self._grey.shape:  # a cut: what is known is stretched to the new size
            self._grey, self._flow = cv2.resize(self._grey, grey.shape[::-1]), None
            self._follower.resize(self._rows, (grey.shape[1], grey.shape[0]))
        passed = stamp - self._drawn
        if 0 <= passed < self._every - 1e-3:
            self._rows = self._follower.carried(self._move(grey))
        else:
            self._redraw(image, grey, stamp, max(passed, 0.0))
        self._grey = grey
        return self._follower.drawn(self._rows, size, self._ids)

    def _start(self, image: np.ndarray, grey: np.ndarray, ids: np.ndarray, stamp: float) -> None:
        self._tracks = self._book.adopt(ids, stamp)
        if not self._tracks:
            return
        self._ids = np.array([0, *(track.id for track in self._tracks)], np.uint16)
        number = np.zeros(MAX_ID + 1, np.int32)
        number[self._ids] = np.arange(len(self._ids))
        index = cv2.resize(number[ids], (image.shape[1], image.shape[0]), interpolation=cv2.INTER_NEAREST)
        grains = Grains.of(image, index=index)
        self._follower = MaskFollower(grains, index, len(self._tracks))
        self._rows = self._follower.labels
        self._search = ObjectSearch(grains, self._follower.share)
        self._recovery.recall(grey)
        self._recovery.remember(index)
        self._grey, self._drawn, self._recalled, self._learned = grey, stamp, stamp, stamp

    def _move(self, grey: np.ndarray) -> np.ndarray:
        """Return the flow from this frame to the one that was drawn last (HxWx2 float32, pixels)."""
        flow = self._propagator.motion(self._grey, grey).flow
        if self._flow is not None:
            flow = flow + cv2.remap(self._flow, *sources(flow), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        self._flow = flow
        return flow

    def _redraw(self, image: np.ndarray, grey: np.ndarray, stamp: float, passed: float) -> None:
        follower, lost = self._follower, self._follower.area == 0
        moving = follower.moves > _MOVES
        looking = lost.any() or not 0 <= stamp - self._recalled < _RECALL
        searching = bool((lost & moving).any()) and not 0 <= stamp - self._searched < _SEARCH
        learning = bool(moving.any()) and not 0 <= stamp - self._learned < _LEARN
        seeing = self._beside.submit(self._network, image)
        split = self._beside.submit(follower.grains, image, searching or learning)
        flow, places = self._move(grey), {}
        if looking:
            self._recalled = stamp
            places = self._places(follower.owner(follower.carried(flow)), self._recovery.recall(grey))
        if searching:
            self._searched = stamp
            places = self._search.find(split.result(), follower.owner(follower.carried(flow)), lost & moving) | places
        self._rows = follower.redraw(image, flow, passed, split, places, seeing)
        self._flow, self._drawn = None, stamp
        for track, held in zip(self._tracks, follower.held.tolist(), strict=True):
            self._book.judge(track, 1.0, held, stamp, _AVERAGE)
        if looking:
            self._recovery.remember(follower.owner(self._rows))
        if learning:
            self._learn(split.result(), stamp)

    def _learn(self, grains: Grains, stamp: float) -> None:
        """Learn what the moving objects look like; where things rest, they are known again by their place alone.

        :param grains: all of the frame that was just drawn.
        """
        passed, follower = stamp - self._learned, self._follower
        moving = (follower.moves > _MOVES) & (follower.visible > _WHOLE) & (follower.area > 0)
        if moving.any():
            self._learned = stamp
            self._search.learn(grains, follower.share, moving, max(passed, 0.0))

    def _places(self, carried: np.ndarray, recalled: np.ndarray) -> dict[int, np.ndarray]:
        """Return by object (0..n-1) where it is (HxW bool), if the flow has lost it, or has carried only a part of it.

        :param carried: HxW int32, the objects as the flow has them.
        :param recalled: HxW int32, the objects that earlier views suggest.
        """
        n = len(self._tracks) + 1
        shared = np.bincount((carried * n + recalled).ravel(), minlength=n * n).reshape(n, n)
        old, new, both = shared.sum(axis=1), shared.sum(axis=0), np.diagonal(shared)
        part = (both >= _STAYED * old) & (new > 0) & (old < _STAYED * new)
        part[1:] |= (self._follower.area == 0) & (new[1:] > 0)
        return {k - 1: (recalled == k) | (carried == k) for k in np.flatnonzero(part).tolist() if k}
