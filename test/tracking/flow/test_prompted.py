from __future__ import annotations

from collections.abc import Callable, Iterator

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.room import wide_scene

from cc_ros.frame import Frame
from cc_ros.tracking.base import Tracked, TrackStatus
from cc_ros.tracking.flow.appearance import ColourModels, region_histograms
from cc_ros.tracking.flow.memory.shapes import Patch, ShapeMemory
from cc_ros.tracking.flow.settings import FlowSettings
from cc_ros.tracking.flow.superpixels import Superpixels
from cc_ros.tracking.flow.tracker import FlowTracker

SIZE = (240, 320)
GROUND = cv2.GaussianBlur(np.random.default_rng(1).integers(60, 200, (*SIZE, 3), np.uint8), (0, 0), 3)
RED, BLUE, BROWN = (30, 40, 220), (200, 60, 20), (90, 20, 20)


def ellipse(image: np.ndarray, ids: np.ndarray, x: float, colour: tuple[int, int, int], number: int) -> None:
    for canvas, value in ((image, colour), (ids, number)):
        cv2.ellipse(canvas, (round(x), 120), (34, 22), 0, 0, 360, value, -1)


def passing(x: float) -> tuple[np.ndarray, np.ndarray]:
    """A red ellipse at column x before the ground, behind a pole."""
    image, ids = GROUND.copy(), np.zeros(SIZE, np.uint16)
    ellipse(image, ids, x, RED, 7)
    image[:, 150:158], ids[:, 150:158] = BROWN, 0
    return image, ids


def meeting(colour: tuple[int, int, int]) -> Callable[[float], tuple[np.ndarray, np.ndarray]]:
    """One ellipse stands still, and one of some colour passes before it."""

    def scene(x: float) -> tuple[np.ndarray, np.ndarray]:
        image, ids = GROUND.copy(), np.zeros(SIZE, np.uint16)
        ellipse(image, ids, 160, RED, 3)
        ellipse(image, ids, x, colour, 9)
        return image, ids

    return scene


def iou(found: np.ndarray, truth: np.ndarray) -> float:
    return float((found & truth).sum() / max((found | truth).sum(), 1))


def run(
    scene: Callable[[float], tuple[np.ndarray, np.ndarray]], columns: np.ndarray, rate: float
) -> Iterator[tuple[Tracked, np.ndarray]]:
    """Track what the first frame shows; yield each answer with the truth."""
    tracker = FlowTracker()
    for i, x in enumerate(columns.tolist()):
        image, ids = scene(x)
        if not i:
            tracker.seed(ids)
        yield tracker.step(Frame(image, i / rate)), ids


@pytest.mark.parametrize("rate", [5, 24, 60])
def test_a_mask_follows_its_object_behind_a_pole_at_any_rate(rate: int) -> None:
    columns = np.linspace(70, 240, int(1.8 * rate))
    *_, (tracked, ids) = run(passing, columns, rate)
    assert iou(tracked.labels == 7, ids == 7) > 0.8


@pytest.mark.parametrize("colour", [BLUE, (40, 60, 190)])
def test_of_two_objects_that_meet_each_keeps_its_own_pixels(colour: tuple[int, int, int]) -> None:
    *_, (tracked, ids) = run(meeting(colour), np.arange(60, 265, 5.0), 30)
    assert all(iou(tracked.labels == i, ids == i) > 0.8 for i in (3, 9))


def test_a_given_object_that_returns_gets_its_id_back_and_its_double_does_not() -> None:
    wall = wide_scene()
    truth = np.zeros(wall.shape[:2], np.uint16)
    truth[110:180, 120:200] = 5

    def view(x: float) -> tuple[np.ndarray, np.ndarray]:
        part = np.s_[:, int(x) : int(x) + 320]
        return np.ascontiguousarray(wall[part]), truth[part]

    there = np.arange(0, 1000, 12.0)
    seen, away = [], 0
    for tracked, ids in run(view, np.concatenate([there, there[::-1]]), 30):
        track = tracked.tracks[0]
        seen.append(track.status)
        away = 0 if (ids == 5).any() else away + 1
        if away > 3:  # until then the masks were only carried
            assert track.status is TrackStatus.LOST and not tracked.labels.any()
    assert seen.count(TrackStatus.RECOVERED) == 1 and seen[-1] is TrackStatus.VISIBLE
    assert iou(tracked.labels == 5, ids == 5) > 0.9


def test_of_an_object_that_left_in_part_all_comes_back() -> None:
    wall = wide_scene()
    wall[110:180, 200:280] = (40, 200, 40)
    truth = np.zeros(wall.shape[:2], np.uint16)
    truth[110:180, 120:280] = 5  # half red, half green

    def view(x: float) -> tuple[np.ndarray, np.ndarray]:
        part = np.s_[:, int(x) : int(x) + 320]
        return np.ascontiguousarray(wall[part]), truth[part]

    there = np.arange(0, 240, 12.0)
    for tracked, ids in run(view, np.concatenate([there, np.full(60, 240.0), there[::-1]]), 30):
        assert iou(tracked.labels == 5, ids == 5) > 0.4
    assert iou(tracked.labels == 5, ids == 5) > 0.9


def test_what_is_covered_for_good_is_lost_and_nothing_else_is_taken_for_it() -> None:
    def scene(x: float) -> tuple[np.ndarray, np.ndarray]:
        image, ids = GROUND.copy(), np.zeros(SIZE, np.uint16)
        ellipse(image, ids, 160, RED, 4)
        edge = max(round(x), 0)
        image[60:180, :edge], ids[60:180, :edge] = (120, 120, 120), 0
        return image, ids

    columns = np.concatenate([np.arange(0, 240, 6.0), np.full(60, 240.0)])
    *_, (tracked, ids) = run(scene, columns, 30)
    assert tracked.tracks[0].status is TrackStatus.LOST and not ids.any()


@pytest.mark.parametrize("stamps", [[0.0] * 6, [0.0, 0.1, 0.2, 0.1, 0.0, 0.1], [5.0, 4.0, 3.0, 2.0, 1.0, 0.0]])
def test_stamps_that_do_not_grow_break_nothing(stamps: list[float]) -> None:
    tracker = FlowTracker()
    tracker.seed(passing(70)[1])
    for i, stamp in enumerate(stamps):
        image, ids = passing(70 + 3 * i)
        tracked = tracker.step(Frame(image, stamp))
    assert iou(tracked.labels == 7, ids == 7) > 0.75


def test_what_is_too_small_for_the_working_size_is_lost_at_once_and_nothing_breaks() -> None:
    tracker = FlowTracker(FlowSettings(mask_width=80))
    ids = passing(70)[1]
    ids[0, 3] = 2
    tracker.seed(ids)
    for i in range(4):
        tracked = tracker.step(Frame(passing(70 + 3 * i)[0], i / 10))
    assert {t.id: t.area > 0 for t in tracked.tracks} == {7: True, 2: False}


@pytest.mark.parametrize("shape", [(1, 1), (3, 400), (400, 3)])
def test_images_of_any_shape_can_be_followed(shape: tuple[int, int]) -> None:
    tracker = FlowTracker()
    tracker.seed(np.full(shape, 3, np.uint16))
    for i in range(4):
        assert tracker.step(Frame(np.full((*shape, 3), 40 + i, np.uint8), i / 10)).labels.shape == shape


def test_nothing_given_is_nothing_followed() -> None:
    tracker = FlowTracker()
    tracker.seed(np.zeros(SIZE, np.uint16))
    for i in range(4):
        tracked = tracker.step(Frame(GROUND, i / 10))
    assert not tracked.labels.any() and not tracked.tracks


def test_a_memory_fades_by_the_second_and_not_by_the_frame() -> None:
    labels = np.zeros((20, 30), np.int32)
    labels[5:15, 10:20] = 1
    left = []
    for frames in (1, 5, 60):
        memory = ShapeMemory(1)
        memory.remember(labels, np.array([[0], [1]], np.float32))
        for _ in range(frames):
            memory.move([None], np.zeros(1, bool), 1 / frames, labels.shape)
        left.append(float(memory.patches[0].values.max()))
    assert np.allclose(left, left[0], rtol=1e-4) and 0 < left[0] < 1


def test_the_box_of_a_patch_holds_all_that_is_not_faint() -> None:
    values = np.zeros((5, 6), np.float32)
    values[1, 2], values[3, 4] = 0.3, 0.6
    patch = Patch(10, 20, values)
    assert patch.box(0.2) == np.s_[21:24, 12:15] and patch.box(0.5) == np.s_[23:24, 14:15]
    assert patch.box(0.7) is None


@given(st.integers(-5, 25), st.integers(-5, 25), st.integers(0, 9), st.integers(0, 9))
def test_a_box_of_a_patch_is_what_is_there_and_0_elsewhere(x: int, y: int, top: int, left: int) -> None:
    values = np.arange(1, 13, dtype=np.float32).reshape(3, 4)
    whole = np.zeros((60, 60), np.float32)
    whole[20 + y : 23 + y, 20 + x : 24 + x] = values
    box = np.s_[top : top + 8, left : left + 7]
    assert np.array_equal(Patch(x, y, values).within(box), whole[20:, 20:][box])


def test_grains_never_cross_a_given_outline() -> None:
    image = np.full((60, 80, 3), 128, np.uint8)
    index = np.zeros((60, 80), np.int32)
    index[20:40, 20:50] = 1
    labels = Superpixels.of(image, index=index).labels
    assert not set(labels[index > 0].tolist()) & set(labels[index == 0].tolist())


def test_colours_tell_an_object_from_its_surroundings_and_follow_it_slowly() -> None:
    image = np.full((40, 60, 3), 90, np.uint8)
    image[:, 20:40] = RED
    labels = np.zeros((40, 60), np.int32)
    labels[:, 20:40] = 1
    histograms = region_histograms(image, labels, 2)
    assert histograms.sum() == labels.size
    inside = np.array([[0], [1]], np.float32)
    models = ColourModels(histograms, inside, 1 - inside)
    assert models.odds(histograms)[1, 0] > 3 and models.odds(histograms)[0, 0] < -3
    image[:, 20:40] = BLUE
    changed = region_histograms(image, labels, 2)
    before = models.odds(changed)[1, 0]
    for _ in range(10):
        models.learn(changed, inside, 1 - inside, np.array([0.3]))
    assert models.odds(changed)[1, 0] > max(before, 1)


def roaming(others: tuple[int, ...]) -> Callable[[float], tuple[np.ndarray, np.ndarray]]:
    """A red ellipse leaves to the left; after 2.5 seconds one comes in at the top.

    :param others: equal ones that leave to the right: the ids that they are given, 0 = nobody follows it.
    """

    def scene(time: float) -> tuple[np.ndarray, np.ndarray]:
        image, ids = GROUND.copy(), np.zeros(SIZE, np.uint16)
        for number, centre in [
            (6, (160 - 150 * time, 120)),
            *((other, (200 + 150 * time, 200)) for other in others),
            (6, (230, 150 * (time - 3))),
        ]:
            for canvas, value in ((image, RED), (ids, number)):
                cv2.ellipse(canvas, (round(centre[0]), round(centre[1])), (34, 22), 0, 0, 360, value, -1)
        return image, ids

    return scene


def test_a_moving_object_that_comes_back_elsewhere_gets_its_id_back() -> None:
    answers = list(run(roaming(()), np.arange(0, 3.8, 1 / 15), 15))
    seen = [tracked.tracks[0].status for tracked, _ in answers]
    assert TrackStatus.LOST in seen and seen.count(TrackStatus.RECOVERED) == 1
    tracked, ids = answers[-1]
    assert iou(tracked.labels == 6, ids == 6) > 0.8


@pytest.mark.parametrize("other", [0, 8])
def test_where_nothing_can_tell_which_of_two_equal_objects_is_back_both_stay_lost(other: int) -> None:
    *_, (tracked, _) = run(roaming((other,)), np.arange(0, 3.8, 1 / 15), 15)
    assert all(track.status is TrackStatus.LOST for track in tracked.tracks) and not tracked.labels.any()
