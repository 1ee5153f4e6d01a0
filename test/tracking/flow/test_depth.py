from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support.room import HEIGHT, INTRINSICS, WIDTH, Box, draw, looking

from cc_ros.frame import Frame
from cc_ros.tracking.flow.depth import DepthView, depth_view
from cc_ros.tracking.flow.memory.places import PlaceMemory
from cc_ros.tracking.flow.settings import FlowSettings
from cc_ros.tracking.flow.tracker import FlowTracker

RED, WHITE, GREEN = (40, 50, 200), (225, 225, 225), (60, 150, 60)
FRONT, BACK = Box((0.6, -0.5, 0), (1.0, 0.1, 0.8), RED), Box((1.6, -0.1, 0), (2.0, 0.6, 0.9), RED)
TOP, LEG = Box((1.0, 1.0, 0.7), (1.8, 1.8, 0.75), WHITE), Box((1.3, 1.3, 0), (1.5, 1.5, 0.7), WHITE)
HOME = looking((-2.5, 0, 1.4), 0.1)


def view_of(frame: Frame) -> DepthView:
    view = depth_view(frame, (WIDTH, HEIGHT))
    assert view is not None
    return view


def main(labels: np.ndarray, mask: np.ndarray) -> tuple[int, float]:
    """The label that most of a mask has, and its share."""
    count = np.bincount(labels[mask])
    return int(count.argmax()), count.max() / count.sum()


def run(frames: list[Frame], depth: bool = True) -> list[np.ndarray]:
    tracker = FlowTracker(FlowSettings(depth=depth))
    return [tracker.step(frame).labels for frame in frames]


def walk(boxes: list[Box], poses: list[np.ndarray]) -> tuple[list[Frame], list[np.ndarray]]:
    drawn = [draw(boxes, pose, i / 5) for i, pose in enumerate(poses)]
    return [frame for frame, _ in drawn], [which for _, which in drawn]


def test_two_of_one_colour_that_overlap_in_the_image_get_two_ids() -> None:
    frames, truth = walk([FRONT, BACK], [looking((-2.5, 0.02 * i, 1.4), 0.1) for i in range(6)])
    labels = run(frames)[-1]
    front, back = main(labels, truth[-1] == 1), main(labels, truth[-1] == 2)
    assert front[0] != back[0] and 0 not in (front[0], back[0]) and min(front[1], back[1]) > 0.8
    alone = run(frames, depth=False)[-1]
    assert main(alone, truth[-1] == 1)[0] == main(alone, truth[-1] == 2)[0]  # colour alone cannot tell


RNG = np.random.default_rng(0)
USELESS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "unknown": lambda depth: np.full_like(depth, np.nan),
    "infinite": lambda depth: np.full_like(depth, np.inf),
    "constant": lambda depth: np.full_like(depth, 2.0),
    "noise": lambda depth: RNG.uniform(0.5, 5, depth.shape).astype(np.float32),
    "negative": lambda depth: -depth,
    "in millimetres": lambda depth: depth * 1000,
    "of another size": lambda depth: depth[::4, ::4],
    "empty": lambda depth: depth[:0, :0],
    "a ramp": lambda depth: np.repeat(np.linspace(6, 1, len(depth), dtype=np.float32)[:, None], depth.shape[1], 1),
    "displaced": lambda depth: np.roll(depth, 40, axis=1),
    "mirrored": lambda depth: np.ascontiguousarray(depth[:, ::-1]),
}


@cache
def without_depth() -> tuple[list[Frame], list[np.ndarray]]:
    frames, _ = walk([FRONT, TOP, LEG], [looking((-2.5, 0.02 * i, 1.4), 0.1) for i in range(4)])
    return frames, run(frames, depth=False)


@pytest.mark.parametrize("spoil", USELESS.values(), ids=USELESS.keys())
def test_useless_depth_is_as_good_as_none(spoil: Callable[[np.ndarray], np.ndarray]) -> None:
    frames, alone = without_depth()
    spoilt = [replace(frame, depth=spoil(np.asarray(frame.depth))) for frame in frames]
    for labels, expected in zip(run(spoilt), alone, strict=True):
        assert np.array_equal(labels, expected)


def test_depth_without_a_calibrated_camera_is_not_used() -> None:
    frame, _ = draw([FRONT], HOME)
    assert depth_view(replace(frame, intrinsics=None), (WIDTH, HEIGHT)) is None


def round_trip() -> tuple[list[Frame], list[np.ndarray]]:
    """Two equal boxes, a turn away from them, a way past them with nothing in view, and back to them from behind."""
    boxes = [Box((0.2, -1.2, 0), (0.7, -0.7, 0.8), RED), Box((0.2, 0.7, 0), (0.7, 1.2, 0.8), RED)]
    right = -np.pi / 2
    turn = np.linspace(0, right, 10)
    poses = [looking((-2.4, 0, 1.4), yaw) for yaw in [0, 0, 0, *turn]]
    poses += [looking((x, 0, 1.4), right) for x in np.linspace(-2.4, 2.6, 14)]
    return walk(boxes, poses + [looking((2.6, 0, 1.4), right + yaw) for yaw in [*turn, right, right]])


def test_ids_are_kept_by_things_seen_from_behind_and_equal_ones_are_not_swapped() -> None:
    frames, truth = round_trip()
    labels = run(frames)
    for box in (1, 2):
        before, after = main(labels[2], truth[2] == box), main(labels[-1], truth[-1] == box)
        assert before[0] == after[0] != 0 and after[1] > 0.8
    assert main(labels[-1], truth[-1] == 1)[0] != main(labels[-1], truth[-1] == 2)[0]


WRONG: dict[str, Callable[[int, np.ndarray], np.ndarray | None]] = {
    "missing": lambda _, pose: None,
    "not a number": lambda _, pose: np.full((4, 4), np.nan),
    "standing still": lambda _, pose: HOME,
    "anywhere": lambda i, pose: looking((i * 0.7 % 3, -i * 0.9 % 3, 1.0), i * 2.1),
}


@cache
def approach() -> tuple[list[Frame], list[np.ndarray]]:
    return walk([FRONT, BACK], [looking((-2.5 + 0.02 * i, 0.03 * i, 1.4), 0.1) for i in range(12)])


@pytest.mark.parametrize("spoil", WRONG.values(), ids=WRONG.keys())
def test_a_wrong_pose_splits_and_swaps_nothing(spoil: Callable[[int, np.ndarray], np.ndarray | None]) -> None:
    frames, truth = approach()
    labels = run([replace(frame, pose=spoil(i, np.asarray(frame.pose))) for i, frame in enumerate(frames)])
    for box in (1, 2):
        assert len({main(found, true == box)[0] for found, true in zip(labels[1:], truth[1:], strict=True)}) == 1


@settings(max_examples=20)
@given(st.floats(-3, 3), st.floats(-2.5, 2.5))
@example(0.5, -2.5)  # cells of one plane once crowded into the same slots: 0.91
@example(2.75, 0.5)
def test_what_is_remembered_is_recalled_at_its_place(yaw: float, x: float) -> None:
    frame, _ = draw([FRONT], looking((x, -2.0, 1.4), yaw))
    places, view, nothing = PlaceMemory(), view_of(frame), np.zeros((HEIGHT, WIDTH), np.int32)
    points, _ = view.at(1)
    pose = np.asarray(frame.pose).astype(np.float32)
    keys = np.where((points @ pose[:3, :3].T + pose[:3, 3])[..., 0] >= 0, 3, 4).astype(np.int32)
    assert not places.recall(view, frame.image, nothing).any()
    places.remember(keys)
    found = places.recall(view, frame.image, nothing)[::2, ::2]
    assert (found > 0).mean() > 0.95 and (found == keys[::2, ::2])[found > 0].mean() > 0.999
    places.rename(3, 7)
    assert not (places.recall(view, frame.image, nothing) == 3).any()


def test_what_changed_its_look_or_contradicts_the_flow_is_not_recalled() -> None:
    frame, _ = draw([FRONT, BACK], HOME)
    places, view, nothing = PlaceMemory(), view_of(frame), np.zeros((HEIGHT, WIDTH), np.int32)
    places.recall(view, frame.image, nothing)
    places.remember(nothing + 5)
    assert not places.recall(view, 255 - frame.image, nothing).any()
    assert not places.recall(view, frame.image, nothing + 6).any()
    assert (places.recall(view, frame.image, nothing) == 5).mean() > 0.9


def test_the_picture_may_change_its_size_and_depth_come_and_go() -> None:
    frame, _ = draw([FRONT, BACK], HOME)
    tracker, depth = FlowTracker(), np.asarray(frame.depth)
    for i, step in enumerate((1, 1, 2, 40, 100, 1, 1)):
        image = np.ascontiguousarray(frame.image[::step, ::step])
        known = depth[::step, ::step] if i != 5 else None
        labels = tracker.step(replace(frame, image=image, depth=known, stamp=i / 5)).labels
        assert labels.shape == image.shape[:2]


def test_the_camera_matrix_follows_the_size() -> None:
    frame, _ = draw([], HOME)
    view = depth_view(frame, (160, 120))
    assert view is not None and np.allclose(view.intrinsics[:2], INTRINSICS[:2] / 2)
    points, known = view.at(2)
    assert points.shape == (60, 80, 3) and known.all()
