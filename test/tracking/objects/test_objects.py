"""From what the network sees in single images to objects with lasting ids."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.seen_objects import SHAPE, ScriptedNetwork, block, nothing, seen

from cc_ros.frame import Frame
from cc_ros.tracking.flow.automatic import AutomaticTracking
from cc_ros.tracking.flow.matching import match, paint, supported
from cc_ros.tracking.flow.settings import FlowSettings
from cc_ros.tracking.flow.track_table import TrackTable
from cc_ros.tracking.flow.tracker import FlowTracker
from cc_ros.tracking.objects.descriptors import descriptors
from cc_ros.tracking.objects.instances import candidates, chosen
from cc_ros.tracking.objects.network import NetworkOutput, ObjectNetwork, input_size

IMAGE = np.full((240, 320, 3), 120, np.uint8)
CUP, OTHER, SMALL = block(10, 10, 20, 20), block(10, 50, 20, 20), block(14, 14, 5, 5)


def large(mask: np.ndarray, value: int = 1) -> np.ndarray:
    """Return a mask of the network's as a map of the image (240x320 int32)."""
    return cv2.resize(mask.astype(np.int32) * value, (320, 240), interpolation=cv2.INTER_NEAREST)


def iou(one: np.ndarray, other: np.ndarray) -> float:
    return float((one & other).sum() / max((one | other).sum(), 1))


def test_masks_are_those_that_cells_predict() -> None:
    said = seen([CUP, OTHER], [0.9, 0.6])
    odds, scores = said.candidates()
    assert iou(odds[0] > 0, CUP) == iou(odds[1] > 0, OTHER) == 1
    assert 0.85 < scores[0] <= 0.9 and 0.55 < scores[1] <= 0.6


def test_a_second_look_confirms_what_both_show_and_doubts_what_only_one_does() -> None:
    wider = np.roll(CUP, 4, axis=1)
    said = replace(seen([CUP, SMALL], [0.8, 0.6]), second=seen([wider, OTHER], [0.6, 0.8]))
    odds, scores = said.candidates()
    single, alone = candidates(said.pixels, said.cells)
    assert scores[0] == pytest.approx(scores[3]) and alone[1] == pytest.approx(2 * scores[1])
    assert 0.6 < scores[0] < 0.8 and scores[2] < 0.41
    assert ((odds[0] > 0) == (odds[3] > 0)).all(), "one mask, between both"
    assert ((odds[1] > 0) == (single[1] > 0)).all()
    # nothing in one of them, and nothing in either
    assert [len(part) for part in replace(nothing(), second=seen([CUP], [0.8])).candidates()] == [1, 1]
    assert [len(part) for part in replace(nothing(), second=nothing()).candidates()] == [0, 0]


def test_the_masks_of_a_second_look_may_be_of_another_size() -> None:
    network, image = ObjectNetwork(), np.random.default_rng(1).integers(0, 255, (240, 320, 3), np.uint8)
    said = network.twice(image)
    assert said.second is not None and said.second.pixels.shape[1:] == (64, 80)
    odds, scores = said.candidates()
    assert odds.shape[1:] == said.pixels.shape[1:] == (72, 96) and len(odds) == len(scores)


def test_only_the_first_frame_is_looked_at_twice() -> None:
    looks: list[int] = []

    class Looks(ScriptedNetwork):
        def twice(self, image: np.ndarray) -> NetworkOutput:
            looks.append(self.passes)
            return self(image)

    tracking = AutomaticTracking(TrackTable(50), Looks(nothing()), FlowSettings(propose_every=0.1))  # type: ignore[arg-type]
    for n in range(3):
        tracking.step(IMAGE, n * 0.2)
    assert looks == [0]


@settings(max_examples=40)
@given(st.integers(0, 10_000))
def test_chosen_objects_are_sure_enough_and_mostly_their_own_mask(seed: int) -> None:
    rng = np.random.default_rng(seed)
    odds = np.full((12, 20, 30), -2, np.float32)
    for one in odds:
        y, x, h, w = rng.integers(0, 18), rng.integers(0, 28), rng.integers(1, 15), rng.integers(1, 20)
        one[y : y + h, x : x + w] = 2
    scores = rng.uniform(0, 1, 12).astype(np.float32)
    found = chosen(odds, scores, above=0.4)
    assert (found.scores >= 0.4).all() and (np.diff(found.scores) <= 0).all()
    for number, score in enumerate(found.scores, 1):
        mask = odds[int(np.flatnonzero(scores == score)[0])] > 0
        mine = found.labels == number
        assert (mine & ~mask).sum() == 0 and mine.sum() >= 0.5 * mask.sum()


def test_a_part_of_a_better_object_is_none_and_a_thing_on_it_is_one_if_it_is_better() -> None:
    whole_better = seen([CUP, SMALL], [0.9, 0.5])
    part_better = seen([CUP, SMALL], [0.5, 0.9])
    assert len(chosen(*whole_better.candidates(), 0.3).scores) == 1
    assert len(chosen(*part_better.candidates(), 0.3).scores) == 2


def test_what_continues_a_track_keeps_its_key_and_needs_less_to_be_believed() -> None:
    said = seen([CUP, OTHER], [0.15, 0.15])
    (found,) = match(said, large(CUP, 7), {7: 0.8}, 0.001)
    assert (found.key, found.detected) == (7, True) and found.held > 0.9


def test_what_covers_a_named_object_and_a_young_one_is_the_named_one_unless_that_is_a_small_part_of_it() -> None:
    said, left, rest = seen([CUP], [0.9]), block(10, 10, 20, 8), block(10, 18, 20, 12)
    prior = large(left, 7) + large(rest, 8)
    assert match(said, prior, {7: 0.8, 8: 0.8}, 0.001)[0].key == 8
    assert match(said, prior, {7: 0.8, 8: 0.8}, 0.001, named={7})[0].key == 7
    assert match(said, prior, {7: 0.8, 8: 0.8}, 0.001, named={7, 8})[0].key == 8
    on_it = np.where(large(SMALL) > 0, 7, large(CUP, 8))
    assert match(said, on_it, {7: 0.1, 8: 0.8}, 0.001, named={7})[0].key == 8


def test_what_is_not_seen_is_carried_while_its_score_lasts() -> None:
    thing = seen([CUP], [0.9])
    unseen = NetworkOutput(thing.pixels, np.full_like(thing.cells, -30), thing.features)
    (found,) = match(unseen, large(CUP, 7), {7: 0.5}, 0.001)
    assert (found.key, found.detected) == (7, False)
    assert iou(paint([found], large(CUP, 7)) == 7, large(CUP) > 0) == 1
    assert match(unseen, large(CUP, 7), {7: 0.1}, 0.001) == []
    assert match(nothing(), large(CUP, 7), {7: 0.5}, 0.001) == []  # and while something is there


def test_a_track_of_which_more_comes_into_view_grows() -> None:
    edge = CUP & (np.arange(SHAPE[1]) < 15)
    (found,) = match(seen([CUP], [0.6]), large(edge, 7), {7: 0.5}, 0.001)
    assert found.key == 7 and iou(paint([found], large(edge, 7)) == 7, large(CUP) > 0) > 0.9


def test_a_given_object_is_held_against_what_is_seen_as_just_it() -> None:
    said = seen([CUP, OTHER], [0.9, 0.9])
    found = supported(said, large(CUP) + 2 * large(SMALL & False), 2)
    assert list(found) == [0] and iou(found[0] > 0, CUP) == 1


def scene(network: ScriptedNetwork) -> AutomaticTracking:
    chosen = FlowSettings(preset=0, views=0, propose_every=0.1, min_area=0.001, judge_time=0.5)
    return AutomaticTracking(TrackTable(50), network, chosen)  # type: ignore[arg-type]


def ids(of: AutomaticTracking, stamp: float) -> set[int]:
    return set(np.unique(of.step(IMAGE, stamp)).tolist()) - {0}


@pytest.mark.parametrize(("fps", "frames", "passes"), [(30, 31, 11), (15, 16, 8), (10, 11, 11), (5, 6, 6)])
def test_passes_are_as_frequent_as_set_and_no_more_than_there_are_frames(fps: int, frames: int, passes: int) -> None:
    network = ScriptedNetwork(nothing())
    of = scene(network)
    for i in range(frames):
        of.step(IMAGE, i / fps)
    assert network.passes == passes


def test_the_first_frame_gives_ids_at_once_and_what_comes_later_must_be_seen_for_a_while() -> None:
    of = scene(ScriptedNetwork(seen([CUP], [0.45]), seen([CUP, OTHER], [0.45, 0.45])))
    assert [ids(of, 0.2 * i) for i in range(4)] == [{1}, {1}, {1, 2}, {1, 2}]


def test_what_comes_and_goes_gets_no_id() -> None:
    of = scene(ScriptedNetwork(seen([CUP], [0.8]), seen([CUP, OTHER], [0.8, 0.4]), seen([CUP], [0.8])))
    assert [ids(of, 0.5 * i) for i in range(6)][-1] == {1}


def test_a_lost_object_is_known_again_by_its_descriptor_and_only_where_no_other_is_like_it() -> None:
    elsewhere = block(38, 40, 18, 18)
    for looks, expected in (((3, 5), {1, 2}), ((3, 3), {2, 3})):
        both = seen([CUP, OTHER], [0.8, 0.8], looks)
        back = seen([elsewhere, OTHER], [0.8, 0.8], looks)
        of = scene(ScriptedNetwork(both, *[seen([OTHER], [0.8], looks[1:])] * 30, back))
        for i in range(31):
            ids(of, 0.2 * i)
        assert [ids(of, 6.2 + 0.2 * i) for i in range(4)][-1] == expected


def test_descriptors_are_unit_vectors_of_what_is_inside() -> None:
    said = seen([CUP, OTHER], [0.9, 0.9], [4, 9])
    found = descriptors(said.features, np.stack([CUP, OTHER]))
    assert found.argmax(axis=1).tolist() == [4, 9] and np.allclose(np.linalg.norm(found, axis=1), 1)


@pytest.mark.parametrize("size", [(640, 480), (1280, 720), (480, 640), (64, 48), (1000, 10), (1, 1)])
def test_images_of_any_shape_can_be_seen(size: tuple[int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 255, (size[1], size[0], 3), np.uint8)
    said = ObjectNetwork()(image)
    width, height = input_size(*size)
    assert said.pixels.shape[1:] == (height // 4, width // 4) and said.cells.shape[1:] == (height // 8, width // 8)
    assert said.features.shape == (96, height // 16, width // 16)
    assert all(np.isfinite(part).all() for part in (said.pixels, said.cells, said.features))


def test_opencv_and_onnx_runtime_see_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("onnxruntime")
    image = cv2.resize(np.random.default_rng(1).integers(0, 255, (6, 8, 3), np.uint8), (640, 480))
    one = ObjectNetwork()(image)
    monkeypatch.setattr("cc_ros.tracking.objects.network.find_spec", lambda name: None)
    other = ObjectNetwork()(image)
    for name in ("pixels", "cells", "features"):
        assert np.abs(getattr(one, name) - getattr(other, name)).max() < 1e-3


def test_the_network_that_comes_with_the_package_sees_a_box_and_not_the_wall() -> None:
    rng = np.random.default_rng(3)
    image = np.clip(rng.normal(170, 3, (480, 640, 3)), 0, 255).astype(np.uint8)
    image[180:340, 260:420] = np.clip(rng.normal((40, 50, 190), 4, (160, 160, 3)), 0, 255)
    labels = FlowTracker().step(Frame(image, 0.0)).labels
    box = np.zeros((480, 640), bool)
    box[180:340, 260:420] = True
    number = int(labels[260, 340])
    assert number and iou(labels == number, box) > 0.8
    assert (labels[:150] > 0).mean() < 0.2
