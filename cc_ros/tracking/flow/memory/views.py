"""Re-identify objects by earlier views of their surroundings (ORB features, homographies)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import cv2
import numpy as np

from cc_ros.tracking.flow import constants as const

_SMALLEST = 32  # pixels; smaller images have no features
_WINDOW = 5  # pixels that a photometric error is averaged over: noise and small misalignments
_OVERLAP = 0.7  # share of an image that remembered views must explain for it not to become a view itself
_ALIKE = 25.0  # grey levels that a channel may differ by
_SAMPLE = 8  # pixels between samples of the common change of brightness


@dataclass(frozen=True, slots=True)
class _View:
    points: np.ndarray  # n x 2 float32
    descriptors: np.ndarray  # n x 32 uint8
    image: np.ndarray  # HxWx3 or HxW uint8
    labels: np.ndarray  # HxW int32
    neighbours: dict[int, np.ndarray] = field(default_factory=dict)  # other views: 3x3 homography from there to here


class ViewMemory:
    """Views with their ids, found again by ORB features on one common homography.

    Equal objects are told apart by their surroundings: all features of a view must agree on one motion.

    :param capacity: views kept; the one that was of no use for longest makes room.
    :param features: ORB features a view.
    """

    def __init__(self, capacity: int, features: int) -> None:
        self._orb = cv2.ORB.create(features, fastThreshold=10)
        self._matcher = cv2.BFMatcher(cv2.NORM_HAMMING)
        self._capacity = capacity
        self.forget()

    def forget(self) -> None:
        """Drop everything: a new episode begins."""
        self._views: dict[int, _View] = {}  # by number; the most useful last
        self._next = 0
        self._points = np.zeros((0, 2), np.float32)
        self._descriptors: np.ndarray | None = None
        self._matched: dict[int, np.ndarray] = {}  # views seen again in the last image: homography from there to here
        self._explained = 0.0

    def recall(self, image: np.ndarray) -> np.ndarray:
        """Return the ids (HxW int32, 0 = unknown) that earlier frames suggest for an image.

        :param image: HxWx3 uint8 BGR or HxW uint8 grey, always the one or always the other.
        """
        ids = np.zeros(image.shape[:2], np.int32)
        self._descriptors = None
        if not self._capacity or min(ids.shape) < _SMALLEST:
            return ids
        strongest = sorted(self._orb.detect(image, None), key=lambda keypoint: -keypoint.response)
        keypoints, self._descriptors = self._orb.compute(image, strongest)
        self._image = image
        self._points = np.array([keypoint.pt for keypoint in keypoints], np.float32).reshape(-1, 2)
        self._matched = {}
        covered = np.zeros(ids.shape, bool)
        for number, homography in self._placed_views():
            view = self._views[number]
            seen, known = _seen_from(view, homography, image)
            ids = np.where(covered, ids, known)
            covered |= seen
            if covered.mean() > const.VIEW_EXPLAINED:
                break
        for number in reversed(self._matched):
            self._views[number] = self._views.pop(number)
        self._explained = float(covered.mean())
        return ids

    def remember(self, labels: np.ndarray) -> None:
        """Keep the ids (HxW int32) of the image last given to ``recall``, unless it showed nothing new."""
        if self._descriptors is None or len(self._points) < const.VIEW_INLIERS or self._explained > _OVERLAP:
            return
        if len(self._views) >= self._capacity:
            dropped = next(iter(self._views))
            del self._views[dropped]
            for view in self._views.values():
                view.neighbours.pop(dropped, None)
        neighbours = {number: homography for number, homography in self._matched.items() if number in self._views}
        for number, homography in neighbours.items():
            self._views[number].neighbours[self._next] = np.linalg.inv(homography)
        self._views[self._next] = _View(self._points, self._descriptors, self._image.copy(), labels.copy(), neighbours)
        self._next += 1

    def rename(self, old: int, new: int) -> None:
        """Take what was remembered as ``old`` for ``new`` from now on."""
        for view in self._views.values():
            view.labels[view.labels == old] = new

    def _placed_views(self) -> Iterator[tuple[int, np.ndarray]]:
        """Yield views with the homography from each into the current image: those seen again, then their neighbours.

        What has just come in at the border is too little to be matched; its place follows from that of the rest.
        """
        for number, homography in self._matching_views():
            self._matched[number] = homography
            yield number, homography
        for number, homography in list(self._matched.items()):
            for neighbour, there in self._views[number].neighbours.items():
                if neighbour not in self._matched:
                    yield neighbour, homography @ there

    def _matching_views(self) -> Iterator[tuple[int, np.ndarray]]:
        """Yield the best views with the homography from each into the current image, the most alike first."""
        if not self._views or self._descriptors is None or len(self._points) < const.VIEW_INLIERS:
            return
        numbers = list(self._views)
        strong = [view.descriptors[: const.VIEW_STRONG] for view in self._views.values()]
        owner = np.repeat(np.arange(len(strong)), [len(part) for part in strong])
        matches = self._matcher.match(self._descriptors[: const.VIEW_STRONG], np.concatenate(strong))
        votes = np.bincount(owner[[m.trainIdx for m in matches if m.distance < const.VIEW_BITS]], minlength=len(strong))
        for number in [numbers[index] for index in np.argsort(-votes, kind="stable")[: const.VIEWS_TRIED]]:
            view = self._views[number]
            matches = self._matcher.match(self._descriptors, view.descriptors)
            pairs = [m for m in matches if m.distance < const.VIEW_BITS]
            if len(pairs) < const.VIEW_INLIERS:
                continue
            old = view.points[[m.trainIdx for m in pairs]]
            new = self._points[[m.queryIdx for m in pairs]]
            homography, inliers = cv2.findHomography(old, new, cv2.USAC_DEFAULT, 2.5, maxIters=1000)
            if homography is not None and inliers.sum() >= max(const.VIEW_INLIERS, const.VIEW_AGREEING * len(pairs)):
                yield number, homography


def _seen_from(view: _View, homography: np.ndarray, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return which pixels of an image a view shows (HxW bool), and its ids where it looks the same (HxW int32)."""
    size = (image.shape[1], image.shape[0])
    flags = cv2.INTER_NEAREST
    seen = cv2.warpPerspective(np.full(view.labels.shape, 1, np.uint8), homography, size, flags=flags) > 0
    known = cv2.warpPerspective(view.labels.astype(np.float32), homography, size, flags=flags).astype(np.int32)
    known[~alike(cv2.warpPerspective(view.image, homography, size), image)] = 0
    return seen, known


def alike(image: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return where two aligned images (HxW or HxWx3 uint8) show the same surface (HxW bool).

    A change of brightness that all of the image has in common does not count.
    """
    difference = cv2.subtract(image, other, dtype=cv2.CV_16S).reshape(*image.shape[:2], -1)
    common = np.median(difference[::_SAMPLE, ::_SAMPLE], axis=(0, 1))
    error = cv2.blur(np.abs(difference - common.astype(np.int16)), (_WINDOW, _WINDOW))
    return np.asarray(np.maximum.reduce(cv2.split(error)) <= _ALIKE)
