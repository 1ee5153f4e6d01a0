"""Ids that last."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from support.seen_objects import ScriptedNetwork, block, nothing, seen

from cc_ros.frame import Frame
from cc_ros.tracking.flow.automatic import AutomaticTracking
from cc_ros.tracking.flow.memory.views import ViewMemory
from cc_ros.tracking.flow.track_table import TrackTable
from cc_ros.tracking.flow.tracker import FlowTracker


def test_two_tracks_of_one_thing_become_the_one_whose_id_is_older() -> None:
    table = TrackTable(max_lost=5)
    late, early = table.open(0.0), table.open(0.0)
    table.judge(early, objectness=0.9, held=1.0, stamp=0.0, average=0.5, at_once=True)
    table.judge(late, objectness=0.9, held=1.0, stamp=0.0, average=0.5, at_once=True)
    assert table.unite(late.key, early.key) == (early.key, late.key)
    assert list(table.tracks) == [early.key]
    unseen = table.open(1.0)
    assert table.unite(unseen.key, early.key) == (early.key, unseen.key)  # an id outlives none


@pytest.mark.parametrize(("way", "known"), [(0.1, False), (1.5, True)])
def test_the_longer_the_way_the_farther_a_lost_object_may_be_from_its_place(way: float, known: bool) -> None:
    table = TrackTable(max_lost=5)
    lost, new = table.open(0.0), table.open(9.0)
    table.judge(lost, objectness=0.9, held=1.0, stamp=0.0, average=0.5, at_once=True)
    for track, looks, x, path in ((lost, (1.0, 0.0), 0.3, 0.0), (new, (0.75, 0.66), 0.6, way)):
        track.descriptor, track.place, track.path = np.array(looks, np.float32), np.array((x, 0.5)), path
    assert (table.known_again(new, {lost.key}, lambda key: True) is lost) == known


def test_views_know_a_united_track_by_its_new_name() -> None:
    texture = cv2.resize(np.random.default_rng(5).integers(0, 255, (30, 40), np.uint8), (320, 240))
    memory = ViewMemory(capacity=4, features=400)
    memory.recall(texture)
    memory.remember(np.full((240, 320), 7, np.int32))
    memory.rename(7, 3)
    assert (memory.recall(texture) == 3).mean() > 0.9


def test_what_is_gone_for_long_is_not_judged_anew_by_one_look() -> None:
    table = TrackTable(max_lost=5)
    track, other = table.open(0.0), table.open(0.0)
    for stamp in (0.0, 0.1, 9.9, 10.0):
        if stamp in (0.0, 0.1, 10.0):
            table.judge(track, objectness=0.9 if stamp < 1 else 0.1, held=1.0, stamp=stamp, average=0.5)
        table.judge(other, objectness=0.9, held=1.0, stamp=stamp, average=0.5)
    assert track.objectness > 0.6  # one pass of a tenth of a second, not one of ten seconds


def test_views_place_what_comes_in_at_the_border_by_their_neighbours() -> None:
    wide = cv2.resize(np.random.default_rng(5).integers(0, 255, (30, 250), np.uint8), (2000, 240))
    memory = ViewMemory(capacity=8, features=400)
    for key, offset in ((1, 0), (2, 110), (3, 220)):
        memory.recall(np.ascontiguousarray(wide[:, offset : offset + 320]))
        memory.remember(np.full((240, 320), key, np.int32))
    known = memory.recall(np.ascontiguousarray(wide[:, 20:340]))
    assert (known > 0).mean() > 0.98


def test_a_remembered_view_says_nothing_where_something_else_is_seen_now() -> None:
    texture = cv2.resize(np.random.default_rng(5).integers(0, 255, (30, 40, 3), np.uint8), (320, 240))
    memory = ViewMemory(capacity=4, features=400)
    memory.recall(texture)
    memory.remember(np.full((240, 320), 7, np.int32))
    changed = np.clip(texture.astype(int) + 20, 0, 255).astype(np.uint8)  # brighter light is no change
    changed[80:160, 100:200] = (0, 0, 255)
    known = memory.recall(changed)
    assert (known[90:150, 110:190] == 7).mean() < 0.2
    assert (known[:70] == 7).mean() > 0.9


def room(x: int) -> np.ndarray:
    """A rug on a floor, and a pole before it that is as high as the picture."""
    grain = np.random.default_rng(0).integers(-4, 5, (240, 900, 1))
    image = np.full((240, 900, 3), (200, 205, 210))
    image[150:] = (110, 150, 180)
    image[170:225, 330:620] = (40, 40, 190)
    image[60:240, 460:480] = (90, 30, 20)
    return np.clip(image + grain, 0, 255).astype(np.uint8)[:, x : x + 320]


@pytest.mark.parametrize("stamps", [[0.0] * 6, [5.0, 4.0, 3.0, 2.0, 1.0, 0.0], [0.0, 100.0, 100.0, 3.0, 3.1, 3.2]])
def test_stamps_that_stand_still_or_run_back_break_nothing(stamps: list[float]) -> None:
    tracker = FlowTracker()
    for i, stamp in enumerate(stamps):
        tracked = tracker.step(Frame(room(100 + 4 * i), stamp))
        assert all(0 <= track.confidence <= 1 for track in tracked.tracks)
    assert tracked.labels.any()


def test_a_view_outlives_the_buffer_that_its_image_came_in() -> None:
    rng = np.random.default_rng(8)
    image = cv2.resize(rng.integers(0, 255, (48, 64, 3), np.uint8), (320, 240), interpolation=cv2.INTER_NEAREST)
    labels = np.full((240, 320), 5, np.int32)
    memory, buffer = ViewMemory(capacity=4, features=400), image.copy()
    memory.recall(buffer)
    memory.remember(labels)
    buffer[:], labels[:] = 0, 9
    assert (memory.recall(image)[20:220, 20:300] == 5).mean() > 0.9


def ids_at(tracking: AutomaticTracking, *passes: int, period: float = 0.1) -> list[set[int]]:
    """Return the ids of each frame of a plain wall, on which no flow can be measured."""
    wall = np.full((240, 320, 3), 128, np.uint8)
    return [set(np.unique(tracking.step(wall, period * i)).tolist()) - {0} for i in passes]


def test_objects_keep_their_ids_where_the_camera_turns_too_fast_for_flow() -> None:
    before = seen([block(20, 8, 12, 12), block(20, 30, 12, 12)], [0.9, 0.9], (1, 2))
    after = seen([block(20, 32, 12, 12), block(20, 54, 12, 12)], [0.9, 0.9], (1, 2))  # one stands where the other was
    table = TrackTable(max_lost=5)
    tracking = AutomaticTracking(table, ScriptedNetwork(before, before, after))

    def leftmost() -> int:
        return min((track for track in table.tracks.values() if track.id), key=lambda track: track.place[0]).id

    assert ids_at(tracking, 0, 1) == [{1, 2}] * 2
    left = leftmost()
    assert ids_at(tracking, 2) == [{1, 2}] and leftmost() == left


@pytest.mark.parametrize(("speed", "way"), [(0.0, 0.0), (4.0, 60 * 3 / 320)])
def test_a_camera_that_only_shakes_does_not_seem_to_move_on_and_on(speed: float, way: float) -> None:
    rng, table = np.random.default_rng(0), TrackTable(max_lost=5)
    wall = cv2.GaussianBlur(rng.integers(0, 255, (240, 640, 3), np.uint8), (0, 0), 2)
    tracking = AutomaticTracking(table, ScriptedNetwork(seen([block(20, 20, 14, 14)], [0.9])))
    for i in range(61):
        shift = np.float32([[1, 0, -speed * i + rng.uniform(-0.4, 0.4)], [0, 1, 0]])
        tracking.step(cv2.warpAffine(wall, shift, (320, 240)), 0.1 * i)
    assert max(track.path for track in table.tracks.values()) == pytest.approx(way, rel=0.2)


@pytest.mark.parametrize(("quality", "whole_is"), [(0.3, 1), (0.9, 2)])
def test_an_object_that_jumps_keeps_its_id_and_what_seems_to_be_left_of_it_does_not(quality, whole_is) -> None:
    before = seen([block(28, 30, 28, 14)], [0.95], (1,))
    after = seen([block(2, 30, 28, 14), block(36, 30, 20, 14)], [0.95, quality], (1, 1))
    tracking = AutomaticTracking(TrackTable(max_lost=5), ScriptedNetwork(before, before, after))
    wall = np.full((240, 320, 3), 128, np.uint8)
    for i in range(3):
        ids = tracking.step(wall, 0.1 * i)
    assert ids[60, 148] == whole_is
    assert ids[200, 148] != whole_is


def test_what_looks_otherwise_is_another_object() -> None:
    before, after = seen([block(20, 2, 12, 12)], [0.9], (1,)), seen([block(20, 10, 12, 12)], [0.9], (2,))
    tracking = AutomaticTracking(TrackTable(max_lost=5), ScriptedNetwork(before, before, after))
    assert 2 in ids_at(tracking, *range(8))[-1]


def test_an_unsure_object_gets_its_id_later_than_a_sure_one() -> None:
    def first(quality: float) -> int:
        objects = seen([block(20, 20, 14, 14)], [quality])
        tracking = AutomaticTracking(TrackTable(max_lost=5), ScriptedNetwork(nothing(), objects))
        return next(i for i, ids in enumerate(ids_at(tracking, *range(20))) if ids)

    assert first(0.9) == 1  # at once
    assert first(0.3) >= 3
