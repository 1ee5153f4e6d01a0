"""Follow given masks: carry them by flow, and redraw them along the edges of the image."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass

import cv2
import numpy as np
from scipy.ndimage import find_objects

from cc_ros.tracking.flow import constants as const
from cc_ros.tracking.flow.appearance import ColourModels, Exemplars, Place
from cc_ros.tracking.flow.matching import supported
from cc_ros.tracking.flow.memory.shapes import ShapeMemory
from cc_ros.tracking.flow.object_motion import STRIDE, affine_motions, motion_errors, motion_odds
from cc_ros.tracking.flow.superpixel_shares import drawn, owners, random_walk
from cc_ros.tracking.flow.superpixels import Box, Superpixels, grown, hull
from cc_ros.tracking.objects.network import NetworkOutput
from cc_ros.tracking.optical_flow import sources

_COARSE = 4  # pixels between those that tell what is near an object


@dataclass(frozen=True, slots=True)
class _Expected:
    """Where one object is expected; hxw each, in a box of the image."""

    box: Box
    carried: np.ndarray  # float32, 0..1
    odds: np.ndarray  # float32, log odds of its place
    near: np.ndarray  # uint8, 1 where it is not too far away to be the object


class MaskFollower:
    """Carries masks by flow and redraws them along the edges of the image.

    The carried masks, colours, colours at their place, and motion vote for each superpixel; a random walk with these
    priors (Grady 2005) over superpixels of similar colour makes the votes agree. A fading memory of the shapes
    moves with the objects, so that what passes behind a pole comes out again on the other side. A pixel is one
    object's: where two overlap, the one that was seen there is in front of the one that is only remembered.

    :param superpixels: of all of the first frame, split along ``index`` too.
    :param index: HxW int32, 0 = none, 1..n = the objects.
    :param count: n; objects may be too small to be in ``index``.
    """

    def __init__(self, superpixels: Superpixels, index: np.ndarray, count: int) -> None:
        labels = superpixels.labels
        owner = np.zeros(len(superpixels.area), np.int32)
        owner[labels] = index
        share = (owner[:, None] == np.arange(1, count + 1)).astype(np.float32)
        self.labels = labels  # HxW int32, the region of each pixel; -1 outside the window
        self._share = np.pad(share, ((0, 1), (0, 0)))  # the last one is for -1
        self._colours = ColourModels(superpixels.histograms, share, _around(labels, share))
        self._exemplars = [Exemplars() for _ in range(count)]
        self._memory = ShapeMemory(count)
        self.held = np.ones(count)  # how well each object is where it was expected (IoU)
        self.area = np.bincount(index.ravel(), minlength=count + 1)[1:].astype(float)  # pixels; 0 = lost
        self.moves = np.zeros(count)  # 0..1, how far each object moves otherwise than what is around it
        self._drift = np.zeros((count, 2))  # pixels a second that each moves, backwards in time, past the background
        self.visible = np.ones(count)  # share of each object that is not hidden
        self._age = np.inf  # seconds since the exemplars were renewed
        # What was drawn last, and the seconds since the drawing before; None once it was learned from.
        self._drawn: tuple[Superpixels, float] | None = (superpixels, 0.0)

    @property
    def share(self) -> np.ndarray:
        """How much each region of the frame that was drawn last is each object (regions x n float32)."""
        return self._share[:-1]

    def carried(self, flow: np.ndarray, outside: bool = False) -> np.ndarray:
        """Return the regions of the last drawn frame (HxW int32) in a frame that ``flow`` leads back from.

        :param outside: what came in over the border is what was there at the border, and not -1, nothing.
        """
        border = cv2.BORDER_REPLICATE if outside else cv2.BORDER_CONSTANT
        return cv2.remap(self.labels, *sources(flow), cv2.INTER_NEAREST, borderMode=border, borderValue=-1)

    def segment(self, image: np.ndarray, whole: bool) -> Superpixels:
        """Learn from the frame that was drawn last, and segment the next one around the expected objects.

        Only ``carried`` and what reads no more than it may run meanwhile.

        :param image: HxWx3 uint8 BGR.
        :param whole: segment all of it.
        """
        self._learn()
        return Superpixels.of(image, None if whole else self._window())

    def _window(self) -> Box:
        shape = self.labels.shape
        boxes = [box for box in (patch.box(const.SHAPE_FAINT) for patch in self._memory.patches) if box]
        if not boxes:
            return np.s_[0 : shape[0], 0 : shape[1]]
        sizes = [np.sqrt((rows.stop - rows.start) * (columns.stop - columns.start)) for rows, columns in boxes]
        margins = [int(const.WINDOW_MARGIN * size + const.WINDOW_PIXELS) for size in sizes]
        return hull([grown(box, margin, shape) for box, margin in zip(boxes, margins, strict=True)])

    def redraw(
        self,
        image: np.ndarray,
        flow: np.ndarray,
        passed: float,
        split: Future[Superpixels],
        places: Mapping[int, np.ndarray],
        output: Future[NetworkOutput],
    ) -> np.ndarray:
        """Find the objects in a later frame; return its regions (HxW int32) for ``drawn``.

        :param image: HxWx3 uint8 BGR.
        :param flow: HxWx2 float32, pixels, from this frame to the one drawn before.
        :param passed: seconds between them.
        :param split: the result of ``segment`` for this image.
        :param places: by object (0..n-1), HxW bool, where objects are that were lost, wholly or in part.
        :param output: of the network for this image.
        """
        rows = self.carried(flow, outside=True)
        motions, superpixels = affine_motions(flow, rows, self._share), split.result()
        areas = np.bincount(rows.ravel() + 1, minlength=len(self._share))[1:] @ self.share
        steered = self._steered(areas, motions, passed)
        self._memory.move(steered, self.visible < const.MOSTLY_VISIBLE, passed, rows.shape)
        expected = self._expected(rows, areas, places)
        boxes = [part.box for part in expected.values()]
        if hull([*boxes, superpixels.window]) != superpixels.window:
            superpixels = Superpixels.of(image, grown(hull(boxes), 2, rows.shape))
        labels = np.full(rows.shape, -1, np.int32)
        labels[superpixels.window] = superpixels.labels
        seen = supported(output.result(), self.owner(rows), len(areas))
        odds, carried = self._odds(superpixels, labels, flow, expected, motions, passed, seen)
        share = random_walk(superpixels.links, superpixels.area, odds)
        self._judge(superpixels, share, carried, places)
        self.labels, self._share = labels, np.pad(share, ((0, 1), (0, 0)))
        self._drawn = superpixels, passed
        return labels

    def drawn(self, rows: np.ndarray, size: tuple[int, int], ids: np.ndarray) -> np.ndarray:
        """Return the objects in an image of another size.

        :param rows: HxW int32, the regions of ``carried``; -1 is nothing.
        :param size: width and height.
        :param ids: n + 1 uint16, what to draw where nothing is and for each object.
        """
        return drawn(rows, self._share, ids, size)

    def resize(self, rows: np.ndarray, size: tuple[int, int]) -> None:
        """Go on from the regions ``rows`` (HxW int32, of ``carried``) in images of another size (width, height)."""
        self._learn()
        height, width = self.labels.shape
        self.labels = cv2.resize(rows, size, interpolation=cv2.INTER_NEAREST)
        self._memory.resize((size[0] / width, size[1] / height))

    def _steered(self, areas: np.ndarray, motions: list[np.ndarray | None], passed: float) -> list[np.ndarray | None]:
        """Return the objects' motions; one that is mostly hidden goes on as it did, past the background.

        What little is seen of it moves, as far as flow can tell, with what hides it.
        """
        whole = np.array([patch.values.sum() / max(patch.values.max(), 1e-9) for patch in self._memory.patches])
        self.visible = areas / np.maximum(whole, 1)
        background = motions[-1]
        if background is None:
            return motions[:-1]
        steered = list(motions[:-1])
        for k, (patch, motion) in enumerate(zip(self._memory.patches, motions, strict=False)):
            centre = np.array([patch.x + patch.values.shape[1] / 2, patch.y + patch.values.shape[0] / 2, 1])
            if self.visible[k] < const.MOSTLY_VISIBLE:
                steered[k] = np.column_stack([background[:, :2], background[:, 2] + self._drift[k] * passed])
            elif motion is not None and passed > 0:
                self._drift[k] = (motion - background) @ centre / passed
        return steered

    def owner(self, rows: np.ndarray) -> np.ndarray:
        """Return the objects (HxW int32 1..n, 0 = none) for regions of ``carried``."""
        return owners(self._share)[rows]

    def _expected(self, rows: np.ndarray, areas: np.ndarray, places: Mapping[int, np.ndarray]) -> dict[int, _Expected]:
        """Return by object (0..n-1) where it is expected, before the image is used.

        :param areas: n, pixels of each object in ``rows``.
        """
        found = find_objects(owners(self._share, 0.3)[rows], len(areas))
        expected = {}
        for k, seen in enumerate(found):
            memory, place = self._memory.patches[k], places.get(k)
            now = seen if place is None else next(iter(find_objects(place.view(np.uint8))), None)
            boxes = [box for box in (memory.box(0.5), now) if box]
            if boxes:
                area = max(areas[k], 0 if place is None else place.sum())
                blur = max(const.OUTLINE_BLUR * float(np.sqrt(area)), 1.0)
                box = grown(hull(boxes), int(3 * blur) + 1, rows.shape)
                carried = self._share[:, k][rows[box]] if place is None else place[box].astype(np.float32)
                expected[k] = _expect(box, carried, memory.within(box), blur)
        return expected

    def _odds(
        self,
        superpixels: Superpixels,
        labels: np.ndarray,
        flow: np.ndarray,
        expected: Mapping[int, _Expected],
        motions: list[np.ndarray | None],
        passed: float,
        seen: Mapping[int, np.ndarray],
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the log odds of each object for each region, and how much of each was carried there (r x n)."""
        area, n = superpixels.area, len(motions) - 1
        sums, limit = np.zeros((3, n, len(area))), const.NETWORK_LIMIT
        for k, part in expected.items():
            odds = part.odds
            if k in seen:
                whole = cv2.resize(np.clip(seen[k], -limit, limit), labels.shape[::-1], interpolation=cv2.INTER_LINEAR)
                odds = odds + np.float32(const.NETWORK_WEIGHT) * whole[part.box]
            for row, values in zip(sums[:, k], (odds * part.near, part.near, part.carried), strict=True):
                row[:] = _summed(labels[part.box], values, len(area))
        sums /= area
        placed, near, carried = sums
        votes = np.ascontiguousarray(const.COLOUR_WEIGHT * self._colours.odds(superpixels.histograms).T)
        self._vote_by_motion(votes, labels, flow, expected, motions, passed)
        places = _places(superpixels, (carried * (carried > 0.3)).T)
        for k in expected:
            asked = np.flatnonzero(near[k])
            placed_colour = self._exemplars[k].odds(superpixels.features[asked], places[k])
            votes[k, asked] += const.PLACED_COLOUR_WEIGHT * placed_colour
        votes *= near
        votes += placed
        votes += const.NOWHERE_ODDS * (1 - near)
        return np.ascontiguousarray(votes.T), carried.T

    def _vote_by_motion(
        self,
        votes: np.ndarray,
        labels: np.ndarray,
        flow: np.ndarray,
        expected: Mapping[int, _Expected],
        motions: list[np.ndarray | None],
        passed: float,
    ) -> None:
        """Add what motion says to the votes (n x r), and note which objects move at all."""
        if motions[-1] is None:
            return
        sparse = flow[::STRIDE, ::STRIDE]
        background = motion_errors(sparse, motions[-1])
        for k, part in expected.items():
            motion = motions[k]
            if motion is None:
                continue
            rows, columns = (slice(-(-side.start // STRIDE), -(-side.stop // STRIDE)) for side in part.box)
            local = np.s_[-part.box[0].start % STRIDE :: STRIDE, -part.box[1].start % STRIDE :: STRIDE]
            start = (columns.start * STRIDE, rows.start * STRIDE)
            carried, others = part.carried[local], background[rows, columns]
            odds, trust = motion_odds(sparse[rows, columns], motion, start, others, carried)
            if self.visible[k] >= const.MOSTLY_VISIBLE:
                self.moves[k] += (1 - np.exp(-const.MOVES_RATE * passed)) * (trust - self.moves[k])
            index = labels[part.box][local]
            sums, seen = (_summed(index, values, votes.shape[1]) for values in (odds, np.ones_like(odds)))
            votes[k] += const.MOTION_WEIGHT * sums / np.maximum(seen, 1)

    def _judge(
        self, superpixels: Superpixels, share: np.ndarray, carried: np.ndarray, places: Mapping[int, np.ndarray]
    ) -> None:
        """Note how well each object was held; drop what is too small, or is not where it was expected back."""
        count = superpixels.area
        before, now = carried > 0.5, share > 0.5
        both, either = count @ (before & now), count @ (before | now)
        self.held = both / np.maximum(either, 1)
        lost, self.area = self.area == 0, count @ now
        gone = self.area <= const.MIN_PIXELS
        for k in [k for k in places if lost[k]]:
            gone[k] |= both[k] < const.BACK_AGREEING * (count @ before[:, k])
        share[:, gone] = 0
        self.area[gone] = 0

    def _learn(self) -> None:
        if self._drawn is None:
            return
        (superpixels, passed), self._drawn = self._drawn, None
        share = self.share
        self._memory.remember(self.labels, self._share)
        present = self.area > 0
        rate = np.where(present, 1 - np.exp(-const.COLOUR_RATE * passed), 0)
        around = _around(superpixels.labels, share)
        self._colours.learn(superpixels.histograms, share, around, rate)
        self._age += passed
        if self._age > const.EXEMPLAR_PERIOD - 1e-3:
            self._age = 0.0
            places = _places(superpixels, share)
            for k in np.flatnonzero(present & (self.visible >= const.MOSTLY_VISIBLE)):
                near = np.flatnonzero(share[:, k] + around[:, k])
                self._exemplars[k].learn(superpixels.features[near], superpixels.area[near], share[near, k], places[k])


def _expect(box: Box, carried: np.ndarray, remembered: np.ndarray, blur: float) -> _Expected:
    """Return where an object may be that was carried there or, if it is hidden, is remembered there.

    :param blur: pixels, how far that may be wrong.
    """
    remembered = np.float32(const.SHAPE_WEIGHT) * remembered
    known = np.maximum(carried, np.where(remembered > 0.5 * const.SHAPE_WEIGHT, remembered, 0))
    shrink = max(int(blur / 2), 1)  # what is to be blurred need not be large
    full = (carried.shape[1], carried.shape[0])
    size = (max(full[0] // shrink, 1), max(full[1] // shrink, 1))
    small = cv2.resize(np.maximum(carried, remembered), size, interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, (0, 0), blur / shrink)
    core = cv2.resize((known > 0.3).astype(np.float32), size, interpolation=cv2.INTER_AREA) > 0.5 / shrink
    reach = np.ones((2 * int(3 * blur / shrink) + 1,) * 2, np.uint8)
    near = cv2.resize(cv2.dilate(core.astype(np.uint8), reach), full, interpolation=cv2.INTER_NEAREST)
    odds = np.log((small + const.LEAST_CHANCE) / (1 + const.LEAST_CHANCE - np.minimum(small, 1)))
    return _Expected(box, known, cv2.resize(odds, full), near)


def _places(superpixels: Superpixels, share: np.ndarray) -> list[Place]:
    """Return x, y and size (square root of the area, pixels) of each object (share: r x n)."""
    core = share > 0.5
    pixels = superpixels.area[:, None] * np.where(core.any(axis=0), core, share)
    area, (x, y) = pixels.sum(axis=0), superpixels.features[:, 3:].T @ pixels
    size, area = np.maximum(np.sqrt(area), 6.0), np.maximum(area, 1e-9)
    return list(zip((x / area).tolist(), (y / area).tolist(), size.tolist(), strict=True))


def _around(labels: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Return how much of each region is background near each object (r x n)."""
    coarse, count = labels[::_COARSE, ::_COARSE], len(share)
    pixels = np.maximum(np.bincount(coarse.ravel(), minlength=count), 1).astype(np.float32)
    around = np.zeros(share.shape[::-1], np.float32)
    owner = owners(share)[coarse]
    for k, row in enumerate(around):
        core = (owner == k + 1).astype(np.uint8)
        radius = max(int(0.6 * np.sqrt(cv2.countNonZero(core))), 8 // _COARSE)
        row[:] = _summed(coarse, cv2.dilate(core, np.ones((2 * radius + 1, 2 * radius + 1), np.uint8)), count)
    return around.T / pixels[:, None] * (1 - share)


def _summed(labels: np.ndarray, values: np.ndarray, count: int) -> np.ndarray:
    """Return the sum of the values (hxw) of each region (hxw int32, 0..count-1)."""
    return np.bincount(labels.ravel(), values.ravel(), count)
