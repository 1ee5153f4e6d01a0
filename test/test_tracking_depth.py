from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tracking_room import HEIGHT, INTRINSICS, WIDTH, Box, draw, looking

from cc_ros.frame import Frame
from cc_ros.tracking.association import owners
from cc_ros.tracking.depth import DepthView, depth_steps, depth_view, edge_gain
from cc_ros.tracking.flow import FlowSettings, FlowTracker
from cc_ros.tracking.places import PlaceMemory
from cc_ros.tracking.proposals import RegionProposer, Regions
from cc_ros.tracking.room_layout import FLOOR, THINGS, UNKNOWN, room_layout

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


def test_things_that_stand_apart_are_told_from_each_other_and_from_floor_and_walls() -> None:
    frame, which = draw([FRONT, BACK, TOP, LEG], HOME)
    layout = room_layout(view_of(frame))
    front, back, top, leg = (main(layout, which == box) for box in (1, 2, 3, 4))
    assert min(front[1], back[1], top[1]) > 0.85 and min(front[0], back[0], top[0]) >= THINGS
    assert len({front[0], back[0], top[0]}) == 3
    assert leg[0] == top[0]  # one above the other
    floor = (which == 0) & (np.arange(HEIGHT)[:, None] > 150)
    assert main(layout, floor)[0] == FLOOR
    wall = (which == 0) & (np.arange(HEIGHT)[:, None] < 60)
    assert FLOOR < main(layout, wall)[0] < THINGS


def test_a_thing_on_the_wall_is_no_part_of_the_wall() -> None:
    frame, which = draw([Box((2.8, -0.5, 0.8), (3, 0.5, 1.6), GREEN)], HOME)
    label, share = main(room_layout(view_of(frame)), which == 1)
    assert label >= THINGS and share > 0.9


def test_noise_is_measured_and_does_not_tear_things_apart() -> None:
    frame, which = draw([FRONT, BACK], HOME)
    rng = np.random.default_rng(0)
    assert frame.depth is not None
    noisy = 1 / (1 / frame.depth + rng.normal(0, 0.003, frame.depth.shape)).astype(np.float32)
    view = view_of(replace(frame, depth=noisy))
    assert view.noise == pytest.approx(0.003, rel=0.15)
    layout = room_layout(view)
    front, back = main(layout, which == 1), main(layout, which == 2)
    assert front[0] != back[0] and min(front[0], back[0]) >= THINGS and min(front[1], back[1]) > 0.7


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


GREY, YELLOW = (60, 0, 0), (70, 0, 60)


def claimed(first: slice, second: slice, between: float, parts: tuple[int, int]) -> list[int]:
    """Owners of two yellow regions that track 4 had, with something in between, of these log odds, before a wall."""
    labels = np.zeros((40, 60), np.int32)
    labels[11:29, 10:50], labels[10:30, first], labels[10:30, second] = 3, 1, 2
    area = np.bincount(labels.ravel()).astype(float)
    votes = np.stack([area * [1, 0, 0, 1], area * [0, 1, 1, 0]], axis=1)
    looks = np.array([-3, 3, 3, between])
    kinds = np.array([FLOOR, *parts, UNKNOWN])
    colours = np.array([GREY, YELLOW, YELLOW, (20, 0, 0)], float)
    found = Regions(labels, area, colours, looks, np.array([0, 4]), votes, kinds, np.zeros((4, 4), bool))
    return owners(found, {})[1:3].tolist()


def test_a_track_lets_go_of_what_stands_apart_unless_what_joins_the_pieces_may_be_hidden() -> None:
    left, right, seen, hidden = slice(15, 26), slice(34, 42), -3.0, 3.0
    assert claimed(left, right, seen, (THINGS, THINGS + 1)) == [4, 0]
    assert claimed(left, right, hidden, (THINGS, THINGS + 1)) == [4, 4]
    assert claimed(left, right, seen, (THINGS, THINGS)) == [4, 4]
    assert claimed(left, right, seen, (UNKNOWN, THINGS)) == [4, 4]
    assert claimed(left, right, hidden, (THINGS, FLOOR + 2)) == [4, 0]


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


@pytest.mark.parametrize("spoil", USELESS.values(), ids=USELESS.keys())
def test_useless_depth_is_as_good_as_none(spoil: Callable[[np.ndarray], np.ndarray]) -> None:
    frames, _ = walk([FRONT, TOP, LEG], [looking((-2.5, 0.02 * i, 1.4), 0.1) for i in range(4)])
    spoilt = [replace(frame, depth=spoil(np.asarray(frame.depth))) for frame in frames]
    for labels, expected in zip(run(spoilt), run(frames, depth=False), strict=True):
        assert np.array_equal(labels, expected)


def test_depth_without_a_calibrated_camera_is_not_used() -> None:
    frame, _ = draw([FRONT], HOME)
    assert depth_view(replace(frame, intrinsics=None), (WIDTH, HEIGHT)) is None


def test_jumps_of_depth_lie_on_edges_of_the_image_only_where_it_belongs() -> None:
    frame, _ = draw([FRONT, BACK, TOP, LEG], HOME)
    gradient = np.hypot(*np.gradient(frame.image[..., 2].astype(np.float32)))
    steps = depth_steps(view_of(frame))
    assert edge_gain(steps, gradient) > 1.05 > edge_gain(np.roll(steps, 12, axis=1), gradient)
    assert np.isnan(edge_gain(np.zeros_like(steps), gradient))


def test_a_slanted_plane_has_no_jumps() -> None:
    frame, which = draw([], looking((0, 0, 1.4), 0.0, pitch=-0.9))
    assert not depth_steps(view_of(frame))[5:-5, 5:-5].any() and not which.any()


def test_depth_counts_again_after_a_time_in_which_it_did_not_fit() -> None:
    frame, _ = draw([FRONT, BACK, TOP, LEG], HOME)
    late = replace(frame, depth=np.roll(np.asarray(frame.depth), 40, axis=1))
    proposer = RegionProposer()
    parts = [proposer.grains(f.image, view_of(f)).parts for f in [frame, *[late] * 8, *[frame] * 8]]
    assert parts[0] and not any(parts[3:9]) and all(parts[-2:])


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


@pytest.mark.parametrize("spoil", WRONG.values(), ids=WRONG.keys())
def test_a_wrong_pose_splits_and_swaps_nothing(spoil: Callable[[int, np.ndarray], np.ndarray | None]) -> None:
    frames, truth = walk([FRONT, BACK], [looking((-2.5 + 0.02 * i, 0.03 * i, 1.4), 0.1) for i in range(12)])
    labels = run([replace(frame, pose=spoil(i, np.asarray(frame.pose))) for i, frame in enumerate(frames)])
    for box in (1, 2):
        assert len({main(found, true == box)[0] for found, true in zip(labels[1:], truth[1:], strict=True)}) == 1


@settings(max_examples=20)
@given(st.floats(-3, 3), st.floats(-2.5, 2.5))
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


def test_unknown_depth_stays_unknown_in_the_layout() -> None:
    frame, _ = draw([FRONT], HOME)
    depth = np.asarray(frame.depth).copy()
    depth[:, :160] = np.nan
    assert (room_layout(view_of(replace(frame, depth=depth)))[:, :158] == UNKNOWN).all()


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
