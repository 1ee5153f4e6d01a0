"""Following everything in view: objects are seen by the network, carried by flow, and known again."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np

from cc_ros.frame import Frame
from cc_ros.tracking.flow.depth import DepthTrust, depth_view
from cc_ros.tracking.flow.matching import Match, match, paint
from cc_ros.tracking.flow.memory.places import PlaceMemory
from cc_ros.tracking.flow.memory.views import Recovery
from cc_ros.tracking.flow.track_table import TrackBook
from cc_ros.tracking.label_maps import compact
from cc_ros.tracking.objects.descriptors import descriptors
from cc_ros.tracking.objects.network import ObjectNetwork, Seen
from cc_ros.tracking.optical_flow import Propagator, warp

_SAMPLE = 8  # every so many pixels are enough to know how the scene moves
_UNLIKE = 0.5  # cosine of two looks below which they are of two things: 95 of 100 of one thing are above 0.7
_FADE = 1.0  # a second, how fast a track that is only carried loses its score


class OpenScene:
    """Looks for objects now and then, and carries them by flow in between.

    :param book: the tracks.
    :param network: sees objects.
    :param recovery: knows objects again by what is around them.
    :param every: seconds between two looks.
    :param min_area: smallest new object, share of the image.
    :param judge_time: seconds over which the looks of an object are averaged.
    """

    def __init__(
        self,
        book: TrackBook,
        propagator: Propagator,
        network: ObjectNetwork,
        recovery: Recovery,
        *,
        every: float,
        min_area: float,
        judge_time: float,
    ) -> None:
        self._book = book
        self._propagator = propagator
        self._network = network
        self._recovery = recovery
        self._places = PlaceMemory()
        self._trust = DepthTrust()
        self._every = every
        self._min_area = min_area
        self._judge_time = judge_time
        self._keys: np.ndarray | None = None  # HxW int32
        self._grey: np.ndarray | None = None
        self._looked = -math.inf
        self._fresh = False  # the last frame was looked at
        self._shift = np.zeros(2)  # shares of the image (x, y) that the scene has moved by since the first frame
        self._beside = ThreadPoolExecutor(max_workers=1)  # the network works while OpenCV finds the flow

    def step(self, image: np.ndarray, stamp: float, frame: Frame | None = None) -> np.ndarray:
        """Return the ids (HxW uint16) in the next image (HxWx3 uint8 BGR).

        :param frame: what the image is a smaller picture of; it is what the network sees, and its depth and pose are
            used. None = the image alone.
        """
        grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
        self._fresh = self._due(stamp)
        if self._fresh:
            keys = self._look(image, grey, stamp, frame)
            self._looked = stamp
        else:
            keys = self._carried(grey, outside=True)
        self._keys, self._grey = keys, grey
        return self._book.ids(keys)

    def _due(self, stamp: float) -> bool:
        """Return whether to look for objects: not in two frames in a row, unless frames are rare."""
        passed = stamp - self._looked + 1e-3
        return not 0 <= passed < self._every * (2 if self._fresh else 1)

    def _carried(self, grey: np.ndarray, outside: bool) -> np.ndarray:
        """Return the keys that the last map gives this image; ``outside``: also for what came in over the border."""
        if self._keys is None or self._grey is None:
            return np.zeros(grey.shape, np.int32)
        if grey.shape != self._grey.shape:
            return cv2.resize(self._keys, grey.shape[::-1], interpolation=cv2.INTER_NEAREST)
        flow = self._propagator.motion(self._grey, grey).flow
        self._shift -= np.median(flow[::_SAMPLE, ::_SAMPLE].reshape(-1, 2), axis=0) / grey.shape[::-1]
        return warp(self._keys, flow, replicate=outside)

    def _look(self, image: np.ndarray, grey: np.ndarray, stamp: float, frame: Frame | None) -> np.ndarray:
        seeing = self._beside.submit(self._network, image if frame is None else frame.image)
        view = depth_view(frame, (image.shape[1], image.shape[0])) if frame else None
        view = view if view and self._trust(view, image) else None
        carried = self._carried(grey, outside=False)
        prior = self._prior(carried, self._recovery.recall(image))
        if view:  # what is seen at the place of an object is this object
            placed = self._living(self._places.recall(view, image, carried))
            prior = np.where(placed > 0, placed, prior)
        seen = seeing.result()
        passed = min(max(stamp - self._looked, 0.0), 1.0)
        fade = math.exp(-_FADE * passed)
        scores = {key: fade * track.score for key, track in self._book.tracks.items()}
        found = match(seen, prior, scores, self._min_area, view)
        self._judge(found, seen, stamp)
        keys = paint([one for one in found if one.key], prior)
        self._recovery.remember(keys)
        self._places.remember(keys)
        self._book.prune(set(compact(keys)[0].tolist()))
        return keys

    def _prior(self, carried: np.ndarray, recalled: np.ndarray) -> np.ndarray:
        """Return the keys (HxW int32) that are known so far: carried ones, recalled ones where nothing was carried.

        A track that was out of view until now is taken from its old place: that is better evidence.
        """
        distinct, index = compact(self._living(recalled))
        back = ~np.isin(distinct, [0, *compact(carried)[0].tolist()])
        return np.where((carried > 0) & ~back[index], carried, distinct[index])

    def _living(self, keys: np.ndarray) -> np.ndarray:
        """Return the map (HxW int32) without the tracks that are forgotten."""
        distinct, index = compact(keys)
        return np.where(np.isin(distinct, list(self._book.tracks)), distinct, 0).astype(np.int32)[index]

    def _judge(self, found: list[Match], seen: Seen, stamp: float) -> None:
        """Give each match its track, and note how much it looks like an object, how it looks, and how it is held."""
        first = self._keys is None
        masks = np.array([one.odds > 0 for one in found]).reshape(len(found), *seen.pixels.shape[1:])
        looks = descriptors(seen.features, masks)
        present = {one.key for one in found}
        missed = {key for key in self._book.tracks if key not in present and self._in_view(key)}
        for one, look in zip(found, looks, strict=True):
            known = self._book.tracks[one.key].look if one.key else None
            if known is not None and look @ known < _UNLIKE:  # flow, or a view, has put the track onto something else
                one.key = 0
                if not one.seen:
                    continue
            track = self._book.tracks[one.key] if one.key else self._book.open(stamp)
            one.key = track.key
            if one.seen:
                track.seen += 1
                track.remember(look)
                y, x = np.nonzero(one.odds > 0)
                track.place = np.array([x.mean() / one.odds.shape[1], y.mean() / one.odds.shape[0]]) - self._shift
            if not track.id and track.seen > 1:
                gone = self._book.known_again(track, missed)
                if gone is not None:
                    self._recovery.rename(track.key, gone.key)
                    self._places.rename(track.key, gone.key)
                    self._book.unite(gone.key, track.key)
                    gone.seen, one.key, track = track.seen, gone.key, gone
                    missed.discard(gone.key)
            track.score = one.score
            self._book.judge(track, one.score, one.held, stamp, self._judge_time, at_once=first)

    def _in_view(self, key: int) -> bool:
        """Return whether the place where a track was seen last is in view, as far as the motion of the scene tells."""
        place = self._book.tracks[key].place
        return place is not None and bool(((place + self._shift > 0) & (place + self._shift < 1)).all())
