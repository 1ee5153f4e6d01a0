"""Automatic tracking: detect objects with the network, carry them by optical flow, re-identify them."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np

from cc_ros.frame import Frame
from cc_ros.tracking.flow import constants as const
from cc_ros.tracking.flow.depth import DepthTrust, depth_view
from cc_ros.tracking.flow.matching import Match, match, paint, rejoined
from cc_ros.tracking.flow.memory.places import PlaceMemory
from cc_ros.tracking.flow.memory.views import ViewMemory
from cc_ros.tracking.flow.settings import FlowSettings
from cc_ros.tracking.flow.track_table import TrackTable
from cc_ros.tracking.label_maps import compact
from cc_ros.tracking.objects.descriptors import descriptors
from cc_ros.tracking.objects.network import NetworkOutput, ObjectNetwork
from cc_ros.tracking.optical_flow import DisFlow, warp

_SAMPLE = 8  # every so many pixels are enough to know how the scene moves


class AutomaticTracking:
    """Runs a detection pass now and then, and carries the objects by flow in between.

    :param table: the tracks.
    :param network: detects objects.
    """

    def __init__(self, table: TrackTable, network: ObjectNetwork, settings: FlowSettings = FlowSettings()) -> None:
        self._table = table
        self._network = network
        self._settings = settings
        self._optical_flow = DisFlow(settings.preset)
        self._views = ViewMemory(settings.views, settings.features)
        self._places = PlaceMemory()
        self._trust = DepthTrust()
        self._keys: np.ndarray | None = None  # HxW int32
        self._grey: np.ndarray | None = None
        self._detected = -math.inf
        self._shift = np.zeros(2)  # of the scene since the first frame, shares of the image (x, y)
        self._moved = 0.0  # length of the way that the scene moved since the last detection pass, images
        self._path = 0.0  # the same since the first frame, less what the flow may be off by
        self.carried = False
        """Whether the last frame's map was carried there, with no detection pass."""
        self._beside = ThreadPoolExecutor(max_workers=1)  # the network works while OpenCV finds the flow

    def step(self, image: np.ndarray, stamp: float, frame: Frame | None = None) -> np.ndarray:
        """Return the ids (HxW uint16) in the next image (HxWx3 uint8 BGR).

        :param frame: the frame that the image was shrunk from, for the network, and for its depth and pose.
            None = the image alone.
        """
        grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
        self.carried = 0 <= stamp - self._detected + 1e-3 < self._settings.propose_every  # time may run backwards
        if self.carried:
            keys = self._carried(grey, outside=True)
        else:
            keys = self._detect(image, grey, stamp, frame)
            self._detected = stamp
        self._keys, self._grey = keys, grey
        return self._table.ids(keys)

    def _carried(self, grey: np.ndarray, outside: bool) -> np.ndarray:
        """Return the keys that the last map gives this image; ``outside``: extend it over the border."""
        if self._keys is None or self._grey is None:
            return np.zeros(grey.shape, np.int32)
        if grey.shape != self._grey.shape:
            return cv2.resize(self._keys, grey.shape[::-1], interpolation=cv2.INTER_NEAREST)
        flow = self._optical_flow.flow(self._grey, grey)
        steps = flow[::_SAMPLE, ::_SAMPLE].reshape(-1, 2)
        self._shift -= np.median(steps, axis=0) / grey.shape[::-1]
        pixels = float(np.median(np.linalg.norm(steps, axis=1)))  # walking ahead is a way, and no shift
        self._moved += pixels / grey.shape[1]
        self._path += max(pixels - const.FLOW_ERROR, 0.0) / grey.shape[1]
        return warp(self._keys, flow, replicate=outside)

    def _detect(self, image: np.ndarray, grey: np.ndarray, stamp: float, frame: Frame | None) -> np.ndarray:
        # What is seen first gets its id at once, so that a second look stands for what later passes would say.
        look = self._network.twice if self._keys is None else self._network
        pending = self._beside.submit(look, image if frame is None else frame.image)
        view = depth_view(frame, (image.shape[1], image.shape[0])) if frame else None
        view = view if view and self._trust(view, image) else None
        carried = self._carried(grey, outside=False)
        prior = self._prior(carried, self._views.recall(image))
        if view:  # the place in the world is the best evidence
            placed = self._living(self._places.recall(view, image, carried))
            prior = np.where(placed > 0, placed, prior)
        output = pending.result()
        passed = stamp - self._detected
        speed = self._moved / passed if passed > 0 else 0.0
        self._moved = 0.0
        self._table.proof = max(const.PROOF_EVIDENCE / (1 + speed / const.PROOF_SPEED), const.PROOF_LEAST)
        fade = math.exp(-const.SCORE_FADE * min(max(passed, 0.0), 1.0))
        scores = {key: fade * track.score for key, track in self._table.tracks.items()}
        named = {key for key, track in self._table.tracks.items() if track.id}
        found = match(output, prior, scores, self._settings.min_area, view, named)
        self._judge(found, output, stamp)
        keys = paint([one for one in found if one.key], prior)
        self._views.remember(keys)
        self._places.remember(keys)
        self._table.prune(set(compact(keys)[0].tolist()))
        return keys

    def _prior(self, carried: np.ndarray, recalled: np.ndarray) -> np.ndarray:
        """Return the expected keys (HxW int32): carried ones, and recalled ones where nothing was carried.

        A track that was out of view until now is taken from its old place: that is better evidence.
        """
        distinct, index = compact(self._living(recalled))
        back = ~np.isin(distinct, [0, *compact(carried)[0].tolist()])
        return np.where((carried > 0) & ~back[index], carried, distinct[index])

    def _living(self, keys: np.ndarray) -> np.ndarray:
        """Return the map of keys (HxW int32) without tracks that were forgotten."""
        distinct, index = compact(keys)
        return np.where(np.isin(distinct, list(self._table.tracks)), distinct, 0).astype(np.int32)[index]

    def _judge(self, found: list[Match], output: NetworkOutput, stamp: float) -> None:
        """Give each match its track, and update the track's score, descriptor and place."""
        first = self._keys is None
        masks = np.array([one.odds > 0 for one in found]).reshape(len(found), *output.pixels.shape[1:])
        described = descriptors(output.features, masks)
        for one, descriptor in zip(found, described, strict=True):
            known = self._table.tracks[one.key].descriptor if one.key else None
            if known is not None and descriptor @ known < const.DIFFERENT_COSINE:  # flow or a view misled the track
                one.key = 0
        self._rejoin(found, described, stamp)
        present = {one.key for one in found}
        absent = set(self._table.tracks) - present
        for one, descriptor in zip(found, described, strict=True):
            if not one.key and not one.detected:
                continue
            track = self._table.tracks[one.key] if one.key else self._table.open(stamp)
            one.key = track.key
            if one.detected:
                track.detections += 1
                track.evidence += one.score**2 * one.held
                track.add_descriptor(descriptor)
                track.place, track.path = one.centre - self._shift, self._path
            if not track.id and (track.evidence >= self._table.proof or track.detections > 1):
                parts = [p for p in found if p.key and p.detected and p.score < const.LEFT_BEHIND * one.score]
                gone = self._table.known_again(track, absent | {part.key for part in parts}, self._in_view)
                if gone is not None:
                    _unassign(parts, gone.key)
                    self._views.rename(track.key, gone.key)
                    self._places.rename(track.key, gone.key)
                    self._table.unite(gone.key, track.key)
                    gone.detections, one.key, track = track.detections, gone.key, gone
                    absent.discard(gone.key)
            track.score = one.score
            self._table.judge(track, one.score, one.held, stamp, self._settings.judge_time, at_once=first)

    def _rejoin(self, found: list[Match], described: np.ndarray, stamp: float) -> None:
        """Give tracks that are not detected where they should be to the new objects that look like them."""
        new = [n for n, one in enumerate(found) if one.detected and not one.key]
        detected = {one.key for one in found if one.detected}
        lost = [
            (track, track.descriptor, track.place + self._shift)
            for track in self._table.tracks.values()
            if track.descriptor is not None and track.place is not None
            if track.key not in detected and stamp - track.judged < const.REJOIN_SECONDS
        ]
        if not new or not lost:
            return
        cosine = described[new] @ np.stack([descriptor for _, descriptor, _ in lost]).T
        place = np.stack([found[n].centre for n in new])[:, None] - np.stack([expected for _, _, expected in lost])
        for row, column in rejoined(cosine, np.linalg.norm(place, axis=2)):
            one, key = found[new[row]], lost[column][0].key
            _unassign(found, key)  # what was carried to where it is not
            one.key, one.held = key, float(cosine[row, column])

    def _in_view(self, key: int) -> bool:
        """Whether the place where a track was last detected is in view, as far as the motion of the scene tells."""
        place = self._table.tracks[key].place
        return place is not None and bool(((place + self._shift > 0) & (place + self._shift < 1)).all())


def _unassign(found: list[Match], key: int) -> None:
    """Take a track from the matches that have it."""
    for one in found:
        if one.key == key:
            one.key = 0
