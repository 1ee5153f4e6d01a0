"""Earlier views of a scene, laid over a new picture: what should be where, and whether it looks the same.

By poses where both have one from the same spot and the picture confirms it; elsewhere by ORB features on one
homography, so that equal objects are told apart by their surroundings.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from cc_ros.tracking.flow import constants as flow
from cc_ros.tracking.flow.memory.views import alike

WIDTH = 320  # pixels that views are compared at
FEATURES = 600  # of ORB, a view
CAPACITY = 96  # views; the one that was of no use for longest makes room
SAME_SPOT = 0.25  # metres between two cameras that count as one place: then only their turning matters
OVERLAP = 0.2  # least share of a picture that a view must cover
CONFIRMED = 0.45  # share of the covered pixels that must look the same for a pose to be believed
TRIED = 5  # views that are laid over a picture, those that cover most of it, or have most in common with it, first
UNKNOWN = -1  # in a view: an object of which it is not known yet which one it is
MOST = 0.6  # share of an object's pixels in a view that must be within a picture to be missed there
NEW_VIEW = 0.7  # share of a picture that views must explain for it not to become one


@dataclass(eq=False, slots=True)
class View:
    """A picture with what is in it, reduced to :data:`WIDTH`.

    :param image: HxWx3 uint8 BGR.
    :param labels: HxW int32, object numbers, 0 = none, or :data:`UNKNOWN`.
    :param points: n x 2 float32, of its features, the strongest first.
    :param descriptors: n x 32 uint8, or None without any.
    :param intrinsics: 3x3 in pixels of ``image``, or None.
    :param pose: 4x4 camera to world, or None.
    :param world: names that world.
    """

    image: np.ndarray
    labels: np.ndarray
    points: np.ndarray
    descriptors: np.ndarray | None
    intrinsics: np.ndarray | None
    pose: np.ndarray | None
    world: str


@dataclass(frozen=True, slots=True)
class Overlay:
    """An earlier view laid over a new picture; all HxW.

    :param shown: bool, where it shows anything.
    :param labels: int32, the numbers of the objects that it shows.
    :param same: bool, where both look alike.
    :param whole: numbers of the objects most of which, as far as the view shows them, would be within the picture.
    """

    shown: np.ndarray
    labels: np.ndarray
    same: np.ndarray
    whole: frozenset[int]


@dataclass(frozen=True, slots=True)
class Expected:
    """What earlier views say of a new picture, the best of them first where several show something; all HxW.

    :param labels: int32, the number of the object that was there; 0 = none, or not seen before.
    :param seen: bool, where any view shows anything.
    :param same: bool, where the picture looks as it did.
    :param overlays: the views one by one.
    """

    labels: np.ndarray
    seen: np.ndarray
    same: np.ndarray
    overlays: tuple[Overlay, ...]


class Viewer:
    """Makes views."""

    def __init__(self) -> None:
        self._orb = cv2.ORB.create(FEATURES, fastThreshold=10)

    def view(
        self,
        image: np.ndarray,
        labels: np.ndarray,
        intrinsics: np.ndarray | None,
        pose: np.ndarray | None,
        world: str,
    ) -> View:
        """Return the view of a picture.

        :param image: HxWx3 uint8 BGR.
        :param labels: HxW, object numbers or ids.
        :param intrinsics: 3x3 in pixels of ``image``.
        """
        scale = WIDTH / image.shape[1]
        size = (WIDTH, max(round(image.shape[0] * scale), 1))
        small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        map_ = cv2.resize(labels.astype(np.uint16), size, interpolation=cv2.INTER_NEAREST).astype(np.int32)
        strongest = sorted(self._orb.detect(small, None), key=lambda keypoint: -keypoint.response)
        keypoints, descriptors = self._orb.compute(small, strongest)
        points = np.array([keypoint.pt for keypoint in keypoints], np.float32).reshape(-1, 2)
        k = None if intrinsics is None else np.diag([scale, scale, 1.0]) @ intrinsics
        return View(small, map_, points, descriptors, k, pose, world)


class Views:
    """The views of a memory that are at hand: a bounded number, the most useful kept."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._views: list[View] = []  # the most useful last
        self._matcher = cv2.BFMatcher(cv2.NORM_HAMMING)

    def __len__(self) -> int:
        return len(self._views)

    def expected(self, view: View) -> Expected:
        """Return what the views say of a new one, and note which of them were of use."""
        shape = view.labels.shape
        labels, seen, same = np.zeros(shape, np.int32), np.zeros(shape, bool), np.zeros(shape, bool)
        overlays = []
        for other, laid in self._laid_over(view):
            # Where no object was seen there may be one: the next view may show it.
            new = (laid.shown & ~seen | (laid.labels > 0) & (labels == 0)) & (laid.labels != UNKNOWN)
            labels[new], same[new] = laid.labels[new], laid.same[new]
            seen |= new
            overlays.append(laid)
            self._views.remove(other)
            self._views.append(other)
        return Expected(labels, seen, same, tuple(overlays))

    def add(self, view: View, expected: Expected | None = None) -> None:
        """Keep a view; not where earlier ones explain most of it already."""
        explained = expected is not None and expected.same.mean() > NEW_VIEW
        if explained and expected is not None and numbers_in(view.labels) <= numbers_in(expected.labels):
            return
        self._views.append(view)
        if len(self._views) > self._capacity:
            del self._views[0]

    def rename(self, old: int, new: int) -> None:
        """Take what was shown as ``old`` for ``new`` from now on."""
        for view in self._views:
            view.labels[view.labels == old] = new

    def _laid_over(self, view: View) -> Iterator[tuple[View, Overlay]]:
        """Yield views, each laid over the new one."""
        by_pose = [
            (other, homography)
            for other in self._views
            if (homography := _turned(other, view)) is not None and _covers(other, homography, view) > OVERLAP
        ]
        by_pose.sort(key=lambda pair: -_covers(pair[0], pair[1], view))
        found = False
        for other, homography in by_pose[:TRIED]:
            laid = _overlay(other, homography, view)
            if laid.shown.any() and laid.same[laid.shown].mean() > CONFIRMED:
                found = True
                yield other, laid
        if not found:
            for other, homography in self._matching(view):
                yield other, _overlay(other, homography, view)

    def _matching(self, view: View) -> Iterator[tuple[View, np.ndarray]]:
        """Yield those whose features lie as in the new view, the most alike first (as the tracker's own memory)."""
        others = [other for other in reversed(self._views) if other.descriptors is not None]
        if not others or view.descriptors is None or len(view.points) < flow.VIEW_INLIERS:
            return
        strong = [other.descriptors[: flow.VIEW_STRONG] for other in others if other.descriptors is not None]
        owner = np.repeat(np.arange(len(strong)), [len(part) for part in strong])
        matches = self._matcher.match(view.descriptors[: flow.VIEW_STRONG], np.concatenate(strong))
        votes = np.bincount(owner[[m.trainIdx for m in matches if m.distance < flow.VIEW_BITS]], minlength=len(others))
        for index in np.argsort(-votes, kind="stable")[:TRIED].tolist():
            other = others[index]
            pairs = [m for m in self._matcher.match(view.descriptors, other.descriptors) if m.distance < flow.VIEW_BITS]
            if len(pairs) < flow.VIEW_INLIERS:
                continue
            old, new = other.points[[m.trainIdx for m in pairs]], view.points[[m.queryIdx for m in pairs]]
            homography, inliers = cv2.findHomography(old, new, cv2.USAC_DEFAULT, 2.5, maxIters=1000)
            if homography is not None and inliers.sum() >= max(flow.VIEW_INLIERS, flow.VIEW_AGREEING * len(pairs)):
                yield other, homography


def _turned(old: View, new: View) -> np.ndarray | None:
    """Return the 3x3 homography between two views from one spot, by their poses; None where there is none."""
    if old.pose is None or new.pose is None or old.intrinsics is None or new.intrinsics is None:
        return None
    if old.world != new.world or np.linalg.norm(old.pose[:3, 3] - new.pose[:3, 3]) > SAME_SPOT:
        return None
    turn = new.pose[:3, :3].T @ old.pose[:3, :3]
    if turn[2, 2] < 0.3:  # looks elsewhere: the plane of the one picture is behind the other
        return None
    return np.asarray(new.intrinsics @ turn @ np.linalg.inv(old.intrinsics))


def _covers(old: View, homography: np.ndarray, new: View) -> float:
    """Return the share of the new view that the old one covers, by its box."""
    height, width = old.labels.shape
    corners = np.array([[[0, 0]], [[width, 0]], [[width, height]], [[0, height]]], np.float32)
    x, y = cv2.perspectiveTransform(corners, homography).reshape(4, 2).T
    height, width = new.labels.shape
    w = min(x.max(), width) - max(x.min(), 0)
    h = min(y.max(), height) - max(y.min(), 0)
    return float(max(w, 0) * max(h, 0) / (width * height))


def _overlay(old: View, homography: np.ndarray, new: View) -> Overlay:
    height, width = new.labels.shape
    size, nearest = (width, height), cv2.INTER_NEAREST
    shown = cv2.warpPerspective(np.ones(old.labels.shape, np.uint8), homography, size, flags=nearest) > 0
    labels = cv2.warpPerspective(old.labels.astype(np.float32), homography, size, flags=nearest).astype(np.int32)
    same = shown & alike(cv2.warpPerspective(old.image, homography, size), new.image)
    before, now = (np.bincount(np.maximum(map_, 0).ravel(), minlength=1) for map_ in (old.labels, labels))
    whole = {i for i in numbers_in(labels) if now[i] >= MOST * before[i]}
    return Overlay(shown, labels, same, frozenset(whole))


def numbers_in(labels: np.ndarray) -> set[int]:
    """Return the numbers in a map of integers, without those that are none."""
    return set(np.flatnonzero(np.bincount(np.maximum(labels, 0).ravel())).tolist()) - {0}
