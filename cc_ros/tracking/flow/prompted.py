"""Prompted tracking: follow only the objects whose masks were given in the first frame."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np

from cc_ros.tracking.base import MAX_ID
from cc_ros.tracking.flow import constants as const
from cc_ros.tracking.flow.mask_follower import MaskFollower
from cc_ros.tracking.flow.memory.search import ObjectSearch
from cc_ros.tracking.flow.memory.views import ViewMemory
from cc_ros.tracking.flow.settings import FlowSettings
from cc_ros.tracking.flow.superpixels import Superpixels
from cc_ros.tracking.flow.track_table import TrackTable
from cc_ros.tracking.objects.network import ObjectNetwork
from cc_ros.tracking.optical_flow import DisFlow, sources


class PromptedTracking:
    """Objects given as masks, in images of one working size.

    :param table: the tracks.
    :param network: detects objects, which support the masks.
    :param ids: HxW uint16, the objects in the first image, of any size.
    """

    def __init__(self, table: TrackTable, network: ObjectNetwork, settings: FlowSettings, ids: np.ndarray) -> None:
        self._table = table
        self._network = network
        self._every = settings.redraw_every
        self._optical_flow = DisFlow(settings.mask_preset)
        self._views = ViewMemory(settings.views, settings.features)
        self._given: np.ndarray | None = ids
        self._grey: np.ndarray = np.zeros((0, 0), np.uint8)  # the last image
        self._flow: np.ndarray | None = None  # from it to the one that was drawn last; None: it was that one
        self._rows: np.ndarray = np.zeros((0, 0), np.int32)  # its regions
        self._drawn = self._recalled = self._learned = self._searched = 0.0  # stamps
        self.carried = False
        """Whether the last frame's map was carried there, and not redrawn."""
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
        self.carried = 0 <= passed < self._every - 1e-3
        if self.carried:
            self._rows = self._follower.carried(self._move(grey))
        else:
            self._redraw(image, grey, stamp, max(passed, 0.0))
        self._grey = grey
        return self._follower.drawn(self._rows, size, self._ids)

    def _start(self, image: np.ndarray, grey: np.ndarray, ids: np.ndarray, stamp: float) -> None:
        self._tracks = self._table.adopt(ids, stamp)
        if not self._tracks:
            return
        self._ids = np.array([0, *(track.id for track in self._tracks)], np.uint16)
        number = np.zeros(MAX_ID + 1, np.int32)
        number[self._ids] = np.arange(len(self._ids))
        index = cv2.resize(number[ids], (image.shape[1], image.shape[0]), interpolation=cv2.INTER_NEAREST)
        superpixels = Superpixels.of(image, index=index)
        self._follower = MaskFollower(superpixels, index, len(self._tracks))
        self._rows = self._follower.labels
        self._search = ObjectSearch(superpixels, self._follower.share)
        self._views.recall(grey)
        self._views.remember(index)
        self._grey, self._drawn, self._recalled, self._learned = grey, stamp, stamp, stamp

    def _move(self, grey: np.ndarray) -> np.ndarray:
        """Return the flow from this frame to the one that was drawn last (HxWx2 float32, pixels)."""
        flow = self._optical_flow.flow(self._grey, grey)
        if self._flow is not None:
            flow = flow + cv2.remap(self._flow, *sources(flow), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        self._flow = flow
        return flow

    def _redraw(self, image: np.ndarray, grey: np.ndarray, stamp: float, passed: float) -> None:
        follower, lost = self._follower, self._follower.area == 0
        moving = follower.moves > const.MOVES
        recalling = lost.any() or not 0 <= stamp - self._recalled < const.RECALL_PERIOD
        searching = bool((lost & moving).any()) and not 0 <= stamp - self._searched < const.SEARCH_PERIOD
        learning = bool(moving.any()) and not 0 <= stamp - self._learned < const.LEARN_PERIOD
        output = self._beside.submit(self._network, image)
        split = self._beside.submit(follower.segment, image, searching or learning)
        flow, places = self._move(grey), {}
        if recalling:
            self._recalled = stamp
            places = self._places(follower.owner(follower.carried(flow)), self._views.recall(grey))
        if searching:
            self._searched = stamp
            places = self._search.find(split.result(), follower.owner(follower.carried(flow)), lost & moving) | places
        self._rows = follower.redraw(image, flow, passed, split, places, output)
        self._flow, self._drawn = None, stamp
        for track, held in zip(self._tracks, follower.held.tolist(), strict=True):
            self._table.judge(track, 1.0, held, stamp, const.HELD_SECONDS)
        if recalling:
            self._views.remember(follower.owner(self._rows))
        if learning:
            self._learn(split.result(), stamp)

    def _learn(self, superpixels: Superpixels, stamp: float) -> None:
        """Learn the colours of moving objects; objects at rest are re-identified by their place alone.

        :param superpixels: all of the frame that was just drawn.
        """
        passed, follower = stamp - self._learned, self._follower
        moving = (follower.moves > const.MOVES) & (follower.visible > const.WHOLE_VISIBLE) & (follower.area > 0)
        if moving.any():
            self._learned = stamp
            self._search.learn(superpixels, follower.share, moving, max(passed, 0.0))

    def _places(self, carried: np.ndarray, recalled: np.ndarray) -> dict[int, np.ndarray]:
        """Return by object (0..n-1) where it is (HxW bool), if the flow has lost it, or has carried only a part of it.

        :param carried: HxW int32, the objects as the flow has them.
        :param recalled: HxW int32, the objects that earlier views suggest.
        """
        n = len(self._tracks) + 1
        shared = np.bincount((carried * n + recalled).ravel(), minlength=n * n).reshape(n, n)
        old, new, both = shared.sum(axis=1), shared.sum(axis=0), np.diagonal(shared)
        part = (both >= const.STAYED * old) & (new > 0) & (old < const.STAYED * new)
        part[1:] |= (self._follower.area == 0) & (new[1:] > 0)
        return {k - 1: (recalled == k) | (carried == k) for k in np.flatnonzero(part).tolist() if k}
