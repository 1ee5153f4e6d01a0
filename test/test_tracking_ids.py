"""Ids that last: pieces of one thing share an id, and what is two things does not."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from cc_ros.frame import Frame
from cc_ros.tracking.flow import FlowTracker
from cc_ros.tracking.occlusion import gapless, pieces
from cc_ros.tracking.proposals import Regions
from cc_ros.tracking.recovery import ViewMemory
from cc_ros.tracking.tracks import TrackBook

WALL, RUG, POLE = 0, 1, 3


def regions(labels: np.ndarray, colours: list[tuple[int, int, int]]) -> Regions:
    area = np.bincount(labels.ravel(), minlength=len(colours)).astype(float)
    part, divided = np.zeros(len(area), np.int64), np.zeros((len(area), len(area)), bool)
    return Regions(labels, area, np.array(colours, float), area * 0, np.array([0]), area[:, None], part, divided)


def scene(pole_top: int, second: tuple[int, int, int] = (50, 40, 20)) -> Regions:
    """A red thing, cut in two (1, 2) by a pole (3) that begins at row ``pole_top``, before a wall (0)."""
    labels = np.full((100, 200), WALL, np.int32)
    labels[40:80, 20:90], labels[40:80, 110:180] = RUG, 2
    labels[pole_top:80, 90:110] = POLE
    return regions(labels, [(90, 0, 0), (50, 40, 20), second, (30, 0, 0)])


BACKGROUND = np.array([True, False, False, False])


def test_what_a_nearer_thing_cuts_apart_is_one() -> None:
    assert pieces(scene(pole_top=20), BACKGROUND, np.array([1, 2])) == [(1, 2)]


def test_things_with_the_wall_seen_between_them_are_two() -> None:
    assert pieces(scene(pole_top=70), BACKGROUND, np.array([1, 2])) == []


def test_pieces_of_another_colour_are_another_thing() -> None:
    assert pieces(scene(pole_top=20, second=(50, -40, 20)), BACKGROUND, np.array([1, 2])) == []


def test_a_plain_thing_is_no_piece_of_a_patterned_one() -> None:
    assert pieces(scene(pole_top=20), BACKGROUND, np.array([1, 2]), np.array([0, 5, 45, 0])) == []


def test_small_things_far_apart_are_not_pieces_of_one_whatever_lies_between() -> None:
    labels = np.full((100, 200), POLE, np.int32)
    labels[40:60, 0:20], labels[40:60, 180:200] = 1, 2
    apart = regions(labels, [(90, 0, 0), (50, 40, 20), (50, 40, 20), (30, 0, 0)])
    assert pieces(apart, BACKGROUND, np.array([1, 2])) == []


def test_a_sliver_is_no_piece_of_what_lies_beyond_something_much_larger_than_itself() -> None:
    labels = np.full((100, 200), POLE, np.int32)
    labels[0:100, 60:200], labels[48:53, 0:20] = 1, 2
    apart = regions(labels, [(90, 0, 0), (50, 40, 20), (50, 40, 20), (30, 0, 0)])
    assert pieces(apart, BACKGROUND, np.array([1, 2])) == []
    labels[20:80, 0:30] = 2
    nearer = regions(labels, [(90, 0, 0), (50, 40, 20), (50, 40, 20), (30, 0, 0)])
    assert pieces(nearer, BACKGROUND, np.array([1, 2])) == [(1, 2)]


def test_what_a_border_divides_is_two_things_though_of_one_colour() -> None:
    labels = np.full((100, 200), WALL, np.int32)
    labels[40:80, 20:100], labels[40:80, 100:180] = 1, 2
    found = regions(labels, [(90, 0, 0), (50, 40, 20), (50, 40, 20)])
    assert pieces(found, np.array([True, False, False]), np.array([1, 2])) == [(1, 2)]
    found.divided[1, 2] = found.divided[2, 1] = True
    assert pieces(found, np.array([True, False, False]), np.array([1, 2])) == []


def test_a_region_with_the_wall_in_its_notch_may_be_two_things() -> None:
    labels = np.full((100, 200), WALL, np.int32)
    labels[60:100, 20:180] = 1
    assert gapless(regions(labels, [(90, 0, 0), (50, 0, 0)]), np.array([True, False]), 1)
    labels[20:60, 20:70] = labels[20:60, 130:180] = 1
    assert not gapless(regions(labels, [(90, 0, 0), (50, 0, 0)]), np.array([True, False]), 1)


def test_two_tracks_of_one_thing_become_the_one_whose_id_is_older() -> None:
    book = TrackBook(max_lost=5)
    late, early = book.open(0.0), book.open(0.0)
    book.judge(early, objectness=3.0, held=1.0, stamp=0.0, average=0.5)
    book.judge(late, objectness=3.0, held=1.0, stamp=0.0, average=0.5)
    assert book.unite(late.key, early.key) == (early.key, late.key)
    assert list(book.tracks) == [early.key]
    unseen = book.open(1.0)
    assert book.unite(unseen.key, early.key) == (early.key, unseen.key)  # an id outlives none


def test_views_know_a_united_track_by_its_new_name() -> None:
    texture = cv2.resize(np.random.default_rng(5).integers(0, 255, (30, 40), np.uint8), (320, 240))
    memory = ViewMemory(capacity=4, features=400)
    memory.recall(texture)
    memory.remember(np.full((240, 320), 7, np.int32))
    memory.rename(7, 3)
    assert (memory.recall(texture) == 3).mean() > 0.9


def room(x: int) -> np.ndarray:
    """A rug on a floor, and a pole before it that is as high as the picture."""
    grain = np.random.default_rng(0).integers(-4, 5, (240, 900, 1))
    image = np.full((240, 900, 3), (200, 205, 210))
    image[150:] = (110, 150, 180)
    image[170:225, 330:620] = (40, 40, 190)
    image[60:240, 460:480] = (90, 30, 20)
    return np.clip(image + grain, 0, 255).astype(np.uint8)[:, x : x + 320]


@pytest.mark.parametrize("fps", [10, 30, 60])
def test_a_rug_behind_a_pole_is_one_object_from_entering_to_leaving(fps: int) -> None:
    tracker, ids = FlowTracker(), []
    for i in range(round(2 * fps)):
        x = round(60 + 500 * i / (2 * fps))
        labels = tracker.step(Frame(room(x), i / fps)).labels
        ids += [int(labels[200, column - x]) for column in (400, 540) if 20 < column - x < 300]
    assert len(set(ids)) == 1 and ids[0] > 0


def test_what_is_gone_for_long_is_not_judged_anew_by_one_look() -> None:
    book = TrackBook(max_lost=5)
    track, other = book.open(0.0), book.open(0.0)
    for stamp in (0.0, 0.1, 9.9, 10.0):
        if stamp in (0.0, 0.1, 10.0):
            book.judge(track, objectness=4.0 if stamp < 1 else -4.0, held=1.0, stamp=stamp, average=0.5)
        book.judge(other, objectness=4.0, held=1.0, stamp=stamp, average=0.5)
    assert track.objectness > 2.0  # one look of a tenth of a second, not one of ten seconds


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
