"""Following everything in view: regions are proposed, carried, known again, and judged to be objects or background."""

from __future__ import annotations

import math
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import combinations

import cv2
import numpy as np

from cc_ros.frame import Frame
from cc_ros.tracking.association import owners, paint, shared
from cc_ros.tracking.depth import depth_view
from cc_ros.tracking.label_maps import compact
from cc_ros.tracking.occlusion import gapless, pieces, spreads
from cc_ros.tracking.places import PlaceMemory
from cc_ros.tracking.propagation import Propagator, warp
from cc_ros.tracking.proposals import RegionProposer, Regions
from cc_ros.tracking.recovery import Recovery
from cc_ros.tracking.tracks import TrackBook

_UNPROVEN = 0.8  # how well a new track is held: about as often new tracks are right
_COLOUR_TIME = 1.0  # seconds over which the colour of a track is averaged
_PROOF = 0.1  # seconds for which two tracks must look like pieces of one thing to become one,
_PROOF_OF_SETTLED, _SETTLED = 0.3, 0.5  # and for how long where they had been two for longer than so many seconds
_PROOF_OF_ODD = 0.5  # and for how long where together they have no simple outline
_GROWN = 2.0  # times as much must be in view of a track to be taken back that no region continued
_SURE = 4.0  # log odds; one look cannot say more

Pair = tuple[int, int]  # two tracks, by their keys, the lower one first


class OpenScene:
    """Tracks of whatever is there, in images of one working size.

    :param book: where the tracks are kept.
    :param every: seconds between two looks for objects; in between, the flow carries the map. Between two looks at
        least one frame is only carried, unless that would take twice as long.
    :param min_area: share of the image below which nothing new is followed.
    :param judge_time: seconds over which the looks of an object are averaged.
    """

    def __init__(
        self,
        book: TrackBook,
        propagator: Propagator,
        proposer: RegionProposer,
        recovery: Recovery,
        *,
        every: float,
        min_area: float,
        judge_time: float,
    ) -> None:
        self._book = book
        self._propagator = propagator
        self._proposer = proposer
        self._recovery = recovery
        self._every = every
        self._places = PlaceMemory()
        self._min_area = min_area
        self._judge_time = judge_time
        self._keys: np.ndarray | None = None  # HxW int32
        self._grey: np.ndarray | None = None
        self._looked = -math.inf
        self._recalled: dict[int, int] = {}  # tracks that recovery saw in the last look: how many pixels of each
        self._refused: dict[int, int] = {}  # of these, those that no region continued
        self._one: dict[Pair, float] = {}  # pairs of tracks that are pieces of one thing, and since when
        self._fresh = False  # the last frame was looked at
        self._beside = ThreadPoolExecutor(max_workers=1)  # works while OpenCV finds the flow

    def step(self, image: np.ndarray, stamp: float, frame: Frame | None = None) -> np.ndarray:
        """Return the ids (HxW uint16) in the next image (HxWx3 uint8 BGR).

        :param frame: what the image is a smaller picture of; its depth and pose are used. None = do without.
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
        return warp(self._keys, self._propagator.motion(self._grey, grey).flow, replicate=outside)

    def _look(self, image: np.ndarray, grey: np.ndarray, stamp: float, frame: Frame | None) -> np.ndarray:
        view = depth_view(frame, (image.shape[1], image.shape[0])) if frame else None
        grains = self._beside.submit(self._proposer.grains, image, view)
        carried = self._carried(grey, outside=False)
        recalled = self._recovery.recall(image)
        prior, found = self._prior(carried, recalled), grains.result()
        if view and found.parts:  # what is seen at the place of an object is this object
            placed = self._living(self._places.recall(view, image, carried))
            prior = np.where(placed > 0, placed, prior)
        regions = self._proposer.propose(found, prior)
        # One look may have seen but the edge of what comes in: its colour is not known yet.
        colours = {key: t.colour for key, t in self._book.tracks.items() if t.judged > t.first_seen}
        owner = owners(regions, colours)
        large = regions.area >= self._min_area * prior.size
        same = self._completed(image, regions, owner, large)
        for region in np.flatnonzero((owner == 0) & large):
            owner[region] = self._book.open(stamp).key
        continued = set(owner.tolist())
        self._refused = {key: pixels for key, pixels in self._recalled.items() if key not in continued}
        self._judge(regions, owner, stamp)
        keys = self._united(paint(regions, owner, prior), same, stamp)
        self._recovery.remember(keys)
        self._places.remember(keys)
        self._book.prune(set(compact(keys)[0].tolist()))
        return keys

    def _united(self, keys: np.ndarray, pairs: Mapping[Pair, float], stamp: float) -> np.ndarray:
        """Make one of two tracks that were parts of one thing for a while; the elder object remains.

        :param pairs: and for how many seconds they must have been.
        """
        self._one = {pair: self._one.get(pair, stamp) for pair in pairs}
        for pair, since in self._one.items():
            if not all(key in self._book.tracks for key in pair):
                continue
            apart = since - max(self._book.tracks[key].first_seen for key in pair)
            if stamp - since > max(pairs[pair], _PROOF_OF_SETTLED if apart > _SETTLED else 0) - 1e-3:
                elder, younger = self._book.unite(*pair)
                self._recovery.rename(younger, elder)
                self._places.rename(younger, elder)
                keys[keys == younger] = elder
        return keys

    def _completed(
        self, image: np.ndarray, regions: Regions, owner: np.ndarray, large: np.ndarray
    ) -> dict[Pair, float]:
        """Give new pieces of a followed thing to its track; return the pairs of tracks that are pieces of one thing.

        :return: and for how many seconds they must remain so.
        """
        looks = regions.objectness.copy()
        for region in np.flatnonzero(owner).tolist():
            looks[region] = max(looks[region], self._book.tracks[int(owner[region])].objectness)
        background = (looks < 0) | regions.on_plane
        pairs: dict[Pair, float] = {}
        for a, b in pieces(regions, background, np.flatnonzero(large & (looks > 0)), spreads(image, regions)):
            if owner[a] and owner[b]:
                pairs[_pair(owner[a], owner[b])] = _PROOF
            else:
                owner[a] = owner[b] = max(owner[a], owner[b])
        for region, tracks in shared(regions):
            if looks[region] >= 0:
                proof = _PROOF if gapless(regions, background, region) else _PROOF_OF_ODD
                for a, b in combinations(tracks.tolist(), 2):
                    pairs[_pair(a, b)] = min(proof, pairs.get(_pair(a, b), proof))
        return {pair: proof for pair, proof in sorted(pairs.items()) if pair[0] != pair[1]}

    def _prior(self, carried: np.ndarray, recalled: np.ndarray) -> np.ndarray:
        """Return the keys (HxW int32) that are known so far: carried ones, recalled ones where nothing was carried.

        A track that was out of view until now is taken from its old place: that is better evidence, unless no region
        continued it when it was last seen there.
        """
        distinct, index = compact(self._living(recalled))
        self._recalled = dict(zip(distinct.tolist(), np.bincount(index.ravel()).tolist(), strict=True))
        refused = [key for key, pixels in self._refused.items() if self._recalled.get(key, 0) < _GROWN * pixels]
        back = ~np.isin(distinct, [0, *refused, *compact(carried)[0].tolist()])
        return np.where((carried > 0) & ~back[index], carried, distinct[index])

    def _living(self, keys: np.ndarray) -> np.ndarray:
        """Return the map (HxW int32) without the tracks that are forgotten."""
        distinct, index = compact(keys)
        return np.where(np.isin(distinct, list(self._book.tracks)), distinct, 0).astype(np.int32)[index]

    def _judge(self, regions: Regions, owner: np.ndarray, stamp: float) -> None:
        """Average over time how much each track looks like an object, and how well it is held."""
        size = regions.votes.sum(axis=0)
        first = self._keys is None
        for key in np.unique(owner[owner > 0]).tolist():
            mine = owner == key
            area = regions.area[mine]
            looks = float(np.clip(regions.objectness[mine], -_SURE, _SURE) @ area / area.sum())
            column = np.flatnonzero(regions.ids == key)
            held = _UNPROVEN
            if len(column):
                both = float(regions.votes[mine, column[0]].sum())
                held = both / float(area.sum() + size[column[0]] - both)
            track = self._book.tracks[key]
            passed = max(stamp - self._looked, 0.0)
            rate = 1.0 if math.isinf(track.judged) else min(passed / _COLOUR_TIME, 1.0)
            track.confirmed |= first or len(column) > 0
            self._book.judge(track, looks, held, stamp, self._judge_time)
            track.colour += rate * (area @ regions.colour[mine] / area.sum() - track.colour)


def _pair(one: int, other: int) -> Pair:
    return min(int(one), int(other)), max(int(one), int(other))
