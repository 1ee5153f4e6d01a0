from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from cc_ros.tracking.association import owners
from cc_ros.tracking.base import TrackStatus
from cc_ros.tracking.depth import DepthView
from cc_ros.tracking.label_maps import compact, shapes
from cc_ros.tracking.layout_evidence import votes
from cc_ros.tracking.open_scene import OpenScene
from cc_ros.tracking.propagation import DisPropagator, warp
from cc_ros.tracking.proposals import Grains, RegionProposer, Regions
from cc_ros.tracking.recovery import ViewMemory
from cc_ros.tracking.region_graph import COUNT, LENGTH, merge, region_graph
from cc_ros.tracking.superpixels import superpixels
from cc_ros.tracking.tracks import TrackBook

maps = arrays(np.int32, st.tuples(st.integers(1, 12), st.integers(1, 12)), elements=st.integers(0, 5))


@given(maps)
def test_compact_numbers_the_labels_without_gaps(labels: np.ndarray) -> None:
    distinct, index = compact(labels)
    assert np.array_equal(distinct[index], labels)
    assert np.array_equal(distinct, np.unique(labels))


@given(maps)
def test_shapes_are_those_of_the_pixels(labels: np.ndarray) -> None:
    found = shapes(labels)
    assert set(found) == set(np.unique(labels).tolist()) - {0}
    for label, shape in found.items():
        y, x = np.nonzero(labels == label)
        assert shape.area == len(x)
        assert np.allclose(shape.centre, (x.mean(), y.mean()))
        assert shape.box == (x.min(), y.min(), np.ptp(x) + 1, np.ptp(y) + 1)


def blocks(seed: int) -> np.ndarray:
    """Coloured blocks with grain, 96x128."""
    rng = np.random.default_rng(seed)
    image = cv2.resize(rng.integers(0, 255, (4, 5, 3), np.uint8), (128, 96), interpolation=cv2.INTER_NEAREST)
    return np.clip(image.astype(int) + rng.integers(-5, 6, image.shape), 0, 255).astype(np.uint8)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 1000))
def test_merging_keeps_every_sum(seed: int) -> None:
    image = blocks(seed)
    labels, gradient = superpixels(image)
    graph = region_graph(image, labels, gradient)
    assert np.array_equal(np.unique(labels), np.arange(len(graph.regions)))
    merged = merge(graph, lambda now: now.borders[:, LENGTH], 10.0)
    assert len(merged.regions) <= len(graph.regions)
    assert np.allclose(merged.regions.sum(axis=0), graph.regions.sum(axis=0))
    assert np.array_equal(np.bincount(merged.labels.ravel()), merged.regions[:, COUNT])
    again = region_graph(image, merged.labels, gradient)
    assert np.allclose(again.regions, merged.regions)
    assert np.allclose(again.borders, merged.borders)


def test_what_was_two_objects_stays_two_and_what_was_one_stays_one() -> None:
    image = np.full((240, 320, 3), 200, np.uint8)
    image[80:160, 60:260] = (40, 60, 190)
    nothing = np.zeros(image.shape[:2], np.int32)
    proposer = RegionProposer(memory=50.0)
    alone = proposer.propose(proposer.grains(image), nothing)
    assert alone.labels[120, 100] == alone.labels[120, 220] != alone.labels[20, 20]
    image[80:160, 158:162] = (50, 70, 180)  # a faint seam
    prior = nothing.copy()
    prior[80:160, 60:160], prior[80:160, 160:260] = 4, 9
    split = proposer.propose(proposer.grains(image), prior)
    assert split.labels[120, 100] != split.labels[120, 220]


def test_flow_carries_a_map_along() -> None:
    image = cv2.GaussianBlur(np.random.default_rng(3).integers(0, 255, (240, 320), np.uint8), (0, 0), 2)
    labels = np.zeros(image.shape, np.int32)
    labels[100:140, 100:160] = 70000  # more than 16 bits
    motion = DisPropagator(1).motion(image, np.roll(image, 6, axis=1))
    moved = warp(labels, motion.flow)
    truth = np.roll(labels, 6, axis=1) > 0
    assert (truth & (moved == 70000)).sum() / (truth | (moved > 0)).sum() > 0.9
    assert motion.reliable[100:140, 100:160].mean() > 0.9


def wall(offset: int) -> np.ndarray:
    """A view of 320x240 out of a wide wall of coarse texture."""
    wide = cv2.resize(np.random.default_rng(5).integers(0, 255, (30, 250), np.uint8), (2000, 240))
    return np.ascontiguousarray(wide[:, offset : offset + 320])


def test_a_view_is_known_again_after_others() -> None:
    memory = ViewMemory(capacity=4, features=400)
    labels = np.zeros((240, 320), np.int32)
    labels[60:180, 100:200] = 3
    assert not memory.recall(wall(0)).any()
    memory.remember(labels)
    for offset in (600, 1000, 1400):
        assert not memory.recall(wall(offset)).any()
        memory.remember(np.zeros_like(labels))
    found = memory.recall(wall(40)) == 3
    truth = np.roll(labels, -40, axis=1) == 3
    assert (found & truth).sum() / (found | truth).sum() > 0.9
    memory.forget()
    assert not memory.recall(wall(0)).any()


def test_ids_are_given_once_and_statuses_tell_what_happened() -> None:
    book = TrackBook(max_lost=1)
    keys = np.zeros((40, 40), np.int32)
    track = book.open(0.0)
    book.judge(track, objectness=3.0, held=1.0, stamp=0.0, average=0.5)
    keys[:20] = track.key
    seen = []
    for stamp, shown in enumerate((keys, keys, keys * 0, keys)):
        book.measure(book.ids(shown), float(stamp))
        seen.append(book.report()[0].status)
    assert seen == [TrackStatus.NEW, TrackStatus.VISIBLE, TrackStatus.LOST, TrackStatus.RECOVERED]
    assert math.isclose(book.report()[0].confidence, math.sqrt(1 / (1 + math.exp(-3.0))))
    other = book.open(5.0)
    book.judge(other, objectness=3.0, held=1.0, stamp=5.0, average=0.5)
    assert (track.id, other.id) == (1, 2)
    book.prune(present=set())
    assert list(book.tracks) == [other.key]  # of two as long unseen the newer one


def two_regions(colours: list[tuple[int, int, int]], votes: list[list[int]]) -> Regions:
    """Two regions of 100 pixels, and the votes of nothing and of the tracks 4 and 9 for them."""
    nothing = np.zeros(2)
    return Regions(
        np.zeros((10, 20), np.int32),
        nothing + 100,
        np.array(colours, float),
        nothing,
        np.array([0, 4, 9]),
        np.array(votes),
        np.zeros(2, np.int64),
        np.zeros((2, 2), bool),
    )


def test_a_track_lets_go_of_a_part_that_a_border_divides_from_the_rest_unless_it_is_a_detail() -> None:
    regions = two_regions([(50, 0, 0), (50, 0, 0)], [[0, 100, 0], [0, 90, 0]])
    assert owners(regions, {}).tolist() == [4, 4]
    regions.divided[:] = ~np.eye(2, dtype=bool)
    assert owners(regions, {}).tolist() == [4, 0]
    regions.area[1] = 10
    assert owners(regions, {}).tolist() == [4, 4]


def test_a_small_object_that_grows_is_not_outvoted_by_the_leak_of_its_neighbour() -> None:
    regions = two_regions([(50, 0, 0), (50, 0, 0)], [[35, 35, 30], [0, 2000, 0]])
    assert owners(regions, {}).tolist() == [9, 4]


def test_a_track_does_not_continue_on_what_looks_like_something_else() -> None:
    regions = two_regions([(80, 0, 20), (70, 12, 54)], [[10, 90, 0], [10, 0, 90]])
    orange = np.array([72.0, 12.0, 54.0])
    assert owners(regions, {4: orange, 9: orange}).tolist() == [0, 9]


def test_what_hardly_looks_like_an_object_gets_an_id_only_when_seen_again() -> None:
    book = TrackBook(max_lost=5)
    clear, doubtful = book.open(0.0), book.open(0.0)
    book.judge(clear, objectness=4.0, held=0.8, stamp=0.0, average=0.5)
    book.judge(doubtful, objectness=1.0, held=0.8, stamp=0.0, average=0.5)
    assert (clear.id, doubtful.id) == (1, 0)
    doubtful.confirmed = True
    book.judge(doubtful, objectness=1.0, held=0.8, stamp=0.1, average=0.5)
    assert doubtful.id == 2


class CountingProposer(RegionProposer):
    looks = 0

    def grains(self, image: np.ndarray, view: DepthView | None = None) -> Grains:
        self.looks += 1
        return super().grains(image, view)


@pytest.mark.parametrize(("fps", "frames", "looks"), [(30, 31, 11), (10, 11, 6), (5, 6, 6)])
def test_looks_leave_time_to_the_frames_between_unless_frames_are_rare(fps: int, frames: int, looks: int) -> None:
    proposer = CountingProposer()
    scene = OpenScene(
        TrackBook(5), DisPropagator(0), proposer, ViewMemory(0, 50), every=0.1, min_area=0.01, judge_time=0.5
    )
    for i in range(frames):
        scene.step(blocks(0), i / fps)
    assert proposer.looks == looks


class ScriptedMemory:
    """Recalls what it is told to."""

    def __init__(self) -> None:
        self.recalled = self.kept = np.zeros((240, 320), np.int32)

    def recall(self, image: np.ndarray) -> np.ndarray:
        return self.recalled

    def remember(self, labels: np.ndarray) -> None:
        self.kept = labels.copy()

    def rename(self, old: int, new: int) -> None: ...

    def forget(self) -> None: ...


def test_a_track_that_was_refused_when_only_its_edge_was_in_view_is_taken_back_later() -> None:
    wall = np.full((240, 320, 3), 150, np.uint8)
    box = wall.copy()
    box[80:160, 130:190] = (30, 40, 200)
    memory = ScriptedMemory()
    scene = OpenScene(
        TrackBook(5), DisPropagator(0), RegionProposer(), memory, every=0.1, min_area=0.01, judge_time=0.5
    )
    first = scene.step(box, 0.0)[120, 160]
    whole = np.where((box != wall).any(axis=2), memory.kept, 0)
    scene.step(wall, 0.5)
    memory.recalled = np.where(np.arange(320) < 134, whole, 0)
    scene.step(box, 1.0)
    memory.recalled = whole
    assert scene.step(box, 1.5)[120, 160] == first != 0


class BarsProposer(RegionProposer):
    """Sees an L before a wall: as two bars, and as one thing from a time on."""

    whole = False

    def propose(self, grains: Grains, prior: np.ndarray) -> Regions:
        labels = np.zeros(prior.shape, np.int32)
        labels[60:180, 60:70] = 1
        labels[170:180, 70:180] = 1 if self.whole else 2
        area = np.bincount(labels.ravel()).astype(float)
        ids, index = np.unique(np.append(0, prior), return_inverse=True)
        claims = votes(labels, index[1:].reshape(prior.shape).astype(np.int32), len(ids))
        colours, looks = np.array([(80, 0, 0), (40, 30, 10), (40, 30, 10)], float), np.array([-4.0, 4, 4])
        n = len(area)
        return Regions(labels, area, colours[:n], looks[:n], ids, claims, np.zeros(n, np.int64), np.zeros((n, n), bool))


def test_two_tracks_that_one_region_keeps_holding_become_one_whatever_its_outline() -> None:
    proposer, seen = BarsProposer(), []
    scene = OpenScene(
        TrackBook(5), DisPropagator(0), proposer, ScriptedMemory(), every=0.1, min_area=0.01, judge_time=0.5
    )
    for look in range(9):
        proposer.whole = look > 2
        labels = scene.step(np.full((240, 320, 3), 150, np.uint8), look * 0.2)
        seen.append((int(labels[120, 65]), int(labels[175, 150])))
    assert seen[2] == seen[4] == (1, 2)  # a single look may be mistaken
    assert seen[-1] == (1, 1)
