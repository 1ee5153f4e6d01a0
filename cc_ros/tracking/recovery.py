"""Remembering what was seen where, so that an object that comes back gets its old id."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np

_MIN_INLIERS = 20  # features that must agree on one homography
_MIN_AGREEING = 0.6  # share of the matches that must agree
_SMALLEST = 32  # pixels; smaller images have no features
_NEAR = 60  # bits; descriptors that differ in more are not alike
_STRONG = 120  # features of each view that choose the views to try
_TRIED = 2  # views tried
_ENOUGH = 0.95  # share of the image; where views explain that much, no other is tried


class Recovery(Protocol):
    """Knows objects again after they were out of view."""

    def recall(self, grey: np.ndarray) -> np.ndarray:
        """Return the ids (HxW int32, 0 = unknown) that earlier frames suggest for a HxW uint8 image."""
        ...

    def remember(self, labels: np.ndarray) -> None:
        """Keep the ids (HxW int32) of the image last given to ``recall``."""
        ...

    def rename(self, old: int, new: int) -> None:
        """Take what was remembered as ``old`` for ``new`` from now on."""
        ...

    def forget(self) -> None:
        """Drop everything: a new episode begins."""
        ...


@dataclass(frozen=True, slots=True)
class _View:
    points: np.ndarray  # n x 2 float32
    descriptors: np.ndarray  # n x 32 uint8
    labels: np.ndarray  # HxW int32


class ViewMemory:
    """Views with their ids, found again by ORB features on one common homography.

    Equal objects are told apart by their surroundings: all features of a view must agree on one motion.

    :param capacity: views kept; the one that was of no use for longest makes room.
    :param features: ORB features a view.
    :param overlap: share of the image that remembered views must explain for it not to become a view itself.
    """

    def __init__(self, capacity: int, features: int, overlap: float = 0.7) -> None:
        self._orb = cv2.ORB.create(features, fastThreshold=10)
        self._matcher = cv2.BFMatcher(cv2.NORM_HAMMING)
        self._capacity = capacity
        self._overlap = overlap
        self.forget()

    def forget(self) -> None:
        """Drop everything: a new episode begins."""
        self._views: deque[_View] = deque()  # the most useful last
        self._points = np.zeros((0, 2), np.float32)
        self._descriptors: np.ndarray | None = None
        self._explained = 0.0

    def recall(self, grey: np.ndarray) -> np.ndarray:
        """Return the ids (HxW int32, 0 = unknown) that earlier frames suggest for a HxW uint8 image."""
        if not self._capacity or min(grey.shape) < _SMALLEST:
            return np.zeros(grey.shape, np.int32)
        strongest = sorted(self._orb.detect(grey, None), key=lambda keypoint: -keypoint.response)
        keypoints, self._descriptors = self._orb.compute(grey, strongest)
        self._points = np.array([keypoint.pt for keypoint in keypoints], np.float32).reshape(-1, 2)
        ids = np.zeros(grey.shape, np.int32)
        covered = np.zeros(grey.shape, bool)
        useful = []
        for view, homography in self._matching_views():
            size = grey.shape[::-1]
            flags = cv2.INTER_NEAREST
            seen = cv2.warpPerspective(np.full(view.labels.shape, 1, np.uint8), homography, size, flags=flags) > 0
            known = cv2.warpPerspective(view.labels.astype(np.float32), homography, size, flags=flags)
            ids = np.where(covered, ids, known.astype(np.int32))
            covered |= seen
            useful.append(view)
            if covered.mean() > _ENOUGH:
                break
        for view in reversed(useful):
            position = next(i for i, kept in enumerate(self._views) if kept is view)
            del self._views[position]
            self._views.append(view)
        self._explained = float(covered.mean())
        return ids

    def remember(self, labels: np.ndarray) -> None:
        """Keep the ids (HxW int32) of the image last given to ``recall``, unless it showed nothing new."""
        if self._descriptors is None or len(self._points) < _MIN_INLIERS or self._explained > self._overlap:
            return
        if len(self._views) >= self._capacity:
            self._views.popleft()
        self._views.append(_View(self._points, self._descriptors, labels))

    def rename(self, old: int, new: int) -> None:
        """Take what was remembered as ``old`` for ``new`` from now on."""
        for view in self._views:
            view.labels[view.labels == old] = new

    def _matching_views(self) -> Iterator[tuple[_View, np.ndarray]]:
        """Yield the best views with the homography from each into the current image, the most alike first."""
        if not self._views or self._descriptors is None or len(self._points) < _MIN_INLIERS:
            return
        strong = [view.descriptors[:_STRONG] for view in self._views]
        owner = np.repeat(np.arange(len(strong)), [len(part) for part in strong])
        matches = self._matcher.match(self._descriptors[:_STRONG], np.concatenate(strong))
        votes = np.bincount(owner[[m.trainIdx for m in matches if m.distance < _NEAR]], minlength=len(strong))
        for view in [self._views[index] for index in np.argsort(-votes, kind="stable")[:_TRIED]]:
            pairs = [m for m in self._matcher.match(self._descriptors, view.descriptors) if m.distance < _NEAR]
            if len(pairs) < _MIN_INLIERS:
                continue
            old = view.points[[m.trainIdx for m in pairs]]
            new = self._points[[m.queryIdx for m in pairs]]
            homography, inliers = cv2.findHomography(old, new, cv2.USAC_DEFAULT, 2.5, maxIters=1000)
            if homography is not None and inliers.sum() >= max(_MIN_INLIERS, _MIN_AGREEING * len(pairs)):
                yield view, homography
